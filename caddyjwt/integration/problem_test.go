package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const (
	problemJSON = "application/problem+json"
	problemText = "text/plain; charset=utf-8"
)

// problemSite is a site that answers refused requests with problem details, by every protocol. An error route that
// would change them is there as well.
func problemSite(t *testing.T, lines ...string) (s *site, ways []way, issuer string, key *tokentest.Key) {
	key = tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s, ways = startEverywhere(t, "header Content-Encoding br\nheader Content-Type text/html\nheader ETag '\"1\"'\n"+
		gateFor(append([]string{"error_format problem", issuerByJWKS(as)}, lines...)...)+
		"\nhandle_errors {\nrespond \"an error route\" 418\n}\n")
	return s, ways, as.URL, key
}

// explains wants the body of a refusal to be problem details that say what the challenge says, and nothing else.
func (s *site) explains(a answer) {
	s.t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		s.t.Fatalf("body %q: %v", a.body, err)
	}
	const manual = "https://github.com/caddyjwt/gateway/blob/main/docs/errors.md#"
	want := map[string]any{"status": float64(a.StatusCode), "title": body["title"], "detail": body["detail"]}
	if text, _ := body["title"].(string); text == "" {
		s.t.Error("there is no title")
	}
	if text, _ := body["detail"].(string); text == "" {
		s.t.Error("there is no detail")
	}
	switch challenge := a.Header.Get("WWW-Authenticate"); challenge {
	case "":
		want["type"], want["title"] = "about:blank", http.StatusText(a.StatusCode)
	default:
		params, err := parseChallenge(challenge)
		if err != nil {
			s.t.Fatal(err)
		}
		want["type"] = manual + "token_needed"
		if code := params["error"]; code != "" {
			want["type"], want["error"], want["detail"] = manual+code, code, params["error_description"]
		}
		if params["scope"] != "" {
			want["scope"] = params["scope"]
		}
	}
	if !maps.Equal(body, want) {
		s.t.Errorf("body %v, want %v", body, want)
	}
}

// Whatever the reason and the protocol, the body says what the challenge says. The fields of a refusal stay, and no
// error route runs.
func TestProblemDetailsOfARefusal(t *testing.T) {
	s, ways, issuer, key := problemSite(t, "require scope read write", "token_from header Authorization",
		"token_from form t")
	good := key.Sign(t, issuedBy(issuer))
	s.get("/", good) // fetches the keys
	for _, way := range ways {
		for name, c := range map[string]struct {
			method, token, body string
			status              int
			reason              string
		}{
			"no token":      {"GET", "", "", 401, "missing_token"},
			"two tokens":    {"GET", good + ", Bearer " + good, "", 400, "malformed_request"},
			"a bad token":   {"GET", tokentest.FlipSignature(t, good), "", 401, "invalid_signature"},
			"no rights":     {"GET", good, "", 403, "insufficient_scope"},
			"a bad POST":    {"POST", "x", "some body", 401, "malformed_token"},
			"a long form":   {"FORM", "", "a=" + strings.Repeat("b", 1<<20), 413, "body_too_large"},
			"other methods": {"PROPFIND", "x", "", 401, "malformed_token"},
		} {
			t.Run(way.name+", "+name, func(t *testing.T) {
				s := s.in(t)
				s.client, s.base = way.client, strings.TrimSuffix(way.url, "/")
				var fields []string
				if c.token != "" {
					fields = []string{"Authorization", "Bearer " + c.token}
				}
				method := c.method
				if method == "FORM" {
					method, fields = http.MethodPost, append(fields, "Content-Type", formType)
				}
				a := s.do(s.request(method, "/", strings.NewReader(c.body), fields...))
				s.refused(a, c.status, c.reason)
				s.explains(a)
				if a.Header.Get("Content-Type") != problemJSON || a.Header.Get("Content-Length") != strconv.Itoa(len(a.body)) ||
					a.Header.Get("Content-Encoding") != "" || a.Header.Get("ETag") != "" {
					t.Errorf("fields %v for %d bytes", a.Header, len(a.body))
				}
			})
		}
		t.Run(way.name+", HEAD", func(t *testing.T) {
			s := s.in(t)
			s.client, s.base = way.client, strings.TrimSuffix(way.url, "/")
			got, head := s.get("/", "x"), s.do(s.request(http.MethodHead, "/", nil, "Authorization", "Bearer x"))
			s.refused(head, http.StatusUnauthorized, "malformed_token")
			for _, name := range []string{"Content-Type", "Content-Length", "WWW-Authenticate"} {
				if head.Header.Get(name) != got.Header.Get(name) || got.Header.Get(name) == "" {
					t.Errorf("%s is %q for HEAD, and %q for GET", name, head.Header.Get(name), got.Header.Get(name))
				}
			}
			if head.body != "" {
				t.Errorf("a body: %q", head.body)
			}
		})
		t.Run(way.name+", gRPC", func(t *testing.T) {
			s := s.in(t)
			s.client, s.base = way.client, strings.TrimSuffix(way.url, "/")
			for _, contentType := range []string{"application/grpc", "application/grpc+proto", "application/GRPC-Web-text"} {
				a := s.do(s.request(http.MethodPost, "/", strings.NewReader("\x00\x00\x00\x00\x00"), "Te", "trailers",
					"Content-Type", contentType, "Authorization", "Bearer x"))
				s.refused(a, http.StatusUnauthorized, "malformed_token")
				if a.body != "" || strings.Contains(a.Header.Get("Content-Type"), "problem") {
					t.Errorf("%s: fields %v, body %q", contentType, a.Header, a.body)
				}
			}
		})
	}
	s.passed(s.get("/", key.Sign(t, issuedBy(issuer, "scope", "read write"))))
}

// Trouble of ours has a body, too, and Retry-After. It is in our log once, in the access log, and nowhere else.
func TestProblemDetailsOfOurTrouble(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor("error_format problem", issuerByJWKS(as)))
	as.Down()
	var a answer
	line := s.logs("/trouble", func(path string) { a = s.get(path, key.Sign(t, issuedBy(as.URL))) })
	s.ourFaultFor(a, http.StatusServiceUnavailable, "keys_unavailable", true)
	s.explains(a)
	if line["status"] != 503.0 || line["level"] != "error" || line["auth_reason"] != "keys_unavailable" {
		t.Errorf("line in the access log: %v", line)
	}
	if n := strings.Count(s.log(), `"msg":"request refused"`); n != 1 || s.logged(`"logger":"http.log.error`) {
		t.Errorf("%d lines in our log, or one of Caddy's about an error:\n%s", n, s.log())
	}
}

// The access log and our own log have a refusal as they have it without a body. A stranger's cause no error.
func TestProblemDetailsInTheLogs(t *testing.T) {
	s, _, _, key := problemSite(t)
	line := s.logs("/log", func(path string) { s.get(path, key.Sign(t, issuedBy("https://nobody.example"))) })
	if line["status"] != 401.0 || line["level"] != "info" || line["auth_reason"] != "unknown_issuer" ||
		line["size"] == 0.0 {
		t.Errorf("line in the access log: %v", line)
	}
	if s.logged(`"logger":"http.log.error`) {
		t.Errorf("a line of Caddy's about an error:\n%s", s.log())
	}
}

// The client gets the form that it accepts.
func TestProblemDetailsInTheAcceptedForm(t *testing.T) {
	s, ways, _, _ := problemSite(t)
	for _, way := range ways {
		for accept, want := range map[string]string{
			"": problemJSON, "*/*": problemJSON, "application/json": "application/json", "text/plain": problemText,
			"text/html,application/xhtml+xml,*/*;q=0.8":                   problemText,
			"application/problem+json;q=0.1, application/json, text/html": "application/json",
		} {
			t.Run(fmt.Sprintf("%s, %q", way.name, accept), func(t *testing.T) {
				s := s.in(t)
				s.client, s.base = way.client, strings.TrimSuffix(way.url, "/")
				var fields []string
				if accept != "" {
					fields = []string{"Accept", accept}
				}
				a := s.get("/", "", fields...)
				if got := a.Header.Get("Content-Type"); got != want {
					t.Fatalf("Content-Type %q, want %q", got, want)
				}
				if want != problemText {
					s.explains(a)
				} else if a.body != "an access token is needed\n" {
					t.Errorf("body %q", a.body)
				}
			})
		}
	}
}

// The body tells an attacker more than the challenge: which rule has refused a token, or text of the token itself. Bad
// tokens get the same bytes, in every form.
func TestAttackAnswerProblemDetails(t *testing.T) {
	s, _, issuer, key := problemSite(t, consumerAlice(t), "require scope read")
	token := key.Sign(t, issuedBy(issuer, "scope", "read"))
	const mark = `MARK","reason":"</script>`
	for _, accept := range []string{"application/json", "text/plain", "text/html", mark + ", */*"} {
		answers := make(map[string]string)
		for name, token := range map[string]string{
			"unknown issuer": key.Sign(t, issuedBy(mark)),
			"unknown kid":    key.Sign(t, issuedBy(mark), map[string]any{"kid": mark}),
			"bad signature":  tokentest.FlipSignature(t, token),
			"expired":        key.Sign(t, issuedBy(issuer, "exp", 1)),
			"not yet valid":  key.Sign(t, issuedBy(issuer, "nbf", time.Now().Unix()+900)),
			"audience":       key.Sign(t, issuedBy(issuer, "aud", mark)),
			"a consumer's":   tokentest.FlipSignature(t, hmacKey(t).Sign(t, claims())),
			"alg none":       forged(`{"alg":"none"}`, `{}`, []byte("x")),
			"type":           key.Sign(t, issuedBy(issuer), map[string]any{"typ": mark + "+jwt"}),
			"bound":          key.Sign(t, issuedBy(issuer, "cnf", map[string]any{mark: 1})),
		} {
			s.attack(t, fmt.Sprintf("%s for %.12s", name, accept), func(t *testing.T, a *attempt) {
				got := a.send(token, "Accept", accept)
				a.refusedFor(got, "unknown_issuer", "invalid_signature", "expired", "not_yet_valid", "invalid_audience",
					"unsupported_algorithm", "invalid_type", "proof_required", "malformed_token")
				if strings.Contains(fmt.Sprint(got.Header, got.body), "MARK") {
					t.Errorf("the attacker's text is in the answer: %v %s", got.Header, got.body)
				}
				got.Header.Del("Date")
				answers[fmt.Sprint(got.Header, got.body)] = name
			})
		}
		if len(answers) != 1 {
			t.Errorf("answers differ: %q", answers)
		}
	}
}

// An Accept field is made to cost the gate time or memory, or to make it fail.
func TestAttackAnswerAcceptField(t *testing.T) {
	s, _, _, _ := problemSite(t)
	for name, accept := range map[string]string{
		"many ranges":     strings.Repeat("a/b;q=0.1,", 1500),
		"many parameters": "text/plain" + strings.Repeat(";a=b", 3700),
		"many quotes":     strings.Repeat(`a/b;c="\",`, 1500),
		"commas":          strings.Repeat(",", 15000),
		"an endless one":  "text/" + strings.Repeat("a", 15000),
		"no meaning":      "\x80\xff/\t;;q=q=q,\"",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.cheaply(func() {
				for range 20 {
					got := a.get("/", "", "Accept", accept)
					if got.StatusCode != http.StatusUnauthorized || got.Header.Get("Content-Type") != problemJSON {
						t.Fatalf("status %d, fields %v", got.StatusCode, got.Header)
					}
				}
			})
			a.nothingForwarded()
		})
	}
	s.attack(t, "many fields", func(t *testing.T, a *attempt) {
		r := a.request(http.MethodGet, "/", nil)
		for range 700 {
			r.Header.Add("Accept", "text/plain")
		}
		if got := a.do(r); got.StatusCode != http.StatusUnauthorized || got.Header.Get("Content-Type") != problemJSON {
			t.Errorf("status %d, fields %v", got.StatusCode, got.Header)
		}
	})
}

// After a refusal whose body the gate has written, the connection serves the next request, whether or not the client
// has sent the body that it announced.
func TestProblemDetailsLeaveTheConnectionInOrder(t *testing.T) {
	s, _, issuer, key := problemSite(t)
	token := key.Sign(t, issuedBy(issuer))
	conn, err := s.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline())
	text := "POST /1 HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\n\r\nabcde" +
		"HEAD /2 HTTP/1.1\r\nHost: gate.test\r\n\r\n" +
		"POST /3 HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n" +
		"1\r\na\r\n0\r\nX-A: b\r\n\r\n" +
		"GET /4 HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\n\r\n"
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(answers), "HTTP/1.1 401"); n != 3 || !strings.HasSuffix(string(answers), "\r\n\r\nok") {
		t.Errorf("%d refusals:\n%s", n, answers)
	}
	if n := strings.Count(string(answers), `{"type":`); n != 2 {
		t.Errorf("%d bodies:\n%s", n, answers)
	}
	if requests := s.upstream.take(); len(requests) != 1 || requests[0].URI != "/4" {
		t.Errorf("the backend got %v", requests)
	}
}
