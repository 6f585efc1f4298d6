package oauth_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/internal/users/attempts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The cast of the tests.
const (
	issuer    = "https://as.example"
	endpoint  = issuer + "/token"
	api       = "https://api.example"
	billing   = "https://billing.example"
	secret    = "s3cret"
	oddID     = "odd:id +%&="
	oddSecret = "p: +%&=ä"
	shop      = "/shop/"
)

type m = map[string]any

// clock is a clock that stands, until a test sets it. It begins now, because stores have clocks of their own.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// vault keeps the keys of an issuer in memory, for one ring.
type vault struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (*vault) Lock(context.Context, string) error   { return nil }
func (*vault) Unlock(context.Context, string) error { return nil }

func (v *vault) Load(_ context.Context, key string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if text, has := v.values[key]; has {
		return slices.Clone(text), nil
	}
	return nil, &fs.PathError{Op: "open", Path: key, Err: fs.ErrNotExist}
}

func (v *vault) Store(_ context.Context, key string, value []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.values[key] = slices.Clone(value)
	return nil
}

var errDown = errors.New("no route to host")

// flaky is a store that can be down.
type flaky struct {
	store.Store

	down atomic.Bool
	used atomic.Int64 // proofs and assertions that were used up
}

func (f *flaky) Get(ctx context.Context, key string) ([]byte, error) {
	if f.down.Load() {
		return nil, errDown
	}
	return f.Store.Get(ctx, key)
}

func (f *flaky) Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error) {
	if f.down.Load() {
		return false, errDown
	}
	if strings.HasPrefix(key, "proof/") {
		f.used.Add(1)
	}
	return f.Store.Swap(ctx, key, old, fresh, expires)
}

func (f *flaky) Append(ctx context.Context, log string, record []byte, expires time.Time) (store.Position, error) {
	if f.down.Load() {
		return store.Position{}, errDown
	}
	return f.Store.Append(ctx, log, record, expires)
}

// house is a server with all that it needs.
type house struct {
	*oauth.Server

	clock    clock
	in       *flaky
	ring     *keyring.Ring
	ledger   *revoke.Ledger
	sessions *session.Sessions
	clients  atomic.Pointer[clients.Set]
	options  oauth.Options
	judge    *judge

	unknown atomic.Bool // whether it is not known what is revoked
	until   atomic.Int64
	signed  atomic.Int64 // tokens of clients
}

func newHouse(tb testing.TB, changes ...func(*house)) *house {
	tb.Helper()
	h := &house{in: &flaky{Store: store.NewMemory()}}
	h.clock.nanos.Store(time.Now().UnixNano())
	var err error
	h.ring, err = keyring.Open(context.Background(), keyring.Options{
		Vault: &vault{values: make(map[string][]byte)}, Issuer: issuer, Longest: func() time.Duration { return time.Hour },
	})
	must(tb, &err)
	h.ledger, err = revoke.Open(context.Background(), h.in, revoke.Options{Now: h.clock.now})
	must(tb, &err)
	guard, err := attempts.New(attempts.Config{Burst: 1 << 10}) // how many wrong secrets pass is not for these tests
	must(tb, &err)
	h.sessions, err = session.New(session.Options{
		Store: h.in, Issuer: issuer, Sign: h.signSession, Revocations: h, Now: h.clock.now,
	})
	must(tb, &err)
	tb.Cleanup(func() {
		h.ledger.Close()
		_ = h.ring.Close()
		_ = h.in.Close()
	})
	h.setClients(tb, registered(tb)...)
	used := replay.NewShared(func(context.Context) (store.Store, func(), error) { return h.in, func() {}, nil })
	verifier, err := proof.NewVerifier()
	must(tb, &err)
	tb.Cleanup(verifier.Close)
	h.judge = newJudge(tb, h)
	h.options = oauth.Options{
		Issuer: issuer, Addresses: []string{endpoint, issuer + "/introspect", issuer + "/revoke"}, Try: guard.Do,
		Clients: h.clients.Load, Assertions: used, Keys: h.ring, Sign: h.signClient, Sessions: (*apps)(h),
		Revocations: h, Now: h.clock.now, SignAnswer: h.signAnswer, Judge: h.judge, Unseal: h.ring.Unseal,
		Proofs: &possession.Policy{DPoP: &possession.DPoP{
			Algorithms: possession.Algorithms(), MaxAge: possession.DefaultMaxAge, Verifier: verifier, Replays: used,
		}},
	}
	for _, change := range changes {
		change(h)
	}
	h.Server, err = oauth.New(h.options)
	must(tb, &err)
	return h
}

// signAnswer makes a JWT of an answer to introspection.
func (h *house) signAnswer(payload []byte) (string, error) {
	return h.ring.Sign(nil, oauth.SignedAnswer, payload)
}

// says is the answer to introspection.
func (h *house) says(q *oauth.Request) (map[string]any, error) {
	answer, err := h.Introspect(q)
	if err != nil {
		return nil, err
	}
	return answer.Members, nil
}

// must ends the test with an error.
func must(tb testing.TB, err *error) {
	tb.Helper()
	if *err != nil {
		tb.Fatal(*err)
	}
}

// hashes are those of the secrets, made once: they are slow.
var hashes sync.Map

func hash(tb testing.TB, text string) string {
	tb.Helper()
	if known, is := hashes.Load(text); is {
		return known.(string)
	}
	made, err := bcrypt.GenerateFromPassword([]byte(text), bcrypt.MinCost)
	must(tb, &err)
	hashes.Store(text, string(made))
	return string(made)
}

func source(tb testing.TB, keys ...*tokentest.Key) keyset.Source {
	tb.Helper()
	s, err := keyset.NewPEM([]byte(tokentest.JWKS(keys...)))
	must(tb, &err)
	return s
}

// signerKeys are those of the client signer.
func signerKeys(tb testing.TB) []*tokentest.Key {
	tb.Helper()
	return []*tokentest.Key{
		tokentest.NewKey(tb, "ES256", "e"), tokentest.NewKey(tb, "RS256", "r"), tokentest.NewKey(tb, "EdDSA", "d"),
	}
}

// registered are the clients there are.
func registered(tb testing.TB) []clients.Client {
	tb.Helper()
	own := []clients.Grant{clients.ClientCredentials}
	client := func(id string, change func(*clients.Client)) clients.Client {
		c := clients.Client{
			ID: id, Grants: own, Scopes: []string{"read", "write"}, Audiences: []string{api}, AccessLifetime: 5 * time.Minute,
		}
		change(&c)
		return c
	}
	return []clients.Client{
		client("batch", func(c *clients.Client) { c.SecretHashes = []string{hash(tb, secret)} }),
		client("changing", func(c *clients.Client) { c.SecretHashes = []string{hash(tb, "old"), hash(tb, "new")} }),
		client(oddID, func(c *clients.Client) { c.SecretHashes = []string{hash(tb, oddSecret)} }),
		client("two", func(c *clients.Client) {
			c.SecretHashes, c.Audiences, c.Scopes = []string{hash(tb, secret)}, []string{api, billing}, nil
		}),
		client("signer", func(c *clients.Client) { c.Keys = source(tb, signerKeys(tb)...) }),
		client("other-signer", func(c *clients.Client) { c.Keys = source(tb, tokentest.NewKey(tb, "ES256", "other")) }),
		client("mtls", func(c *clients.Client) { c.Certificate = &clients.Certificate{DNS: "mtls.example"} }),
		client("server", func(c *clients.Client) {
			c.SecretHashes, c.Grants, c.Introspects = []string{hash(tb, secret)}, nil, []string{api}
		}),
		client("other-server", func(c *clients.Client) {
			c.SecretHashes, c.Grants, c.Introspects = []string{hash(tb, secret)}, nil, []string{billing}
		}),
		{ID: shop, App: shop, Grants: []clients.Grant{clients.RefreshToken}},
		{ID: "/desk/", App: "/desk/", Grants: []clients.Grant{clients.RefreshToken}},
	}
}

func (h *house) setClients(tb testing.TB, list ...clients.Client) {
	tb.Helper()
	set, err := clients.NewSet(list, nil)
	must(tb, &err)
	h.clients.Store(set)
}

func (h *house) signClient(_ context.Context, client *clients.Client, c *issuing.Claims) (string, error) {
	h.signed.Add(1)
	if client.Opaque {
		return h.ring.Seal(c.Payload())
	}
	return h.ring.Sign(nil, "at+jwt", c.Payload())
}

func (h *house) signSession(_ context.Context, a *session.Access) (string, error) {
	c := issuing.Claims{
		Issuer: a.Issuer, Subject: a.Subject, Session: a.Session, App: a.App, ID: rand.Text(), Audience: []string{api},
		ClientID: a.ClientID, Key: a.Key, IssuedAt: a.IssuedAt, Expires: a.Expires, Further: a.Claims,
	}
	return h.ring.Sign(nil, "at+jwt", c.Payload())
}

// IsOut implements oauth.Revocations with the ledger.
func (h *house) IsOut(set *claims.Set, raw string) (bool, error) {
	if h.unknown.Load() {
		return false, errDown
	}
	if h.clients.Load().Find(set.ClientID) == nil {
		return true, nil
	}
	_, out := h.ledger.List().Revokes(revoke.Token{Issuer: issuer, Set: set, Raw: raw})
	return out, nil
}

// Revoke implements oauth.Revocations with the ledger.
func (h *house) Revoke(ctx context.Context, id string, until time.Time) error {
	h.until.Store(until.UnixNano())
	return h.write(ctx, &revoke.Entry{Target: revoke.Target{Kind: revoke.ID, Value: id}, Expires: until})
}

// Cut implements session.Revocations with the ledger.
func (h *house) Cut(ctx context.Context, sid string, until, expires time.Time) error {
	return h.write(ctx, &revoke.Entry{
		Target: revoke.Target{Kind: revoke.Session, Value: sid}, NotAfter: until, Expires: expires,
	})
}

func (h *house) write(ctx context.Context, e *revoke.Entry) error {
	e.Issuer, e.At = issuer, h.clock.now()
	return h.ledger.Write(ctx, e)
}

// IsRevoked implements session.Revocations with the ledger.
func (h *house) IsRevoked(_ context.Context, q session.Query) (bool, error) {
	says := m{"iat": issuing.Date(q.IssuedAt)}
	if q.Session != "" {
		says["sid"] = q.Session
	}
	text, err := json.Marshal(says)
	if err != nil {
		return false, err
	}
	set, err := claims.Decode(text)
	if err != nil {
		return false, err
	}
	_, out := h.ledger.List().Revokes(revoke.Token{Issuer: issuer, Set: set})
	return out, nil
}

// direct has the facts of a connection without a proxy.
type direct struct{ *http.Request }

func (direct) Scheme() string                 { return "https" }
func (d direct) Host() string                 { return d.Request.Host }
func (d direct) Method() string               { return d.Request.Method }
func (d direct) Target() string               { return d.RequestURI }
func (direct) Certificate() *x509.Certificate { return nil }
func (direct) Proxied() bool                  { return false }

// apps are the sessions of the applications.
type apps house

func (*apps) terms(app string) *session.Terms {
	return &session.Terms{App: app, AccessLifetime: time.Minute, RefreshLifetime: time.Hour}
}

func (a *apps) Refresh(ctx context.Context, app, token string, key *oauth.Key) (*oauth.Pair, error) {
	p, err := a.sessions.Refresh(ctx, a.terms(app), token, session.Proof{Key: key.Thumbprint, Use: key.Spend})
	if err != nil {
		return nil, err
	}
	return &oauth.Pair{Access: p.Access, Refresh: p.Refresh, Key: p.Key, Lifetime: time.Minute}, nil
}

func (a *apps) End(ctx context.Context, app, token string) error {
	return a.sessions.EndToken(ctx, a.terms(app), token)
}

func (*apps) Audience(app string) []string {
	if app == shop {
		return []string{api}
	}
	return []string{api, billing}
}

// login begins a session of an application.
func (h *house) login(tb testing.TB, app string) *session.Pair {
	tb.Helper()
	p, err := h.sessions.Begin(tb.Context(), (*apps)(h).terms(app), &session.Login{
		Subject: "alice", ClientID: app, Claims: []byte(`{"roles":["clerk"]}`),
	})
	must(tb, &err)
	h.clock.advance(time.Second)
	return p
}

// ask is a request with a form, whose parameters are in pairs.
func ask(pairs ...string) *oauth.Request {
	form := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return body(form.Encode())
}

// body is a request with a body.
func body(text string) *oauth.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(text))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return &oauth.Request{HTTP: r, From: netip.MustParseAddr("192.0.2.7"), Facts: direct{r}}
}

// basic adds the credentials of a client as RFC 6749 section 2.3.1 wants them.
func basic(q *oauth.Request, id, secret string) *oauth.Request {
	q.HTTP.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return q
}

// own is a request of a client for a token in its own name, with further parameters.
func own(id, secret string, pairs ...string) *oauth.Request {
	return basic(ask(append([]string{"grant_type", "client_credentials"}, pairs...)...), id, secret)
}

// gives wants tokens.
func (h *house) gives(tb testing.TB, q *oauth.Request) *issuing.Tokens {
	tb.Helper()
	tokens, err := h.Token(q)
	if err != nil || tokens == nil || tokens.Access == "" || tokens.TokenType != "Bearer" {
		tb.Fatalf("%+v, %v", tokens, err)
	}
	return tokens
}

// refuses wants a failure with a status and a code. It repeats nothing of the request that may be secret.
func (h *house) refuses(tb testing.TB, q *oauth.Request, status int, code issuing.Code, text string) {
	tb.Helper()
	before := h.signed.Load()
	tokens, err := h.Token(q)
	wants(tb, err, status, code, text)
	if tokens != nil || h.signed.Load() != before {
		tb.Errorf("a token was made: %+v", tokens)
	}
}

// wants wants an error to be a failure.
func wants(tb testing.TB, err error, status int, code issuing.Code, text string) {
	tb.Helper()
	failure, is := errors.AsType[*issuing.Failure](err)
	if !is || failure.Status != status || failure.Code != code || !strings.Contains(failure.Error(), text) {
		tb.Errorf("%v (%+v), want %d %s with %q", err, failure, status, code, text)
	}
	if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "eyJ")) {
		tb.Errorf("the error has a secret: %v", err)
	}
}

// says are the claims of a token.
func says(tb testing.TB, token string) m {
	tb.Helper()
	parsed, err := jwtPayload(token)
	must(tb, &err)
	return parsed
}

func jwtPayload(token string) (says m, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &says)
	}
	return says, err
}

// assert is an assertion of a client, with changes.
func (h *house) assert(tb testing.TB, key *tokentest.Key, id string, claims m, header ...m) string {
	tb.Helper()
	now := h.clock.now().Unix()
	all := m{"iss": id, "sub": id, "aud": issuer, "iat": now, "exp": now + 60, "jti": rand.Text()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return key.Sign(tb, all, header...)
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// signed is a request with an assertion.
func signed(assertion string, pairs ...string) *oauth.Request {
	return ask(append([]string{
		"grant_type", "client_credentials", "client_assertion_type", assertionType, "client_assertion", assertion,
	}, pairs...)...)
}

// alternative gives a certificate a DNS name.
func alternative(name string) func(*x509.Certificate) {
	return func(template *x509.Certificate) { template.DNSNames = []string{name} }
}

// introspect is a question of a client about a token.
func introspect(id, token string) *oauth.Request { return basic(ask("token", token), id, secret) }

// isActive reports what the server for the API hears about a token.
func isActive(tb testing.TB, h *house, token string) bool {
	tb.Helper()
	answer, err := h.says(introspect("server", token))
	must(tb, &err)
	active, is := answer["active"].(bool)
	if !is || !active && len(answer) != 1 {
		tb.Fatalf("%v", answer)
	}
	return active
}
