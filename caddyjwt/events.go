package caddyjwt

import (
	"maps"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// observable is a key source that tells what happens to it.
type observable interface{ SetObserver(func(keyset.Event)) }

// listeners are those whom a key source tells what happens to it: each issuer of each running configuration once. A
// configuration that fails to load, or ends, takes its own ones away and no others.
type listeners struct {
	source keyset.Source

	mu   sync.Mutex
	all  map[listener]*subscription
	seen map[string]keyset.Stats // by issuer: what metrics have of the source's
}

type listener struct {
	events *caddyevents.App // one for each configuration
	issuer string
}

type subscription struct {
	ctx   caddy.Context
	users int // handlers
}

// add turns what happens to an issuer's keys into Caddy events, for the handlers of this configuration:
//
//	bearer_auth_keys_ready      the first keys are there
//	bearer_auth_keys_changed    keys came or went: added, removed
//	bearer_auth_keys_failing    refreshing has begun to fail: error
//	bearer_auth_keys_recovered  refreshing works again
//	bearer_auth_keys_expired    the keys have become too old to be used
//
// The returned function ends that for this handler.
func (l *listeners) add(ctx caddy.Context, issuer string) (remove func(), err error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	key := listener{app.(*caddyevents.App), issuer}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[key] == nil {
		if l.all == nil {
			l.all, l.seen = make(map[listener]*subscription), make(map[string]keyset.Stats)
		}
		l.all[key] = &subscription{ctx: ctx}
		if _, counts := l.seen[issuer]; !counts {
			l.seen[issuer] = l.stats() // what came before was for others
		}
	}
	l.all[key].users++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.all[key].users--; l.all[key].users == 0 {
			l.countFor(issuer)
			delete(l.all, key)
			if !l.has(issuer) {
				delete(l.seen, issuer)
			}
		}
	}, nil
}

// has tells whether an issuer is among those who listen. The caller holds the lock.
func (l *listeners) has(issuer string) bool {
	for key := range l.all {
		if key.issuer == issuer {
			return true
		}
	}
	return false
}

// stats are the source's; files have none.
func (l *listeners) stats() keyset.Stats {
	if from, ok := l.source.(fetcher); ok {
		return from.Stats()
	}
	return keyset.Stats{}
}

// countFor adds to the metrics what the source has counted for an issuer. The caller holds the lock.
func (l *listeners) countFor(issuer string) {
	l.seen[issuer] = metrics.addFetches(issuer, l.seen[issuer], l.stats())
}

// count adds to the metrics what the source has counted, and gives the issuers that use it now, each once.
func (l *listeners) count() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make(map[string]struct{}, len(l.all))
	for key := range l.all {
		names[key.issuer] = struct{}{}
	}
	for issuer := range names {
		l.countFor(issuer)
	}
	return slices.Collect(maps.Keys(names))
}

var eventNames = map[keyset.EventKind]string{
	keyset.Ready:       "bearer_auth_keys_ready",
	keyset.KeysChanged: "bearer_auth_keys_changed",
	keyset.Failing:     "bearer_auth_keys_failing",
	keyset.Recovered:   "bearer_auth_keys_recovered",
	keyset.Expired:     "bearer_auth_keys_expired",
}

// onlyInForce leaves out the listeners of a configuration that is still loading, or has ended: handlers are being added to its
// events app, which nobody may use meanwhile. Where there are no others, as with the first configuration, they are told.
func onlyInForce(all map[listener]*subscription) {
	app, err := caddy.ActiveContext().AppIfConfigured("events")
	inForce, ok := app.(*caddyevents.App)
	if err != nil || !ok {
		return
	}
	for to := range all {
		if to.events == inForce {
			maps.DeleteFunc(all, func(to listener, _ *subscription) bool { return to.events != inForce })
			return
		}
	}
}

// tell is the source's observer.
func (l *listeners) tell(e keyset.Event) {
	name, told := eventNames[e.Kind]
	if !told {
		return // it is for the log
	}
	l.mu.Lock()
	all := maps.Clone(l.all)
	l.mu.Unlock()
	onlyInForce(all)
	for to, s := range all {
		data := map[string]any{
			"issuer": to.issuer, "source": e.Source, "keys": e.Keys,
			"added": slices.Clone(e.Added), "removed": slices.Clone(e.Removed),
		}
		if e.Err != nil {
			data["error"] = e.Err.Error()
		}
		to.events.Emit(s.ctx, name, data)
	}
}
