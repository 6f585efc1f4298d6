package session_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

const racers = 64

// race has many use the same token at once, and returns the pairs that they got.
func race(t *testing.T, h *house, agreed *session.Terms, token string) (pairs []*session.Pair) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range racers {
		all.Go(func() {
			<-begin
			p, err := h.Refresh(t.Context(), agreed, token, session.Proof{})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				pairs = append(pairs, p)
			} else if !errors.Is(err, session.ErrInvalid) || agreed.Grace > 0 {
				t.Error(err)
			}
		})
	}
	close(begin)
	all.Wait()
	return pairs
}

func TestOfSimultaneousRefreshesOneGetsAPair(t *testing.T) {
	for name, c := range map[string]struct {
		store  store.Store
		rounds int
	}{"memory": {store.NewMemory(), rounds}, "file": {openFile(t), 5}} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, c.store)
			for i := range c.rounds {
				first := begin(t, h, terms())
				h.clock.advance(time.Second)
				pairs := race(t, h, terms(), first.Refresh)
				if len(pairs) != 1 || h.events() != i+1 {
					t.Fatalf("%d pairs, and %d events in %d rounds", len(pairs), h.events(), i+1)
				}
				if h.lives(first) || h.lives(pairs[0]) {
					t.Fatal("an access token lives")
				}
				refused(t, h, terms(), pairs[0].Refresh, session.ErrInvalid)
			}
		})
	}
}

func TestOfSimultaneousRefreshesAllGetTheSamePairInTheGrace(t *testing.T) {
	for name, c := range map[string]struct {
		store  store.Store
		rounds int
	}{"memory": {store.NewMemory(), rounds}, "file": {openFile(t), 5}} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, c.store)
			p := begin(t, h, terms(grace))
			for range c.rounds {
				h.clock.advance(time.Second)
				pairs := race(t, h, terms(grace), p.Refresh)
				if len(pairs) != racers {
					t.Fatalf("%d pairs", len(pairs))
				}
				for _, other := range pairs {
					if *other != *pairs[0] {
						t.Fatalf("%+v and %+v", pairs[0], other)
					}
				}
				if h.lives(p) || !h.lives(pairs[0]) {
					t.Fatal("not exactly the new access token lives")
				}
				p = pairs[0]
			}
			if h.events() != 0 {
				t.Errorf("events: %v", h.reused)
			}
		})
	}
}

// Many log in at once as one user. As many sessions as there may be are left.
func TestSimultaneousLoginsAreAllCounted(t *testing.T) {
	for range rounds / 10 {
		h := newHouse(t, store.NewMemory(), func(o *session.Options) { o.PerUser = 8 })
		var all sync.WaitGroup
		pairs := make([]*session.Pair, racers)
		for i := range pairs {
			all.Go(func() {
				var err error
				pairs[i], err = h.Begin(t.Context(), terms(), alice)
				if err != nil && !strings.Contains(err.Error(), "at the same time as the same user") {
					t.Error(err)
				}
			})
		}
		all.Wait()
		h.clock.advance(time.Second)
		pairs = slices.DeleteFunc(pairs, func(p *session.Pair) bool { return p == nil })
		if good := h.good(t, pairs...); good > 8 || good < 1 {
			t.Fatalf("%d sessions, want 8", good)
		}
	}
}
