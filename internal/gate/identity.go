package gate

import (
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/identity"
)

// Identity is who is calling. It is immutable, and many requests may share it.
type Identity = identity.Identity

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
	// sealed reports that the token was encrypted. inside is the digest of the JWT in it, if that has no jti.
	sealed bool
	inside string
}

// newIdentity makes the identity of a verified token. The subject may be absent, but not blank: package claims refuses
// that, since some backends read an empty identity header as "nobody" and others as an administrator.
func newIdentity(p *party, jwt *parsedJWT) *Identity {
	id := identityOf(p, jwt.set)
	id.Header = jwt.keptHeader()
	return id
}

func identityOf(p *party, set *claims.Set) *Identity {
	switch {
	case p.consumer != nil:
		return identity.OfConsumer(p.consumer, p.credential.Key, set)
	case p.pattern != nil:
		return identity.OfTenant(p.pattern, set)
	default:
		return identity.OfIssuer(p.name, set)
	}
}
