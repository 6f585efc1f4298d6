package integration

import (
	"crypto/elliptic"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// attack is site.attack for an office.
func (o *office) attack(t *testing.T, name string, try func(t *testing.T, o *office, a *attempt)) {
	t.Helper()
	o.site.attack(t, name, func(t *testing.T, a *attempt) {
		sub := *o
		sub.site = a.site
		try(t, &sub, a)
	})
}

// A token is revoked by its text, and has no jti. It comes again: as it was, remembered, or with another signature that
// is valid, too. For ECDSA anybody can make one: (r, n-s) instead of (r, s).
func TestAttackRevokedTokenWithoutJTI(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key)))
	token := key.Sign(t, issuedBy(keptIssuer))
	input, signature := splitToken(t, token)
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	twin := input + "." + b64(string(signature))
	o.good(token, twin)
	o.revoke("token", token)
	for name, token := range map[string]string{"as it was": token, "with the other signature": twin} {
		o.attack(t, name, func(_ *testing.T, _ *office, a *attempt) { a.refusedFor(a.send(token), "revoked") })
	}
	o.good(key.Sign(t, issuedBy(keptIssuer, "sub", "bob")))
}

// A user is revoked at one issuer. The same name at another issuer, in another claim, or as a consumer is somebody
// else: revoking them would lock strangers out, and sparing them must not spare the user.
func TestAttackRevokeUserOfAnotherIssuer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, key)), issuerBlock(otherIssuer, pemOf(t, key)))
	token := func(issuer, sub string) string { return key.Sign(t, issuedBy(issuer, "sub", sub)) }
	others := []string{
		token(otherIssuer, "alice"), token(keptIssuer, "Alice"), token(keptIssuer, "alice "), token(keptIssuer, "bob"),
		key.Sign(t, issuedBy(keptIssuer, "sub", "x", "sid", "alice", "client_id", "alice", "jti", "alice")),
		hmacKey(t).Sign(t, claims("aud", audience)),
	}
	o.good(append(others, token(keptIssuer, "alice"))...)
	o.revoke("issuer", keptIssuer, "sub", "alice")
	o.attack(t, "the user", func(_ *testing.T, _ *office, a *attempt) {
		a.refusedFor(a.send(token(keptIssuer, "alice")), "revoked")
	})
	o.attack(t, "others", func(_ *testing.T, o *office, _ *attempt) { o.good(others...) })
	o.attack(t, "another issuer revokes nobody here", func(t *testing.T, o *office, _ *attempt) {
		o.restore("issuer", keptIssuer, "sub", "alice")
		o.revoke("issuer", otherIssuer)
		o.revoke("consumer", "alice")
		o.good(token(keptIssuer, "alice"))
		for _, body := range []string{`{"issuer":"alice","sub":"alice"}`, `{"consumer":"` + keptIssuer + `"}`} {
			if a := o.asks(http.MethodPost, revocationsPath, body); a.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: status %d", body, a.StatusCode)
			}
		}
		o.good(token(keptIssuer, "alice"))
	})
}

// The endpoint that revokes is asked without the admin socket: at the public listener, by any host, path and protocol.
func TestAttackRevokeOnThePublicListener(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	ways := o.openEverywhere(issuerBlock(keptIssuer, pemOf(t, key)), "public "+revocationsPath)
	token := key.Sign(t, issuedBy(keptIssuer))
	order := `{"issuer":"` + keptIssuer + `"}`
	for _, way := range ways {
		for _, path := range []string{
			revocationsPath, "/" + revocationsPath, revocationsPath + "/", "/config/", "/load", "/stop",
		} {
			o.attack(t, way.name+" "+path, func(t *testing.T, o *office, a *attempt) {
				for _, host := range []string{"", "127.0.0.1", "localhost:2019", "127.0.0.1:2019"} {
					for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodGet} {
						r := way.to(t, method, path)
						if host != "" {
							r.Host = host
						}
						r.Body = io.NopCloser(strings.NewReader(order))
						response, err := way.client.Do(r)
						if err != nil {
							o.unable("%v", err)
						}
						text, _ := io.ReadAll(response.Body)
						_ = response.Body.Close()
						if strings.Contains(string(text), "revo") || strings.Contains(string(text), "apps") {
							t.Errorf("%s %s%s is answered with %s", method, host, path, text)
						}
					}
				}
				o.drain()
				o.good(token)
				if list := o.listed(""); len(list) != 0 {
					t.Errorf("revoked: %q", list)
				}
			})
		}
	}
}

// A page in the browser of an operator asks the admin endpoint, under its own name, under another name for the same
// address, or without saying who asks.
func TestAttackRevokeFromAPage(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key)))
	for name, header := range map[string][]string{
		"of another origin":    {"Origin", "https://evil.example", "Sec-Fetch-Mode", "cors"},
		"in no-cors mode":      {"Sec-Fetch-Mode", "no-cors", "Content-Type", "text/plain"},
		"of no origin":         {"Origin", "null", "Content-Type", "text/plain"},
		"by a form":            {"Origin", "https://evil.example", "Content-Type", formType},
		"that navigates there": {"Sec-Fetch-Mode", "navigate", "Origin", "https://evil.example"},
	} {
		o.attack(t, name, func(t *testing.T, o *office, _ *attempt) {
			for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodGet} {
				a := o.asks(method, revocationsPath, `{"issuer":"`+keptIssuer+`"}`, header...)
				if a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusForbidden {
					t.Errorf("%s: status %d, %s", method, a.StatusCode, a.body)
				}
				if a.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Error("the page may read the answer")
				}
			}
			o.good(key.Sign(t, issuedBy(keptIssuer)))
		})
	}
}

// A revoked token comes in each place and by each protocol, where it has been remembered before.
func TestAttackRevokedTokenInEveryPlace(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	ways := o.openEverywhere(issuerBlock(keptIssuer, pemOf(t, key)), "token_from header Authorization",
		"token_from header X-Token", "token_from query jwt", "token_from cookie jwt", "token_from form jwt",
		"token_from websocket_protocol")
	token := key.Sign(t, issuedBy(keptIssuer, "jti", "1"))
	places := map[string]func(r *http.Request){
		"header":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
		"other header": func(r *http.Request) { r.Header.Set("X-Token", token) },
		"query":        func(r *http.Request) { r.URL.RawQuery = "jwt=" + token },
		"cookie":       func(r *http.Request) { r.Header.Set("Cookie", "a=b; jwt="+token) },
		"form": func(r *http.Request) {
			text := url.Values{"jwt": {token}}.Encode()
			r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(text)), int64(len(text))
			r.Header.Set("Content-Type", formType)
		},
	}
	send := func(o *office, way way, put func(*http.Request)) answer {
		r := way.to(o.t, http.MethodGet, "/")
		put(r)
		response, err := way.client.Do(r)
		if err != nil {
			o.unable("%v", err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return answer{response, string(body)}
	}
	for range 3 {
		for name, put := range places {
			for _, way := range ways {
				if a := send(o, way, put); a.StatusCode != http.StatusOK {
					t.Fatalf("%s by %s: status %d, %s", name, way.name, a.StatusCode, o.lastReason())
				}
			}
		}
	}
	o.drain()
	o.revoke("issuer", keptIssuer, "jti", "1")
	for name, put := range places {
		for _, way := range ways {
			o.attack(t, name+" by "+way.name, func(_ *testing.T, o *office, a *attempt) {
				a.secret(token)
				a.refusedFor(send(o, way, put), "revoked")
			})
		}
	}
	o.attack(t, "subprotocol", func(_ *testing.T, _ *office, a *attempt) {
		a.secret(token)
		a.refusedFor(a.raw(opening("/ws", offering("bearer", token))), "revoked")
	})
}

// A revoked token is remembered by the gate, or the server's answer about it is. Both would let it pass for minutes.
func TestAttackRevokedTokenThatIsRemembered(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(always(active("iat", time.Now().Unix(), "sub", "alice", "sid", "s1")))
	confirmed := introspector(t, tokentest.WithKeys(key))
	confirmed.Introspect(always(active("iat", time.Now().Unix())))
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key)), introspecting(as, "opaque", "cache_ttl 5m"),
		introspecting(confirmed, "always", "cache_ttl 5m", "prefix asked_"))
	for name, c := range map[string]struct {
		token string
		order []any
	}{
		"a JWT": {key.Sign(t, issuedBy(keptIssuer, "sub", "one")),
			[]any{"issuer", keptIssuer, "sub", "one"}},
		"an opaque token":              {"opaque-1", []any{"issuer", as.URL, "token", "opaque-1"}},
		"an opaque token of a session": {"opaque-2", []any{"issuer", as.URL, "sid", "s1"}},
		"a JWT that is asked about": {key.Sign(t, issuedBy(confirmed.URL, "jti", "2")),
			[]any{"issuer", confirmed.URL, "jti", "2"}},
	} {
		o.attack(t, name, func(t *testing.T, o *office, a *attempt) {
			o.good(c.token)
			asked := len(as.IntrospectionRequests()) + len(confirmed.IntrospectionRequests())
			o.revoke(c.order...)
			for range 3 {
				a.refusedFor(a.send(c.token), "revoked")
			}
			if n := len(as.IntrospectionRequests()) + len(confirmed.IntrospectionRequests()); n != asked {
				t.Errorf("the server was asked about a revoked token %d times", n-asked)
			}
			o.restore(c.order...)
		})
	}
}

// A revoked token must not be taken for none: the request would pass without one, or as somebody whom everybody may be.
func TestAttackRevokedTokenAsNone(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	token := key.Sign(t, issuedBy(keptIssuer))
	for _, lines := range [][]string{{"optional"}, {"consumer guest", "anonymous guest"}} {
		o.open(append(lines, issuerBlock(keptIssuer, pemOf(t, key)), "token_from cookie jwt")...)
		o.passed(o.get("/", ""))
		o.revoke("issuer", keptIssuer)
		o.attack(t, lines[0], func(_ *testing.T, _ *office, a *attempt) {
			a.secret(token)
			a.refusedFor(a.get("/", "", "Cookie", "jwt="+token), "revoked")
		})
		o.restore("issuer", keptIssuer)
	}
}

// A revoked token comes at all routes of the site, each of which has settings of its own.
func TestAttackRevokedTokenAtAnotherRoute(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	var routes []string
	for i, line := range []string{"", "cache off", "cache 1MiB", "leeway 5s", "forward_token", "max_token_size 9000"} {
		gate := revocableGate(line, issuerBlock(keptIssuer, pemOf(t, key)))
		routes = append(routes, fmt.Sprintf("handle /%d {\n%s\n}", i, gate))
	}
	o.loadFile(o.kept(o.caddyfile(strings.Join(routes, "\n"))))
	token := key.Sign(t, issuedBy(keptIssuer, "jti", "1"))
	for range 3 {
		for i := range routes {
			o.passed(o.get(fmt.Sprint("/", i), token))
		}
	}
	o.revoke("token", token)
	for i := range routes {
		o.attack(t, fmt.Sprint("route ", i), func(_ *testing.T, _ *office, a *attempt) {
			a.secret(token)
			a.refusedFor(a.get(fmt.Sprint("/", i), token), "revoked")
		})
	}
}

// An order is made wider than it was meant, by a variable that is not set, a member in other letters, or one that is
// there twice. It would revoke everybody.
func TestAttackRevokeEverybodyByMistake(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key)))
	for name, members := range map[string]string{
		"empty": `"sub":""`, "null": `"sub":null`, "other letters": `"SUB":"x"`, "unknown": `"subject":"x"`,
		"twice": `"sub":"x","sub":""`, "twice in other letters": `"sub":"x","Sub":""`, "Unicode": `"ſub":"x"`,
		"an object": `"sub":{}`, "a list": `"sub":[]`, "dry_run as a text": `"dry_run":"true"`,
		"dry_run as null": `"dry_run":null`,
	} {
		o.attack(t, name, func(t *testing.T, o *office, _ *attempt) {
			a := o.asks(http.MethodPost, revocationsPath, `{"issuer":"`+keptIssuer+`",`+members+`}`)
			if a.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d, %s", a.StatusCode, a.body)
			}
			o.good(key.Sign(t, issuedBy(keptIssuer)))
		})
	}
}
