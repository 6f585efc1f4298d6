package claims

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Bounds of a Number. Whoever goes beyond them does not mean a claim.
const (
	maxNumberText = 100   // bytes
	maxMagnitude  = 1_000 // powers of ten
)

// Number is a bound for numbers in claims: a JSON number (RFC 8259 section 6) that is compared by its exact decimal
// value. The zero Number is no bound.
type Number struct {
	text    string
	decimal decimal
}

// ParseNumber reads a number as JSON writes it. It has at most 100 characters, and is 0 or between 1e-1000 and 1e1000
// in size.
func ParseNumber(text string) (Number, error) {
	if !strictjson.IsNumber(text) {
		return Number{}, fmt.Errorf("%q is not a number: write it as 18, -1 or 0.5", text)
	}
	d := decimalOf(text)
	if len(text) > maxNumberText || d.magnitude > maxMagnitude || d.magnitude < -maxMagnitude {
		return Number{}, fmt.Errorf("the number is too long, too large or too small: at most %d characters, and at most "+
			"%d powers of ten", maxNumberText, maxMagnitude)
	}
	return Number{text, d}, nil
}

// String returns the text that was parsed.
func (n Number) String() string { return n.text }

// isSet reports whether n is a bound.
func (n Number) isSet() bool { return n.text != "" }

// decimal is the value of a JSON number. It is a part of the text, so reading one does not allocate.
type decimal struct {
	negative bool
	// digits go from the first to the last that is not zero, perhaps with a point in between. Zero has none.
	digits string
	// magnitude is the power of ten by which 0.digits is multiplied.
	magnitude int64
}

// decimalOf reads a valid JSON number, in time linear to its text.
func decimalOf(text string) decimal {
	var d decimal
	mantissa := text
	if end := strings.IndexAny(text, "eE"); end >= 0 {
		mantissa, d.magnitude = text[:end], exponent(text[end+1:])
	}
	mantissa, d.negative = strings.CutPrefix(mantissa, "-")
	first := strings.IndexAny(mantissa, "123456789")
	if first < 0 {
		return decimal{} // also -0
	}
	point := strings.IndexByte(mantissa, '.')
	if point < 0 {
		point = len(mantissa)
	}
	if d.magnitude += int64(point - first); first > point {
		d.magnitude++
	}
	d.digits = strings.TrimRight(mantissa[first:], "0.")
	return d
}

// exponent reads the exponent of a JSON number. From here on, a text of any length leaves an exponent beyond that of
// every Number, so the exact value does not matter.
func exponent(text string) (n int64) {
	const enough = 1 << 40
	digits := strings.TrimLeft(text, "+-")
	for _, c := range []byte(digits) {
		n = min(n*10+int64(c-'0'), enough)
	}
	if text[0] == '-' {
		return -n
	}
	return n
}

// compare is negative if d is less than the other, and positive if it is greater.
func (d decimal) compare(other decimal) int {
	if c := cmp.Compare(d.sign(), other.sign()); c != 0 || d.sign() == 0 {
		return c
	}
	c := cmp.Compare(d.magnitude, other.magnitude)
	if c == 0 {
		c = compareDigits(d.digits, other.digits)
	}
	return c * d.sign()
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	default:
		return 1
	}
}

// compareDigits compares the digits behind the same point. The points in them do not count.
func compareDigits(a, b string) int {
	for {
		a, b = strings.TrimPrefix(a, "."), strings.TrimPrefix(b, ".")
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b)) // the last digit of the longer one is not zero
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
}
