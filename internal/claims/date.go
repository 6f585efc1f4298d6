package claims

import (
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// date reads a date (RFC 7519 section 2).
func (s *Set) date(claim string, v strictjson.Value) (time.Time, error) {
	if t, ok := s.readDate(v); ok {
		return t, nil
	}
	dates := s.reading.tolerance().dates()
	switch {
	case v.Kind() != strictjson.Number && (v.Kind() != strictjson.String || !dates.Text):
		return time.Time{}, malformed(claim, v, "a number")
	case v.Kind() == strictjson.String:
		return time.Time{}, fmt.Errorf("%w: %s is a text, but not the digits of a date between 1970 and 9999",
			ErrMalformed, claim)
	case dates.Milliseconds:
		return time.Time{}, fmt.Errorf("%w: %s is not a date between 1970 and 9999 in milliseconds", ErrMalformed, claim)
	}
	return time.Time{}, &shapeError{claim, v, " is not a date between 1970 and 9999 in seconds: is it in milliseconds?"}
}

// readDate reads a date as this set writes dates.
func (s *Set) readDate(v strictjson.Value) (time.Time, bool) {
	return s.reading.tolerance().dates().Date(v)
}
