package integration

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Somebody with a token of one issuer, or with a key of a consumer, wants the tolerance that another one has. The token
// says that it is the other's, in every place where a token can say so. What the gate tolerates follows from the party
// whose key must verify the token, so nothing is gained.
func TestAttackToleranceOfAnotherParty(t *testing.T) {
	lax, strict := tokentest.NewKey(t, "ES256", "lax"), tokentest.NewKey(t, "ES256", "strict")
	secret := hmacKey(t)
	for _, c := range tolerances() {
		lines := append([]string{"tolerate " + c.word}, c.lines...)
		issuers := []string{
			issuerWithKeys("https://lax.example", "file "+newFile(t, "lax.json", tokentest.JWKS(lax)), lines...),
			issuerWithKeys("https://strict.example", "file "+newFile(t, "strict.json", tokentest.JWKS(strict))),
		}
		for _, keyClaim := range []string{"iss", "kid", "azp"} {
			s := start(t, gateFor(append([]string{consumerAlice(t), "key_claim " + keyClaim}, issuers...)...))
			for name, changes := range c.admitted {
				if c.word == "missing_exp" && name != "none" {
					continue
				}
				said := issuedBy("https://strict.example", changes...)
				as := func(iss any) map[string]any {
					claims := maps.Clone(said)
					claims["iss"] = iss
					return claims
				}
				withKey := func(iss, azp string) map[string]any {
					claims := as(iss)
					claims["azp"] = azp
					return claims
				}
				for how, token := range map[string]string{
					"as itself":                         strict.Sign(t, said),
					"in the name of the other":          strict.Sign(t, as("https://lax.example")),
					"with the other's kid":              strict.WithKID("lax").Sign(t, said),
					"with both":                         strict.WithKID("lax").Sign(t, as("https://lax.example")),
					"with iss in the header":            strict.Sign(t, said, map[string]any{"iss": "https://lax.example"}),
					"with a list of issuers":            strict.Sign(t, as([]string{"https://lax.example"})),
					"with an object":                    strict.Sign(t, as(json.RawMessage(`{"":"https://lax.example"}`))),
					"with two of them":                  strict.SignRaw(`{"alg":"ES256","kid":"strict"}`, twice(t, said)),
					"with a slash":                      strict.Sign(t, as("https://lax.example/")),
					"as a credential of nobody":         strict.Sign(t, withKey("https://strict.example", "https://lax.example")),
					"as the credential of the consumer": strict.Sign(t, withKey("https://strict.example", "alice-key")),
					"of the consumer":                   secret.Sign(t, as("alice-key")),
					"of the consumer, by its kid":       secret.WithKID("alice-key").Sign(t, as("https://lax.example")),
					"of the consumer, by azp":           secret.Sign(t, withKey("https://lax.example", "alice-key")),
					"unsigned":                          strict.SignRaw(`{"alg":"none"}`, asJSON(t, as("https://lax.example"))),
					"of the other, with a bad signature": tokentest.FlipSignature(t,
						lax.Sign(t, as("https://lax.example"))),
				} {
					s.attack(t, c.word+", "+name+", "+how+", key claim "+keyClaim, func(t *testing.T, a *attempt) {
						for range 2 {
							a.refusedFor(a.send(token), "malformed_token", "missing_claim", "invalid_signature", "unknown_key",
								"unknown_issuer", "unsupported_algorithm")
						}
					})
				}
				s.attack(t, "control: "+c.word+", "+name, func(t *testing.T, a *attempt) {
					a.passed(a.send(lax.Sign(t, as("https://lax.example"))))
				})
			}
		}
	}
}

// twice is a payload with a second iss, which some readers take for the only one.
func twice(t *testing.T, claims map[string]any) string {
	return strings.TrimSuffix(asJSON(t, claims), "}") + `,"iss":"https://lax.example"}`
}

// A token that one route tolerates is presented on another, whose gate does not. The gate remembers verified tokens,
// and must not carry the tolerance over. The end of a token without exp is each route's own.
func TestAttackToleranceOfAnotherRoute(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	route := func(path string, lines ...string) string {
		return "handle " + path + " {\n" + gateFor(issuerByJWKS(as, lines...)) + "\n}\n"
	}
	for _, c := range tolerances() {
		s := start(t, route("/lax/*", append([]string{"tolerate " + c.word}, c.lines...)...)+route("/strict/*")+
			route("/other/*", "tolerate "+other(c.word)))
		for name, changes := range c.admitted {
			token := key.Sign(t, issuedBy(as.URL, changes...))
			s.attack(t, c.word+", "+name, func(t *testing.T, a *attempt) {
				a.secret(token)
				for range 3 {
					a.passed(a.get("/lax/", token))
					a.refusedFor(a.get("/strict/", token), c.without...)
					a.refusedFor(a.get("/other/", token), "malformed_token", "missing_claim", "not_yet_valid", "expired")
				}
			})
		}
	}
	s := start(t, route("/hour/*", "tolerate missing_exp", "max_lifetime 1h")+
		route("/minute/*", "tolerate missing_exp", "max_lifetime 1m"))
	old := key.Sign(t, issuedBy(as.URL, "exp", nil, "iat", time.Now().Unix()-600))
	s.attack(t, "a route with a longer life", func(t *testing.T, a *attempt) {
		a.secret(old)
		for range 3 {
			a.passed(a.get("/hour/", old))
			a.refusedFor(a.get("/minute/", old), "expired")
		}
	})
}

// other is a word of "tolerate" that does not admit what the word admits.
func other(word string) string {
	if word == "numeric_subject" {
		return "text_dates"
	}
	return "numeric_subject"
}

// Two routes ask the same server, and one of them takes an exp of 0 for "never". They share neither answers nor what
// was made of them.
func TestAttackNeverExpiresOfAnotherRoute(t *testing.T) {
	as := introspector(t)
	route := func(path, line string) string {
		block := strings.Replace(introspecting(as, "opaque"), "introspect opaque",
			"keys none\n"+line+"\nintrospect opaque", 1)
		return "handle " + path + " {\n" + gateFor(block) + "\n}\n"
	}
	s := start(t, route("/never/*", "tolerate never_expires")+route("/usual/*", ""))
	for name, exp := range map[string]json.RawMessage{"zero": jsonText("0"), "null": jsonText("null")} {
		as.Introspect(always(active("exp", exp)))
		token := "opaque-" + name
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.secret(token)
			for range 3 {
				a.passed(a.get("/never/", token))
				got := a.get("/usual/", token)
				if name == "zero" {
					a.refusedFor(got, "expired")
				} else {
					a.ourFault(got, 502)
				}
			}
		})
	}
}

// Two routes ask the same server about opaque tokens, and look for groups in different claims. A caller who is in a
// group by the one is not in it by the other.
func TestAttackGroupsOfAnotherRoute(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active("roles", "admin", "names", "admin guest", "groups", "staff")))
	route := func(path, line string) string {
		block := strings.Replace(introspecting(as, "opaque"), "introspect opaque",
			"keys none\n"+line+"\nintrospect opaque", 1)
		return "handle " + path + " {\n" + gateFor(block, "require group admin") + "\n}\n"
	}
	s := start(t, route("/roles/*", "group_claim roles")+route("/names/*", "group_claim names")+route("/usual/*", ""))
	s.attack(t, "a remembered answer", func(t *testing.T, a *attempt) {
		a.secret("opaque-groups")
		for range 3 {
			a.passed(a.get("/roles/", "opaque-groups"))
			a.refusedFor(a.get("/names/", "opaque-groups"), "claim_mismatch")
			a.refusedFor(a.get("/usual/", "opaque-groups"), "claim_mismatch")
		}
	})
}

// A user can choose a name, and wants to be in a group by it: by a claim of another name, by a member of an object that
// says no, by a name inside of one, or by blanks around it. What the configured path leads to decides.
func TestAttackGroupsOfAClaim(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as, "group_claim realm_access.roles urn:roles"), "require group admin"))
	for name, claims := range map[string]string{
		"the usual claim": `{"groups":["admin"]}`, "a name with a dot": `{"realm_access.roles":["admin"]}`,
		"an object around it":      `{"realm_access":{"roles":{"roles":["admin"]}}}`,
		"a member that is false":   `{"urn:roles":{"admin":false}}`,
		"a member that is null":    `{"urn:roles":{"admin":null}}`,
		"inside of a member":       `{"urn:roles":{"user":{"admin":true}}}`,
		"an object in a list":      `{"realm_access":{"roles":[{"admin":true}]}}`,
		"the value of a member":    `{"urn:roles":{"role":"admin"}}`,
		"with blanks":              `{"realm_access":{"roles":[" admin","admin "]}}`,
		"in a list with a comma":   `{"realm_access":{"roles":"user,admin"}}`,
		"two words":                `{"realm_access":{"roles":"user admin"}}`,
		"in another case":          `{"realm_access":{"roles":["Admin","ADMIN"]},"URN:ROLES":{"admin":{}}}`,
		"a list in a list":         `{"realm_access":{"roles":[["admin"]]}}`,
		"an empty object":          `{"urn:roles":{}}`,
		"a list with an admin key": `{"realm_access":[{"roles":["admin"]}]}`,
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			said := issuedBy(as.URL)
			if err := json.Unmarshal([]byte(claims), &said); err != nil {
				t.Fatal(err)
			}
			a.refusedFor(a.send(key.Sign(t, said)), "claim_mismatch")
		})
	}
	for name, claims := range map[string]string{
		"a list":    `{"realm_access":{"roles":["user","admin"]}}`,
		"an object": `{"urn:roles":{"admin":{"1":"a.example"}}}`,
	} {
		s.attack(t, "control: "+name, func(t *testing.T, a *attempt) {
			said := issuedBy(as.URL)
			if err := json.Unmarshal([]byte(claims), &said); err != nil {
				t.Fatal(err)
			}
			a.passed(a.send(key.Sign(t, said)))
		})
	}
}
