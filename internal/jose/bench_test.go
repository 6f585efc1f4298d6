package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"hash"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

// payloadBytes makes RS256 tokens of about 850 bytes, the size of the access tokens of common authorization servers.
const payloadBytes = 330

// bare verifies a signature by crypto/* alone: the hash and one call. Everything that does not depend on the token is
// prepared.
func bare(s *signer, signature []byte) func(input string) bool {
	newHash, id := hashOf(s.alg)
	switch key := s.private.(type) {
	case []byte:
		mac := hmac.New(newHash, key)
		return func(input string) bool {
			mac.Reset()
			mac.Write([]byte(input))
			return hmac.Equal(mac.Sum(nil), signature)
		}
	case *rsa.PrivateKey:
		public := &key.PublicKey
		if strings.HasPrefix(s.alg.String(), "PS") {
			return func(input string) bool {
				return rsa.VerifyPSS(public, id, sum(newHash, input), signature,
					&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
			}
		}
		return func(input string) bool { return rsa.VerifyPKCS1v15(public, id, sum(newHash, input), signature) == nil }
	case *ecdsa.PrivateKey:
		half := len(signature) / 2
		der := must(asn1.Marshal(struct{ R, S *big.Int }{
			new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]),
		}))
		return func(input string) bool { return ecdsa.VerifyASN1(&key.PublicKey, sum(newHash, input), der) }
	case ed25519.PrivateKey:
		public := key.Public().(ed25519.PublicKey)
		return func(input string) bool { return ed25519.Verify(public, []byte(input), signature) }
	default:
		panic("unknown key")
	}
}

func sum(newHash func() hash.Hash, input string) []byte {
	h := newHash()
	h.Write([]byte(input))
	return h.Sum(nil)
}

func hashOf(alg jose.Algorithm) (func() hash.Hash, crypto.Hash) {
	switch name := alg.String(); {
	case strings.HasSuffix(name, "256"):
		return sha256.New, crypto.SHA256
	case strings.HasSuffix(name, "384"):
		return sha512.New384, crypto.SHA384
	default:
		return sha512.New, crypto.SHA512
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range allAlgorithms() {
		s := signers()[alg]
		token := must(jose.Parse(s.token(payloadBytes), nil))
		check := bare(s, token.Signature)
		b.Run("alg="+alg.String()+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !check(token.SigningInput) {
					b.Fatal("refused")
				}
			}
		})
		b.Run("alg="+alg.String()+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.key.Verify(alg, token.SigningInput, token.Signature); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyWrongMAC has MACs with one wrong byte. If the time shows which byte it is, a stranger can guess a MAC
// byte by byte (CVE-2016-7036, CVE-2024-25714). Look for a difference between the two that persists with more runs. No
// test asserts a time; internal/rules checks the comparison itself.
func BenchmarkVerifyWrongMAC(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.HS256, jose.HS384, jose.HS512} {
		s := signers()[alg]
		token := must(jose.Parse(s.token(payloadBytes), nil))
		for _, place := range []string{"first", "last"} {
			wrong := slices.Clone(token.Signature)
			if place == "first" {
				wrong[0] ^= 1
			} else {
				wrong[len(wrong)-1] ^= 1
			}
			b.Run("alg="+alg.String()+"/wrong="+place, func(b *testing.B) {
				for b.Loop() {
					if s.key.Verify(alg, token.SigningInput, wrong) == nil {
						b.Fatal("accepted")
					}
				}
			})
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.HS256, jose.RS256, jose.ES256} {
		token := signers()[alg].token(payloadBytes)
		b.Run("alg="+alg.String(), func(b *testing.B) {
			buf := make([]byte, len(token))
			b.ReportAllocs()
			b.SetBytes(int64(len(token)))
			for b.Loop() {
				if _, err := jose.Parse(token, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseRefused(b *testing.B) {
	good := signers()[jose.RS256].token(payloadBytes)
	for name, token := range map[string]string{
		"dots":      strings.Repeat(".", 15000),
		"not-a-jwt": strings.Repeat("a", 15000),
		"alg-none":  encode(`{"alg":"none"}`) + good[strings.IndexByte(good, '.'):],
		"encoding":  good[:len(good)-1] + "=",
	} {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, len(good))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jose.Parse(token, buf); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

func BenchmarkLooksLikeJWT(b *testing.B) {
	token := signers()[jose.RS256].token(payloadBytes)
	b.ReportAllocs()
	for b.Loop() {
		if !jose.LooksLikeJWT(token) {
			b.Fatal("opaque")
		}
	}
}

// Verify may allocate little beyond what crypto/* itself does.
func TestVerifyAllocations(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 5
	}
	for _, alg := range allAlgorithms() {
		s := signers()[alg]
		token := must(jose.Parse(s.token(payloadBytes), nil))
		check := bare(s, token.Signature)
		base := testing.AllocsPerRun(runs, func() { check(token.SigningInput) })
		ours := testing.AllocsPerRun(runs, func() { _ = s.key.Verify(alg, token.SigningInput, token.Signature) })
		if ours > base+12 {
			t.Errorf("%v: %v allocations, %v of them in crypto/*", alg, ours, base)
		}
		t.Logf("%v: %v, %v", alg, base, ours)
	}
}
