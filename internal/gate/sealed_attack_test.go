package gate_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Whatever is refused as it is, is refused inside of an encrypted token: everybody can encrypt to a public key (RFC
// 8725 section 3.3).
func TestAttackHostileTokensInsideEncryptedOnes(t *testing.T) {
	visits := 0
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits++ }))
	defer trap.Close()
	enc := tokentest.NewKey(t, "ES256", "enc")
	target := tokentest.Target{
		Key: tokentest.NewKey(t, "RS256", "k1"), Stranger: tokentest.NewKey(t, "RS256", "stranger"),
		Issuer: issuerA, Audience: api, Now: start, Trap: trap.URL,
	}
	g := build(t, target.Key, lavish(t), func(c *gate.Config) { c.Issuers[0].Decrypt = opener(t, enc) })
	accepted(t, g, request(encrypted(t, target.Good(), enc)))
	_, payload, _ := strings.Cut(target.Good(), ".")
	payload, _, _ = strings.Cut(payload, ".")
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, attack := range slices.Concat(target.HeaderAttacks(), target.ClaimAttacks(),
		tokentest.AlgorithmAttacks(target.Key, string(claims))) {
		if len(attack.Token) > 1<<19 {
			continue
		}
		count++
		if _, err := g.Check(direct(request(encrypted(t, attack.Token, enc)))); err == nil {
			t.Errorf("%s: accepted", attack.Name)
		}
	}
	if visits != 0 || count < 300 {
		t.Errorf("%d attacks, and the attacker's server was visited %d times", count, visits)
	}
}

// retyped are values of other types than those that members have.
var retyped = []string{
	`null`, `""`, `" "`, `7`, `-1`, `true`, `[]`, `["JWT"]`, `{}`, `"` + strings.Repeat("A", 9000) + `"`, `"\u0000"`,
}

// mutate calls do with every change of a header: each member removed, doubled and retyped, and members that matter
// added.
func mutate(header string, do func(name, header string)) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(header), &members); err != nil {
		panic(err)
	}
	names := slices.Sorted(maps.Keys(members))
	with := func(name, value string) string {
		var text bytes.Buffer
		for _, other := range names {
			v := string(members[other])
			if other == name {
				v = value
			}
			if v != "" {
				fmt.Fprintf(&text, `,%q:%s`, other, v)
			}
		}
		if _, has := members[name]; !has {
			fmt.Fprintf(&text, `,%q:%s`, name, value)
		}
		return "{" + strings.TrimPrefix(text.String(), ",") + "}"
	}
	for _, name := range names {
		do("without "+name, with(name, ""))
		do("twice "+name, `{`+fmt.Sprintf("%q:%s,", name, members[name])+strings.TrimPrefix(header, "{"))
		do("twice "+name+", escaped", `{`+fmt.Sprintf("\"\\u%04x%s\":%s,", name[0], name[1:], members[name])+
			strings.TrimPrefix(header, "{"))
		for _, value := range retyped {
			do("retyped "+name+" as "+value[:min(len(value), 12)], with(name, value))
		}
	}
	for name, values := range map[string][]string{
		"zip": {`"DEF"`, `"def"`, `null`, `""`}, "crit": {`["exp"]`, `[]`, `null`}, "b64": {`false`, `true`},
		"jwk": {`{"kty":"EC"}`}, "jku": {`"https://evil.example"`}, "x5u": {`"https://evil.example"`}, "x5c": {`["AAAA"]`},
		"p2c": {`1000000000`}, "p2s": {`"AAAA"`}, "iv": {`"AAAA"`}, "tag": {`"AAAA"`}, "alg": {`"none"`, `"dir"`, `"RSA1_5"`},
		"enc": {`"none"`, `"A128CBC"`}, "apu": {`"!"`}, "apv": {`"!"`}, "iss": {`"https://other.example"`}, "exp": {`1`},
	} {
		for _, value := range values {
			do("with "+name+" "+value, with(name, value))
		}
	}
}

// Every change of the outer header is refused: it is authenticated, and much of it is refused before.
func TestAttackMutatedOuterHeaders(t *testing.T) {
	sign := tokentest.NewKey(t, "ES256", "k1")
	ec, rsa := tokentest.NewKey(t, "ES256", "enc"), tokentest.NewKey(t, "RS256", "enc-rsa")
	g := decrypts(t, sign, ec, rsa)
	count := 0
	for _, token := range sealedInAllWays(t, sign.Sign(t, says()), ec, rsa) {
		accepted(t, g, request(token))
		first, rest, _ := strings.Cut(token, ".")
		header, err := base64.RawURLEncoding.DecodeString(first)
		if err != nil {
			t.Fatal(err)
		}
		try := func(name, header string) {
			count++
			changed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
			if _, err := g.Check(direct(request(changed))); err == nil {
				t.Errorf("%s: accepted with %.80s", name, header)
			}
		}
		mutate(string(header), try)
		for _, text := range []string{
			"", "{}", "[]", "null", `"x"`, " " + string(header), string(header) + " ", string(header) + "x",
			"\ufeff" + string(header), strings.Replace(string(header), ":", " :", 1), string(header[:len(header)-1]),
		} {
			try("as a whole", text)
		}
	}
	t.Logf("%d headers", count)
}

// sealedInAllWays are encryptions of one token, by each algorithm with each encryption that is allowed by default.
func sealedInAllWays(tb testing.TB, token string, ec, rsa *tokentest.Key) (all []string) {
	tb.Helper()
	for _, alg := range []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "RSA-OAEP-256"} {
		to := ec
		if strings.HasPrefix(alg, "RSA") {
			to = rsa
		}
		for _, enc := range []string{"A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"} {
			all = append(all, sealedAs(tb, token, to, alg, enc, nil))
		}
	}
	return all
}

// Headers that the sender has authenticated, and that are refused all the same: only who has the key of a gate could
// notice, and a gate that ignored them would not mean what the sender meant.
func TestAttackAuthenticatedOuterHeaders(t *testing.T) {
	sign, ec := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	g := decrypts(t, sign, ec)
	good := sign.Sign(t, says())
	for _, with := range []m{
		{"zip": "DEF"}, {"crit": []string{"exp"}, "exp": says()["exp"]}, {"crit": []string{}}, {"b64": true}, {"p2c": 1},
		{"jwk": m{"kty": "EC"}}, {"jku": "https://evil.example"}, {"x5u": "https://evil.example"}, {"x5c": []string{"AAAA"}},
		{"x5t": "AAAA"}, {"x5t#S256": "AAAA"}, {"typ": "logout+jwt"}, {"typ": "dpop+jwt"}, {"typ": ""}, {"cty": "text/plain"},
		{"cty": "JWE"}, {"cty": ""}, {"iss": issuerB}, {"sub": "somebody else"}, {"aud": "https://other.example"},
		{"exp": 1}, {"iat": 1}, {"nbf": 1}, {"jti": "x"},
	} {
		if _, err := g.Check(direct(request(sealedAs(t, good, ec, "ECDH-ES", "A256GCM", with)))); err == nil {
			t.Errorf("%v: accepted", with)
		}
	}
}

// Every part: each bit of its ends flipped, each third byte in between, cut, longer, empty, or of another token.
func TestAttackMutatedParts(t *testing.T) {
	sign := tokentest.NewKey(t, "ES256", "k1")
	ec, rsa := tokentest.NewKey(t, "ES256", "enc"), tokentest.NewKey(t, "RS256", "enc-rsa")
	g := decrypts(t, sign, ec, rsa)
	one := sealedInAllWays(t, sign.Sign(t, says()), ec, rsa)
	two := sealedInAllWays(t, sign.Sign(t, says(m{"sub": "somebody else"})), ec, rsa)
	count := 0
	try := func(parts []string, what string, i int) {
		t.Helper()
		count++
		if _, err := g.Check(direct(request(strings.Join(parts, ".")))); err == nil {
			t.Errorf("part %d, %s: accepted", i, what)
		}
	}
	for n := range one {
		parts, others := strings.Split(one[n], "."), strings.Split(two[n], ".")
		for i := range parts {
			with := func(text string) []string {
				changed := slices.Clone(parts)
				changed[i] = text
				return changed
			}
			raw, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err != nil {
				t.Fatal(err)
			}
			step := 3
			if strings.Contains(parts[0], "UlNB") || testing.Short() { // RSA is slow
				step = 61
			}
			for at := 0; at < len(raw); at += step {
				flipped := slices.Clone(raw)
				flipped[at] ^= 1 << (at % 8)
				try(with(base64.RawURLEncoding.EncodeToString(flipped)), fmt.Sprintf("bit of byte %d", at), i)
			}
			if len(raw) > 0 {
				try(with(base64.RawURLEncoding.EncodeToString(raw[:len(raw)-1])), "cut", i)
				try(with(base64.RawURLEncoding.EncodeToString(raw[1:])), "cut at its start", i)
				try(with(""), "empty", i)
				if rest := len(parts[i]) % 4; rest != 0 {
					last := strings.IndexByte(alphabet, parts[i][len(parts[i])-1])
					try(with(parts[i][:len(parts[i])-1]+alphabet[last^1:][:1]), "the same bytes in another spelling", i)
				}
			}
			for _, more := range []string{"A", "AA", "AAA", "AAAA", "=", "==", "\n", ".", "+", "%"} {
				try(with(parts[i]+more), "with "+more, i)
			}
			if parts[i] != others[i] {
				try(with(others[i]), "of another token", i)
			}
			try(slices.Delete(slices.Clone(parts), i, i+1), "left out", i)
			try(slices.Insert(slices.Clone(parts), i, parts[i]), "twice", i)
		}
	}
	t.Logf("%d tokens", count)
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Points that are not on the curve, of other curves, of small order or not in range (RFC 7518 section 4.6.1.1).
func TestAttackInvalidPoints(t *testing.T) {
	sign, ec := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	g := decrypts(t, sign, ec)
	token := encrypted(t, sign.Sign(t, says()), ec)
	coordinate := func(b byte, n int) string { return base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{b}, n)) }
	for _, epk := range []m{
		{"kty": "EC", "crv": "P-256", "x": coordinate(0, 32), "y": coordinate(0, 32)},
		{"kty": "EC", "crv": "P-256", "x": coordinate(1, 32), "y": coordinate(1, 32)},
		{"kty": "EC", "crv": "P-256", "x": coordinate(0xff, 32), "y": coordinate(0xff, 32)},
		{"kty": "EC", "crv": "P-256", "x": coordinate(0xff, 64), "y": coordinate(0xff, 64)},
		{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "EC", "crv": "P-256", "x": "", "y": ""},
		{"kty": "EC", "crv": "P-256"}, {"kty": "EC", "crv": "secp256k1", "x": coordinate(1, 32), "y": coordinate(1, 32)},
		{"kty": "EC", "crv": "P-384", "x": coordinate(1, 48), "y": coordinate(1, 48)},
		{"kty": "EC", "crv": "p-256", "x": coordinate(1, 32), "y": coordinate(1, 32)},
		{"kty": "RSA", "n": coordinate(1, 256), "e": "AQAB"}, {"kty": "oct", "k": coordinate(1, 32)}, {},
	} {
		changed := header(t, token, func(h m) { h["epk"] = epk })
		refused(t, g, request(changed), gate.DecryptionFailed)
	}
}

// Huge and tiny parts, and deep nesting, cost little: what is allocated is bounded by what came.
func TestAttackSizesOfEncryptedTokens(t *testing.T) {
	sign, ec := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	g := build(t, sign, lavish(t), func(c *gate.Config) { c.Issuers[0].Decrypt = opener(t, ec) })
	long := strings.Repeat("A", 900_000)
	parts := strings.Split(encrypted(t, sign.Sign(t, says()), ec), ".")
	nested := sign.Sign(t, says())
	for range 5 {
		nested = encrypted(t, nested, ec)
	}
	zeros := sign.Sign(t, says(m{"x": strings.Repeat("0", 200_000)}))
	bomb := sealedAs(t, zeros, ec, "ECDH-ES", "A256GCM", m{"zip": "DEF"})
	for name, token := range map[string]string{
		"key":     strings.Join([]string{parts[0], long, parts[2], parts[3], parts[4]}, "."),
		"iv":      strings.Join([]string{parts[0], parts[1], long, parts[3], parts[4]}, "."),
		"content": strings.Join([]string{parts[0], parts[1], parts[2], long, parts[4]}, "."),
		"tag":     strings.Join([]string{parts[0], parts[1], parts[2], parts[3], long}, "."),
		"header":  strings.Join([]string{long, parts[1], parts[2], parts[3], parts[4]}, "."),
		"empty":   parts[0] + "....", "dots": strings.Repeat(".", 900_000), "nested": nested, "bomb": bomb,
	} {
		t.Run(name, func(t *testing.T) {
			r := request(token)
			allocated := testing.Benchmark(func(b *testing.B) {
				for b.Loop() {
					if _, err := g.Check(direct(r)); err == nil {
						b.Fatal("accepted")
					}
				}
			}).AllocedBytesPerOp()
			if limit := int64(10*len(token) + 200_000); allocated > limit {
				t.Errorf("%d bytes for a token of %d", allocated, len(token))
			}
		})
	}
}
