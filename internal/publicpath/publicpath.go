// Package publicpath decides which request targets are those of public pages, which need no token.
//
// A target is public only if nobody can read another path in it. Servers read paths in many ways: some decode them
// twice, fold case, drop what follows a semicolon, take a backslash for a slash, or resolve dot segments that others
// pass on. So the characters of a public path are a short list, none of which any server decodes or drops. For such a
// path, what is on the wire, what Caddy routes by and what the backend reads are the same text.
package publicpath

import (
	"net/url"
	"strings"
)

// Set is a set of public paths. The zero value is empty. It must not be changed while it is used.
type Set struct {
	exact map[string]struct{}
	below []string // each ends in a slash
}

// Empty reports whether the set has no path. Then no target is public.
func (s *Set) Empty() bool { return len(s.exact) == 0 && len(s.below) == 0 }

// Has reports whether the URL of a request is public. Letters are compared exactly, and the query does not count.
//
// Below a path with "/*", a name must not begin with a dot: ".git" and ".env" are there by mistake more often than not.
// A path that names them opens them.
func (s *Set) Has(u *url.URL) bool {
	if u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil {
		return false
	}
	if u.RawPath != "" && u.RawPath != u.Path {
		return false // an escape, which some servers decode and others do not
	}
	if _, ok := s.exact[u.Path]; ok {
		return true
	}
	for _, prefix := range s.below {
		if rest, ok := strings.CutPrefix(u.Path, prefix); ok && areNames(rest, false) {
			return true
		}
	}
	return false
}

// Plain reports whether a request target, as it was on the wire, can be read in one way only: it is in origin form (RFC
// 9112 section 3.2.1), and its path has neither escapes nor dot segments nor empty ones. The query does not count.
func Plain(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	rest, ok := strings.CutPrefix(path, "/")
	return ok && areNames(rest, true)
}

// areNames reports whether what follows a slash is plain names with slashes between them. The last one may be empty.
//
// A dot stands alone inside a name, or at its beginning if names may be hidden. So there are no dot segments (RFC 3986
// section 3.3), and no name ends in a dot, which Windows would drop.
func areNames(rest string, hidden bool) bool {
	before := byte('/')
	for i := range len(rest) {
		c := rest[i]
		switch {
		case c == '/':
			if before == '/' || before == '.' {
				return false
			}
		case c == '.':
			if before == '.' || before == '/' && !hidden {
				return false
			}
		case !isPlain(c):
			return false
		}
		before = c
	}
	return before != '.'
}

// isPlain reports whether a character of a name means the same to every server: the unreserved characters of RFC 3986
// section 2.3 without the dot, and "@", which names of images and scripts have.
func isPlain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '_' || c == '~' || c == '@'
}
