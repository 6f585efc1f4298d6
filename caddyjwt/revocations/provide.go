package revocations

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
)

// Provision prepares the store of a configuration, without opening it: the configuration may only be validated, while
// another Caddy uses the same file.
func (r *Revocations) Provision(ctx caddy.Context, settings Settings, desk *Desk, objects *pool.Pool) error {
	r.loading, r.desk, r.pool = ctx, desk, objects
	return r.provide(settings)
}

// provide prepares the store that settings name; if they name none, it does nothing.
func (r *Revocations) provide(settings Settings) error {
	at, err := settings.compile(words.NewSettings())
	if at == nil || err != nil {
		return err
	}
	ctx := r.loading
	events, err := ctx.App("events")
	if err != nil {
		return err
	}
	r.prepare(at, r.desk, r.pool, ctx.Logger())
	r.emit = func(name string, data map[string]any) { events.(*caddyevents.App).Emit(ctx, name, data) }
	r.desk.expect(ctx, r)
	return nil
}

// Need has the configuration use a store although it names none: the default file. Call it while the configuration
// loads. It does nothing if there is a store.
func (r *Revocations) Need() error {
	if r.place != nil {
		return nil
	}
	implied := Settings{Store: &Store{Kind: kindFile}}
	if err := r.provide(implied); err != nil {
		return err
	}
	r.implied = true
	return nil
}

// ForGate is what a gate needs to know of them. It is nil if the configuration names no store. A gate that accepts
// tokens that are issued in this process has one all the same. Then it is only for these tokens.
func (r *Revocations) ForGate(local bool) (known gate.Revocations, onlyLocal bool, err error) {
	if local {
		if err := r.Need(); err != nil {
			return nil, false, err
		}
	}
	if r.place == nil || r.implied && !local {
		return nil, false, nil
	}
	return &r.handle, r.implied, nil
}
