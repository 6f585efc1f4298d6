package integration

import (
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// elsewhere is the same address at another host.
func elsewhere(t testing.TB, address, host string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = host + ":" + u.Port()
	return u.String()
}

// With allow_http, metadata and redirects try to lead the gate to servers outside of the network, to services of the
// cloud, and from TLS to plain http. The server of the attacker is at each of these places and has a key for the token.
func TestAttackPlainHTTPAddresses(t *testing.T) {
	names(t)
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	theirs := tokentest.NewAS(t, tokentest.WithHost(publicHost), tokentest.WithKeys(mallory))
	theirs.Introspect(always(active()))
	public := publicAddress(t).String()
	if netip.MustParseAddr(public).Is6() {
		public = "[" + public + "]"
	}
	s := prepare(t)
	for name, host := range map[string]string{
		"a public address":            public,
		"a name with a public one":    publicHost,
		"a link-local address":        "169.254.169.254",
		"a metadata service":          "100.100.100.200",
		"a metadata service, in IPv6": "[fd00:ec2::254]",
		"a shared address":            "100.64.0.1",
		"an unspecified address":      "0.0.0.0",
		"an unspecified one, in IPv6": "[::]",
		"a mapped address":            "[::ffff:10.0.0.1]",
		"an address behind NAT64":     "[64:ff9b::7f00:1]",
		"an address with a zone":      "[fd00::1%25lo]",
	} {
		const unavailable = http.StatusServiceUnavailable
		home := func(t *testing.T) *tokentest.AS { return tokentest.NewAS(t, tokentest.WithHost(keycloakHost)) }
		s.attack(t, "jwks_uri: "+name, func(t *testing.T, a *attempt) {
			as := home(t)
			as.ChangeMetadata(func(document map[string]any) { document["jwks_uri"] = elsewhere(t, theirs.JWKSURL(), host) })
			a.restart(gateFor(issuerByDiscovery(as, "allow_http")))
			a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), unavailable, "keys_unavailable", true)
			a.logSays("address not allowed")
		})
		s.attack(t, "a redirect of the key set: "+name, func(t *testing.T, a *attempt) {
			as := home(t)
			as.HandleJWKS(redirecting(http.StatusFound, elsewhere(t, theirs.JWKSURL(), host)))
			a.restart(gateFor(issuerByJWKS(as, "allow_http")))
			a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), unavailable, "keys_unavailable", true)
			a.logSays("address not allowed", "no usable Location")
		})
		s.attack(t, "introspection_endpoint: "+name, func(t *testing.T, a *attempt) {
			as := home(t)
			as.ChangeMetadata(func(document map[string]any) {
				document["introspection_endpoint"] = elsewhere(t, theirs.IntrospectionURL(), host)
			})
			a.restart(gateFor(issuerByDiscovery(as, "allow_http", "introspect opaque {", "auth_method none", "}")))
			if got := a.send("opaque"); got.StatusCode != http.StatusBadGateway && got.StatusCode != unavailable {
				t.Errorf("status %d", got.StatusCode)
			}
			a.logSays("address not allowed", "the metadata names no such endpoint")
			a.nothingForwarded()
		})
	}
	for name, document := range map[string]string{
		"jwks_uri": theirs.JWKSURL(), "a name of the network": elsewhere(t, theirs.JWKSURL(), keycloakHost),
	} {
		s.attack(t, "from TLS to plain http: "+name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithTLS())
			as.ChangeMetadata(func(metadata map[string]any) { metadata["jwks_uri"] = document })
			a.restart(gateFor(issuerByDiscovery(as, "allow_http", tlsBlock(t, as), "introspect opaque {",
				"endpoint http://"+keycloakHost+"/introspect", "auth_method none", "}")))
			a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
			a.logSays("the metadata came over https, and this leads to http", "address not allowed")
		})
	}
	if n := theirs.JWKSFetches() + len(theirs.IntrospectionRequests()); n != 0 {
		t.Errorf("the server of the attacker was asked %d times", n)
	}
}

// A name server answers with a private address until the gate has the metadata, and then with that of the attacker.
func TestAttackPlainHTTPRebinding(t *testing.T) {
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	private, public := netip.MustParseAddr("127.0.0.1"), publicAddress(t)
	s := prepare(t)
	for name, later := range map[string]netip.Addr{
		"a public address": public, "a metadata service": netip.MustParseAddr("169.254.169.254"),
		"an unspecified address": netip.MustParseAddr("0.0.0.0"), "behind NAT64": netip.MustParseAddr("64:ff9b::7f00:1"),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			var rebound atomic.Bool
			tokentest.Names(t, func(string) []netip.Addr {
				if rebound.Load() {
					return []netip.Addr{later}
				}
				return []netip.Addr{private}
			})
			// The attacker's own server answers at all addresses. Only the first answer is by the private one.
			as := tokentest.NewAS(t, tokentest.WithHost(keycloakHost), tokentest.WithKeys(mallory))
			as.HandleMetadata(func(w http.ResponseWriter, _ *http.Request) {
				rebound.Store(true)
				w.Header().Set("Connection", "close")
				_, _ = w.Write([]byte(`{"issuer":"` + as.URL + `","jwks_uri":"` + as.JWKSURL() + `"}`))
			})
			a.restart(gateFor(issuerByDiscovery(as, "allow_http")))
			a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
			a.logSays("address not allowed")
			if n := as.JWKSFetches(); n != 0 {
				t.Errorf("%d fetches of the key set", n)
			}
		})
	}
}

// An address that is written out and not private does not load, whatever else allows.
func TestAttackPlainHTTPAtLoad(t *testing.T) {
	s := prepare(t)
	for name, address := range map[string]string{
		"a public address":       "http://8.8.8.8",
		"a public one, in IPv6":  "http://[2001:db8::1]:8080",
		"a metadata service":     "http://169.254.169.254",
		"an unspecified address": "http://0.0.0.0:8080",
		"a mapped address":       "http://[::ffff:10.0.0.1]",
		"a shared address":       "http://100.64.0.1",
		"with a password":        "http://user:password@keycloak:8080",
	} {
		for _, word := range []string{"allow_http", "allow_http shared\nallow_link_local"} {
			if name == "a shared address" && word != "allow_http" {
				continue
			}
			s.refusedAtLoad(t, word+": issuer: "+name, "address not allowed", func(s *site) error {
				return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys(address, "discovery", word))))
			})
			s.refusedAtLoad(t, word+": keys: "+name, "address not allowed", func(s *site) error {
				return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("http://keycloak:8080", "jwks "+address+"/jwks", word))))
			})
			s.refusedAtLoad(t, word+": endpoint: "+name, "address not allowed", func(s *site) error {
				return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("http://keycloak:8080", "discovery", word,
					"introspect {", "endpoint "+address+"/introspect", "auth_method none", "}"))))
			})
		}
	}
}
