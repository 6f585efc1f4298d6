package claims

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// ErrAuthentication means that the user has not signed in as required, or that the token does not say how or when.
var ErrAuthentication = errors.New("not the required authentication of the user")

// CheckACR refuses a token unless its acr is one of those accepted, compared exactly. It is one text (RFC 9470 section
// 6.1, OpenID Connect Core 1.0 section 2), so a list does not count, even if it has an accepted value.
func CheckACR(s *Set, accepted []string) error {
	value, _ := s.Claim("acr")
	if slices.ContainsFunc(accepted, value.json.Equal) {
		return nil
	}
	return &ACRError{s, accepted}
}

// CheckAuthenticationAge refuses a token unless the user signed in at most longest ago, by auth_time (RFC 9470 section
// 6.1). iat says nothing about that: a refreshed token is new, and the sign-in is not. Leeway widens both edges: an
// auth_time in the future is refused, too.
func CheckAuthenticationAge(s *Set, now time.Time, longest, leeway time.Duration) error {
	value, there := s.Claim("auth_time")
	if !there {
		return fmt.Errorf("%w: there is no auth_time", ErrAuthentication)
	}
	at, ok := s.readDate(value.json)
	if !ok {
		return fmt.Errorf("%w: auth_time is not a date in seconds, but %s", ErrAuthentication, article(value.json))
	}
	if age := now.Sub(at); age > longest+leeway || age < -leeway {
		return &AuthenticationAgeError{age, longest, leeway}
	}
	return nil
}

// ACRError is an ErrAuthentication about acr.
type ACRError struct {
	set      *Set
	accepted []string
}

// Error names the acr of the token and those that are accepted.
func (e *ACRError) Error() string {
	is := "there is no acr"
	if value, there := e.set.Claim("acr"); there {
		is = "acr is not a text, but " + article(value.json)
		if text, ok := value.json.Str(); ok {
			is = "acr is " + causes.Quote(text)
		}
	}
	return fmt.Sprintf("%v: %s; accepted: %s", ErrAuthentication, is, causes.List(e.accepted))
}

// Unwrap returns ErrAuthentication.
func (e *ACRError) Unwrap() error { return ErrAuthentication }

// AuthenticationAgeError is an ErrAuthentication about auth_time.
type AuthenticationAgeError struct {
	// Age is how long ago the user signed in. It is negative for a time in the future.
	Age time.Duration
	// Longest is how long ago that may be, and Leeway what is tolerated beyond.
	Longest, Leeway time.Duration
}

// Error compares the two.
func (e *AuthenticationAgeError) Error() string {
	if e.Age < 0 {
		return fmt.Sprintf("%v: auth_time is %s ahead of our clock, and the leeway is %v",
			ErrAuthentication, causes.Span(e.Age), e.Leeway)
	}
	return fmt.Sprintf("%v: auth_time was %s ago, the longest allowed is %s, and the leeway is %v",
		ErrAuthentication, causes.Span(e.Age), causes.Span(e.Longest), e.Leeway)
}

// Unwrap returns ErrAuthentication.
func (e *AuthenticationAgeError) Unwrap() error { return ErrAuthentication }

// article is the kind of a value with its article.
func article(v strictjson.Value) string {
	switch kind := v.Kind(); kind {
	case strictjson.Null:
		return "null"
	case strictjson.Array, strictjson.Object:
		return "an " + kind.String()
	default:
		return "a " + kind.String()
	}
}
