package gate

import (
	"slices"

	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Condition is what a matcher asks of an identity. All of it must hold. An empty list asks nothing.
type Condition struct {
	// Requirements has scopes, claims, groups and alternatives, under the rules that they have as requirements of a route.
	// The other fields must be empty: their answers are for clients.
	Requirements
	// Consumers: the identity must be one of these, by username.
	Consumers []string
	// Issuers: one of these must have issued the token. They are configured names. That of an issuer with "*" stands for
	// all its tenants. The iss of a tenant is also a name, for that tenant alone.
	Issuers []string
}

// Validate refuses what could not be meant. An empty issuer would be that of every consumer.
func (c *Condition) Validate() error {
	switch {
	case slices.Contains(c.Consumers, ""):
		return setting.Errorf("Consumers", "a consumer is empty")
	case slices.Contains(c.Issuers, ""):
		return setting.Errorf("Issuers", "an issuer is empty")
	case len(c.Others) > 0:
		return setting.Errorf("Others", "a condition has no other requirements")
	case len(c.ACR) > 0 || c.MaxAuthAge != 0:
		return setting.Errorf("ACR", "a condition asks nothing about the user's sign-in")
	}
	return c.Requirements.validate("")
}

// Holds reports whether the condition holds for an identity. scopes are those of its gate. Nobody, which is nil,
// fulfils no condition. Unlike the requirements of a gate, a condition does not say what is missing. So Holds never
// allocates.
func (c *Condition) Holds(id *Identity, scopes *scope.Hierarchy) bool {
	if id == nil || !c.all().MetBy(id.Caller(), scopes) {
		return false
	}
	for _, block := range c.Any {
		if !demand.MetByAny(block, id.Caller(), scopes) {
			return false
		}
	}
	return (len(c.Consumers) == 0 || id.Consumer != nil && slices.Contains(c.Consumers, id.Consumer.Username)) &&
		(len(c.Issuers) == 0 || slices.Contains(c.Issuers, id.Issuer) || slices.Contains(c.Issuers, id.ConfiguredIssuer()))
}
