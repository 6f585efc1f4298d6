package caddyjwt

// Directive has the tables of all blocks.
var Directive = &directive

// Lacks gives the variables and files that are not here. Adapting does not need them; loading fails without them.
func (h *Handler) Lacks() ([]error, error) { return h.lacks() }

// WithoutKeys names the kinds of key sources that verify nothing.
func WithoutKeys() (names []string) {
	for i := range keySources {
		if !keySources[i].verifies() {
			names = append(names, keySources[i].name)
		}
	}
	return names
}
