// Package sealing makes encrypted tokens: a JWT that is signed, and then encrypted for one recipient (RFC 7519 section
// 11.2). It is for trying out. Production's tokens come from an authorization server.
package sealing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms of RFC 7518 sections 4.3, 4.4 and 4.6, and the encryptions of its section 5, with which Seal can seal.
// RSA1_5 is not among them: whoever decrypts it can become an oracle (RFC 8725 section 3.2). Neither are those with a
// shared secret.
var (
	rsaAlgorithms = []string{"RSA-OAEP-256", "RSA-OAEP"}
	ecAlgorithms  = []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"}
	encryptions   = []string{"A256GCM", "A128GCM", "A128CBC-HS256", "A256CBC-HS512"}
)

// Recipient can open what is sealed.
type Recipient struct {
	Key        crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	KeyID      string           // "kid" of the JWE; empty for none
	Algorithm  string           // "alg" of the JWE; empty for RSA-OAEP-256 or ECDH-ES, as fits the key
	Encryption string           // "enc" of the JWE; empty for A256GCM
}

// Seal nests a signed token in a JWE in compact form. Its header has alg, enc, the "cty" that RFC 7519 section 5.2 asks
// for, kid if the recipient has one, and what the algorithm adds.
func Seal(token string, to Recipient) (string, error) {
	allowed, err := algorithmsFor(to.Key)
	if err != nil {
		return "", err
	}
	algorithm, err := oneOf("algorithm", to.Algorithm, allowed)
	if err != nil {
		return "", err
	}
	encryption, err := oneOf("encryption", to.Encryption, encryptions)
	if err != nil {
		return "", err
	}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(encryption),
		jose.Recipient{Algorithm: jose.KeyAlgorithm(algorithm), Key: to.Key, KeyID: to.KeyID},
		(&jose.EncrypterOptions{}).WithContentType("JWT"))
	if err != nil {
		return "", fmt.Errorf("encrypting with %s: %w", algorithm, err)
	}
	sealed, err := encrypter.Encrypt([]byte(token))
	if err != nil {
		return "", fmt.Errorf("encrypting with %s: %w", algorithm, err)
	}
	return sealed.CompactSerialize()
}

// algorithmsFor returns the algorithms for a kind of key. The first is the default.
func algorithmsFor(key crypto.PublicKey) ([]string, error) {
	switch key.(type) {
	case *rsa.PublicKey:
		return rsaAlgorithms, nil
	case *ecdsa.PublicKey:
		return ecAlgorithms, nil
	default:
		return nil, fmt.Errorf("%w: it must be an RSA key, or an EC key on P-256, P-384 or P-521", ErrKey)
	}
}

// oneOf returns the name, or the first of those that are allowed if it is empty.
func oneOf(what, name string, allowed []string) (string, error) {
	switch {
	case name == "":
		return allowed[0], nil
	case !slices.Contains(allowed, name):
		return "", fmt.Errorf("%s %q: with this key it must be one of %s", what, name, strings.Join(allowed, ", "))
	}
	return name, nil
}
