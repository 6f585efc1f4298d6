package strictjson

import (
	"strings"
	"unicode/utf8"
)

// unescape returns the content of a valid string: s itself when there is nothing to unescape.
func unescape(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s)) // an escape is never shorter than what it stands for
	for ; i >= 0; i = strings.IndexByte(s, '\\') {
		b.WriteString(s[:i])
		r, n := unescapeOne(s[i:])
		b.WriteRune(r)
		s = s[i+n:]
	}
	b.WriteString(s)
	return b.String()
}

// equalUnescaped reports whether the content of the valid string s is want.
func equalUnescaped(s, want string) bool {
	// Nearly all comparisons end here. An escape is longer than what it stands for. So content of the same length has no
	// escape, and shorter content cannot be equal.
	if len(s) <= len(want) {
		return s == want && strings.IndexByte(s, '\\') < 0
	}
	var buf [utf8.UTFMax]byte
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			return s == want
		}
		if len(want) < i || s[:i] != want[:i] {
			return false
		}
		r, n := unescapeOne(s[i:])
		encoded := utf8.AppendRune(buf[:0], r)
		if want = want[i:]; len(want) < len(encoded) || want[:len(encoded)] != string(encoded) {
			return false
		}
		s, want = s[i+n:], want[len(encoded):]
	}
}

// hasPrefixUnescaped reports whether the content of the valid string s begins with want, which is UTF-8. It does not
// allocate.
func hasPrefixUnescaped(s, want string) bool {
	var buf [utf8.UTFMax]byte
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i >= len(want) {
			return strings.HasPrefix(s, want)
		}
		if s[:i] != want[:i] {
			return false
		}
		r, n := unescapeOne(s[i:])
		encoded := utf8.AppendRune(buf[:0], r)
		if want = want[i:]; len(want) < len(encoded) || want[:len(encoded)] != string(encoded) {
			return false
		}
		s, want = s[i+n:], want[len(encoded):]
	}
}

// hasSuffixUnescaped reports whether the content of the valid string s ends with want, which is UTF-8. It does not
// allocate.
func hasSuffixUnescaped(s, want string) bool {
	before := unescapedLen(s) - len(want)
	for before > 0 {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i >= before {
			s, before = s[before:], 0
			break
		}
		r, n := unescapeOne(s[i:])
		s, before = s[i+n:], before-i-utf8.RuneLen(r)
	}
	return before == 0 && equalUnescaped(s, want)
}

// unescapedLen is how many bytes the content of the valid string s has.
func unescapedLen(s string) (length int) {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			return length + len(s)
		}
		r, n := unescapeOne(s[i:])
		length, s = length+i+utf8.RuneLen(r), s[i+n:]
	}
}

// unescapeOne decodes the valid escape at the start of s, and returns its length.
func unescapeOne(s string) (r rune, n int) {
	switch s[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default: // a quote, a backslash or a slash
		return rune(s[1]), 2
	}
	r, _ = hex4(s, 2)
	if !isSurrogate(r) {
		return r, 6
	}
	low, _ := hex4(s, 8)
	return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, 12
}

// hex4 reads four hexadecimal digits at i.
func hex4(s string, i int) (r rune, ok bool) {
	if len(s)-i < 4 {
		return 0, false
	}
	for _, c := range []byte(s[i : i+4]) {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
