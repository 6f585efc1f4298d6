package integration

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A careless gate compares scopes as texts that contain each other, or splits lists at other characters than the space:
// "a,b" or "read\twrite" become scopes, "readonly" is "read". Only exact names in a space-separated list or an array
// count.
func TestAttackClaimsScope(t *testing.T) {
	s, issuer, key := claimSite(t, "require scope read")
	s.attack(t, "control: a list", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(issuer, "scope", "write read"))))
	})
	s.attack(t, "control: an array", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(issuer, "scope", []string{"write", "read"}))))
	})
	for name, scope := range map[string]any{
		"longer": "readonly", "shorter": "rea", "upper case": "READ", "comma": "write,read", "tab": "write\tread",
		"line end": "write\nread", "no-break space": "write\u00a0read",
		"plus": "write+read", "semicolon": "write;read", "quoted": `"read"`, "wildcard": "*", "empty": "", "spaces": "   ",
		"array of lists": []string{"write read"}, "array with a list": []string{"x", "a read"},
		"hierarchy": "read:all", "parent": "r", "negative": "-read", "NUL": "read\x00",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "scope", scope))), "insufficient_scope")
		})
	}
	for name, scope := range map[string]any{"number": 1, "true": true, "object": map[string]bool{"read": true},
		"array of numbers": []int{1}, "nested array": [][]string{{"read"}}} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "scope", scope))), "malformed_token", "insufficient_scope")
		})
	}
	s.attack(t, "none", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(key.Sign(t, issuedBy(issuer))), "insufficient_scope")
	})
	s.attack(t, "in other claims", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(key.Sign(t,
			issuedBy(issuer, "scopes", "read", "Scope", "read", "permissions", []string{"read"}, "roles", "read"))),
			"insufficient_scope")
	})
}

// A required claim has another type: a text that contains the value, an object with the value as a name, the number one
// for true.
func TestAttackClaimsRequiredValue(t *testing.T) {
	s, issuer, key := claimSite(t, "require claim role admin", "require claim level 3",
		"require claim realm_access.roles editor", "require group staff")
	good := []any{"role", "admin", "level", 3, "realm_access", map[string]any{"roles": []string{"editor"}}, "groups",
		[]string{"staff"}}
	s.attack(t, "control: passes", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(issuer, good...))))
	})
	for name, change := range map[string][]any{
		"none": {"role", nil}, "list in a text": {"role", "user admin"}, "comma list": {"role", "user,admin"},
		"longer": {"role", "administrator"}, "upper case": {"role", "Admin"},
		"name of a member": {"role", map[string]any{"admin": true}}, "true": {"role", true}, "empty": {"role", ""},
		"nested array":             {"role", [][]string{{"admin"}}},
		"number as another number": {"level", 30}, "array of arrays": {"level", [][]int{{3}}},
		"path through an array": {"realm_access", []any{map[string]any{"roles": []string{"editor"}}}},
		"path as one name":      {"realm_access", nil},
		"member beside":         {"realm_access", map[string]any{"roles": []string{"viewer"}, "role": "editor"}},
		"group in a text":       {"groups", "x staff"}, "group none": {"groups", nil},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			c := issuedBy(issuer, append(append([]any{}, good...), change...)...)
			if name == "path as one name" {
				c["realm_access.roles"] = "editor"
			}
			a.refusedFor(a.send(key.Sign(t, c)), "claim_mismatch")
		})
	}
}

// Requirements that are joined by "or" where their author meant "and" open the route to half of what was asked. Every
// combination is sent: all scopes, one value of each claim and one of the groups are needed.
func TestAttackClaimsEveryCombinationOfRequirements(t *testing.T) {
	s, issuer, key := claimSite(t, "require scope a b", "require claim c x y", "require claim d", "require group g h")
	scopes, values, present, groups := []string{"", "a", "b", "b a"}, []string{"", "x", "y", "z"},
		[]string{"", "anything"}, [][]string{nil, {"g"}, {"i", "h"}, {"i"}}
	s.attack(t, "all of them", func(t *testing.T, a *attempt) {
		let := 0
		for _, scope := range scopes {
			for _, c := range values {
				for _, d := range present {
					for _, group := range groups {
						want := http.StatusForbidden
						if scope == "b a" && (c == "x" || c == "y") && d != "" && len(group) > 0 && group[len(group)-1] != "i" {
							want = http.StatusOK
							let++
						}
						if got := a.send(key.Sign(t,
							issuedBy(issuer, "scope", scope, "c", c, "d", d, "groups", group))); got.StatusCode != want {
							t.Errorf("scope %q, c %q, d %q, groups %q: status %d, want %d", scope, c, d, group, got.StatusCode, want)
						}
					}
				}
			}
		}
		if n := len(a.upstream.take()); n != let {
			t.Errorf("%d requests reached the upstream, want %d", n, let)
		}
	})
}

// The identity is empty, blank or missing, which some backends read as "nobody to restrict" and others as the first
// user: CVE-2026-23990. An empty identity never becomes a header.
func TestAttackClaimsEmptyIdentity(t *testing.T) {
	s, issuer, key := claimSite(t, "forward_claims X-User sub", "forward_claims X-Email email",
		"forward_claims X-Groups groups")
	for name, sub := range map[string]any{"empty": "", "a space": " ", "blank": " \t\n", "a number": 0, "false": false,
		"an array": []string{"admin"}, "an object": map[string]any{"id": "admin"}, "a NUL": "\x00",
		"a zero-width": "\u2028"} {
		s.attack(t, "sub "+name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "sub", sub))), "malformed_token", "unsafe_claim", "missing_claim")
		})
	}
	for name, change := range map[string][]any{"missing": {"email", nil}, "empty": {"email", ""},
		"empty array": {"groups", []string{}}} {
		s.attack(t, "forwarded claim "+name, func(t *testing.T, a *attempt) {
			got := a.passed(a.send(key.Sign(t, issuedBy(issuer, change...)), "X-Email", "admin@example.com", "X-Groups",
				"admin"))
			for _, header := range []string{"X-Email", "X-Groups"} {
				for _, value := range got.Header[header] {
					if value == "" || strings.Contains(value, "admin") {
						t.Errorf("%s %q at the upstream", header, value)
					}
				}
			}
		})
	}
	s.load(gateFor("issuer " + issuer + " {\n audience " + audience + "\n keys jwks " + issuer +
		"/jwks\n required_claims email groups sub\n}"))
	for name, change := range map[string][]any{"missing": {"email", nil}, "empty": {"email", ""},
		"an empty array": {"groups", []string{}}, "blank": {"email", "  "}} {
		s.attack(t, "required claim "+name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t,
				issuedBy(issuer, append([]any{"email", "a@example.com", "groups", []string{"x"}}, change...)...))), "missing_claim")
		})
	}
}

// Some claim selects the consumer. A token of one issuer names a consumer there that belongs to another (RFC 8725
// section 3.8). The claim selects a credential, and the credential's own key must have signed.
func TestAttackClaimsConsumerNamedByAnotherIssuer(t *testing.T) {
	s, issuer, key := claimSite(t, consumerAlice(t), "key_claim azp")
	s.attack(t, "control: the consumer's own", func(t *testing.T, a *attempt) {
		a.passed(a.send(hmacKey(t).Sign(t, claims("iss", nil, "azp", "alice-key"))))
	})
	for name, token := range map[string]string{
		"in the payload": key.Sign(t, issuedBy(issuer, "azp", "alice-key")),
		"in the header":  key.Sign(t, issuedBy(issuer), map[string]any{"azp": "alice-key"}),
		"in both":        key.Sign(t, issuedBy(issuer, "azp", "x"), map[string]any{"azp": "alice-key"}),
		"as an array, in the header too": key.Sign(t, issuedBy(issuer, "azp", []string{"alice-key"}),
			map[string]any{"azp": "alice-key"}),
		"by the consumer's key for iss": hmacKey(t).Sign(t, issuedBy(issuer, "azp", "x")),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.send(token)
			if got.StatusCode == 200 { // the issuer's own token, which names nobody that is known: never the consumer
				if seen := a.passed(got); seen.Header.Get("X-Consumer-Username") != "" {
					t.Errorf("taken for the consumer %q", seen.Header.Get("X-Consumer-Username"))
				}
				return
			}
			a.refusedFor(got, "invalid_signature", "unsupported_algorithm")
		})
	}
	for _, azp := range []string{"Alice-Key", "alice-key ", "alice-key\x00", "alice", "42", "c-42", "", "*"} {
		s.attack(t, "azp "+strconv.Quote(azp), func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(hmacKey(t).Sign(t, claims("iss", nil, "azp", azp))), "unknown_issuer", "malformed_token")
		})
	}
}

// A claim contains a Caddy placeholder. A configuration that prints the claim expands it once more and hands out
// secrets: CVE-2026-30852, GHSA-wwhq-w58m-w29c. The claim reaches the backend as it was written, also by way of
// header_up.
func TestAttackClaimsPlaceholderInAClaim(t *testing.T) {
	t.Setenv("GATE_SECRET", "the-secret-value")
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	gate := gateFor(issuerByJWKS(as), "forward_claims X-User sub", "forward_claims X-Name name")
	s.loadFile(strings.Replace(s.caddyfile(gate), "reverse_proxy "+s.upstream.addr(),
		"header >X-Back {http.auth.user.name}\nreverse_proxy "+s.upstream.addr()+
			" {\n header_up X-Id {http.auth.user.id}\n header_up X-Up {http.auth.user.name}\n}\n", 1))
	for _, text := range []string{"{env.GATE_SECRET}", "{file./etc/passwd}", "{http.vars.x}",
		"{http.request.header.Cookie}", "{http.auth.user.name}", "{{env \"GATE_SECRET\"}}",
		"{$GATE_SECRET}", "${GATE_SECRET}", "{", "}", "{}", "\\{env.GATE_SECRET}", "{http.auth.user.id}",
		"%7Benv.GATE_SECRET%7D"} {
		s.attack(t, text, func(t *testing.T, a *attempt) {
			answered := a.send(key.Sign(t, issuedBy(as.URL, "sub", text, "name", text)))
			got := a.passed(answered)
			for header, encoded := range map[string]bool{"X-User": true, "X-Name": true, "X-Id": false, "X-Up": false} {
				value := got.Header.Get(header)
				if encoded {
					value, _ = url.PathUnescape(value)
				}
				if value != text {
					t.Errorf("%s %q at the upstream, want %q", header, value, text)
				}
			}
			if back := answered.Header.Get("X-Back"); back != text {
				t.Errorf("X-Back %q in the answer, want %q", back, text)
			}
		})
	}
}

// A configuration puts a claim into the path. Its text becomes the path of another user, or a query (CWE-22, CWE-74).
// The form in the threat model lets plain names through and nothing else.
func TestAttackClaimsInAPath(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "path")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	text, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\t\t@odd ")
	recipe, _, found := strings.Cut("@odd "+after, "\t\treverse_proxy")
	if !found {
		t.Fatal("docs/threat-model.md shows no claim in a path any more")
	}
	s := prepare(t)
	s.loadFile(s.caddyfile("route {\n" + gateFor(issuerByJWKS(as)) + "\n" + recipe + "reverse_proxy " + s.upstream.addr() +
		"\n}"))
	for _, sub := range []string{"alice", "A-1_b"} {
		s.attack(t, "control: "+sub, func(t *testing.T, a *attempt) {
			if got := a.passed(a.send(key.Sign(t, issuedBy(as.URL, "sub", sub)))); got.URI != "/users/"+sub+"/" {
				t.Errorf("the upstream got %q", got.URI)
			}
		})
	}
	for _, sub := range []string{"..", "../admin", "%2e%2e/admin", "a/b", "a?role=admin", "a#x", "a%3fb", "a;b", "a b",
		"a\\b", "{http.request.host}", "ä"} {
		s.attack(t, fmt.Sprintf("%q", sub), func(t *testing.T, a *attempt) {
			a.neverForwarded(a.send(key.Sign(t, issuedBy(as.URL, "sub", sub))))
		})
	}
	s.attack(t, "no subject", func(t *testing.T, a *attempt) {
		a.neverForwarded(a.send(key.Sign(t, issuedBy(as.URL, "sub", nil))))
	})
}
