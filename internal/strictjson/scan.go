package strictjson

import "fmt"

// scanner is one pass over one text by the grammar of RFC 8259.
type scanner struct {
	text    string
	pos     int         // the next byte to read
	depth   int         // how many containers may be open at a time
	members int         // how many more members are allowed
	level   int         // how many containers are open
	names   stack[span] // the names in the open objects, innermost last, unquoted
	collect bool        // collect the members of the outermost object in top
	top     stack[memberSpans]
}

// memberSpans is where a member is. The name includes its quotes.
type memberSpans struct{ name, value span }

// syntax is the error for a byte that the grammar does not allow in its place.
func (s *scanner) syntax() error { return s.fail(ErrSyntax) }

func (s *scanner) fail(err error) error { return &OffsetError{err, s.pos} }

// OffsetError says where a text breaks a rule.
type OffsetError struct {
	Err    error // such as ErrSyntax
	Offset int   // in bytes, from 0
}

// Error says what is wrong, and where.
func (e *OffsetError) Error() string { return fmt.Sprintf("%v at byte %d", e.Err, e.Offset) }

// Unwrap returns Err.
func (e *OffsetError) Unwrap() error { return e.Err }

// peek is the next byte, or 0 at the end of the text. A NUL in the text looks the same, but the grammar has no place
// for one either.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// space skips white space (RFC 8259 section 2).
func (s *scanner) space() { s.pos = skipSpace(s.text, s.pos) }

// value reads one value.
func (s *scanner) value() error {
	switch c := s.peek(); c {
	case '"':
		_, err := s.string()
		return err
	case '{':
		return s.object()
	case '[':
		return s.array()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c == '-' || isDigit(c) {
			return s.number()
		}
		return s.syntax()
	}
}

func (s *scanner) literal(word string) error {
	if len(s.text)-s.pos < len(word) || s.text[s.pos:s.pos+len(word)] != word {
		return s.syntax()
	}
	s.pos += len(word)
	return nil
}

// open counts one container and steps over its bracket.
func (s *scanner) open() error {
	if s.level >= s.depth {
		return s.fail(ErrDepth)
	}
	s.level++
	s.pos++
	s.space()
	return nil
}

func (s *scanner) close() {
	s.level--
	s.pos++
}

// object reads an object. While it is open, the names of its members are on s.names from base on, above those of the
// objects around it.
func (s *scanner) object() error {
	if err := s.open(); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.close()
		return nil
	}
	base, escaped := s.names.n, false
	for {
		e, err := s.member()
		if err != nil {
			return err
		}
		escaped = escaped || e
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			if hasDuplicate(s.text, s.names.from(base), escaped) {
				return s.fail(ErrDuplicate)
			}
			s.names.cut(base)
			s.close()
			return nil
		default:
			return s.syntax()
		}
	}
}

// member reads a name, a colon and a value. escaped reports whether the name was written with escapes.
func (s *scanner) member() (escaped bool, err error) {
	if s.peek() != '"' {
		return false, s.syntax()
	}
	if s.members <= 0 {
		return false, s.fail(ErrMembers)
	}
	s.members--
	name := span{start: uint32(s.pos)}
	if escaped, err = s.string(); err != nil {
		return false, err
	}
	name.end = uint32(s.pos)
	s.names.push(span{name.start + 1, name.end - 1})
	s.space()
	if s.peek() != ':' {
		return false, s.syntax()
	}
	s.pos++
	s.space()
	value := span{start: uint32(s.pos)}
	if err := s.value(); err != nil {
		return false, err
	}
	value.end = uint32(s.pos)
	if s.collect && s.level == 1 {
		s.top.push(memberSpans{name, value})
	}
	return escaped, nil
}

func (s *scanner) array() error {
	if err := s.open(); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.close()
		return nil
	}
	for {
		if err := s.value(); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case ']':
			s.close()
			return nil
		default:
			return s.syntax()
		}
	}
}

// string reads a string and reports whether it contains escapes.
func (s *scanner) string() (escaped bool, err error) {
	s.pos++
	for {
		s.pos = skipPlain(s.text, s.pos)
		switch s.peek() {
		case '"':
			s.pos++
			return escaped, nil
		case '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return false, err
			}
		default: // a control character, or the end of the text
			return false, s.syntax()
		}
	}
}

// escape reads one escape sequence, or the two of a surrogate pair. A surrogate without its other half is not a
// character (RFC 8259 section 8.2).
func (s *scanner) escape() error {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
	default:
		return s.syntax()
	}
	first, ok := hex4(s.text, s.pos+1)
	if !ok {
		return s.syntax()
	}
	if !isSurrogate(first) {
		s.pos += 5
		return nil
	}
	if first >= 0xdc00 || len(s.text)-s.pos < 7 || s.text[s.pos+5] != '\\' || s.text[s.pos+6] != 'u' {
		return s.fail(ErrUTF8)
	}
	second, ok := hex4(s.text, s.pos+7)
	if !ok {
		return s.syntax()
	}
	if second < 0xdc00 || second > 0xdfff {
		return s.fail(ErrUTF8)
	}
	s.pos += 11
	return nil
}

// number reads a number (RFC 8259 section 6). It does not judge its size, because nothing here converts it.
func (s *scanner) number() error {
	if !s.skipNumber() {
		return s.syntax()
	}
	return nil
}

// skipNumber reports whether there is a number, and ends behind it, or where the mistake is.
func (s *scanner) skipNumber() bool {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.skipDigits() {
		return false
	}
	if s.peek() == '.' {
		s.pos++
		if !s.skipDigits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		return s.skipDigits()
	}
	return true
}

// skipDigits reports whether there is a digit, and ends behind the last one.
func (s *scanner) skipDigits() bool {
	start := s.pos
	for s.pos < len(s.text) && isDigit(s.text[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isSurrogate(r rune) bool { return 0xd800 <= r && r <= 0xdfff }
