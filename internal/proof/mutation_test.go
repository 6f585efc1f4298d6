package proof_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mutant is a good proof with one thing changed.
type mutant struct{ name, proof string }

// TestMutants changes each part of good proofs. No mutant may be accepted, whether the key is remembered or not.
func TestMutants(t *testing.T) {
	count := 0
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		c := newClient(t, alg)
		fresh, primed := newVerifier(t), newVerifier(t)
		if err := accept(primed, c.proof(), c.thumbprint, expected()); err != nil {
			t.Fatal(err)
		}
		mutants := slices.Concat(c.mutatedHeaders(), c.mutatedKeys(), c.mutatedPayloads(), c.mutatedNames(),
			c.mutatedForms(t))
		names := make(map[string]bool)
		for _, m := range mutants {
			if names[m.name] || m.proof == c.proof() {
				t.Fatalf("%s: %s is no mutant of its own", alg, m.name)
			}
			names[m.name] = true
			for _, v := range []*proof.Verifier{fresh, primed} {
				if err := accept(v, m.proof, c.thumbprint, expected()); err == nil {
					t.Errorf("%s: %s is accepted", alg, m.name)
				} else if strings.Contains(err.Error(), "tokentoken") {
					t.Errorf("%s: %s: %v has a part of the token", alg, m.name, err)
				}
			}
		}
		count += len(mutants)
		if kept, _ := primed.Keys(); kept != 1 {
			t.Errorf("%s: %d keys are remembered", alg, kept)
		}
	}
	t.Logf("%d mutants", count)
	if count < 1000 {
		t.Errorf("only %d mutants", count)
	}
}

// foreign are values that no member of a proof may have. nil leaves the member out.
var foreign = []any{
	nil, (*int)(nil), true, false, 0, -1, 1.5, "", "x\n", "\x00", []any{}, []any{"x"}, object{}, object{"x": 1},
	strings.Repeat("x", 300),
}

func (c *client) mutatedHeaders() (mutants []mutant) {
	add := func(name string, changes object) {
		mutants = append(mutants, mutant{"header " + name, c.sign(with(c.header(), changes), payload())})
	}
	for member := range c.header() {
		for _, value := range foreign {
			add(member+" "+describe(value), object{member: value})
		}
	}
	for _, alg := range append([]string{"none", "None", "NONE", "HS256", "HS384", "HS512", "ES256K", "ECDH-ES", "dir"},
		algorithms...) {
		if alg != c.key.Alg && !(c.key.Alg == "EdDSA" && alg == "Ed25519") {
			add("alg "+alg, object{"alg": alg})
			add("alg in lower case "+alg, object{"alg": strings.ToLower(alg)})
		}
	}
	for _, name := range []string{"crit", "b64", "zip", "enc"} {
		for _, value := range foreign[1:] {
			add(name+" "+describe(value), object{name: value})
		}
	}
	for _, typ := range []string{"JWT", "dpop", "dpop+jwt ", "at+jwt", "text/dpop+jwt", "dpop+jwt;v=1", "dpop+JWS"} {
		add("typ "+typ, object{"typ": typ})
	}
	return mutants
}

func (c *client) mutatedKeys() (mutants []mutant) {
	add := func(name string, changes object) {
		header := with(c.header(), object{"jwk": with(c.jwk(), changes)})
		mutants = append(mutants, mutant{"jwk " + name, c.sign(header, payload())})
	}
	for member, value := range c.jwk() {
		for _, other := range foreign {
			add(member+" "+describe(other), object{member: other})
		}
		add(member+" with more", object{member: value.(string) + "AAAA"})
		add(member+" with less", object{member: value.(string)[1:]})
		add(member+" in other case", object{member: swapCase(value.(string))})
	}
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"} {
		for _, value := range append(foreign[1:], "AQAB") {
			add("private "+member+" "+describe(value), object{member: value})
		}
	}
	for _, value := range []any{1, true, object{}, "enc", "SIG", []string{"sig"}} {
		add("use "+describe(value), object{"use": value})
	}
	for _, value := range []any{
		1, true, object{}, "verify", []string{"sign"}, []any{"verify", "verify"}, []any{"verify", 1},
	} {
		add("key_ops "+describe(value), object{"key_ops": value})
	}
	for _, kty := range []string{"RSA", "EC", "OKP", "oct", "AKP", "rsa"} {
		if kty != c.jwk()["kty"] {
			add("kty "+kty, object{"kty": kty})
		}
	}
	return mutants
}

func (c *client) mutatedPayloads() (mutants []mutant) {
	add := func(name string, changes object) {
		mutants = append(mutants, mutant{"payload " + name, c.sign(c.header(), with(payload(), changes))})
	}
	for member := range payload() {
		for _, value := range foreign {
			add(member+" "+describe(value), object{member: value})
		}
	}
	for _, member := range []string{"nonce", "exp", "nbf"} {
		for _, value := range foreign[1:] {
			if member != "nbf" || value != 0 && value != 1.5 {
				add(member+" "+describe(value), object{member: value})
			}
		}
	}
	for member, values := range map[string][]any{
		"htm": {"get", "Get", "GET ", " GET", "POST", "GETS", "*"},
		"htu": {"http://api.example.com/items", "https://api.example.com/items/", "https://api.example.com/Items",
			"https://api.example.com//items", "https://api.example.com/%69tems/x", "https://api.example.com:8443/items",
			"https://api.example.com./items", "https://x@api.example.com/items", "https://other.example.com/items",
			"https://api.example.com@other.example.com/items", "/items", "api.example.com/items", "//api.example.com/items",
			"https://api.example.com", "https://api.example.com/items%2F", "https://api.example.com/items%3Fpage=2",
			"https://api.example.com/items;page=2", "https:\\\\api.example.com\\items", " https://api.example.com/items",
			"https://api.example.com/items\n", "https://api.example.com#/items", "https://api.example.com?/items"},
		"iat": {now.Unix() - 61, now.Unix() + 61, now.UnixMilli(), fmt.Sprint(now.Unix()), 1e300},
		"ath": {hashOf("other"), hashOf(""), hashOf(token) + "=", hashOf(token)[:42], swapCase(hashOf(token)), token},
		"jti": {strings.Repeat("x", 257), "a\tb", "a\u007fb"},
		"exp": {now.Unix(), now.Unix() - 1},
		"nbf": {now.Unix() + 61},
	} {
		for _, value := range values {
			add(member+" other "+describe(value), object{member: value})
		}
	}
	return mutants
}

// mutatedNames have members under names that are not quite theirs, and members twice.
func (c *client) mutatedNames() (mutants []mutant) {
	parts := map[string]object{"header": c.header(), "jwk": c.jwk(), "payload": payload()}
	for part, members := range parts {
		add := func(name, changed string) {
			texts := map[string]string{"payload": text(payload())}
			switch part {
			case "header":
				texts["header"] = changed
			case "jwk":
				texts["header"] = `{"typ":"dpop+jwt","alg":"` + c.key.Alg + `","jwk":` + changed + `}`
			default:
				texts["header"], texts["payload"] = text(c.header()), changed
			}
			mutants = append(mutants, mutant{part + name, c.key.SignRaw(texts["header"], texts["payload"])})
		}
		whole := text(members)
		for member, value := range members {
			for _, name := range []string{strings.ToUpper(member), " " + member, member + " ", member + "\x00", member + "x"} {
				renamed := maps.Clone(members)
				delete(renamed, member)
				renamed[name] = value
				add(fmt.Sprintf(" %s as %q", member, name), text(renamed))
			}
			for _, name := range []string{member, fmt.Sprintf(`\u%04x`, member[0]) + member[1:]} {
				add(" twice, last as "+name, whole[:len(whole)-1]+`,"`+name+`":`+text(value)+`}`)
				add(" twice, first as "+name, `{"`+name+`":`+text(value)+`,`+whole[1:])
				add(" twice, null as "+name, whole[:len(whole)-1]+`,"`+name+`":null}`)
			}
		}
		for name, changed := range map[string]string{
			"unclosed": whole[:len(whole)-1], "with a comma": whole[:len(whole)-1] + ",}", "in a list": "[" + whole + "]",
			"twice": whole + whole, "with a mark": "\ufeff" + whole, "as a text": text(whole), "with a comment": whole + "//",
			"null": "null", "empty": "{}", "with a zero": whole + "\x00",
		} {
			add(" "+name, changed)
		}
	}
	return mutants
}

// mutatedForms have other parts, other signatures, or are other JWTs.
func (c *client) mutatedForms(tb testing.TB) (mutants []mutant) {
	good := c.proof()
	part := strings.Split(good, ".")
	header, payloadPart, signature := part[0], part[1], part[2]
	other := strings.Split(c.sign(c.header(), with(payload(), object{"jti": "other"})), ".")
	for name, text := range map[string]string{
		"payload before header": payloadPart + "." + header + "." + signature, "payload of another": header + "." +
			other[1] + "." + signature, "signature of another": header + "." + payloadPart + "." + other[2],
		"signature first": signature + "." + header + "." + payloadPart, "no signature": header + "." + payloadPart + ".",
		"two parts": header + "." + payloadPart, "four parts": good + "." + signature, "five parts": good + ".a.b",
		"flipped": tokentest.FlipSignature(tb, good), "short": good[:len(good)-4], "long": good + "AAAA",
		"padded": good + "=", "spaces": " " + good, "twice": good + "," + good, "tab": good + "\t",
		"access token":          c.key.Sign(tb, payload()),
		"typed":                 c.key.Sign(tb, payload(), object{"typ": "at+jwt", "jwk": c.jwk()}),
		"header of another key": newClient(tb, "ES384").proof(), "JSON": `{"protected":"` + header + `","payload":"` +
			payloadPart + `","signature":"` + signature + `"}`,
		"signed by another": newClient(tb, "ES512").key.WithAlg("ES512").SignRaw(text(c.header()), text(payload())),
		"MAC with the key": tokentest.NewKey(tb, "HS256", "mac").SignRaw(text(with(c.header(), object{"alg": "HS256"})),
			text(payload())),
		"empty signature of zeros": header + "." + payloadPart + "." + strings.Repeat("A", len(signature)),
	} {
		mutants = append(mutants, mutant{"form " + name, text})
	}
	for i := 0; i < len(good); i += 7 {
		mutants = append(mutants, mutant{fmt.Sprint("form without byte ", i), good[:i] + good[i+1:]})
	}
	return mutants
}

// describe is the JSON of a value, or "missing".
func describe(value any) string {
	if value == nil {
		return "missing"
	}
	return fmt.Sprintf("%.60s", text(value))
}

// swapCase changes the case of each letter.
func swapCase(text string) string {
	return strings.Map(func(r rune) rune {
		if upper := strings.ToUpper(string(r)); upper != string(r) {
			return rune(upper[0])
		}
		return rune(strings.ToLower(string(r))[0])
	}, text)
}
