package clientcert

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// MaxSize is the longest value of the field in bytes. RFC 9440 section 3.1 expects servers to have such a bound; the
// proxies that name theirs have 16 KiB or less.
const MaxSize = 16 << 10

// ErrEmpty: the field is empty. Some proxies send it so when the client has no certificate.
var ErrEmpty = errors.New("client certificate: the field is empty")

// The errors are made in advance, because every client with a certificate can cause them.
var (
	errSize = fmt.Errorf("client certificate: the field is longer than %d bytes", MaxSize)
	errForm = errors.New("client certificate: no form is known for the field")

	errSequence = errors.New("client certificate: the field is not one byte sequence, base64 between colons (RFC 9440)")
	errPEM      = errors.New("client certificate: the field is neither PEM in one line nor base64 of a certificate")
	errEscape   = errors.New("client certificate: the field is not percent-encoded")
	errURLPEM   = errors.New("client certificate: the field is neither percent-encoded PEM nor base64 of a certificate")
	errX509     = errors.New("client certificate: there is no X.509 certificate in the field, or more than that")
)

// Parse reads the value of the one field of a request. If it has a chain, the result is the certificate of the client,
// which is the first. The others are not read, except that they must have the same form. A value that a client may have
// begun must not come here: see the package comment.
//
// What none of the proxies writes is refused: see [Form]. An empty value is [ErrEmpty].
func (f Form) Parse(value string) (*x509.Certificate, error) {
	if value == "" {
		return nil, ErrEmpty
	}
	if len(value) > MaxSize {
		return nil, errSize
	}
	der, err := f.first(value)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil { // its text may quote the certificate
		return nil, errX509
	}
	return certificate, nil
}

// first is the first certificate in a value, in DER.
func (f Form) first(value string) ([]byte, error) {
	var der []byte
	var ok bool
	switch f {
	case RFC9440:
		if der, ok = byteSequence(value); !ok {
			return nil, errSequence
		}
	case PEM:
		if der, ok = firstOf(value, " \t"); !ok {
			return nil, errPEM
		}
	case URLPEM:
		text, ok := unescape(value)
		if !ok {
			return nil, errEscape
		}
		if der, ok = firstOf(text, "\n"); !ok {
			return nil, errURLPEM
		}
		return der, nil
	default:
		return nil, errForm
	}
	return der, nil
}

// byteSequence reads a byte sequence of structured fields (RFC 9651 section 4.2.7). No parameter is defined for
// Client-Cert, and a list, as in Client-Cert-Chain, is no single certificate.
func byteSequence(value string) (der []byte, ok bool) {
	value, begins := strings.CutPrefix(value, ":")
	value, ends := strings.CutSuffix(value, ":")
	if !begins || !ends {
		return nil, false
	}
	return decode(value)
}

// unescape undoes percent-encoding. A plus sign is itself, as in a path: what encodes it as in a form has no spaces to
// encode. Besides unreserved characters (RFC 3986 section 2.3), only those of base64 and the comma of Traefik may be as
// they are.
func unescape(value string) (text string, ok bool) {
	for i := range len(value) {
		if c := value[i]; !isAlphanumeric(c) && strings.IndexByte("%-._~+/=,", c) < 0 {
			return "", false
		}
	}
	text, err := url.PathUnescape(value)
	return text, err == nil
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

const (
	begin = "-----BEGIN CERTIFICATE-----"
	end   = "-----END CERTIFICATE-----"
)

// firstOf reads blocks of PEM, or base64 with commas between certificates. ends are the characters that end a line.
func firstOf(text, ends string) (der []byte, ok bool) {
	if !strings.HasPrefix(text, begin) {
		return firstOfList(text)
	}
	for text != "" {
		body, begins := strings.CutPrefix(text, begin)
		body, rest, closed := strings.Cut(body, end)
		lines, whole := unfold(body, ends)
		block, isBase64 := decode(lines)
		if !begins || !closed || !whole || !isBase64 {
			return nil, false
		}
		if der == nil {
			der = block
		}
		text = strings.TrimLeft(rest, ends)
		if text != "" && len(text) == len(rest) { // the next block must begin a line
			return nil, false
		}
	}
	return der, true
}

// unfold joins the lines of a block. It is not ok if the lines that begin and end the block are not lines of their own.
func unfold(body, ends string) (text string, ok bool) {
	isEnd := func(r rune) bool { return strings.ContainsRune(ends, r) }
	lines := strings.FieldsFunc(body, isEnd)
	if len(lines) == 0 || strings.IndexByte(ends, body[0]) < 0 || strings.IndexByte(ends, body[len(body)-1]) < 0 {
		return "", false
	}
	return strings.Join(lines, ""), true
}

// firstOfList reads base64 with commas between certificates.
func firstOfList(text string) (der []byte, ok bool) {
	for one := range strings.SplitSeq(text, ",") {
		decoded, ok := decode(one)
		if !ok {
			return nil, false
		}
		if der == nil {
			der = decoded
		}
	}
	return der, true
}

// decode reads base64 with padding (RFC 4648 section 4). One text stands for given bytes, and none for no bytes.
func decode(text string) (decoded []byte, ok bool) {
	if text == "" || strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return nil, false
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	return decoded, err == nil
}
