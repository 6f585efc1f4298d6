// Package authserver has rules about what an authorization server says apart from its tokens and keys: signed answers
// to introspection (RFC 9701), and the endpoints in its metadata (RFC 8414). It gives the introspection client what it
// needs, in that client's types.
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

// answerType is the typ of signed answers (RFC 9701 section 5).
const answerType = "token-introspection+jwt"

// SignedAnswers verifies signed answers of one authorization server.
type SignedAnswers struct {
	// Keys are the issuer's. They verify its answers as they verify its tokens. A fingerprint of these settings leaves
	// them out, because a key source has its own fingerprint.
	Keys keyset.Source `fingerprint:"-"`
	// Issuer is the iss that answers must have.
	Issuer string
	// ClientID is the aud that answers must have: our own name at the server.
	ClientID string
	// Algorithms are those that the issuer's tokens may have. Answers may have the same, except for those with shared
	// secrets. An operator who allows only ES256 must not get an answer that is signed with something weaker (RFC 8725
	// section 3.1).
	Algorithms jose.Algorithms
	// Leeway is the clock difference that is tolerated.
	Leeway time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time `fingerprint:"-"` // for tests
}

// Verify verifies an answer as RFC 9701 section 5 demands: its type, signature, iss and aud, and that iat is recent. It
// returns the claims. Other top-level claims decide nothing. When the keys are not available, the error is an
// *introspect.NoVerdictError; any other error means that the answer is refused.
func (s SignedAnswers) Verify(ctx context.Context, answer string) ([]byte, error) {
	token, err := jose.ParseTyped(answer, nil, answerType)
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
	if err := s.check(token.Payload); err != nil {
		return nil, err
	}
	return token.Payload, nil
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
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	return s.checkAge(set.IssuedAt, now())
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
