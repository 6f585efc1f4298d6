// Package lastgood keeps the last good answers of authorization servers in a store. So their keys outlive a restart
// that happens while they are away. It judges no answer: whoever recalls one must read it as if the server had just
// sent it.
package lastgood

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/store"
)

// MaxBody is how many bytes an answer may have to be kept.
const MaxBody = 256 << 10

const (
	maxWriters = 4           // writes under way at once
	maxTries   = 8           // of one write, while others write under the same name
	quiet      = time.Minute // between two lines about a store in trouble
)

// Lender lends the store of the configuration in force. It is safe for concurrent use.
type Lender interface {
	// Lends reports whether there is a store, or will be as soon as the configuration has started.
	Lends() bool
	// Borrow waits for the store until it is open, or ctx has ended. Call giveBack after use. It fails if there is none.
	Borrow(ctx context.Context) (in store.Store, giveBack func(), err error)
}

// Shelf keeps answers in the store of a Lender. A nil Shelf keeps nothing. It is safe for concurrent use.
type Shelf struct {
	lender   Lender
	logger   *slog.Logger
	writers  chan struct{}
	troubles *troubles
	readOnly bool
}

// New makes a shelf. The logger gets the troubles of the store: one line in a minute.
func New(lender Lender, logger *slog.Logger) *Shelf {
	return &Shelf{lender: lender, logger: logger, writers: make(chan struct{}, maxWriters), troubles: new(troubles)}
}

// ReadOnly is the same shelf for an owner who may recall answers, but must not have more of them kept.
func (s *Shelf) ReadOnly() *Shelf {
	if s == nil {
		return nil
	}
	limited := *s
	limited.readOnly = true
	return &limited
}

// Origin is where answers come from. Answers of one origin are never found by another.
type Origin struct {
	// Document is what is fetched: "metadata" or "key set".
	Document string
	// Issuer is whose document it is. It is empty for an address that counts for whoever names it.
	Issuer string
	// Fetch has the settings that decide which server is believed, and what it is asked.
	Fetch fetch.Options
	// MaxStale is how long an answer can be used. The store forgets it then. It is not a part of the origin.
	MaxStale time.Duration
}

// For is the archive for the answers of an origin; nil for a nil Shelf.
func (s *Shelf) For(o Origin) refresh.Archive {
	if s == nil {
		return nil
	}
	return &archive{shelf: s, origin: o.sum(), document: o.Document, maxStale: o.MaxStale}
}

// archive is the part of a shelf for one origin.
type archive struct {
	shelf    *Shelf
	origin   [sha256.Size]byte
	document string
	maxStale time.Duration
}

var _ refresh.Archive = (*archive)(nil)

// Open implements refresh.Archive.
func (a *archive) Open() bool { return !a.shelf.readOnly && a.shelf.lender.Lends() }

// Keep implements refresh.Archive. An answer that is too long counts as kept: asking for it again would not help. An
// older one goes: the server has contradicted it.
func (a *archive) Keep(ctx context.Context, answer refresh.Answer) (kept bool) {
	defer func() {
		if p := recover(); p != nil {
			a.trouble(ctx, notKept, fmt.Errorf("panic: %v", p))
		}
	}()
	tooLong := len(answer.Body) > MaxBody
	if tooLong {
		a.trouble(ctx, notKept, fmt.Errorf("the answer of %s has %d bytes, and at most %d are kept",
			withoutQuery(answer.Address), len(answer.Body), MaxBody))
	}
	select {
	case a.shelf.writers <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-a.shelf.writers }()
	in, giveBack, err := a.shelf.lender.Borrow(ctx)
	if err != nil {
		return false // the configuration has no store any more
	}
	defer giveBack()
	if tooLong {
		err = a.remove(ctx, in, answer)
		a.trouble(ctx, notKept, err)
		return err == nil
	}
	kept, err = a.write(ctx, in, answer)
	a.trouble(ctx, notKept, err)
	if kept {
		a.shelf.logger.Debug("kept for the time after a restart", "document", a.document,
			"address", withoutQuery(answer.Address))
	}
	return kept
}

// errContended means that others have written under the same name, again and again.
var errContended = errors.New("others keep writing in its place")

// write puts an answer in place of an older one. A newer one stays, because another process may share the store. But
// one from the future does not: a clock was wrong, and it would stay until it expires.
func (a *archive) write(ctx context.Context, in store.Store, answer refresh.Answer) (kept bool, err error) {
	name := a.name(answer.Address)
	key := keyIn(in, name)
	for range maxTries {
		old, err := in.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
		there, damaged := decode(old, name, answer.Address)
		fresh := answer
		switch {
		case damaged == nil && there.Hash == answer.Hash:
			fresh.Body = there.Body
		case answer.Body == nil:
			return false, nil
		}
		if damaged == nil && !there.Got.Before(answer.Got) && !there.Got.After(time.Now()) {
			return there.Hash == answer.Hash, nil
		}
		swapped, err := in.Swap(ctx, key, old, encode(name, fresh), answer.Got.Add(a.maxStale))
		if err != nil || swapped {
			return swapped, err
		}
	}
	return false, errContended
}

// remove removes what is older than an answer.
func (a *archive) remove(ctx context.Context, in store.Store, answer refresh.Answer) error {
	name := a.name(answer.Address)
	key := keyIn(in, name)
	for range maxTries {
		old, err := in.Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		there, damaged := decode(old, name, answer.Address)
		if damaged == nil && !there.Got.Before(answer.Got) && !there.Got.After(time.Now()) {
			return nil
		}
		if swapped, err := in.Swap(ctx, key, old, nil, time.Time{}); err != nil || swapped {
			return err
		}
	}
	return errContended
}

// Recall implements refresh.Archive.
func (a *archive) Recall(ctx context.Context, address string) (refresh.Answer, error) {
	if !a.shelf.lender.Lends() {
		return refresh.Answer{}, refresh.ErrNoAnswer
	}
	in, giveBack, err := a.shelf.lender.Borrow(ctx)
	if err != nil {
		return refresh.Answer{}, refresh.ErrNoAnswer // the store opens later; the next fetch that fails asks again
	}
	defer giveBack()
	name := a.name(address)
	text, err := in.Get(ctx, keyIn(in, name))
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) {
			a.trouble(ctx, notRead, err)
		}
		return refresh.Answer{}, refresh.ErrNoAnswer
	}
	return decode(text, name, address)
}

// keyPrefix begins the keys of answers in the store.
const keyPrefix = "last good/"

// keyIn is the key for a name in a store. Whoever can read the keys of a shared store must not be able to guess what is
// behind them, because header fields with credentials are a part of the origin.
func keyIn(in store.Store, name [sha256.Size]byte) string {
	if shared, is := in.(store.Shared); is {
		secret := shared.Secret("last good answers")
		mac := hmac.New(sha256.New, secret[:])
		mac.Write(name[:])
		return keyPrefix + hex.EncodeToString(mac.Sum(nil))
	}
	return keyPrefix + hex.EncodeToString(name[:])
}

// What a store in trouble does not do, for the log.
const (
	notKept = "the store does not keep the last good keys: after a restart while their server is away, tokens get 503"
	notRead = "the store does not give back the last good keys from before the restart"
)

// trouble logs that the store has failed, unless it has just done so, or the owner has ended the work.
func (a *archive) trouble(ctx context.Context, message string, err error) {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, store.ErrClosed) {
		return
	}
	if a.shelf.troubles.tell(time.Now()) {
		a.shelf.logger.Warn(message, "document", a.document, "error", causes.Line(err))
	}
}

// troubles bounds how often the log hears of a store.
type troubles struct {
	mu   sync.Mutex
	told time.Time
}

// tell reports whether the log may hear of a trouble now.
func (t *troubles) tell(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.told.IsZero() && now.Sub(t.told) < quiet {
		return false
	}
	t.told = now
	return true
}
