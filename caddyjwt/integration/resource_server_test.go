package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// serverPath is where clients of MCP 2025-03-26 look for the metadata of the authorization server.
const serverPath = "/.well-known/oauth-authorization-server"

// gateWithServer is a gate of a resource whose clients find the metadata of an authorization server at its host.
func gateWithServer(resource, word string, issuers ...string) string {
	return gateFor(append([]string{"resource " + resource, "auth_server_metadata " + word}, issuers...)...)
}

func TestAuthServerMetadataIsProxied(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithPath("/realms/one"))
	s := prepare(t)
	s.loadFile(s.sites(s.siteOf("http://gate.test", gateWithServer(tools, "proxy", "issuer "+as.URL))))
	if as.MetadataFetches() != 0 {
		t.Error("fetched before anybody has asked")
	}
	a := s.at("gate.test", serverPath, "Mcp-Protocol-Version", "2025-03-26", "Origin", "https://page.example.com")
	var document struct {
		Issuer        string
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := json.Unmarshal([]byte(a.body), &document); err != nil || a.StatusCode != http.StatusOK ||
		document.Issuer != as.URL {
		t.Fatalf("status %d, body %q", a.StatusCode, a.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=300",
		"X-Content-Type-Options": "nosniff", "Www-Authenticate": "",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	fetches := as.MetadataFetches()
	again := s.at("gate.test", serverPath, "If-None-Match", a.Header.Get("Etag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("status %d for the same document", again.StatusCode)
	}
	r := s.request(http.MethodHead, serverPath, nil)
	if head := s.do(r); head.StatusCode != http.StatusOK || head.ContentLength != int64(len(a.body)) {
		t.Errorf("HEAD: status %d, length %d", head.StatusCode, head.ContentLength)
	}
	as.Down()
	if again := s.at("gate.test", serverPath); again.body != a.body {
		t.Errorf("while the server is down: status %d, body %q", again.StatusCode, again.body)
	}
	if as.MetadataFetches() != fetches {
		t.Error("fetched again for each request")
	}
	s.nothingForwarded()
}

func TestAuthServerMetadataIsRedirected(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://auth.example.com":           "https://auth.example.com" + serverPath,
		"https://auth.example.com/":          "https://auth.example.com" + serverPath,
		"https://auth.example.com/realms/a":  "https://auth.example.com" + serverPath + "/realms/a",
		"https://auth.example.com:8443/a/b/": "https://auth.example.com:8443" + serverPath + "/a/b",
	} {
		s := prepare(t)
		s.loadFile(s.sites(s.siteOf("http://gate.test", gateWithServer(tools, "redirect", "issuer "+issuer))))
		a := s.at("gate.test", serverPath+"?x=1", "X-Forwarded-Host", "evil.example.com")
		if got := a.Header.Get("Location"); a.StatusCode != http.StatusTemporaryRedirect || got != want {
			t.Errorf("issuer %s: status %d to %q, want %q", issuer, a.StatusCode, got, want)
		}
		if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("issuer %s: header %v", issuer, a.Header)
		}
	}
}

// Clients ask the host, so every way to serve a resource serves this, too.
func TestAuthServerMetadataIsServedWhereTheResourceIs(t *testing.T) {
	const issuer = "issuer https://auth.example.com"
	for name, c := range map[string]struct {
		sites  func(s *site) []string
		host   string
		status int
	}{
		"a gate of the site": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test", gateWithServer(tools, "redirect", issuer))}
		}, "gate.test", 307},
		"a gate of a path": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test",
				strings.Replace(gateWithServer(tools, "redirect", issuer), "bearer_auth", "bearer_auth /tools*", 1))}
		}, "gate.test", 307},
		"a gate in a handle block": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test", "protected_resource "+tools,
				"handle /tools* {\n"+gateWithServer(tools, "redirect", issuer)+"\n}")}
		}, "gate.test", 307},
		"a resource without the word beside one with it": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test", "protected_resource "+notes,
				"handle /tools* {\n"+gateWithServer(tools, "redirect", issuer)+"\n}",
				"handle /notes* {\n"+gateFor("resource "+notes, issuer)+"\n}")}
		}, "gate.test", 307},
		"the same server in two gates": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test", "protected_resource "+notes, "protected_resource "+tools,
				"handle /tools* {\n"+gateWithServer(tools, "redirect", issuer)+"\n}",
				"handle /notes* {\n"+gateWithServer(notes, "redirect", issuer)+"\n}")}
		}, "gate.test", 307},
		"one of two issuers": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test", gateWithServer(tools, "redirect https://auth.example.com",
				"issuer https://second.example.com", issuer))}
		}, "gate.test", 307},
		"the only one of two issuers with an address": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test", gateWithServer(tools, "redirect",
				"issuer spiffe://example.com {\nkeys jwks https://keys.example.com\n}", issuer))}
		}, "gate.test", 307},
		"a gate without the word": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test", gateFor("resource "+tools, issuer))}
		}, "gate.test", 401},
		"another site": {func(s *site) []string {
			return []string{s.siteOf("http://gate.test", gateWithServer(tools, "redirect", issuer)),
				s.siteOf("http://other.test", gateFor("audience a", issuer))}
		}, "other.test", 401},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			s.loadFile(s.sites(c.sites(s)...))
			if a := s.at(c.host, serverPath); a.StatusCode != c.status {
				t.Errorf("status %d, want %d", a.StatusCode, c.status)
			} else if a.StatusCode == 307 && a.Header.Get("Location") != "https://auth.example.com"+serverPath {
				t.Errorf("location %q", a.Header.Get("Location"))
			}
		})
	}
}

func TestMistakesInAuthServerMetadata(t *testing.T) {
	const first, second = "issuer https://auth.example.com", "issuer https://second.example.com"
	for name, c := range map[string]struct {
		site string
		want string
	}{
		"no mode":      {gateWithServer(tools, "", first), "auth_server_metadata"},
		"another mode": {gateWithServer(tools, "cache", first), "proxy|redirect"},
		"no resource": {gateFor("audience a", "auth_server_metadata proxy", first),
			`add "resource <url>", or remove auth_server_metadata`},
		"two issuers": {gateWithServer(tools, "proxy", first, second),
			`the gate has "https://auth.example.com", "https://second.example.com": write one of them after the mode`},
		"an issuer of another gate": {gateWithServer(tools, "proxy https://auth.example.com/", first),
			`no issuer "https://auth.example.com/": the issuer "https://auth.example.com" differs in the slash at its end`},
		"an issuer without an address": {gateWithServer(tools, "proxy urn:example:one",
			"issuer urn:example:one {\nkeys jwks https://auth.example.com/keys\n}", first), "which is not an https URL"},
		"no issuer with an address": {gateWithServer(tools, "proxy",
			"issuer urn:example:one {\nkeys jwks https://auth.example.com/keys\n}"), "no issuer of this gate is an https URL"},
		"the host of the resource": {gateWithServer(tools, "redirect", "issuer https://gate.test"),
			"has the host of the resource"},
		"two servers of one host": {gateWithServer(tools, "proxy", first) + "\n" + gateWithServer(notes, "proxy", second),
			`there can be only one, and there are "https://`},
		"two modes at one host": {gateWithServer(tools, "proxy", first) + "\n" + gateWithServer(notes, "redirect", first),
			"do not agree on auth_server_metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			err := s.tryLoad(s.sites(s.siteOf("http://gate.test", c.site)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// With prefetch, the copy is there before the first request.
func TestAuthServerMetadataIsPrefetched(t *testing.T) {
	as := tokentest.NewAS(t)
	s := prepare(t)
	s.loadFile(s.sites(s.siteOf("http://gate.test",
		gateWithServer(tools, "proxy", "issuer "+as.URL+" {\nprefetch\n}"))))
	eventually(t, "keys and the copy are fetched", func() bool { return as.MetadataFetches() >= 2 })
}

func TestAttackAuthServerMetadata(t *testing.T) {
	as := tokentest.NewAS(t)
	s := prepare(t)
	s.loadFile(s.sites(
		s.siteOf("http://gate.test", gateWithServer(tools, "proxy", "issuer "+as.URL)),
		s.siteOf("http://two.test", gateFor("resource https://two.test/tools", "issuer "+as.URL)),
		s.siteOf("http://", gateWithServer("https://three.test/tools", "redirect", "issuer https://auth.example.com"),
			strings.Replace(gateWithServer("https://four.test/tools", "redirect", "issuer https://other.example.com"),
				"bearer_auth", "bearer_auth /four*", 1)),
	))
	refused := func(t *testing.T, a *attempt, got answer) {
		t.Helper()
		if got.StatusCode < 400 || strings.Contains(got.body, as.URL) || got.Header.Get("Location") != "" {
			t.Errorf("status %d to %q, body %q", got.StatusCode, got.Header.Get("Location"), got.body)
		}
		a.nothingForwarded()
	}
	for _, target := range []string{
		serverPath + "/", serverPath + "/tools", serverPath + "/../x", serverPath + "/..%2fadmin", serverPath + ";x",
		serverPath + "%20", serverPath + "%00", serverPath + ".", serverPath + "//", "/" + serverPath, "/x/.." + serverPath,
		"/./.well-known/oauth-authorization-server", "/.well-known//oauth-authorization-server",
		"/.well-known/./oauth-authorization-server", "/.well-known/x/../oauth-authorization-server",
		"/%2ewell-known/oauth-authorization-server", "/.well-known%2foauth-authorization-server",
		"/.well-known/oauth%2dauthorization-server", "/.WELL-KNOWN/oauth-authorization-server",
		"/.well-known/OAuth-Authorization-Server", "/.well-known\\oauth-authorization-server",
		"http://gate.test" + serverPath, "/tools" + serverPath, "/.well-known/openid-configuration",
	} {
		s.attack(t, "GET "+target, func(t *testing.T, a *attempt) {
			refused(t, a, a.raw("GET "+target+" HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"))
		})
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECTED", "get", "PROPFIND", "QUERY"} {
		for _, host := range []string{"gate.test", "three.test"} { // a copy, and a redirect
			s.attack(t, method+" to "+host, func(t *testing.T, a *attempt) {
				got := a.raw(method + " " + serverPath + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" +
					"X-Http-Method-Override: GET\r\nContent-Length: 2\r\n\r\n{}")
				refused(t, a, got)
			})
		}
	}
	s.attack(t, "a preflight with a body is answered and goes no further", func(t *testing.T, a *attempt) {
		got := a.raw("OPTIONS " + serverPath + " HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n" +
			"Origin: https://a.test\r\nAccess-Control-Request-Method: GET\r\nContent-Length: 2\r\n\r\n{}")
		if got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("status %d, header %v", got.StatusCode, got.Header)
		}
		a.nothingForwarded()
	})
	for name, host := range map[string]string{
		"a site without the word": "two.test", "its name in upper case": "TWO.test",
	} {
		s.attack(t, "metadata of one site at another: "+name, func(t *testing.T, a *attempt) {
			refused(t, a, a.raw("GET "+serverPath+" HTTP/1.1\r\nHost: "+host+"\r\nX-Forwarded-Host: gate.test\r\n"+
				"Forwarded: host=gate.test\r\nConnection: close\r\n\r\n"))
		})
	}
	for host, want := range map[string]string{
		"three.test": "https://auth.example.com", "four.test": "https://other.example.com",
		"FOUR.TEST:443": "https://other.example.com",
	} {
		s.attack(t, "two hosts of one site: "+host, func(t *testing.T, a *attempt) {
			got := a.raw("GET " + serverPath + " HTTP/1.1\r\nHost: " + host + "\r\nX-Forwarded-Host: gate.test\r\n" +
				"Connection: close\r\n\r\n")
			if location := got.Header.Get("Location"); location != want+serverPath {
				t.Errorf("status %d to %q, want %q", got.StatusCode, location, want)
			}
		})
	}
}

// However many strangers ask while the server is down, it gets a few requests.
func TestAttackFloodOfAuthServerMetadata(t *testing.T) {
	as := tokentest.NewAS(t)
	as.HandleMetadata(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "down", http.StatusInternalServerError)
	})
	s := prepare(t)
	s.loadFile(s.sites(s.siteOf("http://gate.test", gateWithServer(tools, "proxy", "issuer "+as.URL))))
	s.attack(t, "500 requests", func(t *testing.T, a *attempt) {
		took := eventually(t, "they are answered", func() bool {
			var strangers sync.WaitGroup
			for range 500 {
				strangers.Go(func() {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gate.test"+serverPath, nil)
					if err != nil {
						t.Error(err)
						return
					}
					response, err := a.client.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					defer response.Body.Close()
					if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" ||
						response.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("status %d, header %v", response.StatusCode, response.Header)
					}
				})
			}
			strangers.Wait()
			return true
		})
		// Two requests in each attempt, and an attempt in five seconds, less a tenth.
		if got, most := as.MetadataFetches(), 2*(1+int(took.Seconds()/4)); got > most || got == 0 {
			t.Errorf("%d requests to the server in %v, want at most %d", got, took, most)
		}
	})
}

// A host that has a resource and no metadata of a server must not show that of another host in the same site: its
// clients would have their users log in at a server that the resource does not trust.
func TestAttackAuthServerMetadataOfAnotherHost(t *testing.T) {
	s := prepare(t)
	other := gateWithServer("https://two.test/", "redirect https://login.two.example", "issuer https://login.two.example")
	s.loadFile(s.sites(s.siteOf("http://*.test", "@one host one.test", "@two host two.test",
		strings.Replace(other, "bearer_auth", "bearer_auth @two", 1), gateOfResource(t, "@one", "https://one.test/"))))
	for host, status := range map[string]int{
		"two.test": http.StatusTemporaryRedirect, "TWO.test:8443": http.StatusTemporaryRedirect,
		"one.test": http.StatusUnauthorized, "one.test:443": http.StatusUnauthorized, "ONE.test": http.StatusUnauthorized,
	} {
		name := "the other host: " + host
		if status == http.StatusTemporaryRedirect {
			name = "control: " + host
		}
		s.attack(t, name, func(t *testing.T, a *attempt) {
			if got := a.at(host, serverPath); got.StatusCode != status {
				t.Errorf("status %d, Location %q, want %d", got.StatusCode, got.Header.Get("Location"), status)
			}
		})
	}
}

// Caddy sorts gates by their paths, the longest first. The routes of the metadata do not disturb that, and come before
// every gate whose matcher has a shorter path.
func TestAuthServerMetadataAmongSortedGates(t *testing.T) {
	const issuer = "issuer https://auth.example.com"
	gate := func(path string, lines ...string) string {
		words := append([]string{issuer, "audience x", "realm " + path}, lines...)
		return strings.Replace(gateFor(words...), "bearer_auth", "bearer_auth "+path, 1)
	}
	for _, word := range []string{"", "auth_server_metadata redirect"} {
		s := prepare(t)
		s.loadFile(s.sites(s.siteOf("http://gate.test", gate("/*"), gate("/tools*", "resource "+tools, word),
			gate("/tools/deep*"))))
		if got := s.resourceAt("gate.test", metadataPath("/tools")); got != tools {
			t.Errorf("%q: resource %q", word, got)
		}
		if a := s.at("gate.test", serverPath); a.StatusCode == http.StatusUnauthorized != (word == "") {
			t.Errorf("%q: status %d", word, a.StatusCode)
		}
		for path, first := range map[string]string{"/x": "/*", "/tools/x": "/tools*", "/tools/deep": "/tools/deep*"} {
			challenge := s.at("gate.test", path).Header.Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, `Bearer realm="`+first+`"`) {
				t.Errorf("%q: %s is refused by another gate: %s", word, path, challenge)
			}
		}
	}
}
