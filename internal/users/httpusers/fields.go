package httpusers

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/rotating"
)

// field is a header field that says who asks.
type field struct {
	name string // in the form of http.Header
	get  func() string
}

func newFields(o fetch.Options) ([]field, error) {
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(o.Header)) {
		for _, value := range o.Header[name] {
			if _, err := fieldValue(value); err != nil {
				return nil, fmt.Errorf("header field %q: %w", name, err)
			}
			fields = append(fields, field{http.CanonicalHeaderKey(name), func() string { return value }})
		}
	}
	for _, f := range o.Rotating {
		first, err := fieldValue(f.Value.First)
		if err != nil {
			return nil, fmt.Errorf("header field %q: %w", f.Name, err)
		}
		logger := o.Logger
		if logger == nil {
			logger = slog.New(slog.DiscardHandler)
		}
		value := rotating.New(f.Value, first, fieldValue, logger.With("setting", "header_up "+f.Name))
		fields = append(fields, field{http.CanonicalHeaderKey(f.Name), func() string {
			now, _ := value.Get()
			return now
		}})
	}
	return fields, nil
}

// fieldValue refuses what a header field cannot have (RFC 9110 section 5.5): a line end would begin another field.
func fieldValue(text string) (string, error) {
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return "", errors.New("the value has a character that header fields cannot have")
	}
	return text, nil
}
