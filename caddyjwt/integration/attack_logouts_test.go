package integration

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// noEffect wants a logout request to have been refused, and tokens to be good.
func (a *attempt) noEffect(got answer, good ...string) {
	a.t.Helper()
	if got.StatusCode < 400 || got.StatusCode >= 500 {
		a.t.Errorf("status %d, body %q", got.StatusCode, got.body)
	}
	a.upstream.take()
	a.pass(good...)
	if strings.Contains(a.since(), "tokens revoked") {
		a.t.Error("tokens were revoked")
	}
}

// kinds are tokens of the issuer that are something else than a logout token for us, and others that look like one.
func (p *place) kinds() map[string]string {
	stranger := tokentest.NewKey(p.t, "RS256", "stranger")
	now, typed := time.Now(), map[string]any{"typ": "logout+jwt"}
	good := p.logoutToken()
	parts, other := strings.Split(good, "."), strings.Split(p.logoutToken("sid", "s2"), ".")
	return map[string]string{
		"a key of a stranger":              stranger.Sign(p.t, p.logoutClaims(), typed),
		"a stranger under the key's id":    stranger.WithKID("r1").Sign(p.t, p.logoutClaims(), typed),
		"a broken signature":               tokentest.FlipSignature(p.t, good),
		"the signature of another":         parts[0] + "." + other[1] + "." + parts[2],
		"without a signature":              parts[0] + "." + parts[1] + ".",
		"alg none":                         forged(`{"alg":"none","typ":"logout+jwt"}`, asJSON(p.t, p.logoutClaims()), nil),
		"another issuer":                   p.logoutToken("iss", "https://else.example"),
		"the issuer with a slash":          p.logoutToken("iss", p.as.URL+"/"),
		"another client":                   p.logoutToken("aud", "somebody"),
		"a client in another case":         p.logoutToken("aud", "Gateway"),
		"no client":                        p.logoutToken("aud", nil),
		"an access token":                  p.accessToken(),
		"an access token for a client":     p.accessToken("aud", "gateway"),
		"an access token with the event":   p.key.Sign(p.t, p.logoutClaims(), map[string]any{"typ": "at+jwt"}),
		"an ID token":                      p.logoutToken("events", nil, "nonce", "n"),
		"an ID token with the event":       p.logoutToken("nonce", "n"),
		"a nonce that is null":             p.logoutToken("nonce", any((*int)(nil))),
		"no event":                         p.logoutToken("events", nil),
		"another event":                    p.logoutToken("events", map[string]any{"https://else.example/e": 1}),
		"an event that is a text":          p.logoutToken("events", map[string]any{logoutEvent: "yes"}),
		"events as a text":                 p.logoutToken("events", logoutEvent),
		"expired":                          p.logoutToken("exp", now.Add(-time.Minute).Unix()),
		"an hour old":                      p.logoutToken("iat", now.Add(-time.Hour).Unix()),
		"of the future":                    p.logoutToken("iat", now.Add(time.Hour).Unix(), "exp", now.Unix()+3700),
		"without iat":                      p.logoutToken("iat", nil),
		"without jti":                      p.logoutToken("jti", nil),
		"neither sid nor sub":              p.logoutToken("sid", nil, "sub", nil),
		"sid as a number":                  p.logoutToken("sid", 1),
		"sid as a list":                    p.logoutToken("sid", []string{"s1", "s2"}),
		"sid that is empty":                p.logoutToken("sid", ""),
		"sub as an object":                 p.logoutToken("sub", map[string]any{"a": "b"}),
		"sid twice":                        p.key.SignRaw(untypedHeader, `{"sid":"s2",`+asJSON(p.t, p.logoutClaims())[1:]),
		"a security event of another kind": p.key.Sign(p.t, p.logoutClaims(), map[string]any{"typ": "secevent+jwt"}),
	}
}

// untypedHeader is that of a token without a type.
const untypedHeader = `{"alg":"RS256","kid":"r1"}`

// Whoever is not the authorization server ends sessions of others: forged and stolen signatures, tokens of another
// issuer, for another client, of another kind, of another time. None of them has an effect.
func TestAttackLogoutForged(t *testing.T) {
	p := startLogouts(t, "without_sid sub")
	good := p.accessToken()
	p.pass(good)
	tokens := p.kinds()
	payload := asJSON(t, p.logoutClaims())
	for _, attack := range append(tokentest.MACAttacks(p.key, payload), tokentest.AlgorithmAttacks(p.key, payload)...) {
		tokens["signature: "+attack.Name] = attack.Token
	}
	for _, typ := range tokentest.ForeignTypes() {
		if typ != "logout+jwt" {
			tokens["typ "+typ] = p.key.Sign(t, p.logoutClaims(), map[string]any{"typ": typ})
		}
	}
	for name, member := range tokentest.OtherKinds() {
		if !strings.Contains(member, "events") && name != "typ Logout" {
			tokens["payload: "+name] = p.key.SignRaw(untypedHeader, "{"+member+","+payload[1:])
		}
	}
	for name, token := range tokens {
		p.attack(t, name, func(_ *testing.T, a *attempt) {
			a.secret(token)
			got := a.logout(token)
			a.noEffect(got, good)
			if len(token) > 40 && strings.Contains(got.body, token[:40]) {
				a.t.Errorf("the answer repeats what was sent: %s", got.body)
			}
		})
	}
	p.ended(p.logout(p.logoutToken())) // all that was wrong with them was what their names say
	p.out(good)
}

// A logout token that somebody has seen opens no backend, with typ and without, for every audience of the gate.
func TestAttackLogoutTokenAsAnAccessToken(t *testing.T) {
	p := startLogouts(t)
	for _, typ := range []string{"logout+jwt", "JWT", ""} {
		header := map[string]any{"typ": typ}
		if typ == "" {
			header = nil
		}
		for _, aud := range []any{audience, []string{audience, "gateway"}} {
			p.attack(t, fmt.Sprintf("typ %q, aud %v", typ, aud), func(_ *testing.T, a *attempt) {
				a.refusedFor(a.send(p.key.Sign(t, p.logoutClaims("aud", aud), header)), "invalid_type", "invalid_claim")
			})
		}
	}
}

// A captured logout token is sent again, at once and when its user has signed in again. It ends nothing that it has not
// ended before, also after a restart that forgot nothing, and it cannot be used for another session.
func TestAttackLogoutReplayed(t *testing.T) {
	p := startLogouts(t, "without_sid sub")
	for name, token := range map[string]string{
		"of a session": p.logoutToken("sid", "s7"), "of a user": p.logoutToken("sub", "carol", "sid", nil),
	} {
		p.attack(t, name, func(t *testing.T, a *attempt) {
			before := p.accessToken("sid", "s7", "sub", "carol")
			a.secret(token)
			a.ended(a.logout(token))
			again := p.accessToken("sid", "s7", "sub", "carol", "iat", time.Now().Unix(), "jti", name)
			for range 3 {
				a.ended(a.logout(token))
				a.pass(again)
				a.drain()
			}
			a.refusedFor(a.send(before), "revoked")
			a.restartFile(a.stored(a.caddyfile(gateFor(p.issuer("without_sid sub")))))
			a.ended(a.logout(token))
			a.pass(again)
			if n := strings.Count(a.since(), "tokens revoked"); n != 1 {
				t.Errorf("revoked %d times", n)
			}
		})
	}
}

// The address needs no token, so nothing but a logout may come through it: no other spelling of its path, no other
// method, and nothing that is behind the gate.
func TestAttackLogoutPathTricks(t *testing.T) {
	p := startLogouts(t)
	token := p.logoutToken()
	good := p.accessToken()
	for _, target := range []string{
		"/BACKCHANNEL-LOGOUT", "/backchannel-logout/", "//backchannel-logout", "/./backchannel-logout",
		"/x/../backchannel-logout", "/%62ackchannel-logout", "/backchannel-logout%2f", "/backchannel-logout;a=b",
		"/backchannel-logout/x", "/backchannel%2dlogout", "/backchannel-logout%00", "/backchannel-logout/..",
		"http://gate.test/backchannel-logout", "/backchannel-logout%3f",
	} {
		p.attack(t, target, func(t *testing.T, a *attempt) {
			form := "logout_token=" + token
			got := a.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: gate.test\r\nContent-Type: %s\r\nContent-Length: %d\r\n"+
				"Connection: close\r\n\r\n%s", target, formType, len(form), form))
			if got.StatusCode < 400 || got.StatusCode >= 500 {
				t.Errorf("status %d", got.StatusCode)
			}
			a.nothingForwarded()
			a.noEffect(got, good)
		})
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "OPTIONS", "POST\t", "post"} {
		p.attack(t, "method "+method, func(t *testing.T, a *attempt) {
			got := a.raw(method + " /backchannel-logout HTTP/1.1\r\nHost: gate.test\r\nX-HTTP-Method-Override: POST\r\n" +
				"Connection: close\r\n\r\n")
			if got.StatusCode != 405 && got.StatusCode != 400 {
				t.Errorf("status %d", got.StatusCode)
			}
			a.nothingForwarded()
		})
	}
}

// The token in another place than the form: in the query, where logs keep it, in Authorization, in JSON, in a part of
// multipart/form-data, twice. An identity in header fields gets nowhere either.
func TestAttackLogoutTokenElsewhere(t *testing.T) {
	p := startLogouts(t)
	token, good := p.logoutToken(), p.accessToken()
	form := url.Values{"logout_token": {token}}.Encode()
	for name, c := range map[string]struct{ query, body, kind string }{
		"in the query":          {"?" + form, "", formType},
		"in query and form":     {"?" + form, form, formType},
		"twice":                 {"", form + "&" + form, formType},
		"twice, one is escaped": {"", form + "&%6cogout_token=" + token, formType},
		"as JSON":               {"", `{"logout_token":"` + token + `"}`, "application/json"},
		"without a type":        {"", form, ""},
		"as text":               {"", form, "text/plain"},
		"in a part": {"", "--b\r\nContent-Disposition: form-data; name=\"logout_token\"\r\n\r\n" + token + "\r\n--b--\r\n",
			"multipart/form-data; boundary=b"},
		"behind a megabyte": {"", "a=" + strings.Repeat("a", 1<<20) + "&" + form, formType},
	} {
		p.attack(t, name, func(_ *testing.T, a *attempt) {
			a.secret(token)
			got := a.logoutAt("gate.test", logoutPath+c.query, c.body, "Content-Type", c.kind,
				"X-Consumer-Username", "alice")
			a.noEffect(got, good)
		})
	}
	p.attack(t, "in Authorization", func(_ *testing.T, a *attempt) {
		a.secret(token)
		a.noEffect(a.logoutAt("gate.test", logoutPath, "", "Authorization", "Bearer "+token), good)
	})
}

// Strangers send any number of bad logout requests. They cause a line in the log for each kind of mistake, no fetch of
// keys, and a time series for each word of a closed list.
func TestAttackLogoutFlood(t *testing.T) {
	p := prepareLogouts(t)
	p.loadFile(p.stored(p.caddyfile(gateFor(p.issuer())) +
		fmt.Sprintf("http://metrics.test {\n\tbind unix/%s\n\tmetrics\n}\n", p.socket)))
	p.ended(p.logout(p.logoutToken())) // fetches the keys
	fetches := p.as.JWKSFetches()
	p.attack(t, "a thousand of each", func(t *testing.T, a *attempt) {
		for i := range 1000 {
			a.logout(fmt.Sprintf("mark-%d", i))
			a.logout(p.key.Sign(t, p.logoutClaims("aud", fmt.Sprintf("mark-%d", i))))
		}
		if n := strings.Count(a.since(), `"msg":"logout request refused"`); n > 2 {
			t.Errorf("%d lines", n)
		}
		if got := p.as.JWKSFetches(); got != fetches {
			t.Errorf("keys were fetched %d times", got-fetches)
		}
		text := a.metricsText()
		for _, want := range []string{
			`result="malformed_token"} 1000`, `result="invalid_audience"} 1000`, `result="ended"} `,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the metrics lack %s", want)
			}
		}
		if strings.Contains(text, "mark-") {
			t.Error("the metrics hold what strangers sent")
		}
	})
}

// The store fails. The answer tells the server to try again, the log has an error, and what was revoked stays so.
func TestAttackLogoutWhileTheStoreFails(t *testing.T) {
	p := startLogouts(t)
	before, good := p.accessToken(), p.accessToken("sid", "s2")
	p.pass(before, good)
	p.ended(p.logout(p.logoutToken()))
	p.attack(t, "the file is cut off", func(t *testing.T, a *attempt) {
		if err := os.Truncate(p.storeFile(), 100); err != nil {
			t.Skip(err)
		}
		for range 3 {
			a.notEnded(a.logout(p.logoutToken("sid", "s2")), "temporarily_unavailable")
		}
		if n := strings.Count(a.since(), `"msg":"logout failed: `); n != 1 {
			t.Errorf("%d errors in the log", n)
		}
		a.refusedFor(a.send(before), "revoked")
		a.pass(good)
	})
}

// A client sends the form so slowly that its connection would be in use for ever.
func TestAttackLogoutSlowForm(t *testing.T) {
	long(t)
	p := startLogouts(t)
	p.attack(t, "half of a form", func(t *testing.T, a *attempt) {
		began := time.Now()
		got := a.raw("POST " + logoutPath + " HTTP/1.1\r\nHost: gate.test\r\nContent-Type: " + formType +
			"\r\nContent-Length: 1000\r\n\r\nlogout_token=")
		if got.StatusCode != http.StatusBadRequest || time.Since(began) > patience/2 {
			t.Errorf("status %d after %v", got.StatusCode, time.Since(began))
		}
	})
}
