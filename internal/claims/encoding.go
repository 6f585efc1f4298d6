package claims

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Encoding is how a claim is written as one line of text.
type Encoding uint8

// The encodings. Text has the claim in the form of Value.Text. The others are for backends that cannot read that form,
// for example because they take header fields for Latin-1.
const (
	Text      Encoding = iota // see Value.Text
	JSON                      // JSON without white space, in ASCII
	Comma                     // the elements of an array as they are, separated by commas
	Base64URL                 // base64url without padding, of a string or else of JSON
	Percent                   // as Text, with everything percent-encoded but the unreserved characters of RFC 3986
)

// encodings are their names in the configuration. Text has none.
var encodings = [...]string{Text: "", JSON: "json", Comma: "comma", Base64URL: "base64url", Percent: "percent"}

// String returns the name in the configuration.
func (e Encoding) String() string {
	if int(e) < len(encodings) {
		return encodings[e]
	}
	return "Encoding(" + strconv.Itoa(int(e)) + ")"
}

// Encodings lists the names of all encodings that have one.
func Encodings() []string { return append([]string(nil), encodings[JSON:]...) }

// ParseEncoding finds an encoding by its name. The empty name is that of Text.
func ParseEncoding(name string) (e Encoding, ok bool) {
	for i, known := range encodings {
		if name == known {
			return Encoding(i), true
		}
	}
	return Text, false
}

var (
	errListed  = errors.New("its comma, quote or blank could make a list look like another: use json or percent")
	errNested  = errors.New("it has more than texts, numbers and booleans, which no list has room for: use json")
	errBlank   = errors.New("an element is empty, and many readers of lists leave such an element out: use json")
	errLikeOne = errors.New("it is a text that looks like JSON: use json or percent")
)

// Encode returns the value as one line of text. An empty text means that there is nothing to say: the value is null or,
// except in JSON, an empty string or an empty list.
//
// No two values with different meanings have the same text. Where an encoding cannot say a value unambiguously, there
// is an error. Only Text and Comma can have control characters, and characters that are not ASCII.
func (v Value) Encode(e Encoding) (string, error) {
	if k := v.json.Kind(); k == strictjson.Invalid || k == strictjson.Null {
		return "", nil
	}
	//exhaustive:enforce
	switch e {
	case Text:
		text, _ := v.Text()
		return text, nil
	case JSON:
		return inASCII(compact(v.json.Text())), nil
	case Comma:
		return v.commaSeparated()
	case Base64URL:
		return v.base64url()
	case Percent:
		return v.percentEncoded(), nil
	}
	return "", errors.New("unknown encoding " + e.String())
}

// commaSeparated writes a list for backends that split at commas, and decode nothing. So it refuses what such a backend
// would misread (compare RFC 9110 sections 5.6.1 and 5.6.4).
func (v Value) commaSeparated() (string, error) {
	if v.json.Kind() != strictjson.Array {
		if s, _ := v.json.Str(); v.json.Kind() == strictjson.String && s == "" {
			return "", nil
		}
		return listed(v.json)
	}
	var b strings.Builder
	for e := range v.json.Elements() {
		text, err := listed(e)
		if err != nil {
			return "", err
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// listed is one element of a list.
func listed(v strictjson.Value) (string, error) {
	switch v.Kind() {
	case strictjson.Number, strictjson.Bool:
		return v.Text(), nil
	case strictjson.String:
		s, _ := v.Str()
		switch {
		case s == "":
			return "", errBlank
		case strings.ContainsAny(s, `,"`), strings.TrimFunc(s, isBlank) != s:
			return "", errListed
		}
		return s, nil
	default:
		return "", errNested
	}
}

// base64url encodes the text of a string, since a backend that wants a name wants it without quotes. So a string that
// looks like an array or an object has no encoding.
func (v Value) base64url() (string, error) {
	text := compact(v.json.Text())
	if v.json.Kind() == strictjson.String {
		text, _ = v.json.Str()
		if beginsJSON(strings.TrimLeftFunc(text, func(r rune) bool { return isBlank(r) || unicode.IsSpace(r) })) {
			return "", errLikeOne
		}
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text)), nil
}

// percentEncoded is Text, in ASCII. It is read in the same way: what begins with "[" or "{" is JSON, and all else is
// split at commas and decoded.
func (v Value) percentEncoded() string {
	switch v.json.Kind() {
	case strictjson.String:
		s, _ := v.json.Str()
		return percent(s)
	case strictjson.Number, strictjson.Bool:
		return percent(v.json.Text())
	}
	if v.isTexts() {
		var b strings.Builder
		for e := range v.json.Elements() {
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			s, _ := e.Str()
			b.WriteString(percent(s))
		}
		return b.String()
	}
	return inASCII(compact(v.json.Text()))
}

// isTexts reports whether the value is an array of non-empty strings, with one at least.
func (v Value) isTexts() bool {
	for e := range v.json.Elements() {
		if s, ok := e.Str(); !ok || s == "" {
			return false
		}
	}
	return v.json.Kind() == strictjson.Array && !v.json.Empty()
}

// percent encodes all bytes but the unreserved characters of RFC 3986 section 2.3.
func percent(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// inASCII escapes everything in the strings of a JSON text that is not printable ASCII (RFC 8259 section 7). Below a
// blank there is nothing to escape: JSON allows no such character in a string, and compact leaves none between tokens.
func inASCII(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	escape := func(unit rune) {
		const hex = "0123456789abcdef"
		b.Write([]byte{'\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15]})
	}
	for _, r := range text {
		switch {
		case r < 0x7f:
			b.WriteByte(byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escape(high)
			escape(low)
		default:
			escape(r)
		}
	}
	return b.String()
}
