package integration

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// sealingKey seals the stores of these tests.
const sealingKey = "c2a41d97e05b38f6417a9cd0b3e852f79e0d6b1c84f2a735d8e9061bc74f5a23"

// sharedBy is an office that shares the store at a server with others. Further lines go into the global option.
func sharedBy(t testing.TB, server *redistest.Server, lines ...string) *office {
	t.Helper()
	o := newOffice(t)
	o.store = strings.Join(append([]string{"redis " + server.URL() + " {", "key " + sealingKey, "}"}, lines...), "\n")
	return o
}

// initialised has the store of an office initialised.
func (o *office) initialised(gate string) {
	o.t.Helper()
	config := newFile(o.t, "Caddyfile", o.kept(o.caddyfile(gate)))
	if out, err := bearerAuth("", "store", "init", "--config", config); err != nil ||
		!strings.Contains(out, "the store is initialised\n") {
		o.t.Fatalf("%v\n%s", err, out)
	}
}

// elsewhere is the same office for a Caddy in a process of its own, at a socket of its own.
func (o *office) elsewhere() *office {
	other := newOffice(o.t)
	other.store = o.store
	return other
}

// turns waits until the answer to a token has a status.
func (o *office) turns(status int, token string) {
	o.t.Helper()
	eventually(o.t, http.StatusText(status), func() bool {
		got, err := o.status(token)
		return err == nil && got == status
	})
	o.drain()
}

// passing is what became of requests with tokens that are revoked one after the other.
type passing struct {
	mu      sync.Mutex
	revoked map[string]time.Time // when that was acknowledged
	last    map[string]time.Time // when the last request began that passed
	longest time.Duration        // of all requests
	sent    int
	passed  int
	refused int
	other   int
}

// note notes one request.
func (p *passing) note(token string, began time.Time, status int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
	p.longest = max(p.longest, time.Since(began))
	switch {
	case err == nil && status == http.StatusOK:
		p.passed++
		if began.After(p.last[token]) {
			p.last[token] = began
		}
	case err == nil && status == http.StatusUnauthorized:
		p.refused++
	default:
		p.other++
	}
}

// count is how many requests there were.
func (p *passing) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// acknowledged notes that a token is revoked.
func (p *passing) acknowledged(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked[token] = time.Now()
}

// delays are how long after its acknowledgement each revocation was last seen not to be in force: the longest of them,
// and how many are more than a bound.
func (p *passing) delays(bound time.Duration) (longest time.Duration, late int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for token, at := range p.revoked {
		delay := p.last[token].Sub(at)
		longest = max(longest, delay)
		if delay > bound {
			late++
		}
	}
	return longest, late
}

// under sends requests with the tokens in turn, so many in a second, until over is closed.
func (p *passing) under(s *site, tokens []string, perSecond int, over <-chan struct{}) {
	const senders = 4
	var all sync.WaitGroup
	for sender := range senders {
		all.Go(func() {
			tick := time.NewTicker(senders * time.Second / time.Duration(perSecond))
			defer tick.Stop()
			for n := sender; ; n += senders {
				select {
				case <-over:
					return
				case <-tick.C:
				}
				token, began := tokens[n%len(tokens)], time.Now()
				status, err := s.status(token)
				p.note(token, began, status, err)
			}
		})
	}
	all.Wait()
}
