package integration

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// foreignIssuers are issuers that are almost those of tenants of the server.
func (s *tenants) foreignIssuers() map[string]string {
	host := strings.TrimPrefix(s.URL, "http://")
	at := func(segment string) string { return s.issuer(segment) }
	return map[string]string{
		"not listed": at("initech"), "common": at("common"), "the pattern": at("*"), "the template": at("{tenantid}"),
		"no segment": at(""), "no segment and no slash": s.URL + "/v2.0", "a dot": at("."), "two dots": at(".."),
		"dots behind it": at("acme/.."), "dots before it": at("../acme"), "dots that lead to it": at("x/../acme"),
		"two segments": at("acme/globex"), "a slash more": at("acme/"), "a slash before": at("/acme"),
		"an encoded slash": at("acme%2fglobex"), "an encoded slash at the end": at("acme%2F"),
		"encoded dots": at("%2e%2e"), "an encoded letter": at("%61cme"), "encoded twice": at("%2561cme"),
		"a percent": at("acme%"), "a backslash": at(`acme\globex`), "an encoded NUL": at("acme%00"), "NUL": at("acme\x00"),
		"a line end": at("acme\n"), "an encoded line end": at("acme%0d%0aX-Evil:1"), "a blank": at("acme "),
		"a blank before": at(" acme"), "a tab": at("acme\t"), "upper case": at("ACME"), "a part of it": at("acm"),
		"more than it": at("acmes"), "65 characters": at(strings.Repeat("a", 65)), "long": at(strings.Repeat("a", 9000)),
		"digits of another script": at("١٢٣"), "a letter that looks alike": at("аcme"), "a wide letter": at("ａcme"),
		"a soft hyphen": at("ac\u00adme"), "a letter with an accent": at("acmé"), "an escape of Unicode": at(`\u0061cme`),
		"a query": at("acme?"), "a query in place of the rest": s.URL + "/acme?/v2.0", "a fragment": at("acme#"),
		"a fragment in place of the rest": s.URL + "/acme#/v2.0", "a parameter": at("acme;v=1"), "a comma": at("acme,globex"),
		"a wildcard in it": at("ac*"), "an at": at("acme@globex"), "a colon": at("acme:80"),
		"a query at the end": at("acme") + "?x", "an empty query": at("acme") + "?",
		"a fragment at the end": at("acme") + "#",
		"a slash at the end":    at("acme") + "/", "a blank at the end": at("acme") + " ",
		"more at the end": at("acme") + "x",
		"twice":           at("acme") + "/acme/v2.0", "metadata": at("acme") + "/.well-known/openid-configuration",
		"another end": s.URL + "/acme/v1.0", "upper case at the end": s.URL + "/acme/V2.0",
		"a user": "http://x@" + host + "/acme/v2.0", "the host as a user": "http://" + host + "@evil.example/acme/v2.0",
		"a password": "http://x:y@" + host + "/acme/v2.0", "upper case in the scheme": "HTTP://" + host + "/acme/v2.0",
		"another scheme": "https://" + host + "/acme/v2.0", "no scheme": "//" + host + "/acme/v2.0", "only the host": host,
		"another port":               "http://127.0.0.1:1/acme/v2.0",
		"no port":                    "http://127.0.0.1/acme/v2.0",
		"a zero before the port":     strings.Replace(at("acme"), "127.0.0.1:", "127.0.0.1:0", 1),
		"another name of the host":   strings.Replace(at("acme"), "127.0.0.1", "localhost", 1),
		"the host in hexadecimal":    strings.Replace(at("acme"), "127.0.0.1", "0x7f.0.0.1", 1),
		"the host as one number":     strings.Replace(at("acme"), "127.0.0.1", "2130706433", 1),
		"a dot after the host":       strings.Replace(at("acme"), "127.0.0.1", "127.0.0.1.", 1),
		"a host that begins with it": strings.Replace(at("acme"), "127.0.0.1", "127.0.0.1.evil.example", 1),
		"a backslash as slash":       `http:\\` + host + `/acme/v2.0`, "a blank at the start": " " + at("acme"),
		"it as the path of another": "http://evil.example/" + at("acme"),
		"a link-local host":         "http://169.254.169.254/acme/v2.0",
		"an issuer and another":     at("acme") + " " + at("globex"), "empty": "", "a star": "*",
	}
}

// The "iss" of a token chooses whose keys verify it, and with keys of each tenant also what is fetched. Applications
// for many tenants that take any issuer of a server, or compare it loosely, let in tenants that strangers have made.
// Whatever is not byte for byte the issuer of a listed tenant must cause no fetch, and must not pass.
func TestAttackTenantsForeignIssuers(t *testing.T) {
	for name, lines := range map[string]func(as *tenants) []string{
		"keys of each tenant": func(*tenants) []string { return []string{"tenants acme globex"} },
		"one set of keys":     func(as *tenants) []string { return []string{as.common(), "tenants acme globex"} },
	} {
		t.Run(name, func(t *testing.T) {
			as, key := newTenants(t), tokentest.NewKey(t, "ES256", "k")
			for _, tenant := range []string{"acme", "globex", "initech", "common", "ACME", "acm", "acmes"} {
				as.serve(tenant, key.JWK())
			}
			s := start(t, gateFor(as.block(lines(as)...)))
			s.accepts(key.Sign(t, issuedBy(as.issuer("acme"))))
			s.accepts(key.Sign(t, issuedBy(as.issuer("globex"))))
			as.asked()
			for name, iss := range as.foreignIssuers() {
				s.attack(t, name, func(t *testing.T, a *attempt) {
					for range 2 {
						a.refusedFor(a.send(key.Sign(t, issuedBy(iss))), "unknown_issuer", "malformed_token")
					}
					if asked := as.asked(); len(asked) > 0 {
						t.Errorf("the server was asked for %q", asked)
					}
				})
			}
		})
	}
}

// Two tenants of one server may have keys with the same id. Whoever has the keys of one tenant must not get in as
// another: not by its own key set, by a key that names its own issuer, by a tid, nor after a token was remembered.
func TestAttackTenantsKeysOfAnotherTenant(t *testing.T) {
	acme := tokentest.NewKey(t, "ES256", "acme").WithKID("k")
	globex := tokentest.NewKey(t, "ES256", "globex").WithKID("k")
	for name, c := range map[string]struct {
		lines   func(as *tenants) []string
		reasons []string
	}{
		"keys of each tenant": {func(*tenants) []string { return []string{"tenants acme globex"} },
			[]string{"invalid_signature"}},
		"one set by metadata": {func(as *tenants) []string { return []string{as.common(), "tenants any"} },
			[]string{"invalid_signature", "unknown_key"}},
		"one set at an address": {func(as *tenants) []string {
			return []string{"keys jwks " + as.URL + "/common/keys", "tenants acme globex"}
		}, []string{"invalid_signature", "unknown_key"}},
		"one set in a file": {func(as *tenants) []string {
			set := tokentest.JWKSOf(vouching(acme, as.issuer("acme")), vouching(globex, as.issuer("globex")))
			return []string{"keys file " + newFile(t, "keys.json", set), "tenants acme globex"}
		}, []string{"invalid_signature", "unknown_key"}},
		"two sources": {func(as *tenants) []string {
			return []string{"keys jwks " + as.URL + "/common/keys", "keys jwks " + as.URL + "/acme/keys", "tenants acme globex"}
		}, []string{"invalid_signature", "unknown_key"}},
	} {
		t.Run(name, func(t *testing.T) {
			as := newTenants(t)
			as.serve("acme", vouching(acme, as.issuer("acme")))
			as.serve("globex", vouching(globex, as.issuer("globex")))
			as.serve("common", vouching(acme, as.issuer("acme")), vouching(globex, as.issuer("globex")))
			s := start(t, gateFor(as.block(c.lines(as)...)))
			for range 3 { // from the second time on, they are remembered
				s.accepts(acme.Sign(t, issuedBy(as.issuer("acme"), "tid", "acme", "sub", "same")))
				s.accepts(globex.Sign(t, issuedBy(as.issuer("globex"), "tid", "globex", "sub", "same")))
			}
			for _, kid := range []string{"k", "", "other"} {
				s.attack(t, "a key of another tenant, with the id "+kid, func(t *testing.T, a *attempt) {
					reasons := c.reasons
					if kid == "other" {
						reasons = append(reasons, "unknown_key")
					}
					for range 3 {
						a.refusedFor(a.send(acme.WithKID(kid).Sign(t, issuedBy(as.issuer("globex")))), reasons...)
						a.refusedFor(a.send(globex.WithKID(kid).Sign(t, issuedBy(as.issuer("acme"), "tid", "acme"))), reasons...)
					}
				})
			}
			for name, tid := range map[string]any{
				"another tenant": "globex", "upper case": "ACME", "empty": "", "null": jsonText("null"), "a list": []string{"acme"},
				"a blank": "acme ", "a number": 1, "the issuer": as.issuer("acme"),
			} {
				s.attack(t, "a tid of "+name, func(t *testing.T, a *attempt) {
					for range 2 {
						a.refusedFor(a.send(acme.Sign(t, issuedBy(as.issuer("acme"), "tid", tid))), "invalid_issuer")
					}
				})
			}
		})
	}
}

// A route behind the gate is closed to the tenants of one server, by the name that their issuer has in the
// configuration or by the iss of one of them. Whoever comes from there must not get around it, not even where the
// matcher is negated.
func TestAttackTenantsMatchedByTheirIssuer(t *testing.T) {
	as, key := newTenants(t), tokentest.NewKey(t, "ES256", "k")
	as.serve("common", key.JWK())
	other := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	for name, c := range map[string]struct {
		matcher string
		matches string // acme, globex, other
	}{
		"the pattern":                      {"bearer issuer " + as.issuer("*"), "acme globex"},
		"without the pattern":              {"not bearer issuer " + as.issuer("*"), "other nobody"},
		"one tenant":                       {"bearer issuer " + as.issuer("acme"), "acme"},
		"without one tenant":               {"not bearer issuer " + as.issuer("acme"), "globex other nobody"},
		"a tenant in another case":         {"bearer issuer " + as.issuer("ACME"), ""},
		"the pattern beside another":       {"bearer issuer https://x.example " + as.issuer("*"), "acme globex"},
		"the pattern of another server":    {"bearer issuer https://x.example/*/v2.0", ""},
		"another pattern of the same host": {"bearer issuer " + as.URL + "/*", ""},
	} {
		s.behind("@them "+c.matcher+"\nrespond @them yes\nrespond no\nGATE", "optional",
			as.block(as.common(), "tenants acme globex"), issuerByJWKS(other))
		for who, token := range map[string]string{
			"acme": key.Sign(t, issuedBy(as.issuer("acme"))), "globex": key.Sign(t, issuedBy(as.issuer("globex"))),
			"other": key.Sign(t, issuedBy(other.URL)), "nobody": "",
		} {
			s.attack(t, name+", "+who, func(t *testing.T, a *attempt) {
				want := "no"
				if strings.Contains(" "+c.matches+" ", " "+who+" ") {
					want = "yes"
				}
				for range 3 { // from the third time on, it is remembered
					if got := a.get("/", token); got.body != want {
						t.Errorf("status %d, %q; want %q", got.StatusCode, got.body, want)
					}
				}
			})
		}
	}
}

// Metadata for all tenants is a document that the gate trusts for each of them. One with the issuer of a single tenant,
// or of another server, must not be taken for it.
func TestAttackTenantsMetadataOfAnotherIssuer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	for name, template := range map[string]func(as *tenants) string{
		"one tenant":            func(as *tenants) string { return as.issuer("acme") },
		"the pattern":           func(as *tenants) string { return as.issuer("*") },
		"another placeholder":   func(as *tenants) string { return as.issuer("{tenant}") },
		"another server":        func(*tenants) string { return "https://evil.example/{tenantid}/v2.0" },
		"another end":           func(as *tenants) string { return as.URL + "/{tenantid}/v1.0" },
		"the placeholder alone": func(*tenants) string { return "{tenantid}" },
		"none":                  func(*tenants) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			as := newTenants(t)
			as.serve("common", key.JWK())
			as.template = template(as)
			s := start(t, gateFor(as.block(as.common(), "tenants any")))
			s.attack(t, name, func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(key.Sign(t, issuedBy(as.issuer("acme")))), "keys_unavailable")
				for _, path := range as.asked() {
					if strings.Contains(path, "keys") {
						t.Errorf("the keys were fetched: %s", path)
					}
				}
			})
		})
	}
}

// With "tenants any", a stranger can invent issuers. While the keys are out of reach, they must cause no more fetches
// than one issuer would, and no line of the log for each.
func TestAttackTenantsInventedOnes(t *testing.T) {
	as, key := newTenants(t), tokentest.NewKey(t, "ES256", "k") // nothing is served
	s := start(t, gateFor(as.block(as.common(), "tenants any")))
	s.attack(t, "a thousand tenants", func(t *testing.T, a *attempt) {
		for i := range 1000 {
			token := key.Sign(t, issuedBy(as.issuer("t"+strings.Repeat("x", i%60)+string(rune('a'+i%26)))))
			a.secret(token)
			if status, err := s.status(token); err != nil || status != 503 {
				t.Fatalf("status %d, %v", status, err)
			}
		}
		a.nothingForwarded()
		lines := 0
		for line := range strings.Lines(a.since()) {
			if strings.Contains(line, `"msg":"request refused"`) && strings.Contains(line, `"level":"warn"`) {
				lines++
			}
		}
		if lines > 20 {
			t.Errorf("%d warnings for invented tenants", lines)
		}
		if n := len(as.asked()); n > 60 {
			t.Errorf("the server was asked %d times", n)
		}
	})
}
