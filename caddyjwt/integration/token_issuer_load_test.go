package integration

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// surely is exchange, again when the connection ends without an answer (see isCut).
func (b *booth) surely(path, body string) (a asked) {
	for range 5 {
		a = b.exchange(b.t.Context(), path, body)
		if !isCut(a.err) {
			break
		}
	}
	return a
}

// comesAndGoes signs in, refreshes a few times, and uses what it gets, until over is closed. It gives what went wrong.
func (b *booth) comesAndGoes(over <-chan struct{}, done *atomic.Int64) error {
	for {
		a := b.surely(orders+"login", signsIn())
		p, is := a.pair()
		if !is {
			return fmt.Errorf("login: status %d, %q: %w", a.status, a.body, a.err)
		}
		for range 10 { // more would be too many for a session
			select {
			case <-over:
				return nil
			default:
			}
			if status, err := b.statusOf(p.Access); status != http.StatusOK {
				return fmt.Errorf("a good token: status %d: %w", status, err)
			}
			a := b.surely(orders+"refresh", refreshes(p.Refresh))
			next, is := a.pair()
			if !is {
				return fmt.Errorf("refresh: status %d, %q: %w", a.status, a.body, a.err)
			}
			if status, err := b.statusOf(p.Access); status != http.StatusUnauthorized {
				return fmt.Errorf("an old token: status %d: %w", status, err)
			}
			p = next
			done.Add(1)
		}
	}
}

// Caddy loads its configuration again and again, as it was and with changes. No request to sign in or to refresh gets
// lost, no good token is refused, and no old one passes.
func TestReloadsLoseNoSession(t *testing.T) {
	b := newBooth(t)
	changes := [][]string{
		{"grace 30s"}, {"grace 20s"}, {"grace 30s", "access_lifetime 2m"}, {"grace 30s", "compat oauth"},
		{"grace 30s", "header co x"},
	}
	hash := hashOf(t, password)
	load := func(i int) {
		t.Helper()
		b.runs(issuingFor(ownIssuer, "user alice "+hash, appOf(orders, changes[i%len(changes)]...)), localGate())
	}
	load(0)
	var done atomic.Int64
	over := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			if err := b.comesAndGoes(over, &done); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 12 {
		load(i / 2) // each one twice
		until := done.Load() + 8
		eventually(t, "clients go on", func() bool { return done.Load() >= until || t.Failed() })
	}
	close(over)
	clients.Wait()
	t.Logf("%d refreshes during 12 reloads", done.Load())
}

// Sixty-four clients refresh with the same token at the same time. One of them gets a pair, and the session is over,
// because nobody knows who is the right one. With a grace, all get the same pair.
func TestManyRefreshesAtTheSameTime(t *testing.T) {
	const clients, rounds = 64, 4
	b := newBooth(t)
	b.runs(issuingFor(ownIssuer, "user alice "+hashOf(t, password), appOf("/api/grace/", "grace 10s"), appOf(orders)),
		localGate())
	together := func(path, token string) (pairs map[grant]int, others map[int]int) {
		pairs, others = make(map[grant]int), make(map[int]int)
		var all sync.WaitGroup
		var mu sync.Mutex
		begin := make(chan struct{})
		for range clients {
			all.Go(func() {
				<-begin
				a := b.exchange(t.Context(), path+"refresh", refreshes(token))
				p, is := a.pair()
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.err != nil:
					t.Error(a.err)
				case is:
					pairs[p]++
				default:
					others[a.status]++
				}
			})
		}
		close(begin)
		all.Wait()
		return pairs, others
	}
	for range rounds {
		p := b.login()
		pairs, others := together(orders, p.Refresh)
		if len(pairs) > 1 || others[http.StatusUnauthorized]+len(pairs) != clients {
			t.Errorf("without grace: %d pairs, others %v", len(pairs), others)
		}
		b.isOut(p.Access, "revoked")
		for next := range pairs {
			b.isOut(next.Access, "revoked")
			b.spent(next.Refresh)
		}

		p = b.loginAt("/api/grace/", signsIn())
		pairs, others = together("/api/grace/", p.Refresh)
		if len(pairs) != 1 || len(others) != 0 {
			t.Errorf("with grace: %d pairs, others %v", len(pairs), others)
		}
		b.refused(b.get("/api/grace/", p.Access), http.StatusUnauthorized, "revoked")
		for next, times := range pairs {
			if times != clients {
				t.Errorf("%d of %d have it", times, clients)
			}
			b.passed(b.get("/api/grace/", next.Access))
			b.pairIn(b.post("/api/grace/refresh", asJSONBody, refreshes(next.Refresh)))
		}
	}
}

// lineage is all pairs of one session, as its client knows them.
type lineage struct {
	app   string
	pairs []grant
}

func (l *lineage) last() grant { return l.pairs[len(l.pairs)-1] }

// Caddy is killed in the middle of refreshes. Afterwards at most one access token of each session lives, and no refresh
// token works twice. With a grace, every client goes on with the token that it tried last.
func TestRefreshesSurviveKill9(t *testing.T) {
	long(t)
	const graceful = "/api/grace/"
	b := newBooth(t)
	directives := []string{issuingFor(ownIssuer, "user alice "+hashOf(t, password),
		appOf(graceful, "grace 1m", "access_lifetime 5m"), appOf(orders, "access_lifetime 5m")), localGate()}
	whole := b.whole(directives...)
	for round := range 3 {
		kill := b.runsElsewhere(whole)
		var sessions []*lineage
		for i := range 8 {
			app := []string{graceful, orders}[i%2]
			sessions = append(sessions, &lineage{app, []grant{b.loginAt(app, signsIn())}})
		}
		var refreshed atomic.Int64
		enough := make(chan struct{})
		var clients sync.WaitGroup
		for _, l := range sessions {
			clients.Go(func() {
				for range 28 { // a session must not refresh more often
					a := b.exchange(t.Context(), l.app+"refresh", refreshes(l.last().Refresh))
					p, is := a.pair()
					if !is {
						if a.err == nil {
							t.Errorf("refresh: %+v", a)
						}
						return
					}
					l.pairs = append(l.pairs, p)
					if refreshed.Add(1) == 40 {
						close(enough)
					}
				}
			})
		}
		arrives(t, "clients refresh", enough)
		kill()
		clients.Wait()
		kill = b.runsElsewhere(whole)
		goOn := 0
		for _, l := range sessions {
			goOn += b.survives(l, l.app == graceful)
		}
		kill()
		t.Logf("round %d: killed after %d refreshes; %d of 8 sessions go on", round+1, refreshed.Load(), goOn)
	}
}

// survives wants a session to be consistent after a crash. It gives 1 if the session goes on.
func (b *booth) survives(l *lineage, must bool) int {
	b.t.Helper()
	lives := func() (n int) {
		for _, p := range l.pairs {
			if status, err := ask(b.t.Context(), b.client, b.base+l.app, p.Access); err != nil {
				b.t.Fatal(err)
			} else if status == http.StatusOK {
				n++
			}
		}
		return n
	}
	if n := lives(); n > 1 {
		b.t.Errorf("%d access tokens of one session live", n)
	}
	a := b.exchange(b.t.Context(), l.app+"refresh", refreshes(l.last().Refresh))
	p, is := a.pair()
	if is {
		l.pairs = append(l.pairs, p)
		if n := lives(); n != 1 {
			b.t.Errorf("%d access tokens live after a refresh", n)
		}
	} else if must || a.status != http.StatusUnauthorized {
		b.t.Errorf("a client is locked out: %+v", a)
	}
	for _, old := range l.pairs[:max(len(l.pairs)-2, 0)] { // the one before may have its grace
		if a := b.exchange(b.t.Context(), l.app+"refresh", refreshes(old.Refresh)); a.status != http.StatusUnauthorized {
			b.t.Errorf("an old refresh token: %+v", a)
		}
	}
	if is {
		return 1
	}
	return 0
}
