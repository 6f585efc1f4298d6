package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"math/bits"
)

// publicJWK is a public key with its members in the order in which people read them (RFC 7517 section 4, RFC 7518
// sections 6.2.1 and 6.3.1, RFC 8037 section 2).
type publicJWK struct {
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid,omitempty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg,omitempty"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	Modulus   string `json:"n,omitempty"`
	Exponent  string `json:"e,omitempty"`
}

// JWK writes a public key as a JSON Web Key (RFC 7517 section 4) for signatures. It names the algorithm if the key is
// for one alone. ParseJWK reads it. The error is ErrKey for a secret, which must not be written.
func (k *Key) JWK() ([]byte, error) {
	jwk := publicJWK{KeyType: k.family.String(), KeyID: k.ID, Use: "sig"}
	if alg, sole := k.algs.Sole(); sole {
		jwk.Algorithm = alg.String()
	}
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		jwk.Modulus, jwk.Exponent = base64url(key.N.Bytes()), base64url(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := uncompressed(key)
		if err != nil {
			return nil, err
		}
		jwk.Curve = key.Curve.Params().Name
		jwk.X, jwk.Y = base64url(point[1:1+k.size/2]), base64url(point[1+k.size/2:])
	case ed25519.PublicKey:
		jwk.Curve, jwk.X = "Ed25519", base64url(key)
	default:
		return nil, fmt.Errorf("%w: a shared secret is not published", ErrKey)
	}
	return json.Marshal(jwk)
}

// Sole returns the algorithm of a set that has only one.
func (s Algorithms) Sole() (alg Algorithm, ok bool) {
	if bits.OnesCount32(uint32(s)) != 1 {
		return 0, false
	}
	return Algorithm(bits.TrailingZeros32(uint32(s))), true
}
