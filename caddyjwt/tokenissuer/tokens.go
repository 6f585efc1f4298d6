package tokenissuer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/session"
)

// terms are what an application grants.
func (i *issuer) terms(app *application, r *running) *session.Terms {
	return &session.Terms{
		App: app.path, AccessLifetime: app.access, RefreshLifetime: app.refresh, Grace: app.grace, Absolute: app.session,
		Still: r.still,
	}
}

// signer makes access tokens (RFC 9068 section 2).
func (i *issuer) signer(ring *keyring.Ring) func(context.Context, *session.Access) (string, error) {
	apps := make(map[string]*application)
	for _, app := range i.apps {
		apps[app.path] = app
	}
	return func(_ context.Context, a *session.Access) (string, error) {
		app := apps[a.App]
		if app == nil {
			return "", fmt.Errorf("no application %q", a.App) // sessions know those alone
		}
		claims := issuing.Claims{
			Issuer: a.Issuer, Subject: a.Subject, Session: a.Session, App: a.App, ID: rand.Text(), Audience: app.audience,
			ClientID: a.ClientID, Group: a.Group, IssuedAt: a.IssuedAt, Expires: a.Expires,
		}
		return ring.Sign(app.header, app.typ, claims.Payload())
	}
}

// cutOffs are the revocations of the issuer, as sessions need them.
type cutOffs struct {
	backing *revocations.Backing
	issuer  string
}

// IsRevoked implements session.Revocations.
func (c *cutOffs) IsRevoked(_ context.Context, q session.Query) (bool, error) {
	payload, err := json.Marshal(struct {
		Subject  string      `json:"sub,omitempty"`
		Session  string      `json:"sid,omitempty"`
		Client   string      `json:"client_id,omitempty"`
		Group    string      `json:"group,omitempty"`
		IssuedAt json.Number `json:"iat"`
	}{q.Subject, q.Session, q.Client, q.Group, issuing.Date(q.IssuedAt)})
	if err != nil {
		return false, err
	}
	set, err := claims.Decode(payload)
	if err != nil {
		return false, err
	}
	group, err := claims.ParsePath(issuers.GroupClaim)
	if err != nil {
		return false, err
	}
	return c.backing.IsRevoked(revoke.Token{Issuer: c.issuer, Set: set, Terms: revoke.NewTerms("", group)})
}

// Cut implements session.Revocations.
func (c *cutOffs) Cut(ctx context.Context, sid string, until, expires time.Time) error {
	return c.backing.CutOff(ctx, revoke.Target{Issuer: c.issuer, Kind: revoke.Session, Value: sid}, until, expires)
}

// openGates makes a gate for each application. It judges the access tokens of requests to end a session as any gate
// would.
func (i *issuer) openGates(ring *keyring.Ring) (map[string]*gate.Gate, error) {
	known, _, err := i.revocations.ForGate(true)
	if err != nil {
		return nil, err
	}
	header, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{bearer.DefaultPlace}})
	if err != nil {
		return nil, err
	}
	group, err := claims.ParsePath(issuers.GroupClaim)
	if err != nil {
		return nil, err
	}
	gates := make(map[string]*gate.Gate)
	for _, app := range i.apps {
		gates[app.path], err = gate.New(gate.Config{
			Realm: app.path, Extractor: header, Revocations: known,
			Issuers: []gate.Issuer{{
				Name: i.name, Keys: ring, Algorithms: jose.AsymmetricAlgorithms(), Local: true,
				Audience: gate.Audience{Accepted: app.audience}, Leeway: gate.DefaultLeeway,
				Revocation: gate.Revocation{Claims: []claims.Path{group}},
			}},
		})
		if err != nil {
			return nil, err
		}
	}
	return gates, nil
}

// facts are what the gate of an application asks: the target, as the client sent it.
type facts struct {
	gate.Facts
	target string
}

// Target implements gate.Facts.
func (f facts) Target() string { return f.target }

// targetOf is the target in the request line.
func targetOf(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.RequestURI
	}
	return r.RequestURI
}
