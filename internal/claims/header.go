package claims

import "github.com/caddyjwt/gateway/internal/strictjson"

// Source is what a Condition looks into: a *Set, or a *Header. A nil *Set has no claims.
type Source interface {
	// Lookup returns the value that a path leads to. It does not allocate.
	Lookup(path Path) (Value, bool)
	find(path Path) (v Value, absent bool)
	names() (member, absence string)
}

// Header is the JOSE header of a JWT that was verified here (RFC 7515 section 4). It is immutable. The zero Header is
// unknown: there is no JWT, or nobody here has verified its signature.
type Header struct {
	object strictjson.Value
	// Encryption is the "enc" of the JWE in which the JWT came (RFC 7516 section 4.1.2). It is empty without one.
	Encryption string
}

// HeaderOf is the header that is this object. The caller has verified the signature.
func HeaderOf(object strictjson.Value) Header { return Header{object: object} }

// IsZero reports whether the header is unknown.
func (h *Header) IsZero() bool { return h.object.Kind() == strictjson.Invalid }

// Text is a member of this name that is a text. It is empty without one.
func (h *Header) Text(name string) string {
	value, _ := h.object.Member(name)
	text, _ := value.Str()
	return text
}

// Size is how many bytes of memory the header keeps, beside its own fields.
func (h *Header) Size() int { return len(h.object.Text()) }

// Lookup implements Source.
func (h *Header) Lookup(path Path) (Value, bool) {
	if path.IsZero() {
		return Value{}, false
	}
	return path.below(h.member(path))
}

func (h *Header) member(path Path) (Value, bool) {
	value, ok := h.object.Member(path.segments[0])
	return Value{value}, ok
}

// find implements Source. What an unknown header has is neither there nor absent: a signature that nobody has verified
// proves neither.
func (h *Header) find(path Path) (Value, bool) {
	if h.IsZero() {
		return Value{}, false
	}
	return path.findBelow(h.member(path))
}

// names implements Source.
func (h *Header) names() (member, absence string) {
	if h.IsZero() {
		return "header member", "is unknown, because no JWT was verified here"
	}
	return "header member", "is not there"
}
