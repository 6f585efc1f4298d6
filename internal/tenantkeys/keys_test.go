package tenantkeys_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tenant"
	"github.com/caddyjwt/gateway/internal/tenantkeys"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server has a tenant at each path /<tenant>, and counts the requests for each.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	keys    map[string]string // key set by tenant
	fetches map[string]int    // of key sets, by tenant
	now     atomic.Int64      // requests under way
	most    atomic.Int64
	hold    chan struct{} // nil: answers at once
}

func newServer(t testing.TB) *server {
	s := &server{keys: make(map[string]string), fetches: make(map[string]int)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	if s.hold != nil {
		<-s.hold
	}
	name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	set, known := s.keys[name]
	switch {
	case !known:
		http.NotFound(w, r)
	case path == "keys":
		s.fetches[name]++
		_, _ = w.Write([]byte(set))
	default:
		issuer := s.URL + "/" + name
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": issuer + "/keys"})
	}
}

func (s *server) serve(name string, jwks string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[name] = jwks
}

func (s *server) fetched(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches[name]
}

func (s *server) pattern(t testing.TB) *tenant.Pattern {
	t.Helper()
	p, err := tenant.Parse(s.URL + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func (s *server) open(t testing.TB, listed tenant.List, change ...func(*tenantkeys.Options)) *tenantkeys.Keys {
	t.Helper()
	options := tenantkeys.Options{Pattern: *s.pattern(t), Listed: listed,
		Discovery: keyset.DiscoveryOptions{Taken: keyset.Selection{ByIssuer: true}}}
	for _, c := range change {
		c(&options)
	}
	keys, err := tenantkeys.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
	})
	return keys
}

func listed(t testing.TB, names ...string) *tenant.Set {
	t.Helper()
	set, err := tenant.NewSet(names...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// signed is a token as the gate has parsed it.
func signed(t testing.TB, key *tokentest.Key) *jose.Token {
	t.Helper()
	token, err := jose.Parse(key.Sign(t, map[string]any{"iss": "x"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &token
}

func verify(t testing.TB, keys keyset.Source, p *tenant.Pattern, name string, token *jose.Token) (*jose.Key, error) {
	t.Helper()
	return keyset.Verify(context.Background(), tenantkeys.For(keys, *p, name), token)
}

// Each tenant's tokens are verified with its own keys, which are fetched when the first of its tokens arrives.
func TestEachTenantHasItsOwnKeys(t *testing.T) {
	s := newServer(t)
	acme, globex := tokentest.NewKey(t, "ES256", "acme").WithKID("k"), tokentest.NewKey(t, "ES256", "globex").WithKID("k")
	s.serve("acme", tokentest.JWKS(acme))
	s.serve("globex", tokentest.JWKS(globex))
	keys, p := s.open(t, listed(t, "acme", "globex", "initech")), s.pattern(t)
	var mu sync.Mutex
	var events []string
	keys.SetObserver(func(e keyset.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, strings.TrimPrefix(e.Source, s.URL)+" "+e.Kind.String())
	})
	if s.fetched("acme")+s.fetched("globex") != 0 {
		t.Error("keys were fetched before anybody needed them")
	}
	key, err := verify(t, keys, p, "acme", signed(t, acme))
	if err != nil {
		t.Fatal(err)
	}
	if s.fetched("globex") != 0 {
		t.Error("the keys of another tenant were fetched, too")
	}
	if tenantkeys.InForce(keys, "globex", key) || !tenantkeys.InForce(keys, "acme", key) {
		t.Error("the key is in force for the wrong tenant")
	}
	if _, err := verify(t, keys, p, "globex", signed(t, acme)); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("the key of one tenant has verified a token of another: %v", err)
	}
	if _, err := verify(t, keys, p, "globex", signed(t, globex)); err != nil {
		t.Error(err)
	}
	if _, err := verify(t, keys, p, "initech", signed(t, acme)); !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("a tenant without metadata: %v", err)
	}
	stats := keys.Stats()
	if stats.Keys != 2 || !stats.Missing || !stats.Failing || stats.Err == nil || stats.Fetched.IsZero() ||
		stats.Fetches < 3 || stats.Failures == 0 ||
		stats.Times.Failed.Number() != stats.Failures || stats.Times.Good.Number() == 0 {
		t.Errorf("stats %+v", stats)
	}
	mu.Lock()
	defer mu.Unlock()
	if all := strings.Join(
		events,
		", ",
	); !strings.Contains(all, "/acme ready") ||
		!strings.Contains(all, "/globex ready") {
		t.Errorf("events %s", all)
	}
}

// An operator has the keys of all tenants fetched whose tokens have come, and of no others.
func TestRefetchIsForTenantsThatAreInUse(t *testing.T) {
	s := newServer(t)
	old, fresh := tokentest.NewKey(t, "ES256", "old"), tokentest.NewKey(t, "ES256", "fresh")
	names := []string{"acme", "globex", "initech"}
	for _, name := range names {
		s.serve(name, tokentest.JWKS(old))
	}
	keys, p := s.open(t, listed(t, names...)), s.pattern(t)
	for _, name := range names[:2] {
		if _, err := verify(t, keys, p, name, signed(t, old)); err != nil {
			t.Fatal(err)
		}
		s.serve(name, tokentest.JWKS(fresh))
	}
	if err := keys.Refetch(t.Context()); err != nil {
		t.Error(err)
	}
	for _, name := range names[:2] {
		if _, err := verify(t, keys, p, name, signed(t, fresh)); err != nil || s.fetched(name) != 2 {
			t.Errorf("%s: %d fetches, %v", name, s.fetched(name), err)
		}
		if set := keys.CurrentOf(name); set.Len() != 1 {
			t.Errorf("%s: %d keys", name, set.Len())
		}
	}
	if s.fetched("initech") != 0 {
		t.Error("the keys of a tenant without a token were fetched")
	}
	s.serve("acme", "{}")
	if err := keys.Refetch(t.Context()); err == nil {
		t.Error("no error of a tenant whose keys cannot be read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := keys.Refetch(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Metadata that name another issuer than the tenant's are refused: a tenant must not answer for another.
func TestMetadataOfAnotherTenant(t *testing.T) {
	s := newServer(t)
	key := tokentest.NewKey(t, "ES256", "k")
	s.serve("acme", tokentest.JWKS(key))
	other := http.NewServeMux()
	other.HandleFunc("/globex/", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": s.URL + "/acme", "jwks_uri": s.URL + "/acme/keys"})
	})
	mixed := httptest.NewServer(other)
	defer mixed.Close()
	p, err := tenant.Parse(mixed.URL + "/*")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := tenantkeys.New(tenantkeys.Options{Pattern: p, Listed: listed(t, "globex")})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	_, err = verify(t, keys, &p, "globex", signed(t, key))
	if !errors.Is(err, keyset.ErrUnavailable) || s.fetched("acme") != 0 {
		t.Errorf("error %v, %d fetches of the keys of the other", err, s.fetched("acme"))
	}
}

// A tenant that is not listed causes no fetch, and the keys of one that is taken off the list are given up.
func TestTenantsThatAreNotListed(t *testing.T) {
	s := newServer(t)
	key := tokentest.NewKey(t, "ES256", "k")
	for _, name := range []string{"acme", "globex"} {
		s.serve(name, tokentest.JWKS(key))
	}
	path := filepath.Join(t.TempDir(), "tenants")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("acme\n")
	file, err := tenant.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	changed := make(chan struct{}, 4)
	keys, p := s.open(t, file), s.pattern(t) // watches first
	defer file.Watch(func() { changed <- struct{}{} })()
	used, err := verify(t, keys, p, "acme", signed(t, key))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(
		t,
		keys,
		p,
		"globex",
		signed(t, key),
	); !errors.Is(err, keyset.ErrUnavailable) ||
		s.fetched("globex") != 0 {
		t.Errorf("a tenant that is not listed: %v, %d fetches", err, s.fetched("globex"))
	}
	before := keys.Stats()
	write("globex\n")
	select {
	case <-changed:
	case <-time.After(2 * time.Minute):
		t.Fatal("the list does not change")
	}
	deadline := time.Now().Add(2 * time.Minute)
	for tenantkeys.InForce(keys, "acme", used) { // the order of the watchers is not fixed
		if time.Now().After(deadline) {
			t.Fatal("the keys of a tenant that is not listed any more are in force")
		}
		time.Sleep(time.Millisecond)
	}
	if after := keys.Stats(); after.Fetches < before.Fetches || after.Keys != 0 {
		t.Errorf("stats %+v, and before %+v", after, before)
	}
	if _, err := verify(t, keys, p, "globex", signed(t, key)); err != nil {
		t.Error(err)
	}
}

// Tokens of invented keys of one tenant leave the budgets of the others as they were.
func TestTenantsHaveTheirOwnBudgets(t *testing.T) {
	s := newServer(t)
	first, next := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "next")
	for _, name := range []string{"acme", "globex"} {
		s.serve(name, tokentest.JWKS(first))
	}
	keys, p := s.open(t, listed(t, "acme", "globex")), s.pattern(t)
	for _, name := range []string{"acme", "globex"} {
		if _, err := verify(t, keys, p, name, signed(t, first)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		forged := tokentest.NewKey(t, "ES256", fmt.Sprintf("invented-%d", i))
		if _, err := verify(t, keys, p, "acme", signed(t, forged)); err == nil {
			t.Fatal("a forged token passes")
		}
	}
	if n := s.fetched("acme"); n > 10 {
		t.Errorf("%d fetches for 200 invented keys", n)
	}
	s.serve("globex", tokentest.JWKS(first, next))
	if _, err := verify(t, keys, p, "globex", signed(t, next)); err != nil {
		t.Errorf("a new key of the other tenant: %v", err)
	}
}

// However many tenants there are, few requests to the server are under way.
func TestRequestsUnderWayAreBounded(t *testing.T) {
	s := newServer(t)
	s.hold = make(chan struct{})
	key := tokentest.NewKey(t, "ES256", "k")
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("t%d", i))
		s.serve(names[i], tokentest.JWKS(key))
	}
	keys, p := s.open(t, listed(t, names...)), s.pattern(t)
	token := signed(t, key)
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() { _, _ = verify(t, keys, p, name, token) })
	}
	all.Wait() // each waits two seconds for its keys
	close(s.hold)
	if most := s.most.Load(); most > 16 || most == 0 {
		t.Errorf("%d requests at once", most)
	}
}

func TestKeysWithoutATenant(t *testing.T) {
	s := newServer(t)
	keys := s.open(t, listed(t, "acme"))
	if keys.Current() != nil || keys.CurrentOf("acme") != nil {
		t.Error("there are keys")
	}
	if _, err := keys.Find(context.Background(), jose.ES256, "k"); !errors.Is(err, keyset.ErrUnknownKey) {
		t.Error(err)
	}
	if err := keys.Of("acme").Close(); err != nil {
		t.Error(err)
	}
	if _, err := tenantkeys.New(tenantkeys.Options{Pattern: *s.pattern(t), Listed: tenant.Any{}}); err == nil {
		t.Error("any tenant would have its keys fetched")
	}
}

func TestClosedKeys(t *testing.T) {
	s := newServer(t)
	key := tokentest.NewKey(t, "ES256", "k")
	s.serve("acme", tokentest.JWKS(key))
	// Fields that identify us must not go to strangers, so there is a second client.
	keys := s.open(t, listed(t, "acme", "globex"), func(o *tenantkeys.Options) {
		o.Discovery.Fetch.Header = http.Header{"X-Key": {"k"}}
	})
	if _, err := verify(t, keys, s.pattern(t), "acme", signed(t, key)); err != nil {
		t.Fatal(err)
	}
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acme", "globex"} {
		if _, err := verify(t, keys, s.pattern(t), name, signed(t, key)); !errors.Is(err, keyset.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if source := keys.Of(name); source.Current() != nil || source.Close() != nil {
			t.Errorf("%s has keys", name)
		}
	}
	if _, err := tenantkeys.New(tenantkeys.Options{Pattern: *s.pattern(t), Listed: listed(t, "a"),
		Discovery: keyset.DiscoveryOptions{Fetch: fetch.Options{CA: []byte("no certificate")}}}); err == nil {
		t.Error("a client that cannot be made")
	}
}
