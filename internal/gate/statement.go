package gate

import (
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/introspect"
)

// statement is what an authorization server's answer says about an active token. It is immutable. It is made once per
// answer and shared by all requests that use the answer.
type statement struct {
	identity *Identity
	kind     claims.Kind
}

// DecodeAnswer returns the Decode of a client that asks about tokens of the named issuer, whose claims are read as how
// says. It reads an active answer once for all requests that use it.
func DecodeAnswer(issuer string, how *claims.Reading) func(answer []byte) (any, error) {
	return func(answer []byte) (any, error) {
		set, err := how.DecodeAnswer(answer)
		if err != nil {
			return nil, err
		}
		return newStatement(issuer, set), nil
	}
}

// DecodeUserInfo is DecodeAnswer for a client that asks the UserInfo endpoint. That endpoint takes access tokens only
// (OpenID Connect Core 1.0 section 5.3.1), so its answer need not declare the kind of the token. decode reads it.
func DecodeUserInfo(issuer string, decode func([]byte) (*claims.Set, error)) func(answer []byte) (any, error) {
	return func(answer []byte) (any, error) {
		set, err := decode(answer)
		if err != nil {
			return nil, err
		}
		s := newStatement(issuer, set)
		s.kind.Access = true
		return s, nil
	}
}

// DecodeOwn reads the claims of an opaque access token of a Local issuer, as those of its JWTs are read. What its
// issuer has sealed is an access token.
func DecodeOwn(issuer string, how *claims.Reading, payload []byte) (any, error) {
	set, err := how.DecodeAnswer(payload)
	if err != nil {
		return nil, err
	}
	s := newStatement(issuer, set)
	s.kind.Access = true
	return s, nil
}

// AnswerTolerance is what a client that asks about tokens of an issuer has to tolerate itself.
func AnswerTolerance(t claims.Tolerance) (out introspect.Tolerance) {
	for from, to := range map[claims.Tolerance]introspect.Tolerance{
		claims.TextDates: introspect.TextDates, claims.MillisecondDates: introspect.MillisecondDates,
		claims.NeverExpires: introspect.NeverExpires, claims.NumericSubject: introspect.NumericSubject,
	} {
		if t.Has(from) {
			out |= to
		}
	}
	return out
}

// bound reports whether the token is bound to a key (RFC 8705 section 3.2, RFC 9449 section 6.2).
func (s *statement) bound() bool { return s.identity.Claims.Confirmation.Bound || s.kind.Bound }

func newStatement(issuer string, set *claims.Set) *statement {
	s := &statement{identity.OfIssuer(issuer, set), claims.KindOfAnswer(set)}
	if s.identity.ID == "" {
		if username, ok := set.Claim("username"); ok && !username.IsEmpty() { // RFC 7662 section 2.2
			s.identity.ID, _ = username.JSON().Str()
		}
	}
	return s
}
