package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Tenants of one server are accepted by one block, whether they share their keys or each has its own. Those that are
// not listed are refused.
func TestTenantsOfOneServer(t *testing.T) {
	for name, c := range map[string]struct {
		lines func(as *tenants) []string
		each  bool // each tenant has its own keys
		any   bool
	}{
		"one set of keys by template metadata": {lines: func(as *tenants) []string {
			return []string{as.common(), "tenants acme globex"}
		}},
		"one set of keys at an address": {lines: func(as *tenants) []string {
			return []string{"keys jwks " + as.URL + "/common/keys", "tenants acme globex"}
		}},
		"any tenant": {any: true, lines: func(as *tenants) []string {
			return []string{as.common(), "tenants any"}
		}},
		"keys of each tenant": {each: true, lines: func(as *tenants) []string {
			return []string{"keys discovery", "tenants acme globex"}
		}},
		"keys of each tenant, without the word": {each: true, lines: func(as *tenants) []string {
			return []string{"tenants acme globex"}
		}},
		"a file with the tenants": {lines: func(as *tenants) []string {
			return []string{as.common(), "tenants file " + newFile(t, "tenants", "# ours\r\nacme\n\n  globex \n")}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			as := newTenants(t)
			acme, globex, other := tokentest.NewKey(t, "ES256", "acme").WithKID("k"),
				tokentest.NewKey(t, "ES256", "globex").WithKID("k"), tokentest.NewKey(t, "ES256", "initech").WithKID("k")
			if !c.each {
				globex, other = acme, acme
			}
			as.serve("acme", acme.JWK())
			as.serve("globex", globex.JWK())
			as.serve("initech", other.JWK())
			as.serve("common", acme.JWK())
			s := start(t, gateFor(append([]string{"forward_tenant X-Tenant"}, as.block(c.lines(as)...))...))
			for tenant, key := range map[string]*tokentest.Key{"acme": acme, "globex": globex} {
				token := key.Sign(t, issuedBy(as.issuer(tenant), "tid", tenant))
				for range 3 { // from the second time on, it is remembered
					got := s.passed(s.get("/", token, "X-Tenant", "forged"))
					if tenants := got.Header["X-Tenant"]; !slices.Equal(tenants, []string{tenant}) {
						t.Errorf("the backend got %q, want %q", tenants, tenant)
					}
				}
			}
			as.asked()
			token := other.Sign(t, issuedBy(as.issuer("initech")))
			if c.any {
				s.accepts(token)
				return
			}
			s.refusedAs(t, "a tenant that is not listed", token, "unknown_issuer")
			if asked := as.asked(); len(asked) > 0 {
				t.Errorf("the server was asked for %q", asked)
			}
			if log := s.log(); !strings.Contains(log, `the tenant \"initech\" of the issuer`) {
				t.Error("the log does not name the tenant")
			}
		})
	}
}

// A file with tenants is read again when it changes. A bad one leaves the list as it was.
func TestTenantsFileIsReadAgain(t *testing.T) {
	as, key := newTenants(t), tokentest.NewKey(t, "ES256", "k")
	as.serve("common", key.JWK())
	file := newFile(t, "tenants", "acme\n")
	s := start(t, gateFor(as.block(as.common(), "tenants file "+file)))
	acme, globex := key.Sign(t, issuedBy(as.issuer("acme"))), key.Sign(t, issuedBy(as.issuer("globex")))
	for range 3 {
		s.accepts(acme)
	}
	s.refusedAs(t, "not listed yet", globex, "unknown_issuer")
	replace := func(text string) {
		t.Helper()
		writeFile(t, file+".new", text)
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	replace("acme/../globex\n")
	eventually(t, "the log says that the file is bad", func() bool {
		return strings.Contains(s.log(), "cannot be read again")
	})
	s.accepts(acme)
	s.refusedAs(t, "after a bad file", globex, "unknown_issuer")
	replace("globex\n")
	eventually(t, "the list changes", func() bool {
		status, err := s.status(globex)
		return err == nil && status == 200
	})
	s.drain()
	s.refusedAs(t, "remembered, but not listed any more", acme, "unknown_issuer")
}

// What cannot be meant, or would be unsafe, is an error when the configuration loads.
func TestTenantsMistakes(t *testing.T) {
	const entra = "https://login.example/*/v2.0"
	file := filepath.Join(t.TempDir(), "missing")
	for name, c := range map[string]struct{ block, want string }{
		"no tenants": {issuerBlock(entra, "keys jwks https://login.example/keys"), "say which tenants are accepted"},
		"any tenant by discovery of each": {issuerBlock(entra, "tenants any"),
			"every issuer that a stranger invents would be a fetch"},
		"any tenant by discovery of each, with the word": {issuerBlock(entra, "keys discovery", "tenants any"),
			"every issuer that a stranger invents would be a fetch"},
		"prefetch of each": {issuerBlock(entra, "tenants a", "prefetch"), "prefetch does not go with"},
		"a secret": {issuerBlock(entra, "tenants a", "keys secret 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"),
			"could sign for every tenant"},
		"introspection": {issuerBlock(entra, "tenants a", "introspect {", "endpoint https://login.example/i", "}"),
			`introspect does not go with "*"`},
		"no keys": {issuerBlock(entra, "tenants a", "keys none", "introspect {", "endpoint https://login.example/i", "}"),
			`introspect does not go with "*"`},
		"any and values":     {issuerBlock(entra, "tenants any acme"), "cannot be combined"},
		"a file and no path": {issuerBlock(entra, "tenants file"), "tenants"},
		"a missing file": {issuerBlock(entra, "tenants file "+file, "keys jwks https://login.example/keys"),
			"no such file"},
		"an empty file": {issuerBlock(entra, "tenants file "+newFile(t, "none", "# nobody\n")),
			"there is no tenant in it"},
		"a bad file":              {issuerBlock(entra, "tenants file "+newFile(t, "bad", "a\nb c\n")), "line 2"},
		"a tenant with a slash":   {issuerBlock(entra, "tenants a/b"), "cannot be a tenant"},
		"a tenant with a percent": {issuerBlock(entra, "tenants a%2fb"), "cannot be a tenant"},
		"a tenant of dots":        {issuerBlock(entra, "tenants .."), "cannot be a tenant"},
		"a star as tenant":        {issuerBlock(entra, "tenants *"), "cannot be a tenant"},
		"a long tenant":           {issuerBlock(entra, "tenants "+strings.Repeat("a", 65)), "cannot be a tenant"},
		"commas":                  {issuerBlock(entra, "tenants a, b"), "not by commas"},
		"tenants without a star":  {issuerBlock("https://login.example", "tenants a"), `tenants is for an issuer with "*"`},
		"plain http":              {issuerBlock("http://login.example/*/v2.0", "tenants a"), "http"},
		"a star in the query":     {issuerBlock("https://login.example/a?t=*", "tenants a"), "no query"},
		"a star in a port":        {issuerBlock("https://login.example:*/a", "tenants a"), "host"},
		"a star as scheme":        {issuerBlock("*://login.example/a", "tenants a"), "https URL"},
		"a user before the host":  {issuerBlock("https://a@login.example/*/v2.0", "tenants a"), "user name"},
		"an encoded segment":      {issuerBlock("https://login.example/a%2fb/*", "tenants a"), "character"},
		"a segment of dots":       {issuerBlock("https://login.example/../*", "tenants a"), "clients resolve"},
		"an empty segment":        {issuerBlock("https://login.example//*", "tenants a"), "empty segment"},
		"two that overlap": {issuerBlock("https://login.example/*/b", "tenants x") + "\n" +
			issuerBlock("https://login.example/a/*", "tenants y"), "can match the same iss"},
		"the same twice": {issuerBlock(entra, "tenants x") + "\n" + issuerBlock(entra, "tenants y"),
			"can match the same iss"},
		"a header for tenants that do not exist": {"forward_tenant X-Tenant\n" + issuerBlock("https://login.example"),
			`forward_tenant needs an issuer with "*"`},
		"a header that is taken": {"forward_tenant X-Consumer-Id\n" + issuerBlock(entra, "tenants a"), "X-Consumer-Id"},
		"a server for clients": {"resource https://gate.test\nauth_server_metadata proxy\n" + issuerBlock(entra, "tenants a"),
			"stands for many"},
		"a credential that matches": {issuerBlock(entra, "tenants a") + "\nconsumer c {\n" +
			"credential https://login.example/b/v2.0 {\nalgorithm HS256\n" +
			"secret 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c\n}\n}",
			"also the name of an issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			err := s.tryLoad(s.caddyfile(gateForAudience(c.block)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// Two tenants can have the same sub. Whoever forwards that alone hears about it when the configuration loads.
func TestTenantsWhoseSubjectIsForwardedAlone(t *testing.T) {
	as := newTenants(t)
	one, many := as.block(as.common(), "tenants acme"), as.block(as.common(), "tenants acme globex")
	for name, c := range map[string]struct {
		gate  string
		warns bool
	}{
		"the sub of many tenants":     {gateFor("forward_claims X-User sub", many), true},
		"the sub of any tenant":       {gateFor("forward_claims X-User sub", as.block(as.common(), "tenants any")), true},
		"with an email":               {gateFor("forward_claims X-User sub\nforward_claims X-Mail email", many), true},
		"as a JSON pointer":           {gateFor("forward_claims X-User /sub", many), true},
		"with /iss":                   {gateFor("forward_claims X-User sub\nforward_claims X-Issuer /iss", many), false},
		"of one tenant":               {gateFor("forward_claims X-User sub", one), false},
		"with the tenant":             {gateFor("forward_claims X-User sub\nforward_tenant X-Tenant", many), false},
		"with the claim tid":          {gateFor("forward_claims X-User sub\nforward_claims X-Tenant tid", many), false},
		"with the claim iss":          {gateFor("forward_claims X-User sub\nforward_claims X-Issuer iss", many), false},
		"with the whole payload":      {gateFor("forward_claims X-User sub\nforward_payload X-Claims", many), false},
		"without the sub":             {gateFor("forward_claims X-Mail email", many), false},
		"without anything to forward": {gateFor(many), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.gate)
			if s.logged("two tenants can have the same sub", as.issuer("*")) != c.warns {
				t.Errorf("warned: %v", !c.warns)
			}
		})
	}
}

// The server of a compose file has several tenants, and speaks plain http.
func TestTenantsByPlainHTTP(t *testing.T) {
	names(t)
	key := tokentest.NewKey(t, "ES256", "k")
	for name, words := range map[string]func(as *tenants) []string{
		"one set of keys":     func(as *tenants) []string { return []string{as.common(), "tenants any"} },
		"keys of each tenant": func(*tenants) []string { return []string{"tenants acme globex"} },
	} {
		t.Run(name, func(t *testing.T) {
			as := newTenantsAt(t, keycloakHost)
			as.serve("common", key.JWK())
			as.serve("acme", key.JWK())
			s := prepare(t)
			err := s.tryLoad(s.caddyfile(gateFor(as.block(words(as)...))))
			if err == nil || !strings.Contains(err.Error(), "allow_http") {
				t.Fatalf("without the word: %v", err)
			}
			s = start(t, gateFor(as.block(append(words(as), "allow_http")...)))
			s.accepts(key.Sign(t, issuedBy(as.issuer("acme"), "tid", "acme")))
			s.refusedAs(t, "another tenant's", key.Sign(t, issuedBy(as.issuer("acme"), "tid", "globex")), "invalid_issuer")
			if !s.logged(`"level":"warn"`, "go without TLS", as.issuer("*")) {
				t.Error("no warning about plain http")
			}
			as.asked()
			foreign := strings.Replace(as.issuer("acme"), keycloakHost, publicHost, 1)
			s.refusedAs(t, "of another host", key.Sign(t, issuedBy(foreign)), "unknown_issuer")
			if asked := as.asked(); len(asked) > 0 {
				t.Errorf("the server was asked for %q", asked)
			}
		})
	}
}
