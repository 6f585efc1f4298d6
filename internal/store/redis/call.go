package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/caddyjwt/gateway/internal/store"
)

// request is one command to the server.
type request struct {
	words  []string
	script *script       // for which words are the arguments after its name
	writes bool          // so WaitReplicas counts
	blocks time.Duration // for how long the server may wait before it answers
}

// call is a request to run a script.
func call(s *script, keys []string, args ...string) request {
	return request{script: s, words: append(append([]string{strconv.Itoa(len(keys))}, keys...), args...)}
}

// writing marks a request as one that writes.
func (r request) writing() request {
	r.writes = true
	return r
}

// build makes commands of a request: itself and, if replicas have to confirm it, WAIT behind it. Marked as blocking,
// they have a connection of their own: WAIT counts what was written by the connection on which it comes.
func (s *Store) build(ctx context.Context, b rueidis.Builder, r request, whole bool) []rueidis.Completed {
	command := b.Arbitrary()
	switch {
	case r.script != nil && whole:
		command = b.Arbitrary("EVAL", r.script.text)
	case r.script != nil:
		command = b.Arbitrary("EVALSHA", r.script.sum)
	}
	command = command.Args(r.words...)
	if !r.writes || s.replicas == 0 {
		if r.blocks > 0 {
			return []rueidis.Completed{command.Blocking()}
		}
		return []rueidis.Completed{command.Build()}
	}
	wait := b.Arbitrary("WAIT", strconv.Itoa(s.replicas), s.waitFor(ctx))
	return []rueidis.Completed{command.Blocking(), wait.Blocking()}
}

// waitFor is for how many milliseconds the server may wait for replicas: until shortly before the context ends, so that
// it can still say how many have confirmed. Zero would be forever.
func (s *Store) waitFor(ctx context.Context) string {
	left := s.server.timeout
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return strconv.FormatInt(max((left-s.server.timeout/4).Milliseconds(), 1), 10)
}

// errSilent is the cause of a context that has ended because the server did not answer in time.
var errSilent = errors.New("no answer in time")

// bounded makes a context that ends with the store, and when the server has taken too long.
func (s *Store) bounded(parent context.Context, timeout time.Duration) (context.Context, func()) {
	ctx, cancelTimeout := context.WithTimeoutCause(parent, timeout, errSilent)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.life, func() { cancel(store.ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		cancelTimeout()
	}
}

// ask sends a request and returns the answer. That there is nothing is an answer. What was given up does not count.
func (s *Store) ask(parent context.Context, r request) (message rueidis.RedisMessage, err error) {
	if r.blocks == 0 {
		end := s.calls.Begin()
		defer func() {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrClosed) {
				end(err == nil || rueidis.IsRedisNil(err))
			}
		}()
	}
	ctx, done := s.bounded(parent, s.server.timeout+r.blocks)
	defer done()
	l, err := s.server.acquire(ctx)
	if err != nil {
		return rueidis.RedisMessage{}, s.outcome(parent, ctx, nil, err)
	}
	defer s.server.release(l)
	message, err = s.send(ctx, l, r)
	if err != nil && !rueidis.IsRedisNil(err) {
		return message, s.outcome(parent, ctx, l, err)
	}
	return message, err
}

// send sends a request, and once more with the whole script if the server does not know that.
func (s *Store) send(ctx context.Context, l *link, r request) (rueidis.RedisMessage, error) {
	results := l.client.DoMulti(ctx, s.build(ctx, l.client.B(), r, false)...)
	if refused, ok := rueidis.IsRedisErr(results[0].Error()); ok && r.script != nil && refused.IsNoScript() {
		results = l.client.DoMulti(ctx, s.build(ctx, l.client.B(), r, true)...)
	}
	message, err := results[0].ToMessage()
	if len(results) == 1 || err != nil && !rueidis.IsRedisNil(err) {
		return message, err
	}
	confirmed, waitErr := results[1].AsInt64()
	if waitErr == nil && confirmed < int64(s.replicas) {
		waitErr = fewReplicas(confirmed)
	}
	if waitErr != nil {
		return message, waitErr
	}
	return message, err
}

// fewReplicas is the error of a write that too few replicas have confirmed, with their number.
type fewReplicas int64

func (f fewReplicas) Error() string { return ErrFewReplicas.Error() }

// outcome makes the error of a request that has failed: of its context, of the store, or of the server.
func (s *Store) outcome(parent, ctx context.Context, l *link, err error) error {
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	deadline, has := parent.Deadline()
	switch cause := context.Cause(ctx); {
	case s.life.Err() != nil || errors.Is(err, store.ErrClosed): // a moment later, the context has ended, too
		return store.ErrClosed
	case parent.Err() != nil:
		return parent.Err()
	case late && has && !time.Now().Before(deadline):
		return context.DeadlineExceeded
	case late || cause != nil:
		if l != nil {
			s.server.leave(l)
		}
		return s.server.silent()
	case l == nil:
		return err // explained by whoever has tried to connect
	}
	return s.failure(l, err)
}

// failure makes the error of a server, and leaves the link if another server may be the right one.
func (s *Store) failure(l *link, err error) error {
	if few, ok := errors.AsType[fewReplicas](err); ok {
		s.server.leave(l)
		return fmt.Errorf("redis at %s: of the %d replicas that must have it, %d have a write in time: it may be lost, and "+
			"it may be there (%w)", l.address, s.replicas, int64(few), ErrFewReplicas)
	}
	explained := s.server.explain(l.address, err)
	refused, ok := errors.AsType[*refusal](explained)
	if !ok || leaving[refused.code] {
		s.server.leave(l)
	}
	return explained
}
