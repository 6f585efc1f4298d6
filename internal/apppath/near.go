package apppath

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/publicpath"
)

// Path is the path of a request target in a major version of HTTP, as the client wrote it: what is before the query in
// origin form (RFC 9112 section 3.2.1), and between the authority and the query in absolute form. A server must take
// that in HTTP/1.1 (section 3.2.2). Later versions do not have it: their ":path" begins with a slash (RFC 9113 section
// 8.3.1). The path is empty if the target has another form, or an authority that is not a plain host and port.
func Path(target string, major int) string {
	target, _, _ = strings.Cut(target, "?")
	if strings.HasPrefix(target, "/") {
		return target
	}
	scheme, rest, _ := strings.Cut(target, "://")
	if major > 1 || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return ""
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 1 || strings.ContainsFunc(rest[:slash], isForeignToHosts) {
		return ""
	}
	return rest[slash:]
}

func isForeignToHosts(c rune) bool {
	isLetter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	return !isLetter && (c < '0' || '9' < c) && !strings.ContainsRune(".-_:[]", c)
}

// Addresses are paths that requests must have exactly, such as "/api/orders/login". The zero value has none.
type Addresses struct {
	paths []string
	names [][]string // of each path, what is between its slashes
	most  int        // names of a path
}

// NewAddresses has addresses of applications: each is a path for which Check finds no mistake, with one more name.
func NewAddresses(paths []string) Addresses {
	a := Addresses{paths: paths}
	for _, path := range paths {
		names := strings.Split(path[1:], "/")
		a.names, a.most = append(a.names, names), max(a.most, len(names))
	}
	return a
}

// Astray finds the address that a request with this target is almost for, and gives its number; -1 for none, and for a
// request without a body that gets a page of almost that name. Whoever else gets the request may find a password or a
// token in it.
func (a *Addresses) Astray(r *http.Request, target string) int {
	n := a.Near(target)
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		if n >= 0 && r.ContentLength < 0 && r.ProtoMajor >= 3 { // browsers do not say that there is no body
			r.Body, r.ContentLength, r.Trailer = http.NoBody, 0, nil
		}
		if r.ContentLength == 0 {
			return -1
		}
	}
	return n
}

// Near finds an address that some reader may take a request target for, whatever the target's form, and gives its
// number; -1 for none. A target that has only one reading costs next to nothing.
//
// Readers fold case. They decode percent signs, some of them twice. They take a backslash for a slash, or two slashes
// for one. They drop what follows a semicolon, a dot at the end, or a slash there. They make a letter of a character
// that looks like it. Where they may also drop whole names, because there is a way up or something that ends a path,
// they read an address as soon as its names are there in their sequence, whatever is between them.
func (a *Addresses) Near(target string) int {
	path, _, _ := strings.Cut(target, "?")
	if len(a.paths) == 0 {
		return -1
	}
	if publicpath.Plain(path) {
		return a.folded(strings.TrimSuffix(path, "/"))
	}
	if i := strings.IndexAny(path, ":/"); i >= 0 && path[i] == ':' { // a scheme
		path = path[i+1:]
	}
	path = decodeFully(path)
	var few [32]string
	switch {
	case !mayLoseNames(path):
		return a.search(appendNames(few[:0], path, a.most+1), equal)
	case len(path) > longestSearched:
		return 0
	}
	return a.search(appendNames(few[:0], path, longestSearched), inSequence)
}

// longestSearched bounds the search for an address, in bytes. No client has a reason to send a longer path with a way
// up in it, so that one counts as near. RFC 9110 section 4.1 wants 8000 bytes to be possible.
const longestSearched = 8 << 10

func (a *Addresses) folded(path string) int {
	for i, at := range a.paths {
		if len(at) == len(path) && strings.EqualFold(at, path) {
			return i
		}
	}
	return -1
}

// search finds an address whose names are those of a path, as fits says.
func (a *Addresses) search(names []string, fits func(names, wanted []string) bool) int {
	return slices.IndexFunc(a.names, func(wanted []string) bool { return fits(names, wanted) })
}

func equal(names, wanted []string) bool { return slices.EqualFunc(names, wanted, isLike) }

// inSequence reports whether the wanted names are among the names in their sequence.
func inSequence(names, wanted []string) bool {
	for _, name := range names {
		if len(wanted) > 0 && isLike(name, wanted[0]) {
			wanted = wanted[1:]
		}
	}
	return len(wanted) == 0
}

// appendNames appends what is between the slashes of a decoded path: the first names, at most so many.
func appendNames(names []string, path string, most int) []string {
	for name := range strings.FieldsFuncSeq(path, isSlash) {
		if name = withoutEnd(name); name == "" {
			continue
		}
		if names = append(names, name); len(names) == most {
			break
		}
	}
	return names
}

// mayLoseNames reports whether a reader may drop names of a decoded path: it has a way up, something that ends a path
// or a name, an authority, or characters that readers take differently.
func mayLoseNames(path string) bool {
	return !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, ";?") ||
		!isTame(path)
}

// isSlash reports whether a reader takes a character for a slash.
func isSlash(c rune) bool {
	switch c {
	case '/', '\\', '\u2044', '\u2215', '\uff0f', '\ufe68', '\uff3c', '\u2216':
		return true
	}
	return false
}

// withoutEnd is a name without its parameters (RFC 3986 section 3.3), without what ends a path or a text, or names a
// stream on Windows, and without the dots and blanks that Windows drops. Nothing is left of a dot segment.
func withoutEnd(name string) string {
	ends := func(c rune) bool { return c < ' ' || c == 0x7f || strings.ContainsRune(";,?#:", c) }
	if i := strings.IndexFunc(name, ends); i >= 0 {
		name = name[:i]
	}
	return strings.Trim(name, " .")
}

// isLike reports whether a reader may take a name for another one, which has ASCII alone: in another case, or with
// characters that are not ASCII, of which each may become any letter. Overlong forms (RFC 3629 section 3) are such
// characters, too.
func isLike(name, plain string) bool {
	for ; name != "" && plain != ""; plain = plain[1:] {
		if name[0] < utf8.RuneSelf {
			if lower(name[0]) != lower(plain[0]) {
				return false
			}
			name = name[1:]
			continue
		}
		name = name[min(lengthOf(name[0]), len(name)):]
	}
	return name == "" && plain == ""
}

// lengthOf is the length in bytes of a character of UTF-8, by its first byte.
func lengthOf(first byte) int {
	switch {
	case first < 0xc0:
		return 1
	case first < 0xe0:
		return 2
	case first < 0xf0:
		return 3
	}
	return 4
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// decodeFully decodes what is escaped until nothing is, "%u" with four digits included, which some servers know.
func decodeFully(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	decoded := make([]byte, 0, len(path))
	for i := range len(path) {
		decoded = append(decoded, path[i])
		for shorter := true; shorter; { // what was decoded may be the end of another escape
			decoded, shorter = decodeEnd(decoded)
		}
	}
	return string(decoded)
}

// decodeEnd decodes the escape at the end of a text, if there is one.
func decodeEnd(text []byte) (decoded []byte, shorter bool) {
	if n := len(text) - 3; n >= 0 && text[n] == '%' {
		if value, err := strconv.ParseUint(string(text[n+1:]), 16, 8); err == nil {
			return append(text[:n], byte(value)), true
		}
	}
	if n := len(text) - 6; n >= 0 && text[n] == '%' && lower(text[n+1]) == 'u' {
		if value, err := strconv.ParseUint(string(text[n+2:]), 16, 16); err == nil {
			return utf8.AppendRune(text[:n], rune(value)), true
		}
	}
	return text, false
}
