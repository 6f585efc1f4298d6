// Package pool keeps what outlives a configuration of Caddy: key sources, introspection clients with their caches and
// breakers, caches of verified tokens, and what other modules want to share.
//
// Each object is found by a fingerprint of its own settings. A reload that does not change these settings finds the
// object as it was. A reload that changes them gets another object, and cannot reach the old one. A Lease says for how
// long an object is needed.
//
// The package knows neither handlers nor their settings: whoever wants an object says how to open it.
package pool

import (
	"fmt"
	"iter"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// Pool counts who uses what, and closes what nobody uses any more. Make one with New. It is safe for concurrent use.
type Pool struct {
	objects *caddy.UsagePool
	observe func(*Source, keyset.Event)
	totals  totals
}

// New makes an empty pool. observe is called with everything that happens to a key source of the pool: one call at a
// time for each source, and off the path of requests. Nil means that nobody wants to know.
func New(observe func(*Source, keyset.Event)) *Pool {
	if observe == nil {
		observe = func(*Source, keyset.Event) {}
	}
	return &Pool{objects: caddy.NewUsagePool(), observe: observe, totals: newTotals()}
}

// References says what is in the pool, and how many leases hold each object. The keys begin with the kind of the
// object.
func (p *Pool) References() map[string]int {
	found := make(map[string]int)
	p.objects.Range(func(key, _ any) bool {
		found[key.(string)] = 0
		return true
	})
	for key := range found { // not within Range, which holds the lock that References wants
		found[key], _ = p.objects.References(key)
	}
	return found
}

// Sources are the key sources in the pool, in no order. None of them closes while the loop is at it; the loop must
// neither take from the pool nor give back.
func (p *Pool) Sources() iter.Seq[*Source] { return all[*Source](p) }

// Clients are the introspection clients in the pool. What is said of Sources holds here, too.
func (p *Pool) Clients() iter.Seq[*Client] { return all[*Client](p) }

// Caches are the caches of verified tokens in the pool. What is said of Sources holds here, too.
func (p *Pool) Caches() iter.Seq[*Cache] { return all[*Cache](p) }

func all[T any](p *Pool) iter.Seq[T] {
	return func(yield func(T) bool) {
		p.objects.Range(func(_, value any) bool {
			object, ok := value.(T)
			return !ok || yield(object)
		})
	}
}

// Take finds an object in the pool or opens it, and has the lease give it back. kind is a word for what the object is,
// and id a fingerprint of all its settings. Whoever gives it back last destructs it.
//
// open must not touch the network, because a configuration is loading. Its errors are Take's. A panic in it becomes an
// error: Caddy's server for admin requests survives a panic, but would leave the pool locked for good.
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
	if !ok { // two modules use the same word for different things
		return object, fmt.Errorf("the pool has a %T as %q, and not a %T", found, kind, object)
	}
	return object, nil
}
