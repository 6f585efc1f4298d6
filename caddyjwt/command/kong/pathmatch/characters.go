package pathmatch

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// raws are the characters that stand in a clear path as they are, but for letters and digits.
	raws = "!$&'()*+,;=:@[]-._~/"
	// escapeds are the visible ASCII characters that Kong decodes, so that it matches the character where a clear path
	// has its escape.
	escapeds = " \"<>\\^`{|}"
	// reserveds are the characters whose escapes Kong leaves as they are, but in upper case.
	reserveds = "!*'();:@&=+$,/?%#[]"
)

const (
	// lowEscape is the escape of an ASCII character.
	lowEscape = `%[0-7][0-9A-Fa-f]`
	// highEscapes are those of one character outside of ASCII, whether the router counts characters or bytes.
	highEscapes = `(?:%[89A-Fa-f][0-9A-Fa-f]){1,4}`
	// highCharacter is one character outside of ASCII as UTF-8 has it (RFC 3629 section 3).
	highCharacter = `%[CcDd][0-9A-Fa-f]` + next + `|%[Ee][0-9A-Fa-f]` + next + `{2}|%[Ff][0-7]` + next + `{3}`
	next          = `(?:%[89AaBb][0-9A-Fa-f])`
)

// isRaw reports whether a character stands in a clear path as it is.
func isRaw(r rune) bool {
	return r < utf8.RuneSelf && (isAlphanumeric(r) || strings.ContainsRune(raws, r))
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// isHex reports whether a character may be a digit of an escape.
func isHex(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F'
}

// escape is the expression of a byte's escape, in either case.
func escape(b byte) string {
	var out strings.Builder
	out.WriteByte('%')
	for _, digit := range fmt.Sprintf("%02X", b) {
		out.WriteString(eitherCase(digit))
	}
	return out.String()
}

func eitherCase(r rune) string {
	if unicode.IsUpper(r) {
		return fmt.Sprintf("[%c%c]", r, unicode.ToLower(r))
	}
	return regexp.QuoteMeta(string(r))
}

// character is the expression of one character that Kong matches, as a clear path has it. It is not good for a
// character that Kong never sees in one.
func character(r rune) (expr string, good bool) {
	switch {
	case isRaw(r):
		return regexp.QuoteMeta(string(r)), true
	case r < utf8.RuneSelf:
		return escape(byte(r)), strings.ContainsRune(escapeds, r)
	case r == utf8.RuneError || !utf8.ValidRune(r):
		return "", false
	}
	var out strings.Builder
	for _, b := range []byte(string(r)) {
		out.WriteString(escape(b))
	}
	return out.String(), true
}

// A text is a sequence of characters that Kong matches literally.
type text struct {
	sure, maybe string
	sample      string // a target that it matches
}

// literal is the expression of a text. An escape in it must be of a reserved character, since Kong decodes all others
// in what it matches.
func literal(s string) (out text, good bool) {
	var sure, maybe, sample strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == '%' {
			reserved, ok := reservedEscape(s[i:])
			if !ok {
				return text{}, false
			}
			sure.WriteString(escape(reserved))
			maybe.WriteString(escape(reserved))
			sample.WriteString(s[i : i+3])
			i += 3
			continue
		}
		expr, ok := character(r)
		if !ok {
			return text{}, false
		}
		sure.WriteString(expr)
		maybe.WriteString(looser(r, expr))
		if isRaw(r) {
			sample.WriteRune(r)
		}
		i += size
	}
	return text{sure: sure.String(), maybe: maybe.String(), sample: sample.String()}, true
}

// looser takes a digit of an escape in lower case, too: where an expression matches a part of an escape, Kong has made
// it upper case.
func looser(r rune, expr string) string {
	if isHex(r) {
		return eitherCase(r)
	}
	return expr
}

// reservedEscape is the reserved character whose escape a text begins with.
func reservedEscape(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	b, err := strconv.ParseUint(s[1:3], 16, 8)
	// Lower case digits never match: Kong writes them in upper case.
	return byte(b), err == nil && strings.IndexByte(reserveds, byte(b)) >= 0 && s[1:3] == strings.ToUpper(s[1:3])
}
