package sealed_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	ours "github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/privatekey"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pair is a private key in PEM, and its public half.
type pair struct {
	pem     string
	private any
	public  any
}

func rsaPair(tb testing.TB) pair {
	key := tokentest.NewKey(tb, "RS256", "sealed")
	return pair{key.PrivatePEM(), key.Private(), key.Public()}
}

func ecPair(tb testing.TB, alg string) pair {
	key := tokentest.NewKey(tb, alg, "sealed")
	return pair{key.PrivatePEM(), key.Private(), key.Public()}
}

// seal encrypts with go-jose.
func seal(tb testing.TB, content string, to any, alg, enc string, options ...func(*jose.EncrypterOptions)) string {
	tb.Helper()
	o := (&jose.EncrypterOptions{}).WithContentType("JWT")
	for _, change := range options {
		change(o)
	}
	e, err := jose.NewEncrypter(jose.ContentEncryption(enc), jose.Recipient{Algorithm: jose.KeyAlgorithm(alg), Key: to}, o)
	if err != nil {
		tb.Fatal(err)
	}
	return must(must(e.Encrypt([]byte(content))).CompactSerialize())
}

func kid(id string) func(*jose.EncrypterOptions) {
	return func(o *jose.EncrypterOptions) { o.WithHeader("kid", id) }
}

func keys(tb testing.TB, texts ...string) (all []*sealed.Key) {
	tb.Helper()
	for _, text := range texts {
		all = append(all, must(sealed.Parse([]byte(text), nil, ""))...)
	}
	return all
}

func nobody() netip.Addr { return netip.Addr{} }

// open opens a token as a gate does.
func open(token string, allowed sealed.Algorithms, keys ...*sealed.Key) (string, error) {
	t, err := ours.ParseEncrypted(token, nil)
	if err != nil {
		return "", err
	}
	found := allowed.Candidates(&t, t.KeyID, keys, nil)
	content, _, err := sealed.Open(context.Background(), sealed.NewTurns(), nobody, &t, found)
	return string(content), err
}

func TestEveryAlgorithm(t *testing.T) {
	var defaults sealed.Algorithms
	pairs := map[string]pair{
		"RSA": rsaPair(t), "P-256": ecPair(t, "ES256"), "P-384": ecPair(t, "ES384"), "P-521": ecPair(t, "ES512"),
	}
	for _, alg := range sealed.All().Keys() {
		for _, enc := range sealed.All().Contents() {
			for name, p := range pairs {
				if strings.HasPrefix(alg, "RSA") != (name == "RSA") {
					continue
				}
				for _, content := range []string{"x", "0123456789abcdef", strings.Repeat("token.", 700)} {
					token := seal(t, content, p.public, alg, enc)
					if got, err := open(token, sealed.All(), keys(t, p.pem)...); err != nil || got != content {
						t.Errorf("%s %s %s: %v, %q", name, alg, enc, err, got)
					}
					isDefault := slices.Contains(defaults.Keys(), alg) && slices.Contains(defaults.Contents(), enc)
					if _, err := open(token, defaults, keys(t, p.pem)...); (err == nil) != isDefault {
						t.Errorf("%s %s %s by default: %v", name, alg, enc, err)
					}
				}
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	var defaults sealed.Algorithms
	if got, want := strings.Join(defaults.Keys(), " "), "ECDH-ES ECDH-ES+A128KW ECDH-ES+A256KW RSA-OAEP-256"; got != want {
		t.Error(got)
	}
	if got, want := strings.Join(defaults.Contents(), " "), "A128GCM A256GCM A128CBC-HS256 A256CBC-HS512"; got != want {
		t.Error(got)
	}
}

func TestParseAlgorithms(t *testing.T) {
	for _, test := range []struct {
		keys, contents, want, says string
	}{
		{"RSA-OAEP", "", "RSA-OAEP", ""},
		{"ECDH-ES RSA-OAEP-256", "A192GCM", "ECDH-ES RSA-OAEP-256", ""},
		{"RSA1_5", "", "", "its padding"},
		{"dir", "", "", "shared key"},
		{"A256KW", "", "", "unknown"},
		{"PBES2-HS256+A128KW", "", "", "unknown"},
		{"ecdh-es", "", "", "unknown"},
		{"ECDH-ES ECDH-ES", "", "", "twice"},
		{"", "A128CBC", "", "unknown"},
		{"", "A128GCM A128GCM", "", "twice"},
	} {
		set, ofKeys, ofContents := sealed.ParseAlgorithms(strings.Fields(test.keys), strings.Fields(test.contents))
		err := errors.Join(ofKeys, ofContents)
		switch {
		case test.says == "" && (err != nil || strings.Join(set.Keys(), " ") != test.want):
			t.Errorf("%v: %v, %v", test, err, set.Keys())
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%v: %v", test, err)
		}
	}
}

// A token that names its key is opened with that one; one that names none, with one of the first two.
func TestWhichKeyOpens(t *testing.T) {
	named := func(p pair, id string) *sealed.Key { return must(sealed.Parse([]byte(p.pem), nil, id))[0] }
	var pairs []pair
	for range 4 {
		key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		pairs = append(pairs, pair{ecPEM(key), key, key.Public()})
	}
	a, b, c, d := pairs[0], pairs[1], pairs[2], pairs[3]
	for _, test := range []struct {
		name string
		to   pair
		kid  string
		keys []*sealed.Key
		ok   bool
	}{
		{"the only key", a, "", []*sealed.Key{named(a, "")}, true},
		{"a name, and a key without", a, "a", []*sealed.Key{named(a, "")}, false}, // the gate tries these next
		{"no name, and a key with", a, "", []*sealed.Key{named(a, "a")}, true},
		{"the name of another key", a, "b", []*sealed.Key{named(a, "a"), named(b, "b")}, false},
		{"the second", b, "b", []*sealed.Key{named(a, "a"), named(b, "b")}, true},
		{"the third, by name", c, "c", []*sealed.Key{named(a, "a"), named(b, "b"), named(c, "c"), named(d, "d")}, true},
		{"the second, without a name", b, "", []*sealed.Key{named(a, "a"), named(b, "b"), named(c, "c")}, true},
		{"the third, without a name", c, "", []*sealed.Key{named(a, "a"), named(b, "b"), named(c, "c")}, false},
		{"none", a, "", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var options []func(*jose.EncrypterOptions)
			if test.kid != "" {
				options = append(options, kid(test.kid))
			}
			token := seal(t, "content", test.to.public, "ECDH-ES", "A128GCM", options...)
			if _, err := open(token, sealed.Algorithms{}, test.keys...); (err == nil) != test.ok {
				t.Error(err)
			}
		})
	}
}

func ecPEM(key *ecdsa.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}))
}

func rsaPEM(key *rsa.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

func jwkOf(key any, members map[string]any) string {
	text := must(jose.JSONWebKey{Key: key}.MarshalJSON())
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		panic(err)
	}
	for name, value := range members {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return string(must(json.Marshal(all)))
}

func TestParse(t *testing.T) {
	type m = map[string]any
	r, e := rsaPair(t), ecPair(t, "ES256")
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, ed, _ := ed25519.GenerateKey(nil)
	long := must(rsa.GenerateKey(rand.Reader, 4096+8))
	set := func(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }
	var many []string
	for i := range 9 {
		many = append(many, jwkOf(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), m{"kid": fmt.Sprint(i)}))
	}
	for _, test := range []struct {
		name, text, password, id string
		want                     string // the ids of the keys
		says                     string
	}{
		{"PEM", e.pem, "", "", "[]", ""},
		{"PEM with a name", r.pem, "", "one", "[one]", ""},
		{"JWK", jwkOf(e.private, m{"kid": "k", "use": "enc"}), "", "", "[k]", ""},
		{"JWK with the same name", jwkOf(e.private, m{"kid": "k"}), "", "k", "[k]", ""},
		{"JWK with an algorithm", jwkOf(e.private, m{"alg": "ECDH-ES"}), "", "k", "[k]", ""},
		{"JWK with operations", jwkOf(r.private, m{"key_ops": []string{"unwrapKey"}}), "", "", "[]", ""},
		{"a byte order mark", "\ufeff" + jwkOf(e.private, nil), "", "", "[]", ""},
		{"set", set(jwkOf(e.private, m{"kid": "a"}), jwkOf(r.private, m{"kid": "b"})), "", "", "[a b]", ""},
		{"set with a key for signatures", set(jwkOf(r.private, m{"kid": "s", "use": "sig"}), jwkOf(e.private, m{"kid": "a"})),
			"", "", "[a]", ""},
		{"most keys", set(many[:8]...), "", "", "[0 1 2 3 4 5 6 7]", ""},

		{"too many keys", set(many...), "", "", "", "more than 8"},
		{"JWK with another name", jwkOf(e.private, m{"kid": "k"}), "", "j", "", "another \"kid\""},
		{"JWK with a password", jwkOf(e.private, nil), "secret", "", "", "password"},
		{"PEM with a password", e.pem, "secret", "", "", "password"},
		{"set with a name", set(jwkOf(e.private, nil)), "", "k", "", "ids of their own"},
		{"a public key", jwkOf(e.public, nil), "", "", "", "no \"d\""},
		{"a public key in PEM", tokentest.NewKey(t, "ES256", "").PublicPEM(), "", "", "", "not a private key"},
		{"for signatures", jwkOf(e.private, m{"use": "sig"}), "", "", "", "not for encryption"},
		{"with operations for signatures", jwkOf(e.private, m{"key_ops": []string{"sign"}}), "", "", "",
			"not for decryption"},
		{"with an algorithm for signatures", jwkOf(e.private, m{"alg": "ES256"}), "", "", "", "none of those that fit"},
		{"with an algorithm for RSA", jwkOf(e.private, m{"alg": "RSA-OAEP-256"}), "", "", "", "none of those that fit"},
		{"with RSA1_5", jwkOf(r.private, m{"alg": "RSA1_5"}), "", "", "", "none of those that fit"},
		{"halves of two keys", jwkOf(e.private, m{"d": encode(must(other.Bytes()))}), "", "", "", "halves"},
		{"a secret", `{"kty":"oct","k":"c2VjcmV0","d":"x"}`, "", "", "", "cannot"},
		{"Ed25519", jwkOf(ed, nil), "", "", "", "cannot decrypt"},
		{"Ed25519 in PEM", tokentest.NewKey(t, "EdDSA", "").PrivatePEM(), "", "", "", "cannot decrypt"},
		{"a long RSA key", rsaPEM(long), "", "", "", "4104 bits"},
		{"a short RSA key", jwkOf(must(shortRSA()), nil), "", "", "", "weak"},
		{"twice the same kid", set(jwkOf(e.private, m{"kid": "a"}), jwkOf(r.private, m{"kid": "a"})), "", "", "",
			"remove one"},
		{"twice the same key", set(jwkOf(e.private, m{"kid": "a"}), jwkOf(e.private, m{"kid": "b"})), "", "", "",
			"remove one"},
		{"a set of keys for signatures", set(jwkOf(r.private, m{"use": "sig"})), "", "", "", "no private key for encryption"},
		{"a set with a bad key", set(jwkOf(e.private, m{"kid": "a"}), `{"kty":"EC","d":"x"}`), "", "", "", "key 2"},
		{"a set of texts", `{"keys":["a"]}`, "", "", "", "key 1"},
		{"no set", `{"keys":{}}`, "", "", "", "not an array"},
		{"an empty set", `{"keys":[]}`, "", "", "", "no private key"},
		{"twice a member", `{"kty":"EC","kty":"EC"}`, "", "", "", "neither"},
		{"words", "these are words", "", "", "", "neither"},
		{"nothing", "", "", "", "", "neither"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := sealed.Parse([]byte(test.text), []byte(test.password), test.id)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v, want %q", err, test.says)
				}
				if (test.says == "password") != errors.Is(err, privatekey.ErrNotEncrypted) {
					t.Errorf("%v is about the password", err)
				}
				return
			}
			var ids []string
			for _, key := range got {
				ids = append(ids, key.ID)
			}
			if err != nil || fmt.Sprint(ids) != test.want {
				t.Errorf("%v, %q", err, ids)
			}
			if text := fmt.Sprintf("%v %+v %#v %s", got, got, got, got); strings.Contains(text, "PRIVATE") ||
				strings.Contains(text, "0x") || len(text) > 1500 {
				t.Errorf("it prints as %s", text)
			}
		})
	}
}

func shortRSA() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 1024) }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode(text string) []byte { return must(base64.RawURLEncoding.DecodeString(text)) }

// A JWK that names an algorithm opens nothing else.
func TestKeyForOneAlgorithm(t *testing.T) {
	p := ecPair(t, "ES256")
	key := must(sealed.Parse([]byte(jwkOf(p.private, map[string]any{"alg": "ECDH-ES+A256KW"})), nil, ""))[0]
	for alg, ok := range map[string]bool{"ECDH-ES+A256KW": true, "ECDH-ES": false, "ECDH-ES+A128KW": false} {
		if _, err := open(seal(t, "x", p.public, alg, "A256GCM"), sealed.All(), key); (err == nil) != ok {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// The same bytes that are cut in other places are another token.
func TestPartsHaveTheirLengths(t *testing.T) {
	p := ecPair(t, "ES256")
	for _, enc := range sealed.All().Contents() {
		for _, alg := range []string{"ECDH-ES", "ECDH-ES+A128KW"} {
			token := seal(t, "the content of the token", p.public, alg, enc)
			parts := strings.Split(token, ".")
			content, tag := decode(parts[3]), decode(parts[4])
			for by := -16; by <= 16; by++ {
				if by == 0 || len(content)+by < 0 {
					continue
				}
				all := slices.Concat(content, tag)
				if len(content)+by > len(all) {
					continue
				}
				moved := slices.Clone(parts)
				moved[3], moved[4] = encode(all[:len(content)+by]), encode(all[len(content)+by:])
				if _, err := open(strings.Join(moved, "."), sealed.All(), keys(t, p.pem)...); err == nil {
					t.Errorf("%s %s: the tag moved by %d", alg, enc, by)
				}
			}
			if alg == "ECDH-ES" {
				filled := slices.Clone(parts)
				filled[1] = "AAAA"
				if _, err := open(strings.Join(filled, "."), sealed.All(), keys(t, p.pem)...); err == nil {
					t.Errorf("%s: a key that must not be there", enc)
				}
			}
		}
	}
}

func TestOnlyNestedContentIsOpened(t *testing.T) {
	p := ecPair(t, "ES256")
	for cty, ok := range map[string]bool{
		"JWT": true, "jwt": true, "application/jwt": true, "at+jwt": true, "": false, "text/plain": false, "JWE": false,
		"id+jwt": false, "jwt;x=1": false,
	} {
		token := seal(t, "x", p.public, "ECDH-ES", "A128GCM", func(o *jose.EncrypterOptions) {
			delete(o.ExtraHeaders, "cty")
			if cty != "" {
				o.WithContentType(jose.ContentType(cty))
			}
		})
		_, err := open(token, sealed.Algorithms{}, keys(t, p.pem)...)
		if (err == nil) != ok || !ok && !errors.Is(err, sealed.ErrNotNested) {
			t.Errorf("cty %q: %v", cty, err)
		}
	}
}

// libraryOpens is what go-jose makes of a token. It is empty if there is an error.
func libraryOpens(token string, key any) string {
	var algs []jose.KeyAlgorithm
	for _, name := range sealed.All().Keys() {
		algs = append(algs, jose.KeyAlgorithm(name))
	}
	var encs []jose.ContentEncryption
	for _, name := range sealed.All().Contents() {
		encs = append(encs, jose.ContentEncryption(name))
	}
	parsed, err := jose.ParseEncryptedCompact(token, algs, encs)
	if err != nil {
		return ""
	}
	content, _ := parsed.Decrypt(key)
	return string(content)
}

// Whatever is opened here, go-jose opens, too, and finds the same content.
func FuzzOpen(f *testing.F) {
	p, r := ecPair(f, "ES256"), rsaPair(f)
	all := keys(f, p.pem, r.pem)
	for _, alg := range sealed.All().Keys() {
		to := p.public
		if strings.HasPrefix(alg, "RSA") {
			to = r.public
		}
		for _, enc := range sealed.All().Contents() {
			f.Add(seal(f, "content", to, alg, enc))
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		if len(token) > 8192 {
			return
		}
		content, err := sealed.OpenAny(token, sealed.All(), all...)
		switch {
		case err != nil && content != nil:
			t.Errorf("%q, %v", content, err)
		case err == nil && !slices.ContainsFunc([]any{p.private, r.private}, func(key any) bool {
			return libraryOpens(token, key) == string(content)
		}):
			t.Errorf("the library does not open it: %q", content)
		}
	})
}
