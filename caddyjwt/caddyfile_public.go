package caddyjwt

import (
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

// readPublic reads paths, and adds them to those of earlier lines.
func readPublic(b *words.Block, h *Handler) error {
	paths, err := b.Many()
	if err != nil {
		return err
	}
	b.MarkElements("Public", len(h.Public), len(h.Public)+len(paths))
	h.Public = append(h.Public, paths...)
	return b.Check("public", []words.Mistake{words.SingleQuotes, words.ShellVariable}, paths...)
}

// compilePublic refuses placeholders in public paths. They could open what the configuration does not show. The gate
// checks everything else about a path.
func (h *Handler) compilePublic() ([]string, error) {
	if err := words.NotEmpty("public", h.Public); err != nil {
		return nil, setting.In("Public", err)
	}
	for i, path := range h.Public {
		if err := words.Literal("public", path); err != nil {
			return nil, setting.In(setting.Element("Public", i), err)
		}
	}
	return h.Public, nil
}
