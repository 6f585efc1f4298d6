package caddyjwt

// Directive has the tables of all blocks.
var Directive = &directive

// Lacks gives the variables and files that are not here. Adapting does not need them; loading fails without them.
func (h *Handler) Lacks() ([]error, error) { return h.lacks() }
