package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// pause is how long a failure to connect counts for those who come after it.
const pause = 200 * time.Millisecond

// server keeps a link to the server that takes writes. It connects when somebody needs it, once for all who wait.
type server struct {
	*settings
	finder
	vault   *vault
	timeout time.Duration
	life    context.Context // ends with Close

	mu       sync.Mutex
	closed   bool
	link     *link
	links    map[*link]struct{} // all that have not ended
	attempt  *attempt
	failure  error
	failedAt time.Time
	tasks    sync.WaitGroup
}

// attempt is one try to connect. When done is closed, the outcome is there.
type attempt struct {
	done chan struct{}
	err  error
}

// acquire returns a link, which the caller releases. It waits for an attempt to connect until the context ends.
func (s *server) acquire(ctx context.Context) (*link, error) {
	for {
		l, running, err := s.linkOrAttempt()
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-running.done:
			if running.err != nil {
				return nil, running.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// linkOrAttempt returns the link, or else the attempt to get one, or else why there is none.
func (s *server) linkOrAttempt() (*link, *attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, store.ErrClosed
	case s.link != nil:
		s.link.users++
		return s.link, nil, nil
	case s.attempt != nil:
		return nil, s.attempt, nil
	case s.failure != nil && time.Since(s.failedAt) < pause:
		return nil, nil, s.failure
	}
	s.attempt = &attempt{done: make(chan struct{})}
	s.tasks.Go(s.try)
	return nil, s.attempt, nil
}

// try connects. It is not bound to the context of anybody who waits for it, so that others profit from it.
func (s *server) try() {
	l, err := s.connect()
	s.mu.Lock()
	running := s.attempt
	s.attempt = nil
	s.failure, s.failedAt = err, time.Now()
	if l != nil {
		s.adopt(l)
	}
	s.mu.Unlock()
	running.err = err
	close(running.done)
}

// adopt makes a link that of the server, unless it was left while it was made. The caller has the lock.
func (s *server) adopt(l *link) {
	if s.closed || l.left {
		l.left = true
		s.endUnused(l)
		return
	}
	s.link = l
	if l.sentinels {
		s.tasks.Go(func() { s.follow(l) })
	}
}

// release gives back a link.
func (s *server) release(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.users--
	s.endUnused(l)
}

// leave makes the next caller connect anew.
func (s *server) leave(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == l {
		s.link = nil
	}
	if !l.left {
		l.left = true
		close(l.over)
	}
	s.endUnused(l)
}

// endUnused ends a link that was left and that nobody uses. The caller has the lock.
func (s *server) endUnused(l *link) {
	if _, there := s.links[l]; there && l.left && l.users == 0 && !s.closed {
		delete(s.links, l)
		s.tasks.Go(l.end)
	}
}

// own notes a new link, so that it is ended.
func (s *server) own(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[l] = struct{}{}
	s.endUnused(l) // it may have been left already
}

// close ends all connections, and waits until that is done.
func (s *server) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.tasks.Wait() // the context has ended, so an attempt to connect ends, too
	s.mu.Lock()
	links := s.links
	s.links, s.link = nil, nil
	s.mu.Unlock()
	for l := range links {
		l.end()
	}
}

// silent is the error for a server that takes too long.
func (s *server) silent() error {
	return fmt.Errorf("redis at %s is %w: no answer within %v", s.name(), ErrOutOfReach, s.timeout)
}
