package tokenissuer

import (
	"context"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/facts"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/wellknown"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/session"
)

// openOAuth makes what answers OAuth clients.
func (i *issuer) openOAuth(r *running) (*oauth.Server, error) {
	return oauth.New(oauth.Options{
		Issuer: i.name, Addresses: i.oauthAddresses(), DefaultAudience: i.clients.DefaultAudience,
		Clients: r.clients.Clients, Keys: r.ring,
		Try: i.try(r), Assertions: r.used, Proofs: r.proofs, Judge: i.judge,
		Unseal: r.ring.Unseal,
		Sign: func(_ context.Context, client *clients.Client, c *issuing.Claims) (string, error) {
			if client.Opaque {
				return fitting(r.ring.Seal(c.Payload()))
			}
			return fitting(r.ring.Sign(client.Header, "at+jwt", c.Payload()))
		},
		SignAnswer:  func(payload []byte) (string, error) { return r.ring.Sign(nil, oauth.SignedAnswer, payload) },
		Sessions:    &families{i, r},
		Revocations: &tokens{i, r},
		Leeway:      max(r.backing.Leeway(i.name), time.Minute), // the clocks of all nodes agree to a minute
	})
}

// oauthAddresses are the addresses for OAuth clients, as clients know them. If the name of the issuer is none, nobody
// knows them: then it is the name alone. A path would be that of other issuers, too.
func (i *issuer) oauthAddresses() (all []string) {
	if wellknown.OriginOf(i.name) == "" {
		return []string{i.name}
	}
	for _, path := range []string{i.oauth.Token, i.oauth.Introspection, i.oauth.Revocation} {
		all = append(all, wellknown.OriginOf(i.name)+path)
	}
	return all
}

// families are the sessions of applications, as OAuth clients use them.
type families struct {
	issuer *issuer
	*running
}

// app is the application with a path; nil for none.
func (i *issuer) app(path string) *applications.Application {
	at := slices.IndexFunc(i.apps, func(app *applications.Application) bool { return app.Path == path })
	if at < 0 {
		return nil
	}
	return i.apps[at]
}

// Refresh implements oauth.Sessions.
func (f *families) Refresh(ctx context.Context, path, token string, key *oauth.Key) (*oauth.Pair, error) {
	app := f.issuer.app(path)
	if app == nil {
		return nil, session.ErrInvalid
	}
	pair, err := f.sessions.Refresh(ctx, f.issuer.terms(app, f.running), token, proved(key))
	if err != nil {
		return nil, err
	}
	return &oauth.Pair{
		Access: pair.Access, Refresh: pair.Refresh, Key: pair.Key, Lifetime: pair.Expires.Sub(pair.IssuedAt),
	}, nil
}

// proved is what a client has proved that refreshes a session.
func proved(key *oauth.Key) session.Proof { return session.Proof{Key: key.Thumbprint, Use: key.Spend} }

// End implements oauth.Sessions.
func (f *families) End(ctx context.Context, path, token string) error {
	terms := new(session.Terms) // of no application: a session that there is belongs to somebody else
	if app := f.issuer.app(path); app != nil {
		terms = f.issuer.terms(app, f.running)
	}
	return f.sessions.EndToken(ctx, terms, token)
}

// Audience implements oauth.Sessions.
func (f *families) Audience(path string) []string {
	if app := f.issuer.app(path); app != nil {
		return app.Audience
	}
	return nil
}

// tokens are the tokens of the issuer, for oauth.Revocations.
type tokens struct {
	issuer *issuer
	*running
}

// IsOut implements oauth.Revocations.
func (t *tokens) IsOut(set *claims.Set, raw string) (bool, error) {
	if !t.issuer.has(set) || isFromBeforeReset(t.ring, set.IssuedAt) {
		return true, nil
	}
	return t.backing.IsRevoked(revoke.Token{Issuer: t.issuer.name, Set: set, Raw: raw, Terms: revocable})
}

// has reports whether the issuer has the application or the client of a token now.
func (i *issuer) has(set *claims.Set) bool {
	if app, there := set.Claim("app"); there {
		path, _ := app.JSON().Str()
		return i.HasApplication(path)
	}
	return i.HasClient(set.ClientID)
}

// Revoke implements oauth.Revocations.
func (t *tokens) Revoke(ctx context.Context, id string, expires time.Time) error {
	return t.backing.RevokeToken(ctx, t.issuer.name, id, expires)
}

// HasClient implements localissuer.Issuer.
func (i *issuer) HasClient(id string) bool {
	r := i.running.Load()
	if r == nil {
		return false
	}
	client := r.clients.Clients().Find(id)
	return client != nil && !client.IsPublic()
}

// Unseal implements localissuer.Issuer.
func (i *issuer) Unseal(ctx context.Context, token string) ([]byte, error) {
	if r := i.running.Load(); r != nil {
		return r.ring.Unseal(ctx, token)
	}
	return nil, &keyset.UnavailableError{RetryAfter: time.Second, Err: errNotStarted}
}

// request is the request of an OAuth client.
func (c *call) request() *oauth.Request {
	known := facts.Of(c.r)
	q := &oauth.Request{HTTP: c.r, From: known.Client(), Facts: known}
	q.Certificate.Certificate = known.Certificate()
	q.Certificate.Verified = c.r.TLS != nil && len(c.r.TLS.VerifiedChains) > 0
	c.asked = q
	return q
}

// giveTokens is the token endpoint.
func giveTokens(c *call) error {
	tokens, err := c.oauth.Token(c.request())
	if err == nil {
		issuing.Write(c.w, tokens)
	}
	return err
}

// introspectToken is the introspection endpoint.
func introspectToken(c *call) error {
	answer, err := c.oauth.Introspect(c.request())
	switch {
	case err != nil:
		return err
	case answer.Signed != "":
		issuing.WriteJWT(c.w, oauth.SignedAnswer, answer.Signed)
	default:
		issuing.Write(c.w, answer.Members)
	}
	return nil
}

// revokeToken is the revocation endpoint.
func revokeToken(c *call) error {
	q := c.request()
	if err := c.oauth.Revoke(q); err != nil {
		return err
	}
	c.issuer.tellOfRevocation(q)
	issuing.WriteEmpty(c.w)
	return nil
}
