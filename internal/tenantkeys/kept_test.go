package tenantkeys_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/lastgood/lastgoodtest"
	"github.com/caddyjwt/gateway/internal/tenant"
	"github.com/caddyjwt/gateway/internal/tenantkeys"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// tenantsIn makes the keys of tenants of a server, as a new process does.
func tenantsIn(t *testing.T, box *lastgoodtest.Box, url string, names ...string) *tenantkeys.Keys {
	t.Helper()
	pattern, err := tenant.Parse(url + "/*")
	if err != nil {
		t.Fatal(err)
	}
	set, err := tenant.NewSet(names...)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := tenantkeys.New(tenantkeys.Options{
		Pattern: pattern, Listed: set, Discovery: keyset.DiscoveryOptions{Kept: box.Shelf()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	return keys
}

// kept waits until n documents are kept.
func kept(t *testing.T, box *lastgoodtest.Box, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(box.Kept()) < n; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d documents are kept, want %d", len(box.Kept()), n)
		}
	}
}

// Each tenant finds its own keys after a restart, and those of no other.
func TestKeysOfTenantsOutliveARestart(t *testing.T) {
	s, box := newServer(t), lastgoodtest.Memory(t)
	for _, name := range []string{"a", "b"} {
		s.serve(name, tokentest.JWKS(tokentest.NewKey(t, "ES256", "key of "+name)))
	}
	first := tenantsIn(t, box, s.URL, "a", "b")
	for i, name := range []string{"a", "b"} {
		if _, err := first.Of(name).Find(t.Context(), jose.ES256, "key of "+name); err != nil {
			t.Fatal(err)
		}
		kept(t, box, 2*(i+1)) // metadata and keys
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	s.Close()
	second := tenantsIn(t, box, s.URL, "a", "b", "c")
	for _, name := range []string{"a", "b", "c"} {
		_, err := second.Of(name).Find(t.Context(), jose.ES256, "key of "+name)
		if names := strings.Join(second.CurrentOf(name).Names(), " "); name == "c" && (err == nil || names != "") ||
			name != "c" && (err != nil || names != "key of "+name) {
			t.Errorf("tenant %s: keys %q, %v", name, names, err)
		}
	}
}

// The keys of a thousand tenants are kept. Those of others come by a fetch only.
func TestTheNumberOfKeptTenantsIsBounded(t *testing.T) {
	s, box := newServer(t), lastgoodtest.Memory(t)
	set := tokentest.JWKS(tokentest.NewKey(t, "ES256", "one"))
	var names []string
	for i := range 1010 {
		names = append(names, fmt.Sprint("t", i))
		s.serve(names[i], set)
	}
	keys := tenantsIn(t, box, s.URL, names...)
	find := func(name string) {
		t.Helper()
		if _, err := keys.Of(name).Find(t.Context(), jose.ES256, "one"); err != nil {
			t.Fatal(name, err)
		}
	}
	for _, name := range names {
		find(name)
	}
	kept(t, box, 2000)
	if err := keys.Close(); err != nil { // ends what is being kept
		t.Error(err)
	}
	if n := len(box.Kept()); n != 2000 {
		t.Errorf("%d documents are kept", n)
	}
}
