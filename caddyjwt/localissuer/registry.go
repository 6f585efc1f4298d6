// Package localissuer connects gates with the token issuers of the same configuration: a gate has their keys without
// asking its own server for them, and links nothing of an issuer.
package localissuer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// Issuer gives out tokens that gates of the same configuration accept.
type Issuer interface {
	// Name is the iss of its tokens.
	Name() string
	// Settings identify what it does. Handlers with the same name and settings are one issuer: Caddy makes several of one
	// directive whose site is on several servers.
	Settings() [32]byte
	// Start begins its work: from now on it has keys. The store is open by then.
	Start() error
	// Keys are its keys; nil before Start.
	Keys() keyset.Source
}

// Registry knows the issuers of one configuration. They and the gates come in any order. The zero value is ready to
// use.
type Registry struct {
	mu      sync.Mutex
	issuers []Issuer
	wanted  []string // issuers whose keys gates want
}

// Add adds an issuer while the configuration loads.
func (r *Registry) Add(i Issuer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, other := range r.issuers {
		if other.Name() == i.Name() && other.Settings() != i.Settings() {
			return fmt.Errorf("the issuer %q is there twice with different settings: write token_issuer once, with all its "+
				"applications, or give the other one another name", i.Name())
		}
	}
	r.issuers = append(r.issuers, i)
	return nil
}

// Source is the keys of an issuer, for a gate. The issuer need not be there yet: Start refuses the configuration if it
// never comes.
func (r *Registry) Source(issuer string) keyset.Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = append(r.wanted, issuer)
	return &source{issuer: issuer, registry: r}
}

// Start starts all issuers. Call it when all handlers have been provisioned.
func (r *Registry) Start() error {
	r.mu.Lock()
	issuers, wanted := slices.Clone(r.issuers), r.wanted
	r.mu.Unlock()
	var names []string
	for _, i := range issuers {
		names = append(names, fmt.Sprintf("%q", i.Name()))
	}
	for _, name := range wanted {
		if slices.Contains(names, fmt.Sprintf("%q", name)) {
			continue
		}
		if len(names) == 0 {
			return fmt.Errorf("issuer %q: keys local: no token_issuer is in this configuration: write \"token_issuer %s\", or "+
				"say where else the keys are", name, name)
		}
		return fmt.Errorf("issuer %q: keys local: no token_issuer has this name; there are %s", name,
			strings.Join(slices.Compact(names), ", "))
	}
	for _, i := range issuers {
		if err := i.Start(); err != nil {
			return fmt.Errorf("token_issuer %s: %w", i.Name(), err)
		}
	}
	return nil
}

// keysOf are the keys of an issuer; nil while there are none.
func (r *Registry) keysOf(name string) keyset.Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range r.issuers {
		if i.Name() == name {
			if keys := i.Keys(); keys != nil {
				return keys
			}
		}
	}
	return nil
}

// source is the keys of an issuer, as soon as there are some.
type source struct {
	issuer   string
	registry *Registry
	keys     atomic.Pointer[keyset.Source]
}

// errNotStarted means that a request came before the issuer had its keys.
var errNotStarted = errors.New("the token issuer has not started yet")

// Current implements keyset.Source.
func (s *source) Current() *keyset.Set {
	if keys := s.started(); keys != nil {
		return keys.Current()
	}
	return nil
}

// Find implements keyset.Source.
func (s *source) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	if keys := s.started(); keys != nil {
		return keys.Find(ctx, alg, kid)
	}
	return nil, &keyset.UnavailableError{RetryAfter: time.Second, Err: errNotStarted}
}

// Close does nothing: the keys are the issuer's.
func (s *source) Close() error { return nil }

func (s *source) started() keyset.Source {
	if keys := s.keys.Load(); keys != nil {
		return *keys
	}
	keys := s.registry.keysOf(s.issuer)
	if keys != nil {
		s.keys.Store(&keys)
	}
	return keys
}
