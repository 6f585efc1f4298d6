package summary

import (
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
)

// forwards are the fields for the backend, and what else it gets of a token.
func forwards(c *gate.Config, tenantHeader string) (all []string) {
	for _, claim := range c.ForwardClaims {
		all = append(all, forward(claim, ""))
	}
	for _, member := range c.ForwardHeader {
		all = append(all, forward(member, "the header's "))
	}
	if c.ForwardPayload != "" {
		text := short(c.ForwardPayload) + " with all claims"
		if c.PadPayload {
			text += ", padded"
		}
		all = append(all, text)
	}
	if tenantHeader != "" {
		all = append(all, short(tenantHeader)+" with the tenant")
	}
	if c.ExposeToken {
		all = append([]string{"{http.auth.bearer.token}"}, all...)
	}
	if c.ForwardToken {
		all = append([]string{"the token"}, all...) // first, where no long list hides it
	}
	return all
}

// forward is a field for the backend, and where its value comes from.
func forward(f gate.Forward, of string) string {
	text := short(f.Header) + " from " + of + short(f.Path.String())
	if f.As != claims.Text {
		text += " as " + f.As.String()
	}
	return text
}
