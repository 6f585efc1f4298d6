package authserver

import (
	"fmt"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
)

// checkUserInfo checks the claims of a signed UserInfo answer (OpenID Connect Core 1.0 section 5.3.2). The
// specification says that iss and aud should be there. Here they must be: without them, any JWT with this key is an
// answer.
//
// Dates are optional there. One that is there must hold, and iat must be recent, since the answer was made for this
// very question. That also keeps out most ID tokens and access tokens, which have the same issuer, key and perhaps
// audience, and are older (RFC 8725 section 3.12).
func (s SignedAnswers) checkUserInfo(payload []byte) error {
	set, err := s.Reading.DecodeAnswer(payload)
	if err != nil {
		return err
	}
	if err := claims.CheckIssuer(set, s.Issuer); err != nil {
		return err
	}
	switch {
	case len(set.Audience) == 0:
		return fmt.Errorf("%w: aud, which a signed UserInfo answer must have here", claims.ErrMissing)
	case s.ClientID != "":
		if err := claims.CheckAudience(set, []string{s.ClientID}); err != nil {
			return err
		}
	}
	if err := notIDToken(set); err != nil {
		return err
	}
	return s.checkDates(set)
}

// notIDToken refuses claims that only ID tokens have (OpenID Connect Core 1.0 sections 2 and 3.1.3.6). An ID token may
// have the same header, issuer and audience (RFC 8725 section 3.12).
func notIDToken(set *claims.Set) error {
	for _, name := range []string{"nonce", "at_hash"} {
		if _, has := set.Claim(name); has {
			return fmt.Errorf("%w: the claim %s says that it is an ID token", jose.ErrType, name)
		}
	}
	return nil
}

func (s SignedAnswers) checkDates(set *claims.Set) error {
	now := s.now()
	check := claims.CheckNotBefore
	if !set.ExpiresAt.IsZero() {
		check = claims.CheckTime
	}
	if err := check(set, now, s.Leeway); err != nil {
		return err
	}
	if set.IssuedAt.IsZero() {
		return nil
	}
	return s.checkAge(set.IssuedAt, now)
}
