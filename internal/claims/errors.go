package claims

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Why a claims set, or what it says, is refused.
var (
	// ErrMalformed means that the text is not a claims set, or that a registered claim in it is not what its
	// specification says.
	ErrMalformed = errors.New("malformed claims")
	// ErrMissing means that a required claim is absent or empty.
	ErrMissing     = errors.New("missing claim")
	ErrExpired     = errors.New("expired")
	ErrNotYetValid = errors.New("not yet valid")
	ErrIssuer      = errors.New("not this issuer")
	ErrAudience    = errors.New("not for this audience")
	ErrLifetime    = errors.New("lifetime too long")
)

// The errors of the checks name both sides: what the token says, and what was expected. They are written only when
// somebody reads them. Texts of the token are cut and quoted.

// TimeError is an ErrExpired or ErrNotYetValid.
type TimeError struct {
	// Err is one of the two.
	Err error
	// Claim is exp, nbf or iat.
	Claim string
	// Off is how long ago the date was. It is negative for a date in the future.
	Off time.Duration
	// Leeway is what was tolerated.
	Leeway time.Duration
}

// Error says by how much the token missed its time.
func (e *TimeError) Error() string {
	if e.Off < 0 {
		return fmt.Sprintf("%v: %s is %s ahead of our clock, and the leeway is %v",
			e.Err, e.Claim, causes.Span(e.Off), e.Leeway)
	}
	return fmt.Sprintf("%v: %s was %s ago, and the leeway is %v", e.Err, e.Claim, causes.Span(e.Off), e.Leeway)
}

// Unwrap returns Err.
func (e *TimeError) Unwrap() error { return e.Err }

// LifetimeError is an ErrLifetime.
type LifetimeError struct {
	// From is where the life begins: iat or now.
	From string
	// Life is how long it is until exp, and Longest how long it may be.
	Life, Longest time.Duration
}

// Error compares the two.
func (e *LifetimeError) Error() string {
	return fmt.Sprintf("%v: from %s to exp it is %s, and the longest allowed is %s",
		ErrLifetime, e.From, causes.Span(e.Life), causes.Span(e.Longest))
}

// Unwrap returns ErrLifetime.
func (e *LifetimeError) Unwrap() error { return ErrLifetime }

// AudienceError is an ErrAudience.
type AudienceError struct {
	set      *Set
	accepted []string
}

// Error names the values of aud and those that are accepted, the first few of each.
func (e *AudienceError) Error() string {
	return fmt.Sprintf("%v: %s; accepted: %s", ErrAudience, e.set.describeAudience(), causes.List(e.accepted))
}

// Unwrap returns ErrAudience.
func (e *AudienceError) Unwrap() error { return ErrAudience }

// describeAudience says what aud is, also how it is written: some servers write a text, others a list.
func (s *Set) describeAudience() string {
	value, there := s.Claim("aud")
	switch {
	case !there && len(s.Audience) == 0:
		return "there is no aud"
	case len(s.Audience) == 0:
		return "aud is an empty list"
	case value.JSON().Kind() == strictjson.Array:
		return fmt.Sprintf("aud is a list of %d: %s", len(s.Audience), causes.List(s.Audience))
	default:
		return "aud is " + causes.Quote(s.Audience[0])
	}
}

// IssuerError is an ErrIssuer.
type IssuerError struct{ got, want string }

// Error names both issuers.
func (e *IssuerError) Error() string {
	if e.got == "" {
		return fmt.Sprintf("%v: there is no iss, and expected is %s", ErrIssuer, causes.Quote(e.want))
	}
	return fmt.Sprintf("%v: iss is %s, and expected is %s", ErrIssuer, causes.Quote(e.got), causes.Quote(e.want))
}

// Unwrap returns ErrIssuer.
func (e *IssuerError) Unwrap() error { return ErrIssuer }

// missing is the error for an absent claim. The name comes from the configuration or a specification.
func missing(claim string) error { return fmt.Errorf("%w: %s", ErrMissing, claim) }

// malformed is the error for a registered claim of the wrong type. The name is one of ours. Of the value it says only
// the type: it may be personal.
func malformed(claim string, value strictjson.Value, want string) error {
	if isBlankText(value) {
		return &shapeError{claim, value, " is blank"}
	}
	return &shapeError{claim, value, fmt.Sprintf(" is of the type %v, not %s", value.Kind(), want)}
}

// shapeError is an ErrMalformed about a registered claim.
type shapeError struct {
	claim string
	value strictjson.Value
	is    string
}

// Error also names the tolerance that admits the shape, if there is exactly one.
func (e *shapeError) Error() string {
	text := ErrMalformed.Error() + ": " + e.claim + e.is
	if one := whichAdmits(e.claim, e.value); one != 0 {
		return fmt.Sprintf("%s (\"tolerate %v\" accepts that)", text, one)
	}
	return text
}

// Unwrap returns ErrMalformed.
func (e *shapeError) Unwrap() error { return ErrMalformed }

func isBlankText(v strictjson.Value) bool {
	text, ok := v.Str()
	return ok && strings.TrimSpace(text) == ""
}

// tooLong is the error for a list with more elements than we read.
func tooLong(claim string, n int) error {
	return fmt.Errorf("%w: %s is a list of %d, and may have %d", ErrMalformed, claim, n, maxList)
}
