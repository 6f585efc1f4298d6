//go:build e2e

package e2e_test

import "strings"

// oddClaims are values of claims that somebody might get wrong. An empty one leaves the claim out.
var oddClaims = map[string][]string{
	"iss": {``, `null`, `""`, `" "`, `1`, `["https://as.example"]`, `{"a":1}`, `"https://as.example/"`,
		`"HTTPS://as.example"`, `"https://as.example\u0000"`},
	"sub": {`null`, `""`, `"\t "`, `1`, `["alice"]`, `{"a":"b"}`, `true`, `"\ud800"`, `"\u00a0"`},
	"aud": {
		``, `null`, `""`, `[]`, `1`, `["https://api.example",1]`, `[null,"https://api.example"]`,
		`["https://api.example",""]`,
		`[["https://api.example"]]`, `{"https://api.example":1}`, `"https://api.example other"`, `"https://API.example"`,
		`["https://api.example/"]`, `"https://api.example,other"`, `["x","y"]`, `["https://api.example"," "]`,
		`["https://api.example"` + strings.Repeat(`,"a"`, 1024) + `]`,
	},
	"exp": append([]string{"1795435200", "1795435199.999999", "1795435200.000001", "1795435260000", "1e400", "1e12",
		"9e99", "253402300799", "253402300800"}, oddDates...),
	"nbf": append([]string{"1795435201", "1795435200.5", "1795435200", "-1", "-1e300", "-1e400"}, oddDates...),
	"iat": append([]string{"1795435201", "1795435200.000001", "1795435200.5", "1795435260", "1.795435201e9",
		"1795438800", "1800000000.25", "1795435200", "-1", "-1e300", "1e400", "1795435200000"}, oddDates...),
	"scope": {`null`, `1`, `true`, `{"read":true}`, `["read",1]`, `["read write"]`, `[["read"]]`, `"read\u0020write"`,
		`"\u00a0read"`, `"a` + strings.Repeat(" a", 1024) + `"`},
	"scp":       {`null`, `1`, `["read",null]`, `{"a":"b"}`},
	"jti":       {`null`, `1`, `""`, `[]`},
	"client_id": {`null`, `7`, `" "`, `"app"`, `["app"]`},
	"cnf":       {`null`, `{"jkt":"x"}`, `{}`, `"x"`},
	"events":    {`null`, `{"http://schemas.openid.net/event/backchannel-logout":{}}`, `["login"]`, `{}`, `"login"`},
	"nonce":     {`"n"`, `null`},
	"typ": {`"Bearer"`, `"ID"`, `"Refresh"`, `"Offline"`, `"Logout"`, `"JWT"`, `"DPoP"`, `"logout+jwt"`, `"at+jwt"`,
		`"user"`, `["ID"]`, `null`},
	"token_use":  {`"access"`, `"id"`, `"refresh_token"`, `"service"`, `7`},
	"token_type": {`"refresh"`, `"bearer"`, `"M2M"`, `"urn:ietf:params:oauth:token-type:id_token"`},
	"type":       {`"refresh"`, `"access"`, `"app"`}, "purpose": {`"id"`, `"orders"`},
	"token_introspection": {`{"active":true}`, `null`}, "status_list": {`{"bits":1}`},
	"status": {`{"status_list":{"idx":1}}`}, "c_hash": {`"x"`}, "at_hash": {`"x"`}, "vp": {`{}`, `true`}, "vc": {`{}`},
	"htm": {`"GET"`}, "response_type": {`"code"`},
	"EXP": {`1`, `"x"`}, "Aud": {`[]`}, `\u0049SS`: {`"x"`}, "iſs": {`"x"`}, "ｉss": {`1`},
}

// oddDates are wrong for each of the dates, or at least unusual.
var oddDates = []string{
	``, `null`, `"1795438800"`, `""`, `true`, `[1795438800]`, `{}`, `0`, `-0`, `-0.0`, `0.0000000000000000001`,
	`0e999`, `1` + strings.Repeat("0", 70) + `e-61`, `1.` + strings.Repeat("0", 80),
	`0.0` + strings.Repeat("0", 300) + `1`, `0e99999999999999999999`,
}

// oddHeaders are the same for header parameters.
var oddHeaders = map[string][]string{
	"alg": {
		``, `null`, `"none"`, `"None"`, `"rs256"`, `""`, `1`, `["RS256"]`, `"RS256 "`, `"HS256"`, `"RS256"`, `"ES256"`,
		`"EdDSA"`,
		`"Ed25519"`, `"Ed448"`, `"ES256K"`, `"RS1"`, `"dir"`, `"ML-DSA-44"`, `"__proto__"`, `"toString"`, `"\u0052S256"`,
	},
	"kid": {
		``, `null`, `""`, `1`, `0`, `true`, `["k0"]`, `{}`, `"k0"`, `"K0"`, `"k\u0030"`, `"k0\u0000"`, `"k99"`,
		`"../../dev/null"`,
		`"s0"`, `"s0' or 1=1"`, `"__proto__"`, `"` + strings.Repeat("k", 600) + `"`,
	},
	"typ": {
		`null`, `1`, `""`, `["JWT"]`, `"logout+jwt"`, `"DPoP+jwt"`, `"application/secevent+jwt"`, `"Token-Introspection+JWT"`,
		`"at+jwt; x=1"`, `"at+jwt "`, `"JOSE"`, `"JOSE+JSON"`, `"JWE"`, `"a/b/c"`, `"text/plain"`, `"日本"`, `"\u004aWT"`,
		`"id+jwt"`, `"eat+jwt"`, `"txntoken+jwt"`, `"wit+jwt"`, `"invented+jwt"`, `"passport"`, `"refresh"`, `"ID"`,
		`"` + strings.Repeat("x", 200) + `"`,
	},
	"cty": {`"JWT"`, `"jwt"`, `"application/at+jwt"`, `"json"`, `"application/json"`, `null`, `1`, `""`, `"a b"`,
		`"x+sd-jwt"`, `"JOSE"`, `"jose+json"`},
	"crit": {`null`, `[]`, `["b64"]`, `["exp"]`, `["alg"]`, `"b64"`, `{}`, `[1]`, `[""]`, `["crit"]`, `["x"]`, `0`,
		`false`},
	"b64": {`true`, `false`, `null`, `1`, `"true"`, `[]`},
	"enc": {`"A256GCM"`, `null`}, "zip": {`"DEF"`, `null`},
	"jku": {`"https://evil.example/jwks"`, `1`}, "x5u": {`"file:///etc/passwd"`},
	"x5c": {`["AAAA"]`, `"` + strings.Repeat("A", 7000) + `"`},
	"jwk": {`{"kty":"oct","k":"AAAA"}`, `{"kty":"RSA","n":"AQAB","e":"AQAB"}`, `null`, `{"a":{"b":{"c":{"d":{"e":1}}}}}`},
	"ALG": {`"none"`}, "Kid": {`"k0"`, `1`}, `\u0061lg2`: {`1`}, "p2c": {`1000000000`},
	"__proto__": {`{"alg":"none"}`, `{"crit":["x"]}`},
}
