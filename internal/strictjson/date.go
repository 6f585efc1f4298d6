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

// Dates says how dates are written. The zero value is a NumericDate (RFC 7519 section 2): a number of seconds.
type Dates struct {
	// Text also accepts a text that has nothing but the digits of a whole number, without leading zeros.
	Text bool
	// Milliseconds is the unit of all dates, numbers and texts. Nobody guesses the unit by the size of a date.
	Milliseconds bool
}

// Date reads a date that is written so. It returns false for other kinds of values, and for dates before 1970 or after
// 9999. It drops fractions of a nanosecond.
//
// It works on the digits, and never builds a number that could overflow, grow or be rounded.
func (d Dates) Date(v Value) (date time.Time, ok bool) {
	text := v.text
	switch kind := v.Kind(); {
	case kind == Number:
	case kind == String && d.Text:
		if text, _ = v.Str(); !isWhole(text) {
			return time.Time{}, false
		}
	default:
		return time.Time{}, false
	}
	unit := 0
	if d.Milliseconds {
		unit = -3
	}
	seconds, nanos, ok := splitDate(text, unit)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(seconds, nanos).UTC(), true
}

// isWhole reports whether a text has only the digits of a whole number. With a leading zero, some readers would take it
// for octal.
func isWhole(text string) bool {
	if text == "" || text[0] == '0' && len(text) > 1 {
		return false
	}
	return strings.Trim(text, "0123456789") == ""
}

// Date reads a NumericDate, as the zero Dates does.
func (v Value) Date() (date time.Time, ok bool) { return Dates{}.Date(v) }

// splitDate converts a JSON number that is in range. The number counts units of 10 to the power of unit seconds.
func splitDate(text string, unit int) (seconds, nanos int64, ok bool) {
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
	point := len(whole) + exponent + unit // position of the decimal point among the digits
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
