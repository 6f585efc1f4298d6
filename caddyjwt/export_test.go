package caddyjwt

import "testing"

// LineUsage is what may stand between bearer_auth and its block.
const LineUsage = lineUsage

// Directive has the tables of all blocks.
var Directive = &directive

// Missing returns an error for each missing variable and file. Adapting does not need them; loading fails without them.
func (h *Handler) Missing() ([]error, error) { return h.missing() }

// SummaryLines are the fields of the line "gate is in force".
func (h *Handler) SummaryLines(t *testing.T) string { return h.summaryLines(t, false) }
