package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The origin that the tests allow, and one that they do not.
const (
	friend   = "https://app.example.com"
	stranger = "https://evil.example"
)

// corsBlock is the word cors with these lines, for pages of the friend.
func corsBlock(lines ...string) string {
	return "cors {\n" + strings.Join(append([]string{"origins " + friend}, lines...), "\n") + "\n}"
}

// readable wants a page of this origin to be able to read the answer, and its challenge, or not.
func (s *site) readable(got answer, origin string, want bool) {
	s.t.Helper()
	var allowed []string
	if want {
		allowed = []string{origin}
	}
	if fields := got.Header["Access-Control-Allow-Origin"]; fmt.Sprint(fields) != fmt.Sprint(allowed) {
		s.t.Errorf("Access-Control-Allow-Origin %q, want %q", fields, allowed)
	}
	if exposed := got.Header.Get("Access-Control-Expose-Headers"); strings.Contains(exposed, "Www-Authenticate") != want {
		s.t.Errorf("Access-Control-Expose-Headers %q", exposed)
	}
	if !want {
		for name := range got.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				s.t.Errorf("the answer has %s: %q", name, got.Header[name])
			}
		}
	}
	vary := strings.Join(got.Header["Vary"], ",")
	if n := strings.Count(strings.ToLower(vary), "origin"); n != 1 {
		s.t.Errorf("Vary %q has Origin %d times", vary, n)
	}
}

// A backend with CORS of its own: it allows every origin, with credentials, and twice.
func allowsEverybody(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Access-Control-Allow-Origin"] = []string{r.Header.Get("Origin"), "*"}
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "X-Total")
	h.Set("Vary", "Accept, origin")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "ok")
}

// Whatever the gate, the method, the outcome and the backend: pages of a listed origin can read the answer, and no
// others can.
func TestCORSOfEveryAnswer(t *testing.T) {
	s := prepare(t)
	for name, mode := range map[string]string{
		"plain": "", "optional": "optional", "anonymous": "anonymous alice", "public": "public /open",
		"a requirement": "require scope write", "problem": "error_format problem", "the token": "forward_token",
		"another place": "token_from query t\ntoken_from header Authorization Bearer",
	} {
		for _, word := range []string{"", "credentials"} {
			s.load(gateFor(consumerAlice(t), corsBlock(word), mode))
			for what, backend := range map[string]http.HandlerFunc{"a silent backend": nil, "its own CORS": allowsEverybody} {
				s.upstream.answer = backend
				t.Run(strings.Join([]string{name, word, what}, ", "), func(t *testing.T) {
					s.in(t).corsOfEveryAnswer(word != "", backend != nil)
				})
			}
		}
	}
}

// corsOfEveryAnswer sends requests of all kinds.
func (s *site) corsOfEveryAnswer(credentials, exposes bool) {
	good := hmacKey(s.t).Sign(s.t, claims())
	for path, token := range map[string]string{"/": "", "/bad": "x.y.z", "/good": good, "/open": "", "/?t=" + good: ""} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
			for _, origin := range []string{friend, stranger, ""} {
				r := s.request(method, path, nil, "Origin", origin)
				if origin == "" {
					r.Header.Del("Origin")
				}
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				got := s.do(r)
				s.readable(got, origin, origin == friend)
				with := got.Header.Get("Access-Control-Allow-Credentials") == "true"
				exposed := strings.Contains(got.Header.Get("Access-Control-Expose-Headers"), "X-Total")
				if with != (credentials && origin == friend) ||
					exposed != (exposes && got.StatusCode == http.StatusAccepted && origin == friend) {
					s.t.Errorf("%s of %q: credentials %t, the backend's field %t", method, origin, with, exposed)
				}
			}
		}
	}
}

// Preflights are answered by the gate. The backend never sees one, and the access log has the reason of a denied one.
func TestCORSPreflights(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), corsBlock("max_age 10m")))
	got := s.raw("OPTIONS /orders HTTP/1.1\r\nHost: gate.test\r\nOrigin: " + friend +
		"\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization,content-type\r\n\r\n")
	if got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != friend ||
		got.Header.Get("Access-Control-Allow-Methods") != "PUT" || got.Header.Get("Access-Control-Max-Age") != "600" ||
		got.Header.Get("Access-Control-Allow-Headers") != "authorization,content-type" {
		t.Errorf("status %d, fields %v", got.StatusCode, got.Header)
	}
	got = s.raw("OPTIONS /orders HTTP/1.1\r\nHost: gate.test\r\nOrigin: " + stranger +
		"\r\nAccess-Control-Request-Method: PUT\r\n\r\n")
	if got.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, want 403", got.StatusCode)
	}
	s.readable(got, stranger, false)
	if why := fmt.Sprint(s.accessLog()["cors_denied"]); !strings.Contains(why, stranger) {
		t.Errorf("cors_denied %q", why)
	}
	s.nothingForwarded()
	got = s.raw("OPTIONS /orders HTTP/1.1\r\nHost: gate.test\r\nOrigin: " + friend + "\r\n\r\n")
	s.refused(got, http.StatusUnauthorized, "missing_token")
	s.readable(got, friend, true)
}

// Error routes write the page of a refusal and of a backend that is down. The page of the origin can read it.
func TestCORSOnErrorRoutes(t *testing.T) {
	s := prepare(t)
	caddyfile := s.caddyfile(gateFor(consumerAlice(t), corsBlock()))
	s.loadFile(strings.Replace(caddyfile, "reverse_proxy "+s.upstream.addr(),
		"handle /down* {\n reverse_proxy unix//does/not/exist\n}\nhandle {\n error 418\n}\nhandle_errors {\n"+
			"header X-Page yes\n respond \"page {err.status_code}\"\n}", 1))
	token := hmacKey(t).Sign(t, claims())
	for name, row := range map[string]struct {
		path, token string
		status      int
	}{
		"a refusal":              {"/", "", http.StatusUnauthorized},
		"an error behind":        {"/", token, http.StatusTeapot},
		"a backend that is down": {"/down", token, http.StatusBadGateway},
	} {
		got := s.get(row.path, row.token, "Origin", friend)
		if got.StatusCode != row.status || got.Header.Get("X-Page") != "yes" || !strings.HasPrefix(got.body, "page ") {
			t.Errorf("%s: status %d, fields %v, body %q", name, got.StatusCode, got.Header, got.body)
		}
		s.readable(got, friend, true)
	}
}

// An error route may ask a backend for its page. That backend's fields of CORS do not count there either. Gates in
// error routes, and error routes that are not taken, must not come into the way.
func TestCORSOfABackendInAnErrorRoute(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	gate := gateFor(consumerAlice(t), corsBlock())
	for name, routes := range map[string]string{
		"at once":           "handle_errors {\nBACKEND\n}",
		"for some statuses": "handle_errors 401 418 {\nBACKEND\n}\nhandle_errors {\nrespond other\n}",
		"behind a path":     "handle_errors {\nhandle /good {\nrespond never\n}\nhandle {\nBACKEND\n}\n}",
		"with two gates": gateFor(consumerAlice(t), corsBlock("expose X-Outer")) + "\nhandle_errors {\nroute {\n" +
			strings.Replace(gate, "bearer_auth", "bearer_auth /gated", 1) + "\nBACKEND\n}\n}",
		"below an encoder": "encode\nhandle_errors {\nencode\nBACKEND {\nheader_down +X-Down yes\n}\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			s.upstream.answer = allowsEverybody
			s.behind("GATE\nerror /error 418\nrespond /fine fine\n"+routes, consumerAlice(t), corsBlock(), "forward_token")
			for path, token := range map[string]string{"/": "", "/error": token} {
				for _, origin := range []string{friend, stranger} {
					got := s.get(path, token, "Origin", origin)
					if got.StatusCode != http.StatusAccepted {
						t.Errorf("%s: status %d, which is not that of the error route's backend", path, got.StatusCode)
					}
					want := map[string]int{"Access-Control-Allow-Origin": 1, "Access-Control-Expose-Headers": 1}
					if origin == stranger {
						want = nil
					}
					for field, values := range got.Header {
						if strings.HasPrefix(field, "Access-Control-") && len(values) != want[field] {
							t.Errorf("%s of %s: %s %q", path, origin, field, values)
						}
					}
					if allowed := got.Header.Get("Access-Control-Allow-Origin"); origin == friend && allowed != friend {
						t.Errorf("%s: Access-Control-Allow-Origin %q", path, allowed)
					}
				}
			}
			if got := s.get("/fine", token, "Origin", friend); got.body != "fine" {
				t.Errorf("status %d, body %q", got.StatusCode, got.body)
			}
		})
	}
}
