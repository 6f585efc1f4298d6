package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/opaque"
)

// errNotGood means that a token is not good: it is none of this issuer, has expired or is revoked.
var errNotGood = errors.New("the token is not good")

// verify finds out what an access token of this issuer says. It is good for a while after its exp. The error is
// errNotGood, or means that this is not known now.
func (s *Server) verify(ctx context.Context, text string, after time.Duration) (*claims.Set, error) {
	set, err := s.sealed(ctx, text)
	raw := text
	if errors.Is(err, opaque.ErrMalformed) {
		raw = "" // a JWT has its jti
		set, err = s.signed(ctx, text)
	}
	switch {
	case errors.Is(err, keyset.ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errNotGood, err)
	}
	if err := s.checkTime(set, after); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotGood, err)
	}
	out, err := s.o.Revocations.IsOut(set, raw)
	switch {
	case err != nil:
		return nil, err
	case out:
		return nil, fmt.Errorf("%w: revoked", errNotGood)
	}
	return set, nil
}

// sealed finds out what an opaque token of this issuer says.
func (s *Server) sealed(ctx context.Context, text string) (*claims.Set, error) {
	payload, err := s.o.Unseal(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.decode(payload)
}

// signed finds out what a JWT says that this issuer has signed as an access token.
func (s *Server) signed(ctx context.Context, text string) (*claims.Set, error) {
	token, err := jose.Parse(text, nil)
	if err != nil {
		return nil, err
	}
	switch token.Header.Type {
	case "at+jwt", "jwt": // "JWT" with compat iris
	default:
		return nil, errors.New("not an access token")
	}
	set, err := s.decode(token.Payload) // before the key: tokens of others cost less
	if err == nil {
		_, err = keyset.Verify(ctx, s.o.Keys, &token)
	}
	return set, err
}

// decode reads the claims of a token, which must be of this issuer.
func (s *Server) decode(payload []byte) (*claims.Set, error) {
	set, err := claims.Decode(payload)
	if err == nil {
		err = claims.CheckIssuer(set, s.o.Issuer)
	}
	return set, err
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
