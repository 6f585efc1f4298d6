package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestVerifyAcceptsEachAlgorithm(t *testing.T) {
	for _, alg := range allAlgorithms() {
		t.Run(alg.String(), func(t *testing.T) {
			s := signers()[alg]
			requireErr(t, accepts(s.key, s.token(100)), nil)
		})
	}
}

// The token names an algorithm that the key was not made for.
func TestVerifyRefusesEveryOtherAlgorithm(t *testing.T) {
	for _, named := range allAlgorithms() {
		token := signers()[named].token(100)
		for _, of := range allAlgorithms() {
			if of == named {
				continue
			}
			requireErr(t, accepts(signers()[of].key, token), jose.ErrKeyAlgorithm)

			// The signature is the key's, and only the name of the algorithm is wrong.
			renamed := signers()[of].sign(fmt.Sprintf(`{"alg":"%s"}`, named), `{}`)
			requireErr(t, accepts(signers()[of].key, renamed), jose.ErrKeyAlgorithm)
		}
	}
}

func TestVerifyRefusesValuesOutsideTheTable(t *testing.T) {
	for _, s := range signers() {
		for _, alg := range []jose.Algorithm{0, 15, 16, 31, 32, 33, 64, 255} {
			requireErr(t, s.key.Verify(alg, "e30.e30", make([]byte, 64)), jose.ErrKeyAlgorithm)
		}
	}
}

func TestVerifyWithstandsAlgorithmAttacks(t *testing.T) {
	rs := tokentest.NewKey(t, "RS256", "r")
	key := must(jose.NewPublicKey("r", rs.Public(), jose.MakeAlgorithms(jose.RS256)))
	requireErr(t, accepts(key, rs.SignRaw(`{"alg":"RS256","kid":"r","typ":"JWT"}`, `{}`)), nil)
	for _, attack := range tokentest.AlgorithmAttacks(rs, `{}`) {
		if err := accepts(key, attack.Token); !is(err, flaws[attack.Flaw]) {
			t.Errorf("%s: got %v, want %v", attack.Name, err, flaws[attack.Flaw])
		}
	}
}

// Everybody knows the public key, so everybody can compute a MAC with its text. This covers further kinds of keys.
func TestVerifyRefusesMACWithPublicKeyText(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		s := signers()[alg]
		key := must(s.newKey("", 0))
		for disguise, secret := range tokentest.Disguises(s.public()) {
			forger := signer{alg: jose.HS256, method: jwt.SigningMethodHS256, private: secret}
			if err := accepts(key, forger.token(100)); !is(err, jose.ErrKeyAlgorithm) {
				t.Errorf("%v key as %s: got %v", alg, disguise, err)
			}
		}
	}
}

func TestVerifyRefusesAnotherKey(t *testing.T) {
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	others := map[jose.Algorithm]any{
		jose.HS256: randomBytes(32),
		jose.RS256: tokentest.NewRSA(),
		jose.ES256: must(ecdsa.GenerateKey(signers()[jose.ES256].private.(*ecdsa.PrivateKey).Curve, rand.Reader)),
		jose.EdDSA: edKey,
	}
	for alg, private := range others {
		forger := signer{alg: alg, method: signers()[alg].method, private: private}
		requireErr(t, accepts(signers()[alg].key, forger.token(100)), jose.ErrSignature)
	}
}

func TestVerifyRefusesSwappedPayload(t *testing.T) {
	for _, s := range signers() {
		a := strings.Split(s.sign(`{"alg":"`+s.alg.String()+`"}`, `{"sub":"me"}`), ".")
		b := strings.Split(s.sign(`{"alg":"`+s.alg.String()+`"}`, `{"sub":"admin"}`), ".")
		requireErr(t, accepts(s.key, a[0]+"."+b[1]+"."+a[2]), jose.ErrSignature)
	}
}

// Each bit of the token's text is flipped, and each bit of the signature itself.
func TestVerifyRefusesEveryBitFlip(t *testing.T) {
	for _, alg := range allAlgorithms() {
		t.Run(alg.String(), func(t *testing.T) {
			t.Parallel()
			s := signers()[alg]
			token := s.sign(`{"alg":"`+alg.String()+`"}`, `{}`)
			text := []byte(token)
			for i := 0; i < len(text)*8; i += stride(alg) {
				text[i/8] ^= 1 << (i % 8)
				if err := accepts(s.key, string(text)); err == nil {
					t.Fatalf("accepted with bit %d of byte %d flipped", i%8, i/8)
				}
				text[i/8] ^= 1 << (i % 8)
			}
			parsed := must(jose.Parse(token, nil))
			for i := 0; i < len(parsed.Signature)*8; i += stride(alg) {
				parsed.Signature[i/8] ^= 1 << (i % 8)
				requireErr(t, s.key.Verify(alg, parsed.SigningInput, parsed.Signature), jose.ErrSignature)
				parsed.Signature[i/8] ^= 1 << (i % 8)
			}
			requireErr(t, s.key.Verify(alg, parsed.SigningInput, parsed.Signature), nil)
		})
	}
}

// stride is the distance between flipped bits. It is one where a signature costs microseconds. Where crypto/ecdsa takes
// about a millisecond, a bit of each byte is still flipped, in turn each of the eight. With -short it is a sample.
func stride(alg jose.Algorithm) int {
	switch {
	case testing.Short():
		return 61
	case alg == jose.ES384 || alg == jose.ES512:
		return 7
	default:
		return 1
	}
}

// The token's text is cut at either end, at each length, and so is the signature.
func TestVerifyRefusesEveryTruncation(t *testing.T) {
	for _, alg := range allAlgorithms() {
		t.Run(alg.String(), func(t *testing.T) {
			t.Parallel()
			s := signers()[alg]
			token := s.sign(`{"alg":"`+alg.String()+`"}`, `{}`)
			for i := 1; i <= len(token); i++ {
				if accepts(s.key, token[:len(token)-i]) == nil || accepts(s.key, token[i:]) == nil {
					t.Fatalf("accepted with %d characters missing", i)
				}
			}
			parsed := must(jose.Parse(token, nil))
			long := append([]byte{0}, append(parsed.Signature, 0)...)
			for from := range long {
				for to := from; to <= len(long); to++ {
					want := jose.ErrSignature
					if from == 1 && to == len(long)-1 {
						want = nil
					}
					requireErr(t, s.key.Verify(alg, parsed.SigningInput, long[from:to]), want)
				}
			}
			requireErr(t, s.key.Verify(alg, parsed.SigningInput, nil), jose.ErrSignature)
			requireErr(t, s.key.Verify(alg, "", parsed.Signature), jose.ErrSignature)
		})
	}
}

func TestVerifyRefusesForgedECDSA(t *testing.T) {
	for alg, size := range map[jose.Algorithm]int{jose.ES256: 32, jose.ES384: 48, jose.ES512: 66} {
		s := signers()[alg]
		parsed := must(jose.Parse(s.token(100), nil))
		order := s.public().(*ecdsa.PublicKey).Curve.Params().N
		r := new(big.Int).SetBytes(parsed.Signature[:size])
		v := new(big.Int).SetBytes(parsed.Signature[size:])
		join := func(r, s *big.Int) []byte {
			out := make([]byte, 2*size)
			if r.BitLen() > 8*size || s.BitLen() > 8*size {
				return nil
			}
			r.FillBytes(out[:size])
			s.FillBytes(out[size:])
			return out
		}
		zero, one := new(big.Int), big.NewInt(1)
		plus := func(a *big.Int) *big.Int { return new(big.Int).Add(a, order) }
		minus := func(a *big.Int) *big.Int { return new(big.Int).Sub(order, a) }
		for name, signature := range map[string][]byte{
			"r and s zero":       join(zero, zero),
			"r zero":             join(zero, v),
			"s zero":             join(r, zero),
			"r and s one":        join(one, one),
			"r and s the order":  join(order, order),
			"r the order":        join(order, v),
			"s the order":        join(r, order),
			"r plus the order":   join(plus(r), v),
			"s plus the order":   join(r, plus(v)),
			"r negated":          join(minus(r), v),
			"r and s exchanged":  join(v, r),
			"DER":                must(asn1.Marshal(struct{ R, S *big.Int }{r, v})),
			"all ones":           []byte(strings.Repeat("\xff", 2*size)),
			"hex":                fmt.Appendf(nil, "%x", parsed.Signature),
			"padded to next one": append(make([]byte, 2), parsed.Signature...),
		} {
			if err := s.key.Verify(alg, parsed.SigningInput, signature); !is(err, jose.ErrSignature) {
				t.Errorf("%v with %s: got %v", alg, name, err)
			}
		}
	}
}

// To a verifier that does not check the range of S, S + L is the same signature (RFC 8032 section 5.1.7).
func TestVerifyRefusesMalleableEd25519(t *testing.T) {
	s := signers()[jose.EdDSA]
	parsed := must(jose.Parse(s.token(100), nil))
	order, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	value := make([]byte, 32)
	for i := range value {
		value[31-i] = parsed.Signature[32+i]
	}
	new(big.Int).Add(new(big.Int).SetBytes(value), order).FillBytes(value)
	for i := range value {
		parsed.Signature[32+i] = value[31-i]
	}
	requireErr(t, s.key.Verify(jose.EdDSA, parsed.SigningInput, parsed.Signature), jose.ErrSignature)
}

// The salt must be as long as the hash (RFC 7518 section 3.5). golang-jwt by itself accepts any length.
func TestVerifyRefusesPSSWithAnotherSalt(t *testing.T) {
	s := signers()[jose.PS256]
	input := encode(`{"alg":"PS256"}`) + "." + encode(`{}`)
	sum := sha256.Sum256([]byte(input))
	for salt, want := range map[int]error{
		1: jose.ErrSignature, 20: jose.ErrSignature, 31: jose.ErrSignature, 33: jose.ErrSignature, 64: jose.ErrSignature,
		rsa.PSSSaltLengthAuto: jose.ErrSignature, // the longest that fits
		32:                    nil, rsa.PSSSaltLengthEqualsHash: nil,
	} {
		signature := must(rsa.SignPSS(rand.Reader, s.private.(*rsa.PrivateKey),
			crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt}))
		if err := s.key.Verify(jose.PS256, input, signature); !is(err, want) {
			t.Errorf("salt of %d bytes: got %v, want %v", salt, err, want)
		}
	}
}

// A signature with one scheme or hash is presented under the name of another that the same key has.
func TestVerifyDoesNotMixSchemesOfAKey(t *testing.T) {
	rsaAlgs := []jose.Algorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
	key := must(signers()[jose.RS256].newKey("", 0))
	for _, made := range rsaAlgs {
		for _, named := range rsaAlgs {
			want := jose.ErrSignature
			if made == named {
				want = nil
			}
			token := signers()[made].sign(`{"alg":"`+named.String()+`"}`, `{}`)
			requireErr(t, accepts(key, token), want)
		}
	}
}

// EdDSA and Ed25519 are names of the same signature (RFC 9864). A key may be for only one of them.
func TestVerifyEd25519UnderBothNames(t *testing.T) {
	s := signers()[jose.EdDSA]
	both := must(s.newKey("", 0))
	for _, name := range []string{"EdDSA", "Ed25519"} {
		requireErr(t, accepts(both, s.sign(`{"alg":"`+name+`"}`, `{}`)), nil)
	}
	one := must(s.newKey("", jose.MakeAlgorithms(jose.Ed25519)))
	requireErr(t, accepts(one, s.sign(`{"alg":"Ed25519"}`, `{}`)), nil)
	requireErr(t, accepts(one, s.sign(`{"alg":"EdDSA"}`, `{}`)), jose.ErrKeyAlgorithm)
}

// Another module that changes golang-jwt's exported variables must not change how we verify.
func TestVerifyDoesNotUseSharedMethods(t *testing.T) {
	s := signers()[jose.HS256]
	token := s.token(100)
	saved := *jwt.SigningMethodHS256
	t.Cleanup(func() { *jwt.SigningMethodHS256 = saved })
	jwt.SigningMethodHS256.Hash = crypto.SHA1
	requireErr(t, accepts(s.key, token), nil)
}
