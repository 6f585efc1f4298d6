package proofs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/proof/nonce"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/store"
)

// State is what all gates of a process have in common to judge proofs. It outlives configurations: a proof that was
// used before a reload is not good after it.
type State struct {
	verifier func() (*proof.Verifier, error)
	memory   func() *replay.Memory
	used     atomic.Pointer[replay.Memory] // nil until a gate takes DPoP proofs
	window   possession.Window             // of used
}

// NewState makes a state that shares nothing with any other. It costs nothing until a gate takes DPoP proofs.
func NewState() *State {
	s := &State{verifier: sync.OnceValues(proof.NewVerifier)}
	s.memory = sync.OnceValue(func() *replay.Memory {
		s.used.Store(replay.NewMemory())
		return s.used.Load()
	})
	return s
}

// ForIssuer is a policy for requests for tokens: proofs of any key, and certificates of the connection. Proofs that
// were used are remembered by replays.
func (s *State) ForIssuer(replays possession.Replays) (*possession.Policy, error) {
	verifier, err := s.verifier()
	if err != nil {
		return nil, err
	}
	return &possession.Policy{
		DPoP: &possession.DPoP{
			Algorithms: possession.Algorithms(), MaxAge: possession.DefaultMaxAge, Verifier: verifier, Replays: replays,
		},
		Certificates: possession.FromConnection(),
	}, nil
}

// Remembered is how many proofs this process remembers because they were used.
func (s *State) Remembered() int {
	used := s.used.Load()
	if used == nil {
		return 0
	}
	proofs, _ := used.Stats()
	return proofs
}

// ForTools is a policy for those who look at a request that may have been answered before, or may never be sent: proofs
// that were used are good, and no nonce is needed.
func (s *State) ForTools(p *Plan) (*possession.Policy, error) {
	if !p.TakesDPoP() {
		return p.Policy(), nil
	}
	verifier, err := s.verifier()
	if err != nil {
		return nil, err
	}
	policy, dpop := *p.policy, *p.policy.DPoP
	policy.DPoP, dpop.Verifier = &dpop, verifier
	return &policy, nil
}

// ForExplaining is a policy like ForTools, but where a nonce is needed, there must be one. Any is good.
func (s *State) ForExplaining(p *Plan) (*possession.Policy, error) {
	policy, err := s.ForTools(p)
	if err == nil && p.TakesDPoP() {
		policy.DPoP.AnyNonce = p.nonces
	}
	return policy, err
}

// Lender lends the store of a configuration. See revocations.Revocations.
type Lender interface {
	// HasStore reports whether the configuration names a store. KeepsStore reports whether what is in it is still there
	// after a restart.
	HasStore() bool
	KeepsStore() bool
	// Lend lends it. Call giveBack after use.
	Lend(ctx context.Context) (in store.Store, giveBack func(), err error)
}

// Common is what all gates of a configuration have in common to judge proofs. The zero value is ready to use, and must
// not be copied.
type Common struct {
	once   sync.Once
	nonces *nonce.Source
	shared *replay.Shared
}

// ErrNoStore means that proofs are to be remembered in a store, and that the configuration has none that could.
var ErrNoStore = errors.New("proof replay shared keeps the proofs that were used in the store, and there is none " +
	"that others share or that outlives this process: add \"store redis <url>\" to the global option bearer_auth")

// Open makes what judges proofs of a plan. It needs nothing that must be closed, and asks the store only when a request
// needs that.
func (c *Common) Open(p *Plan, s *State, from Lender) (*possession.Policy, error) {
	switch {
	case p.Shared() && !from.KeepsStore():
		return nil, ErrNoStore
	case !p.TakesDPoP():
		return p.Policy(), nil
	}
	policy, err := s.ForTools(p)
	if err != nil {
		return nil, err
	}
	c.once.Do(func() { c.nonces, c.shared = nonce.NewSource(secretOf(from)), replay.NewShared(from.Lend) })
	if p.shared {
		policy.DPoP.Replays = c.shared
	} else {
		s.window.Widen(policy.DPoP.MaxAge, time.Now())
		policy.DPoP.Replays, policy.DPoP.Window = s.memory(), &s.window
	}
	if p.nonces {
		policy.DPoP.Nonces = c.nonces
	}
	return policy, nil
}

// secretOf is the secret of nonces: that of the store, or without one that of this process.
func secretOf(from Lender) func(context.Context) ([32]byte, error) {
	if !from.HasStore() {
		own := hashing.Key("DPoP nonces")
		return func(context.Context) ([32]byte, error) { return own, nil }
	}
	return func(ctx context.Context) ([32]byte, error) {
		in, giveBack, err := from.Lend(ctx)
		if err != nil {
			return [32]byte{}, err
		}
		defer giveBack()
		return nonce.SecretIn(ctx, in)
	}
}
