package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The server says that a session has ended. The next request with one of its tokens is refused, also where the gate has
// seen the token before. Other sessions go on, and so does a session of the same name that began later.
func TestLogoutEndsASession(t *testing.T) {
	p := startLogouts(t)
	p.drain()
	first, second := p.accessToken(), p.accessToken("jti", "a2", "scope", "x")
	other, later := p.accessToken("sid", "s2"), p.accessToken("jti", "a3", "iat", time.Now().Unix())
	none := p.accessToken("sid", nil)
	for range 3 {
		p.pass(first, second, other, later, none)
	}
	token := p.logoutToken()
	p.drain()
	access := p.logs(logoutPath, func(string) { p.ended(p.logout(token)) })
	if strings.Contains(asJSON(t, access), token[len(token)-40:]) {
		t.Errorf("the token is in the access log: %v", access)
	}
	if got := p.upstream.take(); len(got) != 0 {
		t.Errorf("the backend got %v", got)
	}
	p.out(first, second)
	p.pass(other, later, none)
	if !p.logged(`"msg":"tokens revoked"`, `"by":"sid"`, `"value":"s1"`, `"author":"back-channel logout"`) {
		t.Error("the log does not say so")
	}
}

// A logout token without a session ends nothing, or all sessions of the user, as the configuration says.
func TestLogoutWithoutASession(t *testing.T) {
	for word, ends := range map[string]bool{"": false, "without_sid ignore": false, "without_sid sub": true} {
		t.Run(word, func(t *testing.T) {
			p := startLogouts(t, word)
			first, second := p.accessToken(), p.accessToken("sid", "s2")
			bob, later := p.accessToken("sub", "bob"), p.accessToken("iat", time.Now().Unix())
			p.pass(first, second, bob, later)
			p.ended(p.logout(p.logoutToken("sid", nil)))
			if ends {
				p.out(first, second)
			} else {
				p.pass(first, second)
				if !p.logged("without_sid is not sub", `"level":"info"`) {
					t.Error("the log does not say that nothing was revoked")
				}
			}
			p.pass(bob, later)
			p.drain()
			p.ended(p.logout(p.logoutToken())) // with a session, only that ends
			p.out(first)
		})
	}
}

// What was revoked stays so over a reload and a restart, and a repeated logout token is known after both.
func TestLogoutLasts(t *testing.T) {
	p := startLogouts(t)
	before, token := p.accessToken(), p.logoutToken()
	p.pass(before)
	p.ended(p.logout(token))
	p.out(before)

	p.loadFile(p.stored(p.caddyfile(gateFor(p.issuer("without_sid sub"), "realm reloaded"))))
	p.out(before)
	p.ended(p.logout(token))

	p.restartFile(p.stored(p.caddyfile(gateFor(p.issuer()))))
	p.out(before)
	p.ended(p.logout(token))
	n := strings.Count(p.log(), `"msg":"tokens revoked"`)
	if n != 1 {
		t.Errorf("tokens revoked %d times", n)
	}
	p.pass(p.accessToken("sid", "s2"))
}

// Whatever the method and the body, there is an answer as the specification says, and never the backend's.
func TestLogoutRequestsThatAreNone(t *testing.T) {
	p := startLogouts(t)
	p.drain()
	token := p.logoutToken()
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "LOGOUT"} {
		a := p.do(p.request(method, logoutPath+"?logout_token="+token, nil))
		if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" ||
			a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, header %v", method, a.StatusCode, a.Header)
		}
	}
	for name, form := range map[string]string{
		"empty": "", "two": "logout_token=" + token + "&logout_token=" + token, "another": "token=" + token,
		"not a token": "logout_token=x", "no value": "logout_token=",
		"too long": "logout_token=" + token + "&a=" + strings.Repeat("a", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			p.in(t).notEnded(p.in(t).logoutAt("gate.test", logoutPath, form), "invalid_request")
		})
	}
	p.notEnded(p.logoutAt("gate.test", logoutPath+"?logout_token="+token, ""), "invalid_request")
	p.notEnded(p.logoutAt("gate.test", logoutPath, `{"logout_token":"`+token+`"}`, "Content-Type", "application/json"),
		"invalid_request")
	p.pass(p.accessToken())
	p.drain()
	p.ended(p.logoutAt("gate.test", logoutPath+"?x=y", "logout_token="+token+"&state=x"))
	p.out(p.accessToken())
}

// Whoever listens to Caddy's events hears of a logout as of every revocation.
func TestLogoutIsAnEvent(t *testing.T) {
	p := prepareLogouts(t)
	p.loadFile(strings.Replace(p.stored(p.caddyfile(gateFor(p.issuer()))), "admin off",
		"admin off\nevents {\non bearer_auth_revoked gate_recorder logouts\n}", 1))
	p.ended(p.logout(p.logoutToken()))
	for {
		select {
		case e := <-events:
			if e.by != "logouts" {
				continue
			}
			if e.data["issuer"] != p.as.URL || e.data["by"] != "sid" || e.data["value"] != "s1" ||
				e.data["author"] != "back-channel logout" {
				t.Errorf("event %v", e.data)
			}
			return
		case <-time.After(patience):
			t.Fatal("no event")
		}
	}
}
