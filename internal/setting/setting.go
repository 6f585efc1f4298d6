// Package setting names the setting that a mistake in a configuration is about. The reader of that configuration can
// then say where the mistake stands, such as the line of a Caddyfile.
package setting

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a mistake in one setting.
type Error struct {
	// Field is the path of the setting from the configuration that was checked, in Go's spelling, such as
	// "Issuers[1].Audience".
	Field string
	// Err says what is wrong and how to mend it. Its text does not need the field's name to be understood.
	Err error
}

// Error gives the text alone: the caller that shows it knows a better name for the field.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a format, as fmt.Errorf does.
func Errorf(field, format string, args ...any) error {
	return &Error{Field: field, Err: fmt.Errorf(format, args...)}
}

// In adds where the setting lies: the field of an error becomes one inside of outer. An error without a field is about
// outer itself. The text of err stays, with everything that wraps the Error. Nil stays nil.
func In(outer string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*Error](err); ok {
		return &Error{Field: join(outer, inner.Field), Err: err}
	}
	return &Error{Field: outer, Err: err}
}

// Field gives the path of the setting that an error is about, or "".
func Field(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Field
	}
	return ""
}

func join(outer, inner string) string {
	if inner == "" || outer == "" || strings.HasPrefix(inner, "[") {
		return outer + inner
	}
	return outer + "." + inner
}
