package gate

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
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
	Consumer *Consumer
	// CredentialKey is the key of the credential that verified a consumer's token. Otherwise it is empty.
	CredentialKey string
	// Anonymous reports that the request had no token and counts as the anonymous consumer's.
	Anonymous bool
	// named reports that ID is from the UsernameClaim of an issuer.
	named bool
	// Claims are those of the token, or of the authorization server's answer about it. It is nil if Anonymous is set.
	Claims *claims.Set

	// answer is what the authorization server says about a JWT that was verified here, if that has scopes. A scope must
	// then be in both. Nil otherwise.
	answer *claims.Set
	// pattern is that of the issuer's tenants. It is nil for all other issuers.
	pattern *tenant.Pattern
}

// authenticated is the result of authenticating a token. It belongs to one request.
type authenticated struct {
	identity *Identity
	party    *party
	traits   traits
}

// traits are the properties of a token that decide how it may be used. They are a type of their own to keep the number
// of fields in authenticated small: Go passes such a struct in registers, which makes cache hits faster.
type traits struct {
	// opaque reports that the token was not verified here, so only the authorization server's answer is known.
	opaque bool
	// declaredAccess reports that the token, or the answer about it, declares that it is an access token.
	declaredAccess bool
	// bound reports that the token, or the answer about it, says that it is bound to a key, by cnf or otherwise.
	bound bool
}

// newIdentity makes the identity of a verified token. The subject may be absent, but not blank: package claims refuses
// that, since some backends read an empty identity header as "nobody" and others as an administrator.
func newIdentity(p *party, set *claims.Set) *Identity {
	if p.consumer != nil {
		return &Identity{ID: p.consumer.Username, Consumer: p.consumer, CredentialKey: p.credential.Key, Claims: set}
	}
	if p.pattern != nil {
		return &Identity{ID: set.Subject, Issuer: set.Issuer, Claims: set, pattern: p.pattern}
	}
	return &Identity{ID: set.Subject, Issuer: p.name, Claims: set}
}

// String returns the ID, so that an Identity that is printed by accident reveals nothing else. It is empty for nil.
func (id *Identity) String() string {
	if id == nil {
		return ""
	}
	return id.ID
}

// Claim looks up a claim for a placeholder. The path is in the notation of claims.ParsePath. The caller may change the
// value.
func (id *Identity) Claim(path string) (value any, ok bool) {
	if id.Claims == nil {
		return nil, false
	}
	p, err := claims.ParsePath(path)
	if err != nil {
		return nil, false
	}
	v, ok := id.Claims.Lookup(p)
	if !ok {
		return nil, false
	}
	return v.Any(), true
}

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
