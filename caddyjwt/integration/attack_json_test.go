package integration

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The same member twice, or twice in disguise: one reader takes the first, another the last, and Go's takes other
// cases and even other letters for the same. All are signed well, so that only the reading refuses. The claims of the
// route are those that are written exactly so.
func TestAttackEncodingMembersReadInTwoWays(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as), "forward_claim sub X-User", "forward_claim realm_access.roles X-Roles"))
	head := `{"alg":"ES256","kid":"e1"}`
	now := time.Now().Unix()
	rest := `"iss":"` + as.URL + `","aud":"` + audience + `","exp":` + strconv.FormatInt(now+300, 10)
	for name, token := range map[string]string{
		"alg twice, none last":           key.SignRaw(`{"alg":"ES256","alg":"none","kid":"e1"}`, `{`+rest+`}`),
		"alg twice, none first":          key.SignRaw(`{"alg":"none","alg":"ES256","kid":"e1"}`, `{`+rest+`}`),
		"alg twice, the same":            key.SignRaw(`{"alg":"ES256","alg":"ES256","kid":"e1"}`, `{`+rest+`}`),
		"alg twice by escape":            key.SignRaw(`{"alg":"ES256","\u0061lg":"none","kid":"e1"}`, `{`+rest+`}`),
		"kid twice":                      key.SignRaw(`{"alg":"ES256","kid":"x","kid":"e1"}`, `{`+rest+`}`),
		"duplicate inside jwk":           key.SignRaw(`{"alg":"ES256","kid":"e1","jwk":{"a":1,"a":2}}`, `{`+rest+`}`),
		"sub twice":                      key.SignRaw(head, `{"sub":"me","sub":"admin",`+rest+`}`),
		"sub twice by escape":            key.SignRaw(head, `{"sub":"me","s\u0075b":"admin",`+rest+`}`),
		"exp twice":                      key.SignRaw(head, `{"exp":1,`+rest+`}`),
		"aud twice":                      key.SignRaw(head, `{"aud":"x",`+rest+`}`),
		"unknown claim twice":            key.SignRaw(head, `{"x":1,"x":1,`+rest+`}`),
		"empty name twice":               key.SignRaw(head, `{"":1,"":2,`+rest+`}`),
		"duplicate in realm_access":      key.SignRaw(head, `{"realm_access":{"roles":["user"],"roles":["admin"]},`+rest+`}`),
		"duplicate in an array's object": key.SignRaw(head, `{"a":[{"b":1,"b":2}],`+rest+`}`),
		"many members and one twice":     key.SignRaw(head, `{`+manyMembers(300)+`"m7":0,`+rest+`}`),
		"other case of alg only":         key.SignRaw(`{"Alg":"ES256","kid":"e1"}`, `{`+rest+`}`),
		"other case of exp only":         key.SignRaw(head, `{`+strings.Replace(rest, `"exp"`, `"EXP"`, 1)+`}`),
		"other case of iss only":         key.SignRaw(head, `{`+strings.Replace(rest, `"iss"`, `"Iss"`, 1)+`}`),
		"other case of aud only":         key.SignRaw(head, `{`+strings.Replace(rest, `"aud"`, `"AUD"`, 1)+`}`),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(token), "malformed_token", "missing_claim", "unknown_issuer", "invalid_audience",
				"unsupported_algorithm")
		})
	}
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

// Text that is no JSON, or no UTF-8, but that lenient parsers read, each in its way: two different users become one
// (invalid bytes both turn into U+FFFD), comments hide claims, numbers are guessed. Everything is signed well.
func TestAttackEncodingOfJSON(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as), "forward_claim sub X-User"))
	head := `{"alg":"ES256","kid":"e1"}`
	rest := `"iss":"` + as.URL + `","aud":"` + audience + `","exp":` + strconv.FormatInt(time.Now().Unix()+300, 10)
	payload := func(extra string) string { return `{` + extra + `,` + rest + `}` }
	s.attack(t, "control: passes", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.SignRaw(head, payload(`"sub":"a"`))))
	})
	for name, text := range map[string]string{
		"an invalid byte":            payload("\"sub\":\"a\xff\""),
		"an overlong slash":          payload("\"sub\":\"a\xc0\xaf\""),
		"a surrogate in UTF-8":       payload("\"sub\":\"a\xed\xa0\x80\""),
		"a cut-off sequence":         payload("\"sub\":\"a\xe2\x82\""),
		"a code point too high":      payload("\"sub\":\"a\xf5\x80\x80\x80\""),
		"an invalid byte in a name":  payload("\"x\xff\":1"),
		"a lone surrogate":           payload(`"sub":"a\ud800"`),
		"a lone low surrogate":       payload(`"sub":"a\udc00"`),
		"surrogates the wrong way":   payload(`"sub":"\udc00\ud800"`),
		"a surrogate in a name":      payload(`"a\ud800":1`),
		"a byte order mark":          "\xef\xbb\xbf" + payload(`"sub":"a"`),
		"UTF-16":                     "\xff\xfe{\x00}\x00",
		"an array":                   `[` + payload(`"sub":"a"`) + `]`,
		"a string":                   `"` + as.URL + `"`,
		"null":                       `null`,
		"a number":                   `1`,
		"white space":                ` `,
		"two objects":                payload(`"sub":"a"`) + payload(`"sub":"b"`),
		"text after it":              payload(`"sub":"a"`) + `x`,
		"a NUL after it":             payload(`"sub":"a"`) + "\x00",
		"a comment":                  payload(`"sub":"a"/*,"sub":"b"*/`),
		"a line comment":             payload("\"sub\":\"a\"//\n"),
		"a comma too many":           `{` + rest + `,}`,
		"a comma too few":            `{"sub":"a" ` + rest + `}`,
		"single quotes":              payload(`'sub':'a'`),
		"no quotes":                  payload(`sub:"a"`),
		"a bare control character":   payload("\"sub\":\"a\tb\""),
		"a bare line end":            payload("\"sub\":\"a\nb\""),
		"an unknown escape":          payload(`"sub":"a\x41"`),
		"a short escape":             payload(`"sub":"\u41"`),
		"other white space":          payload("\u00a0\"sub\":\"a\""),
		"a vertical tab":             payload("\v\"sub\":\"a\""),
		"not closed":                 `{` + rest,
		"NaN":                        payload(`"n":NaN`),
		"Infinity":                   payload(`"n":Infinity`),
		"hexadecimal":                payload(`"n":0x10`),
		"a leading zero":             payload(`"n":01`),
		"a dot at the end":           payload(`"n":1.`),
		"a dot at the start":         payload(`"n":.5`),
		"a plus sign":                payload(`"n":+1`),
		"minus alone":                payload(`"n":-`),
		"an exponent without digits": payload(`"n":1e`),
		"underscores":                payload(`"n":1_000`),
		"True":                       payload(`"n":True`),
		"undefined":                  payload(`"n":undefined`),
		"nested too deep":            payload(`"n":` + strings.Repeat(`[`, 3000) + strings.Repeat(`]`, 3000)),
		"objects nested too deep":    payload(`"n":` + strings.Repeat(`{"a":`, 1000) + `1` + strings.Repeat(`}`, 1000)),
		"opening brackets":           strings.Repeat(`[`, 9000),
	} {
		s.attack(t, name+" in the payload", func(t *testing.T, a *attempt) {
			a.cheaply(func() { a.refusedFor(a.send(key.SignRaw(head, text)), "malformed_token") })
		})
	}
	for name, text := range map[string]string{
		"an invalid byte":   "{\"alg\":\"ES256\",\"kid\":\"e1\xff\"}",
		"a lone surrogate":  `{"alg":"ES256","kid":"e1","x":"\ud800"}`,
		"a byte order mark": "\xef\xbb\xbf" + head,
		"an array":          `["ES256"]`,
		"a string":          `"ES256"`,
		"null":              `null`,
		"text after it":     head + `{}`,
		"a comment":         `{"alg":"ES256",/**/"kid":"e1"}`,
		"nested too deep":   `{"alg":"ES256","kid":"e1","x":` + strings.Repeat(`[`, 2000) + strings.Repeat(`]`, 2000) + `}`,
		"many members":      `{` + manyMembers(500) + `"alg":"ES256","kid":"e1"}`,
		"10 KB":             `{"alg":"ES256","kid":"e1","x":"` + strings.Repeat("x", 7000) + `"}` + strings.Repeat(" ", 2000),
		"typ a number":      `{"alg":"ES256","kid":"e1","typ":1}`,
		"cty an array":      `{"alg":"ES256","kid":"e1","cty":["JWT"]}`,
	} {
		s.attack(t, name+" in the header", func(t *testing.T, a *attempt) {
			a.cheaply(func() { a.refusedFor(a.send(key.SignRaw(text, payload(`"sub":"a"`))), "malformed_token") })
		})
	}
}

// Numbers that cost much to read or overflow when converted: CVE-2022-23772 and CVE-2021-33198 in Go's own big numbers,
// CVE-2025-11230 in a gateway. 1e300 as an int64 is the most negative number, which makes a token valid since ever.
func TestAttackEncodingNumbers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as)))
	head := `{"alg":"ES256","kid":"e1"}`
	exp := strconv.FormatInt(time.Now().Unix()+300, 10)
	for _, number := range []string{"1e1000000", "1e-1000000", "-1e1000000", "1e99999999999999999999", "1e300", "-1e300",
		"9223372036854775807", "9223372036854775808",
		"18446744073709551616", "-9223372036854775809", "253402300800", strings.Repeat("9", 10000),
		"0." + strings.Repeat("0", 10000) + "1", "-1", "-0.5"} {
		name := number[:min(len(number), 25)]
		for _, claim := range []string{"exp", "nbf", "iat"} {
			if claim != "exp" && number == "1e-1000000" {
				continue // zero: 1970, which nbf and iat may be
			}
			s.attack(t, claim+" "+name, func(t *testing.T, a *attempt) {
				members := map[string]string{"exp": exp}
				members[claim] = number
				text := `{"iss":"` + as.URL + `","aud":"` + audience + `"`
				for n, v := range members {
					text += `,"` + n + `":` + v
				}
				a.cheaply(func() { a.refusedFor(a.send(key.SignRaw(head, text+"}")), "malformed_token", "expired") })
			})
		}
	}
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
	for _, claim := range []string{"exp", "nbf", "iat"} {
		s.attack(t, claim+" of 300,000 digits", func(t *testing.T, a *attempt) {
			members := map[string]string{"exp": strconv.FormatInt(time.Now().Unix()+300, 10)}
			members[claim] = strings.Repeat("9", 300000)
			text := `{"iss":"` + as.URL + `","aud":"` + audience + `"`
			for name, number := range members {
				text += `,"` + name + `":` + number
			}
			a.cheaply(func() { a.refusedFor(form(a, key.SignRaw(`{"alg":"ES256","kid":"e1"}`, text+"}")), "malformed_token") })
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
