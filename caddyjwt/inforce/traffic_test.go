package inforce_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/inforce"
	"github.com/caddyjwt/gateway/caddyjwt/traffic"
	"github.com/caddyjwt/gateway/internal/gate"
)

// handler is what Caddy would have in its routes.
type handler struct{ name string }

func (*handler) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error { return nil }

// configuration is one with gates, of which each has a name, or none.
type configuration struct {
	inforce.Gates
	handlers []*handler
	ends     []func()
}

func load(desk *inforce.Desk, names ...string) *configuration {
	c := new(configuration)
	c.Provision(caddy.Context{}, desk)
	for _, name := range names {
		h := &handler{name}
		c.handlers = append(c.handlers, h)
		c.ends = append(c.ends, c.Add(inforce.Gate{Handler: h, Name: name, Server: "srv0"}))
	}
	return c
}

// begun is a configuration that has come into force, in place of another, which may be nil.
func begun(desk *inforce.Desk, before *configuration, names ...string) *configuration {
	c := load(desk, names...)
	desk.Begin(&c.Gates)
	if before != nil {
		before.end(desk)
	}
	return c
}

func (c *configuration) end(desk *inforce.Desk) {
	desk.End(&c.Gates)
	for _, end := range c.ends {
		end()
	}
}

// request is one to a gate, by its place.
func (c *configuration) request(i int) { c.Traffic(c.handlers[i]).Pass(gate.Accepted) }

// labels are those that are shown, sorted.
func labels(desk *inforce.Desk) (all []string) {
	for g := range desk.Traffic() {
		all = append(all, g.Server+"/"+g.Label)
	}
	slices.Sort(all)
	return all
}

func wantLabels(t *testing.T, desk *inforce.Desk, want ...string) {
	t.Helper()
	if got := labels(desk); !slices.Equal(got, want) {
		t.Errorf("labels %q, want %q", got, want)
	}
}

func shown(desk *inforce.Desk, label string) *traffic.Counts {
	return desk.Traffic()[traffic.Gate{Server: "srv0", Label: label}]
}

func TestGatesWithOneNameHaveOneCount(t *testing.T) {
	desk := new(inforce.Desk)
	wantLabels(t, desk)
	c := begun(desk, nil, "api", "", "api")
	wantLabels(t, desk, "srv0/2", "srv0/api")
	if one, other := c.Traffic(c.handlers[0]), c.Traffic(c.handlers[2]); one != other || one != shown(desk, "api") {
		t.Error("they differ")
	}
	if c.Traffic(c.handlers[1]) != shown(desk, "2") {
		t.Error("a gate without a name is not found by its number")
	}
}

// Caddy may start its servers before our app, so requests come before the configuration is in force.
func TestRequestsBeforeTheStartCount(t *testing.T) {
	desk := new(inforce.Desk)
	c := load(desk, "api")
	early := c.Traffic(c.handlers[0])
	wantLabels(t, desk)
	desk.Begin(&c.Gates)
	if shown(desk, "api") != early {
		t.Error("they are lost")
	}
}

func TestCountsOverReloads(t *testing.T) {
	desk := new(inforce.Desk)
	first := begun(desk, nil, "stays", "goes", "")
	stays, goes, third := shown(desk, "stays"), shown(desk, "goes"), shown(desk, "3")

	failed := load(desk, "stays", "new") // another app fails to start
	failed.request(1)
	for _, end := range failed.ends {
		end()
	}
	wantLabels(t, desk, "srv0/3", "srv0/goes", "srv0/stays")

	second := begun(desk, first, "stays", "renamed", "")
	wantLabels(t, desk, "srv0/3", "srv0/renamed", "srv0/stays")
	if shown(desk, "stays") != stays || shown(desk, "3") != third {
		t.Error("a gate that stays is counted anew")
	}
	if shown(desk, "renamed") == goes {
		t.Error("a gate with another name goes on with the count of the old one")
	}
	for i, want := range []*traffic.Counts{stays, goes, third} { // requests that are still under way
		if first.Traffic(first.handlers[i]) != want {
			t.Errorf("a late request to gate %d counts elsewhere", i+1)
		}
	}
	wantLabels(t, desk, "srv0/3", "srv0/renamed", "srv0/stays")

	second.end(desk) // the next configuration has no gate
	if shown(desk, "stays") != stays {
		t.Error("the counts end with the last gate")
	}
	begun(desk, nil, "goes", "stays")
	wantLabels(t, desk, "srv0/goes", "srv0/stays")
	if shown(desk, "stays") != stays || shown(desk, "goes") == goes {
		t.Error("the counts are not those from before")
	}
}

// A handler whose number nobody knows counts, and is not shown.
func TestRequestsToUnknownHandlers(t *testing.T) {
	desk := new(inforce.Desk)
	c := begun(desk, nil, "api")
	stray := new(handler)
	if counts := c.Traffic(stray); counts == nil || counts != c.Traffic(stray) || counts == shown(desk, "api") {
		t.Error("its counts are not its own")
	}
	wantLabels(t, desk, "srv0/api")
}

// A deployment that puts a new name into each configuration must not make anything grow.
func TestAThousandReloadsWithNewNames(t *testing.T) {
	desk := new(inforce.Desk)
	var last *configuration
	for i := range 1000 {
		name := fmt.Sprint("v", i)
		late := last
		last = begun(desk, last, name, "same")
		last.request(0)
		if late != nil {
			late.request(0)
		}
		wantLabels(t, desk, "srv0/same", "srv0/"+name)
	}
}

// Requests come while configurations come and go. None that goes to a gate that stays is lost.
func TestReloadsUnderLoad(t *testing.T) {
	desk := new(inforce.Desk)
	var mu sync.RWMutex
	current := begun(desk, nil, "same", "v")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				mu.RLock()
				c := current
				mu.RUnlock()
				c.request(0)
				c.request(1)
				labels(desk)
			}
		})
	}
	for i := range 100 {
		next := load(desk, "same", fmt.Sprint("v", i))
		all.Go(func() { next.request(0) }) // before it is in force
		desk.Begin(&next.Gates)
		mu.Lock()
		before := current
		current = next
		mu.Unlock()
		before.end(desk)
	}
	all.Wait()
	if n := shown(desk, "same").Passed(gate.Accepted); n != 4*500+100 {
		t.Errorf("%d requests, want %d", n, 4*500+100)
	}
}
