package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// spellingsOfLogin are other spellings of the address to sign in, for which the backend may have a page.
var spellingsOfLogin = []string{
	"/API/orders/LOGIN", "/api/orders//login", "//api/orders/login", "/api/orders/./login", "/api/orders/x/../login",
	"/api/orders/%6cogin", "/api/orders/%256cogin", "/%61pi/orders/login", "/api%2forders%2flogin", "/api/orders/login/",
	"/api/orders/login%2f", "/api/orders/login;x", "/api/orders;x=1/login", "/api/orders/login.",
	"/api/x/..;/orders/login",
	"/api/orders/login%20", "/api/orders/login%00", "/api/orders/login%3fx", "/api/orders/login%23", `/api/orders\login`,
	"/api/orders%5clogin", "/api/orders/log%c4%b1n", "/api/orders/login/?x", "/api/orders/Login?x",
	"//gate.test/api/orders/login", "/..%2fapi/orders/login", "/api/orders/login#x",
}

// Somebody's client is set to another spelling of an address, and sends a password there, where no gate stands between
// the issuer and the backend. The backend does not get it, and the answer says what the address is.
func TestAttackPasswordsToMisspeltAddresses(t *testing.T) {
	b, ways := openBoothEverywhere(t, func(b *booth) []string { return []string{b.issuerOf()} })
	misses := func(t *testing.T, b *booth, a answer) {
		t.Helper()
		b.failed(a, http.StatusNotFound, "invalid_request")
		if !strings.Contains(a.body, " /api/orders/login ") {
			t.Errorf("the answer does not have the address: %s", a.body)
		}
	}
	absolute := []string{"http://gate.test/API/orders/login", "http://gate.test/api/orders/login/", "HTTP://u@gate.test" +
		"/api/orders/login"}
	for _, target := range append(absolute, spellingsOfLogin...) {
		b.attack(t, target, func(t *testing.T, b *booth, _ *attempt) {
			for _, method := range []string{"POST", "PUT", "GET", "OPTIONS"} {
				misses(t, b, b.raw(strings.Replace(b.posted(target, signsIn()), "POST", method, 1)))
			}
			misses(t, b, b.raw(b.posted(target, "", "Authorization: Basic "+basicOf("alice", password))))
			chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(signsIn()), signsIn())
			misses(t, b, b.raw(b.posted(target, chunked, "Transfer-Encoding: chunked")))
			b.keepsSecrets()
		})
	}
	for _, by := range framers(b.site, ways) {
		for _, target := range append(absolute, spellingsOfLogin...) {
			b.attack(t, target+" by "+by.name, func(t *testing.T, b *booth, a *attempt) {
				head := by.to("POST", target, [2]string{"content-type", asJSONBody})
				status := by.sendBody(a, signsIn(), head)
				if origin := strings.HasPrefix(target, "/"); status != "404" && (origin || status != "" && status != "400") {
					t.Errorf("status %q", status)
				}
				b.keepsSecrets()
			})
		}
		b.attack(t, "CONNECT with a path by "+by.name, func(t *testing.T, b *booth, a *attempt) {
			_ = by.sendBody(a, signsIn(), by.to("CONNECT", "/api/orders/Login", [2]string{":protocol", "websocket"}))
			b.keepsSecrets()
		})
	}
	for _, path := range []string{"/api/orders/Login", "/api/orders/login/"} { // a page that has almost this name
		b.passed(b.get(path, ""))
	}
	for _, way := range ways {
		at := b.by(way)
		at.passed(at.get("/api/orders/Login", ""))
		at.passed(at.post("/api/orders/x/login", asJSONBody, "{}")) // another address
	}
	b.login()
}

// A server must take the absolute form of a target for what it means (RFC 9112 section 3.2.2).
func TestTheAddressesInAbsoluteForm(t *testing.T) {
	b := openBooth(t)
	for _, origin := range []string{"http://gate.test", "HTTP://gate.test:80", "https://gate.test"} {
		p := b.pairIn(b.raw(b.posted(origin+orders+"login", signsIn())))
		p = b.pairIn(b.raw(b.posted(origin+orders+"refresh", refreshes(p.Refresh))))
		b.works(p.Access)
		q := b.login()
		for address, p := range map[string]grant{"logout": p, "revoke": q} {
			a := b.raw(b.posted(origin+orders+address, "", "Authorization: Bearer "+p.Access))
			if a.StatusCode != http.StatusNoContent {
				t.Errorf("%s: status %d, %s", address, a.StatusCode, a.body)
			}
			b.isOut(p.Access, "revoked")
		}
		b.failed(b.raw(b.posted(origin+orders+"login?x", signsIn())), http.StatusBadRequest, "invalid_request")
	}
	a := b.raw("GET http://gate.test/.well-known/jwks.json HTTP/1.1\r\nHost: gate.test\r\n\r\n")
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"kid"`) {
		t.Errorf("the keys: status %d, %s", a.StatusCode, a.body)
	}
}
