package attempts_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/users/attempts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func guard(tb testing.TB, c attempts.Config) *attempts.Guard {
	tb.Helper()
	g, err := attempts.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func wrong() (bool, error) { return false, nil }
func right() (bool, error) { return true, nil }

func at(text string) netip.Addr { return netip.MustParseAddr(text) }

// limited is the error as a *Limited; nil if it is nil. Any other error fails the test.
func limited(t *testing.T, err error) *attempts.Limited {
	t.Helper()
	l, is := errors.AsType[*attempts.Limited](err)
	if err != nil && !is {
		t.Fatalf("error %v", err)
	}
	return l
}

// fails returns how many wrong passwords an address can try until it is refused.
func fails(t *testing.T, g *attempts.Guard, most int, next func(i int) (netip.Addr, string)) int {
	t.Helper()
	for i := range most {
		address, name := next(i)
		if limited(t, g.Do(t.Context(), address, name, wrong)) != nil {
			return i
		}
	}
	return most
}

// from has a new name for each attempt from an address.
func from(address string) func(int) (netip.Addr, string) {
	return func(i int) (netip.Addr, string) { return at(address), fmt.Sprint("user ", i) }
}

// hashes are those under way. The test ends them, one by one.
type hashes struct {
	t      *testing.T
	guard  *attempts.Guard
	remote bool // they ask a server

	mu      sync.Mutex
	running []*hash
	begun   []string
	refused map[string]int
	ended   map[string]error
}

type hash struct {
	who string
	end chan bool
}

func newHashes(t *testing.T, g *attempts.Guard) *hashes {
	return &hashes{t: t, guard: g, refused: make(map[string]int), ended: make(map[string]error)}
}

// attempt begins one attempt, and returns at once.
func (h *hashes) attempt(ctx context.Context, address netip.Addr, who string) {
	do := h.guard.Do
	if h.remote {
		do = h.guard.DoRemote
	}
	go func() {
		err := do(ctx, address, who, func() (bool, error) {
			one := &hash{who, make(chan bool)}
			h.mu.Lock()
			h.running = append(h.running, one)
			h.begun = append(h.begun, who)
			h.mu.Unlock()
			return <-one.end, nil
		})
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ended[who] = err
		if _, is := errors.AsType[*attempts.Limited](err); is {
			h.refused[who]++
		}
	}()
}

// endOne ends the oldest hash under way. It reports whether there was one.
func (h *hashes) endOne(ok bool) bool {
	synctest.Wait()
	h.mu.Lock()
	if len(h.running) == 0 {
		h.mu.Unlock()
		return false
	}
	one := h.running[0]
	h.running = h.running[1:]
	h.mu.Unlock()
	one.end <- ok
	synctest.Wait()
	return true
}

// endWho ends somebody's hash, which is under way.
func (h *hashes) endWho(who string, ok bool) {
	h.t.Helper()
	h.mu.Lock()
	i := slices.IndexFunc(h.running, func(one *hash) bool { return one.who == who })
	if i < 0 {
		h.mu.Unlock()
		h.t.Fatalf("%s is not under way", who)
	}
	one := h.running[i]
	h.running = slices.Delete(h.running, i, i+1)
	h.mu.Unlock()
	one.end <- ok
	synctest.Wait()
}

// endAll ends all hashes and those that follow.
func (h *hashes) endAll(ok bool) {
	for h.endOne(ok) {
		continue
	}
}

// order is who has begun, in order.
func (h *hashes) order() []string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.begun...)
}

// has reports whether somebody's hash has begun.
func (h *hashes) has(who string) bool {
	for _, other := range h.order() {
		if other == who {
			return true
		}
	}
	return false
}
