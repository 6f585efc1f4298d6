package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// publicTricks are targets, with blanks between them, that look for a way from public paths to others, or the other way
// round. None of them is public. They come from reports about other gateways, and from what servers behind a gateway do
// to paths.
var publicTricks = map[string]string{
	"the guarded part itself": `
		/ /orders /orders?/public/x /orders?x=/public/ /orders#/public/ /publicx /public. /public-x/a /xpublic/a
		/healthz/ /healthz/x /healthzx /public`,
	"dot segments": `
		/public/../orders /public/x/../../orders /public/.. /public/. /public/./x /./public/x /orders/../public/x
		/public/../public/x /public/x/.. /.//public/../../orders /..//public/x`,
	"escaped dot segments": `
		/public/%2e%2e/orders /public/%2E%2E/orders /public/.%2e/orders /public/%2e./orders /orders/%2e%2e/public/x
		/public/%2e/x`,
	"escaped twice": `
		/public/%252e%252e/orders /public/%252e%252e%252forders /public/%25%32%65%25%32%65/orders
		/public%252f..%252forders`,
	"escaped slashes": `
		/public/..%2forders /public%2f..%2forders /public%2fx /%2fpublic/x /public/%2f../orders /public/a%2fb
		/orders%2f..%2fpublic%2fx /orders/..%2fpublic/x`,
	"backslashes": `
		/public\..\orders /public/..\orders /public/..%5corders /public%5c..%5corders /\public\x /public/x\..\..\orders
		/orders/..%5cpublic/x /public/%5c../orders`,
	"empty segments": `
		//public/x /public//x /public//../orders ///public/x /public/x// //orders/../public/x`,
	"parameters": `
		/public/..;/orders /public;x=1/../orders /public/x;y /;/public/x /public/x;/../../orders /orders/..;/public/x
		/public/..;jsessionid=1/orders /healthz;jsessionid=1 /public;/x /public/.;/x /public/%3b/../x /public/x;/`,
	"other cases": `
		/PUBLIC/x /Public/x /publiC/x /HEALTHZ /pUBLIC/../orders`,
	"dots and blanks that Windows drops": `
		/public./x /public/x. /public/... /public/x..y /public%20/x /public/x%20 /public/.%20./orders
		/public/..%20/orders /healthz. /healthz%20 /public/x.../y`,
	"streams and sessions of IIS": `
		/public/x::$DATA /public::$INDEX_ALLOCATION/x /healthz::$DATA /public/(S(x))/y /(S(x))/public/y
		/public/(A(x)F(y))orders /healthz:a`,
	"what ends a text": `
		/public/x%00 /public/%00/../orders /healthz%00 /orders%00/public/x /public/x%0a /public/x%0d%0aX-User:%20admin
		/public/x%09 /public/x%7f`,
	"letters that become others": `
		/public/%c0%ae%c0%ae/orders /public/%c0%ae./x /public/%e0%80%ae%e0%80%ae/orders
		/public/%ef%bc%8e%ef%bc%8e/orders /public/..%ef%bc%8forders /public/%e2%80%a5/orders /public/%u002e%u002e/orders
		/public/%e2%84%80 /public/%c0%afx /public/x%ff`,
	"escapes that need not be": `
		/%70ublic/x /public/%78 /publi%63/x /health%7a /public/%7Ex /public/%`,
	"hidden files": `
		/public/.git/config /public/.env /public/x/.htpasswd`,
	"marks of other parts": `
		/public/x%3f/../orders /public/x%23/../orders /public#/../orders /public/x#y /public/x%3f /public/x%26y`,
	"other characters": `
		/public/* /public/{http.request.uri} /public/%7Benv.HOME%7D /public/x,y /public/x+y /public/x:y@z /public/"x"
		/public/<x> /public/'x' /public/x|y /public/^x /public/x=y`,
}

// oddTricks are such targets with blanks and other bytes that a client should not send.
var oddTricks = []string{
	"/public/x\x00", "/public/x\ty", "/public/x y", "/public/\xc0\xae\xc0\xae/orders", "/public/\u2025/orders",
	"/publi\u212a/x", "/public/`x`",
}

// openTo are the public paths of these tests.
const openTo = "public /healthz /public/*"

// publicSite guards the same backend behind each handler that changes the path before a gate does. What is below a
// prefix of publicShapes loses the prefix on its way.
func publicSite(gate, backend string) string {
	guarded := gate + "\n\treverse_proxy " + backend + "\n"
	return "handle_path /handled/* {\n" + guarded + "}\n" +
		"handle /stripped/* {\n\turi strip_prefix /stripped\n" + guarded + "}\n" +
		"handle /replaced/* {\n\turi replace /replaced/ /\n" + guarded + "}\n" +
		"handle /rewritten/* {\n\t@tail path_regexp tail ^/rewritten(/.*)$\n\trewrite @tail {re.tail.1}\n" + guarded + "}\n" +
		"handle {\n" + guarded + "}\n"
}

var publicShapes = map[string]string{
	"directly": "", "through handle_path": "/handled", "through uri strip_prefix": "/stripped",
	"through uri replace": "/replaced", "through rewrite": "/rewritten",
}

// startPublic runs such a site by all protocols.
func startPublic(t *testing.T, lines ...string) (*site, []way) {
	s := prepare(t)
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	s.loadEverywhere(publicSite(gateFor(append([]string{consumerAlice(t), openTo}, lines...)...), s.upstream.addr()))
	return s, s.ways()
}

// A part of the site is public. No other spelling of a path is, whatever the backend or a handler before the gate makes
// of it: CVE-2026-33494, CVE-2025-66490, CVE-2026-48020 (dot segments), CVE-2026-40912, CVE-2025-47952, CVE-2026-52844
// (slashes), CVE-2023-47106, CVE-2026-41059 (fragments), CVE-2025-54576 (queries), CVE-2020-5902 (parameters).
func TestAttackPublicPathTricks(t *testing.T) {
	s, ways := startPublic(t)
	frames := framers(s, ways)
	tricks := oddTricks
	for _, targets := range publicTricks {
		tricks = append(tricks, strings.Fields(targets)...)
	}
	for shape, prefix := range publicShapes {
		for _, target := range []string{"/healthz", "/public/", "/public/a-b_c~1/app.min.js?back=/../%2e%2e;y"} {
			s.attack(t, "control: "+target+" is public "+shape, func(t *testing.T, a *attempt) {
				for _, way := range ways {
					if got := a.passed(a.by(way).get(prefix+target, "")); got.URI != target {
						t.Errorf("the backend got %q by %s", got.URI, way.name)
					}
				}
			})
		}
		for _, target := range tricks {
			s.attack(t, fmt.Sprintf("%s: %q", shape, target), func(t *testing.T, a *attempt) {
				a.neverForwarded(a.raw("GET " + prefix + target + " HTTP/1.1\r\nHost: gate.test\r\n\r\n"))
				for _, by := range frames {
					status := by.send(a, by.to("GET", prefix+target))
					if status != "" && status[0] != '4' {
						t.Errorf("status %q by %s", status, by.name)
					}
					a.nothingForwarded()
				}
			})
		}
	}
	t.Logf("%d tricks, in %d ways, by %d protocols", len(tricks), len(publicShapes), len(frames)+1)
}

// The request line has something else than a path, or a method that is not about a page.
func TestAttackPublicTargetForms(t *testing.T) {
	s, ways := startPublic(t)
	for _, line := range []string{
		"GET http://gate.test/public/x", "GET http://gate.test/healthz", "GET https://gate.test/healthz",
		"GET http://other.test/public/../orders", "GET http:/public/x", "GET http:public/x", "GET *", "OPTIONS *",
		"OPTIONS http://gate.test", "CONNECT gate.test:80", "CONNECT /public/x", "CONNECT public/x:80", "GET public/x",
		"GET ../public/x", "GET ?/public/x", "GET #/public/x", "GET //gate.test/public/x", "GET http://public/x@gate.test/x",
		"get\t/public/x", "GET  /public/x", "G;T /public/x\x00",
	} {
		s.attack(t, line, func(t *testing.T, a *attempt) {
			if got := a.raw(line + " HTTP/1.1\r\nHost: gate.test\r\n\r\n"); got.StatusCode >= 500 {
				t.Errorf("status %d", got.StatusCode)
			}
			a.nothingForwarded() // for "*" and for another host, Caddy itself may have an answer
		})
	}
	for _, by := range framers(s, ways) {
		for _, test := range [][2]string{
			{"GET", "http://gate.test/public/x"}, {"GET", "*"}, {"OPTIONS", "*"}, {"GET", ""}, {"GET", "public/x"},
			{"CONNECT", "/public/x"}, {"GET", "//gate.test/public/x"}, {"GET /orders HTTP/1.1\r\nX: ", "/public/x"},
			{"GET", "/public/x HTTP/1.1\r\nX: "}, {"GE T", "/public/x"}, {"", "/public/x"},
		} {
			s.attack(t, fmt.Sprintf("%q %q by %s", test[0], test[1], by.name), func(t *testing.T, a *attempt) {
				if status := by.send(a, by.to(test[0], test[1])); status >= "5" {
					t.Errorf("status %q", status)
				}
				a.nothingForwarded()
			})
		}
	}
}

// A request is public by its path, and a field in it names another page or method to the backend: IIS and Symfony
// (CVE-2018-14773), gunicorn, Spring, WebDAV. Or it asks for HTTP/2 in clear text, and sends
// other requests in the tunnel.
func TestAttackPublicFieldsThatNameAnotherPage(t *testing.T) {
	s, ways := startPublic(t, "forward_claims X-User sub", "forward_claims X-Roles roles")
	names := []string{"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Original-Path", "X-Envoy-Original-Path",
		"X-Replaced-Path", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Script-Name", "Script-Name",
		"Path-Info", "Destination", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
		"X-Original-Method", "X-Original-Host", "X-Host", "X-HTTP-Host-Override"}
	var fields []string
	for _, name := range names {
		for _, spelling := range spellings(name) {
			fields = append(fields, spelling, "/orders")
		}
	}
	for _, way := range ways {
		s.attack(t, "fields in every spelling by "+way.name, func(t *testing.T, a *attempt) {
			got := a.passed(a.by(way).get("/public/x", "", append(claimedInEverySpelling(), fields...)...))
			a.untouched(got, nil)
			if strings.Contains(fmt.Sprint(got.Header), "/orders") {
				t.Errorf("the backend got %v", got.Header)
			}
		})
		s.attack(t, "fields as trailers by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			r := a.request("POST", "/public/x", io.NopCloser(strings.NewReader("a")), "Content-Type", "text/plain")
			r.Trailer = http.Header{"X-Original-Url": {"/orders"}, "X_rewrite_url": {"/orders"}, "X-User": {"admin"}}
			got := a.passed(a.do(r))
			a.untouched(got, nil)
			if strings.Contains(fmt.Sprint(got.Trailer), "/orders") {
				t.Errorf("the backend got %v", got.Trailer)
			}
		})
	}
	for _, offer := range []string{"h2c", "h2", "HTTP/2.0", "TLS/1.3", "websocket, h2c"} {
		s.attack(t, "Upgrade: "+offer, func(t *testing.T, a *attempt) {
			got := a.passed(a.raw("GET /public/x HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade, HTTP2-Settings\r\n" +
				"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nUpgrade: " + offer + "\r\n\r\n"))
			if got.Header["Upgrade"] != nil || got.Header["Http2-Settings"] != nil {
				t.Errorf("the backend got %v", got.Header)
			}
		})
	}
	s.attack(t, "the next request of the connection", func(t *testing.T, a *attempt) {
		got := a.raw("POST /public/x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 36\r\n\r\n" +
			"GET /orders HTTP/1.1\r\nHost: gate.test\r\n\r\nGET /orders HTTP/1.1\r\nHost: gate.test\r\n\r\n")
		if got := a.passed(got); got.URI != "/public/x" || !strings.HasPrefix(got.Body, "GET /orders") {
			t.Errorf("the backend got %q with body %q", got.URI, got.Body)
		}
	})
}

// Nobody has judged the token of a public request, so it does not travel on, even where others do. Nor does the request
// get the identity of its good token, or of the anonymous consumer.
func TestAttackPublicTokenTravelsOn(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as), consumerAlice(t), "consumer guest {\n}", "anonymous guest", openTo,
		"forward_token", "forward_claims X-User sub", "token_from header Authorization", "token_from header X-Token",
		"token_from query jwt", "token_from cookie jwt", "token_from form jwt")+
		"\n\trequest_header X-Original {http.request.orig_uri}")
	expired := key.Sign(t, issuedBy(as.URL, "exp", 1))
	for kind, token := range map[string]string{
		"good": key.Sign(t, issuedBy(as.URL)), "expired": expired, "forged": tokentest.FlipSignature(t, expired),
		"of a consumer": hmacKey(t).Sign(t, claims()),
	} {
		for place, send := range map[string]func(a *attempt) answer{
			"in Authorization":        func(a *attempt) answer { return a.get("/public/x?a=1", token) },
			"in a header":             func(a *attempt) answer { return a.get("/public/x?a=1", "", "X-Token", token) },
			"in its header, misspelt": func(a *attempt) answer { return a.get("/public/x?a=1", "", "x_token", token) },
			"in the query":            func(a *attempt) answer { return a.get("/public/x?a=1&jwt="+token, "") },
			"in the query twice":      func(a *attempt) answer { return a.get("/public/x?jwt="+token+"&a=1&jwt="+token, "") },
			"in a cookie":             func(a *attempt) answer { return a.get("/public/x?a=1", "", "Cookie", "jwt="+token) },
			"in a form":               func(a *attempt) answer { return a.form("/public/x?a=1", "b=2&jwt="+token) },
			"everywhere": func(a *attempt) answer {
				return a.form("/public/x?a=1&jwt="+token, "b=2&jwt="+token, "X-Token", token)
			},
			"in Referer, from a query": func(a *attempt) answer {
				return a.get("/public/x?a=1", "", "Referer", "http://x/?jwt="+token)
			},
		} {
			s.attack(t, kind+" token "+place, func(t *testing.T, a *attempt) {
				a.secret(token)
				got := a.passed(send(a))
				a.untouched(got, nil)
				for _, piece := range pieces(token) {
					if strings.Contains(fmt.Sprint(got), piece) {
						t.Errorf("the token reached the backend: %v", got)
					}
				}
				if original := got.Header.Get("X-Original"); got.URI != "/public/x?a=1" || original != got.URI {
					t.Errorf("the backend got %q, as placeholder %q", got.URI, original)
				}
			})
		}
	}
	t.Run("control: a good token elsewhere travels on", func(t *testing.T) {
		token := key.Sign(t, issuedBy(as.URL, "sub", "me"))
		got := s.in(t).passed(s.in(t).get("/x", "", "X-Token", token))
		if got.Header.Get("X-Token") != token || got.Header.Get("X-User") != "me" {
			t.Errorf("the backend got %v", got.Header)
		}
	})
	s.attack(t, "a bad token beside a public path", func(t *testing.T, a *attempt) {
		a.secret(expired)
		a.refusedFor(a.get("/public/%78", expired), "expired")
	})
}
