package jose

import (
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// maxPartyInfo bounds "apu" and "apv", in characters. They are names or identifiers of the two parties.
const maxPartyInfo = 1024

// maxCoordinate bounds a coordinate of "epk", in bytes. Those of P-521 are the longest.
const maxCoordinate = 66

var (
	errFiveParts    = fmt.Errorf("%w: not five parts", ErrMalformed)
	errParameter    = fmt.Errorf("%w: not a non-empty string in the header of an encrypted token", ErrMalformed)
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
	// Curve is that of the sender's ephemeral key "epk", and Point its uncompressed form (SEC 1 section 2.3.3), of any
	// length, and perhaps on no curve. They are empty if there is none.
	Curve string
	Point []byte
	// PartyU and PartyV are "apu" and "apv". They are empty only if there are none.
	PartyU, PartyV []byte
	// Nested reports that by "cty" the content is a JWT (RFC 7519 section 5.2).
	Nested bool
	// EncryptedKey, IV and Sealed are the decoded parts. Sealed is the content with the tag behind it, whose last TagSize
	// bytes the tag is. They lie in the buffer that the token was decoded into.
	EncryptedKey, IV, Sealed []byte
	TagSize                  int
	// AdditionalData is the encoded header, which the tag protects, too (RFC 7516 section 5.1).
	AdditionalData string

	object strictjson.Value
}

// Forget drops what lies in the buffer.
func (e *Encrypted) Forget() { e.EncryptedKey, e.IV, e.Sealed = nil, nil, nil }

// ParseEncrypted parses a token of five parts in strict base64url. The first is a JSON object. It decodes into buf as
// Parse does, where the parts of the result are until Forget. Types are as for Parse.
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
	ends := [...]int{n, 0, 0, 0, 0}
	for i := 1; i < len(ends); i++ {
		var part string
		part, rest, _ = strings.Cut(rest, ".")
		if n, ok = decode(buf[ends[i-1]:], part); !ok {
			return Encrypted{object: e.object}, errEncoding
		}
		ends[i] = ends[i-1] + n
	}
	e.AdditionalData, e.EncryptedKey, e.IV = first, buf[ends[0]:ends[1]], buf[ends[1]:ends[2]]
	e.Sealed, e.TagSize = buf[ends[2]:ends[4]], ends[4]-ends[3]
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
	case "apu":
		return setPartyInfo(value, &e.PartyU)
	case "apv":
		return setPartyInfo(value, &e.PartyV)
	case "crit": // as in a JWS: see Header.parameter
		return ErrCritical
	case "zip": // compressed contents can be huge, and their length depends on the secret (RFC 8725 section 3.6)
		return forbidden(name)
	case "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", // only "kid" selects the key
		"p2s", "p2c", "iv", "tag", // of algorithms that are not implemented
		"b64": // of a JWS (RFC 7797)
		return forbidden(name)
	}
	return nil
}

func forbidden(name string) error {
	return fmt.Errorf("%w: %q is not accepted in the header of an encrypted token", ErrMalformed, name)
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

// setEphemeral keeps "epk", a public key on an elliptic curve (RFC 7518 section 4.6.1.1). It may have nothing private,
// and no other key or certificate. That the point is on the curve is checked by who uses it.
func (e *Encrypted) setEphemeral(epk strictjson.Value) error {
	if epk.Kind() != strictjson.Object {
		return errEphemeral
	}
	var kty, crv, x, y string
	for name, value := range epk.Members() {
		member, _ := name.Str()
		switch text, _ := value.Str(); member {
		case "kty":
			kty = text
		case "crv":
			crv = text
		case "x":
			x = text
		case "y":
			y = text
		case "kid", "alg", "use", "key_ops", "ext":
		default:
			return errEphemeral
		}
	}
	half := decodedLen(len(x))
	if kty != "EC" || crv == "" || half == 0 || half > maxCoordinate || len(y) != len(x) { // RFC 7518 section 6.2.1.2
		return errEphemeral
	}
	point := make([]byte, 1+2*half)
	point[0] = 4 // uncompressed
	_, okX := decode(point[1:], x)
	_, okY := decode(point[1+half:], y)
	if !okX || !okY {
		return errEphemeral
	}
	e.Curve, e.Point = crv, point
	return nil
}

// setPartyInfo keeps "apu" or "apv" (RFC 7518 sections 4.6.1.2 and 4.6.1.3).
func setPartyInfo(value strictjson.Value, into *[]byte) error {
	text, ok := value.Str()
	if !ok || text == "" || len(text) > maxPartyInfo {
		return errPartyInfo
	}
	info := make([]byte, decodedLen(len(text)))
	if _, ok := decode(info, text); !ok {
		return errPartyInfo
	}
	*into = info
	return nil
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
