package introspect

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Tolerance is a set of shapes of answers that break a specification, and that some servers write all the same. Each
// admits exactly one shape. [Config.Decode] must admit the same.
type Tolerance uint8

const (
	// TextDates admits dates as texts with the digits of a whole number.
	TextDates Tolerance = 1 << iota
	// MillisecondDates is the unit of all dates. A date in seconds is then one in January 1970.
	MillisecondDates
	// NeverExpires makes an exp of null or exactly 0 count as absent: such a token does not expire by itself.
	NeverExpires
	// NumericSubject admits a sub of UserInfo that is a plain integer. RFC 7662 answers may have any sub.
	NumericSubject
)

func (t Tolerance) has(one Tolerance) bool { return t&one != 0 }

// date reads a NumericDate (RFC 7519 section 2). All dates are optional (RFC 7662 section 2.2), and null means
// absent, except for exp: a null exp must not make a token that never expires.
func (t Tolerance) date(object strictjson.Value, name string) (time.Time, error) {
	value, ok := object.Member(name)
	if !ok || name != "exp" && value.Kind() == strictjson.Null || name == "exp" && t.never(value) {
		return time.Time{}, nil
	}
	dates := strictjson.Dates{Text: t.has(TextDates), Milliseconds: t.has(MillisecondDates)}
	at, ok := dates.Date(value)
	if !ok {
		unit := "seconds"
		if dates.Milliseconds {
			unit = "milliseconds"
		}
		return time.Time{}, fmt.Errorf("%w: %q is not a date between 1970 and 9999, in %s", ErrAnswer, name, unit)
	}
	return at, nil
}

func (t Tolerance) never(exp strictjson.Value) bool {
	return t.has(NeverExpires) && (exp.Kind() == strictjson.Null || exp.Text() == "0")
}

// namesSubject reports whether sub, which UserInfo answers must have, names somebody.
func (t Tolerance) namesSubject(sub strictjson.Value) bool {
	number := sub.Kind() == strictjson.Number && !strings.ContainsAny(sub.Text(), "-.eE")
	return sub.Kind() == strictjson.String && !sub.Empty() || t.has(NumericSubject) && number
}
