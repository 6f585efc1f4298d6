package integration

import (
	"net/http"
	"strings"
	"testing"
)

// A shared cache keeps the answer to a request whose token was not in Authorization, and hands it to everybody: RFC
// 6750 section 2.3, RFC 9111 section 3.5. Such answers are private, and refusals are not stored at all.
func TestAttackAnswerInASharedCache(t *testing.T) {
	s := start(t,
		gateFor(consumerAlice(t), "token_from header Authorization", "token_from header X-Token", "token_from query jwt",
			"token_from cookie jwt", "token_from form jwt"))
	token := hmacKey(t).Sign(t, claims())
	for _, upstream := range []string{"", "public, max-age=3600", "s-maxage=60", "PUBLIC",
		"max-age=60, Public , s-maxage=1", "no-store"} {
		s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
			if upstream != "" {
				w.Header().Set("Cache-Control", upstream)
			}
			_, _ = w.Write([]byte("ok"))
		}
		for place, send := range map[string]func(a *attempt) answer{
			"query":         func(a *attempt) answer { return a.get("/?jwt="+token, "") },
			"cookie":        func(a *attempt) answer { return a.get("/", "", "Cookie", "jwt="+token) },
			"custom header": func(a *attempt) answer { return a.get("/", "", "X-Token", token) },
			"form":          func(a *attempt) answer { return a.form("/", "jwt="+token) },
		} {
			s.attack(t, place+" with "+upstream, func(t *testing.T, a *attempt) {
				got := send(a)
				a.passed(got)
				directives := strings.ToLower(strings.Join(got.Header["Cache-Control"], ","))
				if !strings.Contains(directives, "private") && !strings.Contains(directives, "no-store") ||
					strings.Contains(directives, "public") || strings.Contains(directives, "s-maxage") {
					t.Errorf("Cache-Control %q", directives)
				}
			})
		}
	}
}

// Some shared caches have a header field of their own, and read Cache-Control only where that is missing: RFC 9213
// section 2.2. The backend or the site may set that field. It must not undo what the gate says. Otherwise another user
// gets the answer to a token in a cookie, or everybody gets the refusal of one request without a token.
func TestAttackAnswerTargetedCacheControl(t *testing.T) {
	s := prepare(t)
	fields := []string{"CDN-Cache-Control", "Example-Cache-Control", "Surrogate-Control"}
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		for _, field := range fields {
			w.Header().Set(field, "max-age=600")
		}
	}
	site := ""
	for _, field := range fields {
		site += "header " + field + " max-age=600\n"
	}
	s.behind(site+"GATE\nBACKEND", consumerAlice(t), "token_from header Authorization", "token_from cookie jwt")
	token := hmacKey(t).Sign(t, claims())
	clean := func(t *testing.T, got answer) {
		for _, field := range fields {
			if values := got.Header[http.CanonicalHeaderKey(field)]; len(values) > 0 {
				t.Errorf("%s %q", field, values)
			}
		}
	}
	s.attack(t, "accepted", func(t *testing.T, a *attempt) {
		got := a.get("/", "", "Cookie", "jwt="+token)
		a.passed(got)
		clean(t, got)
		if got.Header.Get("Cache-Control") != "private" {
			t.Errorf("Cache-Control %q", got.Header["Cache-Control"])
		}
	})
	s.attack(t, "refused", func(t *testing.T, a *attempt) {
		got := a.get("/", "")
		a.refusedFor(got, "missing_token")
		clean(t, got)
	})
}
