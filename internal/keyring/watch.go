package keyring

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"time"
)

const (
	// pace is the least time between two looks at the vault that tokens of unknown keys cause.
	pace = time.Second
	// rest is how long after a failed rotation the next is tried.
	rest = time.Minute
)

// watch looks at the vault: every Options.Poll, and when somebody asks for it.
func (r *Ring) watch(ctx context.Context) {
	begun := time.Now().Add(-pace)
	timer := time.NewTimer(r.options.Poll)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.asked.close()
			return
		case <-timer.C:
		case <-r.asked.wanted:
			r.wait(ctx, pace-time.Since(begun))
		case <-r.doubts.raised:
		}
		begun = time.Now()
		r.expire()
		l, doubt := r.asked.take(), r.doubts.present.Load()
		err := r.look(ctx)
		if ctx.Err() != nil {
			err = ErrClosed
		}
		if err == nil {
			r.doubts.settle(doubt)
		}
		l.end(err)
		r.report(ctx, following, err)
		if err == nil {
			r.rotateSoon(ctx)
		}
		timer.Reset(r.nextLook())
	}
}

// nextLook is when the vault is looked at again, unless somebody asks for it.
func (r *Ring) nextLook() time.Duration {
	if r.doubts.present.Load() != nil {
		return pace
	}
	return r.options.Poll
}

// wait waits for a time, for a doubt, or for the end of ctx.
func (r *Ring) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.doubts.raised:
	case <-ctx.Done():
	}
}

// look takes over what other nodes have changed.
func (r *Ring) look(ctx context.Context) error {
	for {
		r.mu.Lock()
		writes := r.writes
		r.mu.Unlock()
		text, err := r.read(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			return r.fail("reading", ErrMissing)
		}
		if err != nil {
			return err
		}
		if done, err := r.follow(text, writes); done || err != nil {
			return err
		}
	}
}

// follow puts a document in force that was read after so many writes. It is not done if this node has written since
// then: the text may be from before.
func (r *Ring) follow(text []byte, writes uint64) (done bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state.Load()
	switch {
	case s == nil:
		return false, ErrClosed
	case r.writes != writes:
		return false, nil
	case sha256.Sum256(text) == s.hash:
		return true, nil
	}
	l, err := r.parse(text)
	if err != nil {
		return false, err
	}
	if l.doc.olderThan(s.doc) {
		return false, r.fail("reading", ErrOlder)
	}
	return true, r.install(l.doc, l.hash)
}

// rotateSoon begins a rotation if it is due. The looks at the vault go on meanwhile.
func (r *Ring) rotateSoon(ctx context.Context) {
	s, now := r.state.Load(), time.Now()
	if s == nil || now.Before(r.rested) || r.rotating.Load() {
		return
	}
	if !s.doc.isDue(r.now(), r.options.RotateEvery) {
		r.report(ctx, rotating, nil) // another node may have done what has failed here
		return
	}
	r.rested = now.Add(rest)
	r.rotating.Store(true)
	r.work.Go(func() {
		defer r.rotating.Store(false)
		r.report(ctx, rotating, r.rotateIfDue(ctx))
	})
}
