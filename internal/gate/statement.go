package gate

import (
	"github.com/caddyjwt/gateway/internal/claims"
)

// statement is what an authorization server's answer says about an active token. It is immutable. It is made once per
// answer and shared by all requests that use the answer.
type statement struct {
	identity Identity
	kind     claims.Kind
}

// DecodeAnswer returns the Decode of a client that asks about tokens of the named issuer. It reads an active answer
// once for all requests that use it.
func DecodeAnswer(issuer string) func(answer []byte) (any, error) {
	return func(answer []byte) (any, error) {
		set, err := claims.DecodeAnswer(answer)
		if err != nil {
			return nil, err
		}
		return newStatement(issuer, set), nil
	}
}

// DecodeUserInfo is DecodeAnswer for a client that asks the UserInfo endpoint. That endpoint takes access tokens only
// (OpenID Connect Core 1.0 section 5.3.1), so its answer need not declare the kind of the token.
func DecodeUserInfo(issuer string) func(answer []byte) (any, error) {
	return func(answer []byte) (any, error) {
		set, err := claims.DecodeUserInfo(answer)
		if err != nil {
			return nil, err
		}
		s := newStatement(issuer, set)
		s.kind.Access = true
		return s, nil
	}
}

// bound reports whether the token is bound to a key (RFC 8705 section 3.2, RFC 9449 section 6.2).
func (s *statement) bound() bool { return s.identity.Claims.Confirmation.Bound || s.kind.Bound }

func newStatement(issuer string, set *claims.Set) *statement {
	s := &statement{Identity{ID: set.Subject, Issuer: issuer, Claims: set}, claims.KindOfAnswer(set)}
	if s.identity.ID == "" {
		if username, ok := set.Claim("username"); ok && !username.IsEmpty() { // RFC 7662 section 2.2
			s.identity.ID, _ = username.JSON().Str()
		}
	}
	return s
}
