package caddyjwt

// Directive has the tables of all blocks.
var Directive = &directive

// Lacks is everything that loading the handler here would fail for, and adapting does not: variables and files that are
// not here.
func (h *Handler) Lacks() ([]error, error) { return h.lacks() }
