package tokentest

import (
	"fmt"
	"strconv"
	"strings"
)

// OtherKinds are members of a payload that say that the token is not an access token, by name: words of servers, and
// claims that only another kind of token has (RFC 8725 section 3.12).
func OtherKinds() map[string]string {
	return map[string]string{
		"typ ID": `"typ":"ID"`, "typ Refresh": `"typ":"Refresh"`, "typ Offline": `"typ":"Offline"`,
		"typ Logout": `"typ":"Logout"`, "typ in another case": `"typ":"iD"`, "typ by an escape": `"t\u0079p":"ID"`,
		"token_use id": `"token_use":"id"`, "token_use refresh_token": `"token_use":"refresh_token"`,
		"token_type refresh": `"token_type":"refresh"`, "token_type id_token": `"token_type":"id_token"`,
		"access and ID":           `"token_use":"access","typ":"ID"`,
		"an introspection answer": `"token_introspection":{}`, // RFC 9701
		"a status list":           `"status_list":{"bits":1,"lst":"x"}`,
		"a DPoP proof":            `"htm":"GET","htu":"https://api.example.com"`, // RFC 9449
		"a logout token":          `"events":{}`,                                 // RFC 8417
		"a back-channel logout":   `"events":{"http://schemas.openid.net/event/backchannel-logout":{}}`,
		"a request object":        `"client_id":"c","response_type":"code"`, // RFC 9101
		"an ID token with c_hash": `"c_hash":"x"`, "a presentation": `"vp":{}`,
	}
}

// ClaimAttacks are tokens that the issuer's key has signed, with a header of every day and a hostile payload. A
// verifier reads them leniently, or compares them carelessly.
func (t *Target) ClaimAttacks() (attacks []Hostile) {
	add := func(flaw Flaw, name, payload string) {
		attacks = append(attacks, Hostile{"payload: " + name, t.Key.SignRaw(t.header(), payload), flaw})
	}
	for name, payload := range t.payloadTexts() {
		add(Malformed, name, payload)
	}
	for _, members := range []map[string]string{notJSON, deepMembers} {
		for name, member := range members {
			add(Malformed, name, t.payload(member))
		}
	}
	for _, member := range wrongTypes {
		add(Malformed, short(member), t.payload(member))
	}
	for name, member := range longMembers() {
		add(Malformed, name, t.payload(member))
	}
	for name, members := range OtherKinds() {
		add(OtherKind, name, t.payload(members))
	}
	for _, cnf := range []string{`{"jkt":"x"}`, `{"x5t#S256":"x"}`, `{}`, `"x"`, `[]`, `null`} {
		add(Bound, "cnf "+cnf, t.payload(`"cnf":`+cnf))
	}
	t.dates(add)
	t.issuers(add)
	t.audiences(add)
	return attacks
}

// payloadTexts are payloads that are not one JSON object, or that say one thing twice. One reader takes the first of
// two members and another one the last; lenient readers guess the rest, each in its way.
func (t *Target) payloadTexts() map[string]string {
	good := t.payload(`"sub":"me"`)
	return map[string]string{
		"an array":                  `[` + good + `]`,
		"a string":                  `"` + t.Issuer + `"`,
		"null":                      `null`,
		"a number":                  `1`,
		"nothing":                   ``,
		"white space":               ` `,
		"a token":                   t.Good(),
		"an unsecured token":        `eyJhbGciOiJub25lIn0.e30.`,
		"a token as JSON text":      `"` + t.Good() + `"`,
		"two objects":               good + t.payload(`"sub":"you"`),
		"an empty object after it":  good + `{}`,
		"text after it":             good + `x`,
		"a NUL after it":            good + "\x00",
		"a byte order mark":         "\ufeff" + good,
		"UTF-16":                    "\xff\xfe{\x00}\x00",
		"not closed":                strings.TrimSuffix(good, "}"),
		"a comma too many":          strings.TrimSuffix(good, "}") + `,}`,
		"a comma too few":           strings.Replace(t.payload(`"sub":"me"`), `"sub":"me",`, `"sub":"me" `, 1),
		"9000 opening brackets":     strings.Repeat("[", 9000),
		"exp twice":                 t.payload(`"exp":1`),
		"aud twice":                 t.payload(`"aud":"x"`),
		"iss twice":                 t.payload(`"iss":"https://other.example"`),
		"300 members and one twice": t.payload(members(300), `"m7":0`),
		"20,000 members":            t.payload(members(20_000)),
	}
}

// notJSON are members that are not JSON, or not UTF-8, or that hide a name. Two users may become one, since readers
// make U+FFFD of all invalid bytes.
var notJSON = map[string]string{
	"an invalid byte":               "\"sub\":\"a\xff\"",
	"an overlong slash":             "\"sub\":\"a\xc0\xaf\"",
	"a surrogate in UTF-8":          "\"sub\":\"a\xed\xa0\x80\"",
	"a cut-off sequence":            "\"sub\":\"a\xe2\x82\"",
	"a code point too high":         "\"sub\":\"a\xf5\x80\x80\x80\"",
	"an invalid byte in a name":     "\"x\xff\":1",
	"a lone surrogate":              `"sub":"a\ud800"`,
	"a lone low surrogate":          `"sub":"a\udc00"`,
	"surrogates the wrong way":      `"sub":"\udc00\ud800"`,
	"a surrogate in a name":         `"a\ud800":1`,
	"a comment":                     `"sub":"a"/*,"sub":"b"*/`,
	"a line comment":                "\"sub\":\"a\"//\n",
	"single quotes":                 `'sub':'a'`,
	"no quotes":                     `sub:"a"`,
	"a bare control character":      "\"sub\":\"a\tb\"",
	"a bare line end":               "\"sub\":\"a\nb\"",
	"an unknown escape":             `"sub":"a\x41"`,
	"a short escape":                `"sub":"\u41"`,
	"other white space":             "\u00a0\"sub\":\"a\"",
	"a vertical tab":                "\v\"sub\":\"a\"",
	"True":                          `"n":True`,
	"undefined":                     `"n":undefined`,
	"minus alone":                   `"n":-`,
	"NaN in an unknown claim":       `"n":NaN`,
	"Infinity in an unknown claim":  `"n":Infinity`,
	"hexadecimal in an unknown one": `"n":0x10`,
	"a leading zero in one":         `"n":01`,
	"a dot at the end in one":       `"n":1.`,
	"a dot at the start in one":     `"n":.5`,
	"a plus sign in one":            `"n":+1`,
	"an exponent without digits":    `"n":1e`,
	"underscores in one":            `"n":1_000`,
	"sub twice":                     `"sub":"me","sub":"admin"`,
	"sub twice, once by an escape":  `"sub":"me","s\u0075b":"admin"`,
	"an unknown claim twice":        `"x":1,"x":1`,
	"the empty name twice":          `"":1,"":2`,
	"a name twice inside a claim":   `"realm_access":{"roles":["user"],"roles":["admin"]}`,
	"a name twice inside an array":  `"a":[{"b":1,"b":2}]`,
}

// deepMembers cost a reader that follows them much of its stack.
var deepMembers = map[string]string{
	"50 arrays in each other":        `"n":` + strings.Repeat("[", 50) + strings.Repeat("]", 50),
	"3000 arrays in each other":      `"n":` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000),
	"20,000 arrays in each other":    `"n":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
	"50,000 opening brackets inside": `"n":` + strings.Repeat("[", 50_000),
	"1000 objects in each other":     `"n":` + strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000),
	"10,000 objects in each other":   `"n":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000),
}

// wrongTypes are registered claims with values that their specifications do not allow.
var wrongTypes = []string{
	`"sub":1`, `"sub":248289761001`, `"sub":null`, `"sub":""`, `"sub":" \t\u00a0\u2003"`, `"sub":["admin"]`,
	`"jti":1`, `"jti":{}`, `"client_id":["a"]`,
	`"scope":1`, `"scope":null`, `"scope":{"read":true}`, `"scope":["read",1]`, `"scp":true`, `"scp":[["read"]]`,
}

// longMembers are lists that make work for every request.
func longMembers() map[string]string {
	return map[string]string{
		"1025 words of scope":      `"scope":"a` + strings.Repeat(" a", 1024) + `"`,
		"30,000 words of scope":    `"scope":"` + strings.Repeat("a ", 30_000) + `"`,
		"20,000 elements of scope": `"scope":["a"` + strings.Repeat(`,"a"`, 20_000) + `]`,
		"1025 elements of scp":     `"scp":["a"` + strings.Repeat(`,"a"`, 1024) + `]`,
	}
}

// dates are values of exp, nbf and iat that are no dates, or the wrong ones. 1e300 as an int64 is the most negative
// number, which makes a token valid since ever. CVE-2022-23772, CVE-2021-33198 and CVE-2025-11230 are about numbers
// that cost much to read, GHSA-wxg7-w2v3-w38g about dates of another type.
func (t *Target) dates(add func(Flaw, string, string)) {
	later := t.Now.Unix() + 3600
	refused := []string{
		"-1", "-0", "-0.5", "-1e300", "-1e1000000", "1e300", "1e400", "1e1000000", "1e-1000000", "0e1000000", "1e-100",
		"1e99999999999999999999", "1e12", "1e18", "253402300800", "253402300800.0", "2534023008e2",
		fmt.Sprint(later * 1_000), fmt.Sprint(later * 1_000_000), "1700000000000", "1700000000000000",
		"9223372036854775807", "9223372036854775808", "-9223372036854775809", // the edge of 64 bits
		"18446744073709551615", "18446744073709551616", "18446744075409551616", // the last is 2^64 + 1700000000
		strings.Repeat("9", 10_000), strings.Repeat("9", 60_000), strings.Repeat("9", 300_000),
		"0." + strings.Repeat("0", 10_000) + "1", "0." + strings.Repeat("0", 300_000),
		"1e" + strings.Repeat("0", 300_000) + "1", "1700000000." + strings.Repeat("0", 54),
		strconv.Quote(fmt.Sprint(later)), `"0"`, `"2099-01-01T00:00:00Z"`, `""`, "true", "false", "null", "[]", "[0]",
		fmt.Sprintf("[%d]", later), "{}", fmt.Sprintf(`{"$date":%d}`, later),
		"NaN", "Infinity", "-Infinity", "0x10", "01", "1.", ".5", "+1", "1e", "1_000", "1 0", // not JSON either
	}
	for _, claim := range []string{"exp", "nbf", "iat"} {
		for _, value := range refused {
			member := strconv.Quote(claim) + ":" + value
			add(Malformed, short(member), t.instead(claim, member))
		}
	}
	for name, exp := range map[string]int64{"zero": 0, "an hour ago": -3600, "a second ago": -1, "now": 0} {
		if name != "zero" {
			exp += t.Now.Unix()
		}
		add(Expired, "exp "+name, t.instead("exp", fmt.Sprintf(`"exp":%d`, exp)))
	}
	add(Expired, "expired before it began",
		t.instead("exp", fmt.Sprintf(`"exp":%d,"nbf":%d`, t.Now.Unix()-3600, later)))
	add(NotYetValid, "nbf in an hour", t.payload(fmt.Sprintf(`"nbf":%d`, later)))
	add(NotYetValid, "iat in an hour", t.payload(fmt.Sprintf(`"iat":%d`, later)))
	add(NoExpiry, "no exp", t.instead("exp", ""))
	add(NoExpiry, "EXP", t.instead("exp", fmt.Sprintf(`"EXP":%d`, later)))
}

// issuers are values of iss that a careless comparison takes for the issuer, or that make a verifier fetch something.
func (t *Target) issuers(add func(Flaw, string, string)) {
	host := strings.TrimPrefix(t.Trap, "http://")
	scheme, rest, _ := strings.Cut(t.Issuer, "//")
	for _, iss := range []string{
		`1`, `["` + t.Issuer + `"]`, `{}`, `{"a":1}`, `null`, `true`, `""`, `" "`,
	} {
		add(Malformed, "iss "+iss, t.instead("iss", `"iss":`+iss))
	}
	add(Malformed, "iss of another type by an escape", t.instead("iss", `"\u0069ss":1`))
	for _, iss := range []string{
		t.Issuer + "/", t.Issuer + "?x", t.Issuer + "#x", " " + t.Issuer, t.Issuer + `\u0000`, t.Issuer + ":443",
		strings.ToUpper(scheme) + "//" + rest, strings.ToUpper(t.Issuer), t.Issuer + "/../evil",
		t.Issuer + "@" + host, t.Trap, t.Trap + "/x", "{env.HOME}", "../../evil",
	} {
		add(OtherIssuer, "iss "+iss, t.instead("iss", `"iss":"`+iss+`"`))
	}
	add(OtherIssuer, "no iss", t.instead("iss", ""))
	add(OtherIssuer, "Iss", t.instead("iss", `"Iss":`+strconv.Quote(t.Issuer)))
}

// audiences are values of aud that a careless comparison takes for the audience: with arrays, prefixes, types or
// absence (CVE-2020-26160, CVE-2024-5798).
func (t *Target) audiences(add func(Flaw, string, string)) {
	a := t.Audience
	for _, aud := range []string{
		a + "/v2", a[:len(a)-1], a + "/", strings.ToUpper(a), " " + a, "x " + a, a + " x", "x," + a, "*",
		a + `\u0000`, a + ".evil.example", strings.TrimPrefix(a, "https://"), "https://other.example",
	} {
		add(OtherAudience, "aud "+aud, t.instead("aud", `"aud":"`+aud+`"`))
	}
	for _, more := range []string{`"aud":[]`, `"aud":[ ]`, `"aud":["a","b"]`, ``, `"AUD":"` + a + `"`, `"Aud":"` + a + `"`,
		`"azp":"` + a + `","resource":"` + a + `","client_id":"` + a + `"`,
	} {
		add(OtherAudience, "in place of aud: "+more, t.instead("aud", more))
	}
	quoted := strconv.Quote(a)
	for _, aud := range []string{
		`""`, `1`, `true`, `null`, `{}`, `{` + quoted + `:1}`, `[[` + quoted + `]]`, `[{"aud":` + quoted + `}]`, `[null]`,
		`[` + quoted + `,1]`, `[` + quoted + `,null]`, `[` + quoted + `,""]`,
		`[` + quoted + strings.Repeat(`,"a"`, 1024) + `]`, `["a"` + strings.Repeat(`,"a"`, 20_000) + `,` + quoted + `]`,
	} {
		add(Malformed, short("aud "+aud), t.instead("aud", `"aud":`+aud))
	}
}
