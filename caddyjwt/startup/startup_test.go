package startup

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/summary"
)

// server is a source whose fetches take a while.
type server struct {
	takes             time.Duration
	fetched           atomic.Int64
	underWay, highest *atomic.Int64
}

func (s *server) Preload(ctx context.Context) {
	now := s.underWay.Add(1)
	defer s.underWay.Add(-1)
	for most := s.highest.Load(); now > most && !s.highest.CompareAndSwap(most, now); most = s.highest.Load() {
	}
	s.fetched.Add(1)
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
	}
}

func servers(n int, takes time.Duration) (all []*server, highest *atomic.Int64) {
	underWay, highest := new(atomic.Int64), new(atomic.Int64)
	for range n {
		all = append(all, &server{takes: takes, underWay: underWay, highest: highest})
	}
	return all, highest
}

func gateOf(logger *zap.Logger, line string, servers ...*server) Gate {
	g := Gate{Logger: logger, Line: []summary.Item{{Name: "tokens_from", Text: line}}}
	for _, s := range servers {
		g.Prefetch = append(g.Prefetch, s)
	}
	return g
}

// start is what Caddy does when a configuration is in force.
func start(t *testing.T, s *Startup) {
	t.Helper()
	if err := s.Handle(t.Context(), caddy.Event{}); err != nil {
		t.Fatal(err)
	}
}

func TestManyServersAreFetchedAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, highest := servers(1000, 5*time.Second)
		var s Startup
		for i := range 50 { // each source belongs to several gates
			s.Add(gateOf(zap.NewNop(), fmt.Sprint(i), all[:500]...))
			s.Add(gateOf(zap.NewNop(), fmt.Sprint(i), all[500:]...))
		}
		began := time.Now()
		start(t, &s)
		if took := time.Since(began); took != 0 {
			t.Errorf("the start was delayed by %v", took)
		}
		time.Sleep(10 * time.Minute)
		for i, source := range all {
			if n := source.fetched.Load(); n != 1 {
				t.Fatalf("source %d was fetched %d times", i, n)
			}
		}
		if n := highest.Load(); n != maxFetches {
			t.Errorf("%d fetches at once, want %d", n, maxFetches)
		}
		s.Stop()
	})
}

func TestStopEndsTheFetching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, _ := servers(100, time.Hour)
		var s Startup
		s.Add(gateOf(zap.NewNop(), "", all...))
		start(t, &s)
		synctest.Wait()
		s.Stop()
		if began := slices.IndexFunc(all, func(s *server) bool { return s.fetched.Load() == 0 }); began != maxFetches {
			t.Errorf("%d fetches began", began)
		}
		s.Stop() // nothing is left to stop
		new(Startup).Stop()
	})
}

func TestAGateThatHasEndedDoesNotStart(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	all, _ := servers(2, 0)
	var s Startup
	remove := s.Add(gateOf(zap.New(core), "ended", all[0]))
	s.Add(gateOf(zap.New(core), "in force", all[1]))
	remove()
	start(t, &s)
	s.Stop()
	if n := all[0].fetched.Load(); n != 0 {
		t.Errorf("its source was fetched %d times", n)
	}
	if lines := texts(logs); !slices.Equal(lines, []string{"gate is in force map[tokens_from:in force]"}) {
		t.Errorf("lines %q", lines)
	}
	remove() // after the start
	start(t, &s)
	if logs.Len() != 1 {
		t.Error("a line was written twice")
	}
}

func texts(logs *observer.ObservedLogs) (lines []string) {
	for _, entry := range logs.All() {
		lines = append(lines, fmt.Sprint(entry.Message, " ", entry.ContextMap()))
	}
	return lines
}

func TestEqualGatesShareALine(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	var s Startup
	for _, line := range []string{"a", "b", "a", "a"} {
		s.Add(gateOf(zap.New(core), line))
	}
	start(t, &s)
	want := []string{"gate is in force map[gates:3 tokens_from:a]", "gate is in force map[tokens_from:b]"}
	if lines := texts(logs); !slices.Equal(lines, want) {
		t.Errorf("lines %q, want %q", lines, want)
	}
}

func TestLinesAreBounded(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	var s Startup
	for i := range 5000 {
		s.Add(gateOf(zap.New(core), fmt.Sprint(i)))
	}
	start(t, &s)
	lines := texts(logs)
	if len(lines) != maxLines+1 {
		t.Fatalf("%d lines", len(lines))
	}
	if last, want := lines[maxLines], "more kinds of gates are in force map[kinds:4900]"; last != want {
		t.Errorf("the last line is %q, want %q", last, want)
	}
}

var _ pool.Preloader = (*server)(nil)
