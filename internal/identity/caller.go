package identity

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/demand"
)

// Caller is the identity as package demand sees it. It does not allocate.
func (id *Identity) Caller() demand.Caller { return caller{id} }

type caller struct{ *Identity }

// Token implements demand.Caller.
func (c caller) Token() *claims.Set { return c.Claims }

// Header implements demand.Caller.
func (c caller) Header() *claims.Header { return &c.Identity.Header }

// Answer implements demand.Caller.
func (c caller) Answer() *claims.Set { return c.answer }

// InGroup reports whether the consumer has the group or, if the caller is no consumer, the issuer's token.
func (c caller) InGroup(group string) bool {
	if c.Consumer != nil {
		return slices.Contains(c.Consumer.Groups, group)
	}
	return c.Claims != nil && c.Claims.InGroup(group)
}

// Outside implements demand.Caller.
func (c caller) Outside(groups []string) bool {
	if len(groups) == 0 || c.Consumer != nil {
		return !slices.ContainsFunc(groups, c.InGroup)
	}
	return c.Claims.OutsideGroups(groups)
}

// Groups implements demand.Caller. It says where groups were looked for, since many servers have them in a claim of
// another name. The groups of a consumer are the operator's own texts.
func (c caller) Groups() string {
	switch {
	case c.Consumer != nil && len(c.Consumer.Groups) == 0:
		return fmt.Sprintf("the consumer %s has none", causes.Quote(c.Consumer.Username))
	case c.Consumer != nil:
		return fmt.Sprintf("the consumer %s has %s", causes.Quote(c.Consumer.Username), causes.List(c.Consumer.Groups))
	case c.Claims == nil:
		return "there is no token"
	}
	paths, values := causes.List(c.Claims.GroupPaths()), c.Claims.Groups()
	if len(values) == 0 {
		return fmt.Sprintf("the token has no claim %s. If its groups are in another claim, name that one with "+
			"\"group_claim\"", paths)
	}
	return fmt.Sprintf("the token's claim %s is %s", paths, claims.Form(values[0]))
}
