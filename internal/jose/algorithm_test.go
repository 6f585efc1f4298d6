package jose_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

// is reports whether err is want. Unlike errors.Is it takes nil for success.
func is(err, want error) bool {
	if want == nil {
		return err == nil
	}
	return errors.Is(err, want)
}

func TestAlgorithmNames(t *testing.T) {
	names := []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
	algs := allAlgorithms()
	if len(algs) != len(names) {
		t.Fatalf("%d algorithms, want %d", len(algs), len(names))
	}
	for i, name := range names {
		alg, ok := jose.ParseAlgorithm(name)
		if !ok || alg != algs[i] || alg.String() != name {
			t.Errorf("ParseAlgorithm(%q) = %v, %v, want %v", name, alg, ok, algs[i])
		}
	}
}

func TestUnknownAlgorithmNames(t *testing.T) {
	for _, name := range []string{
		"", "none", "None", "NONE", "nOnE", "noNe", "none ", " none", "none\x00", "invalid",
		"hs256", "Hs256", "HS256 ", " HS256", "HS256\x00", "HS1", "HS2566", "RS1", "RS256,none", "XX999",
		"ES256K", "ES521", "Ed448", "ed25519", "eddsa", "EDDSA", "X25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87",
		"RSA1_5", "RSA-OAEP", "dir", "A128KW", "ECDH-ES", "PBES2-HS256+A128KW", "RS\u212A56", "H\u017F256",
	} {
		if alg, ok := jose.ParseAlgorithm(name); ok || alg != 0 {
			t.Errorf("ParseAlgorithm(%q) = %v, want no algorithm", name, alg)
		}
	}
}

func TestAlgorithmFamilies(t *testing.T) {
	want := map[jose.Family]jose.Algorithms{
		jose.HMAC: jose.MakeAlgorithms(jose.HS256, jose.HS384, jose.HS512),
		jose.RSA:  jose.MakeAlgorithms(jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512),
		jose.EC:   jose.MakeAlgorithms(jose.ES256, jose.ES384, jose.ES512),
		jose.OKP:  jose.MakeAlgorithms(jose.EdDSA, jose.Ed25519),
	}
	for _, alg := range allAlgorithms() {
		for family, algs := range want {
			if algs.Has(alg) != (alg.Family() == family) {
				t.Errorf("%v is of family %v", alg, alg.Family())
			}
		}
	}
	for family, kty := range map[jose.Family]string{
		jose.HMAC: "oct", jose.RSA: "RSA", jose.EC: "EC", jose.OKP: "OKP", 0: "invalid", 99: "invalid",
	} {
		if family.String() != kty {
			t.Errorf("family %d is called %q, want %q", family, family, kty)
		}
	}
}

func TestAlgorithmsIsASet(t *testing.T) {
	s := jose.MakeAlgorithms(jose.ES256, jose.RS256, jose.RS256, 0, 15, 31, 200)
	if got := s.String(); got != "RS256 ES256" {
		t.Errorf("set is %q", got)
	}
	for _, alg := range []jose.Algorithm{0, 15, 31, 32, 33, 255} {
		if s.Has(alg) || jose.Algorithms(0xFFFFFFFF).Has(alg) ||
			s.With(alg) != s || alg.Family() != 0 || alg.String() != "invalid" {
			t.Errorf("%d counts as an algorithm", alg)
		}
	}
	hs256 := jose.MakeAlgorithms(jose.HS256)
	if got := s.Union(hs256).Intersect(jose.HMACAlgorithms()); got != hs256 {
		t.Errorf("union and intersection give %v", got)
	}
	if got := jose.AsymmetricAlgorithms().Intersect(jose.HMACAlgorithms()); got != 0 {
		t.Errorf("%v are symmetric and asymmetric", got)
	}
	for range s.All() { // the iteration may stop early
		break
	}
	if got := slices.Collect(jose.Algorithms(0).All()); got != nil || jose.Algorithms(0).String() != "" {
		t.Errorf("the empty set has %v", got)
	}
}
