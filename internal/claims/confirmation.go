package claims

import (
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Confirmation is cnf (RFC 7800 section 3.1), the key to which a token is bound. Such a token is not a bearer token:
// whoever presents it must prove possession of that key.
type Confirmation struct {
	// Bound reports that there is a cnf claim, whatever its content.
	Bound bool
	// Unknown reports that the claim is not fully understood: it has another member than the two below, a thumbprint of
	// another form, or nothing at all. No proof satisfies such a claim.
	Unknown bool
	// KeyThumbprint is jkt, the thumbprint of a public key (RFC 9449 section 6.1).
	KeyThumbprint string
	// CertificateThumbprint is x5t#S256, that of a client certificate (RFC 8705 section 3.1).
	CertificateThumbprint string
}

// thumbprintLength is that of SHA-256 in base64url without padding.
const thumbprintLength = 43

// confirmation reads cnf. It refuses nothing, since a claim that it cannot read binds the token all the same.
func (s *Set) confirmation(v strictjson.Value) Confirmation {
	c := Confirmation{Bound: true}
	for name, value := range v.Members() {
		var into *string
		switch text, _ := name.Str(); text {
		case "jkt":
			into = &c.KeyThumbprint
		case "x5t#S256":
			into = &c.CertificateThumbprint
		default:
			c.Unknown = true
			continue
		}
		if text, ok := s.str(value); ok && isThumbprint(text) {
			*into = text
		} else {
			c.Unknown = true
		}
	}
	c.Unknown = c.Unknown || c.KeyThumbprint == "" && c.CertificateThumbprint == ""
	return c
}

func isThumbprint(text string) bool {
	return len(text) == thumbprintLength && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
