// Package apppath decides which requests belong to an application of a token issuer. An application is everything below
// a path, such as "/api/orders/", and a token of one application is no good for another.
//
// Servers read paths in many ways: some decode them twice, take a backslash for a slash, drop what follows a semicolon,
// or resolve dot segments that others pass on. A path is below another one only if nobody can climb out of it.
package apppath

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/publicpath"
)

// Check refuses a path that no application can have. It begins and ends with a slash, and has plain names alone. An
// error says how to mend it.
func Check(path string) error {
	switch {
	case path == "":
		return errors.New("it is empty: write one such as /api/orders/")
	case strings.Contains(path, "://"):
		return errors.New("give the path alone, without scheme and host")
	case strings.ContainsAny(path, "*?#{}"):
		return errors.New("give the beginning of the paths as it is, without placeholders and wildcards")
	case path[0] != '/':
		return errors.New("a path begins with a slash")
	case !strings.HasSuffix(path, "/"):
		return errors.New("it ends in a slash, so that /api is not the beginning of /apix: write " + path + "/")
	case !publicpath.Plain(path):
		return errors.New("a path has only letters, digits and -._~@/, names that are not empty and do not end in a dot, " +
			"and no two dots in a row")
	}
	return nil
}

// Has reports whether a request target, as it was on the wire, is below the path of an application. The query does not
// count.
func Has(app, target string) bool {
	path, _, _ := strings.Cut(target, "?")
	rest, below := strings.CutPrefix(path, app)
	return below && app != "" && !climbs(rest)
}

// mostDecodings is how often a path is decoded until it must not change any more.
const mostDecodings = 4

// climbs reports whether somebody may read a path, relative to a directory, as one outside of it.
func climbs(path string) bool {
	for range mostDecodings {
		if !isTame(path) {
			return true
		}
		decoded := decode(path)
		if decoded == path {
			return false
		}
		path = decoded
	}
	return true
}

// isTame reports whether a path has nothing that some reader takes for the way up, before it is decoded once more.
func isTame(path string) bool {
	if !utf8.ValidString(path) { // such as an overlong dot
		return false
	}
	if strings.Contains(path, "%u") || strings.Contains(path, "%U") { // "%u002e" is a dot to some
		return false
	}
	for _, c := range path {
		if c < ' ' || c == 0x7f || c == '\\' || c == '#' || isLookAlike(c) {
			return false
		}
	}
	for name := range strings.SplitSeq(path, "/") {
		if isDots(name) {
			return false
		}
	}
	return true
}

// isLookAlike reports whether some normalization makes a dot, a slash, a backslash or a percent sign of a character.
func isLookAlike(c rune) bool {
	switch c {
	case '\u2024', '\u2025', '\u2026', '\ufe52', '\uff0e', '\uff61', '\u3002', // dots
		'\u2044', '\u2215', '\uff0f', '\ufe68', '\uff3c', '\u2216', // slashes
		'\ufe6a', '\uff05': // percent signs
		return true
	}
	return false
}

// isDots reports whether a name is a dot segment (RFC 3986 section 3.3), also one with parameters that a reader drops,
// or with dots and blanks at its end, which Windows drops.
func isDots(name string) bool {
	if i := strings.IndexAny(name, ";,"); i >= 0 {
		name = name[:i]
	}
	return name != "" && strings.Trim(name, ". ") == "" && strings.Contains(name, ".")
}

// decode decodes what is escaped (RFC 3986 section 2.1). A percent sign that begins no escape stays.
func decode(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	decoded := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if value, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				decoded = append(decoded, byte(value))
				i += 2
				continue
			}
		}
		decoded = append(decoded, path[i])
	}
	return string(decoded)
}
