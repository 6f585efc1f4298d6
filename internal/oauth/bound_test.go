package oauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof/nonce"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// tokenURI is where the requests of ask go.
const tokenURI = "https://example.com/token"

// boundHouse is a house with clients whose tokens are bound to nothing, to a key, and to a certificate at least.
func boundHouse(tb testing.TB, changes ...func(*house)) *house {
	tb.Helper()
	h := newHouse(tb, changes...)
	list := registered(tb)
	for id, kind := range map[string]clients.Proof{"free": "", "strict": clients.DPoP, "mesh": clients.MTLS} {
		list = append(list, clients.Client{
			ID: id, SecretHashes: []string{hash(tb, secret)}, Grants: []clients.Grant{clients.ClientCredentials},
			Scopes: []string{"read"}, Audiences: []string{api}, AccessLifetime: time.Minute, Proof: kind,
		})
	}
	h.setClients(tb, list...)
	return h
}

// prover is a client with a key, whose clock is that of the house.
func (h *house) prover(tb testing.TB) *tokentest.Prover {
	tb.Helper()
	p := tokentest.NewProver(tb, "ES256")
	p.Now = h.clock.now
	return p
}

// proving adds a proof of a key.
func proving(tb testing.TB, q *oauth.Request, by *tokentest.Prover, edits ...map[string]any) *oauth.Request {
	tb.Helper()
	return proved(q, by.Proof(tb, http.MethodPost, tokenURI, "", edits...))
}

// proved adds proofs as they are.
func proved(q *oauth.Request, proofs ...string) *oauth.Request {
	q.HTTP.Header["Dpop"] = proofs
	return q
}

// bound wants tokens that are bound to this key and this certificate; empty for none.
func (h *house) bound(tb testing.TB, q *oauth.Request, key, certificate string) *issuing.Tokens {
	tb.Helper()
	tokens, err := h.Token(q)
	if err != nil {
		tb.Fatal(err)
	}
	want, typ := m{}, "Bearer"
	if key != "" {
		want["jkt"], typ = key, "DPoP"
	}
	if certificate != "" {
		want["x5t#S256"] = certificate
	}
	got, _ := says(tb, tokens.Access)["cnf"].(m)
	if len(got) != len(want) || got["jkt"] != want["jkt"] || got["x5t#S256"] != want["x5t#S256"] ||
		tokens.TokenType != typ {
		tb.Fatalf("a token of the type %s, bound to %v, want %s and %v", tokens.TokenType, got, typ, want)
	}
	return tokens
}

// RFC 9449 section 5 and RFC 8705 section 3: what a client proves, and what is registered for it.
func TestWhatTokensOfClientsAreBoundTo(t *testing.T) {
	h := boundHouse(t)
	key, shown := h.prover(t), certified(t, "x", false)
	sum := clientcert.Thumbprint(shown.Certificate)
	x5t := base64.RawURLEncoding.EncodeToString(sum[:])
	with := func(id string) *oauth.Request { return proving(t, own(id, secret), key) }
	h.bound(t, own("free", secret), "", "")
	h.bound(t, with("free"), key.Thumbprint(), "")
	h.bound(t, connected(own("free", secret), shown), "", "")
	h.bound(t, with("strict"), key.Thumbprint(), "")
	h.bound(t, connected(own("mesh", secret), shown), "", x5t)
	h.bound(t, connected(with("mesh"), shown), key.Thumbprint(), x5t)
	h.refuses(t, own("strict", secret), 400, issuing.InvalidDPoPProof, "send a DPoP proof")
	h.refuses(t, connected(own("strict", secret), shown), 400, issuing.InvalidDPoPProof, "send a DPoP proof")
	h.refuses(t, own("mesh", secret), 400, issuing.InvalidRequest, "connect with it")
	h.refuses(t, with("mesh"), 400, issuing.InvalidRequest, "connect with it")
}

// replays answers each question with one error.
type replays struct{ err error }

func (r replays) Use(context.Context, [32]byte, string, time.Time, time.Time) error { return r.err }

// noSecret is a source of nonces whose secret is not known.
func noSecret() *nonce.Source {
	return nonce.NewSource(func(context.Context) ([32]byte, error) { return [32]byte{}, errDown })
}

// fixedNonces are nonces of one secret.
func fixedNonces() *nonce.Source {
	return nonce.NewSource(func(context.Context) ([32]byte, error) { return [32]byte{1}, nil })
}

// nonces has proofs need nonces.
func nonces(source *nonce.Source) func(*possession.Policy) {
	return func(p *possession.Policy) { p.DPoP.Nonces, p.DPoP.NonceLifetime = source, time.Minute }
}

// Each kind of a proof that does not count has its answer.
func TestProofsThatDoNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*possession.Policy)
		edit   m
		status int
		code   issuing.Code
		text   string
	}{
		"of another address": {nil, m{"htu": tokenURI + "/x"}, 400, issuing.InvalidDPoPProof, "not one for this"},
		"too old":            {nil, m{"iat": 1}, 400, issuing.InvalidDPoPProof, "not one for this"},
		"of no kind that counts": {func(p *possession.Policy) { p.DPoP = nil }, nil, 400,
			issuing.InvalidDPoPProof, "not one for this"},
		"without a nonce": {nonces(fixedNonces()),
			nil, 400, issuing.InvalidDPoPProof, "not one for this"},
		"with an old nonce": {nonces(fixedNonces()),
			m{"nonce": "x"}, 400, issuing.InvalidDPoPProof, "not one for this"},
		"used before": {func(p *possession.Policy) { p.DPoP.Replays = replays{replay.ErrUsed} }, nil, 400,
			issuing.InvalidDPoPProof, "used before"},
		"one too many": {func(p *possession.Policy) { p.DPoP.Replays = replays{replay.ErrFull} }, nil, 429,
			issuing.TooManyRequests, "wait"},
		"nobody knows": {func(p *possession.Policy) { p.DPoP.Replays = replays{replay.ErrUnavailable} }, nil, 503,
			issuing.TemporarilyUnavailable, "try again"},
		"nobody knows the nonces": {nonces(noSecret()),
			m{"nonce": "x"}, 503, issuing.TemporarilyUnavailable, "try again"},
		"nobody verifies": {func(p *possession.Policy) { p.DPoP.Verifier = nil }, nil, 503,
			issuing.TemporarilyUnavailable, "try again"},
	} {
		t.Run(name, func(t *testing.T) {
			h := boundHouse(t, func(h *house) {
				if c.change != nil {
					c.change(h.options.Proofs)
				}
			})
			q := proving(t, own("free", secret), h.prover(t), c.edit)
			h.refuses(t, q, c.status, c.code, c.text)
			if c.status == http.StatusTooManyRequests {
				_, err := h.Token(proving(t, own("free", secret), h.prover(t)))
				if failure, _ := errors.AsType[*issuing.Failure](err); failure == nil || failure.RetryAfter <= 0 {
					t.Errorf("nobody says how long to wait: %v", err)
				}
			}
		})
	}
}

// What is in the field and is no proof makes no token that is bound to nothing.
func TestAFieldWithoutAProofIsNoBearerToken(t *testing.T) {
	h := boundHouse(t)
	good := h.prover(t).Proof(t, http.MethodPost, tokenURI, "")
	for name, field := range map[string][]string{
		"empty": {""}, "two": {good, good}, "one and an empty one": {good, ""}, "a list": {good + "," + good},
		"none": {"none"},
	} {
		for _, id := range []string{"free", "strict"} {
			if tokens, err := h.Token(proved(own(id, secret), field...)); err == nil {
				t.Errorf("%s: %+v", name, tokens)
			}
		}
	}
}

// A proof stays good while something else refuses the request, and is used up by the first success.
func TestAProofIsUsedUpBySuccess(t *testing.T) {
	h := boundHouse(t)
	key := h.prover(t)
	proof := key.Proof(t, http.MethodPost, tokenURI, "")
	q := func(pairs ...string) *oauth.Request { return proved(own("free", secret, pairs...), proof) }
	h.refuses(t, q("scope", "admin"), 400, issuing.InvalidScope, "")
	h.refuses(t, q("resource", billing), 400, issuing.InvalidTarget, "")
	h.refuses(t, proved(own("free", "another"), proof), 401, issuing.InvalidClient, "")
	h.refuses(t, proved(own("mesh", secret), proof), 400, issuing.InvalidRequest, "")
	if used := h.in.used.Load(); used != 0 {
		t.Errorf("%d proofs are used up", used)
	}
	h.bound(t, q(), key.Thumbprint(), "")
	h.refuses(t, q(), 400, issuing.InvalidDPoPProof, "used before")
	h.refuses(t, proved(own("strict", secret), proof), 400, issuing.InvalidDPoPProof, "used before")
}

// refreshing is a refresh of the application shop.
func refreshing(token string) *oauth.Request {
	return ask("grant_type", "refresh_token", "client_id", shop, "refresh_token", token)
}

// loginWith begins a session of the application shop with a key.
func (h *house) loginWith(tb testing.TB, key string) *session.Pair {
	tb.Helper()
	p, err := h.sessions.Begin(tb.Context(), (*apps)(h).terms(shop), &session.Login{
		Subject: "alice", ClientID: shop, Key: key,
	})
	must(tb, &err)
	h.clock.advance(time.Second)
	return p
}

// RFC 9449 section 5: a session that is bound to a key goes on with that key alone.
func TestARefreshWithAKey(t *testing.T) {
	h := newHouse(t)
	key, other := h.prover(t), h.prover(t)
	p := h.loginWith(t, key.Thumbprint())
	h.refuses(t, refreshing(p.Refresh), 400, issuing.InvalidDPoPProof, "is bound to a key")
	h.refuses(t, proving(t, refreshing(p.Refresh), other), 400, issuing.InvalidDPoPProof, "is bound to a key")
	next := h.bound(t, proving(t, refreshing(p.Refresh), key), key.Thumbprint(), "")
	h.clock.advance(time.Second)
	proof := key.Proof(t, http.MethodPost, tokenURI, "")
	last := h.bound(t, proved(refreshing(next.Refresh), proof), key.Thumbprint(), "")
	h.refuses(t, proved(refreshing(last.Refresh), proof), 400, issuing.InvalidDPoPProof, "used before")
	h.clock.advance(time.Second)
	h.bound(t, proving(t, refreshing(last.Refresh), key), key.Thumbprint(), "")
}

// A session that is bound to nothing is bound by the first refresh with a proof. When the token before comes again
// without the key, two parties have it, and the session ends.
func TestARefreshBindsASession(t *testing.T) {
	h := newHouse(t)
	key := h.prover(t)
	p := h.loginWith(t, "")
	next := h.bound(t, refreshing(p.Refresh), "", "")
	h.clock.advance(time.Second)
	last := h.bound(t, proving(t, refreshing(next.Refresh), key), key.Thumbprint(), "")
	h.refuses(t, refreshing(last.Refresh), 400, issuing.InvalidDPoPProof, "is bound to a key")
	h.refuses(t, refreshing(next.Refresh), 400, issuing.InvalidGrant, "sign in again")
	h.refuses(t, proving(t, refreshing(last.Refresh), key), 400, issuing.InvalidGrant, "sign in again")
}

// Strangers can make proofs of ever new keys. Without a token of a session nobody remembers them.
func TestAttackStrangersFillNothingWithProofs(t *testing.T) {
	h := newHouse(t)
	key := h.prover(t)
	p := h.loginWith(t, key.Thumbprint())
	for range 20 {
		stranger := h.prover(t)
		for _, token := range []string{"x", "A" + p.Refresh[1:], "B" + p.Refresh[1:], p.Refresh} {
			if tokens, err := h.Token(proving(t, refreshing(token), stranger)); err == nil {
				t.Fatalf("%+v", tokens)
			}
		}
	}
	if used := h.in.used.Load(); used != 0 {
		t.Errorf("%d proofs of strangers are remembered", used)
	}
	h.bound(t, proving(t, refreshing(p.Refresh), key), key.Thumbprint(), "")
}

// RFC 9449 section 6.2 and RFC 8705 section 3.2: the answer about a bound token says to which key it is bound.
func TestBoundTokensAreDescribed(t *testing.T) {
	h := boundHouse(t)
	key, shown := h.prover(t), certified(t, "x", false)
	sum := clientcert.Thumbprint(shown.Certificate)
	x5t := base64.RawURLEncoding.EncodeToString(sum[:])
	mesh := h.bound(t, connected(own("mesh", secret), shown), "", x5t)
	for name, c := range map[string]struct{ token, typ, cnf string }{
		"of a client":   {h.bound(t, proving(t, own("free", secret), key), key.Thumbprint(), "").Access, "DPoP", jkt(key)},
		"of a session":  {h.loginWith(t, key.Thumbprint()).Access, "DPoP", jkt(key)},
		"of a mesh":     {mesh.Access, "Bearer", `{"x5t#S256":"` + x5t + `"}`},
		"bound to none": {h.gives(t, own("free", secret)).Access, "Bearer", ""},
	} {
		answer := h.described(t, introspect("server", c.token))
		if string(answer["token_type"]) != `"`+c.typ+`"` || string(answer["active"]) != "true" {
			t.Errorf("%s: %s", name, answer["token_type"])
		}
		if got := string(answer["cnf"]); got != c.cnf {
			t.Errorf("%s: %s, want %s", name, got, c.cnf)
		}
	}
}

// jkt is the cnf of a token that is bound to a key.
func jkt(key *tokentest.Prover) string { return `{"jkt":"` + key.Thumbprint() + `"}` }

// Whoever has a refresh token may end its session (RFC 7009), also without its key: nobody gets anything by that.
func TestABoundSessionIsRevokedWithoutItsKey(t *testing.T) {
	h := newHouse(t)
	p := h.loginWith(t, h.prover(t).Thumbprint())
	if err := h.Server.Revoke(ask("client_id", shop, "token", p.Refresh)); err != nil {
		t.Fatal(err)
	}
	if isActive(t, h, p.Access) {
		t.Error("the access token is good")
	}
}
