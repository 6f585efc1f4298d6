package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// signer makes tokens with a real private key or secret.
type signer struct {
	alg     jose.Algorithm
	method  jwt.SigningMethod
	private any // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey, []byte
	key     *jose.Key
}

// signers has one signer for each algorithm. The three RS and the three PS share a key, as do EdDSA and Ed25519.
var signers = sync.OnceValue(func() map[jose.Algorithm]*signer {
	rsaKey := tokentest.NewRSA()
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	all := map[jose.Algorithm]*signer{
		jose.HS256:   {method: jwt.SigningMethodHS256, private: randomBytes(64)},
		jose.HS384:   {method: jwt.SigningMethodHS384, private: randomBytes(64)},
		jose.HS512:   {method: jwt.SigningMethodHS512, private: randomBytes(64)},
		jose.RS256:   {method: jwt.SigningMethodRS256, private: rsaKey},
		jose.RS384:   {method: jwt.SigningMethodRS384, private: rsaKey},
		jose.RS512:   {method: jwt.SigningMethodRS512, private: rsaKey},
		jose.PS256:   {method: jwt.SigningMethodPS256, private: rsaKey},
		jose.PS384:   {method: jwt.SigningMethodPS384, private: rsaKey},
		jose.PS512:   {method: jwt.SigningMethodPS512, private: rsaKey},
		jose.ES256:   {method: jwt.SigningMethodES256, private: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))},
		jose.ES384:   {method: jwt.SigningMethodES384, private: must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))},
		jose.ES512:   {method: jwt.SigningMethodES512, private: must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))},
		jose.EdDSA:   {method: jwt.SigningMethodEdDSA, private: edKey},
		jose.Ed25519: {method: jwt.SigningMethodEdDSA, private: edKey},
	}
	for alg, s := range all {
		s.alg = alg
		s.key = must(s.newKey("", jose.MakeAlgorithms(alg)))
	}
	return all
})

func (s *signer) newKey(id string, algs jose.Algorithms) (*jose.Key, error) {
	if secret, ok := s.private.([]byte); ok {
		return jose.NewSecretKey(id, secret, algs)
	}
	return jose.NewPublicKey(id, s.public(), algs)
}

func (s *signer) public() crypto.PublicKey { return s.private.(crypto.Signer).Public() }

// sign makes a token from any header and payload.
func (s *signer) sign(header, payload string) string {
	input := encode(header) + "." + encode(payload)
	return input + "." + encode(string(must(s.method.Sign(input, s.private))))
}

// token makes a token with the usual header and a payload of n bytes.
func (s *signer) token(n int) string {
	payload := fmt.Sprintf(`{"iss":"https://as.example","pad":"%s"}`, strings.Repeat("x", n))
	return s.sign(fmt.Sprintf(`{"alg":"%s","kid":"2026-11","typ":"at+jwt"}`, s.alg), payload[:n-2]+`"}`)
}

// accepts does with a token what the gate does by means of this package.
func accepts(key *jose.Key, token string) error {
	t, err := jose.Parse(token, nil)
	if err != nil {
		return err
	}
	return key.Verify(t.Header.Algorithm, t.SigningInput, t.Signature)
}

// allAlgorithms lists the algorithms in order.
func allAlgorithms() []jose.Algorithm {
	var algs []jose.Algorithm
	for alg := range jose.AsymmetricAlgorithms().Union(jose.HMACAlgorithms()).All() {
		algs = append(algs, alg)
	}
	return algs
}

func encode[T ~string | ~[]byte](b T) string { return base64.RawURLEncoding.EncodeToString([]byte(b)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func ascending(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		b.WriteByte(byte(i))
	}
	return b.Bytes()
}

func sha256Of(b []byte) [32]byte { return sha256.Sum256(b) }

func requireErr(t *testing.T, got, want error) {
	t.Helper()
	if !is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}
