// Package strictjson reads the small JSON texts of the JOSE world: JOSE headers,
// claims sets and key sets. It accepts what RFC 8259 accepts and refuses what
// two readers could understand in two ways: duplicate member names (RFC 7515
// section 4, RFC 7519 section 4), also when an escape hides that they are equal;
// invalid UTF-8 and lone surrogates, which other readers silently turn into
// U+FFFD; a byte order mark; anything after the value. Names are case-sensitive.
//
// One pass judges the whole text. What comes out is a [Value], a piece of the
// text that is known to be valid and that is read where it lies: there are no
// maps, no reflection and no intermediate tree. Time is linear in the length of
// the text, whoever wrote it.
package strictjson

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrInvalid is what every error of this package is, whatever else it is.
var ErrInvalid = errors.New("invalid JSON")

// The ways in which a text can be refused. The errors returned wrap one of them
// and tell the offset; they never quote the text.
var (
	ErrSyntax    = fmt.Errorf("%w: syntax", ErrInvalid)
	ErrUTF8      = fmt.Errorf("%w: not UTF-8", ErrInvalid)
	ErrDuplicate = fmt.Errorf("%w: duplicate member name", ErrInvalid)
	ErrDepth     = fmt.Errorf("%w: nested too deeply", ErrInvalid)
	ErrMembers   = fmt.Errorf("%w: too many members", ErrInvalid)
	ErrTooLong   = fmt.Errorf("%w: too long", ErrInvalid)
	ErrNotObject = fmt.Errorf("%w: not an object", ErrInvalid)
)

// Bounds that hold where [Limits] says nothing.
const (
	DefaultDepth   = 16
	DefaultMembers = 1024
)

// MaxText is the greatest length of a text, in bytes. It is far above every
// legitimate one and lets offsets be 32 bits wide; callers have tighter bounds.
const MaxText = 16 << 20

// Limits bounds what one text may contain.
type Limits struct {
	// Depth is how deeply objects and arrays may be nested; the outermost counts
	// as one. Zero means DefaultDepth.
	Depth int
	// Members is how many object members there may be in the whole text. Zero
	// means DefaultMembers.
	Members int
}

// Parse validates text as exactly one JSON value of any kind, surrounded by
// nothing but white space. A string is kept and sliced, bytes are copied once:
// the Value stays valid whatever becomes of the argument.
func Parse[T ~string | ~[]byte](text T, limits Limits) (Value, error) {
	s := newScanner(string(text), limits)
	return s.run(false)
}

// ParseObject is [Parse] for texts that have to be objects, as a JOSE header
// (RFC 7515 section 4) and a claims set (RFC 7519 section 7.2) have to be; any
// other value is ErrNotObject.
func ParseObject[T ~string | ~[]byte](text T, limits Limits) (Value, error) {
	s := newScanner(string(text), limits)
	return s.run(true)
}

// ParseMembers is [ParseObject] that gives the members of the outermost object,
// in the order in which they were written, without a second pass over the text.
// The slice is as long as it has to be.
func ParseMembers[T ~string | ~[]byte](text T, limits Limits) ([]Member, error) {
	s := newScanner(string(text), limits)
	s.collect = true
	if _, err := s.run(true); err != nil {
		return nil, err
	}
	list := make([]Member, s.top.n)
	for i, m := range s.top.from(0) {
		list[i] = Member{Value{m.name.of(s.text)}, Value{m.value.of(s.text)}}
	}
	return list, nil
}

// newScanner applies the defaults.
func newScanner(text string, limits Limits) scanner {
	if limits.Depth == 0 {
		limits.Depth = DefaultDepth
	}
	if limits.Members == 0 {
		limits.Members = DefaultMembers
	}
	return scanner{text: text, depth: limits.Depth, members: limits.Members}
}

// run reads the whole text. UTF-8 is judged first and for all of it, so that the
// grammar below only has to look at ASCII.
func (s *scanner) run(object bool) (Value, error) {
	if len(s.text) > MaxText {
		return Value{}, ErrTooLong
	}
	if !utf8.ValidString(s.text) {
		return Value{}, ErrUTF8
	}
	s.space()
	start := s.pos
	if object && s.peek() != '{' {
		return Value{}, ErrNotObject
	}
	if err := s.value(); err != nil {
		return Value{}, err
	}
	end := s.pos
	s.space()
	if s.pos != len(s.text) {
		return Value{}, s.syntax()
	}
	return Value{s.text[start:end]}, nil
}
