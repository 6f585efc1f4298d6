package jose

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Bounds on header parameters that travel further than this package.
const (
	maxKeyID = 512 // key identifiers are thumbprints, names, URLs
	maxType  = 127 // a media subtype, RFC 6838 section 4.2
)

// headerLimits bounds the nesting and the number of members of a header. Of the registered parameters the deepest is
// "jwk", an object with an array in it.
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
	errForeignType  = fmt.Errorf("%w: another kind of JWT than an access token", ErrType)
	errContentParam = fmt.Errorf("%w: \"cty\" is not a string", ErrMalformed)
)

// Header is a JOSE header (RFC 7515 section 4): one JSON object without duplicate names, with names compared exactly.
//
// Parameters that name or carry keys ("jku", "jwk", "x5u", "x5c", "x5t") and unknown ones are ignored, as sections 4.1
// and 4.2 want it; they decide nothing.
type Header struct {
	// Algorithm is what the token claims to be signed with.
	Algorithm Algorithm

	// KeyID is the "kid" parameter, compared byte by byte, at most 512 bytes; empty when there is none.
	KeyID string

	// Type is the "typ" parameter as a media type in lower case, without the prefix "application/": "jwt", "at+jwt".
	// It is empty when the parameter is absent, and only then.
	Type string

	// Foreign reports that Type is that of another kind of JWT than an access token, and that the caller wants it.
	Foreign bool

	object strictjson.Value
}

// Text gives a header parameter that is a string, whatever its name; false when it is absent or something else.
// It is for the key claim of a consumer credential, which may stand in the header. It is unsigned until verified like
// all the rest.
func (h *Header) Text(name string) (string, bool) {
	value, ok := h.object.Member(name)
	if !ok {
		return "", false
	}
	return value.Str()
}

// parseHeader judges a decoded header, in one walk over its members. Of the foreign types, only the wanted ones pass.
func parseHeader(text []byte, wanted []string) (Header, error) {
	object, err := strictjson.ParseObject(text, headerLimits)
	if err != nil {
		return Header{}, errHeader
	}
	h := Header{object: object}
	for name, value := range object.Members() {
		if err := h.parameter(name, value, wanted); err != nil {
			return Header{}, err
		}
	}
	if h.Algorithm == 0 {
		return Header{}, errNoAlgorithm
	}
	return h, nil
}

// parameter judges one header parameter.
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
		// RFC 7515 section 4.1.11: a recipient must refuse what it does not understand, and we understand no extension.
		// An empty list, names from the standards, or something that is no list are errors as well.
		return ErrCritical
	case "b64":
		// RFC 7797 section 7: a JWT must not use it. With "true" it would change nothing, but says that the sender
		// plays with it.
		return errUnencoded
	case "enc", "zip":
		// RFC 7516 section 9: these tell a JWE from a JWS.
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
	if !ok || kid == "" || len(kid) > maxKeyID { // an empty one names nothing, and must not count as none
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
	h.Type, h.Foreign = typ, isForeign(typ)
	if h.Foreign && !slices.Contains(wanted, typ) {
		return errForeignType
	}
	return nil
}

// checkContentType refuses a payload that is declared to be a token again (RFC 7519 section 5.2): what is inside would
// need a verification of its own, so nothing inside may be read as claims.
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
