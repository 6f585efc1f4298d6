// Package fields has the rules for header fields from which a backend learns who is calling: which names they may have,
// in which spellings a client could forge them, and which values arrive as they were sent.
package fields

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Names is a set of normalised field names: in lower case, with "-" for every character that is neither a letter nor a
// digit. CGI-like backends cannot distinguish those characters. The zero Names takes no name: see Of.
type Names struct {
	names   map[string]struct{}
	lengths uint64 // bit n is set if a name has length n, which rules out most fields without a look-up
}

// Of makes a set.
func Of(names ...string) Names {
	m := Names{names: make(map[string]struct{})}
	for _, name := range names {
		m.Add(name)
	}
	return m
}

// CheckName refuses a header name in which a backend could not safely receive anything.
func CheckName(name string) error {
	if name == "" || strings.ContainsFunc(name, isOutsideHeaderName) {
		return errors.New("a header name has only letters, digits and hyphens here")
	}
	if name[0] == '-' || name[len(name)-1] == '-' {
		return errors.New("a header name begins and ends with a letter or a digit here")
	}
	if len(name) > MaxName {
		return fmt.Errorf("a header name has at most %d characters here", MaxName)
	}
	return checkReserved(name)
}

// isOutsideHeaderName allows only the characters of a token (RFC 9110 section 5.6.2) that every backend reads alike.
// Some read "_" and "." as other characters.
func isOutsideHeaderName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
}

// MaxName is how many bytes a name may have that is to be found in Names, so that Names.lengths fits a word.
const MaxName = 63

// Add adds a name of at most MaxName bytes, in any spelling. Longer ones are not found again.
func (m *Names) Add(name string) {
	normal := make([]byte, len(name))
	for i := range len(name) {
		normal[i] = normalized(name[i])
	}
	m.names[string(normal)] = struct{}{}
	m.lengths |= 1 << len(name)
}

// normalized is a character of a name as it is in Names.
func normalized(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + ('a' - 'A')
	case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		return c
	default:
		return '-'
	}
}

// Has reports whether a field name, in whatever spelling, is in the set.
func (m *Names) Has(name string) bool {
	if len(name) > MaxName || m.lengths&(1<<len(name)) == 0 {
		return false
	}
	var buf [MaxName]byte
	for i := range len(name) {
		buf[i] = normalized(name[i])
	}
	_, found := m.names[string(buf[:len(name)])]
	return found
}

// All lists the names of the set, sorted.
func (m *Names) All() []string { return slices.Sorted(maps.Keys(m.names)) }

// Strip deletes the names of the set from h. It uses raw keys, since Header.Del would miss names that are not in
// canonical form.
func (m *Names) Strip(h http.Header) {
	for name := range h {
		if m.Has(name) {
			delete(h, name)
		}
	}
}

// MaxValue bounds a forwarded header value, in bytes. A token may be longer than what backends accept in one line;
// they would refuse the whole request, each in its own way.
const MaxValue = 8 << 10

// CheckValue refuses a value that would not arrive as it was sent. A control character could end the field and
// begin another (RFC 9110 section 5.5); for lenient readers, C1 controls do so, too.
func CheckValue(s string) error {
	if len(s) > MaxValue {
		return fmt.Errorf("it needs %d bytes in a header, and may have %d: forward a smaller value", len(s), MaxValue)
	}
	if !utf8.ValidString(s) {
		return errors.New("it is not UTF-8")
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == '\u2028' || r == '\u2029' {
			return errors.New("it has a control character")
		}
	}
	return nil
}
