package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Why a proof is refused. Texts of errors are written only when somebody reads them. They never have a part of the
// access token.
var (
	// ErrInvalid: the proof breaks a rule. Every error of Verify and Check is one, except ErrOtherKey.
	ErrInvalid = errors.New("invalid DPoP proof")
	// ErrOtherKey: the key of the proof is not the one to which the token is bound. It is not an ErrInvalid: the proof
	// may be a good one, but for another token.
	ErrOtherKey = errors.New("the DPoP proof is by another key than that of the token")
)

var errTooLong = fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxSize)

// invalidError is an ErrInvalid with a cause from another package.
type invalidError struct{ cause error }

// Error adds the cause.
func (e *invalidError) Error() string { return ErrInvalid.Error() + ": " + e.cause.Error() }

// Is makes the error an ErrInvalid.
func (e *invalidError) Is(target error) bool { return target == ErrInvalid }

// Unwrap returns the cause.
func (e *invalidError) Unwrap() error { return e.cause }

// otherKeyError is an ErrOtherKey.
type otherKeyError struct {
	bound string   // as the token has it
	key   [32]byte // zero if bound is no thumbprint at all
}

// Error names both thumbprints.
func (e *otherKeyError) Error() string {
	if e.key == [32]byte{} {
		return fmt.Sprintf("%v: %s is no thumbprint", ErrOtherKey, causes.Quote(e.bound))
	}
	return fmt.Sprintf("%v: its thumbprint is %s, and the token is bound to %s", ErrOtherKey,
		base64.RawURLEncoding.EncodeToString(e.key[:]), e.bound)
}

// Unwrap returns ErrOtherKey.
func (e *otherKeyError) Unwrap() error { return ErrOtherKey }

// missing is the error for a required claim or parameter that is absent. It is made in advance.
func missing(name string) error { return fmt.Errorf("%w: there is no %s", ErrInvalid, name) }

// quote repeats only what is too short for a token. A client may write its token into the wrong claim.
func quote(text string) string {
	const most = 16
	if len(text) > most {
		return fmt.Sprintf("a text of %d bytes", len(text))
	}
	return causes.Quote(text)
}

// shapeError is an ErrInvalid about a claim or parameter that is not what its specification says.
type shapeError struct {
	name  string
	value strictjson.Value
	want  string
}

// Error says which type the value has or, for a string, what it is.
func (e *shapeError) Error() string {
	if text, is := e.value.Str(); is && e.name == "ath" { // the token itself is an easy mistake
		return fmt.Sprintf("%v: ath is a text of %d bytes, not %s", ErrInvalid, len(text), e.want)
	} else if is {
		return fmt.Sprintf("%v: %s is %s, not %s", ErrInvalid, e.name, quote(text), e.want)
	}
	if e.value.Kind() == strictjson.Number {
		return fmt.Sprintf("%v: %s is the number %s, not %s", ErrInvalid, e.name, causes.Plain(e.value.Text()), e.want)
	}
	return fmt.Sprintf("%v: %s is of the type %v, not %s", ErrInvalid, e.name, e.value.Kind(), e.want)
}

// Unwrap returns ErrInvalid.
func (e *shapeError) Unwrap() error { return ErrInvalid }

// methodError is an ErrInvalid about a proof for another method.
type methodError struct{ got, want string }

// Error names both methods.
func (e *methodError) Error() string {
	return fmt.Sprintf("%v: htm is %s, and the method of the request is %s",
		ErrInvalid, quote(e.got), quote(e.want))
}

// Unwrap returns ErrInvalid.
func (e *methodError) Unwrap() error { return ErrInvalid }

// timeError is an ErrInvalid about a proof of another time.
type timeError struct {
	claim string
	off   time.Duration // how long ago the date was; negative for the future
	most  time.Duration // how far it may be off
}

// Error says by how much the proof misses its time.
func (e *timeError) Error() string {
	if e.off < 0 {
		return fmt.Sprintf("%v: %s is %s ahead of our clock, and may be %v",
			ErrInvalid, e.claim, causes.Span(e.off), e.most)
	}
	return fmt.Sprintf("%v: %s was %s ago, and may be %v", ErrInvalid, e.claim, causes.Span(e.off), e.most)
}

// Unwrap returns ErrInvalid.
func (e *timeError) Unwrap() error { return ErrInvalid }

// uriError is an ErrInvalid about an htu or a request that has no URI which could be compared.
type uriError struct {
	of    string // whose URI it is
	uri   string // may have a query
	cause error
}

// Error quotes the URI without its query, which may have a secret. It quotes neither user information nor what is no
// URI of http.
func (e *uriError) Error() string {
	if errors.Is(e.cause, errUserInfo) || errors.Is(e.cause, errNotAbsolute) { // it may be anything
		return fmt.Sprintf("%v: %s %v", ErrInvalid, e.of, e.cause)
	}
	return fmt.Sprintf("%v: %s %v: %s", ErrInvalid, e.of, e.cause, causes.Quote(withoutQuery(e.uri)))
}

// Unwrap returns ErrInvalid.
func (e *uriError) Unwrap() error { return ErrInvalid }

// otherURIError is an ErrInvalid about a proof for another URI.
type otherURIError struct{ htu, scheme, host, target string }

// Error names both URIs in their normal forms, which have no queries.
func (e *otherURIError) Error() string {
	got, _ := appendURI(nil, e.htu)
	want, _ := appendRequest(nil, e.scheme, e.host, e.target)
	return fmt.Sprintf("%v: htu is %s, and the request was for %s",
		ErrInvalid, causes.Quote(string(got)), causes.Quote(string(want)))
}

// Unwrap returns ErrInvalid.
func (e *otherURIError) Unwrap() error { return ErrInvalid }
