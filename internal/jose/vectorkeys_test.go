package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"

	"github.com/caddyjwt/gateway/internal/jose"
)

// jwk is a key in the form that the vectors have.
type jwk struct {
	Kty, Crv, X, Y, N, E, K, Alg, Use, Kid string
	KeyOps                                 []string `json:"key_ops"`
}

var errNotForVerifying = errors.New("JWK is not for verifying")

// key makes a Key from a JWK. Unlike the product it accepts published keys.
func (j *jwk) key() (*jose.Key, error) {
	if j.Use != "" && j.Use != "sig" || j.KeyOps != nil && j.Kty != "oct" && !slices.Contains(j.KeyOps, "verify") {
		return nil, errNotForVerifying
	}
	var algs jose.Algorithms
	if j.Alg != "" {
		alg, ok := jose.ParseAlgorithm(j.Alg)
		if !ok {
			return nil, errNotForVerifying
		}
		algs = jose.MakeAlgorithms(alg)
	}
	if j.Kty == "oct" {
		return jose.NewExampleSecretKey(j.Kid, raw(j.K), algs)
	}
	public, err := j.public()
	if err != nil {
		return nil, err
	}
	return jose.NewExamplePublicKey(j.Kid, public, algs)
}

func (j *jwk) public() (crypto.PublicKey, error) {
	switch j.Kty + " " + j.Crv {
	case "RSA ":
		return &rsa.PublicKey{N: new(big.Int).SetBytes(raw(j.N)), E: int(new(big.Int).SetBytes(raw(j.E)).Int64())}, nil
	case "EC P-256", "EC P-384", "EC P-521":
		curve := map[string]elliptic.Curve{
			"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521(),
		}[j.Crv]
		return &ecdsa.PublicKey{Curve: curve, X: new(big.Int).SetBytes(raw(j.X)), Y: new(big.Int).SetBytes(raw(j.Y))}, nil
	case "OKP Ed25519":
		return ed25519.PublicKey(raw(j.X)), nil
	default:
		return nil, errNotForVerifying
	}
}

func raw(s string) []byte { return must(base64.RawURLEncoding.DecodeString(s)) }
