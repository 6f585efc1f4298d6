package integration

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A word of the configuration is misspelt, or does not mean what its author thinks, and the check behind it stays off.
// JSON is read as strictly as a Caddyfile.
func TestAttackConfigurationThatChecksNothing(t *testing.T) {
	as := tokentest.NewAS(t)
	s := prepare(t)
	gate := gateFor(issuerByJWKS(as), consumerAlice(t))
	issuer := func(h map[string]any) map[string]any { return h["issuers"].([]any)[0].(map[string]any) }
	consumer := func(h map[string]any) map[string]any { return h["consumers"].([]any)[0].(map[string]any) }
	credential := func(h map[string]any) map[string]any { return consumer(h)["credentials"].([]any)[0].(map[string]any) }
	for name, test := range map[string]struct {
		text   string
		change func(h map[string]any)
	}{
		"audience misspelt":               {"audiance", func(h map[string]any) { h["audiance"] = []string{"x"} }},
		"audience misspelt in an issuer":  {"audiance", func(h map[string]any) { issuer(h)["audiance"] = []string{"x"} }},
		"secret misspelt in a credential": {"secrets", func(h map[string]any) { credential(h)["secrets"] = "x" }},
		"requirement misspelt": {"scope", func(h map[string]any) {
			h["require"] = map[string]any{"scope": []string{"x"}}
		}},
		"no audience":       {"audience", func(h map[string]any) { delete(issuer(h), "audience") }},
		"empty audiences":   {"audience", func(h map[string]any) { issuer(h)["audience"] = []string{} }},
		"an empty audience": {"audience", func(h map[string]any) { issuer(h)["audience"] = []string{""} }},
		"audience and any":  {"any", func(h map[string]any) { issuer(h)["any_audience"] = true }},
		"audience of an unset variable": {"GATE_UNSET", func(h map[string]any) {
			issuer(h)["audience"] = []string{"{env.GATE_UNSET}"}
		}},
		"issuer of an unset variable": {"GATE_UNSET", func(h map[string]any) {
			issuer(h)["issuer"] = "{env.GATE_UNSET}"
		}},
		"secret of an unset variable": {"GATE_UNSET", func(h map[string]any) {
			credential(h)["secret"] = "{env.GATE_UNSET}"
		}},
		"secret of a missing file": {"", func(h map[string]any) { credential(h)["secret"] = "{file./no/such/file}" }},
		"scope of an unset variable": {"GATE_UNSET", func(h map[string]any) {
			h["require"] = map[string]any{"scopes": []string{"{env.GATE_UNSET}"}}
		}},
		"an empty scope": {"scope", func(h map[string]any) {
			h["require"] = map[string]any{"scopes": []string{""}}
		}},
		"an empty group": {"group", func(h map[string]any) {
			h["require"] = map[string]any{"groups": []string{""}}
		}},
		"a claim without name": {"claim", func(h map[string]any) {
			h["require"] = map[string]any{"claims": []any{map[string]any{"claim": ""}}}
		}},
		"an empty claim value": {"claim", func(h map[string]any) {
			h["require"] = map[string]any{"claims": []any{map[string]any{"claim": "a", "values": []string{""}}}}
		}},
		"a request's placeholder": {"", func(h map[string]any) {
			issuer(h)["audience"] = []string{"{http.request.host}"}
		}},
		"no parties": {"vouches", func(h map[string]any) {
			delete(h, "issuers")
			delete(h, "consumers")
		}},
		"an issuer without name": {"issuer", func(h map[string]any) { issuer(h)["issuer"] = "" }},
		"a blank issuer":         {"", func(h map[string]any) { issuer(h)["issuer"] = "  " }},
		"the same issuer twice": {"twice", func(h map[string]any) {
			h["issuers"] = append(h["issuers"].([]any), issuer(h))
		}},
		"the same consumer twice": {"twice", func(h map[string]any) {
			h["consumers"] = append(h["consumers"].([]any), consumer(h))
		}},
		"a credential without key":       {"key", func(h map[string]any) { credential(h)["key"] = "" }},
		"a credential without secret":    {"secret", func(h map[string]any) { credential(h)["secret"] = "" }},
		"a credential without algorithm": {"algorithm", func(h map[string]any) { credential(h)["algorithm"] = "" }},
		"the algorithm none":             {"algorithm", func(h map[string]any) { credential(h)["algorithm"] = "none" }},
		"a short secret":                 {"secret", func(h map[string]any) { credential(h)["secret"] = "c2hvcnQ=" }},
		"a blank secret": {"secret", func(h map[string]any) {
			credential(h)["secret"], credential(h)["base64"] = strings.Repeat(" ", 64), false
		}},
		"secret and public key": {"", func(h map[string]any) { credential(h)["public_key"] = "x" }},
		"leeway of a day":       {"leeway", func(h map[string]any) { h["leeway"] = "24h" }},
		"leeway of an issuer":   {"leeway", func(h map[string]any) { issuer(h)["leeway"] = "6m" }},
		"negative leeway":       {"leeway", func(h map[string]any) { h["leeway"] = "-1s" }},
		"negative lifetime":     {"lifetime", func(h map[string]any) { h["max_lifetime"] = "-1s" }},
		"negative token size":   {"", func(h map[string]any) { h["max_token_size"] = -1 }},
		"negative cache":        {"cache", func(h map[string]any) { h["cache_size"] = -2 }},
		"an unknown place": {"token_from", func(h map[string]any) {
			h["token_from"] = []any{map[string]any{"in": "body", "name": "x"}}
		}},
		"a place without name": {"token", func(h map[string]any) {
			h["token_from"] = []any{map[string]any{"in": "query"}}
		}},
		"optional and anonymous":  {"exclude", func(h map[string]any) { h["optional"], h["anonymous"] = true, "alice" }},
		"anonymous is nobody":     {"anonymous", func(h map[string]any) { h["anonymous"] = "bob" }},
		"a realm with a line end": {"realm", func(h map[string]any) { h["realm"] = "a\r\nX: y" }},
		"an unknown profile":      {"profile", func(h map[string]any) { issuer(h)["profile"] = "strict" }},
		"an empty type":           {"type", func(h map[string]any) { issuer(h)["type"] = []string{""} }},
		"keys from plain http": {"", func(h map[string]any) {
			issuer(h)["keys"] = map[string]any{"source": "jwks", "url": "http://auth.example.com/jwks"}
		}},
		"keys from a file URL": {"", func(h map[string]any) {
			issuer(h)["keys"] = map[string]any{"source": "jwks", "url": "file:///etc/passwd"}
		}},
		"keys from a data URL": {"", func(h map[string]any) {
			issuer(h)["keys"] = map[string]any{"source": "jwks", "url": "data:application/json,{}"}
		}},
		"keys from a URL with a user": {"", func(h map[string]any) {
			issuer(h)["keys"] = map[string]any{"source": "jwks", "url": "https://a:b@auth.example.com/"}
		}},
		"keys from nowhere": {"keys", func(h map[string]any) { issuer(h)["keys"] = map[string]any{"source": "none"} }},
		"algorithms beside keys none": {"verifies nothing", func(h map[string]any) {
			issuer(h)["keys"], issuer(h)["introspect"] = map[string]any{"source": "none"}, map[string]any{"auth_method": "none"}
			issuer(h)["algorithms"] = []string{"RS256"}
		}},
		"a type beside keys none": {"verifies nothing", func(h map[string]any) {
			issuer(h)["keys"], issuer(h)["introspect"] = map[string]any{"source": "none"}, map[string]any{"auth_method": "none"}
			issuer(h)["type"] = []string{"at+jwt"}
		}},
		"a profile beside keys none": {"verifies nothing", func(h map[string]any) {
			issuer(h)["keys"], issuer(h)["introspect"] = map[string]any{"source": "none"}, map[string]any{"auth_method": "none"}
			issuer(h)["profile"] = "rfc9068"
		}},
		"keys of an unknown source": {"keys", func(h map[string]any) {
			issuer(h)["keys"] = map[string]any{"source": "ldap"}
		}},
		"a CA file that is missing": {"ca", func(h map[string]any) {
			issuer(h)["tls"] = map[string]any{"ca": []string{"/no/such/ca.pem"}}
		}},
		"a CA file that has none": {"", func(h map[string]any) {
			issuer(h)["tls"] = map[string]any{"ca": []string{"/dev/null"}}
		}},
		"a certificate without key": {"client", func(h map[string]any) {
			issuer(h)["tls"] = map[string]any{"client_cert": "x"}
		}},
		"TLS without verification": {"insecure", func(h map[string]any) {
			issuer(h)["tls"] = map[string]any{"insecure_skip_verify": true}
		}},
		"a header that a claim must not be": {"", func(h map[string]any) {
			h["forward_claims"] = []any{map[string]any{"claim": "a", "header": "Connection"}}
		}},
		"a header name with a line end": {"", func(h map[string]any) {
			h["forward_claims"] = []any{map[string]any{"claim": "a", "header": "X-A\r\nX-B"}}
		}},
		"a header name with a placeholder": {"", func(h map[string]any) {
			h["forward_claims"] = []any{map[string]any{"claim": "a", "header": "X-{http.request.host}"}}
		}},
		"a managed header": {"", func(h map[string]any) {
			h["forward_claims"] = []any{map[string]any{"claim": "a", "header": "x-consumer-id"}}
		}},
		"issuers as an object":       {"", func(h map[string]any) { h["issuers"] = map[string]any{} }},
		"optional as a text":         {"", func(h map[string]any) { h["optional"] = "true" }},
		"a username that is blank":   {"", func(h map[string]any) { consumer(h)["username"] = " " }},
		"a username with a line end": {"", func(h map[string]any) { consumer(h)["username"] = "a\r\nX: y" }},
		"a group with a comma":       {"", func(h map[string]any) { consumer(h)["groups"] = []string{"a,admin"} }},
	} {
		s.refusedAtLoad(t, name, test.text, func(s *site) error { return s.tryJSON(gate, test.change) })
	}
	if err := s.tryJSON(gate, func(map[string]any) {}); err != nil {
		t.Errorf("control: %v", err)
	}
}

// A new configuration is bad. The old gate must not end with it, and nothing may pass in between: the old configuration
// stays in force.
func TestAttackConfigurationFailedReloadKeepsTheGate(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	for name, change := range map[string]func(h map[string]any){
		"unknown field":  func(h map[string]any) { h["bogus"] = 1 },
		"unset variable": func(h map[string]any) { h["audience"] = []string{"{env.GATE_UNSET}"} },
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			if err := a.tryJSON(gateFor(consumerAlice(t)), change); err == nil {
				t.Error("the configuration was accepted")
			}
			a.refusedFor(a.get("/", ""), "missing_token")
			a.passed(a.send(hmacKey(t).Sign(t, claims())))
		})
	}
}

// Somebody adds a route later, does not think of the gate, and leaves the route open. A bearer_auth without a matcher
// guards everything else that the site serves, wherever it stands in the file.
func TestAttackConfigurationRouteAddedLater(t *testing.T) {
	for name, route := range map[string]string{
		"respond":        "respond /new secret",
		"handle":         "handle /new* {\n respond secret\n}",
		"handle_path":    "handle_path /new* {\n respond secret\n}",
		"route":          "route /new* {\n respond secret\n}",
		"file_server":    "handle /new* {\n root * /\n file_server browse\n}",
		"reverse_proxy":  "reverse_proxy /new* {$ADDED}",
		"a matcher":      "@new path /new*\nhandle @new {\n respond secret\n}",
		"rewrite":        "rewrite /new /old\nrespond /old secret",
		"another's auth": "handle /new* {\n forward_auth {$ADDED} {\n uri /\n}\n respond secret\n}",
	} {
		for where, place := range map[string]string{"before": "ADDED\nGATE", "behind": "GATE\nADDED"} {
			s := prepare(t)
			added := strings.ReplaceAll(route, "{$ADDED}", s.upstream.addr())
			s.loadFile(s.caddyfile(strings.NewReplacer("ADDED", added, "GATE", gateFor(consumerAlice(t))).Replace(place)))
			s.attack(t, name+" "+where+" the gate", func(t *testing.T, a *attempt) {
				got := a.get("/new", "")
				a.refusedFor(got, "missing_token")
				if strings.Contains(got.body, "secret") {
					t.Errorf("body %q", got.body)
				}
			})
		}
	}
}

// Secrets of the configuration turn up in log lines and messages of errors, where many can read them: class of
// CVE-2026-27589. No error about a secret quotes it.
func TestAttackConfigurationSecretsInErrors(t *testing.T) {
	s := prepare(t)
	secret := "not-base64-but-a-very-secret-text!!"
	for name, change := range map[string]func(c map[string]any){
		"not base64":       func(c map[string]any) { c["secret"], c["base64"] = secret, true },
		"too short":        func(c map[string]any) { c["secret"], c["base64"], c["algorithm"] = secret, false, "HS512" },
		"wrong algorithm":  func(c map[string]any) { c["secret"], c["base64"], c["algorithm"] = secret, false, "RS256" },
		"beside a key":     func(c map[string]any) { c["secret"], c["public_key"] = secret, secret },
		"as an algorithm?": func(c map[string]any) { c["secret"], c["base64"], c["algorithm"] = secret, false, "HS999" },
	} {
		t.Run(name, func(t *testing.T) {
			attacks.tried.Add(1)
			err := s.in(t).tryJSON(gateFor(consumerAlice(t)), func(h map[string]any) {
				change(h["consumers"].([]any)[0].(map[string]any)["credentials"].([]any)[0].(map[string]any))
			})
			if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(s.log(), secret) {
				t.Errorf("error %v", err)
				return
			}
			attacks.refused.Add(1)
		})
	}
}
