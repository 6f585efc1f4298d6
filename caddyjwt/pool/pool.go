// Package pool keeps what outlives a configuration of Caddy: key sources, introspection clients with their caches and
// breakers, caches of verified tokens, and whatever other modules want to share.
//
// Each object is found by a fingerprint of its own settings. A reload that does not change them finds the object as it
// was. A reload that changes them gets another object, and cannot reach the old one. A Lease says how long an object is
// needed.
//
// The package knows neither handlers nor their settings: callers say how to open an object.
package pool

import (
	"fmt"
	"iter"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// Pool counts the users of each object, and closes objects that nobody uses any more. Make one with New. It is safe for
// concurrent use.
type Pool struct {
	objects *caddy.UsagePool
	observe func(*Source, keyset.Event)
	totals  totals
}

// New makes an empty pool. observe is called with every event of a key source in the pool: one call at a time for each
// source, and off the path of requests. It may be nil.
func New(observe func(*Source, keyset.Event)) *Pool {
	if observe == nil {
		observe = func(*Source, keyset.Event) {}
	}
	return &Pool{objects: caddy.NewUsagePool(), observe: observe, totals: newTotals()}
}

// References is the number of leases that hold each object in the pool. The keys begin with the kind of the object.
func (p *Pool) References() map[string]int {
	found := make(map[string]int)
	p.objects.Range(func(key, _ any) bool {
		found[key.(string)] = 0
		return true
	})
	for key := range found { // not inside Range, which holds the lock that References needs
		found[key], _ = p.objects.References(key)
	}
	return found
}

// Sources are the key sources in the pool, in no order. None of them closes during the loop. The loop must neither take
// from the pool nor give back: the pool is locked.
func (p *Pool) Sources() iter.Seq[*Source] { return All[*Source](p) }

// Clients are the introspection clients in the pool. The rules of Sources apply.
func (p *Pool) Clients() iter.Seq[*Client] { return All[*Client](p) }

// Caches are the caches of verified tokens in the pool. The rules of Sources apply.
func (p *Pool) Caches() iter.Seq[*Cache] { return All[*Cache](p) }

// Rosters are the files of consumers in the pool. The rules of Sources apply.
func (p *Pool) Rosters() iter.Seq[*Roster] { return All[*Roster](p) }

// All are the objects of a type in the pool. The rules of Sources apply.
func All[T any](p *Pool) iter.Seq[T] {
	return func(yield func(T) bool) {
		p.objects.Range(func(_, value any) bool {
			object, ok := value.(T)
			return !ok || yield(object)
		})
	}
}

// Take finds an object in the pool or opens it. The lease gives it back. kind is a word for what the object is, and id
// a fingerprint of all its settings. The last lease to give it back destructs it.
//
// open must not touch the network, because a configuration is loading. Take returns its errors. A panic in it becomes
// an error: Caddy's admin server survives a panic, but the pool would stay locked for good.
func Take[T caddy.Destructor](l *Lease, kind, id string, open func() (T, error)) (T, error) {
	key := kind + " " + id
	found, _, err := l.pool.objects.LoadOrNew(key, func() (_ caddy.Destructor, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic while opening %q: %v", kind, p)
			}
		}()
		return open()
	})
	if err != nil {
		var none T
		return none, err
	}
	l.onClose(func() error {
		_, err := l.pool.objects.Delete(key)
		return err
	})
	object, ok := found.(T)
	if !ok { // two modules use the same kind for different things
		return object, fmt.Errorf("the pool has a %T as %q, not a %T", found, kind, object)
	}
	return object, nil
}
