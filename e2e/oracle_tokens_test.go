//go:build e2e

package e2e_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// sample is a token, and which of the two sets of keys it is for.
type sample struct {
	policy, kind, token string
}

// String shows the reader of a failed test what is in the token.
func (s sample) String() string {
	r := read(s.token)
	return fmt.Sprintf("%s, %s keys\nheader  %q\npayload %q\ntoken   %q",
		s.kind, s.policy, r.header.text, r.payload.text, s.token)
}

// forge makes tokens. The seed decides everything but the keys, which are new in every run.
type forge struct {
	*rand.Rand
	public, secret, stranger []*tokentest.Key // the stranger's have the same names as ours
}

func newForge(t *testing.T, random *rand.Rand) *forge {
	f := &forge{Rand: random}
	for _, alg := range []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "ES256",
	} {
		f.public = append(f.public, tokentest.NewKey(t, alg, "k"+strconv.Itoa(len(f.public))))
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		f.secret = append(f.secret, tokentest.NewKey(t, alg, "s"+strconv.Itoa(len(f.secret))))
	}
	for _, key := range slices.Concat(f.public, f.secret) {
		f.stranger = append(f.stranger, tokentest.NewKey(t, key.Alg, "stranger "+key.KID).WithKID(key.KID))
	}
	return f
}

// member is one of a JSON object, as texts.
type member struct{ name, value string }

// object writes members in a random order, and now and then with white space.
func (f *forge) object(members []member) string {
	space := ""
	if f.IntN(8) == 0 {
		space = one(f, " ", "\n", "\t", "\r\n ")
	}
	f.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	texts := make([]string, len(members))
	for i, m := range members {
		texts[i] = space + quote(m.name) + space + ":" + space + m.value
	}
	return space + "{" + strings.Join(texts, ",") + space + "}" + space
}

// quote leaves the escapes in a name as they are.
func quote(name string) string { return `"` + name + `"` }

// one picks one.
func one[T any](f *forge, choices ...T) T { return choices[f.IntN(len(choices))] }

// sample makes a token: a good one, or one with something odd about it, or about several things.
func (f *forge) sample() sample {
	key := one(f, slices.Concat(f.public, f.secret, f.secret)...)
	header, payload := f.header(key), f.claims()
	kind := one(f, "good", "odd claim", "odd claim", "odd header", "odd header", "odd text", "twice", "mutated", "mutated",
		"other key", "odd claim and header", "unencoded")
	switch kind {
	case "odd claim":
		payload = f.change(payload, oddClaims)
	case "odd header":
		header = f.change(header, oddHeaders)
	case "odd claim and header":
		header, payload = f.change(header, oddHeaders), f.change(payload, oddClaims)
	case "twice":
		if f.IntN(3) == 0 {
			header = f.twice(header)
		} else {
			payload = f.twice(payload)
		}
	case "other key":
		return f.otherKey(key, header, payload)
	case "unencoded":
		return f.unencoded(key, payload)
	}
	headerText, payloadText := f.object(header), f.object(payload)
	if kind == "odd text" {
		if f.IntN(4) == 0 {
			headerText = f.oddText(headerText)
		} else {
			payloadText = f.oddText(payloadText)
		}
	}
	token := key.SignRaw(headerText, payloadText)
	if kind == "mutated" {
		token = f.mutate(token)
	}
	return sample{f.policy(key), kind, strings.Trim(token, " \t")} // as HTTP delivers a field
}

func (f *forge) policy(key *tokentest.Key) string {
	if key.Secret() != nil {
		return "secret"
	}
	return "public"
}

func (f *forge) header(key *tokentest.Key) []member {
	members := []member{{"alg", quote(key.Alg)}}
	if f.IntN(4) > 0 {
		members = append(members, member{"kid", quote(key.KID)})
	}
	if f.IntN(3) > 0 {
		members = append(members,
			member{"typ", one(f, `"JWT"`, `"jwt"`, `"at+jwt"`, `"application/at+jwt"`, `"AT+JWT"`, `"x"`)})
	}
	return members
}

// claims are good ones, in one of the ways in which they may be written.
func (f *forge) claims() []member {
	members := []member{
		{"iss", one(f, `"https://as.example"`, `"https:\/\/as.example"`, `"\u0068ttps://as.example"`)},
		{"exp", f.date(oracleNow + 1 + f.IntN(3600))},
		{"aud", one(f, `"https://api.example"`, `["https://api.example"]`, `["other","https://api.example"]`,
			`["https://api.example","https://api.example"]`)},
	}
	some := func(name string, values ...string) {
		if f.IntN(2) == 0 {
			members = append(members, member{name, one(f, values...)})
		}
	}
	some("sub", `"alice"`, `"Zoë"`, `"日本"`, `"\ud83d\ude00"`, `"a\u0000b"`, `"a\nb"`, `" a "`, `"\u0130"`)
	some("nbf", f.date(oracleNow-f.IntN(3600)), strconv.Itoa(oracleNow), "0")
	some("iat", f.date(oracleNow-f.IntN(3600)), strconv.Itoa(oracleNow), "0")
	some("scope", `"read"`, `"read write"`, `"  read   write "`, `""`, `["read","write"]`, `"a,b\tc"`, `[]`, `[""]`)
	some("scp", `"admin"`, `["admin","read"]`)
	some("jti", `"1"`)
	some("nested", `{"iss":"x","exp":1,"deep":[{"aud":[null,true,1.5e-7]}]}`, `null`, `[]`, `{}`, `1e400`, `"\\\""`)
	some("__proto__", `{"iss":"x"}`, `null`, `{"exp":1}`)
	some("Iss", `"x"`, `["x"]`)
	return members
}

// date writes a NumericDate in one of the ways of JSON.
func (f *forge) date(seconds int) string {
	text := strconv.Itoa(seconds)
	return one(f, text, text, text, text+".0", text+".5", text+".000001", text+"e0", text+"0E-1",
		text[:1]+"."+text[1:]+"e+9", text+strings.Repeat("0", 9)+"e-9")
}

// change gives one or two members another value, or takes them away.
func (f *forge) change(members []member, odd map[string][]string) []member {
	for range 1 + f.IntN(2) {
		names := make([]string, 0, len(odd))
		for name := range odd {
			names = append(names, name)
		}
		slices.Sort(names)
		name := one(f, names...)
		members = slices.DeleteFunc(members, func(m member) bool { return m.name == name })
		if value := one(f, odd[name]...); value != "" {
			members = append(members, member{name, value})
		}
	}
	return members
}

// twice repeats a member, plainly or with an escape in its name, at the top or further in.
func (f *forge) twice(members []member) []member {
	again := one(f, members...)
	first := fmt.Sprintf(`\u%04x`, again.name[0])
	switch f.IntN(4) {
	case 0:
		again.name = first + again.name[1:]
	case 1:
		again.value = one(f, `null`, `"x"`, `["x"]`, `1`)
	case 2:
		again = member{"nested2", `{"a":[{"b":1,"` + one(f, "b", `\u0062`) + `":2}]}`}
	}
	return append(members, again)
}

// oddText makes something else of the text of an object.
func (f *forge) oddText(text string) string {
	end := strings.LastIndexByte(text, '}')
	with := func(name, value string) string { return text[:end] + "," + quote(name) + ":" + value + text[end:] }
	return one(f,
		"\xef\xbb\xbf"+text, text+"\x00", text+"{}", text+",", "["+text+"]", quote(text), "null", "1", "{}", "", " ",
		text[:end], text[:end]+",}", strings.ReplaceAll(text, `"`, `'`), text+"//", "/**/"+text,
		with("a", "\"\xff\""), with("a", "\"\xc0\xaf\""), with("a", "\"\xed\xa0\x80\""), with("\xff", "1"),
		with("a", `"\ud800"`), with("a", `"\udc00\ud800"`), with(`\ud800`, "1"), with("a", "\"\x01\""), with("a", `"\x41"`),
		with("a", "01"), with("a", "+1"), with("a", ".5"), with("a", "NaN"), with("a", "-0"), with("a", "1e99999"),
		with("a", "True"),
		with("a", strings.Repeat("[", 10)+strings.Repeat("]", 10)),
		with("a", strings.Repeat(`{"a":`, 30)+"1"+strings.Repeat("}", 30)),
		with("a", strings.Repeat("[", 5000)+strings.Repeat("]", 5000)),
		with("a", "{"+f.many(1100)+"}"), with("a", "{"+f.many(70)+"}"), with("a", quote(strings.Repeat("x", 8000))),
		with("a", quote(strings.Repeat("x", 20000))), strings.Repeat(" ", 100)+text, "\u00a0"+text, "\v"+text, text+"\f",
	)
}

func (f *forge) many(n int) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = `"` + strconv.Itoa(i) + `":0`
	}
	return strings.Join(texts, ",")
}

// otherKey is a token of a good form that somebody else has signed, or a friend with another algorithm.
func (f *forge) otherKey(key *tokentest.Key, header, payload []member) sample {
	s := sample{policy: f.policy(key), kind: "other key"}
	headerText, payloadText := f.object(header), f.object(payload)
	switch f.IntN(4) {
	case 0:
		i := slices.IndexFunc(f.stranger, func(k *tokentest.Key) bool { return k.KID == key.KID })
		s.token = f.stranger[i].SignRaw(headerText, payloadText)
	case 1:
		s.token = one(f, slices.Concat(f.public, f.secret)...).SignRaw(headerText, payloadText)
	case 2: // the other set of keys
		s.token = key.SignRaw(headerText, payloadText)
		s.policy = map[string]string{"public": "secret", "secret": "public"}[s.policy]
	default: // the same key with another algorithm of its family
		if other, ok := map[string]string{
			"RS256": "PS256", "RS384": "RS256", "PS256": "RS256", "PS512": "PS256", "HS256": "HS512", "HS512": "HS256",
			"EdDSA": "Ed25519", "Ed25519": "EdDSA",
		}[key.Alg]; ok {
			key = key.WithAlg(other)
			headerText = f.object(f.header(key))
		}
		s.token = key.SignRaw(headerText, payloadText)
	}
	return s
}

// unencoded uses the option of RFC 7797, rightly and wrongly.
func (f *forge) unencoded(key *tokentest.Key, payload []member) sample {
	header := append(f.header(key), member{"b64", one(f, "false", "true", "null", `"false"`)})
	if f.IntN(3) > 0 {
		header = append(header, member{"crit", one(f, `["b64"]`, `["b64"]`, `[]`, `["b64","b64"]`)})
	}
	input := encodeText(f.object(header)) + "."
	if text := f.object(payload); f.IntN(2) == 0 {
		input += encodeText(text)
	} else {
		input += strings.ReplaceAll(text, ".", `\u002e`)
	}
	return sample{f.policy(key), "unencoded", input + "." + encodeText(string(key.SignBytes(input)))}
}

func encodeText(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// mutate damages the text of a token.
func (f *forge) mutate(token string) string {
	at := f.IntN(len(token))
	if f.IntN(3) == 0 {
		at = len(token) - 1 // where the bits may be that nobody reads
	}
	parts := strings.Split(token, ".")
	switch f.IntN(12) {
	case 0, 1, 2:
		return token[:at] + string(alphabet[f.IntN(len(alphabet))]) + token[at+1:]
	case 3:
		return token[:at] + string([]byte{byte(f.IntN(256))}) + token[at+1:]
	case 4:
		return token[:at] + one(f, "=", "+", "/", " ", "\t", "\n", ".", "A", "\x00", "\x80", ",") + token[at:]
	case 5:
		return token[:at] + token[at+1:]
	case 6:
		return token[:at]
	case 7:
		return token + one(f, "=", "==", "A", "\n", " \r\n ", ".", ".A", "\t=", "~", "%3D")
	case 8:
		i, j := f.IntN(3), f.IntN(3)
		parts[i], parts[j] = parts[j], parts[i]
		return strings.Join(parts, ".")
	case 9: // bits beyond the last byte
		part := f.IntN(3)
		if last := strings.IndexByte(alphabet, parts[part][len(parts[part])-1]); len(parts[part])%4 != 0 {
			parts[part] = parts[part][:len(parts[part])-1] + string(alphabet[last^1])
		}
		return strings.Join(parts, ".")
	case 10:
		parts[f.IntN(3)] = ""
		return strings.Join(parts, ".")
	default:
		part := f.IntN(3)
		half := f.IntN(len(parts[part]))
		parts[part] = parts[part][:half] + one(f, "\n", " ", "\r\n", "\t") + parts[part][half:]
		return strings.Join(parts, ".")
	}
}
