package integration

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// shop is a consumer that has no credentials: tokens of an issuer name it.
const shop = "consumer shop {\nid 7\ncustom_id c-7\ngroups partners eu\n}"

// guest is the anonymous consumer of the tests about names.
const guest = "consumer guest {\ncustom_id c-0\ngroups partners\n}"

// asShop are the headers of the backend for a token that names the consumer shop.
var asShop = map[string]string{
	"X-Consumer-Id": "7", "X-Consumer-Custom-Id": "c-7", "X-Consumer-Username": "shop", "X-Consumer-Groups": "partners,eu",
}

// told wants these values in the headers of the backend, and none in the others about consumers.
func (s *site) told(got seen, want map[string]string) {
	s.t.Helper()
	for _, name := range managed[:6] {
		name = http.CanonicalHeaderKey(name)
		if values := got.Header[name]; len(values) > 1 || got.Header.Get(name) != want[name] {
			s.t.Errorf("%s: %q at the backend, want %q", name, values, want[name])
		}
	}
}

// A token of an issuer that names a consumer is that consumer's for everything behind the gate, and remains one of the
// issuer.
func TestTokenOfAnIssuerNamesAConsumer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	behind := `
	@shop bearer consumer shop
	@issuer {
		bearer issuer ` + as.URL + `
		bearer group eu
	}
	request_header @shop X-Shop yes
	request_header @issuer X-Issuer yes
	request_header X-Who "{http.auth.user.id}|{http.auth.bearer.issuer}|{http.auth.user.sub}"`
	for word, value := range map[string]string{"consumer_claim azp": "shop", "consumer_claim azp custom_id": "c-7"} {
		gate := gateFor(issuerByJWKS(as, word, "required_claims sub"), shop, consumerAlice(t), "require group partners staff",
			"forward_claims X-User sub")
		s := start(t, "route {\n"+gate+behind+"\n}")
		got := s.passed(s.get("/", key.Sign(t, issuedBy(as.URL, "azp", value))))
		s.told(got, asShop)
		for name, want := range map[string]string{
			"X-User": "alice", "X-Shop": "yes", "X-Issuer": "yes", "X-Who": "shop|" + as.URL + "|alice",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %s %q, want %q", word, name, got.Header.Get(name), want)
			}
		}
		s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "azp", "alice-key"))), http.StatusForbidden, "unknown_consumer")
		s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "groups", "partners"))), http.StatusForbidden, "unknown_consumer")
		if got := s.passed(s.get("/", hmacKey(t).Sign(t, claims("azp", "shop")))); got.Header.Get("X-Who") != "alice||alice" {
			t.Errorf("%s: the consumer's own token is %q", word, got.Header.Get("X-Who"))
		}
		cause, _ := s.accessLog()["auth_cause"].(string)
		if cause != "" {
			t.Errorf("an accepted request has the cause %q", cause)
		}
	}
}

// The claim may be in an answer: of the introspection endpoint, or of UserInfo.
func TestAnswerOfAServerNamesAConsumer(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active("username", "shop", "sub", nil)))
	userInfo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"sub":"1","preferred_username":"shop"}`))
	}))
	t.Cleanup(userInfo.Close)
	asked := issuerBlock("https://as.example", "keys none", "audience any",
		"introspect opaque {\nverify userinfo\nendpoint "+userInfo.URL+"\n}")
	for name, block := range map[string]string{
		"introspection": strings.Replace(introspecting(as, "opaque"), "{", "{\nconsumer_claim username", 1),
		"UserInfo":      strings.Replace(asked, "{", "{\nconsumer_claim preferred_username", 1),
	} {
		s := start(t, gateFor(block, shop))
		for range 2 {
			s.told(s.passed(s.get("/", "opaque")), asShop)
		}
		s.load(gateFor(block, guest))
		s.refused(s.get("/", "opaque"), http.StatusForbidden, "unknown_consumer")
		if name == "UserInfo" {
			s.load(gateFor(strings.Replace(block, "consumer_claim", "username_claim", 1)))
			s.told(s.passed(s.get("/", "opaque")), map[string]string{"X-Consumer-Username": "shop"})
		}
	}
}

// A backend that reads X-Consumer-Username gets people by the name that it knows them by.
func TestTokenOfAnIssuerNamesTheCaller(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	block := issuerByJWKS(as, "username_claim preferred_username")
	who := "\nrequest_header X-Who {http.auth.user.id}|{http.auth.bearer.issuer}"
	s := start(t, "route {\n"+gateFor(block, shop, consumerAlice(t), "optional")+who+"\n}")
	got := s.passed(s.get("/", key.Sign(t, issuedBy(as.URL, "preferred_username", "bob"))))
	s.told(got, map[string]string{"X-Consumer-Username": "bob"})
	if got := got.Header.Get("X-Who"); got != "bob|"+as.URL {
		t.Errorf("placeholders %q", got)
	}
	for name, c := range map[string]struct {
		value  any
		reason string
	}{
		"none": {nil, "missing_claim"}, "a number": {7, "unsafe_claim"}, "a consumer": {"shop", "unsafe_claim"},
		"blanks": {" bob", "unsafe_claim"},
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t).refused(s.get("/", key.Sign(t, issuedBy(as.URL, "preferred_username", c.value))),
				http.StatusUnauthorized, c.reason)
		})
	}
	s.told(s.passed(s.get("/", "", "X-Consumer-Username", "bob")), nil)
	s.told(s.passed(s.get("/", hmacKey(t).Sign(t, claims("preferred_username", "bob")))), asAlice)
	for words, want := range map[string]string{"off": "", "X-Consumer-Groups": "", "X-Consumer-Username": "bob"} {
		s.load(gateFor(block, "consumer_headers "+words))
		s.told(s.passed(s.get("/", key.Sign(t, issuedBy(as.URL, "preferred_username", "bob")), "X-Consumer-Username", "x")),
			map[string]string{"X-Consumer-Username": want})
	}
}

// An expired cookie of nobody is no reason to let a request pass.
func TestExpiredCookieOfNobodyIsRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor("token_from cookie t", "optional expired", issuerByJWKS(as, "consumer_claim azp"), shop))
	cookie := func(changes ...any) answer {
		return s.get("/", "", "Cookie", "t="+key.Sign(t, issuedBy(as.URL, changes...)))
	}
	s.told(s.passed(cookie("azp", "shop")), asShop)
	s.told(s.passed(cookie("azp", "shop", "exp", 2, "iat", 1)), nil)
	s.refused(cookie("azp", "mallory", "exp", 2, "iat", 1), http.StatusForbidden, "unknown_consumer")
	s.refused(cookie("azp", "mallory"), http.StatusForbidden, "unknown_consumer")
}

// The command says which consumer a token names, or why it names none.
func TestExplainNamesTheConsumerOfAToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	keys := "file " + newFile(t, "keys.json", tokentest.JWKS(key))
	file := newFile(t, "Caddyfile", "example.com {\n"+
		gateFor(issuerWithKeys("https://as.example", keys, "consumer_claim azp custom_id"), shop, guest, "anonymous guest")+
		"\n}\n")
	for value, want := range map[string][]string{
		"c-7": {`pass  consumer_claim: "azp \"c-7\"", "consumer shop"`,
			`The request passes, with a token of issuer "https://as.example", as the consumer "shop"`,
			"X-Consumer-Groups: partners,eu"},
		"c-8": {"FAIL  consumer_claim: unknown_consumer: claim azp is \"c-8\", and no consumer has that custom_id",
			"Add a consumer with exactly the name in the claim"},
		"c-0": {"no token can be the anonymous consumer"},
	} {
		token := key.Sign(t, issuedBy("https://as.example", "azp", value))
		out, _ := explain(t, token, "--config", file, "-")
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("%s: %q is not in\n%s", value, text, out)
			}
		}
	}
	report, _ := explainJSON(t, key.Sign(t, issuedBy("https://as.example", "azp", "c-7")), "--config", file, "-")
	if g := report.Gates[0]; g.Consumer != "shop" || g.Issuer != "https://as.example" {
		t.Errorf("consumer %q, issuer %q", g.Consumer, g.Issuer)
	}
}

// The consumer that a token names may be one of a file, as the file is at the moment.
func TestTokenOfAnIssuerNamesAConsumerOfAFile(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	for word, value := range map[string]string{"consumer_claim azp": "zoe", "consumer_claim azp custom_id": "z-1"} {
		t.Run(word, func(t *testing.T) {
			f := newConsumersFile(t, member(t, "zoe", "zoe", `"custom_id": "z-1", "groups": ["partners"],`))
			s := start(t, gateFor(issuerByJWKS(as, word), f.word(), shop, "require group partners"))
			zoe, bob := key.Sign(t, issuedBy(as.URL, "azp", value)), key.Sign(t, issuedBy(as.URL, "azp", "shop"))
			want := map[string]string{
				"X-Consumer-Username": "zoe", "X-Consumer-Custom-Id": "z-1", "X-Consumer-Groups": "partners",
			}
			for range 3 { // from the second time on, the token is remembered
				s.told(s.passed(s.get("/", zoe)), want)
			}
			f.set(member(t, "zoe", "zoe", `"custom_id": "z-1",`))
			s.follows(zoe, http.StatusForbidden)
			f.set()
			eventually(t, "nobody has the name", func() bool {
				s.get("/", zoe)
				s.drain()
				return strings.Contains(s.lastReason(), "unknown_consumer")
			})
			if word == "consumer_claim azp" {
				s.accepts(bob)
			}

			f.set(member(t, "zoe", "zoe", `"custom_id": "c-7", "groups": ["partners"],`)) // that of the block
			if word == "consumer_claim azp" {
				s.follows(zoe, http.StatusOK)
				return
			}
			eventually(t, "the log says that the custom id is there twice", func() bool {
				return s.logged("cannot be used", `line 1, consumer 1 \"zoe\": consumer \"shop\" of the configuration has `+
					`the same custom_id`)
			})
			s.refused(s.get("/", zoe), http.StatusForbidden, "unknown_consumer")
		})
	}
}

// Nobody at the server can have the name of a consumer of the file.
func TestNameOfTheCallerIsNoneOfAFile(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	f := newConsumersFile(t)
	s := start(t, gateFor(issuerByJWKS(as, "username_claim preferred_username"), f.word()))
	token := key.Sign(t, issuedBy(as.URL, "preferred_username", "zoe"))
	s.told(s.passed(s.get("/", token)), map[string]string{"X-Consumer-Username": "zoe"})
	f.set(member(t, "zoe", "zoe", ""))
	s.follows(token, http.StatusUnauthorized)
	s.refused(s.get("/", token), http.StatusUnauthorized, "unsafe_claim")
}
