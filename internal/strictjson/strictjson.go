// Package strictjson reads the small JSON texts of the JOSE world: JOSE headers, claims sets and key sets. It accepts
// what RFC 8259 accepts, but refuses what two readers could understand in two ways: duplicate member names (RFC 7515
// section 4, RFC 7519 section 4), even when an escape hides that they are equal; invalid UTF-8 and lone surrogates,
// which other readers silently turn into U+FFFD; a byte order mark; anything after the value. Names are case-sensitive.
//
// One pass judges the whole text. The result is a [Value]: a piece of the text that is known to be valid and is read in
// place. There are no maps, no reflection and no intermediate tree. The time is linear in the length of the text,
// whoever wrote it.
package strictjson

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrInvalid is wrapped by every error of this package.
var ErrInvalid = errors.New("invalid JSON")

// The ways in which a text can be refused. An error wraps one of them and gives the offset. It never quotes the text.
var (
	ErrSyntax    = fmt.Errorf("%w: syntax", ErrInvalid)
	ErrUTF8      = fmt.Errorf("%w: not UTF-8", ErrInvalid)
	ErrDuplicate = fmt.Errorf("%w: duplicate member name", ErrInvalid)
	ErrDepth     = fmt.Errorf("%w: nested too deeply", ErrInvalid)
	ErrMembers   = fmt.Errorf("%w: too many members", ErrInvalid)
	ErrTooLong   = fmt.Errorf("%w: too long", ErrInvalid)
	ErrNotObject = fmt.Errorf("%w: not an object", ErrInvalid)
)

// Bounds that apply when [Limits] does not set others.
const (
	DefaultDepth   = 16
	DefaultMembers = 1024
)

// MaxText is the greatest length of a text, in bytes. It is far above every legitimate one, and keeps offsets within 32
// bits. Callers have tighter bounds.
const MaxText = 16 << 20

// Limits bounds what one text may contain.
type Limits struct {
	// Depth is how deeply objects and arrays may be nested; the outermost counts as one. Zero means DefaultDepth.
	Depth int
	// Members is how many object members the whole text may have. Zero means DefaultMembers.
	Members int
}

// Parse validates text as exactly one JSON value of any kind, with nothing but white space around it. It keeps a string
// and slices it; it copies bytes once. So the Value stays valid whatever becomes of the argument.
func Parse[T ~string | ~[]byte](text T, limits Limits) (Value, error) {
	s := newScanner(string(text), limits)
	return s.run(false)
}

// ParseObject is [Parse] for texts that must be objects, such as a JOSE header (RFC 7515 section 4) and a claims set
// (RFC 7519 section 7.2). Any other value is ErrNotObject.
func ParseObject[T ~string | ~[]byte](text T, limits Limits) (Value, error) {
	s := newScanner(string(text), limits)
	return s.run(true)
}

// ParseMembers is [ParseObject], but returns the members of the outermost object in the order of the text, without a
// second pass. The slice has no spare capacity.
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

// run reads the whole text. It checks UTF-8 first and for the whole text, so that the grammar only has to look at
// ASCII.
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

// IsNumber reports whether a text is a number and nothing else, not even white space. It does not allocate.
func IsNumber(text string) bool {
	s := scanner{text: text}
	return s.skipNumber() && s.pos == len(text)
}
