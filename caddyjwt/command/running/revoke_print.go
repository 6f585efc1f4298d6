package running

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// describe says in one or two lines what has become of an order.
func describe(answer *revocations.Answer) string {
	var b strings.Builder
	switch {
	case answer.Restored != nil:
		fmt.Fprintf(&b, "taken back: %s can be good again\n", which(answer.Restored))
		return b.String()
	case answer.Revoked == nil:
		return "done\n"
	case answer.DryRun:
		fmt.Fprintf(&b, "would revoke %s%s\n", which(answer.Revoked), until(answer.Revoked))
	default:
		fmt.Fprintf(&b, "revoked %s%s\n", which(answer.Revoked), until(answer.Revoked))
	}
	if effect := answer.Effect; effect != nil {
		b.WriteString("known at this Caddy: ")
		if effect.Tokens != nil {
			fmt.Fprintf(&b, "%s, ", terminal.Counted(*effect.Tokens, "remembered token"))
		}
		fmt.Fprintf(&b, "%s\n", terminal.Counted(effect.Responses, "running response"))
	}
	return b.String()
}

// which says which tokens are meant.
func which(s *revocations.Shown) string {
	whose := "issuer " + strconv.Quote(s.Issuer)
	if s.Consumer != "" {
		whose = "consumer " + strconv.Quote(s.Consumer)
	}
	switch s.By {
	case "jti":
		return fmt.Sprintf("the token with jti %s of %s", strconv.Quote(s.Value), whose)
	case "token":
		return "one token of " + whose
	case "all":
		return "all tokens of " + whose
	case "claim":
		return fmt.Sprintf("all tokens of %s with %s in %s", whose, strconv.Quote(s.Value), strconv.Quote(s.Claim))
	default:
		return fmt.Sprintf("all tokens of %s with %s %s", whose, terminal.Printable(s.By), strconv.Quote(s.Value))
	}
}

// until is the cut-off, if there is one.
func until(s *revocations.Shown) string {
	if s.NotAfter == nil {
		return ""
	}
	return " that were issued until " + s.NotAfter.Format(time.RFC3339)
}
