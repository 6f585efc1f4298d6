package jose_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

func TestWhatASignerSignsVerifies(t *testing.T) {
	for alg := range jose.SigningAlgorithms().All() {
		s := must(jose.GenerateSigner(alg))
		again := must(jose.ParseSigner(alg, must(s.PKCS8())))
		for _, one := range []*jose.Signer{s, again} {
			token := must(one.Token([]byte(`{"alg":"`+alg.String()+`"}`), []byte(`{}`)))
			if err := accepts(s.Key(), token); err != nil {
				t.Errorf("%v: %v", alg, err)
			}
			other := must(jose.GenerateSigner(alg))
			requireErr(t, accepts(other.Key(), token), jose.ErrSignature)
		}
		thumbprint := s.Key().Thumbprint()
		if s.Algorithm() != alg || s.Key().Algorithms() != jose.MakeAlgorithms(alg) ||
			s.Key().ID != base64.RawURLEncoding.EncodeToString(thumbprint[:]) {
			t.Errorf("%v: key %v of %v", alg, s.Key(), s.Algorithm())
		}
	}
}

// The salt of PS256 is as long as the hash (RFC 7518 section 3.5), which other verifiers insist on, too.
func TestTheSaltIsAsLongAsTheHash(t *testing.T) {
	s := must(jose.GenerateSigner(jose.PS256))
	token := must(jose.Parse(must(s.Token([]byte(`{"alg":"PS256"}`), []byte(`{}`))), nil))
	digest := sha256.Sum256([]byte(token.SigningInput))
	public := s.Key().PublicKey().(*rsa.PublicKey)
	if err := rsa.VerifyPSS(public, 5, digest[:], token.Signature, &rsa.PSSOptions{SaltLength: 32}); err != nil {
		t.Error(err)
	}
	if public.N.BitLen() != 2048 {
		t.Errorf("%d bits", public.N.BitLen())
	}
}

func TestSignersAreOnlyForTheirAlgorithms(t *testing.T) {
	ec := must(must(jose.GenerateSigner(jose.ES256)).PKCS8())
	for alg := range jose.AsymmetricAlgorithms().Union(jose.HMACAlgorithms()).All() {
		if jose.SigningAlgorithms().Has(alg) {
			continue
		}
		_, err := jose.GenerateSigner(alg)
		requireErr(t, err, jose.ErrAlgorithm)
		_, err = jose.ParseSigner(alg, ec)
		requireErr(t, err, jose.ErrAlgorithm)
	}
	for _, alg := range []jose.Algorithm{jose.RS256, jose.PS256, jose.EdDSA} {
		_, err := jose.ParseSigner(alg, ec)
		requireErr(t, err, jose.ErrKeyAlgorithm)
	}
	p384 := must(x509.MarshalPKCS8PrivateKey(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))))
	_, err := jose.ParseSigner(jose.ES256, p384)
	requireErr(t, err, jose.ErrKeyAlgorithm)
	for _, text := range []string{"", "garbage", string(ec[:len(ec)-1])} {
		_, err := jose.ParseSigner(jose.ES256, []byte(text))
		requireErr(t, err, jose.ErrKey)
	}
	exchange := "MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq" // X25519 cannot sign
	_, err = jose.ParseSigner(jose.EdDSA, must(base64.StdEncoding.DecodeString(exchange)))
	requireErr(t, err, jose.ErrKey)
}

func TestASignerPrintsNothingOfItsKey(t *testing.T) {
	for alg := range jose.SigningAlgorithms().All() {
		s := must(jose.GenerateSigner(alg))
		want := fmt.Sprintf("%v signer %q", alg, s.Key().ID)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, s); got != want {
				t.Errorf("%s prints %s", verb, got)
			}
			// An Ed25519 key is a slice of bytes.
			if got := fmt.Sprintf(verb, struct{ hidden *jose.Signer }{s}); strings.Contains(got, "[") {
				t.Errorf("%s of a struct prints %s", verb, got)
			}
		}
	}
}

func TestAKeyIsWrittenAsItIsRead(t *testing.T) {
	for alg, s := range signers() {
		key := must(s.newKey("a \"name\"", jose.MakeAlgorithms(alg)))
		text, err := key.JWK()
		if alg.Family() == jose.HMAC {
			requireErr(t, err, jose.ErrKey)
			continue
		}
		again, err := jose.ParseJWK(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if again.ID != key.ID || again.Thumbprint() != key.Thumbprint() || again.Algorithms() != key.Algorithms() {
			t.Errorf("%s was read as %v", text, again)
		}
		all := must(s.newKey("", 0))
		if text := string(must(all.JWK())); strings.Contains(text, `"alg"`) != (alg.Family() == jose.EC) ||
			strings.Contains(text, `"kid"`) {
			t.Errorf("a key for all algorithms without an id: %s", text)
		}
	}
}

func TestOnlyMediaTypesAreTypes(t *testing.T) {
	for typ, want := range map[string]bool{"JWT": true, "at+jwt": true, "a/b": true, "": false, "a b": false, `"`: false} {
		if jose.IsMediaType(typ) != want {
			t.Errorf("%q is a media type: %v", typ, !want)
		}
	}
}
