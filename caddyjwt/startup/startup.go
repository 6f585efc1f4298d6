// Package startup does what waits until a configuration is in force: it writes a line about each gate, and fetches what
// gates want to have before the first request.
//
// The moment is Caddy's event "started". Provision is too early: "caddy validate" provisions, too. So is the Start of
// an app, because Caddy starts apps in no fixed order. An app after ours may fail. And the events app may still be
// taking subscribers, so no key source may emit an event yet.
package startup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/summary"
)

const (
	// maxFetches is how many first fetches may be under way at once. A fetch takes at most 5 seconds, so a thousand
	// servers that do not answer are all tried within 6 minutes.
	maxFetches = 16

	// maxLines is how many gates get a line of their own. Gates that differ in nothing share one.
	maxLines = 100
)

// Gate is what starts with a configuration.
type Gate struct {
	// Logger gets the line.
	Logger *zap.Logger
	// Line says what the gate does.
	Line []summary.Item
	// Prefetch are the sources to fetch.
	Prefetch []pool.Preloader
}

// Startup is the start of one configuration. The zero value is ready to use.
type Startup struct {
	mu      sync.Mutex
	gates   map[int]Gate
	added   int
	last    []func()
	cancel  context.CancelFunc
	workers sync.WaitGroup
}

var _ caddyevents.Handler = (*Startup)(nil)

// Provision makes the configuration of a context call Handle when it is in force.
func (s *Startup) Provision(ctx caddy.Context) error {
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	return app.(*caddyevents.App).On("started", s)
}

// Add adds a gate. Call remove when the gate ends.
func (s *Startup) Add(g Gate) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gates == nil {
		s.gates = make(map[int]Gate)
	}
	id := s.added
	s.added++
	s.gates[id] = g
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.gates, id)
	}
}

// Do adds something to be done after the lines have been written.
func (s *Startup) Do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = append(s.last, f)
}

// Handle implements caddyevents.Handler. It does not wait for the fetches: Caddy waits for it.
func (s *Startup) Handle(context.Context, caddy.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	gates := make([]Gate, 0, len(s.gates))
	for _, id := range slices.Sorted(maps.Keys(s.gates)) {
		gates = append(gates, s.gates[id])
	}
	s.gates = nil
	announce(gates)
	for _, f := range s.last {
		f()
	}
	s.last = nil
	if sources := distinct(gates); len(sources) > 0 && s.cancel == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		s.fetch(ctx, sources)
	}
	return nil
}

// Stop ends the fetching of sources that have not begun. Those that have belong to their sources.
func (s *Startup) Stop() {
	s.mu.Lock()
	cancel := s.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	s.workers.Wait()
}

// fetch starts the workers. Each takes the next source when its last one has been fetched or has failed.
func (s *Startup) fetch(ctx context.Context, sources []pool.Preloader) {
	next := make(chan pool.Preloader, len(sources))
	for _, source := range sources {
		next <- source
	}
	close(next)
	for range min(maxFetches, len(sources)) {
		s.workers.Go(func() {
			for source := range next {
				if ctx.Err() != nil {
					return
				}
				source.Preload(ctx)
			}
		})
	}
}

// distinct are the sources of all gates, each once, in their order.
func distinct(gates []Gate) (sources []pool.Preloader) {
	seen := make(map[pool.Preloader]bool)
	for _, g := range gates {
		for _, source := range g.Prefetch {
			if !seen[source] {
				seen[source] = true
				sources = append(sources, source)
			}
		}
	}
	return sources
}

// announce writes a line for each gate. Gates with the same text share one, with their number: a snippet may put one
// gate into a thousand sites.
func announce(gates []Gate) {
	var order []string
	first, counts := make(map[string]Gate), make(map[string]int)
	for _, g := range gates {
		text := fmt.Sprint(g.Line)
		if counts[text]++; counts[text] == 1 {
			order, first[text] = append(order, text), g
		}
	}
	for i, text := range order {
		g := first[text]
		if i == maxLines {
			g.Logger.Info("more kinds of gates are in force", zap.Int("kinds", len(order)-i))
			return
		}
		fields := make([]zap.Field, 0, len(g.Line)+1)
		for _, item := range g.Line {
			fields = append(fields, zap.String(item.Name, item.Text))
		}
		if n := counts[text]; n > 1 {
			fields = append(fields, zap.Int("gates", n))
		}
		g.Logger.Info("gate is in force", fields...)
	}
}
