package integration

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Go's own reader takes other cases and even other letters for the same name. Here they are other names, which say
// nothing about the token.
func TestAttackEncodingNamesThatOnlyLookAlike(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as), "forward_claims X-User sub", "forward_claims X-Roles realm_access.roles"))
	head := `{"alg":"ES256","kid":"e1"}`
	rest := `"iss":"` + as.URL + `","aud":"` + audience + `","exp":` + strconv.FormatInt(time.Now().Unix()+300, 10)
	for name, extra := range map[string]string{
		"other case":                `"SUB":"admin","Sub":"admin","EXP":1,"Aud":"x","ISS":"x",`,
		"long s":                    `"ſub":"admin",`,
		"long s by escape":          `"\u017fub":"admin",`,
		"Kelvin sign":               `"\u212aid":"admin",`,
		"NUL after the name":        `"sub\u0000":"admin",`,
		"space after the name":      `"sub ":"admin",`,
		"zero-width space":          `"\u200bsub":"admin",`,
		"composed path as one name": `"realm_access.roles":["admin"],`,
		"prototype":                 `"__proto__":{"sub":"admin"},"constructor":{"prototype":{"sub":"admin"}},`,
		"many members":              manyMembers(300),
	} {
		s.attack(t, name+" is another name", func(t *testing.T, a *attempt) {
			got := a.passed(a.send(key.SignRaw(head, `{"sub":"me",`+extra+rest+`}`)))
			if user := got.Header["X-User"]; len(user) != 1 || user[0] != "me" {
				t.Errorf("X-User %q at the upstream, want me", user)
			}
			if roles := got.Header["X-Roles"]; roles != nil {
				t.Errorf("X-Roles %q at the upstream, want none", roles)
			}
		})
	}
	for name, extra := range map[string]string{"crit in other letters": `"Crit":["x"],"CRIT":["x"],`,
		"alg in other letters": `"ALG":"none","Alg":"none",`, "kid by Kelvin sign": `"\u212aid":"x",`} {
		s.attack(t, name+" in the header is another name", func(t *testing.T, a *attempt) {
			a.passed(a.send(key.SignRaw(`{`+extra+`"alg":"ES256","kid":"e1"}`, `{"sub":"me",`+rest+`}`)))
		})
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"m` + strconv.Itoa(i) + `":1,`)
	}
	return b.String()
}

// Numbers in claims that nobody asks for are not converted: they cost no more than other text.
func TestAttackEncodingHugeNumberInAnUnknownClaim(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as)))
	head := `{"alg":"ES256","kid":"e1"}`
	exp := strconv.FormatInt(time.Now().Unix()+300, 10)
	s.attack(t, "a claim that is a huge number is only a text", func(t *testing.T, a *attempt) {
		a.cheaply(func() {
			a.passed(a.send(key.SignRaw(head,
				`{"iss":"`+as.URL+`","aud":"`+audience+`","exp":`+exp+`,"n":1e1000000,"m":`+strings.Repeat("9", 5000)+`}`)))
		})
	})
}

// Long lists and texts in a token make work for every request that carries it. The token's size bounds them, and each
// list has a bound of its own.
func TestAttackEncodingHugeClaims(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t,
		gateFor(issuerByJWKS(as), "token_from header Authorization", "token_from form jwt", "max_token_size 900KB"))
	entries := make([]string, 100000)
	for i := range entries {
		entries[i] = "aud" + strconv.Itoa(i)
	}
	entries[len(entries)-1] = audience
	form := func(a *attempt, token string) answer {
		a.secret(token)
		return a.do(a.request("POST", "/", strings.NewReader("jwt="+token), "Content-Type",
			"application/x-www-form-urlencoded"))
	}
	for name, changes := range map[string][]any{
		"100,000 audiences":       {"aud", entries},
		"50,000 audiences":        {"aud", entries[50000:]},
		"a subject of 1 MB":       {"sub", strings.Repeat("s", 1<<20)},
		"a scope of 500 KB":       {"scope", strings.Repeat("a ", 250000)},
		"a list of 50,000 scopes": {"scp", entries[:40000]},
		"a subject of 500 KB":     {"sub", strings.Repeat("s", 500000)},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.cheaply(func() {
				got := form(a, key.Sign(t, issuedBy(as.URL, changes...)))
				if got.StatusCode == 200 && name == "a subject of 500 KB" {
					a.upstream.take() // long, but the operator's bound lets it pass
					return
				}
				a.refusedFor(got, "malformed_token", "malformed_request", "body_too_large")
			})
		})
	}
	s.attack(t, "a megabyte of dots in a form", func(t *testing.T, a *attempt) {
		a.cheaply(func() {
			a.refusedFor(form(a, strings.Repeat(".", 1<<20)), "malformed_request", "malformed_token", "body_too_large")
		})
	})
	s.attack(t, "300 KB of dots in a form", func(t *testing.T, a *attempt) {
		a.cheaply(func() { a.refusedFor(form(a, strings.Repeat(".", 300<<10)), "malformed_request", "malformed_token") })
	})
}
