package strictjson

import (
	"strings"
	"time"
)

// Bounds of a NumericDate.
const (
	// maxSeconds is 9999-12-31T23:59:59Z. It is past every honest date, and below every date of this century in
	// milliseconds.
	maxSeconds = 253402300799
	// maxDigits bounds the text: a 64-bit float written out in full is shorter.
	maxDigits = 64
	// maxExponent bounds the exponent: with a greater one, only zero is in range.
	maxExponent = 99
)

// Date reads a NumericDate: a number of seconds since 1970 (RFC 7519 section 2). It returns false for other kinds, and
// for dates before 1970 or after 9999. It drops fractions of a nanosecond.
//
// It works on the digits, and never builds a number that could overflow, grow or be rounded.
func (v Value) Date() (date time.Time, ok bool) {
	if v.Kind() != Number {
		return time.Time{}, false
	}
	seconds, nanos, ok := splitDate(v.text)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(seconds, nanos).UTC(), true
}

// splitDate converts a JSON number that is in range.
func splitDate(text string) (seconds, nanos int64, ok bool) {
	if len(text) > maxDigits || text[0] == '-' {
		return 0, 0, false
	}
	exponent := 0
	for i, c := range []byte(text) {
		if c == 'e' || c == 'E' {
			if exponent, ok = parseExponent(text[i+1:]); !ok {
				return 0, 0, false
			}
			text = text[:i]
			break
		}
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digit := func(i int) int64 {
		switch {
		case i < 0 || i >= len(whole)+len(fraction):
			return 0
		case i < len(whole):
			return int64(whole[i] - '0')
		default:
			return int64(fraction[i-len(whole)] - '0')
		}
	}
	point := len(whole) + exponent // position of the decimal point among the digits
	for i := range max(point, 0) {
		if seconds = seconds*10 + digit(i); seconds > maxSeconds {
			return 0, 0, false
		}
	}
	for i := range 9 {
		nanos = nanos*10 + digit(point+i)
	}
	return seconds, nanos, true
}

// parseExponent reads what follows the e of a JSON number of at most maxDigits.
func parseExponent(text string) (n int, ok bool) {
	negative := text[0] == '-'
	for _, c := range []byte(strings.TrimLeft(text, "+-")) {
		if n = n*10 + int(c-'0'); n > maxExponent {
			return 0, false
		}
	}
	if negative {
		n = -n
	}
	return n, true
}
