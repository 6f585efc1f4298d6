// Package authserver has rules about what an authorization server says apart from its tokens and keys: signed answers
// to introspection (RFC 9701) and of UserInfo, and the endpoints in its metadata (RFC 8414). It gives the introspection
// client what it needs, in that client's types.
package authserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// MaxAnswerAge is how old a signed answer may be. It was made for this very question: replaying an old "active" would
// undo a revocation.
const MaxAnswerAge = time.Minute

// AnswerType is the typ of signed answers (RFC 9701 section 5).
const AnswerType = "token-introspection+jwt"

// SignedAnswers verifies signed answers of one authorization server.
type SignedAnswers struct {
	// Keys are the issuer's. They verify its answers as they verify its tokens. A fingerprint of these settings leaves
	// them out, because a key source has its own fingerprint.
	Keys keyset.Source `fingerprint:"-"`
	// Issuer is the iss that answers must have.
	Issuer string
	// Mode is the kind of question that was asked. UserInfo has rules of its own: see checkUserInfo.
	Mode introspect.Mode
	// ClientID is the aud that answers must have: our own name at the server. Answers of UserInfo may be for any client if
	// it is empty, and need an aud all the same.
	ClientID string
	// Algorithms are those that the issuer's tokens may have. Answers may have the same, except for those with shared
	// secrets. An operator who allows only ES256 must not get an answer that is signed with something weaker (RFC 8725
	// section 3.1).
	Algorithms jose.Algorithms
	// Leeway is the clock difference that is tolerated.
	Leeway time.Duration
	// Reading says how the claims of UserInfo are read. Nil means as the specifications say.
	Reading *claims.Reading
	// Now is the clock; nil means time.Now.
	Now func() time.Time `fingerprint:"-"` // for tests
}

// Verify verifies an answer to introspection as RFC 9701 section 5 demands: its type, signature, iss and aud, and that
// iat is recent. Other top-level claims decide nothing. Of UserInfo, it verifies what checkUserInfo says. It returns
// the claims. When the keys are not available, the error is an *introspect.NoVerdictError; any other error means that
// the answer is refused.
func (s SignedAnswers) Verify(ctx context.Context, answer string) ([]byte, error) {
	token, err := s.parse(answer)
	if err != nil {
		return nil, err
	}
	allowed := s.Algorithms.Intersect(jose.AsymmetricAlgorithms())
	if !allowed.Has(token.Header.Algorithm) {
		return nil, fmt.Errorf("%w: %v is not allowed for this issuer; add it to \"algorithms\", or have the server "+
			"sign its answers to this client with one of %v", jose.ErrAlgorithm, token.Header.Algorithm, allowed)
	}
	if _, err := keyset.Verify(ctx, s.Keys, &token); err != nil {
		if errors.Is(err, keyset.ErrUnavailable) {
			return nil, &introspect.NoVerdictError{Cause: introspect.CauseUnavailable, Err: err}
		}
		return nil, err
	}
	check := s.check
	if s.Mode == introspect.UserInfo {
		check = s.checkUserInfo
	}
	if err := check(token.Payload); err != nil {
		return nil, err
	}
	return token.Payload, nil
}

// parse reads an answer of the right kind. UserInfo has no typ of its own. Any but the general "JWT" is that of another
// kind, such as an access token (RFC 8725 section 3.12).
func (s SignedAnswers) parse(answer string) (jose.Token, error) {
	if s.Mode != introspect.UserInfo {
		return jose.ParseTyped(answer, nil, AnswerType)
	}
	token, err := jose.Parse(answer, nil)
	if err == nil && token.Header.Type != "" && token.Header.Type != "jwt" {
		return jose.Token{}, fmt.Errorf("%w: that of UserInfo is \"JWT\", or there is none", jose.ErrType)
	}
	return token, err
}

// check checks the claims that say who made the answer, for whom, and when.
func (s SignedAnswers) check(payload []byte) error {
	set, err := claims.Decode(payload)
	if err != nil {
		return err
	}
	if err := claims.CheckIssuer(set, s.Issuer); err != nil {
		return err
	}
	if err := claims.CheckAudience(set, []string{s.ClientID}); err != nil {
		return err
	}
	return s.checkAge(set.IssuedAt, s.now())
}

func (s SignedAnswers) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s SignedAnswers) checkAge(issued, now time.Time) error {
	switch {
	case issued.IsZero():
		return fmt.Errorf("%w: iat", claims.ErrMissing)
	case issued.After(now.Add(s.Leeway)):
		return claims.ErrNotYetValid
	case issued.Before(now.Add(-MaxAnswerAge - s.Leeway)):
		return claims.ErrExpired
	}
	return nil
}
