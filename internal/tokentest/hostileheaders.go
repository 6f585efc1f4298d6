package tokentest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
)

// ForeignTypes are types of JWTs that are something else than access tokens: registered ones, those of drafts and of
// servers, and one that nobody has invented yet. They are in lower case, without "application/".
func ForeignTypes() []string {
	return []string{
		"logout+jwt",                                           // OpenID Connect Back-Channel Logout
		"secevent+jwt",                                         // RFC 8417
		"dpop+jwt",                                             // RFC 9449
		"token-introspection+jwt",                              // RFC 9701
		"oauth-authz-req+jwt",                                  // RFC 9101
		"client-authentication+jwt", "authorization-grant+jwt", // RFC 7523bis
		"oauth-id-jag+jwt",                   // Identity Assertion Authorization Grant
		"txntoken+jwt",                       // Transaction Tokens
		"wit+jwt", "wpt+jwt", "wimse-id+jwt", // WIMSE
		"eat+jwt",                                         // RFC 9711, EAT media types
		"ar4si+jwt",                                       // RATS attestation results
		"id+jwt", "id_token+jwt", "rt+jwt", "refresh+jwt", // where servers type them
		"okta-internal-at+jwt",                                         // Okta: access tokens for Okta alone
		"statuslist+jwt",                                               // Token Status List
		"dc+sd-jwt", "vc+sd-jwt", "sd-jwt", "example+sd-jwt", "kb+jwt", // RFC 9901, SD-JWT VC
		"vc+jwt", "vp+jwt", "vc+ld+jwt", "vc+ld+json+jwt", // VC-JOSE-COSE
		"openid4vci-proof+jwt", "openidvci-proof+jwt", // OpenID for Verifiable Credential Issuance
		"key-attestation+jwt", "keyattestation+jwt", // the same
		"oauth-client-attestation+jwt", "oauth-client-attestation-pop+jwt", // Attestation-Based Client Authentication
		"wallet-attestation+jwt", "wallet-unit-attestation+jwt", "verifier-attestation+jwt",
		"entity-statement+jwt", "explicit-registration-response+jwt", "resolve-response+jwt", "trust-mark+jwt",
		"trust-mark-delegation+jwt", "trust-mark-status-response+jwt", "jwk-set+jwt", // OpenID Federation
		"passport",  // RFC 8225
		"jose+json", // RFC 7515 section 4.1.9
		"invented-tomorrow+jwt",
	}
}

// HeaderAttacks are tokens with a hostile header. The issuer's key has signed them, so that only the reading of the
// header can refuse them, unless the flaw is UnknownKey or Forged. Algorithms have a list of their own.
func (t *Target) HeaderAttacks() []Hostile {
	attacks := t.headerTexts()
	attacks = append(attacks, t.headerExtensions()...)
	attacks = append(attacks, t.headerTypes()...)
	return append(attacks, t.headerKeys()...)
}

// headerTexts are headers that are not one strict JSON object, or whose members have the wrong type.
func (t *Target) headerTexts() (attacks []Hostile) {
	alg := `"alg":"` + t.Key.Alg + `"`
	for name, header := range map[string]string{
		"an array":                       `["alg","` + t.Key.Alg + `"]`,
		"an array of one":                `["` + t.Key.Alg + `"]`,
		"a string":                       `"` + t.Key.Alg + `"`,
		"a number":                       `1`,
		"null":                           `null`,
		"rubbish":                        `alg=` + t.Key.Alg,
		"text after the object":          t.header() + `x`,
		"an empty object after it":       t.header() + `{}`,
		"two objects":                    t.header() + t.header(),
		"a byte order mark":              "\ufeff" + t.header(),
		"UTF-16":                         "\xff\xfe{\x00}\x00",
		"UTF-16 without a mark":          "{\x00\"\x00",
		"an unclosed object":             `{` + t.names(),
		"a trailing comma":               `{` + t.names() + `,}`,
		"single quotes":                  `{'alg':'` + t.Key.Alg + `'}`,
		"a comment at the end":           `{` + t.names() + `/**/}`,
		"a comment between members":      `{` + alg + `,/**/"kid":"` + t.Key.KID + `"}`,
		"a control character":            t.header("\"x\":\"\n\""),
		"invalid UTF-8":                  t.header("\"x\":\"\xff\""),
		"invalid UTF-8 in kid":           `{` + alg + ",\"kid\":\"" + t.Key.KID + "\xff\"}",
		"a lone surrogate":               t.header(`"x":"\ud800"`),
		"a lone surrogate in kid":        `{` + alg + `,"kid":"\ud800"}`,
		"1000 arrays in each other":      t.header(`"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000)),
		"2000 arrays in each other":      t.header(`"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000)),
		"72 parameters":                  t.header(members(70)),
		"500 parameters":                 `{` + members(500) + `,` + t.names() + `}`,
		"9 KiB in a parameter":           t.header(`"x":"` + strings.Repeat("x", 9<<10) + `"`),
		"9 KB, with blanks after it":     t.header(`"x":"`+strings.Repeat("x", 7000)+`"`) + strings.Repeat(" ", 2000),
		"alg twice, none last":           `{` + alg + `,"alg":"none","kid":"` + t.Key.KID + `"}`,
		"alg twice, none first":          `{"alg":"none",` + t.names() + `}`,
		"alg twice, the same":            `{` + alg + `,` + t.names() + `}`,
		"alg twice, an escape, none":     `{` + alg + `,"\u0061lg":"none","kid":"` + t.Key.KID + `"}`,
		"alg twice, an escape, HS256":    `{` + alg + `,"\u0061lg":"HS256"}`,
		"alg twice, an escape, the same": `{` + alg + `,"\u0061lg":"` + t.Key.Alg + `"}`,
		"kid twice, the good one last":   `{` + alg + `,"kid":"x","kid":"` + t.Key.KID + `"}`,
		"kid twice, the good one first":  t.header(`"kid":"` + t.Stranger.KID + `"`),
		"a name twice inside jwk":        t.header(`"jwk":{"kty":"EC","kty":"oct"}`),
		"no parameter":                   `{}`,
		"ALG":                            `{"ALG":"` + t.Key.Alg + `"}`,
		"Alg":                            `{"Alg":"` + t.Key.Alg + `","kid":"` + t.Key.KID + `"}`,
	} {
		attacks = append(attacks, Hostile{"header: " + name, t.Key.SignRaw(header, t.payload()), Malformed})
	}
	for _, kid := range []string{
		`1`, `""`, `null`, `["` + t.Key.KID + `"]`, `{}`, `{"a":"b"}`, strconv.Quote(strings.Repeat("k", 513)),
		strconv.Quote(strings.Repeat("k", 4096)),
	} {
		token := t.Key.SignRaw(`{`+alg+`,"kid":`+kid+`}`, t.payload())
		attacks = append(attacks, Hostile{"kid " + short(kid), token, Malformed})
	}
	return attacks
}

// headerExtensions change what is signed or what it means. A verifier that ignores crit or b64 reads a token in another
// way than its issuer: RFC 7515 section 4.1.11, RFC 7797, CVE-2025-59420. CVE-2026-29000 is about nested tokens.
func (t *Target) headerExtensions() (attacks []Hostile) {
	inner := t.Good()
	for more, flaw := range map[string]Flaw{
		`"crit":["x"],"x":1`:         Critical,
		`"crit":["x"]`:               Critical,
		`"crit":["alg"]`:             Critical,
		`"crit":["exp"],"exp":1`:     Critical,
		`"crit":["exp"]`:             Critical,
		`"crit":["x","x"],"x":1`:     Critical,
		`"crit":[]`:                  Critical,
		`"crit":null`:                Critical,
		`"crit":"x"`:                 Critical,
		`"crit":{}`:                  Critical,
		`"crit":{"x":1}`:             Critical,
		`"crit":[1]`:                 Critical,
		`"crit":1`:                   Critical,
		`"\u0063rit":["x"]`:          Critical,
		`"b64":false`:                Malformed,
		`"b64":true`:                 Malformed,
		`"b64":"false"`:              Malformed,
		`"b64":false,"crit":["b64"]`: Malformed,
		`"b64":true,"crit":["b64"]`:  Malformed,
		`"crit":["b64"],"b64":false`: Malformed,
		`"enc":"A128GCM"`:            Encrypted,
		`"zip":"DEF"`:                Encrypted,
		`"cty":1`:                    Malformed,
		`"cty":["JWT"]`:              Malformed,
		`"cty":"JWT;x"`:              Malformed,
	} {
		attacks = append(attacks, Hostile{more, t.Key.SignRaw(t.header(more), t.payload()), flaw})
	}
	for _, cty := range []string{
		"JWT", "jwt", "application/JWT", "application/jwt", "at+jwt", "JOSE", "jose+json",
	} {
		header := t.header(`"cty":"` + cty + `"`)
		attacks = append(attacks, Hostile{"cty " + cty + " with claims inside", t.Key.SignRaw(header, t.payload()), Nested},
			Hostile{"cty " + cty + " with a token inside", t.Key.SignRaw(header, inner), Nested})
	}
	for _, header := range []string{t.header(`"b64":false,"crit":["b64"]`), t.header()} {
		input := encode([]byte(header)) + ".plain-payload"
		attacks = append(attacks, Hostile{"an unencoded payload under " + header,
			input + "." + encode(t.Key.SignBytes(input)), Malformed})
	}
	return append(attacks, Hostile{"alg dir and enc",
		t.Key.SignRaw(`{"alg":"dir","kid":"`+t.Key.KID+`","enc":"A128GCM"}`, t.payload()), NoAlgorithm})
}

// headerTypes are tokens that are something else than access tokens, by their typ.
func (t *Target) headerTypes() (attacks []Hostile) {
	add := func(flaw Flaw, typ string) {
		attacks = append(attacks,
			Hostile{"typ " + short(typ), t.Key.SignRaw(t.header(`"typ":`+typ), t.payload()), flaw})
	}
	for _, typ := range []string{`["at+jwt"]`, `null`, `1`, `{}`, `true`} {
		add(Malformed, typ)
	}
	types := append(ForeignTypes(), "LOGOUT+JWT", "application/logout+jwt", "Application/Logout+JWT",
		"Application/EAT+JWT", "DPoP+jwt", "JOSE+JSON", // in other spellings
		"", " ", "at+jwt;x=1", "JWT; charset=utf-8", "at+jwt ", " at+jwt", "jwt\x00", "logout+jwt\x00", "at+jwt,JWT",
		"at+jwt,logout+jwt", "application/", "application//at+jwt", "application/application/logout+jwt", "text/at+jwt",
		"\u212Ab+jwt", strings.Repeat("t", 128))
	for _, typ := range types {
		add(OtherType, string(must(json.Marshal(typ))))
	}
	for _, word := range []string{"refresh", "ID"} {
		add(OtherKind, strconv.Quote(word))
	}
	return attacks
}

// headerKeys say which key verifies the token, or bring it: CVE-2018-0114, CVE-2025-24976, CVE-2026-27962. Others make
// a verifier fetch what they name, from any address (SSRF): CVE-2024-21643, CVE-2024-1233, CVE-2026-32301,
// CVE-2025-52477. The stranger has signed them all.
func (t *Target) headerKeys() (attacks []Hostile) {
	good, foreign := strconv.Quote(t.Key.KID), strconv.Quote(t.Stranger.KID)
	add := func(name, kid, more string) {
		header, flaw := `{"alg":"`+t.Stranger.Alg+`"`, UnknownKey
		if kid == good || kid == "" {
			flaw = Forged
		}
		for _, member := range []string{prefixed(`"kid":`, kid), more} {
			if member != "" {
				header += "," + member
			}
		}
		attacks = append(attacks, Hostile{name, t.Stranger.SignRaw(header+"}", t.payload()), flaw})
	}
	jwk, same := must(json.Marshal(t.Stranger.JWK())), must(json.Marshal(t.Stranger.WithKID(t.Key.KID).JWK()))
	der := selfSigned(t.Stranger.Public())
	certificate, sum := base64.StdEncoding.EncodeToString(der), sha256.Sum256(der)
	host := strings.TrimPrefix(t.Trap, "http://")
	for name, more := range map[string]string{
		"no hint":                     "",
		"jwk":                         `"jwk":` + string(jwk),
		"jwk under the good id":       `"jwk":` + string(same),
		"jwk as text":                 `"jwk":` + strconv.Quote(string(jwk)),
		"jwk of a secret":             `"jwk":{"kty":"oct","k":"AAAA"}`,
		"x5c":                         `"x5c":["` + certificate + `"]`,
		"x5c cut off":                 `"x5c":["MIIB"]`,
		"x5c as text":                 `"x5c":"` + certificate + `"`,
		"x5t#S256":                    `"x5t#S256":"` + encode(sum[:]) + `"`,
		"jku":                         `"jku":"` + t.Trap + `/jwks"`,
		"jku with the issuer as user": `"jku":"http://` + strings.TrimPrefix(t.Issuer, "http://") + `@` + host + `/"`,
		"jku of a longer name":        `"jku":"` + t.Issuer + `.evil.example/jwks"`,
		"jku by redirect":             `"jku":"` + t.Issuer + `/redirect?u=` + t.Trap + `"`,
		"x5u":                         `"x5u":"` + t.Trap + `/cert.pem"`,
		"iss of somebody else in the header alone": `"iss":"` + t.Trap + `"`,
	} {
		add(name+", own id", foreign, more)
		add(name+", id of the good key", good, more)
		add(name+", no id", "", more)
	}
	for name, kid := range map[string]string{
		"a URL": t.Trap + "/", "a file URL": "file:///etc/passwd", "a path": "../../../../dev/null",
		"SQL": t.Key.KID + "' UNION SELECT 'secret", "a pipe": "|id", "a command": t.Key.KID + "|curl " + t.Trap,
		"a placeholder": "{file./etc/passwd}", "line ends": t.Key.KID + "\r\nX-Admin: 1", "NUL": t.Key.KID + "\x00",
		"another case": strings.ToUpper(t.Key.KID), "__proto__": "__proto__",
	} {
		add("kid is or has "+name, string(must(json.Marshal(kid))), "")
	}
	return attacks
}

// prefixed is a text with a prefix, and nothing when the text is empty.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// short is the beginning of a long text, for a name.
func short(text string) string {
	if len(text) > 40 {
		return text[:40] + "... of " + strconv.Itoa(len(text)) + " bytes"
	}
	return text
}
