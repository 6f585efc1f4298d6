package jose

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"

	"github.com/caddyjwt/gateway/internal/hashing"
)

// The thumbprints of RFC 7638: the required members of the JWK in lexicographic order, without white space.

func rsaThumbprint(key *rsa.PublicKey) [32]byte {
	e := big.NewInt(int64(key.E)).Bytes()
	return sha256.Sum256([]byte(`{"e":"` + base64url(e) + `","kty":"RSA","n":"` + base64url(key.N.Bytes()) + `"}`))
}

// ecThumbprint takes the point in its uncompressed form. The algorithm stands for the curve.
func ecThumbprint(alg Algorithm, point []byte) [32]byte {
	curve := map[Algorithm]string{ES256: "P-256", ES384: "P-384", ES512: "P-521"}[alg]
	x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
	return sha256.Sum256([]byte(
		`{"crv":"` + curve + `","kty":"EC","x":"` + base64url(x) + `","y":"` + base64url(y) + `"}`))
}

// okpThumbprint follows RFC 8037 section 2.
func okpThumbprint(key ed25519.PublicKey) [32]byte {
	return sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64url(key) + `"}`))
}

// secretThumbprint is keyed by the process: a plain hash would let others test guesses of the secret.
func secretThumbprint(secret []byte) [32]byte { return hashing.Secret("thumbprint", secret) }

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
