package keyring

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/jose"
)

// How long the vault may take.
const (
	lockPatience = 30 * time.Second // other nodes may have the lock
	loadPatience = 5 * time.Second
	savePatience = 10 * time.Second
)

// Rotate makes the next key sign, and a new key the next. The key that has signed so far verifies until its last token
// has ended. When Rotate returns, this is in force here; other nodes follow within Options.Poll. Two rotations in a
// short time give other verifiers no time to fetch the key: they must fetch keys when they meet an unknown one.
//
// Nobody needs to call it: a key signs for Options.RotateEvery, and then the node that notices it first rotates.
//
// Errors are those of the vault, ErrTooMany, ErrMissing, ErrOlder, ErrDocument and ErrClosed. When storing fails, it
// may be that the vault has the new keys all the same. The next look at it will show.
func (r *Ring) Rotate(ctx context.Context) error {
	return r.change(ctx, func(before *document, fresh pair) (*document, error) {
		if err := r.isCurrent(before); err != nil {
			return nil, err
		}
		return before.rotated(r.now(), r.options.Longest(), fresh[0])
	})
}

// Reset makes new keys and throws away all others, for when a private key has leaked. All tokens made so far are
// refused: here when Reset returns, and on other nodes within Options.Poll if they can read the vault, or at once if
// somebody tells them: see Doubt. Other verifiers accept them for as long as they keep an old key set.
//
// Errors are those of the vault, ErrDocument and ErrClosed. When storing fails, it may be that the vault has the new
// keys all the same. Then call Reset again.
func (r *Ring) Reset(ctx context.Context) error {
	return r.change(ctx, func(before *document, fresh pair) (*document, error) {
		s := r.state.Load()
		if s == nil {
			return nil, ErrClosed
		}
		after := begun(r.now(), fresh, before, s.doc)
		after.reset = after.epoch
		return after, nil
	})
}

// ResetAt is when the keys were last reset, by the clock of the node that did so; zero for never.
func (r *Ring) ResetAt() time.Time {
	if s := r.state.Load(); s != nil {
		return s.doc.reset
	}
	return time.Time{}
}

// begin is what Open does with the vault.
func (r *Ring) begin(ctx context.Context) error {
	loaded, err := r.load(ctx)
	if err != nil {
		return err
	}
	if loaded.doc != nil && loaded.doc.fits(r.options.Algorithm) {
		return r.put(loaded, false)
	}
	return r.change(ctx, func(before *document, fresh pair) (*document, error) {
		switch {
		case before == nil:
			return begun(r.now(), fresh), nil
		case before.fits(r.options.Algorithm): // another node has been faster
			return before, nil
		}
		return before.fitted(r.now(), r.options.Longest(), r.options.Algorithm, fresh)
	})
}

// rotateIfDue is Rotate, unless another node has done it.
func (r *Ring) rotateIfDue(ctx context.Context) error {
	return r.change(ctx, func(before *document, fresh pair) (*document, error) {
		if err := r.isCurrent(before); err != nil {
			return nil, err
		}
		if !before.isDue(r.now(), r.options.RotateEvery) {
			return before, nil
		}
		return before.rotated(r.now(), r.options.Longest(), fresh[0])
	})
}

// isCurrent reports why a document that was loaded must not be the base of the next one.
func (r *Ring) isCurrent(loaded *document) error {
	s := r.state.Load()
	switch {
	case s == nil:
		return ErrClosed
	case loaded == nil:
		return ErrMissing
	case loaded.olderThan(s.doc):
		return ErrOlder
	}
	return nil
}

// now is the time for a document: in UTC, and as the document will have it.
func (r *Ring) now() time.Time { return r.options.Now().UTC().Round(0) }

// loaded is a document and the hash of its text. The document is nil if there is none.
type loaded struct {
	doc  *document
	hash [sha256.Size]byte
}

// change replaces the document, under the lock. edit gets the present document, or nil if there is none, and new keys.
// It may return what it got, if there is nothing to do.
//
// The keys are made before the lock is taken: making them may take a second, and a storage may take a lock away that is
// held for long.
func (r *Ring) change(ctx context.Context, edit func(before *document, fresh pair) (*document, error)) error {
	fresh, err := newPair(r.options.Algorithm)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	select {
	case r.changing <- struct{}{}:
		defer func() { <-r.changing }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return r.fail("waiting for another change of", ctx.Err())
	}
	if err := r.options.Vault.Lock(ctx, r.lock); err != nil {
		return r.fail("locking", err)
	}
	defer r.unlock(ctx)
	present, err := r.load(ctx)
	if err != nil {
		return err
	}
	after, err := edit(present.doc, fresh)
	switch {
	case err != nil:
		return r.fail("changing", err)
	case after == present.doc:
		return r.put(present, false)
	}
	return r.save(ctx, after)
}

func newPair(alg jose.Algorithm) (fresh pair, err error) {
	for i := range fresh {
		if fresh[i], err = jose.GenerateSigner(alg); err != nil {
			return pair{}, err
		}
	}
	return fresh, nil
}

// save stores a document and puts it in force. From here on, the caller cannot give up: nobody would know what the
// vault has.
func (r *Ring) save(ctx context.Context, doc *document) error {
	text, err := doc.encode(r.options.Issuer)
	if err != nil {
		return r.fail("changing", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), savePatience)
	defer cancel()
	if err := r.options.Vault.Store(ctx, r.place, text); err != nil {
		r.asked.wake() // to see what the vault has
		return r.fail("storing", err)
	}
	return r.put(loaded{doc, sha256.Sum256(text)}, true)
}

// unlock gives the lock back, whatever has become of the caller. The lock of a node that fails to do so becomes stale.
func (r *Ring) unlock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), savePatience)
	defer cancel()
	if err := r.options.Vault.Unlock(ctx, r.lock); err != nil {
		r.logger.Warn("the lock of the signing keys was not given back: other nodes wait until it becomes stale",
			"lock", r.lock, "error", causes.Line(err))
	}
}

// put puts a document in force. written says that this node has just stored it: then a look at the vault that has begun
// before must not bring back what there was.
func (r *Ring) put(l loaded, written bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	if written {
		r.writes++
	}
	return r.install(l.doc, l.hash)
}

// load reads the document. That there is none is no error.
func (r *Ring) load(ctx context.Context) (loaded, error) {
	text, err := r.read(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return loaded{}, nil
	case err != nil:
		return loaded{}, err
	}
	return r.parse(text)
}

func (r *Ring) read(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	text, err := r.options.Vault.Load(ctx, r.place)
	if err != nil {
		return nil, r.fail("reading", err)
	}
	return text, nil
}

func (r *Ring) parse(text []byte) (loaded, error) {
	doc, err := decode(text, r.options.Issuer)
	if err != nil {
		return loaded{}, r.fail("reading", fmt.Errorf("%w: %w; put it back from a backup, or delete it to start with new "+
			"keys: then all tokens made so far are refused", ErrDocument, err))
	}
	return loaded{doc, sha256.Sum256(text)}, nil
}

// fail says what has failed, and where.
func (r *Ring) fail(what string, err error) error {
	return fmt.Errorf("%s the signing keys of %s, which are in the storage under %q: %w",
		what, causes.Quote(r.options.Issuer), r.place, err)
}
