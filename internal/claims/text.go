package claims

import (
	"strings"
	"unicode"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Text returns the value as one line of text, for a header:
//
//   - a string, number or boolean is written as one member;
//   - an array of non-empty strings is written as its members, separated by commas;
//   - anything else, including an empty array, is written as JSON without white space.
//
// The content of a string cannot make one value look like another. In a member, "%", "," and quotes are percent-encoded
// (RFC 3986 section 2.1). So are "[" and "{" at its beginning, where they would look like JSON, and blanks at its ends,
// which readers of lists remove (RFC 9110 section 5.6.1). In a JSON string, a comma is written as \u002c. So a reader
// that splits the text at commas finds exactly the members of the value, and percent-decoding restores each.
//
// A string, a number and an array of one string have the same text if their one member is the same, since they mean the
// same (compare RFC 7519 section 4.1.3).
//
// Null has no text. The text may contain control characters.
func (v Value) Text() (text string, ok bool) {
	switch v.json.Kind() {
	case strictjson.Invalid, strictjson.Null:
		return "", false
	case strictjson.String:
		s, ok := v.json.Str()
		return member(s), ok
	case strictjson.Array:
		if text, ok := joinMembers(v.json); ok {
			return text, true
		}
	}
	return compact(v.json.Text()), true
}

// joinMembers joins the elements of an array of strings.
func joinMembers(array strictjson.Value) (string, bool) {
	var b strings.Builder
	for e := range array.Elements() {
		s, ok := e.Str()
		if !ok || s == "" {
			return "", false
		}
		if b.Len() == 0 {
			b.Grow(len(array.Text()))
		} else {
			b.WriteByte(',')
		}
		b.WriteString(member(s))
	}
	return b.String(), b.Len() > 0
}

// member encodes the characters that a reader could take for something other than a part of this member. Most members
// have none.
func member(s string) string {
	inner := strings.TrimFunc(s, isBlank)
	if len(inner) == len(s) && !strings.ContainsAny(s, `%,"`) && !beginsJSON(s) {
		return s
	}
	start := strings.Index(s, inner)
	end := start + len(inner)
	var b strings.Builder
	for i := range len(s) {
		outside := i < start || i >= end
		if outside || strings.IndexByte(`%,"`, s[i]) >= 0 || i == start && beginsJSON(inner) {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[s[i]>>4], hex[s[i]&15]})
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// isBlank reports whether a character is one of Unicode's blanks, of which languages trim various ones, or the byte
// order mark, which JavaScript trims. Line breaks do not count, since a header cannot have them.
func isBlank(r rune) bool { return r == byteOrderMark || unicode.Is(unicode.Zs, r) }

const byteOrderMark = '\ufeff'

func beginsJSON(s string) bool { return s != "" && (s[0] == '[' || s[0] == '{') }

// compact removes the white space between the tokens of a valid JSON text, and escapes the commas in its strings.
func compact(text string) string {
	if !strings.ContainsAny(text, ", \t\r\n") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == ',':
			b.WriteString(`\u002c`)
		case quoted && c == '\\':
			b.WriteString(text[i : i+2])
			i++
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
		default:
			quoted = quoted != (c == '"')
			b.WriteByte(c)
		}
	}
	return b.String()
}
