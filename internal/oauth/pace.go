package oauth

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/issuing"
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

// mostRemembered is how many assertions of a client are remembered at a time, by each node. All share the store in
// which they are: a client that fills it would keep everybody else from signing in.
const mostRemembered = 100_000

// rooms bound how much is remembered for each client at a time. The zero value is good. They are safe for concurrent
// use.
type rooms struct {
	mu sync.Mutex
	of map[string]*room
}

// room is what is remembered for one client.
type room struct {
	ends [roomMinutes]int32 // how many end in a minute, by its number
	past int                // the number of minutes that are over
	sum  int
}

// roomMinutes is how many minutes a room has. What lives longer counts as if it lived so long.
const roomMinutes = 64

// wait is how long a client has to wait until less is remembered than the most; zero if it need not. now is by a clock
// that never goes back.
func (r *rooms) wait(id string, most int, now time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.of[id]
	if own == nil {
		return 0
	}
	own.forget(now)
	if own.sum < most {
		return 0
	}
	first := own.past
	for own.ends[first%roomMinutes] == 0 {
		first++
	}
	return time.Duration(first+1)*time.Minute - now
}

// add remembers one thing more for a client, for a while.
func (r *rooms) add(id string, life, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) >= clients.MaxClients {
		maps.DeleteFunc(r.of, func(_ string, other *room) bool {
			other.forget(now)
			return other.sum == 0
		})
	}
	own := r.of[id]
	if own == nil {
		if r.of == nil {
			r.of = make(map[string]*room)
		}
		own = &room{past: int(now / time.Minute)}
		r.of[id] = own
	}
	own.forget(now)
	end := min(max(int((now+life)/time.Minute), own.past), own.past+roomMinutes-1)
	own.ends[end%roomMinutes]++
	own.sum++
}

// forget takes away what has ended.
func (r *room) forget(now time.Duration) {
	over := int(now / time.Minute)
	for minute := r.past; minute < min(over, r.past+roomMinutes); minute++ {
		r.sum -= int(r.ends[minute%roomMinutes])
		r.ends[minute%roomMinutes] = 0
	}
	r.past = max(r.past, over)
}

// useOnce uses up an assertion that a client may use once. The error is a failure, if too much is remembered for the
// client, or that of Assertions. What is refused is not remembered, so nobody else can fill the client's room.
func (s *Server) useOnce(ctx context.Context, client string, key [32]byte, id string, until time.Time) error {
	if wait := s.remembered.wait(client, mostRemembered, time.Since(s.begun)); wait > 0 {
		return issuing.TooMany(wait,
			errors.New("too many assertions of the client have not expired yet: let them live for a minute"))
	}
	now := s.o.Now()
	err := s.o.Assertions.Use(ctx, key, id, now, until)
	if err == nil {
		s.remembered.add(client, until.Sub(now), time.Since(s.begun))
	}
	return err
}
