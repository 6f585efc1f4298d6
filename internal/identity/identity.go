// Package identity has who is calling, once somebody has vouched for it: what requirements are compared with, and what
// the backend is told. Only the gate makes identities of requests.
package identity

import (
	"cmp"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/tenant"
)

// Identity is who is calling. It is immutable, and many requests may share it.
type Identity struct {
	// ID is the consumer's username, the name in the UsernameClaim of an issuer, or else the subject of its token. An
	// authorization server's answer without sub may have a username instead. ID is empty if there is no such name.
	ID string
	// Issuer is the token's issuer: its configured name or, for one of several tenants, its iss. It is empty for a
	// consumer.
	Issuer string
	// Consumer is nil for a token of an issuer, unless the issuer's ConsumerClaim names a consumer.
	Consumer *consumer.Consumer
	// CredentialKey is the key of the credential that verified a consumer's token. Otherwise it is empty.
	CredentialKey string
	// Anonymous reports that the request had no token and counts as the anonymous consumer's.
	Anonymous bool
	// named reports that ID is from the UsernameClaim of an issuer.
	named bool
	// Claims are those of the token, or of the authorization server's answer about it. It is nil if Anonymous is set.
	Claims *claims.Set
	// Header is the JOSE header of a JWT whose signature was verified here. It is unknown for all other tokens.
	Header claims.Header

	// answer is what the authorization server says about a JWT that was verified here, if that has scopes. A scope must
	// then be in both. Nil otherwise.
	answer *claims.Set
	// pattern is that of the issuer's tenants. It is nil for all other issuers.
	pattern *tenant.Pattern
	// memory is what is known of the token. Copies of the identity share it. It is nil for an identity without a token.
	memory *revoke.Memory
}

// OfConsumer is the identity behind a token of a consumer, whose credential has the key.
func OfConsumer(c *consumer.Consumer, key string, set *claims.Set) *Identity {
	return withToken(Identity{ID: c.Username, Consumer: c, CredentialKey: key, Claims: set})
}

// OfIssuer is the identity behind a token of an issuer, or behind its server's answer about one.
func OfIssuer(name string, set *claims.Set) *Identity {
	return withToken(Identity{ID: set.Subject, Issuer: name, Claims: set})
}

// OfTenant is the identity behind a token of one tenant, whose iss matches the pattern.
func OfTenant(pattern *tenant.Pattern, set *claims.Set) *Identity {
	return withToken(Identity{ID: set.Subject, Issuer: set.Issuer, Claims: set, pattern: pattern})
}

// withToken makes the identity and the memory of its token at once.
func withToken(id Identity) *Identity {
	made := &struct {
		Identity
		memory revoke.Memory
	}{Identity: id}
	made.Identity.memory = &made.memory
	return &made.Identity
}

// Memory is what is known of the token, for those who judge whether it is revoked. It is nil for an identity without a
// token.
func (id *Identity) Memory() *revoke.Memory { return id.memory }

// AsConsumer is a copy of the identity that counts as a consumer.
func (id *Identity) AsConsumer(c *consumer.Consumer) *Identity {
	mapped := *id
	mapped.ID, mapped.Consumer = c.Username, c
	return &mapped
}

// WithName is a copy of the identity with a name from the UsernameClaim of its issuer.
func (id *Identity) WithName(name string) *Identity {
	mapped := *id
	mapped.ID, mapped.named = name, true
	return &mapped
}

// LimitedBy is a copy of the identity that has only those scopes that are also in the authorization server's answer.
func (id *Identity) LimitedBy(answer *claims.Set) *Identity {
	limited := *id
	limited.answer = answer
	return &limited
}

// Name is the name from the UsernameClaim of the issuer. It is empty without such a claim.
func (id *Identity) Name() string {
	if !id.named {
		return ""
	}
	return id.ID
}

// Tenant is the segment of the issuer that "*" stands for in the configuration. It is empty for all other issuers.
func (id *Identity) Tenant() string {
	name, _ := id.pattern.Tenant(id.Issuer)
	return name
}

// ConfiguredIssuer is the issuer as the configuration has it: with "*" for the tenant.
func (id *Identity) ConfiguredIssuer() string { return cmp.Or(id.pattern.String(), id.Issuer) }

// String returns the ID, so that an Identity that is printed by accident reveals nothing else. It is empty for nil.
func (id *Identity) String() string {
	if id == nil {
		return ""
	}
	return id.ID
}

// Claim looks up a claim for a placeholder. The path is in the notation of claims.ParsePath. The caller may change the
// value.
func (id *Identity) Claim(path string) (value any, ok bool) { return lookup(id.Claims, path) }

// HeaderMember looks up a member of the JOSE header, as Claim does.
func (id *Identity) HeaderMember(path string) (value any, ok bool) { return lookup(&id.Header, path) }

func lookup(from claims.Source, path string) (value any, ok bool) {
	p, err := claims.ParsePath(path)
	if err != nil {
		return nil, false
	}
	v, ok := from.Lookup(p)
	if !ok {
		return nil, false
	}
	return v.Any(), true
}
