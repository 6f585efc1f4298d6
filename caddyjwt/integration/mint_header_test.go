package integration

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A member of the header has the value that --header gives it, to the last digit. The gate accepts the token.
func TestMintedHeaderMembersAreThoseOfTheFlags(t *testing.T) {
	config := caddyfileFor(t, bobWithASecret)
	for said, want := range map[string]string{
		"9007199254740993": `9007199254740993`, `{"b":1, "a":[2]}`: `{"b":1,"a":[2]}`,
		"one": `"one"`, "": `""`, "a=b": `"a=b"`,
	} {
		token, err := mint("--config", config, "--consumer", "bob", "--header", "x-it="+said, "--header", "ALG=none")
		if err != nil {
			t.Fatal(err)
		}
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
		var header map[string]json.RawMessage
		if err != nil || json.Unmarshal(text, &header) != nil || string(header["x-it"]) != want ||
			string(header["ALG"]) != `"none"` || string(header["alg"]) != `"HS256"` {
			t.Errorf("--header x-it=%s is %s, want %s", said, text, want)
		}
		opens(t, config, token)
	}
}

func TestMintedKeyIDIsThatOfTheFlag(t *testing.T) {
	byKeyID := caddyfileFor(t, "key_claim kid", bobWithASecret)
	ofIssuer := caddyfileFor(t, "audience any", issuerOf())
	for name, args := range map[string][]string{
		"a consumer":               {"--config", caddyfileFor(t, bobWithASecret), "--consumer", "bob", "--kid", "one"},
		"a consumer with its kid":  {"--config", byKeyID, "--consumer", "bob", "--kid", "bob-key"},
		"an issuer with one key":   {"--config", ofIssuer, "--issuer", issuerHere, "--kid", "any"},
		"an issuer and a header":   {"--config", ofIssuer, "--issuer", issuerHere, "--kid", "k", "--header", "x=1"},
		"a consumer and a lasting": {"--config", byKeyID, "--consumer", "bob", "--kid", "bob-key", "--lifetime", "1h"},
	} {
		token, err := mint(args...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if header, _ := parts(t, token); header["kid"] != args[5] {
			t.Errorf("%s: header %v", name, header)
		}
		opens(t, args[1], token)
	}
}

func TestMintRefusesHeadersThatItCannotMake(t *testing.T) {
	ec := newFile(t, "ec.pem", tokentest.NewKey(t, "ES256", "sealed").PublicPEM())
	ed := newFile(t, "ed.pem", tokentest.NewKey(t, "EdDSA", "sealed").PublicPEM())
	public := tokentest.NewKey(t, "ES256", "sealed").Public()
	set := newFile(t, "jwks.json", asJSON(t, map[string]any{"keys": []any{
		jose.JSONWebKey{Key: public, KeyID: "one"}, jose.JSONWebKey{Key: public, KeyID: "two"},
	}}))
	for name, c := range map[string]struct {
		gate string
		args []string
		want string
	}{
		"no value":         {"", []string{"--header", "x"}, `--header "x": expected name=value`},
		"no name":          {"", []string{"--header", "=x"}, "expected name=value"},
		"the key claim":    {"key_claim x", []string{"--header", "x=y"}, "use --credential instead"},
		"another kid":      {"key_claim kid", []string{"--kid", "x"}, `its kid, which is "bob-key"; leave out --kid`},
		"a long kid":       {"", []string{"--kid", strings.Repeat("x", 513)}, "check the values of --claim and --header"},
		"many members":     {"", manyHeaders(), "malformed_token"},
		"a name twice":     {"", []string{"--header", `x={"a":1,"a":2}`}, "malformed_token"},
		"alg":              {"", []string{"--header", "alg=none"}, "--header alg: this member cannot be given here"},
		"kid":              {"", []string{"--header", "kid=x"}, "use --kid"},
		"typ":              {"", []string{"--header", "typ=x"}, "follows from the handler"},
		"enc":              {"", []string{"--header", "enc=x"}, "use --encrypt-to"},
		"crit":             {"", []string{"--header", `crit=["x"]`}, "the gate knows none"},
		"b64":              {"", []string{"--header", "b64=false"}, "RFC 7797"},
		"jwk":              {"", []string{"--header", "jwk={}"}, "no gate takes its keys from a token"},
		"no key file":      {"", []string{"--encrypt-to", "/does/not/exist"}, "--encrypt-to: open /does/not/exist"},
		"no key":           {"", []string{"--encrypt-kid", "x"}, "need --encrypt-to"},
		"a key that signs": {"", []string{"--encrypt-to", ed}, "it must be an RSA key, or an EC key"},
		"two keys":         {"", []string{"--encrypt-to", set}, `choose one of them by its kid: ["one" "two"]`},
		"another alg":      {"", []string{"--encrypt-to", ec, "--encrypt-alg", "RSA-OAEP"}, "ECDH-ES+A128KW"},
		"another enc":      {"", []string{"--encrypt-to", ec, "--encrypt-enc", "A192GCM"}, "A128CBC-HS256"},
		"a refused token":  {"require scope read", []string{"--encrypt-to", ec}, "insufficient_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			config := caddyfileFor(t, c.gate, bobWithASecret)
			out, err := mint(append([]string{"--config", config, "--consumer", "bob"}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("output %q, error %v; want %q", out, err, c.want)
			}
			if strings.Contains(out, "eyJ") {
				t.Errorf("a token was printed: %s", out)
			}
		})
	}
}

// Every name that the standards register for the header is refused, whatever its value.
func TestMintSetsTheRegisteredHeaderMembersItself(t *testing.T) {
	config := caddyfileFor(t, bobWithASecret)
	for _, name := range strings.Fields("alg enc zip jku jwk kid x5u x5c x5t x5t#S256 typ cty crit b64 epk apu apv " +
		"p2s p2c iv tag") {
		_, err := mint("--config", config, "--consumer", "bob", "--header", name+"=1")
		want := "--header " + name + ": this member cannot be given here"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyHeaders() (args []string) {
	for i := range 70 {
		args = append(args, "--header", "x"+strings.Repeat("y", i)+"=1")
	}
	return args
}

// The kid of an issuer's JWK set selects the key, so another one is refused.
func TestMintRefusesAKeyIDThatTheIssuerDoesNotHave(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "ours")
	config := caddyfileFor(t, "audience any", "issuer "+issuerHere+" {",
		"keys file "+newFile(t, "jwks.json", tokentest.JWKS(key, tokentest.NewKey(t, "ES256", "others"))), "}")
	_, err := mint("--config", config, "--issuer", issuerHere, "--kid", "unknown",
		"--private-key", newFile(t, "private.pem", key.PrivatePEM()))
	if err == nil || !strings.Contains(err.Error(), "unknown_key") || !strings.Contains(err.Error(), "leave out --kid") {
		t.Error(err)
	}
}

// The token that the gate accepts is inside of the one that is printed.
func TestMintEncryptsForTheHolderOfAKey(t *testing.T) {
	rsa, ec := tokentest.NewKey(t, "RS256", "sealed"), tokentest.NewKey(t, "ES256", "sealed")
	config := caddyfileFor(t, bobWithASecret)
	withAlgorithm := asJSON(t, map[string]any{"keys": []any{
		jose.JSONWebKey{Key: ec.Private(), KeyID: "one", Use: "enc", Algorithm: "ECDH-ES+A128KW"},
		jose.JSONWebKey{Key: rsa.Public(), KeyID: "two", Use: "enc"},
		jose.JSONWebKey{Key: rsa.Public(), KeyID: "three", Use: "sig"},
	}})
	for name, c := range map[string]struct {
		file          string
		args          []string
		private       any
		alg, enc, kid string
	}{
		"a public RSA key": {rsa.PublicPEM(), nil, rsa.Private(), "RSA-OAEP-256", "A256GCM", ""},
		"a private EC key": {ec.PrivatePEM(), nil, ec.Private(), "ECDH-ES", "A256GCM", ""},
		"with an algorithm": {rsa.PublicPEM(), []string{"--encrypt-alg", "RSA-OAEP", "--encrypt-enc", "A128CBC-HS256",
			"--encrypt-kid", "mine"}, rsa.Private(), "RSA-OAEP", "A128CBC-HS256", "mine"},
		"a key of a set": {withAlgorithm, []string{"--encrypt-kid", "one"}, ec.Private(), "ECDH-ES+A128KW", "A256GCM", "one"},
		"another alg than the JWK's": {withAlgorithm, []string{"--encrypt-kid", "one", "--encrypt-alg", "ECDH-ES"},
			ec.Private(), "ECDH-ES", "A256GCM", "one"},
		"another kid than the JWK's": {asJSON(t, jose.JSONWebKey{Key: ec.Public(), KeyID: "one"}),
			[]string{"--encrypt-kid", "two"}, ec.Private(), "ECDH-ES", "A256GCM", "two"},
		"the kid of the JWK": {asJSON(t, jose.JSONWebKey{Key: ec.Public(), KeyID: "one"}), nil, ec.Private(),
			"ECDH-ES", "A256GCM", "one"},
	} {
		t.Run(name, func(t *testing.T) {
			sealed, err := mint(append([]string{"--config", config, "--consumer", "bob", "--header", "x=inner",
				"--encrypt-to", newFile(t, "key", c.file)}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := jose.ParseEncryptedCompact(sealed, []jose.KeyAlgorithm{jose.KeyAlgorithm(c.alg)},
				[]jose.ContentEncryption{jose.ContentEncryption(c.enc)})
			if err != nil {
				t.Fatal(err)
			}
			token, err := parsed.Decrypt(c.private)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Header.KeyID != c.kid || parsed.Header.ExtraHeaders["cty"] != "JWT" {
				t.Errorf("header %+v", parsed.Header)
			}
			if header, _ := parts(t, string(token)); header["x"] != "inner" {
				t.Errorf("the inner header is %v", header)
			}
			opens(t, config, string(token))
		})
	}
}
