package certchain

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
)

// Roots are the authorities at which chains end. They are immutable.
type Roots struct {
	certificates []*x509.Certificate
	pool         *x509.CertPool
}

func newRoots(certificates []*x509.Certificate) *Roots {
	r := &Roots{certificates, x509.NewCertPool()}
	for _, certificate := range certificates {
		r.pool.AddCert(certificate)
	}
	return r
}

// ParseAuthorities reads the certificates of authorities in a PEM text. There must be at least one, and nothing else.
// By its basic constraints, each must be an authority (RFC 5280 section 4.2.1.9): a certificate that is trusted by
// itself belongs in a key file without ca.
func ParseAuthorities(data []byte) ([]*x509.Certificate, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("it is empty")
	}
	certificates, err := readPEM(data)
	if err != nil {
		return nil, err
	}
	for _, certificate := range certificates {
		if !certificate.BasicConstraintsValid || !certificate.IsCA {
			return nil, &Error{Untrusted, fmt.Sprintf("%s is not a certificate authority, by its basic constraints: ca takes "+
				"the certificate of who has issued that of the signer", name(certificate))}
		}
		if err := strong(certificate); err != nil {
			return nil, err
		}
	}
	return certificates, nil
}

// Verdict says whether a chain counts, and between which moments. Outside of them it must be judged anew.
type Verdict struct {
	Err   *Error // nil if the chain counts
	from  time.Time
	until time.Time // zero if time alone changes nothing
}

// Holds reports whether a verdict holds at a time.
func (v *Verdict) Holds(now time.Time) bool {
	return !now.Before(v.from) && (v.until.IsZero() || now.Before(v.until))
}

// Until is when the verdict ends; zero if time alone changes nothing.
func (v *Verdict) Until() time.Time { return v.until }

// Judge verifies a chain (RFC 5280 section 6): each signature, the dates of all certificates and of the authority,
// basic constraints, path lengths, name constraints and critical extensions. It counts until the first of its
// certificates ends.
//
// No extended key usage is demanded, and none is refused (ExtKeyUsageAny). RFC 5280 section 4.2.1.12 has no purpose for
// signing tokens, so the certificates of signers have none, or one for TLS.
func (r *Roots) Judge(c *Chain, now time.Time) Verdict {
	chains, err := c.signer.Verify(x509.VerifyOptions{
		Roots: r.pool, Intermediates: c.pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	var until time.Time
	for _, chain := range chains {
		if end := firstEnd(chain); len(chain) <= MaxLength && end.After(until) {
			until = end
		}
	}
	if err == nil && now.Before(until) {
		return Verdict{from: now, until: until}
	}
	return Verdict{Err: r.why(c, now, err), from: now, until: r.nextBegin(c, now)}
}

// firstEnd is when the first certificate of a chain ends.
func firstEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, certificate := range chain[1:] {
		if certificate.NotAfter.Before(end) {
			end = certificate.NotAfter
		}
	}
	return end
}

// nextBegin is when a certificate begins that may make a chain good; zero if there is none.
func (r *Roots) nextBegin(c *Chain, now time.Time) (next time.Time) {
	for certificate := range r.involved(c) {
		if begin := certificate.NotBefore; begin.After(now) && (next.IsZero() || begin.Before(next)) {
			next = begin
		}
	}
	return next
}

// involved are the certificates of a chain, and the authorities that have the name of one of its issuers.
func (r *Roots) involved(c *Chain) func(yield func(*x509.Certificate) bool) {
	return func(yield func(*x509.Certificate) bool) {
		chain := append([]*x509.Certificate{c.signer}, c.issuers...)
		for _, certificate := range chain {
			if !yield(certificate) {
				return
			}
		}
		for _, root := range r.certificates {
			for _, certificate := range chain {
				if bytes.Equal(certificate.RawIssuer, root.RawSubject) {
					if !yield(root) {
						return
					}
					break
				}
			}
		}
	}
}

// why says why a chain does not count. Dates come first: they are the only thing that can be right again by itself.
func (r *Roots) why(c *Chain, now time.Time, err error) *Error {
	for certificate := range r.involved(c) {
		if e := outside(certificate, now); e != nil {
			return e
		}
	}
	if err == nil {
		return &Error{BadChain, fmt.Sprintf("the chain of %s has more than %d certificates", name(c.signer), MaxLength)}
	}
	const nobody = "x509: certificate signed by unknown authority" // and nothing else is known
	if err.Error() == nobody {
		return &Error{Untrusted, fmt.Sprintf("%s leads to none of the authorities in ca: is the certificate of an issuer "+
			"missing behind it?", name(c.signer))}
	}
	return &Error{Untrusted, fmt.Sprintf("%s: %s", name(c.signer), causes.Line(err))}
}
