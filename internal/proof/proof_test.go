package proof_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
}

func TestVerify(t *testing.T) {
	v := newVerifier(t)
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			c := newClient(t, alg)
			text := c.sign(c.header(), with(payload(), object{"nonce": "n-1", "extra": []any{1, "x"}}))
			for _, memory := range []string{"new", "remembered"} {
				p, err := v.Verify(text, c.thumbprint, proof.DefaultAlgorithms())
				if err != nil {
					t.Fatalf("%s: %v", memory, err)
				}
				if base64.RawURLEncoding.EncodeToString(p.Key[:]) != c.thumbprint || p.ID != "e1j3V_bKic8-LAEB" ||
					p.Method != "GET" || p.URI != "https://api.example.com/items" || p.TokenHash != hashOf(token) ||
					p.Nonce != "n-1" || !p.IssuedAt.Equal(now) {
					t.Errorf("%s: got %+v", memory, p)
				}
				if err := p.Check(expected()); err != nil {
					t.Errorf("%s: %v", memory, err)
				}
				if !v.Remembers(text, c.thumbprint) {
					t.Error("not remembered")
				}
			}
		})
	}
}

func TestDefaultAlgorithms(t *testing.T) {
	if got := proof.DefaultAlgorithms().String(); got != strings.Join(algorithms, " ") {
		t.Errorf("got %s", got)
	}
}

func TestVerifyRefusesHeaders(t *testing.T) {
	c, r := newClient(t, "ES256"), newClient(t, "RS256")
	private := c.key.Private().(*ecdsa.PrivateKey)
	for _, tt := range []struct {
		name    string
		by      *client
		changes object
		words   string
	}{
		{"no typ", c, object{"typ": nil}, "there is no typ, and expected is dpop+jwt"},
		{"typ of JWT", c, object{"typ": "JWT"}, `typ is "jwt", and expected is dpop+jwt`},
		{"typ of an access token", c, object{"typ": "at+jwt"}, `typ is "at+jwt"`},
		{"typ of another kind", c, object{"typ": "logout+jwt"}, "another kind of JWT"},
		{"alg none", c, object{"alg": "none"}, "unsupported algorithm"},
		{"alg that is not registered here", c, object{"alg": "ES256K"}, "unsupported algorithm"},
		{"alg of a shared secret", c, object{"alg": "HS256"}, "alg is HS256; allowed here: RS256"},
		{"alg of another kind of key", c, object{"alg": "RS256"}, "alg does not fit the key"},
		{"alg of another curve", c, object{"alg": "ES384"}, "alg does not fit the key"},
		{"crit", c, object{"crit": []string{"x"}}, "critical header parameters"},
		{"crit of nothing", c, object{"crit": []string{}}, "critical header parameters"},
		{"b64", c, object{"b64": false}, "unencoded payload"},
		{"zip", c, object{"zip": "DEF"}, "encrypted tokens"},
		{"enc", c, object{"enc": "A256GCM"}, "encrypted tokens"},
		{"cty of a token", c, object{"cty": "JWT"}, "nested tokens"},
		{"no jwk", c, object{"jwk": nil}, "there is no jwk in the header"},
		{"jwk a text", c, object{"jwk": text(c.jwk())}, "jwk is"},
		{"jwk a list", c, object{"jwk": []object{c.jwk()}}, "jwk is of the type array, not an object"},
		{"jwk a number", c, object{"jwk": 7}, "jwk is the number 7, not an object"},
		{"key of a secret", c, object{"jwk": object{"kty": "oct"}}, "symmetric_key"},
		{"unknown kind of key", c, object{"jwk": object{"kty": "AKP", "pub": "AAAA"}}, "unsupported_key_type"},
		{"unknown curve", c, object{"jwk": with(c.jwk(), object{"crv": "secp256k1"})}, "unsupported_curve"},
		{"point off the curve", c, object{"jwk": with(c.jwk(), object{"y": c.jwk()["x"]})}, "malformed"},
		{"use enc", c, object{"jwk": with(c.jwk(), object{"use": "enc"})}, "not_for_signatures"},
		{"key_ops", c, object{"jwk": with(c.jwk(), object{"key_ops": []string{"sign"}})}, "not_for_signatures"},
		{"alg of the key", c, object{"jwk": with(c.jwk(), object{"alg": "ES384"})}, "unsupported_algorithm"},
		{"private key", c, object{"jwk": with(c.jwk(), object{"d": encode(private.D.Bytes())})}, "private key"},
		{"giant key", r, object{"jwk": with(r.jwk(), object{"n": encode(giant(16_384))})}, "more than 4096 bits"},
		{"key of 4104 bits", r, object{"jwk": with(r.jwk(), object{"n": encode(giant(4_104))})}, "more than 4096 bits"},
		{"key of 2040 bits", r, object{"jwk": with(r.jwk(), object{"n": encode(giant(2_040))})}, "weak_key"},
		{"number with padding", c, object{"jwk": with(c.jwk(), object{"x": c.jwk()["x"].(string) + "="})}, "base64url"},
		{"number with a line end", c, object{"jwk": with(c.jwk(), object{"x": c.jwk()["x"].(string) + "\n"})}, "base64url"},
		{"number with bits left over", r, object{"jwk": with(r.jwk(), object{"e": "AQABAR"})}, "base64url"},
		{"exponent one", r, object{"jwk": with(r.jwk(), object{"e": "AQ"})}, "unusable key"},
		{"point of small order", c, object{"alg": "EdDSA", "jwk": object{"kty": "OKP", "crv": "Ed25519",
			"x": encode(append([]byte{1}, make([]byte, 31)...))}}, "weak_key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newVerifier(t).Verify(tt.by.sign(with(tt.by.header(), tt.changes), payload()), tt.by.thumbprint,
				proof.DefaultAlgorithms())
			requireInvalid(t, err, tt.words)
		})
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// giant is an odd number of so many bits, as a modulus.
func giant(bits uint) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.SetBit(n, 0, 1).Bytes()
}

// The members of private keys are refused whatever is in them, and whatever the kind of the key.
func TestVerifyRefusesPrivateMembers(t *testing.T) {
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		c := newClient(t, alg)
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed", `\u0064`} {
			for _, value := range []string{`""`, `null`, `[]`, `{}`, `0`, `"AQAB"`} {
				jwk := text(c.jwk())
				jwk = jwk[:len(jwk)-1] + `,"` + name + `":` + value + `}`
				header := `{"typ":"dpop+jwt","alg":"` + alg + `","jwk":` + jwk + `}`
				_, err := newVerifier(t).Verify(c.key.SignRaw(header, text(payload())), c.thumbprint,
					proof.DefaultAlgorithms())
				requireInvalid(t, err, "jwk has a member of a private key")
			}
		}
	}
}

// What is not needed in a header is ignored. Nothing is fetched or parsed.
func TestVerifyIgnoresHeaders(t *testing.T) {
	c := newClient(t, "ES256")
	for name, changes := range map[string]object{
		"typ with a prefix":    {"typ": "application/dpop+jwt"},
		"kid":                  {"kid": "of nobody"},
		"x5u and jku":          {"x5u": "https://127.0.0.1:1/x", "jku": "https://127.0.0.1:1/y"},
		"x5c that is rubbish":  {"x5c": []string{"rubbish"}},
		"unknown parameter":    {"x": 1},
		"x5c in the key":       {"jwk": with(c.jwk(), object{"x5c": []string{"rubbish"}, "x5u": 7, "x5t": "x"})},
		"kid in the key":       {"jwk": with(c.jwk(), object{"kid": strings.Repeat("k", 600)})},
		"use and key_ops":      {"jwk": with(c.jwk(), object{"use": "sig", "key_ops": []string{"verify"}})},
		"the alg of the key":   {"jwk": with(c.jwk(), object{"alg": "ES256"})},
		"unknown in the key":   {"jwk": with(c.jwk(), object{"ext": true})},
		"D is another name":    {"jwk": with(c.jwk(), object{"D": "x"})},
		"content that is text": {"cty": "json"},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.sign(with(c.header(), changes), payload())
			if err := accept(newVerifier(t), text, c.thumbprint, expected()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVerifyRefusesPayloads(t *testing.T) {
	c := newClient(t, "ES256")
	long := strings.Repeat("x", 257)
	for _, tt := range []struct {
		name    string
		changes object
		words   string
	}{
		{"no jti", object{"jti": nil}, "there is no jti"},
		{"jti a number", object{"jti": 12}, "jti is the number 12, not a text of 1 to 256 bytes"},
		{"jti empty", object{"jti": ""}, `jti is "", not a text`},
		{"jti long", object{"jti": long}, "jti is a text of 257 bytes, not a text of 1 to 256"},
		{"jti with a line end", object{"jti": "a\nb"}, `jti is "a\nb", not a text`},
		{"jti with a zero", object{"jti": "a\x00b"}, `without control characters`},
		{"jti with C1", object{"jti": "a\u0085b"}, `without control characters`},
		{"no htm", object{"htm": nil}, "there is no htm"},
		{"htm empty", object{"htm": ""}, "htm is"},
		{"htm a list", object{"htm": []string{"GET"}}, "htm is of the type array"},
		{"no htu", object{"htu": nil}, "there is no htu"},
		{"htu empty", object{"htu": ""}, "htu is"},
		{"htu a list", object{"htu": []string{"https://api.example.com/items"}}, "htu is of the type array"},
		{"no iat", object{"iat": nil}, "there is no iat"},
		{"iat a text", object{"iat": "1800000000"}, "iat is"},
		{"iat in milliseconds", object{"iat": now.UnixMilli()}, "iat is the number 1800000000000, not a date"},
		{"iat negative", object{"iat": -1}, "iat is the number -1"},
		{"ath a list", object{"ath": []string{hashOf(token)}}, "ath is of the type array"},
		{"ath of 42", object{"ath": hashOf(token)[1:]}, "not 43 characters of base64url"},
		{"ath padded", object{"ath": hashOf(token) + "="}, "not 43 characters of base64url"},
		{"ath in hex", object{"ath": strings.Repeat("ab", 32)}, "not 43 characters of base64url"},
		{"ath in base64", object{"ath": "+" + hashOf(token)[1:]}, "not 43 characters of base64url"},
		{"nonce empty", object{"nonce": ""}, "nonce is"},
		{"nonce long", object{"nonce": long}, "nonce is"},
		{"nonce with a space", object{"nonce": "a b"}, `nonce is "a b"`},
		{"nonce with a quote", object{"nonce": `a"b`}, "nonce is"},
		{"nonce with a backslash", object{"nonce": `a\b`}, "nonce is"},
		{"nonce with a letter", object{"nonce": "é"}, "nonce is"},
		{"nonce a number", object{"nonce": 7}, "nonce is the number 7"},
		{"exp a text", object{"exp": "soon"}, `exp is "soon", not a date`},
		{"nbf a text", object{"nbf": "soon"}, `nbf is "soon", not a date`},
		{"a token in htm", object{"htm": "eyJhbGciOiJ"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := accept(newVerifier(t), c.sign(c.header(), with(payload(), tt.changes)), c.thumbprint, expected())
			requireInvalid(t, err, tt.words)
			if strings.Contains(err.Error(), "eyJ") {
				t.Errorf("%v quotes a token", err)
			}
		})
	}
	for name, payload := range map[string]string{
		"a list": "[]", "null": "null", "rubbish": "rubbish", "two objects": "{}{}", "a duplicate": `{"jti":"a","jti":"a"}`,
		"too deep":         `{"x":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`,
		"not UTF-8":        "{\"x\":\"\xff\"}",
		"hidden duplicate": `{"jti":"a","\u006ati":"b"}`,
	} {
		_, err := newVerifier(t).Verify(c.key.SignRaw(text(c.header()), payload), c.thumbprint, proof.DefaultAlgorithms())
		if requireInvalid(t, err, "the payload is not one object"); t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestVerifyAcceptsPayloads(t *testing.T) {
	c := newClient(t, "ES256")
	for name, changes := range map[string]object{
		"longest jti":      {"jti": strings.Repeat("x", 256)},
		"jti with letters": {"jti": "é 漢字"},
		"longest nonce":    {"nonce": strings.Repeat("!", 256)},
		"iat with digits":  {"iat": 1_800_000_000.25},
		"unknown claims":   {"sub": "x", "iss": object{"a": 1}},
		"exp and nbf":      {"exp": now.Unix() + 1, "nbf": now.Unix()},
	} {
		text := c.sign(c.header(), with(payload(), changes))
		if err := accept(newVerifier(t), text, c.thumbprint, expected()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyRefusesForms(t *testing.T) {
	c := newClient(t, "ES256")
	good := c.proof()
	long := c.sign(with(c.header(), object{"x": strings.Repeat("x", 6<<10)}), payload())
	for name, text := range map[string]string{
		"nothing": "", "two proofs": good + ", " + good, "with a space": " " + good, "two parts": "a.b", "padded": good + "=",
		"too long": long, "line end": good + "\n", "five parts": good + ".a.b",
		"another signature": tokentest.FlipSignature(t, good), "no signature": good[:strings.LastIndexByte(good, '.')+1],
		"short signature": good[:len(good)-4],
	} {
		v := newVerifier(t)
		for range 2 { // new, and with the key remembered
			_, err := v.Verify(text, c.thumbprint, proof.DefaultAlgorithms())
			if requireInvalid(t, err, ""); t.Failed() {
				t.Fatal(name)
			}
			if err := accept(v, good, c.thumbprint, expected()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The key must be the one of the token, even if the signature is right, and before anybody looks at the signature.
func TestOtherKey(t *testing.T) {
	c, thief := newClient(t, "ES256"), newClient(t, "EdDSA")
	v := newVerifier(t)
	if err := accept(v, c.proof(), c.thumbprint, expected()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ proof, thumbprint string }{
		"good proof of another":   {thief.proof(), c.thumbprint},
		"signature is wrong, too": {tokentest.FlipSignature(t, thief.proof()), c.thumbprint},
		"no thumbprint":           {c.proof(), ""},
		"a text as thumbprint":    {c.proof(), strings.Repeat("*", 43)},
		"other spelling":          {c.proof(), c.thumbprint[:42] + string(c.thumbprint[42]+1)},
		"line ends":               {c.proof(), strings.Repeat("\n", 43)},
		"other case":              {c.proof(), strings.ToUpper(c.thumbprint)},
	} {
		_, err := v.Verify(tt.proof, tt.thumbprint, proof.DefaultAlgorithms())
		if !errors.Is(err, proof.ErrOtherKey) || errors.Is(err, proof.ErrInvalid) {
			t.Fatalf("%s: got %v", name, err)
		}
		if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "thumbprint") {
			t.Errorf("%s: got %q", name, text)
		}
		if name == "good proof of another" &&
			!(strings.Contains(err.Error(), c.thumbprint) && strings.Contains(err.Error(), thief.thumbprint)) {
			t.Errorf("%v lacks a thumbprint", err)
		}
	}
	if count, _ := v.Keys(); count != 1 {
		t.Errorf("%d keys are remembered", count)
	}
}

// A remembered key is good only for the very header that it was made of, and for algorithms that are allowed.
func TestRememberedKey(t *testing.T) {
	c := newClient(t, "ES256")
	v := newVerifier(t)
	verify := func(text string, allowed jose.Algorithms) error {
		_, err := v.Verify(text, c.thumbprint, allowed)
		return err
	}
	bad := tokentest.FlipSignature(t, c.proof())
	requireInvalid(t, verify(bad, proof.DefaultAlgorithms()), "invalid signature")
	requireInvalid(t, verify(c.sign(c.header(), with(payload(), object{"jti": nil})), proof.DefaultAlgorithms()), "jti")
	if count, _ := v.Keys(); count != 0 {
		t.Fatalf("%d keys are remembered of invalid proofs", count)
	}
	if err := verify(c.proof(), proof.DefaultAlgorithms()); err != nil {
		t.Fatal(err)
	}
	if !v.Remembers(c.proof(), c.thumbprint) {
		t.Fatal("not remembered")
	}
	requireInvalid(t, verify(c.proof(), jose.MakeAlgorithms(jose.PS256)), "alg is ES256; allowed here: PS256")
	requireInvalid(t, verify(c.proof(), jose.HMACAlgorithms()), "alg is ES256; allowed here: ")
	requireInvalid(t, verify(bad, proof.DefaultAlgorithms()), "invalid signature")
	for name, changes := range map[string]object{
		"crit": {"crit": []string{"x"}}, "typ": {"typ": "JWT"}, "key": {"jwk": object{"kty": "oct"}},
		"private": {"jwk": with(c.jwk(), object{"d": ""})},
	} {
		text := c.sign(with(c.header(), changes), payload())
		if requireInvalid(t, verify(text, proof.DefaultAlgorithms()), ""); t.Failed() {
			t.Fatal(name)
		}
	}
	segment, rest, _ := strings.Cut(c.proof(), ".")
	for name, text := range map[string]string{
		"longer header": segment + "AAAA." + rest, "shorter header": segment[:len(segment)-4] + "." + rest, "alone": segment,
		"with a dot": segment + ".",
	} {
		if requireInvalid(t, verify(text, proof.DefaultAlgorithms()), ""); t.Failed() {
			t.Fatal(name)
		}
	}
	other := c.sign(with(c.header(), object{"kid": "x"}), payload())
	if err := verify(other, proof.DefaultAlgorithms()); err != nil {
		t.Fatal(err)
	}
	if !v.Remembers(other, c.thumbprint) || v.Remembers(c.proof(), c.thumbprint) {
		t.Error("one key has two places, or none")
	}
}

func TestLongHeadersAreNotRemembered(t *testing.T) {
	c := newClient(t, "ES256")
	v := newVerifier(t)
	text := c.sign(with(c.header(), object{"x": strings.Repeat("x", proof.MaxSegment)}), payload())
	if err := accept(v, text, c.thumbprint, expected()); err != nil {
		t.Fatal(err)
	}
	if v.Remembers(text, c.thumbprint) {
		t.Error("remembered")
	}
}

// However many keys come, what is remembered has a bound.
func TestMemoryIsBounded(t *testing.T) {
	const size = 64 << 10
	v, err := proof.NewSmallVerifier(size)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for range 200 {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, err := jose.NewPublicKey("", public, 0)
		if err != nil {
			t.Fatal(err)
		}
		sum := key.Thumbprint()
		input := encode([]byte(text(object{"typ": "dpop+jwt", "alg": "EdDSA", "jwk": object{
			"kty": "OKP", "crv": "Ed25519", "x": encode(public)}}))) + "." + encode([]byte(text(payload())))
		signature := encode(ed25519.Sign(private, []byte(input)))
		if err := accept(v, input+"."+signature, encode(sum[:]), expected()); err != nil {
			t.Fatal(err)
		}
	}
	if count, weight := v.Keys(); count == 0 || count > size/1024 || weight > size {
		t.Errorf("%d keys of %d bytes are remembered", count, weight)
	}
}

func TestVerifyInParallel(t *testing.T) {
	v := newVerifier(t)
	clients := []*client{newClient(t, "ES256"), newClient(t, "EdDSA"), newClient(t, "RS256")}
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			c := clients[i%len(clients)]
			for n := range 20 {
				id := fmt.Sprintf("%d of %d", n, i)
				header := with(c.header(), object{"kid": fmt.Sprint(n % 2)})
				p, err := v.Verify(c.sign(header, with(payload(), object{"jti": id})), c.thumbprint,
					proof.DefaultAlgorithms())
				if err != nil || p.ID != id {
					t.Errorf("got %q and %v, want %q", p.ID, err, id)
				}
			}
		})
	}
	group.Wait()
}

// Proofs are no access tokens, and access tokens no proofs, even of one key.
func TestConfusion(t *testing.T) {
	c := newClient(t, "ES256")
	if _, err := jose.Parse(c.proof(), nil); !errors.Is(err, jose.ErrType) {
		t.Errorf("a proof as a token: %v", err)
	}
	for _, typ := range append(tokentest.ForeignTypes(), "jwt", "at+jwt", "JWT", "dpop", "text/dpop+jwt", "dpop+jwt;x=1") {
		if typ == "dpop+jwt" {
			continue
		}
		_, err := newVerifier(t).Verify(c.sign(with(c.header(), object{"typ": typ}), payload()), c.thumbprint,
			proof.DefaultAlgorithms())
		if requireInvalid(t, err, ""); t.Failed() {
			t.Fatal(typ)
		}
	}
}

// Example proofs of RFC 9449. Everybody knows their key, so no proof by it is accepted. The rest of them is good.
func TestExamples(t *testing.T) {
	var file struct {
		Vectors []struct {
			ID, Kind, Proof, Method, URL, Jkt string
			Token                             string `json:"access_token"`
			Claims                            struct{ Iat int64 }
		}
	}
	tokentest.Vectors(t, &file, "rfc", "jose-oauth-examples.json")
	run := 0
	for _, v := range file.Vectors {
		if v.Kind != "dpop-proof" {
			continue
		}
		run++
		thumbprint := "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" // section 6.1
		_, err := newVerifier(t).Verify(v.Proof, thumbprint, proof.DefaultAlgorithms())
		requireInvalid(t, err, "published_key")

		part := strings.Split(v.Proof, ".")
		payload, err := base64.RawURLEncoding.DecodeString(part[1])
		if err != nil {
			t.Fatal(err)
		}
		p, err := proof.ReadPayload(payload)
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		e := proof.Expected{Method: v.Method, Scheme: "https", Token: "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
			Now: time.Unix(v.Claims.Iat, 0), MaxAge: time.Second}
		rest := strings.TrimPrefix(v.URL, "https://")
		slash := strings.IndexByte(rest, '/')
		e.Host, e.Target = rest[:slash], rest[slash:]
		if err := p.Check(e); v.Token == "" {
			requireInvalid(t, err, "there is no ath")
		} else if err != nil {
			t.Errorf("%s: %v", v.ID, err)
		}
	}
	if run != 3 {
		t.Errorf("%d examples", run)
	}
}
