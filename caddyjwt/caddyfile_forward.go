package caddyjwt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
)

// forwardUsage is the usage of forward_claims.
var forwardUsage = []string{"<Header> <path> [<encoding>]", "{ <Header> <path> [<encoding>] ... }"}

// readForwardClaims reads a header and its claim on one line, or a block with such lines, in the order of Caddy's
// directive "header".
func readForwardClaims(b *words.Block, h *Handler) error {
	args, before := b.Args(), len(h.ForwardClaims)
	if len(args) > 0 {
		if err := readForwardClaim(b, h, args); err != nil {
			return err
		}
	}
	err := b.EachLine(func(line []string) error {
		if len(args) > 0 {
			return b.Errf("forward_claims: its headers stand on its line or in its block, not in both")
		}
		return readForwardClaim(b, h, line)
	})
	if err == nil && len(h.ForwardClaims) == before {
		return b.WrongUsage("")
	}
	return err
}

// readForwardClaim reads one header, its claim and perhaps how the claim is written.
func readForwardClaim(b *words.Block, h *Handler, args []string) error {
	if args[len(args)-1] == "}" {
		return b.Errf("forward_claims: in a block, each header and the closing } have a line of their own")
	}
	if len(args) != 2 && len(args) != 3 {
		return b.WrongUsage("")
	}
	header, claim := args[0], args[1]
	as := strings.Join(args[2:], "")
	if len(args) == 3 && !slices.Contains(claims.Encodings(), as) {
		return b.WrongUsage("an encoding is " + words.Alternatives(claims.Encodings()))
	}
	if err := reversed(b, header, claim); err != nil {
		return err
	}
	if strings.HasSuffix(header, ":") {
		return b.Errf("forward_claims %s %s: leave out the colon after the header's name", header, claim)
	}
	if name, found := strings.CutPrefix(claim, "{http.auth.user."); found {
		return b.Errf("forward_claims %q: %s", claim, require.NotAPlaceholder(strings.TrimSuffix(name, "}")))
	}
	if err := b.Check("forward_claims", forwardMistakes, claim); err != nil {
		return err
	}
	b.Mark(fmt.Sprintf("ForwardClaims[%d]", len(h.ForwardClaims)))
	h.ForwardClaims = append(h.ForwardClaims, ForwardClaim{Claim: claim, Header: header, As: as})
	return nil
}

func readForwardPayload(b *words.Block, h *Handler) error {
	args := b.Args()
	switch {
	case len(args) == 1:
	case len(args) == 2 && args[1] == "padded":
		h.PadPayload = true
	default:
		return b.WrongUsage("")
	}
	h.ForwardPayload = args[0]
	return nil
}
