package process

import (
	"maps"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// Events turns events of key sources into Caddy events. There is one Caddy event for each issuer of each running
// configuration, however many handlers it has. A configuration that fails to load, or ends, removes its own listeners
// and no others. Requests of an ended configuration may use a source for a while, but the configuration gets no more
// events.
type Events struct {
	mu        sync.Mutex
	listeners map[*pool.Source]subscriptions
}

// listener is a receiver of events: one issuer in one configuration.
type listener struct {
	events *caddyevents.App // one for each configuration
	issuer string
}

type subscriptions map[listener]*subscription

type subscription struct {
	ctx   caddy.Context
	users int // handlers
}

func newEvents() *Events { return &Events{listeners: make(map[*pool.Source]subscriptions)} }

// Listen sends events about the keys of a lease's issuers to the Caddy events of a module's configuration:
//
//	bearer_auth_keys_ready      the first keys are there
//	bearer_auth_keys_changed    keys came or went: added, removed
//	bearer_auth_keys_failing    refreshing has begun to fail: error
//	bearer_auth_keys_recovered  refreshing works again
//	bearer_auth_keys_expired    the keys have become too old to be used
//	bearer_auth_keys_recalled   fetching fails, so keys from before a restart are used
//
// Call end once, when the module ends.
func (e *Events) Listen(ctx caddy.Context, lease *pool.Lease) (end func(), err error) {
	sources := slices.Clone(lease.Sources())
	if len(sources) == 0 {
		return func() {}, nil
	}
	app, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, source := range sources {
		e.add(ctx, source.Source, listener{app.(*caddyevents.App), source.Issuer})
	}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, source := range sources {
			e.remove(source.Source, listener{app.(*caddyevents.App), source.Issuer})
		}
	}, nil
}

func (e *Events) add(ctx caddy.Context, source *pool.Source, to listener) {
	if e.listeners[source] == nil {
		e.listeners[source] = make(subscriptions)
	}
	if e.listeners[source][to] == nil {
		e.listeners[source][to] = &subscription{ctx: ctx}
	}
	e.listeners[source][to].users++
}

func (e *Events) remove(source *pool.Source, to listener) {
	all := e.listeners[source]
	if all[to].users--; all[to].users == 0 {
		delete(all, to)
	}
	if len(all) == 0 {
		delete(e.listeners, source)
	}
}

// Issuers are the issuers of running configurations that a source has keys for: each once, in no order.
func (e *Events) Issuers(source *pool.Source) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make(map[string]struct{}, len(e.listeners[source]))
	for to := range e.listeners[source] {
		names[to.issuer] = struct{}{}
	}
	return slices.Collect(maps.Keys(names))
}

var eventNames = map[keyset.EventKind]string{
	keyset.Ready:       "bearer_auth_keys_ready",
	keyset.KeysChanged: "bearer_auth_keys_changed",
	keyset.Failing:     "bearer_auth_keys_failing",
	keyset.Recovered:   "bearer_auth_keys_recovered",
	keyset.Expired:     "bearer_auth_keys_expired",
	keyset.Recalled:    "bearer_auth_keys_recalled",
}

// tell emits an event. The pool calls it.
func (e *Events) tell(source *pool.Source, event keyset.Event) {
	name, known := eventNames[event.Kind]
	if !known {
		return // only for the log
	}
	e.mu.Lock()
	all := maps.Clone(e.listeners[source])
	e.mu.Unlock()
	onlyInForce(all)
	for to, s := range all {
		data := map[string]any{
			"issuer": to.issuer, "source": event.Source, "keys": event.Keys,
			"added": slices.Clone(event.Added), "removed": slices.Clone(event.Removed),
		}
		if event.Err != nil {
			data["error"] = event.Err.Error()
		}
		to.events.Emit(s.ctx, name, data)
	}
}

// onlyInForce removes listeners of configurations that have ended or are still loading: while one loads, handlers are
// added to its events app, and nobody may use it. If no other listeners remain, as with the first configuration, all
// get the event.
func onlyInForce(all subscriptions) {
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
