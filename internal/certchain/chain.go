// Package certchain says whether the certificate of a signer leads to a certificate authority that the configuration
// names, and until when (RFC 5280 section 6). It asks nobody: no issuer, no CRL and no OCSP server.
package certchain

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/jose"
)

// MaxLength is how many certificates a chain may have, that of the authority included. Real ones have three or four.
const MaxLength = 8

// Chain is the certificate of a signer, and those of the issuers behind it. It is immutable.
type Chain struct {
	signer  *x509.Certificate
	issuers []*x509.Certificate
	pool    *x509.CertPool // of the issuers
}

// NewChain makes a chain of certificates. The first is that of the signer, and each of the others is that of the issuer
// of the one before (RFC 7517 section 4.7). It checks what neither time nor authorities can change. No name may occur
// twice: the ways through a few certificates with one name are more than anybody should try. Its error is an *Error.
func NewChain(certificates ...*x509.Certificate) (*Chain, error) {
	switch {
	case len(certificates) == 0:
		return nil, &Error{NoCertificate, "a key has no certificate"}
	case len(certificates) > MaxLength:
		return nil, &Error{BadChain, fmt.Sprintf("a chain has %d certificates, at most %d are taken",
			len(certificates), MaxLength)}
	}
	c := &Chain{certificates[0], certificates[1:], x509.NewCertPool()}
	if err := maySign(c.signer); err != nil {
		return nil, err
	}
	for i, issuer := range c.issuers {
		if !bytes.Equal(certificates[i].RawIssuer, issuer.RawSubject) {
			return nil, &Error{BadChain, fmt.Sprintf("%s has not issued %s: behind each certificate comes that of its issuer",
				name(issuer), name(certificates[i]))}
		}
		if slices.ContainsFunc(certificates[:i+1], func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, issuer.RawSubject)
		}) {
			return nil, &Error{BadChain, fmt.Sprintf("%s is twice in a chain", name(issuer))}
		}
		c.pool.AddCert(issuer)
	}
	for _, certificate := range certificates {
		if err := strong(certificate); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// ParseChain is NewChain for certificates in DER.
func ParseChain(ders [][]byte) (*Chain, error) {
	if len(ders) > MaxLength { // before the work of reading them
		return nil, &Error{BadChain, fmt.Sprintf("a chain has %d certificates, at most %d are taken", len(ders), MaxLength)}
	}
	certificates := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		var err error
		if certificates[i], err = x509.ParseCertificate(der); err != nil {
			return nil, &Error{BadChain, "a certificate cannot be read: " + causes.Line(err)}
		}
	}
	return NewChain(certificates...)
}

// ParsePEM reads the chains in a PEM text. Each begins with the certificate of a signer. Behind it come those of its
// issuers, which are certificate authorities.
func ParsePEM(data []byte) (chains []*Chain, err error) {
	certificates, err := readPEM(data)
	if err != nil {
		return nil, err
	}
	for len(certificates) > 0 {
		end := 1
		for end < len(certificates) && certificates[end].IsCA {
			end++
		}
		chain, err := NewChain(certificates[:end:end]...)
		if err != nil {
			return nil, err
		}
		chains, certificates = append(chains, chain), certificates[end:]
	}
	return chains, nil
}

func readPEM(data []byte) ([]*x509.Certificate, error) {
	blocks, err := jose.PEMBlocks(data)
	if err != nil {
		return nil, err
	}
	certificates := make([]*x509.Certificate, len(blocks))
	for i, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, &Error{NoCertificate, fmt.Sprintf("the PEM block %s is no certificate: with ca, only certificates are "+
				"taken", causes.Quote(block.Type))}
		}
		if certificates[i], err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, &Error{BadChain, "a certificate cannot be read: " + causes.Line(err)}
		}
	}
	return certificates, nil
}

// Key makes the key of the signer, for all algorithms that fit it.
func (c *Chain) Key() (*jose.Key, error) { return jose.NewPublicKey("", c.signer.PublicKey, 0) }

// maySign checks that a certificate is one for signatures of messages. If it has a key usage, it must be
// digitalSignature: all other signatures are made with it (RFC 5280 section 4.2.1.3). The certificate of an authority
// is for signatures on certificates (section 4.2.1.9): a key that certifies others must not sign tokens.
func maySign(certificate *x509.Certificate) error {
	hasUsage := slices.ContainsFunc(certificate.Extensions, isKeyUsage)
	switch {
	case certificate.IsCA:
		return &Error{NotForSignatures, fmt.Sprintf("%s is a certificate authority, not a signer", name(certificate))}
	case hasUsage && certificate.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return &Error{NotForSignatures, fmt.Sprintf("the key usage of %s is not digitalSignature", name(certificate))}
	}
	return nil
}

// isKeyUsage finds the extension itself: one that names no usage must not count as absent.
func isKeyUsage(e pkix.Extension) bool { return e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 15}) }

// strong refuses a certificate whose key is weak, as for keys of tokens: whoever breaks the key of an issuer makes
// signers of its own.
func strong(certificate *x509.Certificate) error {
	if _, err := jose.NewPublicKey("", certificate.PublicKey, 0); err != nil {
		return &Error{BadChain, fmt.Sprintf("the key of %s: %s", name(certificate), causes.Line(err))}
	}
	return nil
}

// name is what errors call a certificate. Its subject is a stranger's text.
func name(certificate *x509.Certificate) string { return causes.Quote(certificate.Subject.String()) }

// outside says when a certificate is out of its dates.
func outside(certificate *x509.Certificate, now time.Time) *Error {
	switch {
	case now.Before(certificate.NotBefore):
		return &Error{NotYetValid, fmt.Sprintf("%s is not valid before %s", name(certificate), date(certificate.NotBefore))}
	case !now.Before(certificate.NotAfter):
		return &Error{Expired, fmt.Sprintf("%s expired at %s", name(certificate), date(certificate.NotAfter))}
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
