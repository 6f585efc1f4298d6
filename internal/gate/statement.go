package gate

import (
	"github.com/caddyjwt/gateway/internal/claims"
)

// DecodeAnswer makes the identity of an active answer, once for all requests that will use it. It is the Decode of the
// client that asks on behalf of the named issuer.
func DecodeAnswer(issuer string) func(answer []byte) (any, error) {
	return decodeWith(claims.DecodeAnswer, issuer)
}

// DecodeUserInfo is DecodeAnswer for a client that asks the UserInfo endpoint. Its answer needs no word about the kind
// of token: that endpoint takes access tokens only (OpenID Connect Core 1.0 section 5.3.1).
func DecodeUserInfo(issuer string) func(answer []byte) (any, error) {
	decode := decodeWith(claims.DecodeUserInfo, issuer)
	return func(answer []byte) (any, error) {
		identity, err := decode(answer)
		if identity, ok := identity.(*Identity); ok {
			identity.saysAccess = true
		}
		return identity, err
	}
}

func decodeWith(decode func([]byte) (*claims.Set, error), issuer string) func(answer []byte) (any, error) {
	return func(answer []byte) (any, error) {
		set, err := decode(answer)
		if err != nil {
			return nil, err
		}
		identity := &Identity{ID: set.Subject, Issuer: issuer, Claims: set, opaque: true}
		identity.saysAccess = claims.KindOfAnswer(set).Access
		if identity.ID == "" {
			if username, ok := set.Claim("username"); ok && !username.IsEmpty() { // RFC 7662 section 2.2
				identity.ID, _ = username.JSON().Str()
			}
		}
		return identity, nil
	}
}
