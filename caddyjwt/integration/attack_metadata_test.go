package integration

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// metadataTricks are targets, with blanks between them, that look for a way around the gate in the one path that needs
// no token. None of them is that path. W stands for /.well-known, P for oauth-protected-resource.
const metadataTricks = `
	W/P W/P/ W/P/mcp/ W/P/mcp/admin W/P/mcpx W/P/mc W/Px/mcp W/P/mcp. W/P/MCP W/p/mcp /.WELL-KNOWN/P/mcp W/P/Mcp
	W/P/mcp/.. W/P/mcp/../admin W/P/../admin W/P/../../admin W/P/mcp/../../../admin W/P/./mcp /./.well-known/P/mcp
	/admin/../.well-known/P/mcp W/x/../P/mcp W/P/mcp/. W/P/.mcp W/P/..;/mcp
	W/P/..%2fadmin W/P/mcp%2f..%2f..%2fadmin W/P/%2e%2e/admin W/P/mcp/%2e%2e/%2e%2e/admin W/P%2fmcp W/P/%2fmcp W%2fP/mcp
	/%2ewell-known/P/mcp W/P/%6dcp W/P/mcp%20 W/P/mcp%00 W/P/mcp%00/admin W/P/mcp%0a W/P/mcp%0d%0aX:%20y W/P/mcp%3f
	W/P/mcp%23 W/P/mcp%252f..%252fadmin W/%6fauth-protected-resource/mcp W/P/mcp%2f W/P/mcp%5c..%5cadmin
	//.well-known/P/mcp W//P/mcp W/P//mcp W/P/mcp// ///.well-known/P/mcp //gate.test/.well-known/P/mcp
	W\P\mcp W/P\mcp W/P/mcp\..\admin \.well-known/P/mcp
	W/P/mcp; W/P/mcp;x=1 W/P;/mcp /;/.well-known/P/mcp W/P/mcp;/../admin
	W/P/mcp#admin W/P/mcp#/../admin W/P/mcp&x W/P/mcp:x W/P/mcp,W/P/mcp W/P/mcp*
	W/P/mcp.json W/P/mcp/index.html W/P/mcp~ W/P/mcp/%c0%ae%c0%ae/admin W/P/%ef%bc%8e%ef%bc%8e/admin W/P/mcp%ff
	/mcpW/P /mcp/.well-known/P /.well-known/P/mcp/.well-known/P/mcp /x/.well-known/P/mcp
	/.well-known/oauth-authorization-server /.well-known/openid-configuration W/P/{http.request.uri}`

// A path of metadata needs no token. No other spelling of it does, and nothing below it: MCP clients and servers behind
// the gate read paths in many ways.
func TestAttackMetadataPathTricks(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "k1")))
	s, ways := startEverywhere(t, resourceGate(as))
	for _, way := range ways {
		s.attack(t, "control: the path itself by "+way.name, func(t *testing.T, a *attempt) {
			for _, query := range []string{"", "?", "?a=b", "?/../admin"} {
				a.by(way).metadata(mcpMetadata + query)
			}
		})
	}
	tricks := strings.Fields(strings.NewReplacer("W/", "/.well-known/", "W%", "/.well-known%", `W\`, `/.well-known\`,
		"P", "oauth-protected-resource").Replace(metadataTricks))
	frames := framers(s, ways)
	for _, target := range tricks {
		s.attack(t, target, func(t *testing.T, a *attempt) {
			a.neverForwarded(a.raw("GET " + target + " HTTP/1.1\r\nHost: gate.test\r\n\r\n"))
			for _, by := range frames {
				status := by.send(a, by.to("GET", target))
				if status != "" && status[0] != '4' {
					t.Errorf("status %q by %s", status, by.name)
				}
				a.nothingForwarded()
			}
		})
	}
	for _, line := range []string{
		"GET http://gate.test" + mcpMetadata, "GET https://mcp.example.com" + mcpMetadata, "GET http:" + mcpMetadata,
		"CONNECT " + mcpMetadata, "GET " + mcpMetadata[1:], "OPTIONS *", "get " + mcpMetadata + "/..",
	} {
		s.attack(t, line, func(t *testing.T, a *attempt) {
			a.raw(line + " HTTP/1.1\r\nHost: gate.test\r\n\r\n")
			a.nothingForwarded()
		})
	}
	t.Logf("%d tricks by %d protocols", len(tricks), len(frames)+1)
}

// Whatever is sent to the path of the metadata, it reaches nothing behind the gate.
func TestAttackMetadataMethodsAndBodies(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "k1")))
	s, ways := startEverywhere(t, resourceGate(as))
	for _, way := range ways {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "MOVE", "get", "GETX"} {
			s.attack(t, method+" by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				r := a.request(method, mcpMetadata, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`),
					"Authorization", "Bearer a.b.c", "X-Http-Method-Override", "GET", "Destination", "/mcp")
				got := a.do(r)
				a.neverForwarded(got)
				if got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
					t.Errorf("status %d, Allow %q", got.StatusCode, got.Header.Get("Allow"))
				}
			})
		}
		s.attack(t, "a preflight by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			got := a.do(a.request("OPTIONS", mcpMetadata, nil, "Origin", "https://evil.example", "Cookie", "a=b",
				"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"))
			a.nothingForwarded()
			if got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != "*" ||
				got.Header.Get("Access-Control-Allow-Credentials") != "" ||
				got.Header.Get("Access-Control-Allow-Methods") != "GET, HEAD" {
				t.Errorf("status %d: %v", got.StatusCode, got.Header)
			}
		})
		s.attack(t, "HEAD, and what a cache has, by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			head, get := a.do(a.request("HEAD", mcpMetadata, nil)), a.get(mcpMetadata, "")
			if head.StatusCode != 200 || head.body != "" || head.Header.Get("Etag") != get.Header.Get("Etag") {
				t.Errorf("HEAD: status %d, %v", head.StatusCode, head.Header)
			}
			again := a.get(mcpMetadata, "", "If-None-Match", get.Header.Get("Etag"))
			if again.StatusCode != http.StatusNotModified || again.body != "" {
				t.Errorf("status %d, %q", again.StatusCode, again.body)
			}
			a.nothingForwarded()
		})
	}
	s.attack(t, "a second request in the body", func(t *testing.T, a *attempt) {
		second := "GET /admin HTTP/1.1\r\nHost: gate.test\r\n\r\n"
		a.raw(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: gate.test\r\nContent-Length: %d\r\n\r\n%s", mcpMetadata, len(second),
			second))
		a.nothingForwarded()
		a.raw("POST " + mcpMetadata + " HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second)
		a.nothingForwarded()
	})
}

// What a request says about hosts changes neither the metadata nor where a challenge says that it is: MCP-04.
func TestAttackMetadataHostInjection(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "k1")))
	s, ways := startEverywhere(t, resourceGate(as))
	want := s.get(mcpMetadata, "").body
	challenge := s.get("/mcp", "").Header.Get("Www-Authenticate")
	fields := []string{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "X-Forwarded-Port", "81",
		"X-Forwarded-Prefix", "/evil", "Forwarded", "host=evil.example;proto=http", "X-Host", "evil.example",
		"X-Original-Url", "/.well-known/oauth-protected-resource/evil", "X-Rewrite-Url", "/evil",
		"X-Original-Host", "evil.example",
		"Origin", "https://evil.example", "Referer", "https://evil.example/", "Accept", "text/html", "Accept-Language", "xx"}
	for _, way := range ways {
		s.attack(t, "fields by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			if got := a.get(mcpMetadata, "", fields...); got.body != want || strings.Contains(fmt.Sprint(got.Header), "evil") {
				t.Errorf("%v: %s", got.Header, got.body)
			}
			if got := a.get("/mcp?resource_metadata=%22https://evil.example%22", "a.b.c", fields...); !strings.HasSuffix(
				got.Header.Get("Www-Authenticate"), challenge[strings.Index(challenge, "resource_metadata"):]) {
				t.Errorf("challenge %s", got.Header.Get("Www-Authenticate"))
			}
		})
	}
	for _, host := range []string{
		"evil.example", "gate.test@evil.example", "evil.example#gate.test", "GATE.test:443", "gate.test.",
	} {
		s.attack(t, "Host "+host, func(t *testing.T, a *attempt) {
			got := a.raw("GET " + mcpMetadata + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			if got.StatusCode == http.StatusOK && got.body != "" && got.body != want {
				t.Errorf("%s", got.body)
			}
			got = a.raw("GET /mcp HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			if strings.Contains(fmt.Sprint(got.Header), "evil") {
				t.Errorf("%v", got.Header)
			}
			a.nothingForwarded()
		})
	}
}

// naiveParameter reads a parameter of a challenge as the SDKs of MCP do: the first place where its name and an equals
// sign are, wherever that is.
func naiveParameter(field, name string) string {
	found := regexp.MustCompile(name + `=(?:"([^"]+)"|([^\s,]+))`).FindStringSubmatch(field)
	if found == nil {
		return ""
	}
	return found[1] + found[2]
}

// The texts of a configuration cannot be taken for parameters, not even by clients that parse carelessly: MCP-05.
func TestAttackMetadataChallengeInjection(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, resourceGate(as, "realm \"scopes, errors = resource_metadata\"", "require scope a|b error c/d"))
	s.attack(t, "what careless clients read", func(t *testing.T, a *attempt) {
		for code, token := range map[string]string{
			"": "", "invalid_token": "error.scope.resource_metadata",
			"insufficient_scope": key.Sign(t, issuedBy(as.URL, "aud", mcp)),
		} {
			lines := a.get("/mcp", token).Header.Values("Www-Authenticate")
			a.nothingForwarded()
			if len(lines) != 1 || !strings.HasPrefix(lines[0], "Bearer ") || strings.HasPrefix(lines[0], "Bearer  ") {
				t.Fatalf("challenges %q", lines)
			}
			strict, err := parseChallenge(lines[0])
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				"error": code, "scope": "a|b error c/d", "resource_metadata": "https://mcp.example.com" + mcpMetadata,
			} {
				if got := naiveParameter(lines[0], name); got != want || strict[name] != want {
					t.Errorf("%s is %q to careless clients and %q to others, want %q in %s", name, got, strict[name], want, lines[0])
				}
			}
		}
	})
	for name, lines := range map[string][]string{
		"scope in the realm":             {`realm "x scope=admin"`},
		"metadata in the realm":          {`realm "resource_metadata=https://evil.example"`},
		"the end of the realm":           {"realm `x\", resource_metadata=\"https://evil.example`"},
		"an error in a scope":            {"require scope read x;error=invalid_token"},
		"metadata in a scope":            {"require scope RESOURCE_METADATA=https://evil.example"},
		"an error in one of some scopes": {"require any_scope read error=x"},
		"a scope in a sign-in":           {"require acr urn:x?scope=admin"},
	} {
		s.refusedAtLoad(t, name, "clients of this resource read as", func(s *site) error {
			return s.tryLoad(s.caddyfile(resourceGate(as, lines...)))
		})
	}
	s.load(gateFor(issuerBlock(as.URL, "keys jwks "+as.JWKSURL()),
		"resource "+mcp+" {\n\t\t\tname `</script>\",\"resource\":\"https://evil.example`\n\t\t}"))
	s.attack(t, "the name", func(t *testing.T, a *attempt) {
		got := a.metadata(mcpMetadata)
		if got["resource"] != mcp || got["resource_name"] != `</script>","resource":"https://evil.example` {
			t.Errorf("%v", got)
		}
		a.revealsNothing(a.get(mcpMetadata, "")) // nor is it HTML
	})
}

// Each resource has its own metadata: on another path, on another host, in the same site or another.
func TestAttackMetadataOfAnotherSite(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "k1")))
	gate := func(matcher, url string) string {
		return strings.Replace(gateFor(issuerBlock(as.URL, "keys jwks "+as.JWKSURL()), "resource "+url), "bearer_auth",
			"bearer_auth "+matcher, 1)
	}
	s := prepare(t)
	caddyfile := s.caddyfile(gate("/a/*", "https://one.example/a") + "\n\t" +
		gate("/b/*", "https://one.example/b") + "\n\t" +
		gate("@two", "https://two.example/a") + "\n\t@two host two.example")
	// A site for all hosts.
	s.loadFile(strings.Replace(caddyfile, "http://gate.test {", "http:// {", 1))
	for _, test := range [][3]string{ // host, path, resource
		{"one.example", "/a", "https://one.example/a"}, {"one.example", "/b", "https://one.example/b"},
		{"two.example", "/a", "https://two.example/a"}, {"TWO.example:443", "/a", "https://two.example/a"},
		{"two.example.", "/a", "https://two.example/a"}, {"One.Example", "/a", "https://one.example/a"},
	} {
		s.attack(t, test[0]+test[1], func(t *testing.T, a *attempt) {
			r := a.request("GET", "/.well-known/oauth-protected-resource"+test[1], nil,
				"X-Forwarded-Host", "two.example", "Forwarded", "host=one.example")
			r.Host = test[0]
			got := a.do(r)
			if !strings.Contains(got.body, `"resource":"`+test[2]+`"`) {
				t.Errorf("status %d: %s", got.StatusCode, got.body)
			}
		})
	}
	// Nobody gets metadata at the root, where a client would look for it next.
	s.attack(t, "the root", func(t *testing.T, a *attempt) {
		if got := a.get("/.well-known/oauth-protected-resource", ""); strings.Contains(got.body, "resource") {
			t.Errorf("%s", got.body)
		}
	})
}

// Reloads change the resource while clients read. Each answer is that of one configuration, and belongs to its ETag.
func TestAttackMetadataDuringReloads(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "k1")))
	gate := func(name string) string {
		return gateFor(issuerBlock(as.URL, "keys jwks "+as.JWKSURL()), "require scope "+name,
			"resource "+mcp+" {\n\t\t\tname "+name+"\n\t\t}")
	}
	s := start(t, gate("one"))
	first := s.get(mcpMetadata, "")
	s.load(gate("two"))
	second := s.get(mcpMetadata, "")
	etags := map[string]string{first.body: first.Header.Get("Etag"), second.body: second.Header.Get("Etag")}
	if len(etags) != 2 || etags[first.body] == etags[second.body] {
		t.Fatalf("%v", etags)
	}
	s.attack(t, "reads during reloads", func(t *testing.T, a *attempt) {
		var over atomic.Bool
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				a.until(&over, func(int) {
					got := a.get(mcpMetadata, "")
					if etag, known := etags[got.body]; !known || etag != got.Header.Get("Etag") {
						t.Errorf("status %d, %s: %s", got.StatusCode, got.Header.Get("Etag"), got.body)
					}
				})
			})
		}
		for i := range 6 {
			if err := a.tryLoad(a.caddyfile(gate([]string{"one", "two"}[i%2]))); err != nil {
				t.Error(err)
			}
		}
		over.Store(true)
		readers.Wait()
	})
}
