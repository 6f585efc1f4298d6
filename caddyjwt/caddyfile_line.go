package caddyjwt

import (
	"regexp"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

// lineUsage is what may stand between bearer_auth and its block.
const lineUsage = "[<matcher>] [<issuer> <audience>]"

// aToken recognizes what somebody has pasted in a wrong place: a JWT begins with the base64url of `{"`.
var aToken = regexp.MustCompile(`(?i)^bearer\b|^eyJ[\w-]*\.`)

// readLine reads the issuer and the audience that stand on the line of bearer_auth. They mean the same as an issuer
// block with that audience. Errors quote only what belongs there: anything else may be a token.
func readLine(b *words.Block, h *Handler) error {
	args := b.Args()
	if slices.ContainsFunc(handlerTable.Words, func(w words.Word[Handler]) bool { return w.Name == args[0] }) {
		return b.Errf("bearer_auth: %q is a word of its block: write it on a line of its own, between { and }", args[0])
	}
	for _, arg := range args {
		switch {
		case aToken.MatchString(arg):
			return b.Errf("bearer_auth takes no token: tokens come with requests; keys that verify them come from an issuer")
		case strings.HasPrefix(arg, "/"), strings.HasPrefix(arg, "@"), arg == "*":
			return b.Errf("bearer_auth: one matcher comes first, then <issuer> <audience>; for several paths, name a " +
				"matcher; an audience that begins with \"/\" is written in an issuer block")
		}
	}
	if len(args) != 2 {
		return wrongLine(b, args)
	}
	issuer, audience := args[0], args[1]
	switch {
	case strings.EqualFold(audience, "any"):
		return b.Errf("bearer_auth: its line takes an audience that tokens must have: to accept any, write an issuer " +
			"block with \"audience any\"")
	case isURL(audience) && !isURL(issuer):
		return b.Errf("bearer_auth: the issuer comes first, then the audience: did you mean \"bearer_auth %s %s\"?",
			audience, issuer)
	case !isURL(issuer):
		return b.Errf("bearer_auth: the keys of the issuer on its line come from discovery, so it must be a URL: for any " +
			"other, write an issuer block that says where the keys are")
	}
	if err := b.Check("issuer", issuers.NameMistakes, issuer); err != nil {
		return err
	}
	if err := b.Check("audience", issuers.AudienceMistakes, audience); err != nil {
		return err
	}
	b.Mark("Issuers[0]")
	h.Issuers = []issuers.Issuer{{Issuer: issuer, Audience: []string{audience}}}
	return nil
}

// wrongLine is the error for less or more than an issuer and its audience.
func wrongLine(b *words.Block, args []string) error {
	const usage = "expected: bearer_auth [<matcher>] <issuer> <audience>, or all settings in a block"
	switch {
	case len(args) > 2:
		return b.Errf("%s; several issuers or audiences go in the block", usage)
	case isURL(args[0]):
		return b.Errf("%s; an audience, the \"aud\" of tokens for this site, is missing after %s", usage, args[0])
	}
	return b.Errf("%s; is an environment variable unset?", usage)
}

// issuerOnce refuses an issuer on the line of bearer_auth that has a block as well: neither could tell what the other
// leaves open.
func (h *Handler) issuerOnce() error {
	for i := 1; i < len(h.Issuers); i++ {
		if h.Issuers[i].Issuer == h.Issuers[0].Issuer {
			return setting.Errorf(setting.Element("Issuers", i), "issuer %q is already on the line of bearer_auth: to give it "+
				"more settings, remove it there, and write its audience in this block", h.Issuers[i].Issuer)
		}
	}
	return nil
}

// isURL reports whether a text is a URL or a placeholder, whose value is not known yet.
func isURL(text string) bool { return strings.Contains(text, "://") || strings.HasPrefix(text, "{") }
