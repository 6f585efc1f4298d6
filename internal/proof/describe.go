package proof

import (
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// Unverified is what a text says that may be a proof. Nobody has verified its signature, so it proves nothing. It is
// for people who look for a mistake.
type Unverified struct {
	// Key is the SHA-256 thumbprint of the key in the header (RFC 7638).
	Key [32]byte
	// Algorithm is alg.
	Algorithm string
	// Method is htm, and never empty.
	Method string
	// URI is htu in its normal form, without its query. It is empty if htu is not the URI of a request.
	URI string
	// IssuedAt is iat.
	IssuedAt time.Time
	// HasNonce reports whether there is a nonce.
	HasNonce bool
}

// Describe reads a proof as Verify does, but without its signature. An error is an ErrInvalid: the text is no proof.
func Describe(text string) (Unverified, error) {
	if len(text) > MaxSize {
		return Unverified{}, errTooLong
	}
	token, err := jose.Parse(text, make([]byte, 0, MaxSize), mediaType)
	if err != nil {
		return Unverified{}, &invalidError{err}
	}
	if token.Header.Type != mediaType {
		return Unverified{}, &typeError{token.Header.Type}
	}
	if err := checkAlgorithm(token.Header.Algorithm, DefaultAlgorithms()); err != nil {
		return Unverified{}, err
	}
	known, err := newKnownKey(text, &token.Header)
	if err != nil {
		return Unverified{}, err
	}
	p, err := readPayload(token.Payload)
	if err != nil {
		return Unverified{}, err
	}
	uri, err := appendURI(nil, p.URI)
	if err != nil {
		uri = nil // it could have user information
	}
	return Unverified{
		Key: known.key.Thumbprint(), Algorithm: token.Header.Algorithm.String(), Method: p.Method, URI: string(uri),
		IssuedAt: p.IssuedAt, HasNonce: p.Nonce != "",
	}, nil
}

// URI is that of the request in its normal form, without its query. It is empty if the request has none that a proof
// could be for.
func (e *Expected) URI() string {
	uri, err := appendRequest(nil, e.Scheme, e.Host, e.Target)
	if err != nil {
		return ""
	}
	return string(uri)
}
