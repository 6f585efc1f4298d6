package claims

import (
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// date reads a NumericDate (RFC 7519 section 2).
func date(claim string, v strictjson.Value) (time.Time, error) {
	if v.Kind() != strictjson.Number {
		return time.Time{}, malformed(claim, v, "a number")
	}
	t, ok := v.Date()
	if !ok {
		return time.Time{}, fmt.Errorf("%w: %s is not a date between 1970 and 9999 in seconds: is it in milliseconds?",
			ErrMalformed, claim)
	}
	return t, nil
}
