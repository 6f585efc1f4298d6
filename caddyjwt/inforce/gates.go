// Package inforce knows the gates of the configuration in force, for those who operate Caddy: where each gate is, what
// it is called, and how to ask it.
package inforce

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/explain"
	"github.com/caddyjwt/gateway/caddyjwt/routes"
	"github.com/caddyjwt/gateway/caddyjwt/traffic"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/roster"
)

// Gate is a gate of a configuration, as its handler adds it.
type Gate struct {
	// Handler is what Caddy has in its routes.
	Handler caddyhttp.MiddlewareHandler
	// Name is the word of the configuration; empty for none. Several gates may have one name.
	Name string
	// Server is Caddy's name of the HTTP server.
	Server string
	// Ends says that the gate ends responses that outlive their token.
	Ends bool
	// Judge opens what explains the verdicts of the running gate.
	Judge func() (explain.Judge, error)
	// Consumers are those of the configuration.
	Consumers []consumer.Consumer
	// File is the file with further consumers; nil for none.
	File *roster.File
}

// CheckName refuses a name that a metric or a command could take for something else. It may be empty.
func CheckName(name string) error {
	if name == "" || nameForm.MatchString(name) && !number.MatchString(name) {
		return nil
	}
	return fmt.Errorf("name %q: expected 1 to 64 letters, digits and \"-_.\", at least one of which is no digit", name)
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	number   = regexp.MustCompile(`^[0-9]+$`)
)

// Known is a gate with the way to it.
type Known struct {
	Gate
	routes.Way
}

// Label is what the gate is called in metrics: its name, or else its number.
func (k *Known) Label() string { return cmp.Or(k.Name, strconv.Itoa(k.Number)) }

// Site shows the gate.
func (k *Known) Site() routes.Site { return k.Way.Site(k.Name) }

// Explained is the gate as package explain asks it. The running gate knows all that a verdict depends on.
func (k *Known) Explained() *explain.Gate {
	return &explain.Gate{Way: k.Way, Name: k.Name, Open: k.Judge}
}

// Gates are those of one configuration.
type Gates struct {
	ctx  caddy.Context
	desk *Desk

	mu    sync.Mutex
	added []*Gate
	// The rest is made when all have been added.
	known   []*Known
	traffic traffic.Table
	counts  map[caddyhttp.MiddlewareHandler]*traffic.Counts // also of gates that have ended
}

// Provision says where the routes of the configuration are found, and who will know that it is in force.
func (g *Gates) Provision(ctx caddy.Context, desk *Desk) { g.ctx, g.desk = ctx, desk }

// Add adds a gate while the configuration loads. Call remove when the gate ends.
func (g *Gates) Add(gate Gate) (remove func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	added := &gate
	g.added = append(g.added, added)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.added = slices.DeleteFunc(g.added, func(other *Gate) bool { return other == added })
		g.known = slices.DeleteFunc(slices.Clone(g.known), func(k *Known) bool { return k.Handler == added.Handler })
	}
}

// All are the gates in the order of their numbers. Ask when all have been added.
func (g *Gates) All() []*Known {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.finish()
	return g.known
}

// Traffic are the counts of a handler's gate. Ask when all have been added. Gates with the same server and label have
// the same counts, also over a reload, so that nothing begins anew. A configuration that never comes into force leaves
// nothing behind.
func (g *Gates) Traffic(handler caddyhttp.MiddlewareHandler) *traffic.Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.finish()
	if g.counts[handler] == nil { // it was added too late to have a number
		g.counts[handler] = traffic.New()
	}
	return g.counts[handler]
}

// finish makes what can be made when all gates have been added. The caller holds the lock.
func (g *Gates) finish() {
	if g.counts != nil {
		return
	}
	g.number()
	before := g.desk.Traffic()
	g.traffic, g.counts = make(traffic.Table), make(map[caddyhttp.MiddlewareHandler]*traffic.Counts, len(g.known))
	for _, known := range g.known {
		name := traffic.Gate{Server: known.Way.Server, Label: known.Label()}
		if g.traffic[name] == nil {
			g.traffic[name] = cmp.Or(before[name], traffic.New())
		}
		if known.Ends {
			g.traffic[name].ShowEnded()
		}
		g.counts[known.Handler] = g.traffic[name]
	}
}

// number finds the way to each gate. Gates inside of handlers that only other modules know come last, in the order in
// which Caddy has provisioned them.
func (g *Gates) number() {
	unfound := make(map[caddyhttp.MiddlewareHandler]*Gate, len(g.added))
	for _, gate := range g.added {
		unfound[gate.Handler] = gate
	}
	add := func(gate *Gate, at routes.Way) {
		delete(unfound, gate.Handler)
		at.Number = len(g.known) + 1
		g.known = append(g.known, &Known{*gate, at})
	}
	if app, err := g.ctx.AppIfConfigured("http"); err == nil {
		routes.Running(app.(*caddyhttp.App), func(handler caddyhttp.MiddlewareHandler, at routes.Way) {
			// Caddy's own redirects to HTTPS are structs with a map, not pointers. No map can look one up: it panics.
			if !reflect.ValueOf(handler).Comparable() {
				return
			}
			if gate := unfound[handler]; gate != nil {
				add(gate, at)
			}
		})
	}
	for _, gate := range g.added {
		if unfound[gate.Handler] != nil {
			add(gate, routes.Way{Server: gate.Server})
		}
	}
}

// Desk finds the gates of the configuration in force. The zero value is ready to use.
type Desk struct {
	mu      sync.Mutex
	inForce []*Gates

	traffic atomic.Pointer[traffic.Table] // of the configuration that came into force last
}

// Begin says that a configuration is in force.
func (d *Desk) Begin(g *Gates) {
	g.All()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inForce = append(d.inForce, g)
	d.traffic.Store(&g.traffic)
}

// End takes a configuration away. What it has counted stays until the next one is in force.
func (d *Desk) End(g *Gates) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inForce = slices.DeleteFunc(d.inForce, func(other *Gates) bool { return other == g })
}

// Gates are those of the configuration that came into force last; none before the first.
func (d *Desk) Gates() []*Known {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.inForce) == 0 {
		return nil
	}
	return d.inForce[len(d.inForce)-1].All()
}

// Traffic are the counts of the gates of the configuration that came into force last. Those of other gates are gone,
// even if requests to them are still under way.
func (d *Desk) Traffic() traffic.Table {
	if table := d.traffic.Load(); table != nil {
		return *table
	}
	return nil
}
