package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// reopens stops Caddy, and starts another one with the store and a gate of these lines.
func (o *office) reopens(lines ...string) {
	o.t.Helper()
	if err := caddy.Stop(); err != nil {
		o.t.Fatal(err)
	}
	o.client.CloseIdleConnections()
	caddyfile := o.kept(o.caddyfile(revocableGate(lines...)))
	eventually(o.t, "Caddy has closed its listener", func() bool {
		err := o.tryLoad(caddyfile)
		if err != nil && !strings.Contains(err.Error(), net.ErrClosed.Error()) {
			o.t.Fatal(err)
		}
		return err == nil
	})
}

// keptLine is in the log whenever a document is in the store.
const keptLine = `"msg":"kept for the time after a restart"`

// keeps waits until the store has this many documents.
func (o *office) keeps(n int) {
	o.t.Helper()
	eventually(o.t, "the keys are kept", func() bool {
		return strings.Count(o.log(), keptLine) >= n
	})
}

// sourceOf is the only key source, as the admin endpoint shows it.
func (o *office) sourceOf() (source struct {
	Keys      int      `json:"keys"`
	KeyIDs    []string `json:"key_ids"`
	Age       float64  `json:"age_seconds"`
	LastError string   `json:"last_error"`
}) {
	o.t.Helper()
	var list struct{ Sources []json.RawMessage }
	eventually(o.t, "the admin endpoint has answered", func() bool { // not the one of the Caddy that has ended
		response, err := o.admin.Get("http://127.0.0.1/bearer_auth/keys")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return json.NewDecoder(response.Body).Decode(&list) == nil && len(list.Sources) == 1
	})
	if err := json.Unmarshal(list.Sources[0], &source); err != nil {
		o.t.Fatal(err)
	}
	return source
}

// The authorization server is away when Caddy restarts. Tokens pass by the keys that an earlier Caddy has fetched, and
// everything says that they are stale.
func TestKeysOutliveARestartOfCaddy(t *testing.T) {
	for name, c := range map[string]struct {
		lines     func(*tokentest.AS) string
		documents int
	}{
		"discovery": {func(*tokentest.AS) string { return "leeway 5s" }, 2},
		"jwks":      {func(as *tokentest.AS) string { return "keys jwks " + as.JWKSURL() }, 1},
		"prefetch":  {func(*tokentest.AS) string { return "prefetch" }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			key, next := tokentest.NewKey(t, "ES256", "kept"), tokentest.NewKey(t, "ES256", "next")
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			o := newOffice(t)
			gate := issuerBlock(as.URL, c.lines(as))
			o.open(gate)
			o.good(key.Sign(t, issuedBy(as.URL)))
			o.keeps(c.documents)
			as.Down()
			for restarts := range 2 {
				o.reopens(gate)
				if name == "prefetch" {
					eventually(t, "the keys are there before a token", func() bool { return o.sourceOf().Keys == 1 })
				}
				o.good(key.Sign(t, issuedBy(as.URL, "jti", "new")))
				o.refused(o.get("/", next.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable")
				if source := o.sourceOf(); source.Keys != 1 || source.KeyIDs[0] != "kept" || source.LastError == "" {
					t.Errorf("%+v", source)
				}
				recalled := func() int { return strings.Count(o.log(), `"msg":"keys from before the restart are used"`) }
				eventually(t, "the log says that the keys are old", func() bool { return recalled() > restarts })
				if n := recalled(); n != restarts+1 {
					t.Errorf("%d lines after %d restarts:\n%s", n, restarts+1, o.log())
				}
			}
			as.SetKeys(next)
			as.Up()
			token := next.Sign(t, issuedBy(as.URL))
			eventually(t, "the new key is there", func() bool {
				status, err := o.status(token)
				return err == nil && status == http.StatusOK
			})
			o.drain()
			o.refused(o.get("/", key.Sign(t, issuedBy(as.URL))), http.StatusUnauthorized, "unknown_key")
		})
	}
}

// Whoever changes where the keys come from, or takes the store away, does not get the keys of before.
func TestKeysOfAnotherConfigurationAreNotRecalled(t *testing.T) {
	key, old := tokentest.NewKey(t, "ES256", "kept"), tokentest.NewKey(t, "RS256", "old")
	as := tokentest.NewAS(t, tokentest.WithKeys(key, old))
	elsewhere := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.StartDown())
	o := newOffice(t)
	jwks := "keys jwks " + as.JWKSURL()
	o.open(issuerBlock(as.URL, jwks))
	o.good(key.Sign(t, issuedBy(as.URL)), old.Sign(t, issuedBy(as.URL)))
	o.keeps(1)
	as.Down()
	unavailable := func(lines ...string) {
		t.Helper()
		o.reopens(issuerBlock(as.URL, lines...))
		o.refused(o.get("/", key.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable")
	}
	unavailable("keys jwks " + elsewhere.JWKSURL())
	unavailable("keys jwks " + as.JWKSURL() + "?v=2")
	unavailable("keys discovery")
	unavailable(jwks, "header_up X-Org another")

	o.reopens(issuerBlock(as.URL, jwks, "algorithms ES256"))
	o.good(key.Sign(t, issuedBy(as.URL)))
	o.refused(o.get("/", old.Sign(t, issuedBy(as.URL))), http.StatusUnauthorized, "unsupported_algorithm")

	store := o.store
	for _, other := range []string{"", "memory", "file " + storeFile(t)} {
		o.store = other
		unavailable(jwks)
	}
	o.store = store
	o.reopens(issuerBlock(as.URL, jwks))
	o.good(key.Sign(t, issuedBy(as.URL)), old.Sign(t, issuedBy(as.URL)))
}

// Each tenant has its own keys, also after a restart.
func TestKeysOfTenantsOutliveARestartOfCaddy(t *testing.T) {
	as := newTenants(t)
	keys := make(map[string]*tokentest.Key)
	for _, tenant := range []string{"contoso", "fabrikam"} {
		keys[tenant] = tokentest.NewKey(t, "ES256", "key of "+tenant)
		as.serve(tenant, keys[tenant].JWK())
	}
	o := newOffice(t)
	gate := issuerBlock(as.issuer("*"), "tenants contoso fabrikam")
	o.open(gate)
	for tenant, key := range keys {
		o.good(key.Sign(t, issuedBy(as.issuer(tenant))))
	}
	o.keeps(4)
	as.Close()
	o.reopens(gate)
	for tenant, key := range keys {
		o.good(key.Sign(t, issuedBy(as.issuer(tenant))))
	}
	for _, foreign := range []string{
		keys["contoso"].Sign(t, issuedBy(as.issuer("fabrikam"))), keys["fabrikam"].Sign(t, issuedBy(as.issuer("contoso"))),
	} {
		o.refused(o.get("/", foreign), http.StatusServiceUnavailable, "keys_unavailable")
	}
}

// Caddy is killed again and again, also while it keeps new keys, and its authorization server goes away with it. The
// store is whole each time. Tokens of the keys that were kept last pass, and no token is called bad.
func TestFaultServerAwayWhileCaddyIsKilled(t *testing.T) {
	long(t)
	first := tokentest.NewKey(t, "ES256", "round 0")
	as := tokentest.NewAS(t, tokentest.WithKeys(first))
	o := newOffice(t)
	caddyfile := o.kept(o.caddyfile(revocableGate(issuerBlock(as.URL, "leeway 5s"))))
	kill := o.runsElsewhere(caddyfile)
	o.good(first.Sign(t, issuedBy(as.URL)))
	o.keeps(2)
	kept := 0
	for round := 1; round <= 6; round++ {
		key, before := tokentest.NewKey(t, "ES256", fmt.Sprint("round ", round)), o.keySets()
		as.SetKeys(key, first)
		as.Up()
		token := key.Sign(t, issuedBy(as.URL))
		eventually(t, "the new key is there", func() bool {
			status, err := o.status(token)
			return err == nil && status == http.StatusOK
		})
		o.drain()
		waits := round%2 == 0
		if waits {
			eventually(t, "the new key is kept", func() bool { return o.keySets() > before })
		}
		kill()
		as.Down()
		kill = o.runsElsewhere(caddyfile)
		o.good(first.Sign(t, issuedBy(as.URL)))
		switch status, err := o.status(token); {
		case err == nil && status == http.StatusOK:
			kept++
		case err != nil || waits || status != http.StatusServiceUnavailable:
			t.Errorf("round %d: status %d, %v", round, status, err)
		}
		o.drain()
	}
	t.Logf("after %d of 6 kills the key of the last moment was there", kept)
}

// keySets is how often a key set was kept.
func (o *office) keySets() (n int) {
	for line := range strings.Lines(o.log()) {
		if strings.Contains(line, keptLine) && strings.Contains(line, `"document":"key set"`) {
			n++
		}
	}
	return n
}
