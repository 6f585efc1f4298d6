package clients

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
)

// errNoCertificate means that the connection has no certificate of the client.
var errNoCertificate = errors.New("the connection has no client certificate")

// Check refuses a connection whose certificate is not the one that the client has.
func (c *Certificate) Check(by Presented, now time.Time) error {
	cert := by.Certificate
	switch {
	case cert == nil:
		return errNoCertificate
	case c.Key != [32]byte{}: // pinned, so no authority counts
		if sha256.Sum256(cert.RawSubjectPublicKeyInfo) != c.Key {
			return errors.New("the certificate has another public key")
		}
	case !by.Verified:
		return errors.New("no authority that Caddy trusts for clients has signed the certificate: client_auth in tls says " +
			"which ones it trusts, and must have the mode require_and_verify or verify_if_given")
	case c.Subject != "" && subjectOf(cert) != c.Subject:
		return fmt.Errorf("the certificate has the subject %s", causes.Quote(subjectOf(cert)))
	case c.DNS != "" && !slices.ContainsFunc(cert.DNSNames, func(n string) bool { return strings.EqualFold(n, c.DNS) }):
		return errors.New("the certificate does not have the DNS name")
	case c.URI != "" && !c.hasURI(by):
		return errors.New("the certificate does not have the URI")
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return errors.New("the certificate has expired, or is not valid yet")
	}
	return nil
}

// subjectOf is the whole subject of a certificate as RFC 4514 writes it; empty if it cannot be read. Its parsed form
// does not do: that has only the last one of two common names, and sorts what is there.
func subjectOf(cert *x509.Certificate) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(cert.RawSubject, &name); err != nil || len(rest) > 0 {
		return ""
	}
	return name.String()
}

// attributes are the names that subjectOf writes. It writes all others as numbers.
var attributes = []string{"CN", "SERIALNUMBER", "C", "L", "ST", "STREET", "O", "OU", "POSTALCODE"}

// isSubject reports whether a text may be the subject of a certificate as subjectOf writes it. There are several other
// ways to write one, and a client with such a subject could never connect.
func isSubject(text string) bool {
	parts, good := splitSubject(text)
	for _, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		numbers := name != "" && strings.Trim(name, "0123456789.") == ""
		good = good && (numbers || slices.Contains(attributes, name)) && value != "" && value[0] != ' '
	}
	return good
}

// splitSubject splits a subject at the characters between its parts. good is false if something is escaped that
// subjectOf does not escape.
func splitSubject(text string) (parts []string, good bool) {
	good = true
	from := 0
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
			good = good && at < len(text) && strings.IndexByte(`,+"\<>;# `, text[at]) >= 0
		case ',', '+':
			parts, from = append(parts, text[from:at]), at+1
		}
	}
	return append(parts, text[from:]), good
}

// isURI reports whether a text may be a URI of a certificate as it is compared.
func isURI(text string) bool {
	uri, err := url.Parse(text)
	return err == nil && uri.IsAbs() && uri.String() == text
}

func (c *Certificate) hasURI(by Presented) bool {
	for _, uri := range by.Certificate.URIs {
		if uri.String() == c.URI {
			return true
		}
	}
	return false
}
