package integration

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Names that resolve to an address of this machine or, for public ones, to an address that plain http must not go to.
const (
	keycloakHost = "keycloak.example.com"
	publicHost   = "public.example.com"
)

// publicAddress is one of this machine that is not private, if it has one. So nothing but the gate's rules keeps it
// from being dialled.
func publicAddress(t testing.TB) netip.Addr {
	t.Helper()
	isPublic := func(a netip.Addr) bool { return !a.IsPrivate() && !a.IsLinkLocalUnicast() }
	return tokentest.OwnAddress(t, isPublic, netip.MustParseAddr("203.0.113.7"))
}

// names resolves the name of the server to a private address, and every other to a public one.
func names(t testing.TB) {
	t.Helper()
	private := tokentest.OwnAddress(t, netip.Addr.IsPrivate, netip.MustParseAddr("127.0.0.1"))
	public := publicAddress(t)
	tokentest.Names(t, func(name string) []netip.Addr {
		if name == keycloakHost {
			return []netip.Addr{private}
		}
		return []netip.Addr{public}
	})
}

// A server in the network of a compose file: its name is the issuer, and it speaks plain http.
func TestPlainHTTPServer(t *testing.T) {
	names(t)
	key := tokentest.NewKey(t, "RS256", "one")
	as := introspector(t, tokentest.WithHost(keycloakHost), tokentest.WithPath("/realms/shop"), tokentest.WithKeys(key))
	as.Introspect(always(active()))
	asking := []string{"introspect opaque {", "client_id gateway", "client_secret " + gatewaySecret, "}"}
	for _, test := range []struct {
		name string
		gate string
		says []string // that the warning has
	}{
		{"keys by discovery", gateFor(issuerByDiscovery(as, "allow_http")),
			[]string{"allow_http: requests to " + keycloakHost, "sign tokens with keys put into the answers"}},
		{"a key set", gateFor(issuerByJWKS(as, "allow_http", "header_up X-Api-Key abc")),
			[]string{"can read header_up, and can sign tokens"}},
		{"100.64.0.0/10 as well", gateFor(issuerByDiscovery(as, "allow_http shared")),
			[]string{"allow_http shared: requests"}},
		{"introspection", gateFor(issuerByDiscovery(as, append(asking, "allow_http")...)),
			[]string{"can read client_secret and the tokens that are asked about", "and call any token active"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, test.gate)
			s.passed(s.get("/", key.Sign(t, issuedBy(as.URL))))
			if strings.Contains(test.gate, "introspect") {
				s.passed(s.get("/", "opaque"))
			}
			if !s.logged(append(test.says, `"level":"warn"`, "go without TLS", "use https", `"issuer":"`+as.URL+`"`)...) {
				t.Errorf("the warning lacks one of %q", test.says)
			}
			if n := strings.Count(s.log(), "go without TLS"); n != 1 {
				t.Errorf("%d warnings", n)
			}
		})
	}
	t.Run("without the word", func(t *testing.T) {
		s := prepare(t)
		err := s.tryLoad(s.caddyfile(gateFor(issuerByDiscovery(as))))
		if err == nil || !strings.Contains(err.Error(), "allow_http") || !strings.Contains(err.Error(), "read secrets") {
			t.Errorf("loading it: %v", err)
		}
	})
}

// The check of an issuer with several sources of keys says of each what goes without TLS there, and of others nothing.
func TestCheckOfSeveralSourcesWithoutTLS(t *testing.T) {
	names(t)
	key := tokentest.NewKey(t, "RS256", "one")
	as := tokentest.NewAS(t, tokentest.WithHost(keycloakHost), tokentest.WithKeys(key))
	keys := newFile(t, "keys.json", tokentest.JWKS(tokentest.NewKey(t, "ES256", "old")))
	out, status := runCheck(t, "--config", caddyfileFor(t, issuerByJWKS(as, "keys file "+keys, "allow_http")))
	if status != 0 || strings.Count(out, "go without TLS") != 1 ||
		!strings.Contains(out, "allow_http: requests to "+keycloakHost) {
		t.Errorf("status %d, output:\n%s", status, out)
	}
}

// Metadata that came by plain http, and that the gate shows to clients, can lead them anywhere. The gate says so.
func TestPlainHTTPMetadataForClients(t *testing.T) {
	names(t)
	const issuer, metadata = "https://sso.example.com", "http://" + keycloakHost + "/.well-known/openid-configuration"
	block := issuerWithKeys(issuer, "discovery "+metadata, "allow_http")
	for lines, warns := range map[string]bool{
		"auth_server_metadata proxy":    true,
		"auth_server_metadata redirect": false,
		"":                              false,
	} {
		s := start(t, gateFor(block, "resource https://gate.test/mcp", lines))
		if got := s.logged(`"level":"warn"`, "come from "+keycloakHost, "lead clients to endpoints", issuer); got != warns {
			t.Errorf("%q: warned %v", lines, got)
		}
	}
}
