// Package output tells the backend who is calling: it writes header fields from an identity. It knows which fields that
// can be, so that nobody but the gate can send them.
package output

import (
	"errors"
	"net/http"
	"slices"

	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Output sets header fields from which the backend learns who is calling. It must be safe for concurrent use.
type Output interface {
	// Names lists the fields that Write may set. The gate removes them from every request first, in whatever spelling.
	Names() []string
	// Write sets fields. An error refuses the request, and the gate removes what was set. It is an *UnsafeError for a
	// value that must not become that of a field.
	Write(h http.Header, id *identity.Identity) error
}

// UnsafeError says why a claim, or a member of the header, cannot be sent to the backend.
type UnsafeError struct{ Cause error }

// Error returns the text of the cause.
func (e *UnsafeError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *UnsafeError) Unwrap() error { return e.Cause }

// Settings say what the backend gets.
type Settings struct {
	// ForwardClaims are claims that have a field each.
	ForwardClaims []Forward
	// ForwardHeader are members of the JOSE header that have a field each.
	ForwardHeader []Forward
	// ForwardPayload is the name of the field with all claims. Empty means that there is none.
	ForwardPayload string
	// PadPayload pads the base64url of that field with "=".
	PadPayload bool
	// ConsumerHeaders lists fields about consumers: see ConsumerHeaders of a gate's configuration.
	ConsumerHeaders []string
	// NamesCallers reports whether somebody can be a consumer, or have a name from an issuer's token.
	NamesCallers bool
	// Outputs set further fields.
	Outputs []Output
	// MayHoldToken reports whether the token may be in a field, in whatever spelling.
	MayHoldToken func(field string) bool
}

// Set is all outputs of a gate. It is immutable.
type Set struct {
	outputs []Output
	names   fields.Names
}

// New checks the settings. It refuses a name that cannot safely carry a claim, that may hold the token, or that two
// outputs use. An error names its setting by the field of Settings.
func New(s Settings) (set Set, err error) {
	consumers, err := s.consumerHeaders()
	if err != nil {
		return Set{}, err
	}
	set = Set{[]Output{consumers}, fields.Of(consumers.Names()...)}
	if err := s.addForwards(&set); err != nil {
		return Set{}, err
	}
	if err := s.addPayload(&set); err != nil {
		return Set{}, err
	}
	for i, output := range s.Outputs {
		if output == nil {
			return Set{}, setting.Errorf(setting.Element("Outputs", i), "an output is nil")
		}
		for _, name := range output.Names() {
			if err := s.checkName(&set, name); err != nil {
				return Set{}, setting.Errorf(setting.Element("Outputs", i), "header %s: %w", name, err)
			}
			set.names.Add(name) // at once, since an output may list a name twice
		}
		set.outputs = append(set.outputs, output)
	}
	return set, nil
}

// add adds an output whose names have been checked.
func (s *Set) add(output Output) {
	for _, name := range output.Names() {
		s.names.Add(name)
	}
	s.outputs = append(s.outputs, output)
}

// checkName refuses the name of a field that an output cannot have beside those of a set.
func (s *Settings) checkName(taken *Set, name string) error {
	if err := fields.CheckName(name); err != nil {
		return err
	}
	if s.MayHoldToken(name) {
		return errors.New("the token is taken from that header; choose another name")
	}
	if taken.Has(name) {
		return errors.New("the header is already taken; choose another name")
	}
	return nil
}

// Has reports whether an output may set a field, in whatever spelling.
func (s *Set) Has(field string) bool { return s.names.Has(field) }

// Strip removes the fields that outputs may set, in whatever spelling.
func (s *Set) Strip(h http.Header) { s.names.Strip(h) }

// Write sets the fields for an identity. After an error there is none: the backend of an error route must not take the
// refused caller for an accepted one.
func (s *Set) Write(h http.Header, id *identity.Identity) error {
	for _, output := range s.outputs {
		if err := output.Write(h, id); err != nil {
			s.Strip(h)
			return err
		}
	}
	return nil
}

// IsPayload reports whether a field, by its canonical name, has all claims.
func (s *Set) IsPayload(field string) bool {
	return slices.ContainsFunc(s.outputs, func(o Output) bool {
		whole, ok := o.(payload)
		return ok && whole.name == field
	})
}

// setField sets a field by its canonical name. An empty value sets none.
func setField(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}
