package possession

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/proof/nonce"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Field is the header field with a DPoP proof (RFC 9449 section 4.1), in canonical form.
const Field = "Dpop"

// DefaultMaxAge is how far the time of a proof may be from ours by default. LongestMaxAge is how far it may be at most:
// all proofs of that time have to be remembered.
const (
	DefaultMaxAge = time.Minute
	LongestMaxAge = 5 * time.Minute
)

// Bounds of NonceLifetime.
const (
	ShortestNonceLifetime = 10 * time.Second
	LongestNonceLifetime  = time.Hour
)

// Algorithms are those that a proof may be signed with: all that need no shared secret (RFC 9449 section 11.6).
func Algorithms() jose.Algorithms { return proof.DefaultAlgorithms() }

// DPoP says which proofs of RFC 9449 are good.
type DPoP struct {
	// Algorithms lists what a proof may be signed with. It must not be empty.
	Algorithms jose.Algorithms
	// MaxAge is how far iat may be from now, in both directions.
	MaxAge time.Duration
	// Scheme and Host are how clients address the server. Empty means as the Facts say.
	Scheme, Host string
	// Verifier verifies proofs. Without one, all are refused.
	Verifier *proof.Verifier `clone:"shared"`
	// Replays remembers which proofs were used. Nil means that nobody does, which is for tools.
	Replays Replays
	// Window says for how long. Nil means LongestMaxAge, which suits all that share a store.
	Window *Window `clone:"shared"`
	// Nonces makes the nonces that a proof must have (RFC 9449 section 9). Nil means that no nonce is needed.
	Nonces Nonces
	// NonceLifetime is how long a nonce is good.
	NonceLifetime time.Duration
	// AnyNonce takes every nonce for good, and still wants one. It is for tools, which do not know the secret.
	AnyNonce bool
}

// validate checks what a proof is judged by. The DPoP may be nil.
func (d *DPoP) validate() error {
	switch {
	case d == nil:
		return nil
	case d.Algorithms == 0, d.Algorithms.Intersect(Algorithms()) != d.Algorithms:
		return setting.Errorf("DPoP.Algorithms", "proof algorithms %v: expected some of %v", d.Algorithms, Algorithms())
	case d.MaxAge < time.Second, d.MaxAge > LongestMaxAge:
		return setting.Errorf("DPoP.MaxAge", "proof max_age %v: expected a duration from 1s to %v", d.MaxAge, LongestMaxAge)
	case d.Nonces == nil && d.NonceLifetime == 0:
		return nil
	case d.NonceLifetime < ShortestNonceLifetime, d.NonceLifetime > LongestNonceLifetime:
		return setting.Errorf("DPoP.NonceLifetime", "proof nonce %v: expected off, or a duration from %v to %v",
			d.NonceLifetime, ShortestNonceLifetime, LongestNonceLifetime)
	}
	return nil
}

// Replays remembers which proofs were used. *replay.Memory and *replay.Shared implement it.
type Replays interface {
	// Use records that the proof with this id of a key was used. After until nobody accepts the proof any more. The error
	// is or wraps replay.ErrUsed, replay.ErrFull or replay.ErrUnavailable.
	Use(ctx context.Context, key [32]byte, id string, now, until time.Time) error
}

// Nonces makes and checks nonces. *nonce.Source implements it.
type Nonces interface {
	Issue(ctx context.Context, now time.Time, lifetime time.Duration) (string, error)
	Check(ctx context.Context, text string, now time.Time, lifetime time.Duration) (nonce.State, error)
}

// accepted is a proof that is good, except that it may have been used before.
type accepted struct {
	proof      proof.Proof
	thumbprint string // cnf.jkt
	until      time.Time
	staleNonce bool // the client should get a newer one
}

// proveKey wants a proof with the key of jkt (RFC 9449 sections 4.3 and 7.1).
func (p *Policy) proveKey(proved *Proved, by *Presented, c claims.Confirmation) error {
	switch {
	case p == nil || p.DPoP == nil:
		return errNoDPoP
	case !by.WithDPoP:
		return errAsBearer // RFC 9449 section 7.2
	case proved.dpop != nil && proved.dpop.thumbprint == c.KeyThumbprint:
		return nil
	case proved.dpop != nil:
		return errTwoKeys
	}
	good, err := p.DPoP.verify(by, c.KeyThumbprint)
	if err != nil {
		return err
	}
	proved.dpop = good
	return nil
}

// ProveAny wants a proof of a request that has no token, because the client asks for one, and returns the thumbprint of
// its key (RFC 9449 section 5). It is empty if there is no proof. Spend uses it up. An error is always an *Error.
func (p *Policy) ProveAny(proved *Proved, by *Presented) (thumbprint string, err error) {
	switch {
	case len(by.Request.Header[Field]) == 0:
		return "", nil
	case p == nil || p.DPoP == nil:
		return "", errNoDPoP
	}
	without := *by
	without.Token, without.TokenHash, without.NoToken = "", "", true
	good, err := p.DPoP.verify(&without, "")
	if err != nil {
		return "", err
	}
	proved.dpop = good
	return good.thumbprint, nil
}

// verify verifies the one proof of a request: of the key with this thumbprint, or without a token of any key.
func (d *DPoP) verify(by *Presented, thumbprint string) (*accepted, error) {
	lines := by.Request.Header[Field]
	switch len(lines) {
	case 1:
	case 0:
		return nil, errNoProof
	default:
		return nil, errTwoProofs // RFC 9449 section 4.3 item 1
	}
	if d.Verifier == nil {
		return nil, errNotOpen
	}
	good := &accepted{thumbprint: thumbprint}
	var err error
	if by.NoToken {
		good.proof, err = d.Verifier.VerifyAny(lines[0], d.Algorithms)
		good.thumbprint = encoded(good.proof.Key)
	} else {
		good.proof, err = d.Verifier.Verify(lines[0], thumbprint, d.Algorithms)
	}
	if err != nil {
		return nil, invalid(err)
	}
	if err := good.proof.Check(d.expected(by)); err != nil {
		return nil, invalid(err)
	}
	good.until = good.proof.IssuedAt.Add(LongestMaxAge)
	if d.Window != nil {
		var covered bool
		if good.until, covered = d.Window.until(good.proof.IssuedAt, by.Now); !covered {
			return nil, errForgotten
		}
	}
	return good, d.checkNonce(by.Request.Context(), good, by.Now)
}

// expected is what the proof of a request must be for.
func (d *DPoP) expected(by *Presented) proof.Expected {
	e := proof.Expected{
		Method: by.Facts.Method(), Scheme: d.Scheme, Host: d.Host, Target: by.Facts.Target(), Token: by.Token,
		TokenHash: by.TokenHash, NoToken: by.NoToken, Now: by.Now, MaxAge: d.MaxAge,
	}
	if d.Scheme == "" {
		e.Scheme, e.Host = by.Facts.Scheme(), by.Facts.Host()
	}
	return e
}

// invalid is the error for a proof that breaks a rule.
func invalid(err error) *Error {
	if errors.Is(err, proof.ErrOtherKey) {
		return &Error{Kind: OtherKey, Cause: err}
	}
	return &Error{Kind: Invalid, Cause: err}
}

// checkNonce wants a nonce of ours, if there are any (RFC 9449 section 9).
func (d *DPoP) checkNonce(ctx context.Context, of *accepted, now time.Time) error {
	switch {
	case d.Nonces == nil && !d.AnyNonce:
		return nil
	case of.proof.Nonce == "":
		return errNoNonce
	case d.AnyNonce:
		return nil
	}
	state, err := d.Nonces.Check(ctx, of.proof.Nonce, now, d.NonceLifetime)
	switch {
	case err != nil:
		return unavailable(err)
	case state == nonce.Unknown:
		return errOldNonce
	}
	of.staleNonce = state == nonce.Stale
	return nil
}

func unavailable(err error) *Error {
	return &Error{Kind: Unavailable, Cause: fmt.Errorf("the secret of nonces is not known: %w", err)}
}

// Spend uses up the proof of a request, so that nobody can send it again (RFC 9449 section 11.1). Call it last, when
// the request is good otherwise: a proof that was refused for another reason stays good. An error is always an *Error.
func (p *Policy) Spend(ctx context.Context, proved *Proved, now time.Time) error {
	good := proved.dpop
	if good == nil || p.DPoP.Replays == nil {
		return nil
	}
	if !now.Before(good.until) {
		return errTooLate // what remembers used proofs has forgotten it
	}
	err := p.DPoP.Replays.Use(ctx, good.proof.Key, good.proof.ID, now, good.until)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, replay.ErrUsed):
		return &Error{Kind: Replayed, Cause: err}
	case errors.Is(err, replay.ErrFull):
		return &Error{Kind: TooMany, Cause: err, RetryAfter: p.DPoP.MaxAge}
	default:
		return &Error{Kind: Unavailable, Cause: err}
	}
}

// Nonce is the nonce that the client of a refused request should use (RFC 9449 section 8). It is empty if none is
// needed.
func (p *Policy) Nonce(ctx context.Context, now time.Time) (string, error) {
	if p == nil || p.DPoP == nil || p.DPoP.Nonces == nil {
		return "", nil
	}
	text, err := p.DPoP.Nonces.Issue(ctx, now, p.DPoP.NonceLifetime)
	if err != nil {
		return "", unavailable(err)
	}
	return text, nil
}

// StaleNonce reports whether the client of an accepted request should use another nonce from now on (RFC 9449 section
// 8.2).
func (p *Proved) StaleNonce() bool { return p.dpop != nil && p.dpop.staleNonce }
