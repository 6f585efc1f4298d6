package fetch

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyjwt/gateway/internal/rotating"
)

// fields are the header fields that identify us to the configured server.
type fields struct {
	fixed    http.Header
	rotating []rotatingField
}

type rotatingField struct {
	name  string
	value *rotating.Value[string]
}

// ErrHeaderField means that a header field cannot have its value.
var ErrHeaderField = errors.New("header field")

func newFields(o Options) (fields, error) {
	f := fields{fixed: o.Header.Clone()}
	for _, name := range slices.Sorted(maps.Keys(f.fixed)) {
		for _, value := range f.fixed[name] {
			if _, err := fieldValue(value); err != nil {
				return f, fmt.Errorf("%w %q: %w", ErrHeaderField, name, err)
			}
		}
	}
	for _, field := range o.Rotating {
		logger := o.Logger
		if logger != nil {
			logger = logger.With("setting", "header_up "+field.Name)
		}
		first, err := fieldValue(field.Value.First)
		if err != nil {
			return f, fmt.Errorf("%w %q: %w", ErrHeaderField, field.Name, err)
		}
		value := rotating.New(field.Value, first, fieldValue, logger)
		f.rotating = append(f.rotating, rotatingField{http.CanonicalHeaderKey(field.Name), value})
	}
	return f, nil
}

// fieldValue refuses what a header field cannot have (RFC 9110 section 5.5): a line end would begin another field.
func fieldValue(text string) (string, error) {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", errors.New("the value has a character that header fields cannot have")
		}
	}
	return text, nil
}

// with is a header with all fields of this moment. Its own fields win. numbers are those of the rotating values.
func (f *fields) with(own http.Header) (header http.Header, numbers []uint64) {
	header = make(http.Header, len(own)+len(f.fixed)+len(f.rotating))
	for name, values := range f.fixed {
		header[http.CanonicalHeaderKey(name)] = values
	}
	for _, field := range f.rotating {
		value, number := field.value.Get()
		numbers = append(numbers, number)
		header[field.name] = append(slices.Clip(header[field.name]), value)
	}
	maps.Copy(header, own)
	return header, numbers
}

// changed reads the files at once, and reports whether a value is another one than that with these numbers.
func (f *fields) changed(numbers []uint64) bool {
	changed := false
	for i, field := range f.rotating {
		if _, latest := field.value.Again(numbers[i]); latest != numbers[i] {
			changed = true
		}
	}
	return changed
}
