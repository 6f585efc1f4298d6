package keyring

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/opaque"
)

// Seal makes an opaque token of a payload, with the key that signs now. Only rings of this issuer with the same vault
// can read it, for as long as the key verifies. The payload is 1 byte to 64 KiB long and is not read.
//
// Errors are ErrPayload, ErrDoubt and ErrClosed.
func (r *Ring) Seal(payload []byte) (token string, err error) {
	if err := r.certain(context.Background()); err != nil {
		return "", err
	}
	s := r.state.Load()
	switch {
	case s == nil:
		return "", ErrClosed
	case len(payload) == 0 || len(payload) > MaxPayload:
		return "", fmt.Errorf("%w: it has %d bytes, and must have 1 to %d", ErrPayload, len(payload), MaxPayload)
	}
	id := s.doc.signs().public.Thumbprint()
	secret := s.secrets[id]
	if secret == nil {
		return "", fmt.Errorf("the signing key %s seals nothing", s.doc.signs().public.ID)
	}
	return opaque.Seal(r.options.Issuer, id, *secret, payload)
}

// Unseal returns the payload of an opaque token. For an unknown key it waits for a look at the vault, as Find does, and
// for the end of a doubt.
//
// Errors are opaque.ErrMalformed, opaque.ErrForged, keyset.ErrUnknownKey, and a *keyset.UnavailableError if it cannot
// be known now.
func (r *Ring) Unseal(ctx context.Context, token string) (payload []byte, err error) {
	sealed, err := opaque.Parse(r.options.Issuer, token)
	if err != nil {
		return nil, err
	}
	if err := r.certain(ctx); err != nil {
		return nil, r.unavailable(err)
	}
	s := r.state.Load()
	if s == nil {
		return nil, r.unavailable(ErrClosed)
	}
	secret := s.secrets[sealed.ID]
	if kid := base64.RawURLEncoding.EncodeToString(sealed.ID[:]); secret == nil && !s.has(kid) && !r.wasRetired(kid) {
		var lookErr error
		if s, lookErr = r.lookAgain(ctx); s == nil {
			return nil, r.unavailable(lookErr)
		}
		if secret = s.secrets[sealed.ID]; secret == nil && lookErr != nil {
			return nil, r.unavailable(lookErr)
		}
	}
	if secret == nil {
		return nil, fmt.Errorf("%w: no key in force has sealed the token", keyset.ErrUnknownKey)
	}
	return sealed.Open(*secret)
}
