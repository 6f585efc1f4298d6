package claims

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// ErrPath means that a text is not a path.
var ErrPath = errors.New("invalid path")

// Path leads to a value inside a claims set or a JOSE header. Its segments are literal names, and there are no
// wildcards. It is immutable. The zero Path leads nowhere.
type Path struct {
	text     string
	segments []string
	pointer  bool
}

// ParsePath parses a path in one of three notations, which the text itself shows:
//
//   - with "://" anywhere: the literal name of a top-level claim, such as https://example.com/roles. Public claim names
//     have this form (RFC 7519 section 4.2);
//   - with a slash at the start: a JSON pointer (RFC 6901), in which ~1 stands for a slash and ~0 for a tilde. Only
//     here can a number be the index of an array's element;
//   - otherwise: names separated by dots, such as realm_access.roles. In a name, \. stands for a dot and \\ for a
//     backslash.
//
// Empty names cannot be addressed. A path has at most as many names as a token may be nested deep.
func ParsePath(text string) (Path, error) {
	if !utf8.ValidString(text) {
		return Path{}, fmt.Errorf("%w: not UTF-8", ErrPath)
	}
	p := Path{text: text}
	var err error
	switch {
	case strings.Contains(text, "://"):
		p.segments = []string{text}
	case strings.HasPrefix(text, "/"):
		p.pointer = true
		p.segments, err = splitPointer(text)
	default:
		p.segments, err = splitDots(text)
	}
	if err != nil {
		return Path{}, err
	}
	if len(p.segments) > strictjson.DefaultDepth {
		return Path{}, fmt.Errorf("%w %q: more than %d names", ErrPath, text, strictjson.DefaultDepth)
	}
	for _, segment := range p.segments {
		if segment == "" {
			return Path{}, fmt.Errorf("%w %q: empty name", ErrPath, text)
		}
	}
	return p, nil
}

// String returns the text that was parsed.
func (p Path) String() string { return p.text }

// Pointer returns the path as a JSON pointer (RFC 6901), in whatever notation it is written.
func (p Path) Pointer() string {
	var out strings.Builder
	for _, segment := range p.segments {
		out.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(segment))
	}
	return out.String()
}

// IsZero reports whether the path is the zero Path.
func (p Path) IsZero() bool { return len(p.segments) == 0 }

// Is reports whether the path leads to one of these top-level claims, in whatever notation it is written.
func (p Path) Is(names ...string) bool {
	return len(p.segments) == 1 && slices.Contains(names, p.segments[0])
}

// splitPointer applies RFC 6901 sections 3 and 4.
func splitPointer(text string) ([]string, error) {
	segments := strings.Split(text[1:], "/")
	for i, segment := range segments {
		for j := range len(segment) {
			if segment[j] != '~' {
				continue
			}
			if rest := segment[j+1:]; !strings.HasPrefix(rest, "0") && !strings.HasPrefix(rest, "1") {
				return nil, fmt.Errorf("%w %q: only ~0 and ~1 may follow a tilde", ErrPath, text)
			}
		}
		// ~1 before ~0, so that ~01 becomes ~1 (RFC 6901 section 4).
		segments[i] = strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
	}
	return segments, nil
}

func splitDots(text string) ([]string, error) {
	var segments []string
	var segment strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '.':
			segments = append(segments, segment.String())
			segment.Reset()
		case '\\':
			i++
			if i == len(text) || text[i] != '.' && text[i] != '\\' {
				return nil, fmt.Errorf(`%w %q: only \. and \\ may follow a backslash`, ErrPath, text)
			}
			segment.WriteByte(text[i])
		default:
			segment.WriteByte(c)
		}
	}
	return append(segments, segment.String()), nil
}

// below returns the value that the path leads to, if its first segment leads to v.
func (p Path) below(v Value, ok bool) (Value, bool) {
	for _, segment := range p.segments[1:] {
		if !ok {
			break
		}
		v.json, ok = p.step(v.json, segment)
	}
	if !ok {
		return Value{}, false
	}
	return v, true
}

// findBelow is below, which also finds out whether the value is plainly not there: absent reports that what lacks it is
// an object, or null, or, for a pointer, an array. Where something else stands in the way, the value is neither there
// nor absent.
func (p Path) findBelow(v Value, there bool) (_ Value, absent bool) {
	for _, segment := range p.segments[1:] {
		if !there || v.json.Kind() == strictjson.Null {
			break
		}
		if kind := v.json.Kind(); kind != strictjson.Object && (kind != strictjson.Array || !p.pointer) {
			return Value{}, false
		}
		v.json, there = p.step(v.json, segment)
	}
	return v, !there || v.json.Kind() == strictjson.Null
}

// step returns what one segment names inside a value.
func (p Path) step(v strictjson.Value, segment string) (strictjson.Value, bool) {
	if !p.pointer || v.Kind() != strictjson.Array {
		return v.Member(segment)
	}
	n, ok := arrayIndex(segment)
	if !ok {
		return strictjson.Value{}, false
	}
	for e := range v.Elements() {
		if n == 0 {
			return e, true
		}
		n--
	}
	return strictjson.Value{}, false
}

// arrayIndex reads an index without leading zeros (RFC 6901 section 4).
func arrayIndex(segment string) (n int, ok bool) {
	if len(segment) > 6 || segment[0] == '0' && len(segment) > 1 {
		return 0, false
	}
	for _, c := range []byte(segment) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
