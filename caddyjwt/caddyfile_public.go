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

// readOptional reads which requests without a good token pass.
func readOptional(b *words.Block, h *Handler) error {
	h.Optional = true
	switch args := b.Args(); {
	case len(args) == 0:
	case len(args) == 1 && args[0] == "expired":
		h.OptionalExpired = true
	default:
		return b.WrongUsage("any other bad token is refused")
	}
	return nil
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
