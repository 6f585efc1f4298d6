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
	// HasApplication reports whether it gives out tokens for the application with a path. It neither blocks nor allocates.
	HasApplication(path string) bool
	// HasClient reports the same of an OAuth client.
	HasClient(id string) bool
	// Unseal returns the claims of an opaque access token: see keyring.Ring.
	Unseal(ctx context.Context, token string) (claims []byte, err error)
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

// Keys are the keys of an issuer. Whoever has them can ask about its applications, too.
type Keys interface {
	keyset.Source
	// HasApplication and HasClient are those of Issuer; false before Start.
	HasApplication(path string) bool
	HasClient(id string) bool
	// Unseal is that of Issuer; before Start, it cannot be known what the token says.
	Unseal(ctx context.Context, token string) (claims []byte, err error)
}

// Source is the keys of an issuer, for a gate. The issuer need not be there yet: Start refuses the configuration if it
// never comes.
func (r *Registry) Source(issuer string) Keys {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = append(r.wanted, issuer)
	return &source{name: issuer, registry: r}
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

// find finds an issuer that has its keys; nil while there is none.
func (r *Registry) find(name string) *started {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range r.issuers {
		if i.Name() == name {
			if keys := i.Keys(); keys != nil {
				return &started{i, keys}
			}
		}
	}
	return nil
}

// started is an issuer that has its keys.
type started struct {
	issuer Issuer
	keys   keyset.Source
}

// source is the keys of an issuer, as soon as there are some.
type source struct {
	name     string // of the issuer
	registry *Registry
	known    atomic.Pointer[started]
}

// errNotStarted means that a request came before the issuer had its keys.
var errNotStarted = errors.New("the token issuer has not started yet")

// Current implements keyset.Source.
func (s *source) Current() *keyset.Set {
	if i := s.started(); i != nil {
		return i.keys.Current()
	}
	return nil
}

// Find implements keyset.Source.
func (s *source) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	if i := s.started(); i != nil {
		return i.keys.Find(ctx, alg, kid)
	}
	return nil, &keyset.UnavailableError{RetryAfter: time.Second, Err: errNotStarted}
}

// HasApplication implements Keys.
func (s *source) HasApplication(path string) bool {
	i := s.started()
	return i != nil && i.issuer.HasApplication(path)
}

// HasClient implements Keys.
func (s *source) HasClient(id string) bool {
	i := s.started()
	return i != nil && i.issuer.HasClient(id)
}

// Unseal implements Keys.
func (s *source) Unseal(ctx context.Context, token string) ([]byte, error) {
	if i := s.started(); i != nil {
		return i.issuer.Unseal(ctx, token)
	}
	return nil, &keyset.UnavailableError{RetryAfter: time.Second, Err: errNotStarted}
}

// Close does nothing: the keys are the issuer's.
func (s *source) Close() error { return nil }

func (s *source) started() *started {
	if known := s.known.Load(); known != nil {
		return known
	}
	found := s.registry.find(s.name)
	if found != nil {
		s.known.Store(found)
	}
	return found
}
