package gate

import (
	"slices"

	"github.com/caddyjwt/gateway/internal/claims"
)

// Identity is who is calling. It is immutable and may be shared by many requests: nothing writes to it once it is made.
type Identity struct {
	// ID is the consumer's username, else the token's sub; empty when there is neither.
	ID string
	// Issuer is the token's issuer as configured; empty for a consumer.
	Issuer string
	// Consumer is the known consumer, nil for a token of an issuer.
	Consumer *Consumer
	// CredentialKey is the key of the credential that verified the token; empty without a consumer's token.
	CredentialKey string
	// Anonymous reports that there was no token.
	Anonymous bool
	// Claims is what the token, or the authorization server's answer about it, says; nil when anonymous.
	Claims *claims.Set
}

// known is an identity, and how it came to be known. It belongs to one request.
type known struct {
	identity *Identity
	party    *party
	how      manner
}

// manner is how an identity came to be known. It is a type of its own because known has few fields then: Go keeps such
// a struct in registers, which a token seen before gains from.
type manner struct {
	// opaque reports that nothing was verified here: all that is known is the authorization server's answer.
	opaque bool
	// saysAccess reports that the token, or the answer, says to be an access token or about one.
	saysAccess bool
	// bound reports that the token, or the answer, says that the token is bound to a key, with cnf or without.
	bound bool
}

// newIdentity makes the identity of a verified token. The subject, if there is one, says something: claims refuses a
// blank one, since an empty identity header is "nobody" to some backends and an administrator to others.
func newIdentity(p *party, set *claims.Set) *Identity {
	if p.consumer != nil {
		return &Identity{ID: p.consumer.Username, Consumer: p.consumer, CredentialKey: p.credential.Key, Claims: set}
	}
	return &Identity{ID: set.Subject, Issuer: p.name, Claims: set}
}

// String gives the ID: an Identity that is printed by accident tells nothing else. Nobody has none.
func (id *Identity) String() string {
	if id == nil {
		return ""
	}
	return id.ID
}

// Claim looks up a claim for a placeholder; ok is false when there is none. The value is the caller's own.
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

// inGroup reports whether the consumer, or the token's groups claim (RFC 9068 section 2.2.3.1), has the group.
func (id *Identity) inGroup(group string) bool {
	if id.Consumer != nil {
		return slices.Contains(id.Consumer.Groups, group)
	}
	if id.Claims == nil {
		return false
	}
	groups, ok := id.Claims.Claim("groups")
	return ok && groups.Matches(group)
}
