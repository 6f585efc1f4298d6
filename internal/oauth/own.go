package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// errNotGood means that a token is not good: it is none of this issuer, has expired or is revoked.
var errNotGood = errors.New("the token is not good")

// verify finds out what an access token of this issuer says. It is good for a while after its exp. The error is
// errNotGood, or means that this is not known now.
func (s *Server) verify(ctx context.Context, text string, after time.Duration) (*claims.Set, error) {
	token, err := jose.Parse(text, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotGood, err)
	}
	switch token.Header.Type {
	case "at+jwt", "jwt": // "JWT" with compat iris
	default:
		return nil, fmt.Errorf("%w: not an access token", errNotGood)
	}
	set, err := claims.Decode(token.Payload)
	if err == nil {
		err = claims.CheckIssuer(set, s.o.Issuer) // before the key: tokens of others cost less
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotGood, err)
	}
	if _, err := keyset.Verify(ctx, s.o.Keys, &token); err != nil {
		if errors.Is(err, keyset.ErrUnavailable) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errNotGood, err)
	}
	if err := s.checkTime(set, after); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotGood, err)
	}
	out, err := s.o.Revocations.IsOut(set)
	switch {
	case err != nil:
		return nil, err
	case out:
		return nil, fmt.Errorf("%w: revoked", errNotGood)
	}
	return set, nil
}

// checkTime refuses a token that has expired some time ago. Its iat may be ahead: another node has made it, and the
// client has not waited.
func (s *Server) checkTime(set *claims.Set, after time.Duration) error {
	now := s.o.Now()
	if err := claims.CheckTime(set, now, s.o.Leeway); err != nil {
		return err
	}
	if !now.Before(set.ExpiresAt.Add(after)) {
		return claims.ErrExpired
	}
	return nil
}
