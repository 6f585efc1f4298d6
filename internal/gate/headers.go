package gate

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// headerNames is a set of names of fields, normalised: lower case, with whatever is neither letter nor digit read as
// "-", because CGI-like backends cannot tell those characters apart.
type headerNames struct {
	names   map[string]struct{}
	lengths uint64 // bit n is set when a name has length n: most headers need no further look
}

func namesOf(names ...string) headerNames {
	m := headerNames{names: make(map[string]struct{})}
	for _, name := range names {
		m.add(name)
	}
	return m
}

// forwardable refuses a name that cannot tell the backend anything safely.
func forwardable(name string) error {
	if name == "" || strings.ContainsFunc(name, notHeaderName) {
		return errors.New("a header name has only letters, digits and hyphens here")
	}
	if len(name) > maxManagedName {
		return fmt.Errorf("a header name has at most %d characters here", maxManagedName)
	}
	return reservedFor(name)
}

// notHeaderName allows the part of RFC 9110's token that every backend reads the same: "_" and "." have aliases.
func notHeaderName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
}

const maxManagedName = 63 // so that lengths fits a word

func (m *headerNames) add(name string) {
	m.names[strings.ToLower(name)] = struct{}{}
	m.lengths |= 1 << len(name)
}

// has reports whether a header name, in whatever spelling, is in the set.
func (m *headerNames) has(name string) bool {
	if len(name) > maxManagedName || m.lengths&(1<<len(name)) == 0 {
		return false
	}
	var buf [maxManagedName]byte
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			buf[i] = c + ('a' - 'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			buf[i] = c
		default:
			buf[i] = '-'
		}
	}
	_, found := m.names[string(buf[:len(name)])]
	return found
}

// maxForwarded bounds the header of one claim: a token may be longer than what backends accept in one line, and they
// would refuse the whole request, each in its own way.
const maxForwarded = 8 << 10

// headerSafe refuses what would not arrive as it was sent: control characters could end the header and begin another
// (RFC 9110 section 5.5), and C1 controls do so for lenient readers.
func headerSafe(s string) error {
	if len(s) > maxForwarded {
		return fmt.Errorf("it needs %d bytes in a header, and may have %d: forward a smaller claim", len(s), maxForwarded)
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
