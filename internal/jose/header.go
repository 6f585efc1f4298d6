package jose

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Bounds, in bytes, on header parameters that other packages use.
const (
	maxKeyID = 512 // key identifiers are thumbprints, names or URLs
	maxType  = 127 // for a media type's name (RFC 6838 section 4.2)
)

// headerLimits bounds the nesting of a header and the number of its members. The deepest registered parameter is "jwk",
// an object that may contain an array.
var headerLimits = strictjson.Limits{Depth: 5, Members: 64}

var (
	errHeader       = fmt.Errorf("%w: header is not strict JSON", ErrMalformed)
	errNoAlgorithm  = fmt.Errorf("%w: no algorithm in the header", ErrMalformed)
	errAlgString    = fmt.Errorf("%w: \"alg\" is not a string", ErrMalformed)
	errKeyID        = fmt.Errorf("%w: \"kid\" is not a string of 1 to %d bytes", ErrMalformed, maxKeyID)
	errTypeString   = fmt.Errorf("%w: \"typ\" is not a string", ErrMalformed)
	errContentType  = fmt.Errorf("%w: \"cty\" is not a media type", ErrMalformed)
	errUnencoded    = fmt.Errorf("%w: unencoded payload", ErrMalformed)
	errMediaType    = fmt.Errorf("%w: \"typ\" is not a media type without parameters", ErrType)
	errOtherKind    = fmt.Errorf("%w: another kind of JWT than an access token", ErrType)
	errContentParam = fmt.Errorf("%w: \"cty\" is not a string", ErrMalformed)
)

// Header is a JOSE header (RFC 7515 section 4): one JSON object without duplicate names, with names compared exactly.
//
// Parameters that name or contain keys ("jku", "jwk", "x5u", "x5c", "x5t") are ignored, and so are unknown ones, as
// sections 4.1 and 4.2 require.
type Header struct {
	// Algorithm is what the token claims to be signed with.
	Algorithm Algorithm

	// KeyID is the "kid" parameter, compared byte by byte, of at most 512 bytes. It is empty only if there is none.
	KeyID string

	// Type is the "typ" parameter as a media type, in lower case and without the prefix "application/", such as "jwt"
	// or "at+jwt". It is empty only if there is none.
	Type string

	// OtherKind reports that Type is that of another kind of JWT than an access token. The caller wanted that type.
	OtherKind bool

	object strictjson.Value
}

// Text returns a header parameter by name. It is not ok if the parameter is absent or not a string. It is for the key
// claim of a consumer's credential, which may be in the header. Like the rest of the header, it may be forged until the
// signature has been verified.
func (h *Header) Text(name string) (string, bool) {
	value, ok := h.object.Member(name)
	if !ok {
		return "", false
	}
	return value.Str()
}

// Object is the header as it was written. It keeps its text in memory, and nothing else.
func (h *Header) Object() strictjson.Value { return h.object }

// parseHeader parses a decoded header and checks its members. With an error, the result has nothing but the text of the
// members, for the log. Among the types of other kinds, only the wanted ones
// pass.
func parseHeader(text []byte, wanted []string) (Header, error) {
	// Without the white space around it (RFC 8259 section 2), whoever keeps the object keeps no more than its text.
	object, err := strictjson.ParseObject(bytes.Trim(text, " \t\r\n"), headerLimits)
	if err != nil {
		return Header{}, errHeader
	}
	h := Header{object: object}
	for name, value := range object.Members() {
		if err := h.parameter(name, value, wanted); err != nil {
			return Header{object: object}, err
		}
	}
	if h.Algorithm == 0 {
		return Header{}, errNoAlgorithm
	}
	return h, nil
}

// parameter checks one header parameter, and keeps it if it is needed.
func (h *Header) parameter(name, value strictjson.Value, wanted []string) error {
	text, _ := name.Str()
	switch text {
	case "alg":
		return h.setAlgorithm(value)
	case "kid":
		return h.setKeyID(value)
	case "typ":
		return h.setType(value, wanted)
	case "cty":
		return checkContentType(value)
	case "crit":
		// RFC 7515 section 4.1.11: a recipient must refuse extensions that it does not understand, and we understand
		// none. An empty list, names from the standards, and anything but a list are errors as well.
		return ErrCritical
	case "b64":
		// RFC 7797 section 7: a JWT must not use it. "true" would change nothing, but no honest sender writes it.
		return errUnencoded
	case "enc", "zip":
		// RFC 7516 section 9: "enc" distinguishes a JWE from a JWS.
		return ErrEncrypted
	}
	return nil
}

func (h *Header) setAlgorithm(value strictjson.Value) error {
	name, ok := value.Str()
	if !ok {
		return errAlgString
	}
	if h.Algorithm, ok = ParseAlgorithm(name); !ok {
		return ErrAlgorithm
	}
	return nil
}

func (h *Header) setKeyID(value strictjson.Value) error {
	kid, ok := value.Str()
	if !ok || kid == "" || len(kid) > maxKeyID { // an empty kid names no key, and must not count as absent
		return errKeyID
	}
	h.KeyID = kid
	return nil
}

func (h *Header) setType(value strictjson.Value, wanted []string) error {
	text, ok := value.Str()
	if !ok {
		return errTypeString
	}
	typ, ok := mediaType(text)
	if !ok {
		return errMediaType
	}
	h.Type, h.OtherKind = typ, isOtherKind(typ)
	if h.OtherKind && !slices.Contains(wanted, typ) {
		return errOtherKind
	}
	return nil
}

// checkContentType refuses a payload that is itself a token (RFC 7519 section 5.2). The inner token would have to be
// verified, too, before any of its claims may be read.
func checkContentType(value strictjson.Value) error {
	text, ok := value.Str()
	if !ok {
		return errContentParam
	}
	typ, ok := mediaType(text)
	if !ok {
		return errContentType
	}
	if isTokenType(typ) {
		return ErrNested
	}
	return nil
}
