package integration

import (
	"net/http"
	"strings"
	"testing"
)

// preflight asks whether a page may send a POST with these header fields.
func (b *booth) preflight(path, origin, fields string) answer {
	b.t.Helper()
	return b.do(b.request(http.MethodOptions, path, nil, "Origin", origin, "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", fields))
}

// Pages of the listed origin can sign in, refresh, call and log out, and read every answer, refusals included.
func TestPagesOfAnotherOriginSignIn(t *testing.T) {
	b := newBooth(t)
	cors := "cors {\norigins " + friend + "\n}"
	user := "user alice " + hashOf(t, password)
	b.runs(issuingFor(ownIssuer, user, appOf(orders), cors), localGate(cors))
	for _, address := range []string{"login", "refresh", "logout", "revoke", "7"} {
		a := b.preflight(orders+address, friend, "authorization,content-type")
		if a.StatusCode != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != friend {
			t.Errorf("preflight for %s: status %d, %v", address, a.StatusCode, a.Header)
		}
	}
	from := []string{"Origin", friend}
	reads := func(a answer, status int) answer {
		t.Helper()
		if a.StatusCode != status {
			t.Errorf("status %d, want %d: %s", a.StatusCode, status, a.body)
		}
		b.readable(a, friend, true)
		return a
	}
	p := b.pairIn(reads(b.post(orders+"login", asJSONBody, signsIn(), from...), http.StatusOK))
	p = b.pairIn(reads(b.post(orders+"refresh", asJSONBody, refreshes(p.Refresh), from...), http.StatusOK))
	reads(b.get(orders+"7", p.Access, from...), http.StatusOK)
	b.drain()
	reads(b.post(orders+"login", asJSONBody, signsIn("alice", "wrong"), from...), http.StatusUnauthorized)
	reads(b.post(orders+"login", asJSONBody, "{", from...), http.StatusBadRequest)
	reads(b.post(orders+"login", "text/plain", "{}", from...), http.StatusUnsupportedMediaType)
	reads(b.post(orders+"login", asJSONBody, strings.Repeat(" ", 20000), from...), http.StatusRequestEntityTooLarge)
	reads(b.do(b.request(http.MethodDelete, orders+"login", nil, from...)), http.StatusMethodNotAllowed)
	reads(b.post(orders+"refresh", asJSONBody, refreshes("x"), from...), http.StatusUnauthorized)
	reads(b.post(orders+"logout", "", "", from...), http.StatusUnauthorized)
	b.guesses(12, fixed(b.from), fixed("bob"))
	a := reads(b.post(orders+"login", asJSONBody, signsIn("bob", "x"), from...), http.StatusTooManyRequests)
	if exposed := a.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, "Retry-After") {
		t.Errorf("exposed %q: a page cannot see when to try again", exposed)
	}
	reads(b.post(orders+"logout", "", "", append(from, "Authorization", "Bearer "+p.Access)...), http.StatusNoContent)
	reads(b.get(orders+"7", p.Access, from...), http.StatusUnauthorized)
}

// A page of another origin, in the browser of a user: it cannot read an answer, and without a preflight, which is
// denied, it can send nothing that signs in or refreshes.
func TestAttackPagesOfOtherOriginsSignIn(t *testing.T) {
	b := newBooth(t)
	user := "user alice " + hashOf(t, password)
	for name, cors := range map[string]string{"with cors": "cors {\norigins " + friend + "\n}", "without": ""} {
		b.runs(issuingFor(ownIssuer, user, appOf(orders), cors), localGate(cors))
		p := b.login()
		for _, origin := range []string{
			stranger, "null", friend + ".evil.example", "http://app.example.com", strings.ToUpper(friend), friend + ":8443",
		} {
			b.attack(t, name+" "+origin, func(t *testing.T, b *booth, _ *attempt) {
				unreadable := func(a answer) {
					t.Helper()
					for field := range a.Header {
						if strings.HasPrefix(field, "Access-Control-") {
							t.Errorf("the answer has %s: %q", field, a.Header[field])
						}
					}
				}
				for _, address := range []string{"login", "refresh", "logout"} {
					a := b.preflight(orders+address, origin, "content-type")
					unreadable(a)
					if a.StatusCode < 400 {
						t.Errorf("preflight: status %d", a.StatusCode)
					}
					b.nothingForwarded()
				}
				// What a page can send without a preflight (Fetch standard, "CORS-safelisted request-header").
				for _, kind := range []string{"text/plain", asForm, "multipart/form-data; boundary=x", ""} {
					a := b.post(orders+"login", kind, signsIn(), "Origin", origin)
					b.noPair(a)
					unreadable(a)
				}
				// A client that is no browser may send what it likes. A browser does not show it to the page.
				unreadable(b.post(orders+"login", asJSONBody, signsIn(), "Origin", origin))
				unreadable(b.post(orders+"login", asJSONBody, signsIn("alice", "wrong"), "Origin", origin,
					"X-Forwarded-For", newAddress()))
				unreadable(b.post(orders+"refresh", asJSONBody, refreshes("x"), "Origin", origin))
			})
		}
		b.refresh(p)
	}
}
