package jose

import (
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// maxPartyInfo bounds "apu" and "apv", in characters. They are names or identifiers of the two parties.
const maxPartyInfo = 1024

var (
	errFiveParts    = fmt.Errorf("%w: not five parts", ErrMalformed)
	errParameter    = fmt.Errorf("%w: not a non-empty string in the header of an encrypted token", ErrMalformed)
	errForbidden    = fmt.Errorf("%w: not accepted in the header of an encrypted token", ErrMalformed)
	errEphemeral    = fmt.Errorf("%w: \"epk\" is not a public key", ErrMalformed)
	errPartyInfo    = fmt.Errorf("%w: \"apu\" or \"apv\" is not base64url", ErrMalformed)
	errNoEncryption = fmt.Errorf("%w: no \"alg\" or no \"enc\" in the header", ErrMalformed)
)

// Encrypted is a parsed JWE in compact serialisation (RFC 7516 section 7.1). Nothing in it may be believed before it is
// decrypted, and then it is still no proof of who made it: everybody may encrypt to a public key.
type Encrypted struct {
	// Algorithm is how the key of the content is encrypted, and Encryption how the content is: "alg" and "enc" as they
	// came.
	Algorithm, Encryption string
	// KeyID is the "kid" of the recipient's key. It is empty only if there is none.
	KeyID string
	// Curve is that of the sender's ephemeral key. It is empty if there is none.
	Curve string
	// Nested reports that by "cty" the content is a JWT (RFC 7519 section 5.2).
	Nested bool
	// Lengths of the decoded parts, in bytes.
	KeySize, IVSize, ContentSize, TagSize int

	object strictjson.Value
}

// ParseEncrypted parses a token of five parts in strict base64url. The first is a JSON object. It decodes into buf as
// Parse does, and needs nothing of it afterwards. Types are as for Parse.
//
// The header may have what an algorithm needs, "kid", "typ" and "cty". It may repeat claims, and have parameters that
// nobody knows, which say nothing (RFC 7516 section 4). Parameters that name or contain keys are refused, and so are
// those that would change how the token is read: a sender that relies on them must not be misunderstood. Errors are as
// those of Parse.
func ParseEncrypted(token string, buf []byte, wanted ...string) (Encrypted, error) {
	if len(token) > maxToken {
		return Encrypted{}, errTooLong
	}
	if strings.Count(token, ".") != 4 {
		return Encrypted{}, errFiveParts
	}
	first, rest, _ := strings.Cut(token, ".")
	if len(first) > (maxHeader*4+2)/3 {
		return Encrypted{}, errHeaderSize
	}
	if need := decodedLen(len(token)); cap(buf) < need {
		buf = make([]byte, need)
	}
	buf = buf[:cap(buf)]
	n, ok := decode(buf, first)
	if !ok {
		return Encrypted{}, errEncoding
	}
	e, err := parseOuterHeader(buf[:n], wanted)
	if err != nil {
		return e, err
	}
	for _, size := range []*int{&e.KeySize, &e.IVSize, &e.ContentSize, &e.TagSize} {
		var part string
		part, rest, _ = strings.Cut(rest, ".")
		if *size, ok = decode(buf, part); !ok {
			return Encrypted{object: e.object}, errEncoding
		}
	}
	return e, nil
}

// parseOuterHeader parses a decoded header. With an error, the result has nothing but the text, for the log.
func parseOuterHeader(text []byte, wanted []string) (Encrypted, error) {
	object, err := strictjson.ParseObject(text, headerLimits)
	if err != nil {
		return Encrypted{}, errHeader
	}
	e := Encrypted{object: object}
	for name, value := range object.Members() {
		text, _ := name.Str()
		if err := e.parameter(text, value, wanted); err != nil {
			return Encrypted{object: object}, err
		}
	}
	if e.Algorithm == "" || e.Encryption == "" {
		return Encrypted{object: object}, errNoEncryption
	}
	return e, nil
}

// parameter checks one header parameter, and keeps it if it is needed.
func (e *Encrypted) parameter(name string, value strictjson.Value, wanted []string) error {
	switch name {
	case "alg":
		return nonEmpty(value, &e.Algorithm)
	case "enc":
		return nonEmpty(value, &e.Encryption)
	case "kid":
		var h Header
		err := h.setKeyID(value)
		e.KeyID = h.KeyID
		return err
	case "typ":
		return new(Header).setType(value, wanted)
	case "cty":
		e.Nested = isJWT(value, wanted)
		return nil
	case "epk":
		return e.setEphemeral(value)
	case "apu", "apv":
		return checkPartyInfo(value)
	case "crit": // as in a JWS: see Header.parameter
		return ErrCritical
	case "zip": // compressed contents can be huge, and their length depends on the secret (RFC 8725 section 3.6)
		return fmt.Errorf("\"zip\": %w", errForbidden)
	case "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", // only "kid" selects the key
		"p2s", "p2c", "iv", "tag", // of algorithms that are not implemented
		"b64": // of a JWS (RFC 7797)
		return fmt.Errorf("%q: %w", name, errForbidden)
	}
	return nil
}

func nonEmpty(value strictjson.Value, into *string) error {
	text, ok := value.Str()
	if !ok || text == "" {
		return errParameter
	}
	*into = text
	return nil
}

// isJWT reports whether a "cty" says that the content is a JWT. The type may be more exact than that.
func isJWT(cty strictjson.Value, wanted []string) bool {
	text, _ := cty.Str()
	typ, ok := mediaType(text)
	if !ok {
		return false
	}
	if typ == "jwt" || typ == "at+jwt" {
		return true
	}
	for _, other := range wanted {
		if typ == other {
			return true
		}
	}
	return false
}

// ephemeralMembers are those that "epk" may have: nothing private, and no other key or certificate (RFC 7518 section
// 4.6.1.1).
var ephemeralMembers = map[string]bool{
	"kty": true, "crv": true, "x": true, "y": true, "kid": true, "alg": true, "use": true, "key_ops": true, "ext": true,
}

// setEphemeral keeps the curve of "epk", a public key on an elliptic curve (RFC 7518 section 4.6.1.1). That the point
// is on the curve is checked by who uses it.
func (e *Encrypted) setEphemeral(epk strictjson.Value) error {
	if epk.Kind() != strictjson.Object {
		return errEphemeral
	}
	kty, _ := epk.Member("kty")
	crv, _ := epk.Member("crv")
	curve, ok := crv.Str()
	if !kty.Equal("EC") || !ok || curve == "" {
		return errEphemeral
	}
	for name := range epk.Members() {
		if text, _ := name.Str(); !ephemeralMembers[text] {
			return errEphemeral
		}
	}
	for _, name := range []string{"x", "y"} {
		value, _ := epk.Member(name)
		if text, ok := value.Str(); !ok || !isBase64URL(text) {
			return errEphemeral
		}
	}
	e.Curve = curve
	return nil
}

// checkPartyInfo checks "apu" or "apv" (RFC 7518 sections 4.6.1.2 and 4.6.1.3).
func checkPartyInfo(value strictjson.Value) error {
	if text, ok := value.Str(); !ok || !isBase64URL(text) {
		return errPartyInfo
	}
	return nil
}

func isBase64URL(text string) bool {
	if text == "" || len(text) > maxPartyInfo {
		return false
	}
	var buf [maxPartyInfo]byte
	_, ok := decode(buf[:], text)
	return ok
}

// Issuer is the "iss" that the header repeats (RFC 7519 section 5.3). It is empty if there is none.
func (e *Encrypted) Issuer() string {
	value, _ := e.object.Member("iss")
	text, _ := value.Str()
	return text
}

// Repeated are the members of the header that may repeat claims: all but the parameters of a JWE.
func (e *Encrypted) Repeated(yield func(name string, value strictjson.Value) bool) {
	for name, value := range e.object.Members() {
		text, _ := name.Str()
		switch text {
		case "alg", "enc", "kid", "typ", "cty", "epk", "apu", "apv":
			continue
		}
		if !yield(text, value) {
			return
		}
	}
}
