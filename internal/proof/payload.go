package proof

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// maxText bounds jti and nonce, in bytes. A jti must be unique, for which 16 random bytes are enough, and somebody may
// have to remember it (RFC 9449 section 11.1).
const maxText = 256

// payloadLimits bounds the nesting of a payload and the number of its members. Nothing registered is nested.
var payloadLimits = strictjson.Limits{Depth: 8, Members: 64}

var (
	errPayload    = fmt.Errorf("%w: the payload is not one object of strict JSON", ErrInvalid)
	errNoID       = missing("jti")
	errNoMethod   = missing("htm")
	errNoURI      = missing("htu")
	errNoIssuedAt = missing("iat")
)

// readPayload reads the claims of a proof (RFC 9449 section 4.2). Names are compared exactly, and none may occur twice.
// Unknown claims are ignored.
func readPayload(payload []byte) (Proof, error) {
	object, err := strictjson.ParseObject(payload, payloadLimits)
	if err != nil {
		return Proof{}, errPayload
	}
	var p Proof
	for name, value := range object.Members() {
		if err := p.readClaim(name, value); err != nil {
			return Proof{}, err
		}
	}
	return p, p.checkComplete()
}

// readClaim reads one claim, if it is one of a proof.
func (p *Proof) readClaim(name, value strictjson.Value) error {
	text, _ := name.Str()
	switch text {
	case "jti":
		return readText(&p.ID, text, value, isID, "a text of 1 to 256 bytes without control characters")
	case "htm":
		return readText(&p.Method, text, value, isNotEmpty, "a text that is not empty")
	case "htu":
		return readText(&p.URI, text, value, isNotEmpty, "a text that is not empty")
	case "ath":
		return readText(&p.TokenHash, text, value, isHash, "43 characters of base64url")
	case "nonce":
		return readText(&p.Nonce, text, value, isNonce, "1 to 256 visible characters without quote and backslash")
	case "iat":
		return readDate(&p.IssuedAt, text, value)
	case "exp":
		return readDate(&p.expires, text, value)
	case "nbf":
		return readDate(&p.notBefore, text, value)
	}
	return nil
}

// checkComplete requires the claims that every proof has (RFC 9449 section 4.3 item 3). The hash of the token is
// required with a token, so [Proof.Check] requires it.
func (p *Proof) checkComplete() error {
	switch {
	case p.ID == "":
		return errNoID
	case p.Method == "":
		return errNoMethod
	case p.URI == "":
		return errNoURI
	case p.IssuedAt.IsZero():
		return errNoIssuedAt
	}
	return nil
}

func readText(into *string, name string, value strictjson.Value, is func(string) bool, want string) error {
	text, ok := value.Str()
	if !ok || !is(text) {
		return &shapeError{name, value, want}
	}
	*into = text
	return nil
}

// readDate reads a NumericDate (RFC 7519 section 2). One of the year 1 cannot be, so no date is the zero Time.
func readDate(into *time.Time, name string, value strictjson.Value) error {
	date, ok := value.Date()
	if !ok {
		return &shapeError{name, value, "a date between 1970 and 9999 in seconds"}
	}
	*into = date
	return nil
}

func isNotEmpty(text string) bool { return text != "" }

// isID keeps a jti short, and out of everything in which a control character means something.
func isID(text string) bool {
	return text != "" && len(text) <= maxText && !strings.ContainsFunc(text, unicode.IsControl)
}

// isHash reports whether a text can be SHA-256 in base64url without padding (RFC 9449 section 4.2).
func isHash(text string) bool {
	_, ok := decodeThumbprint(text)
	return ok
}

// isNonce reports whether a text has the syntax of a nonce (RFC 9449 section 8.1), which is 1*NQCHAR (RFC 6749 appendix
// A).
func isNonce(text string) bool {
	return text != "" && len(text) <= maxText && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}
