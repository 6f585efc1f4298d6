package tokentest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// signatures are proofs that the key in their header does not verify, and proofs of other keys.
func (a *proofAttack) signatures() {
	proof, other := a.Proof(a.tb, a.method, a.url, a.token), a.Proof(a.tb, a.method, a.url, a.token)
	input, text := proof[:strings.LastIndexByte(proof, '.')], proof[strings.LastIndexByte(proof, '.')+1:]
	signature := must(base64.RawURLEncoding.DecodeString(text))
	half := len(signature) / 2
	for name, other := range map[string][]byte{
		"zeros": make([]byte, len(signature)), "one zero": {0}, "ones": bytes.Repeat([]byte{0xff}, len(signature)),
		"a byte less": signature[1:], "a byte less at the end": signature[:len(signature)-1],
		"a byte more": append([]byte{0}, signature...), "a byte more at the end": append(bytes.Clone(signature), 0),
		"halves swapped":    append(bytes.Clone(signature[half:]), signature[:half]...),
		"the payload alone": a.Key.SignBytes(strings.Split(input, ".")[1]), "the input, a dot": a.Key.SignBytes(input + "."),
	} {
		a.add("signature: "+name, input+"."+encode(other))
	}
	a.add("signature: a bit flipped", FlipSignature(a.tb, proof))
	a.add("signature: of another proof", input+other[strings.LastIndexByte(other, '.'):])
	a.add("signature: its text twice", input+"."+text+text)
	if spare := len(text) * 6 % 8; spare > 0 { // bits of the last character that stand for nothing (RFC 4648 section 3.5)
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, text[len(text)-1])
		a.add("signature: spare bits", input+"."+text[:len(text)-1]+alphabet[last+1:last+2])
	}
	if _, ok := a.Key.Public().(*ecdsa.PublicKey); ok {
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		a.add("signature: in DER", input+"."+encode(must(asn1.Marshal(struct{ R, S *big.Int }{r, s}))))
	}

	header, payload := object(a.header, ""), object(a.payload, "")
	strangers := []*Prover{a.stranger(a.Key.Alg)}
	for _, alg := range []string{"ES256", "ES384", "EdDSA", "RS256", "PS256"} {
		if alg != a.Key.Alg {
			strangers = append(strangers, a.stranger(alg))
		}
	}
	foreign := func(name, proof string) {
		a.attacks = append(a.attacks, HostileProof{name, proof, InvalidToken})
	}
	for _, stranger := range strangers {
		foreign("another key for "+stranger.Key.Alg, stranger.Proof(a.tb, a.method, a.url, a.token))
	}
	jwk := string(must(json.Marshal(strangers[0].jwk())))
	foreign("another key that has not signed", a.Key.SignRaw(object(a.header, "jwk", `"jwk":`+jwk), payload))
	thumbprint := a.Thumbprint()
	foreign("another key with our kid", strangers[0].Proof(a.tb, a.method, a.url, a.token,
		map[string]any{"header.kid": thumbprint, "header.jwk.kid": thumbprint}))
	foreign("another key with our cnf", strangers[0].Proof(a.tb, a.method, a.url, a.token,
		map[string]any{"cnf": map[string]string{"jkt": thumbprint}, "jkt": thumbprint}))
	a.add("our key, and another has signed", strangers[0].Key.SignRaw(header, payload))
}

// stranger is a client with another key.
func (a *proofAttack) stranger(alg string) *Prover {
	return &Prover{Key: NewKey(a.tb, alg, "stranger to a prover").WithKID(""), Now: a.Now}
}

// headers are no header of a proof (RFC 9449 section 4.2).
func (a *proofAttack) headers() {
	good, payload := object(a.header, ""), object(a.payload, "")
	for name, header := range map[string]string{
		"an array": `[` + good + `]`, "null": `null`, "a number": `1`, "a string": strconv.Quote(good), "nothing in it": `{}`,
		"text after it": good + `x`, "an empty object after it": good + `{}`, "two objects": good + good,
		"a byte order mark": "\ufeff" + good, "not closed": strings.TrimSuffix(good, "}"),
		"a comma too many": strings.TrimSuffix(good, "}") + `,}`, "UTF-16": string(utf16LE(good)),
		"1000 arrays in each other": object(a.header, "", `"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)),
		"invalid UTF-8":             object(a.header, "", "\"x\":\"\xff\""),
		"a lone surrogate":          object(a.header, "", `"x":"\ud800"`),
		"alg twice, none last":      strings.TrimSuffix(good, "}") + `,"alg":"none"}`,
		"typ twice, JWT last":       strings.TrimSuffix(good, "}") + `,"typ":"JWT"}`,
		"an unknown name twice":     object(a.header, "", `"x":1`, `"x":1`),
	} {
		a.signed("header: "+name, header, payload)
	}
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		value := a.header[name]
		a.inHeader(name, "")
		a.inHeader(name, strconv.Quote(strings.ToUpper(name))+":"+value)
		for _, other := range []string{`null`, `1`, `""`, `[]`, `{}`, `[` + value + `]`, strconv.Quote(value)} {
			a.inHeader(name, strconv.Quote(name)+":"+other)
		}
		a.signed("header: "+name+" twice", object(a.header, "", strconv.Quote(name)+":"+value), payload)
		a.signed("header: "+name+" twice, once by an escape", object(a.header, "", escaped(name)+":"+value), payload)
	}
	types := slices.DeleteFunc(ForeignTypes(), func(typ string) bool { return typ == "dpop+jwt" })
	for _, typ := range append(types, "JWT", "jwt", "at+jwt", "application/at+jwt", "dpop", "dpop+jw", "dpop+jwts",
		"dpop jwt", " dpop+jwt", "dpop+jwt ", "dpop+jwt;x=1", "dpop+jwt,JWT", "dpop+jwt\x00", "text/dpop+jwt", "dpop%2Bjwt",
		"application/application/dpop+jwt", "dpop+\u212Awt") {
		a.inHeader("typ", `"typ":`+string(must(json.Marshal(typ))))
	}
	for _, more := range []string{
		`"crit":["x"],"x":1`, `"crit":["x"]`, `"crit":["jwk"]`, `"crit":["exp"],"exp":1`, `"crit":[]`, `"crit":null`,
		`"crit":"x"`, `"crit":{}`, `"crit":[1]`, `"\u0063rit":["x"]`, `"crit":["b64"],"b64":false`,
		`"crit":["b64"],"b64":true`, `"b64":false`, `"b64":true`, `"b64":"false"`, `"enc":"A128GCM"`, `"zip":"DEF"`,
		`"cty":1`, `"cty":"JWT"`, `"cty":"at+jwt"`,
	} {
		a.inHeader("", more)
	}
	a.signed("a proof inside", object(a.header, "", `"cty":"JWT"`), a.Proof(a.tb, a.method, a.url, a.token))
	input := encode([]byte(object(a.header, "", `"b64":false`, `"crit":["b64"]`))) + "." + "plain-payload"
	a.add("an unencoded payload", input+"."+encode(a.Key.SignBytes(input))) // RFC 7797
}

// algorithms are proofs whose alg is not that of an asymmetric signature with the key in the header.
func (a *proofAttack) algorithms() {
	payload := object(a.payload, "")
	header := func(alg string) string { return object(a.header, "alg", `"alg":`+string(must(json.Marshal(alg)))) }
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", ""} {
		input := encode([]byte(header(alg))) + "." + encode([]byte(payload))
		a.add("alg "+strconv.Quote(alg)+" without a signature", input+".")
		a.add("alg "+strconv.Quote(alg)+" without a signature and its dot", input)
		a.signed("alg "+strconv.Quote(alg)+" with a signature", header(alg), payload)
	}
	for _, alg := range []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed448", "HS256",
		"HS384", "HS512", "dir", "A256KW", "RSA-OAEP", "ECDH-ES", "ML-DSA-44", "RS1", "XX999", strings.ToLower(a.Key.Alg),
		a.Key.Alg + " ", a.Key.Alg + "\x00", a.Key.Alg + ",none",
	} {
		if alg != a.Key.Alg && !(alg == "EdDSA" && a.Key.Alg == "Ed25519") {
			a.signed("alg "+strconv.Quote(alg)+" with a signature", header(alg), payload)
		}
	}
	mac := func(name, header string, secret []byte) {
		input := encode([]byte(header)) + "." + encode([]byte(payload))
		sum := hmac.New(sha256.New, secret)
		sum.Write([]byte(input))
		a.add(name, input+"."+encode(sum.Sum(nil)))
	}
	for name, secret := range Disguises(a.Key.Public()) {
		mac("HS256 of the public key as "+name, header("HS256"), secret)
	}
	for _, secret := range []string{"", "0123456789abcdef0123456789abcdef"} {
		jwk := `"jwk":{"kty":"oct","k":"` + encode([]byte(secret)) + `"}`
		mac("HS256 with a secret in the header: "+secret, object(a.header, "jwk", jwk, `"alg":"HS256"`), []byte(secret))
		noAlg := maps.Clone(a.header)
		delete(noAlg, "alg")
		mac("HS256 with a secret alone in the header: "+secret, object(noAlg, "jwk", jwk, `"alg":"HS256"`), []byte(secret))
	}
}

// keys are proofs whose jwk is not one public key that is fit for signatures (RFC 9449 section 4.3).
func (a *proofAttack) keys() {
	payload, key := object(a.payload, ""), memberTexts(a.jwk())
	with := func(jwk string) { a.inHeader("jwk", `"jwk":`+jwk) }
	x5c := `"x5c":["` + base64.StdEncoding.EncodeToString(selfSigned(a.Key.Public())) + `"]`
	private := must(json.Marshal(encode(bytes.Repeat([]byte{1}, 32))))
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		for _, value := range []string{string(private), `""`, `null`, `[]`, `1`} {
			a.signed("jwk with "+name+" "+short(value), object(a.header, "jwk",
				`"jwk":`+object(key, "", strconv.Quote(name)+":"+value)), payload)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(key)) {
		value := key[name]
		for what, jwk := range map[string]string{
			"without " + name:         object(key, name),
			"with null for " + name:   object(key, name, strconv.Quote(name)+":null"),
			"with a number: " + name:  object(key, name, strconv.Quote(name)+":1"),
			"with an array: " + name:  object(key, name, strconv.Quote(name)+":["+value+"]"),
			"with nothing: " + name:   object(key, name, strconv.Quote(name)+`:""`),
			"with a blank: " + name:   object(key, name, strconv.Quote(name)+`:" `+value[1:]),
			"with twice " + name:      object(key, "", strconv.Quote(name)+":"+value),
			"with an escape: " + name: object(key, "", escaped(name)+":"+value),
			"in upper case: " + name:  object(key, name, strconv.Quote(strings.ToUpper(name))+":"+value),
		} {
			a.signed("jwk "+what, object(a.header, "jwk", `"jwk":`+jwk), payload)
		}
	}
	for _, more := range []string{
		`"use":"enc"`, `"use":"SIG"`, `"use":1`, `"key_ops":["sign"]`, `"key_ops":["encrypt"]`, `"key_ops":"verify"`,
		`"key_ops":["verify","verify"]`, `"alg":"HS256"`, `"alg":"none"`, `"alg":"RSA-OAEP"`, `"alg":1`,
	} {
		with(object(key, "", more))
	}
	whole := object(key, "")
	for _, jwk := range []string{
		`{"keys":[` + whole + `]}`, `[` + whole + `,` + whole + `]`, strconv.Quote(encode([]byte(whole))),
		`{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}`, `{"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA"}`,
		`{"kty":"OKP","crv":"X25519","x":"` + encode(make([]byte, 32)) + `"}`, `{"kid":"` + a.Thumbprint() + `"}`,
		`{"jkt":"` + a.Thumbprint() + `"}`, `{` + x5c + `}`,
	} {
		with(jwk)
	}
	for _, hint := range []string{
		`"kid":"` + a.Thumbprint() + `"`, x5c, `"jku":"` + a.url + `"`, `"x5u":"` + a.url + `"`,
	} {
		a.inHeader("jwk", hint)
	}
	a.weakKeys()
}

// smallRSA is an RSA key of 1024 bits.
var smallRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })

// weakKeys are keys for which everybody can sign, or which cost much to verify with.
func (a *proofAttack) weakKeys() {
	payload := object(a.payload, "")
	add := func(name, alg, jwk string, sign func(input []byte) []byte) {
		header := `{"typ":"dpop+jwt","alg":"` + alg + `","jwk":` + jwk + `}`
		input := encode([]byte(header)) + "." + encode([]byte(payload))
		a.add("weak key: "+name, input+"."+encode(sign([]byte(input))))
	}
	bits := func(n int) string { return encode(bytes.Repeat([]byte{0xff}, n/8)) }
	zeros := func(n int) func([]byte) []byte { return func([]byte) []byte { return make([]byte, n) } }
	rsaJWK := func(n, e string) string { return `{"kty":"RSA","n":"` + n + `","e":"` + e + `"}` }
	for _, size := range []int{16_384, 8192} {
		add("RSA of "+strconv.Itoa(size)+" bits", "RS256", rsaJWK(bits(size), "AQAB"), zeros(size/8))
	}
	add("RSA with a giant exponent", "RS256", rsaJWK(bits(2048), bits(2048)), zeros(256))
	add("RSA with an exponent of 0", "RS256", rsaJWK(bits(2048), "AA"), zeros(256))
	add("RSA with an even exponent", "RS256", rsaJWK(bits(2048), "Ag"), zeros(256))
	add("RSA with an exponent of 1", "RS256", rsaJWK(bits(2048), "AQ"), func(input []byte) []byte {
		return padded(input, 256) // it is its own signature
	})
	add("RSA of 8 bits", "RS256", rsaJWK("_w", "AQAB"), zeros(1))
	small := smallRSA()
	add("RSA of 1024 bits", "RS256", string(must(json.Marshal(publicJWK(&small.PublicKey)))), func(input []byte) []byte {
		sum := sha256.Sum256(input)
		return must(rsa.SignPKCS1v15(nil, small, crypto.SHA256, sum[:]))
	})

	// For a point of order one, R = 1 and S = 0 sign every text (RFC 8032 section 5.1.7). For those of a small order,
	// they sign some.
	one := append([]byte{1}, make([]byte, 31)...)
	minusOne := append(append([]byte{0xec}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)
	for name, point := range map[string][]byte{"1": one, "2": minusOne, "4": make([]byte, 32)} {
		add("Ed25519 point of order "+name, "EdDSA", `{"kty":"OKP","crv":"Ed25519","x":"`+encode(point)+`"}`,
			func([]byte) []byte { return append(bytes.Clone(one), make([]byte, 32)...) })
	}
	ec := func(x, y []byte) string {
		return `{"kty":"EC","crv":"P-256","x":"` + encode(x) + `","y":"` + encode(y) + `"}`
	}
	add("P-256 point at infinity", "ES256", ec(make([]byte, 32), make([]byte, 32)), zeros(64))
	add("P-256 point off the curve", "ES256", ec(one, one), zeros(64))
	add("P-256 point of short coordinates", "ES256", ec(one[:1], one[:1]), zeros(64))
	add("P-256 point of long coordinates", "ES256", ec(make([]byte, 66), make([]byte, 66)), zeros(64))
}

// padded is the text to which a signature with RSASSA-PKCS1-v1_5 and SHA-256 decrypts (RFC 8017 section 9.2).
func padded(input []byte, size int) []byte {
	prefix := []byte{0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20}
	sum := sha256.Sum256(input)
	end := append(prefix, sum[:]...)
	return slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xff}, size-len(end)-3), []byte{0}, end)
}
