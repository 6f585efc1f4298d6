// Package proof judges DPoP proofs at a resource server (RFC 9449 sections 4.3 and 7). With a proof, a client shows
// that it has the private key to which its access token is bound, so a stolen token alone is worth nothing.
//
// There are two steps. [Verifier.Verify] takes the proof apart and verifies its signature with the key in its header,
// which must be the key of the token. [Proof.Check] compares the proof with the request. Neither looks at whether a
// proof was used before, nor at its nonce: the caller does, with what these steps return.
package proof

import (
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// MaxSize is the longest proof in bytes. One with an RSA key of 4096 bits has about 2,500.
const MaxSize = 8 << 10

// mediaType is the typ of a proof (RFC 9449 section 4.2). It keeps every other JWT from being taken for a proof
// (section 11.5).
const mediaType = "dpop+jwt"

// Proof is a DPoP proof whose signature was verified with the key in its header. It is still to be compared with the
// request. The texts share the memory of one payload of up to 6 KiB, so clone what must be kept.
type Proof struct {
	// Key is the SHA-256 thumbprint of the key (RFC 7638).
	Key [32]byte
	// ID is jti, of 1 to 256 bytes without control characters.
	ID string
	// Method is htm, and never empty.
	Method string
	// URI is htu as it was written, and never empty.
	URI string
	// TokenHash is ath. It has 43 characters of base64url, or is empty if there is none.
	TokenHash string
	// Nonce is nonce. It has 1 to 256 characters without spaces, quotes and backslashes, or is empty if there is none.
	Nonce string
	// IssuedAt is iat.
	IssuedAt time.Time

	notBefore, expires time.Time // nbf and exp; zero if absent
}

// DefaultAlgorithms is the set of the algorithms that are for proofs if nothing else is configured: all that verify
// with a public key. RFC 9449 section 4.2 forbids MACs and "none".
func DefaultAlgorithms() jose.Algorithms { return jose.AsymmetricAlgorithms() }

// Verify parses a proof and verifies its signature with the key in its header.
//
// thumbprint is cnf.jkt of an access token that was verified before (RFC 9449 section 6.1). The key in the header must
// be that one. Otherwise the error is ErrOtherKey, and the signature costs nothing. The algorithm must be one of
// algorithms, of which those with a shared secret never count. All other errors are ErrInvalid. The cause is often an
// error of package jose; it is about the proof, not about the token.
//
// For proofs with the same header as one before, Verify neither parses the header nor makes the key again.
func (v *Verifier) Verify(text, thumbprint string, algorithms jose.Algorithms) (Proof, error) {
	if len(text) > MaxSize {
		return Proof{}, errTooLong
	}
	algorithms = algorithms.Intersect(jose.AsymmetricAlgorithms())
	bound, ok := decodeThumbprint(thumbprint)
	if !ok {
		return Proof{}, &otherKeyError{bound: thumbprint}
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)

	known := v.keys.find(bound, text)
	remembered := known != nil
	var token jose.Token
	var err error
	if remembered {
		token, err = parseKnown(text, known, algorithms, *buf)
	} else {
		token, known, err = parseNew(text, bound, algorithms, *buf)
	}
	if err != nil {
		return Proof{}, err
	}
	p, err := readPayload(token.Payload) // costs less than a signature
	if err != nil {
		return Proof{}, err
	}
	if err := known.key.Verify(known.algorithm, token.SigningInput, token.Signature); err != nil {
		return Proof{}, &invalidError{err}
	}
	if !remembered {
		v.keys.remember(bound, known)
	}
	p.Key = bound
	return p, nil
}

// VerifyAny is Verify for a proof of a key that no token is bound to yet (RFC 9449 section 5). Key of the result is its
// thumbprint. The error is ErrInvalid.
func (v *Verifier) VerifyAny(text string, algorithms jose.Algorithms) (Proof, error) {
	if len(text) > MaxSize {
		return Proof{}, errTooLong
	}
	token, known, err := parseAny(text, algorithms.Intersect(jose.AsymmetricAlgorithms()), nil)
	if err != nil {
		return Proof{}, err
	}
	p, err := readPayload(token.Payload)
	if err != nil {
		return Proof{}, err
	}
	if err := known.key.Verify(known.algorithm, token.SigningInput, token.Signature); err != nil {
		return Proof{}, &invalidError{err}
	}
	p.Key = known.key.Thumbprint()
	return p, nil
}

// buffers lend the memory in which proofs are decoded. Nothing keeps a reference to it. A proof is no secret like a
// token: it is good for one request.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, MaxSize); return &b }}

// parseKnown parses a proof whose header is that of a remembered key. Its algorithm may have been allowed elsewhere.
func parseKnown(text string, known *knownKey, algorithms jose.Algorithms, buf []byte) (jose.Token, error) {
	if err := checkAlgorithm(known.algorithm, algorithms); err != nil {
		return jose.Token{}, err
	}
	token, err := jose.ParseRest(text, buf)
	if err != nil {
		return jose.Token{}, &invalidError{err}
	}
	return token, nil
}

// parseNew is parseAny for a proof whose key must be the one with the thumbprint bound.
func parseNew(text string, bound [32]byte, algorithms jose.Algorithms, buf []byte) (jose.Token, *knownKey, error) {
	token, known, err := parseAny(text, algorithms, buf)
	if err != nil {
		return jose.Token{}, nil, err
	}
	return token, known, known.checkBinding(bound)
}

// parseAny parses a proof (RFC 9449 section 4.3 items 2, 4 and 5) and makes its key.
func parseAny(text string, algorithms jose.Algorithms, buf []byte) (jose.Token, *knownKey, error) {
	token, err := jose.Parse(text, buf, mediaType)
	if err != nil {
		return jose.Token{}, nil, &invalidError{err}
	}
	if token.Header.Type != mediaType {
		return jose.Token{}, nil, &typeError{token.Header.Type}
	}
	if err := checkAlgorithm(token.Header.Algorithm, algorithms); err != nil {
		return jose.Token{}, nil, err
	}
	known, err := newKnownKey(text, &token.Header)
	return token, known, err
}

// checkAlgorithm requires an algorithm that is allowed (RFC 9449 section 4.3 item 5, section 11.6).
func checkAlgorithm(algorithm jose.Algorithm, allowed jose.Algorithms) error {
	if !allowed.Has(algorithm) {
		return &algorithmError{algorithm, allowed}
	}
	return nil
}

// thumbprintLength is that of SHA-256 in base64url without padding.
const thumbprintLength = 43

// decodeThumbprint decodes base64url. A text that is not the one encoding of 32 bytes is no key's thumbprint.
func decodeThumbprint(text string) (sum [32]byte, ok bool) {
	if len(text) != thumbprintLength {
		return sum, false
	}
	var decoded [thumbprintLength]byte // has room for what is not 32 bytes
	n, err := base64.RawURLEncoding.Strict().Decode(decoded[:], []byte(text))
	return [32]byte(decoded[:]), err == nil && n == len(sum)
}

// typeError is an ErrInvalid about a typ that is not mediaType.
type typeError struct{ typ string }

// Error names both types.
func (e *typeError) Error() string {
	if e.typ == "" {
		return fmt.Sprintf("%v: there is no typ, and expected is %s", ErrInvalid, mediaType)
	}
	return fmt.Sprintf("%v: typ is %q, and expected is %s", ErrInvalid, e.typ, mediaType)
}

// Unwrap returns ErrInvalid.
func (e *typeError) Unwrap() error { return ErrInvalid }

// algorithmError is an ErrInvalid about an algorithm that is not allowed.
type algorithmError struct {
	algorithm jose.Algorithm
	allowed   jose.Algorithms
}

// Error names the algorithm and those that are allowed.
func (e *algorithmError) Error() string {
	return fmt.Sprintf("%v: alg is %v; allowed here: %v", ErrInvalid, e.algorithm, e.allowed)
}

// Unwrap returns ErrInvalid.
func (e *algorithmError) Unwrap() error { return ErrInvalid }
