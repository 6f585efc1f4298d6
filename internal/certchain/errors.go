package certchain

import "github.com/caddyjwt/gateway/internal/jose"

// Reason says why a certificate does not count, in one snake_case word for logs.
type Reason string

// The reasons why a certificate does not count.
const (
	NoCertificate    Reason = "no_certificate"                 // the key has none
	BadChain         Reason = "certificate_chain"              // too long, out of order, unreadable, or with a weak key
	NotForSignatures Reason = "certificate_not_for_signatures" // by its key usage, or it is that of an authority
	Untrusted        Reason = "certificate_untrusted"          // it leads to none of the authorities
	NotYetValid      Reason = "certificate_not_yet_valid"      // one in its chain is not valid yet
	Expired          Reason = "certificate_expired"            // one in its chain has expired
)

// Error says why a certificate does not count. It is a jose.ErrCertificate.
type Error struct {
	Reason Reason
	text   string
}

// Error names the certificate, and says what is wrong.
func (e *Error) Error() string { return jose.ErrCertificate.Error() + ": " + e.text }

// Unwrap returns jose.ErrCertificate.
func (e *Error) Unwrap() error { return jose.ErrCertificate }

// OutOfDate reports whether only dates are wrong. The server or the operator can mend that, and the signer did nothing
// wrong.
func (e *Error) OutOfDate() bool { return e.Reason == NotYetValid || e.Reason == Expired }
