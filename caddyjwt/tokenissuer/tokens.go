package tokenissuer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/users"
)

// terms are what an application grants.
func (i *issuer) terms(app *applications.Application, r *running) *session.Terms {
	return &session.Terms{
		App: app.Path, AccessLifetime: app.Access, RefreshLifetime: app.Refresh, Grace: app.Grace, Absolute: app.Session,
		Holder: r.holder,
	}
}

// signer makes access tokens (RFC 9068 section 2).
func (i *issuer) signer(ring *keyring.Ring) func(context.Context, *session.Access) (string, error) {
	apps := make(map[string]*applications.Application)
	for _, app := range i.apps {
		apps[app.Path] = app
	}
	return func(ctx context.Context, a *session.Access) (string, error) {
		app := apps[a.App]
		if app == nil {
			return "", fmt.Errorf("no application %q", a.App) // sessions know those alone
		}
		further, err := app.Further(ctx, a.Claims)
		if err != nil {
			return "", err
		}
		claims := issuing.Claims{
			Issuer: a.Issuer, Subject: a.Subject, Session: a.Session, App: a.App, ID: rand.Text(), Audience: app.Audience,
			ClientID: a.ClientID, Group: a.Group, IssuedAt: a.IssuedAt, Expires: a.Expires,
			Key: a.Key, Further: further,
		}
		return fitting(ring.Sign(app.Header, app.Type, claims.Payload()))
	}
}

// fitting refuses a token that gates do not take, because nobody could use it.
func fitting(token string, err error) (string, error) {
	if err == nil && len(token) > bearer.DefaultMaxToken {
		return "", fmt.Errorf("the token has %d bytes, and gates take %d: give the user fewer roles and claims, or the "+
			"application or client fewer claims and members of the header", len(token), bearer.DefaultMaxToken)
	}
	return token, err
}

// holder is the user with a name, when a session goes on: a session ends with its user and with the password, and its
// tokens say what the directory says now. A directory that never knows leaves them as they were at the login.
func (r *running) holder(ctx context.Context, name string) (*session.Holder, error) {
	user, err := r.users.Find(ctx, name)
	switch {
	case r.isClient(name): // since a reload, or since the file has it
		return nil, nil //nolint:nilnil // nobody
	case errors.Is(err, users.ErrCannotKnow):
		return &session.Holder{Mark: markOf(user)}, nil
	case errors.Is(err, users.ErrRefused):
		return nil, nil //nolint:nilnil // nobody
	case err != nil:
		return nil, err
	}
	further, err := applications.ClaimsOf(user)
	return &session.Holder{Mark: markOf(user), Claims: further, Known: true}, err
}

// markOf is the mark of a user at the login and afterwards.
func markOf(user *users.User) string { return users.MarkOf(user.Directory + " " + user.Mark) }

// revocable is what can revoke tokens beside the usual claims.
var revocable = revoke.NewTerms("", issuers.GroupPath())

// cutOffs are the revocations of the issuer, as sessions need them.
type cutOffs struct {
	backing *revocations.Backing
	issuer  string
	ring    *keyring.Ring
}

// IsRevoked implements session.Revocations. What was issued before the keys were reset counts as revoked, too: the
// cut-off of a reset is written after its keys, and must not be missing if all stops between.
//
// What is asked about ends at once here. A list refuses what lives longer than it could when it was issued, because
// what revokes it may have been forgotten. A session never does: each refresh token ends when it had to by the settings
// with which it was made, and the answer to this question is not older than it.
func (c *cutOffs) IsRevoked(_ context.Context, q session.Query) (bool, error) {
	if isFromBeforeReset(c.ring, q.IssuedAt) {
		return true, nil
	}
	payload, err := json.Marshal(struct {
		Subject  string      `json:"sub,omitempty"`
		Session  string      `json:"sid,omitempty"`
		Client   string      `json:"client_id,omitempty"`
		Group    string      `json:"group,omitempty"`
		IssuedAt json.Number `json:"iat"`
		Expires  json.Number `json:"exp"`
	}{q.Subject, q.Session, q.Client, q.Group, issuing.Date(q.IssuedAt), issuing.Date(q.IssuedAt)})
	if err != nil {
		return false, err
	}
	set, err := claims.Decode(payload)
	if err != nil {
		return false, err
	}
	return c.backing.IsRevoked(revoke.Token{Issuer: c.issuer, Set: set, Terms: revocable})
}

// isFromBeforeReset reports whether something was issued before the keys were reset, or at the same time. Times of
// issue are in whole milliseconds.
func isFromBeforeReset(ring *keyring.Ring, issuedAt time.Time) bool {
	return !issuedAt.After(ring.ResetAt().Truncate(time.Millisecond))
}

// Cut implements session.Revocations.
func (c *cutOffs) Cut(ctx context.Context, sid string, until, expires time.Time) error {
	return c.backing.CutOff(ctx, revoke.Target{Issuer: c.issuer, Kind: revoke.Session, Value: sid}, until, expires)
}

// openGates makes a gate for each application. It judges the access tokens of requests to end a session as any gate
// would.
func (i *issuer) openGates(r *running) (map[string]*gate.Gate, error) {
	known, _, err := i.revocations.ForGate(true)
	if err != nil {
		return nil, err
	}
	header, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{bearer.DefaultPlace}, DPoP: true})
	if err != nil {
		return nil, err
	}
	gates := make(map[string]*gate.Gate)
	for _, app := range i.apps {
		gates[app.Path], err = gate.New(gate.Config{
			Realm: app.Path, Extractor: header, Revocations: known, Proof: r.proofs,
			Issuers: []gate.Issuer{{
				Name: i.name, Keys: r.ring, Algorithms: jose.AsymmetricAlgorithms(), Local: true,
				Audience: gate.Audience{Accepted: app.Audience}, Leeway: gate.DefaultLeeway,
				Revocation: gate.Revocation{Claims: []claims.Path{issuers.GroupPath()}},
			}},
		})
		if err != nil {
			return nil, err
		}
	}
	return gates, nil
}
