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
// configuration that fails to load, or ends, takes its own ones away and no others. Requests of an ended configuration
// may use the source for a while: metrics count that, and nobody is told.
type listeners struct {
	source keyset.Source

	mu   sync.Mutex
	all  map[listener]*subscription
	uses map[string]*use // by issuer
}

// use is what leases do with the source for an issuer.
type use struct {
	leases int
	seen   keyset.Stats // what metrics have of the source's
}

type listener struct {
	events *caddyevents.App // one for each configuration
	issuer string
}

type subscription struct {
	ctx   caddy.Context
	users int // handlers
}

// listen turns what happens to the keys of this configuration's issuers into Caddy events, until Cleanup.
func (h *Handler) listen(ctx caddy.Context) error {
	for _, source := range h.leases.ours.sources {
		remove, err := source.listeners.add(ctx, source.issuer)
		if err != nil {
			return err
		}
		h.listening = append(h.listening, remove)
	}
	return nil
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
			l.all = make(map[listener]*subscription)
		}
		l.all[key] = &subscription{ctx: ctx}
	}
	l.all[key].users++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.all[key].users--; l.all[key].users == 0 {
			delete(l.all, key)
		}
	}, nil
}

// use begins to count for an issuer: what came before was for others.
func (l *listeners) use(issuer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uses == nil {
		l.uses = make(map[string]*use)
	}
	if l.uses[issuer] == nil {
		l.uses[issuer] = &use{seen: l.stats()}
	}
	l.uses[issuer].leases++
}

// used ends use.
func (l *listeners) used(issuer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countFor(issuer)
	if l.uses[issuer].leases--; l.uses[issuer].leases == 0 {
		delete(l.uses, issuer)
	}
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
	l.uses[issuer].seen = metrics.addFetches(issuer, l.uses[issuer].seen, l.stats())
}

// count adds to the metrics what the source has counted, and gives the issuers of running configurations, each once.
func (l *listeners) count() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for issuer := range l.uses {
		l.countFor(issuer)
	}
	names := make(map[string]struct{}, len(l.all))
	for key := range l.all {
		names[key.issuer] = struct{}{}
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
