package jose

import (
	"crypto"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that the methods below name
	_ "crypto/sha512"

	"github.com/golang-jwt/jwt/v5"
)

// method is the part of jwt.SigningMethod that a verifier needs.
type method interface {
	Verify(signingString string, signature []byte, key any) error
}

// methods are values of our own. Any other module in the program could change golang-jwt's registry and its exported
// variables.
var methods = [algorithmEnd]method{
	HS256:   &jwt.SigningMethodHMAC{Name: "HS256", Hash: crypto.SHA256},
	HS384:   &jwt.SigningMethodHMAC{Name: "HS384", Hash: crypto.SHA384},
	HS512:   &jwt.SigningMethodHMAC{Name: "HS512", Hash: crypto.SHA512},
	RS256:   &jwt.SigningMethodRSA{Name: "RS256", Hash: crypto.SHA256},
	RS384:   &jwt.SigningMethodRSA{Name: "RS384", Hash: crypto.SHA384},
	RS512:   &jwt.SigningMethodRSA{Name: "RS512", Hash: crypto.SHA512},
	PS256:   newPSS("PS256", crypto.SHA256),
	PS384:   newPSS("PS384", crypto.SHA384),
	PS512:   newPSS("PS512", crypto.SHA512),
	ES256:   &jwt.SigningMethodECDSA{Name: "ES256", Hash: crypto.SHA256, KeySize: 32, CurveBits: 256},
	ES384:   &jwt.SigningMethodECDSA{Name: "ES384", Hash: crypto.SHA384, KeySize: 48, CurveBits: 384},
	ES512:   &jwt.SigningMethodECDSA{Name: "ES512", Hash: crypto.SHA512, KeySize: 66, CurveBits: 521},
	EdDSA:   &jwt.SigningMethodEd25519{},
	Ed25519: &jwt.SigningMethodEd25519{},
}

// newPSS requires the salt to be as long as the hash (RFC 7518 section 3.5). golang-jwt's own values accept a salt of
// any length.
func newPSS(name string, hash crypto.Hash) *jwt.SigningMethodRSAPSS {
	salt := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	return &jwt.SigningMethodRSAPSS{
		SigningMethodRSA: &jwt.SigningMethodRSA{Name: name, Hash: hash},
		Options:          salt,
		VerifyOptions:    salt,
	}
}

// Verify checks the signature over the bytes of signingInput, which is [Token.SigningInput].
//
// The algorithm comes from the token, so it cannot be trusted: if the key is not for it, the error is
// [ErrKeyAlgorithm]. For a wrong signature the error is [ErrSignature], which says nothing about how or where it is
// wrong. MACs are compared in constant time (RFC 7518 section 3.2).
func (k *Key) Verify(alg Algorithm, signingInput string, signature []byte) error {
	if !k.algs.Has(alg) {
		return ErrKeyAlgorithm
	}
	if len(signature) != k.signatureSize(alg) {
		return ErrSignature
	}
	if methods[alg].Verify(signingInput, signature, k.key) != nil {
		return ErrSignature
	}
	return nil
}

// signatureSize is the only length, in bytes, that a signature may have. ECDSA has R and S side by side, each as long
// as the field (RFC 7518 section 3.4). RSA is as long as the modulus (RFC 8017 section 8). MACs are not truncated.
func (k *Key) signatureSize(alg Algorithm) int {
	if k.family == HMAC {
		return hashSize(alg)
	}
	return k.size
}

// hashSize is the length of an HMAC algorithm's output in bytes. It is also the least length of its secret (RFC 7518
// section 3.2).
func hashSize(alg Algorithm) int {
	switch alg {
	case HS256:
		return 32
	case HS384:
		return 48
	default:
		return 64
	}
}
