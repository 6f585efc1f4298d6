package jose

import (
	"errors"
	"fmt"
	"time"
)

// What can be wrong with a token. None of the errors of this package contains a byte of a token or a key.
var (
	// ErrMalformed: the token is not the compact serialisation of a JWS, or this package does not accept its header.
	ErrMalformed = errors.New("malformed token")

	// ErrCritical: the header has "crit". It may only name extensions that the JOSE standards do not define (RFC 7515
	// section 4.1.11), and none is implemented. It is an ErrMalformed.
	ErrCritical = fmt.Errorf("%w: critical header parameters are not supported", ErrMalformed)

	// ErrNested: by "cty" the payload is itself a token (RFC 7519 section 5.2). It is an ErrMalformed.
	ErrNested = fmt.Errorf("%w: nested tokens are not supported", ErrMalformed)

	// ErrEncrypted: the header has "enc" or "zip", which only a JWE has (RFC 7516). A complete JWE is refused earlier,
	// since it has five parts. It is an ErrMalformed.
	ErrEncrypted = fmt.Errorf("%w: encrypted tokens are not supported", ErrMalformed)

	// ErrAlgorithm: the header names an algorithm outside the table, such as "none".
	ErrAlgorithm = errors.New("unsupported algorithm")

	// ErrType: the header says that this is another kind of JWT than an access token, or its "typ" is not a media type.
	ErrType = errors.New("token of the wrong type")

	// ErrSignature: the signature is not one of this signing input by this key.
	ErrSignature = errors.New("invalid signature")
)

// ExpiredError is an ErrCertificate about a certificate that has expired.
type ExpiredError struct{ NotAfter time.Time }

// Error says when the certificate has expired.
func (e *ExpiredError) Error() string {
	return fmt.Sprintf("%v has expired on %s", ErrCertificate, e.NotAfter.Format(time.RFC3339))
}

// Unwrap returns ErrCertificate.
func (e *ExpiredError) Unwrap() error { return ErrCertificate }

// What can be wrong with a key.
var (
	// ErrKey: the key cannot be used. It may be of an unknown kind, damaged, not on its curve, or not a public key.
	ErrKey = errors.New("unusable key")

	// ErrPrivateKey: private key material where a public key belongs. It is an ErrKey.
	ErrPrivateKey = fmt.Errorf("%w: this is a private key; give the public key", ErrKey)

	// ErrCertificate: the certificate is expired, not yet valid, or not for signatures. It is an ErrKey.
	ErrCertificate = fmt.Errorf("%w: certificate", ErrKey)

	// ErrWeakKey: the key is too short, easily guessed, or of a form that can be broken. It is an ErrKey.
	ErrWeakKey = fmt.Errorf("%w: too weak", ErrKey)

	// ErrPublicSecret: the supposed shared secret is a key or a certificate, which others know. It is an ErrKey.
	ErrPublicSecret = fmt.Errorf("%w: key material is not a shared secret", ErrKey)

	// ErrPublishedKey: the key is an example from a standard or a well-known web site, so everybody has its private
	// half. It is an ErrKey.
	ErrPublishedKey = fmt.Errorf("%w: published example key", ErrKey)

	// ErrKeyAlgorithm: the key and the algorithm do not fit. [Key.Verify] returns it for an algorithm that the key is
	// not for. The constructors return it if none of the wanted algorithms fits the key.
	ErrKeyAlgorithm = errors.New("algorithm does not fit the key")
)
