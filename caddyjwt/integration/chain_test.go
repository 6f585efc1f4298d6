package integration

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// behind is the site's Caddyfile with something else in place of the gate and the reverse proxy: in the text, GATE is a
// gate with these lines, and BACKEND is "reverse_proxy" to the upstream.
func (s *site) behind(text string, lines ...string) {
	s.t.Helper()
	text = strings.NewReplacer("GATE", gateFor(lines...), "BACKEND", "reverse_proxy "+s.upstream.addr()).Replace(text)
	s.loadFile(strings.Replace(s.caddyfile(text), "\n\treverse_proxy "+s.upstream.addr(), "", 1))
}

// What the gate knows about the caller can be used by everything behind it, with the types that the claims have.
func TestChainPlaceholdersHaveTheTypesOfTheClaims(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	for name, expression := range map[string]string{
		"a number":               `{http.auth.user.age} >= 18 && {http.auth.user.age} < 19.5`,
		"a fraction":             `{http.auth.user.score} > 0.5 && {http.auth.user.score} < 0.75`,
		"a boolean":              `{http.auth.user.staff} == true`,
		"a text":                 `{http.auth.user.name} == "Zoë"`,
		"an element of an array": `"clerk" in {http.auth.user.realm_access.roles}`,
		"the size of an array":   `size({http.auth.user.realm_access.roles}) == 2`,
		"a member of an object":  `{http.auth.user.realm_access}.roles[0] == "clerk"`,
		"a name with dots":       `ph(req, "http.auth.user.com\\.example\\.team") == "blue"`,
		"a name that is a URL":   `ph(req, "http.auth.user.https://example.com/tenant") == "t1"`,
		"a JSON pointer":         `ph(req, "http.auth.user./addresses/0/city") == "Bonn"`,
		"a claim that is not":    `{http.auth.user.nothing} == null`,
		"the caller":             `{http.auth.user.id} == "zoe"`,
		"a claim of the name id": `ph(req, "http.auth.user./id") == "another"`,
		"the issuer":             fmt.Sprintf(`{http.auth.bearer.issuer} == %q`, as.URL),
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.behind("@it expression `"+expression+"`\nGATE\nrespond @it yes\nrespond no", issuerByJWKS(as))
			token := key.Sign(t,
				issuedBy(as.URL, "sub", "zoe", "id", "another", "age", 18, "score", 0.625, "staff", true, "name", "Zoë",
					"realm_access", map[string]any{"roles": []string{"clerk", "manager"}}, "com.example.team", "blue",
					"https://example.com/tenant", "t1", "addresses", []any{map[string]any{"city": "Bonn"}}))
			if a := s.get("/", token); a.StatusCode != http.StatusOK || a.body != "yes" {
				t.Errorf("status %d, body %q: %s", a.StatusCode, a.body, expression)
			}
		})
	}
}

func TestChainAccessLogNamesTheUser(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as), consumerAlice(t)))
	for _, test := range []struct{ name, token, want string }{
		{"a consumer", hmacKey(t).Sign(t, claims("sub", "somebody")), "alice"},
		{"the subject of an issuer's token", key.Sign(t, issuedBy(as.URL, "sub", "zoe")), "zoe"},
		{"a token without a subject", key.Sign(t, issuedBy(as.URL, "sub", nil)), ""},
		{"a token that is refused", key.Sign(t, issuedBy(as.URL, "sub", "zoe", "exp", 1)), ""},
		{"no token", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := s.in(t)
			before := strings.Count(s.log(), `"http.log.access`)
			s.get("/", test.token)
			eventually(t, "the request is logged", func() bool { return strings.Count(s.log(), `"http.log.access`) > before })
			if got := s.accessLog()["user_id"]; got != test.want {
				t.Errorf("user_id %q, want %q", got, test.want)
			}
		})
	}
}

// The gate guards what its matcher names, wherever it stands. Everything else stays open.
func TestChainMatchersAndRoutes(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	for name, test := range map[string]struct {
		text          string
		closed, open  []string
		atTheUpstream map[string]string
	}{
		"everything": {text: "GATE\nBACKEND", closed: []string{"/", "/a"}},
		"a named matcher": {text: "@private path /private* /admin\nbearer_auth @private {\nLINES\n}\nBACKEND",
			closed: []string{"/private", "/private/x", "/admin"}, open: []string{"/", "/public"}},
		"an inline matcher": {text: "bearer_auth /private/* {\nLINES\n}\nBACKEND", closed: []string{"/private/x"},
			open: []string{"/private", "/"}},
		"a matcher that negates": {text: "@private not path /public/*\nbearer_auth @private {\nLINES\n}\nBACKEND",
			closed: []string{"/", "/x"}, open: []string{"/public/x"}},
		"handle": {text: "handle /private/* {\nGATE\nBACKEND\n}\nhandle {\nBACKEND\n}",
			closed: []string{"/private/x"}, open: []string{"/x"}},
		"handle_path": {text: "handle_path /private/* {\nGATE\nBACKEND\n}\nhandle {\nBACKEND\n}",
			closed: []string{"/private/x"}, open: []string{"/x"}, atTheUpstream: map[string]string{"/private/x": "/x"}},
		"route": {text: "route /private/* {\nGATE\nuri strip_prefix /private\nBACKEND\n}\nroute {\n" +
			"BACKEND\n}", closed: []string{"/private/x"}, open: []string{"/x"},
			atTheUpstream: map[string]string{"/private/x": "/x"}},
		"after forward_auth": {text: "route {\nforward_auth " + "UPSTREAM" + " {\nuri /check\n}\nGATE\nBACKEND\n}",
			closed: nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			lines := consumerAlice(t)
			s.behind(strings.NewReplacer("LINES", lines, "UPSTREAM", s.upstream.addr()).Replace(test.text), lines)
			if name == "after forward_auth" {
				a := s.get("/x", token)
				requests := s.upstream.take()
				if a.StatusCode != http.StatusOK || len(requests) != 2 ||
					requests[1].Header.Get("X-Consumer-Username") != "alice" || requests[1].Header.Get("Authorization") != "" {
					t.Errorf("status %d, at the upstream %v", a.StatusCode, requests)
				}
				return
			}
			for _, path := range test.closed {
				s.refused(s.get(path, "", "X-Consumer-Username", "admin"), http.StatusUnauthorized, "missing_token")
				got := s.passed(s.get(path, token, "X-Consumer-Username", "admin"))
				if got.Header.Get("X-Consumer-Username") != "alice" || len(got.Header["X-Consumer-Username"]) != 1 {
					t.Errorf("%s: came as %q", path, got.Header["X-Consumer-Username"])
				}
				if want, ok := test.atTheUpstream[path]; ok && got.URI != want {
					t.Errorf("%s: %s at the upstream, want %s", path, got.URI, want)
				}
			}
			for _, path := range test.open {
				s.passed(s.get(path, ""))
			}
		})
	}
}

// Two gates stand in one chain, and each takes its token from another place. Both must accept. The inner one decides
// who the caller is.
func TestChainTwoGates(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	outer := gateFor(consumerAlice(t), "token_from header X-Gate-Token")
	s.behind("route {\n"+outer+"\nGATE\nheader X-Caller {http.auth.user.id}\nBACKEND\n}", issuerByJWKS(as),
		"forward_claims X-User sub")
	alice, zoe := hmacKey(t).Sign(t, claims()), key.Sign(t, issuedBy(as.URL, "sub", "zoe"))

	a := s.get("/", zoe, "X-Gate-Token", alice)
	got := s.passed(a)
	if a.Header.Get("X-Caller") != "zoe" || got.Header.Get("X-User") != "zoe" {
		t.Errorf("the caller is %q, and %q at the upstream", a.Header.Get("X-Caller"), got.Header.Get("X-User"))
	}
	// The inner gate cannot tell the headers of the outer one from those of a client.
	if got.Header.Get("X-Consumer-Username") != "" || got.Header.Get("X-Gate-Token") != "" ||
		got.Header.Get("Authorization") != "" {
		t.Errorf("at the upstream: %v", got.Header)
	}
	s.refused(s.get("/", zoe), http.StatusUnauthorized, "missing_token")
	s.refused(s.get("/", "", "X-Gate-Token", alice), http.StatusUnauthorized, "missing_token")
}

// A gate in an error route speaks about the token that it has accepted, and not about the refused one.
func TestChainGateInAnErrorRoute(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	mighty, other := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	s.behind("GATE\nBACKEND\nhandle_errors {\n"+gateFor(issuerByJWKS(other))+
		"\nrespond `{http.auth.bearer.issuer} {http.auth.user.id}`\n}",
		issuerByJWKS(mighty), "token_from header X-Gate-Token")
	forged := tokentest.FlipSignature(t, key.Sign(t, issuedBy(mighty.URL, "sub", "admin")))
	a := s.get("/", key.Sign(t, issuedBy(other.URL, "sub", "zoe")), "X-Gate-Token", forged)
	if a.body != other.URL+" zoe" {
		t.Errorf("status %d, body %q", a.StatusCode, a.body)
	}
}

// The answer to a HEAD request has the headers of the refusal and no body.
func TestChainHead(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	a := s.do(s.request(http.MethodHead, "/", nil))
	s.refused(a, http.StatusUnauthorized, "missing_token")
	if a.Header.Get("WWW-Authenticate") != `Bearer realm="api"` || a.body != "" {
		t.Errorf("challenge %q, body %q", a.Header.Get("WWW-Authenticate"), a.body)
	}
	r := s.request(http.MethodHead, "/", nil, "Authorization", "Bearer "+hmacKey(t).Sign(t, claims()))
	if got := s.passed(s.do(r)); got.Method != http.MethodHead {
		t.Errorf("%s at the upstream", got.Method)
	}
}

// With a form as a place for the token, other bodies go through as they come, before they are complete.
func TestChainUploadsAreNotHeldUp(t *testing.T) {
	s := prepare(t)
	half := make(chan string, 1)
	first := strings.Repeat("a", 64<<10)
	s.upstream.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := make([]byte, len(first))
		_, err := io.ReadFull(r.Body, start)
		half <- fmt.Sprint(string(start) == first, err)
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	s.load(gateFor(consumerAlice(t), "token_from header Authorization", "token_from form access_token"))
	for _, contentType := range []string{"application/octet-stream", "multipart/form-data; boundary=x", "text/plain", ""} {
		t.Run(contentType, func(t *testing.T) {
			s := s.in(t)
			reader, writer := io.Pipe()
			go func() {
				_, _ = io.WriteString(writer, first)
				select { // the rest is only sent once the backend has the first part
				case got := <-half:
					if got != "true <nil>" {
						t.Errorf("the backend read %s", got)
					}
				case <-t.Context().Done():
				}
				_, _ = io.CopyN(writer, zeros{}, 8<<20)
				_ = writer.Close()
			}()
			r := s.request(http.MethodPost, "/", reader, "Authorization", "Bearer "+hmacKey(t).Sign(t, claims()))
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			if a := s.do(r); a.StatusCode != http.StatusOK || a.body != fmt.Sprint(8<<20, nil) {
				t.Errorf("status %d, body %q", a.StatusCode, a.body)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// The body of a form reaches the backend byte for byte, and without the token only when that was in it.
func TestChainFormBodies(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	odd := "a=1&&b=%7e+x&c=%7E%20x&=&d&a=2"
	for _, test := range []struct {
		name, line, body, want string
		inHeader               bool
	}{
		{"token in the form", "", "access_token=" + token + "&" + odd, odd, false},
		{"token in the middle", "", "x=%41&access_token=" + token + "&" + odd, "x=%41&" + odd, false},
		{"token at the end", "", odd + "&access_token=" + token, odd, false},
		{"token in the header", "", odd, odd, true},
		{"forward_token, token in the form", "forward_token", "access_token=" + token + "&" + odd,
			"access_token=" + token + "&" + odd, false},
		{"forward_token, name and token escaped", "forward_token", odd + "&access%5Ftoken=" + url.QueryEscape(token),
			odd + "&access%5Ftoken=" + url.QueryEscape(token), false},
		{"forward_token, token in the header", "forward_token", odd, odd, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t,
				gateFor(consumerAlice(t), "token_from header Authorization", "token_from form access_token", test.line))
			r := s.request(http.MethodPost, "/", strings.NewReader(test.body), "Content-Type",
				"application/x-www-form-urlencoded")
			if test.inHeader {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			got := s.passed(s.do(r))
			if got.Body != test.want {
				t.Errorf("body %q at the upstream, want %q", got.Body, test.want)
			}
			if length := got.Header.Get("Content-Length"); length != "" && length != fmt.Sprint(len(test.want)) {
				t.Errorf("Content-Length %s for %d bytes", length, len(test.want))
			}
			if forwarded := got.Header.Get("Authorization") != ""; forwarded != (test.inHeader && test.line == "forward_token") {
				t.Errorf("Authorization %q at the upstream", got.Header.Get("Authorization"))
			}
		})
	}
}

// A client asks before it sends its body. The gate refuses it without the body, or tells it to go on.
func TestChainExpectContinue(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from header Authorization", "token_from form access_token"))
	ask := func(header string) (*bufio.Reader, io.WriteCloser) {
		conn, err := s.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn,
			"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"+header+"\r\n"); err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(conn), conn
	}
	bearing := "Authorization: Bearer " + hmacKey(t).Sign(t, claims()) + "\r\n"
	for name, test := range map[string]struct {
		header string
		goOn   bool
		status int
	}{
		"refused":             {"", false, http.StatusUnauthorized},
		"refused, malformed":  {bearing + bearing, false, http.StatusBadRequest},
		"passed":              {bearing, true, http.StatusOK},
		"a form is looked at": {"Content-Type: application/x-www-form-urlencoded\r\n", true, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			reader, conn := ask(test.header)
			defer conn.Close()
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.goOn {
				if response.StatusCode != http.StatusContinue {
					t.Fatalf("status %d, want 100", response.StatusCode)
				}
				_, _ = io.WriteString(conn, "a=b")
				for response.StatusCode == http.StatusContinue { // the proxy passes on that of the backend, too
					if response, err = http.ReadResponse(reader, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			defer response.Body.Close()
			if response.StatusCode != test.status {
				t.Errorf("status %d, want %d", response.StatusCode, test.status)
			}
			requests := s.upstream.take()
			if passed := test.status == http.StatusOK; len(requests) != map[bool]int{true: 1}[passed] || passed &&
				requests[0].Body != "a=b" {
				t.Errorf("at the upstream: %v", requests)
			}
		})
	}
}
