package possession

import (
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/fields"
)

// Certificates says where client certificates come from.
type Certificates struct {
	// Header is the field in which a trusted proxy hands the certificate over, in canonical form. Empty means that only
	// the certificate of the connection counts.
	Header string
	// Form is how the proxy writes it.
	Form clientcert.Form

	fields fields.Names // the header
}

// LongestHeader is how many bytes the name of Certificates.Header may have.
const LongestHeader = fields.MaxName

// FromConnection are the certificates that clients show to this server.
func FromConnection() *Certificates { return new(Certificates) }

// FromHeader are those and the certificates that trusted proxies hand over in a field.
func FromHeader(name string, form clientcert.Form) *Certificates {
	return &Certificates{Header: textproto.CanonicalMIMEHeaderKey(name), Form: form, fields: fields.Of(name)}
}

// Strip removes from h the field with a certificate, in all spellings that somebody could take for it. Of a request
// from a trusted proxy the field itself stays, and the others go: the client may have written them, and the proxy knows
// nothing of them. A field with several lines goes, too: readers would take different ones. The Certificates may be
// nil.
func (c *Certificates) Strip(h http.Header, proxied bool) {
	if c == nil || c.Header == "" {
		return
	}
	own := h[c.Header]
	c.fields.Strip(h)
	if proxied && len(own) == 1 {
		h[c.Header] = own
	}
}

// proveCertificate wants the certificate of x5t#S256 (RFC 8705 section 3). The client has proved to the TLS server that
// it has the key. Its chain and its dates do not matter for the binding (section 6.2).
func (p *Policy) proveCertificate(by *Presented, c claims.Confirmation) error {
	if p == nil || p.Certificates == nil {
		return errNoCertificates
	}
	certificate, err := p.Certificates.of(by)
	if err != nil {
		return err
	}
	var text [43]byte
	sum := clientcert.Thumbprint(certificate)
	base64.RawURLEncoding.Encode(text[:], sum[:])
	if subtle.ConstantTimeCompare(text[:], []byte(c.CertificateThumbprint)) != 1 {
		return errCertificate
	}
	return nil
}

// of is the certificate of the client: that of the connection, or behind a trusted proxy the one that the proxy names.
func (c *Certificates) of(by *Presented) (*x509.Certificate, error) {
	switch certificate := by.Facts.Certificate(); {
	case by.Facts.Proxied() && c.Header != "":
		return c.ofProxy(by)
	case by.Facts.Proxied():
		return nil, errOfProxy
	case certificate != nil:
		return certificate, nil
	case c.Header != "":
		return nil, errNotProxied
	default:
		return nil, errNoCertificate
	}
}

// ofProxy is the certificate that a trusted proxy names.
func (c *Certificates) ofProxy(by *Presented) (*x509.Certificate, error) {
	lines := by.Request.Header[c.Header]
	switch len(lines) {
	case 1:
	case 0:
		return nil, errNoCertificate
	default:
		return nil, errTwoCertificates
	}
	certificate, err := c.Form.Parse(lines[0])
	switch {
	case errors.Is(err, clientcert.ErrEmpty):
		return nil, errNoCertificate
	case err != nil:
		return nil, &Error{Kind: Missing, Cause: fmt.Errorf("the client certificate in the header %s of the "+
			"trusted proxy: %w", c.Header, err)}
	}
	return certificate, nil
}
