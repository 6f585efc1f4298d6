package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

// Directory is the clients of an issuer that runs. It follows the file, if there is one.
type Directory struct {
	current atomic.Pointer[clients.Set]
	// configured are the clients that are in the configuration, by name.
	configured map[string]bool
	file       *smallfile.Follower
	keys       *pool.Leases[keySources]
}

// keySources are key sets at addresses, by client.
type keySources map[string]remote

// remote is a key set at an address.
type remote interface {
	keyset.Source
	keyset.Fetcher
}

// Teller tells operators what has happened to the file, as the end of the name of an event.
type Teller func(event string, data map[string]any)

// Open makes the directory. Close it at the end. Requests that come late still find the clients. With an error, it is
// closed.
func (p *Plan) Open(shared *process.State, logger *slog.Logger, tell Teller) (d *Directory, err error) {
	d = &Directory{configured: make(map[string]bool)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.keys, err = pool.Begin(shared.Pool, p.openKeys(shared), func(err error) {
		logger.Error("closing the keys of clients", "error", err)
	}); err != nil {
		return d, err
	}
	fixed := slices.Clone(p.fixed)
	for i := range fixed {
		d.configured[fixed[i].ID] = true
		if p.jwks[fixed[i].ID] != "" {
			fixed[i].Keys = &leased{d.keys, fixed[i].ID}
		}
	}
	if p.file == "" {
		set, err := p.set(fixed)
		d.current.Store(set)
		return d, err
	}
	logger = logger.With("file", p.file)
	d.file, err = smallfile.Follow(smallfile.Watch{Path: p.file, Max: MaxFile}, smallfile.Use{
		Take: func(data []byte) error {
			set, err := p.with(data, fixed)
			if err != nil {
				return err
			}
			before := d.current.Load()
			if before != nil {
				set.Recall(before)
				logger.Info("the clients of the file are in force", "clients", set.Len())
			}
			d.current.Store(set)
			if before != nil {
				tell("changed", map[string]any{"file": p.file, "clients": set.Len()})
			}
			return nil
		},
		Trouble: func(err error) {
			if err != nil {
				logger.Warn("the clients file cannot be used, and the clients stay as they were", "error", err)
				tell("failing", map[string]any{"file": p.file, "error": err.Error()})
			} else {
				logger.Info("the clients file can be used again")
				tell("recovered", map[string]any{"file": p.file})
			}
		},
	})
	if err != nil {
		return d, fmt.Errorf("clients file %s: %w", p.file, err)
	}
	return d, nil
}

// Clients are those of this moment.
func (d *Directory) Clients() *clients.Set { return d.current.Load() }

// Recall takes over from the directory of a configuration before which secrets have matched.
func (d *Directory) Recall(before *Directory) { d.Clients().Recall(before.Clients()) }

// Close ends what goes on in the background. The clients stay as they are.
func (d *Directory) Close() error {
	if d.file != nil {
		d.file.Close()
	}
	return d.keys.End()
}

// openKeys opens the key sets at addresses. Gates with keys at the same address share them.
func (p *Plan) openKeys(shared *process.State) func(*pool.Lease) (keySources, error) {
	return func(l *pool.Lease) (keySources, error) {
		all := make(keySources)
		for id, address := range p.jwks {
			options := keyset.RemoteOptions{
				URL: address, Fetch: fetch.Options{Logger: shared.Log.Keys}, Logger: shared.Log.Keys, Kept: shared.LastGood,
			}
			source, err := l.Source("client "+id, "jwks", options.Fingerprint(), func() (keyset.Source, error) {
				return keyset.NewRemote(options)
			})
			if err != nil {
				return nil, fmt.Errorf("client %q: jwks: %w", id, err)
			}
			fetches, is := source.(remote)
			if !is {
				return nil, fmt.Errorf("client %q: jwks: its keys are not those of an address", id)
			}
			all[id] = fetches
		}
		return all, nil
	}
}

// leased is the key set of a client. Each question holds it, so that it is open, also when the configuration has ended.
// It is a Fetcher as well: keyset.Verify then notices another key under a known id, and an unknown id that a stranger
// has sent keeps nobody from being found.
type leased struct {
	keys *pool.Leases[keySources]
	id   string
}

var _ remote = (*leased)(nil)

// Current implements keyset.Source.
func (l *leased) Current() *keyset.Set {
	held, err := l.keys.Hold()
	if err != nil {
		return nil
	}
	defer held.LetGo()
	return held.Value[l.id].Current()
}

// Find implements keyset.Source.
func (l *leased) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	return l.ask(func(keys remote) ([]*jose.Key, error) { return keys.Find(ctx, alg, kid) })
}

// FindFor implements keyset.Fetcher.
func (l *leased) FindFor(ctx context.Context, token keyset.Signed) ([]*jose.Key, error) {
	return l.ask(func(keys remote) ([]*jose.Key, error) { return keys.FindFor(ctx, token) })
}

// Recheck implements keyset.Fetcher.
func (l *leased) Recheck(ctx context.Context, token keyset.Signed, tried []*jose.Key) ([]*jose.Key, error) {
	return l.ask(func(keys remote) ([]*jose.Key, error) { return keys.Recheck(ctx, token, tried) })
}

// ask asks the key set while it is open.
func (l *leased) ask(question func(remote) ([]*jose.Key, error)) ([]*jose.Key, error) {
	held, err := l.keys.Hold()
	if err != nil {
		return nil, &keyset.UnavailableError{Err: err}
	}
	defer held.LetGo()
	return question(held.Value[l.id])
}

// Close does nothing: the Directory does it.
func (*leased) Close() error { return nil }
