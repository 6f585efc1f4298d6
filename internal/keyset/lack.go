package keyset

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/jose"
)

// lackError says which key is missing, and which keys there are. It is an ErrUnknownKey or ErrPending. Its text is
// written only when somebody reads it. The key id is a stranger's text, so it is cut and quoted.
type lackError struct {
	err error // ErrUnknownKey or ErrPending
	set *Set
	alg jose.Algorithm
	kid string
	age time.Duration // since the set was fetched; negative for a set that never is
}

// lacks makes the error about a key that is not in the set.
func (s *Set) lacks(err error, alg jose.Algorithm, kid string, age time.Duration) error {
	return &lackError{err, s, alg, kid, age}
}

// Unwrap returns ErrUnknownKey or ErrPending.
func (e *lackError) Unwrap() error { return e.err }

// Error names the first few keys of the set and, if it was fetched, its age. If the set has only the first keys of its
// source, the error says so: an operator would not suspect a bound.
func (e *lackError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s", e.err, e.missing())
	if e.age >= 0 {
		fmt.Fprintf(&b, "; the keys were fetched %s ago", causes.Span(e.age))
	}
	if n := e.set.leftOut(); n > 0 {
		fmt.Fprintf(&b, "; the first %d keys of the set are taken, as max_keys says, and %d more are not", e.set.Len(), n)
	}
	return b.String()
}

func (e *lackError) missing() string {
	n, names := e.set.Len(), causes.List(e.set.Names())
	switch {
	case e.kid == "" && n == 1:
		return fmt.Sprintf("the token has no kid, and the only key, %s, is not for %v", names, e.alg)
	case e.kid == "":
		return fmt.Sprintf("the token has no kid, and none of the %d keys %s is for %v", n, names, e.alg)
	}
	var algorithms jose.Algorithms // of all keys with this very id
	for _, key := range e.set.keys {
		if key.ID == e.kid {
			algorithms = algorithms.Union(key.Algorithms())
		}
	}
	switch {
	case algorithms != 0:
		return fmt.Sprintf("the key %s is for %v, not for %v, in a set of %d", causes.Quote(e.kid), algorithms, e.alg, n)
	case n == 1:
		return fmt.Sprintf("the token's kid is %s, but the only key is %s", causes.Quote(e.kid), names)
	default:
		return fmt.Sprintf("the token's kid is %s, but the %d keys are %s", causes.Quote(e.kid), n, names)
	}
}

// signatureError is the jose.ErrSignature of a token that none of the tried keys has signed.
type signatureError struct{ tried []*jose.Key }

// Unwrap returns jose.ErrSignature.
func (*signatureError) Unwrap() error { return jose.ErrSignature }

// Error names the first few keys that were tried.
func (e *signatureError) Error() string {
	names := make([]string, len(e.tried))
	for i, key := range e.tried {
		names[i] = keyName(key)
	}
	if len(names) == 1 {
		return fmt.Sprintf("%v: it was not made with the key %s", jose.ErrSignature, causes.List(names))
	}
	return fmt.Sprintf("%v: it was made with none of the keys %s", jose.ErrSignature, causes.List(names))
}

// untrue makes the error for a signature that no candidate has made. Other errors stay.
func untrue(err error, tried []*jose.Key) error {
	if len(tried) > 0 && errors.Is(err, jose.ErrSignature) {
		return &signatureError{tried}
	}
	return err
}
