package oauth

import (
	"maps"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
)

// mostRevoked is how many of a client's tokens can be revoked within the life of one. Each is an entry in the list of
// revoked tokens, which all share: a client that fills it would keep everybody else from ending a session.
const mostRevoked = 20_000

// paces bound how often clients do something. The zero value is good. They are safe for concurrent use.
type paces struct {
	mu sync.Mutex
	// next is when a client would be that does it once in an interval, by its id.
	next map[string]time.Duration
}

// take counts one more, of which there may be so many within a time: all at once, and then one after the other. It
// returns how long the client has to wait; zero if it need not. now is by a clock that never goes back.
func (p *paces) take(id string, most int, within, now time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) >= clients.MaxClients {
		maps.DeleteFunc(p.next, func(_ string, next time.Duration) bool { return next <= now })
	}
	next := max(p.next[id], now) + within/time.Duration(most)
	if wait := next - now - within; wait > 0 {
		return wait
	}
	if p.next == nil {
		p.next = make(map[string]time.Duration)
	}
	p.next[id] = next
	return 0
}
