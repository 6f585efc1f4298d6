package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// observable is a key source that tells what happens to it.
type observable interface{ SetObserver(func(keyset.Event)) }

// emitEvents turns what happens to an issuer's keys into Caddy events, for the handlers of this configuration:
//
//	bearer_auth_keys_ready      the first keys are there
//	bearer_auth_keys_changed    keys came or went: added, removed
//	bearer_auth_keys_failing    refreshing has begun to fail: error
//	bearer_auth_keys_recovered  refreshing works again
//	bearer_auth_keys_expired    the keys have become too old to be used
//
// A source that outlives this configuration is taken over by the next one.
func emitEvents(ctx caddy.Context, issuer string, source keyset.Source) error {
	from, ok := source.(observable)
	if !ok {
		return nil
	}
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	events := app.(*caddyevents.App)
	names := map[keyset.EventKind]string{
		keyset.Ready:       "bearer_auth_keys_ready",
		keyset.KeysChanged: "bearer_auth_keys_changed",
		keyset.Failing:     "bearer_auth_keys_failing",
		keyset.Recovered:   "bearer_auth_keys_recovered",
		keyset.Expired:     "bearer_auth_keys_expired",
	}
	from.SetObserver(func(e keyset.Event) {
		data := map[string]any{"issuer": issuer, "source": e.Source, "keys": e.Keys, "added": e.Added, "removed": e.Removed}
		if e.Err != nil {
			data["error"] = e.Err.Error()
		}
		events.Emit(ctx, names[e.Kind], data)
	})
	return nil
}
