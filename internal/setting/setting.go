// Package setting has the error for a mistake in a configuration. It names the setting, so that the reader of the
// configuration can say where the mistake is, such as on which line of a Caddyfile.
package setting

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a mistake in one setting.
type Error struct {
	// Field is the path to the setting, in Go's spelling and relative to the configuration that was checked, such as
	// "Issuers[1].Audience".
	Field string
	// Err says what is wrong and how to fix it. Its text is clear without the field's name.
	Err error
}

// Error returns the text of Err alone. Whoever shows it to a user has a better name for the field.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error. It formats the text as fmt.Errorf does.
func Errorf(field, format string, args ...any) error {
	return &Error{Field: field, Err: fmt.Errorf(format, args...)}
}

// In says that an error is about something inside of outer: it prepends outer to the error's field. An error without a
// field becomes one about outer itself. The text stays the same. Nil stays nil.
func In(outer string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*Error](err); ok {
		return &Error{Field: join(outer, inner.Field), Err: err}
	}
	return &Error{Field: outer, Err: err}
}

// Field returns the path of the setting that an error is about, or "".
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

// Wrap puts what the error is about before its text. It keeps nil.
func Wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Element is the path of one element of a list.
func Element(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
