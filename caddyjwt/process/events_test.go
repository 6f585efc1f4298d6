package process

import (
	"context"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// eventful is a key source whose events the test makes.
type eventful struct{ observe func(keyset.Event) }

func (*eventful) Current() *keyset.Set                     { return nil }
func (*eventful) Close() error                             { return nil }
func (e *eventful) SetObserver(observe func(keyset.Event)) { e.observe = observe }
func (*eventful) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, keyset.ErrUnknownKey
}

// recorder keeps the issuers that events name.
type recorder struct{ issuers []string }

func (*recorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.process_recorder", New: func() caddy.Module { return new(recorder) }}
}

func (r *recorder) Handle(_ context.Context, e caddy.Event) error {
	r.issuers = append(r.issuers, e.Data["issuer"].(string))
	return nil
}

// Each issuer of a configuration gets an event once, however many handlers it has, as long as there is one.
func TestEventsReachEachIssuerOnce(t *testing.T) {
	off := false
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{
		Disabled: true, Config: &caddy.ConfigSettings{Persist: &off},
	}})
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("events")
	if err != nil {
		t.Fatal(err)
	}
	seen := new(recorder)
	if err := app.(*caddyevents.App).On("bearer_auth_keys_failing", seen); err != nil {
		t.Fatal(err)
	}

	state, source := New(), new(eventful)
	const a, b = "https://a.example", "https://b.example"
	var ends []func()
	for _, issuer := range []string{a, a, b} { // three handlers
		leases, err := pool.Begin(state.Pool, func(l *pool.Lease) (keyset.Source, error) {
			return l.Source(issuer, "jwks", [32]byte{1}, func() (keyset.Source, error) { return source, nil })
		}, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		defer leases.End()
		end, err := state.Events.Listen(ctx, &leases.Ours().Lease)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	for i, want := range [][]string{{a, b}, {a, b}, {b}, nil} {
		if i > 0 {
			ends[i-1]()
		}
		seen.issuers = nil
		source.observe(keyset.Event{Kind: keyset.Failing})
		source.observe(keyset.Event{Kind: keyset.KeysLeftOut}) // for the log alone
		slices.Sort(seen.issuers)
		if !slices.Equal(seen.issuers, want) {
			t.Errorf("%d handlers have ended: events for %v, want %v", i, seen.issuers, want)
		}
		for source := range state.Pool.Sources() {
			issuers := state.Events.Issuers(source)
			slices.Sort(issuers)
			if !slices.Equal(issuers, want) {
				t.Errorf("%d handlers have ended: issuers %v, want %v", i, issuers, want)
			}
		}
	}
	if n := len(state.Events.listeners); n != 0 {
		t.Errorf("%d sources are still listened to", n)
	}
}

// A configuration whose gates have no key source gets no events app for it.
func TestEventsWithoutSourcesNeedNoApp(t *testing.T) {
	end, err := New().Events.Listen(caddy.Context{}, new(pool.Lease))
	if err != nil {
		t.Fatal(err)
	}
	end()
}
