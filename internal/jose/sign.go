package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// newModulus is the length of the RSA keys that are made here, in bits. It is the least that RFC 7518 section 3.3
// allows. Each key is used for weeks, not for years. With 3072 bits, a signature would take three times as long, and
// every token would be 170 characters longer.
const newModulus = 2048

// Signer makes signatures with one private key and one algorithm. It is immutable and safe for concurrent use. It never
// gives the private key away, except by PKCS8, and it prints nothing of it.
type Signer struct {
	alg     Algorithm
	method  jwt.SigningMethod
	private *sealed
	key     *Key
}

// sealed is a private key: *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey. It is behind a pointer of its own.
// The package fmt follows one pointer in a field that is not exported, and calls no Format there.
type sealed struct{ crypto.Signer }

// SigningAlgorithms is the set of algorithms that there are Signers for: ES256, RS256, PS256 and EdDSA with Ed25519.
func SigningAlgorithms() Algorithms { return MakeAlgorithms(ES256, RS256, PS256, EdDSA) }

// GenerateSigner makes a Signer with a new key. An RSA key has 2048 bits, and making it may take a second. The error is
// ErrAlgorithm for an algorithm that is not one of SigningAlgorithms.
func GenerateSigner(alg Algorithm) (*Signer, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256, PS256:
		private, err = rsa.GenerateKey(rand.Reader, newModulus)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return nil, fmt.Errorf("making a key for %v: %w", alg, err)
	}
	return newSigner(alg, private)
}

// ParseSigner makes a Signer from a private key in the form of PKCS#8 (RFC 5208 section 5).
//
// Errors are ErrAlgorithm for an algorithm that is not one of SigningAlgorithms, ErrKeyAlgorithm for a key that does
// not fit it, and otherwise those of NewPublicKey. None has a byte of the key.
func ParseSigner(alg Algorithm, pkcs8 []byte) (*Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil { // its text may have bytes of the key
		return nil, fmt.Errorf("%w: not a private key in the form of PKCS#8", ErrKey)
	}
	private, can := parsed.(crypto.Signer)
	if !can {
		return nil, fmt.Errorf("%w: this kind of private key cannot sign", ErrKey)
	}
	return newSigner(alg, private)
}

func newSigner(alg Algorithm, private crypto.Signer) (*Signer, error) {
	if !SigningAlgorithms().Has(alg) {
		return nil, fmt.Errorf("%w: %v does not sign here; %v do", ErrAlgorithm, alg, SigningAlgorithms())
	}
	method, can := methods[alg].(jwt.SigningMethod)
	if !can {
		return nil, fmt.Errorf("%w: %v cannot sign", ErrAlgorithm, alg)
	}
	key, err := NewPublicKey("", private.Public(), MakeAlgorithms(alg))
	if err != nil {
		return nil, err
	}
	key.ID = base64url(key.thumbprint[:])
	return &Signer{alg, method, &sealed{private}, key}, nil
}

// Algorithm is what the Signer signs with.
func (s *Signer) Algorithm() Algorithm { return s.alg }

// Key verifies the signatures. Its id is the JWK thumbprint with SHA-256, in base64url (RFC 7638 section 3). It is for
// the one algorithm of the Signer.
func (s *Signer) Key() *Key { return s.key }

// PKCS8 is the private key in the form that ParseSigner reads. It is a secret.
func (s *Signer) PKCS8() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(s.private.Signer) }

// Token makes a JWS in compact serialisation (RFC 7515 section 7.1) of a header and a payload, neither of which it
// reads. The header must name the algorithm.
func (s *Signer) Token(header, payload []byte) (string, error) {
	encoding := base64.RawURLEncoding
	size := encoding.EncodedLen(len(header)) + encoding.EncodedLen(len(payload)) + encoding.EncodedLen(s.key.size) + 2
	token := encoding.AppendEncode(make([]byte, 0, size), header)
	token = encoding.AppendEncode(append(token, '.'), payload)
	signature, err := s.method.Sign(string(token), s.private.Signer)
	if err != nil {
		return "", fmt.Errorf("signing with %v: %w", s.alg, err)
	}
	return string(encoding.AppendEncode(append(token, '.'), signature)), nil
}

// Format writes the same description for every verb, so that no private key gets into a log when somebody prints a
// struct.
func (s *Signer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%v signer %q", s.alg, s.key.ID) }

// IsMediaType reports whether a text can be a "typ": a media type without parameters, of which "application/" may be
// left out (RFC 7515 section 4.1.9).
func IsMediaType(text string) bool {
	_, is := mediaType(text)
	return is
}
