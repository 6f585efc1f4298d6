package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Somebody who can choose a claim at the server wants to be a consumer whose very name the server does not let it have:
// by a name that looks alike, or that a backend, a proxy or a database reads as the same.
func TestAttackNamesThatLookLikeAConsumer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := introspector(t, tokentest.WithKeys(key))
	const name = "Jürgen-K"
	consumers := "consumer " + name + " {\ncustom_id " + name + "\ngroups staff\n}"
	alike := map[string]any{
		"in small letters":    "jürgen-k",
		"in capitals":         strings.ToUpper(name),
		"decomposed":          "Ju\u0308rgen-K",
		"a Kelvin sign":       "Jürgen-\u212a",
		"a Cyrillic letter":   "Jürg\u0435n-K",
		"a wide letter":       "\uff2aürgen-K",
		"another hyphen":      "Jürgen\u2010K",
		"a soft hyphen":       "Jür\u00adgen-K",
		"a blank at the end":  name + " ",
		"a blank before":      " " + name,
		"a no-break space":    name + "\u00a0",
		"a byte order mark":   "\ufeff" + name,
		"an invisible letter": name + "\u200b",
		"a zero byte":         name + "\x00",
		"a line end":          name + "\n",
		"read as Latin-1":     "J\u00c3\u00bcrgen-K",
		"percent-encoded":     "J%C3%BCrgen-K",
		"with more":           name + ",admin",
		"a part":              "Jürgen",
		"nothing":             "",
		"everything":          "*",
		"a placeholder":       "{http.auth.user.other}",
		"a list of it":        []string{name},
		"a list with more":    []string{"x", name},
		"an object of SCIM":   map[string]any{"value": name},
		"its name as member":  map[string]any{name: true},
		"true":                true,
		"null":                json.RawMessage("null"),
		"a long name":         strings.Repeat(name, 1000),
		"an absent claim":     nil,
	}
	for word, reasons := range map[string][]string{
		"consumer_claim client":           {"unknown_consumer"},
		"consumer_claim client custom_id": {"unknown_consumer"},
	} {
		block := strings.Replace(introspecting(as, "opaque"), "{", "{\n"+word, 1)
		s := start(t, gateFor(block, consumers, "require group staff"))
		for what, value := range alike {
			s.attack(t, word+", "+what, func(t *testing.T, a *attempt) {
				token := key.Sign(t, issuedBy(as.URL, "client", value, "other", name, "groups", "staff"))
				as.Introspect(always(active("client", value, "other", name, "groups", "staff")))
				opaque := "opaque-" + b64(word+what)
				for range 2 {
					a.refusedFor(a.send(token, "X-Consumer-Username", name), reasons...)
					a.refusedFor(a.send(opaque, "X-Consumer-Username", name), reasons...)
				}
			})
		}
		s.attack(t, word+", control", func(t *testing.T, a *attempt) {
			as.Introspect(always(active("client", name)))
			for _, token := range []string{key.Sign(t, issuedBy(as.URL, "client", name)), "opaque-control"} {
				a.told(a.passed(a.send(token)), map[string]string{
					"X-Consumer-Username": name, "X-Consumer-Custom-Id": name, "X-Consumer-Groups": "staff",
				})
			}
		})
	}
}

// The anonymous consumer may have rights that are meant for those who come without a token. Nobody gets them by naming
// it, also not beside a bad token.
func TestAttackNamesTheAnonymousConsumer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	for word, claimed := range map[string]string{
		"consumer_claim azp": "guest", "consumer_claim azp custom_id": "c-0", "username_claim azp": "guest",
	} {
		s := start(t, gateFor(issuerByJWKS(as, word), shop, guest, "anonymous guest",
			"require any {\ngroup partners\nclaim azp bob\n}"))
		s.attack(t, word, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t, issuedBy(as.URL, "azp", claimed))), "unknown_consumer", "unsafe_claim")
			a.refusedFor(a.send(key.Sign(t, issuedBy(as.URL))), "unknown_consumer", "missing_claim")
		})
		s.attack(t, word+", control", func(t *testing.T, a *attempt) {
			got := a.passed(a.get("/", "", "X-Consumer-Username", "shop"))
			a.told(got, map[string]string{"X-Consumer-Username": "guest", "X-Consumer-Custom-Id": "c-0",
				"X-Consumer-Groups": "partners", "X-Anonymous-Consumer": "true"})
		})
	}
}

// Somebody who can choose a name at the server wants the backend to take it for a consumer of the gate, for a second
// header or for more rights. The client sends the headers, too, by every protocol.
func TestAttackNamesForTheBackend(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s, ways := startEverywhere(t, gateFor(issuerByJWKS(as, "username_claim name"), shop, consumerAlice(t)))
	names := []any{"shop", "alice", " shop", "shop ", "shop\u00a0", "\ufeffshop", "shop\ufeff", "shop\u3000", "shop\t",
		"shop\r\nX-Consumer-Groups: staff", "bob\nX-Consumer-Username: shop", "bob\x00", "bob\u0085", "bob\u2028", "",
		" ", []string{"shop"}, map[string]any{"value": "shop"}, 7, true, json.RawMessage("null"), nil,
		strings.Repeat("x", 8<<10+1)}
	for _, way := range ways {
		for i, name := range names {
			s.attack(t, fmt.Sprintf("name %d by %s", i, way.name), func(t *testing.T, a *attempt) {
				a = a.by(way)
				a.refusedFor(a.send(key.Sign(t, issuedBy(as.URL, "name", name)), "X-Consumer-Username", "shop"),
					"unsafe_claim", "missing_claim")
			})
		}
		for name, want := range map[string]string{
			"Shop": "Shop", "{http.auth.user.sub}": "{http.auth.user.sub}", "shop,admin": "shop,admin", "Jürgen": "Jürgen",
		} {
			s.attack(t, name+" by "+way.name, func(t *testing.T, a *attempt) {
				a = a.by(way)
				token := key.Sign(t, issuedBy(as.URL, "name", name, "groups", "staff"))
				for _, header := range managed[:6] {
					for _, spelling := range spellings(header) {
						a.untouched(a.passed(a.send(token, spelling, "admin", spelling, "shop")),
							map[string]string{"X-Consumer-Username": want})
					}
				}
			})
		}
	}
}

// A gate without any consumer sets X-Consumer-Username, too. So its clients can set none of the headers, by any
// protocol, and without a token either.
func TestAttackNamesWithoutConsumers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s, ways := startEverywhere(t, gateFor(issuerByJWKS(as, "username_claim name"), "optional"))
	token := key.Sign(t, issuedBy(as.URL, "name", "bob"))
	for _, way := range ways {
		s.attack(t, "by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			for _, header := range managed[:6] {
				for _, spelling := range spellings(header) {
					a.untouched(a.passed(a.send(token, spelling, "admin")), map[string]string{"X-Consumer-Username": "bob"})
					a.untouched(a.passed(a.get("/", "", spelling, "admin")), nil)
				}
			}
		})
	}
}

// An issuer that may name no consumer wants to name one by the word of another issuer, or by that of a consumer.
func TestAttackNamesOfAnotherIssuer(t *testing.T) {
	trusted, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	issuers := []string{
		issuerWithKeys("https://a.example", "file "+newFile(t, "a.json", tokentest.JWKS(trusted)), "consumer_claim azp"),
		issuerWithKeys("https://b.example", "file "+newFile(t, "b.json", tokentest.JWKS(other))),
		issuerWithKeys("https://c.example", "file "+newFile(t, "c.json", tokentest.JWKS(other)), "username_claim azp"),
	}
	for _, keyClaim := range []string{"iss", "azp", "kid"} {
		s := start(t, gateFor(append(issuers, shop, consumerAlice(t), "key_claim "+keyClaim, "require group eu")...))
		for how, c := range map[string]struct{ token, reasons string }{
			"as itself":                {other.Sign(t, issuedBy("https://b.example", "azp", "shop")), "claim_mismatch"},
			"by a name":                {other.Sign(t, issuedBy("https://c.example", "azp", "shop")), "unsafe_claim"},
			"in the name of the other": {other.Sign(t, issuedBy("https://a.example", "azp", "shop")), "unknown_key"},
			"with its kid": {other.WithKID("k1").Sign(t, issuedBy("https://a.example", "azp", "shop")),
				"invalid_signature"},
			"by iss in the header": {other.Sign(t, issuedBy("https://b.example", "azp", "shop"),
				map[string]any{"iss": "https://a.example"}), "claim_mismatch"},
			"with a key of a consumer": {hmacKey(t).WithKID("alice-key").Sign(t, issuedBy("https://a.example", "azp", "shop")),
				"unsupported_algorithm claim_mismatch"},
			"as the credential of a consumer": {other.Sign(t, issuedBy("https://b.example", "azp", "alice-key")),
				"claim_mismatch unsupported_algorithm"},
			"as the credential, by the trusted issuer": {trusted.WithKID("k1").
				Sign(t, issuedBy("https://a.example", "azp", "alice-key")), "unknown_consumer unsupported_algorithm"},
		} {
			s.attack(t, how+", key claim "+keyClaim, func(t *testing.T, a *attempt) {
				for range 2 {
					a.refusedFor(a.send(c.token), strings.Fields(c.reasons)...)
				}
			})
		}
		s.attack(t, "control, key claim "+keyClaim, func(t *testing.T, a *attempt) {
			a.told(a.passed(a.send(trusted.Sign(t, issuedBy("https://a.example", "azp", "shop")))), asShop)
		})
	}
}

// Two gates take tokens of one server, and have other consumers, or none. A verdict that one of them remembers says
// nothing about the consumers of the other.
func TestAttackNamesInASharedCache(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(always(active("azp", "shop")))
	route := func(path, word string, lines ...string) string {
		block := strings.Replace(introspecting(as, "opaque"), "{", "{\n"+word, 1)
		return "handle " + path + " {\n" + gateFor(append([]string{block}, lines...)...) + "\n}\n"
	}
	s := start(t, route("/ours/*", "consumer_claim azp", shop)+
		route("/theirs/*", "consumer_claim azp", "consumer other {\ngroups admins\n}")+
		route("/renamed/*", "consumer_claim azp custom_id", "consumer root {\ncustom_id shop\ngroups admins\n}")+
		route("/anonymous/*", "consumer_claim azp", shop, guest, "anonymous shop")+
		route("/named/*", "username_claim azp")+
		route("/taken/*", "username_claim azp", shop)+
		route("/plain/*", "", shop))
	for _, token := range []string{key.Sign(t, issuedBy(as.URL, "azp", "shop")), "opaque-token"} {
		s.attack(t, "a token, remembered, "+token[:6], func(t *testing.T, a *attempt) {
			a.secret(token)
			for range 4 {
				a.told(a.passed(a.get("/ours/", token)), asShop)
				a.refusedFor(a.get("/theirs/", token), "unknown_consumer")
				a.told(a.passed(a.get("/renamed/", token)), map[string]string{"X-Consumer-Username": "root",
					"X-Consumer-Custom-Id": "shop", "X-Consumer-Groups": "admins"})
				a.refusedFor(a.get("/anonymous/", token), "unknown_consumer")
				a.told(a.passed(a.get("/named/", token)), map[string]string{"X-Consumer-Username": "shop"})
				a.refusedFor(a.get("/taken/", token), "unsafe_claim")
				a.told(a.passed(a.get("/plain/", token)), nil)
			}
		})
	}
}
