package gate_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The cast of most tests.
const (
	issuerA = "https://as.example"
	issuerB = "https://other.example"
	api     = "https://api.example"
)

// start is the time at which most tests run.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// clock is a clock that only the test moves.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.set(start)
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) set(t time.Time)         { c.nanos.Store(t.UnixNano()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// alg is the algorithm with this name.
func alg(tb testing.TB, name string) jose.Algorithm {
	tb.Helper()
	a, ok := jose.ParseAlgorithm(name)
	if !ok {
		tb.Fatalf("unknown algorithm %q", name)
	}
	return a
}

// verifier is the gate's half of a key.
func verifier(tb testing.TB, key *tokentest.Key) *jose.Key {
	tb.Helper()
	algs := jose.MakeAlgorithms(alg(tb, key.Alg))
	k, err := jose.NewSecretKey(key.KID, key.Secret(), algs)
	if key.Public() != nil {
		k, err = jose.NewPublicKey(key.KID, key.Public(), algs)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// fakeKeys is a source whose keys can vanish or be unavailable. It counts the calls of Find, of which there is one for
// every token that did not come from the cache.
type fakeKeys struct {
	source atomic.Pointer[keyset.Source]
	err    atomic.Pointer[error]
	finds  atomic.Int64
}

func newKeys(tb testing.TB, keys ...*tokentest.Key) *fakeKeys {
	tb.Helper()
	f := new(fakeKeys)
	f.set(tb, keys...)
	return f
}

func (f *fakeKeys) set(tb testing.TB, keys ...*tokentest.Key) {
	tb.Helper()
	list := make([]*jose.Key, len(keys))
	for i, key := range keys {
		list[i] = verifier(tb, key)
	}
	source, err := keyset.NewStatic(list...)
	if err != nil {
		tb.Fatal(err)
	}
	f.source.Store(&source)
}

// gone leaves the source without any keys.
func (f *fakeKeys) gone() { f.source.Store(nil) }

// fail makes every call of Find fail with err.
func (f *fakeKeys) fail(err error) { f.err.Store(&err) }

func (f *fakeKeys) Current() *keyset.Set {
	if source := f.source.Load(); source != nil {
		return (*source).Current()
	}
	return nil
}

func (f *fakeKeys) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	f.finds.Add(1)
	if err := f.err.Load(); err != nil {
		return nil, *err
	}
	if source := f.source.Load(); source != nil {
		return (*source).Find(ctx, alg, kid)
	}
	return nil, &keyset.UnavailableError{RetryAfter: 7 * time.Second}
}

func (f *fakeKeys) Close() error { return nil }

// issuer is an issuer with these keys and the audience of the API.
func issuer(tb testing.TB, name string, keys ...*tokentest.Key) gate.Issuer {
	tb.Helper()
	i := gate.Issuer{Name: name, Audience: accept(api)}
	for _, key := range keys {
		i.Algorithms = i.Algorithms.With(alg(tb, key.Alg))
	}
	if len(keys) > 0 {
		i.Keys = newKeys(tb, keys...)
		i.KeysID[0] = 1
	}
	return i
}

func accept(audiences ...string) gate.Audience { return gate.Audience{Accepted: audiences} }

// consumer is a consumer with one credential.
func consumer(tb testing.TB, username, credential string, key *tokentest.Key) gate.Consumer {
	tb.Helper()
	return gate.Consumer{Username: username, Credentials: []gate.Credential{
		{Key: credential, Algorithm: alg(tb, key.Alg), Verifier: verifier(tb, key)},
	}}
}

// config is the configuration of a gate for tokens of issuerA that are signed with key. Its clock stands at start.
func config(tb testing.TB, key *tokentest.Key, changes ...func(*gate.Config)) gate.Config {
	tb.Helper()
	c := gate.Config{
		Realm: "api", Extractor: extractor(tb),
		Issuers: []gate.Issuer{issuer(tb, issuerA, key)},
		Now:     newClock().now,
	}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func extractor(tb testing.TB, places ...bearer.Place) *bearer.Extractor {
	tb.Helper()
	e, err := bearer.NewExtractor(bearer.Options{Places: places})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// build makes the gate that config describes.
func build(tb testing.TB, key *tokentest.Key, changes ...func(*gate.Config)) *gate.Gate {
	tb.Helper()
	return open(tb, config(tb, key, changes...))
}

func open(tb testing.TB, c gate.Config) *gate.Gate {
	tb.Helper()
	g, err := gate.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// newCache makes a cache that keeps a token when it is seen for the first time, which makes most tests simpler.
func newCache(tb testing.TB, size int64) *gate.Cache {
	tb.Helper()
	cache := realCache(tb, size)
	cache.Eager()
	return cache
}

func realCache(tb testing.TB, size int64) *gate.Cache {
	tb.Helper()
	cache, err := gate.NewCache(size)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(cache.Close)
	return cache
}

type m = map[string]any

// says are the claims of a good token of issuerA at start, with changes. A nil removes a claim.
func says(changes ...m) m {
	set := m{"iss": issuerA, "sub": "alice", "aud": api, "iat": start.Unix(), "exp": start.Unix() + 300}
	for _, change := range changes {
		maps.Copy(set, change)
	}
	maps.DeleteFunc(set, func(_ string, v any) bool { return v == nil })
	return set
}

// request carries a token in the Authorization header, unless the token is empty.
func request(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders?page=2", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// direct is a request that came without a proxy.
func direct(r *http.Request) gate.Request { return gate.Request{HTTP: r, Facts: gate.Direct(r)} }

// accepted requires the request to pass, and returns the identity.
func accepted(tb testing.TB, g *gate.Gate, r *http.Request) *gate.Identity {
	tb.Helper()
	verdict, err := g.Check(direct(r))
	if err != nil {
		tb.Fatalf("refused: %v, want accepted", explain(err))
	}
	if verdict.Outcome != gate.Accepted || verdict.Identity == nil {
		tb.Fatalf("outcome %v, identity %v; want accepted with an identity", verdict.Outcome, verdict.Identity)
	}
	return verdict.Identity
}

// refused requires the request to be refused for a reason, and returns the failure.
func refused(tb testing.TB, g *gate.Gate, r *http.Request, want gate.Reason) *gate.Failure {
	tb.Helper()
	verdict, err := g.Check(direct(r))
	if verdict != (gate.Verdict{}) && err != nil {
		tb.Errorf("a verdict %v beside the error", verdict)
	}
	if err == nil {
		tb.Fatalf("passed as %v, want %v", verdict.Identity, want)
	}
	f, ok := errors.AsType[*gate.Failure](err)
	if !ok {
		tb.Fatalf("error %T, want a *Failure", err)
	}
	if f.Reason != want || !errors.Is(err, want) {
		tb.Fatalf("refused: %v, want %v", explain(err), want)
	}
	return f
}

// explain adds the private cause to a failure.
func explain(err error) string {
	if f, ok := errors.AsType[*gate.Failure](err); ok && f.Cause != nil {
		return f.Error() + " (" + f.Cause.Error() + ")"
	}
	return err.Error()
}

// path parses a claim path.
func path(tb testing.TB, text string) claims.Path {
	tb.Helper()
	p, err := claims.ParsePath(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// emptyKeys is a source that breaks its contract: Find returns neither keys nor an error.
type emptyKeys struct{ keyset.Source }

func (emptyKeys) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) { return nil, nil }
