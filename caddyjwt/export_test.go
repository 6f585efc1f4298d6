package caddyjwt

import "testing"

// LineUsage is what may stand between bearer_auth and its block.
const LineUsage = lineUsage

// Directive has the tables of all blocks.
var Directive = &directive

// Missing returns an error for each missing variable and file. Adapting does not need them; loading fails without them.
func (h *Handler) Missing() ([]error, error) { return h.missing() }

// WithoutKeys names the kinds of key sources that verify nothing.
func WithoutKeys() (names []string) {
	for i := range keySources {
		if !keySources[i].verifies() {
			names = append(names, keySources[i].name)
		}
	}
	return names
}

// AuthMethods names the methods of authentication at an introspection endpoint.
func AuthMethods() (names []string) {
	for _, method := range authMethods {
		names = append(names, string(method.name))
	}
	return names
}

// KeyFields names the fields of Keys that one kind of key source has and another has not.
func KeyFields() (names []string) {
	for _, field := range keyFields {
		names = append(names, field.field)
	}
	return names
}

// SummaryLines are the fields of the line "gate is in force".
func (h *Handler) SummaryLines(t *testing.T) string { return h.summaryLines(t, false) }
