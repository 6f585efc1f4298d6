package sealed

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/rotating"
)

// interval is how long keys are used before somebody looks at their files again.
const interval = 2 * time.Second

// Keys are the private keys of an issuer's tokens, in the order in which they are tried. They follow their files. Keys
// are safe for concurrent use.
type Keys struct {
	values  []*rotating.Value[[]*Key]
	origin  time.Time
	looked  atomic.Int64 // nanoseconds after origin
	asked   atomic.Int64 // the same, of the last Again
	present atomic.Pointer[[]*Key]
	mu      sync.Mutex // held while somebody looks
}

// Text is where one or several keys come from.
type Text struct {
	Template rotating.Template
	Password string
	ID       string
	// First is what Parse makes of the template's first text.
	First []*Key `fingerprint:"-"` // the template says what it is
}

// NewKeys makes keys. The logger gets changes of state; nil for none. It must outlive the keys.
func NewKeys(texts []Text, logger *slog.Logger) *Keys {
	k := &Keys{origin: time.Now().Add(-pause)}
	for _, text := range texts {
		parse := func(now string) ([]*Key, error) { return Parse([]byte(now), []byte(text.Password), text.ID) }
		k.values = append(k.values, rotating.New(text.Template, text.First, parse, logger))
	}
	k.look()
	return k
}

// Present returns the keys of now. The caller must not change the list.
func (k *Keys) Present() []*Key {
	now, last := int64(time.Since(k.origin)), k.looked.Load()
	if now-last >= int64(interval) && k.looked.CompareAndSwap(last, now) {
		k.look()
	}
	return *k.present.Load()
}

// pause is how often tokens that no key opens can have somebody look at the files.
const pause = 250 * time.Millisecond

// Again looks at the files before the next two seconds are over, because no key opens a token. It returns the keys of
// now. Strangers can cause it, so it does so at most four times a second.
func (k *Keys) Again() []*Key {
	now, last := int64(time.Since(k.origin)), k.asked.Load()
	if now-last >= int64(pause) && k.asked.CompareAndSwap(last, now) {
		k.look()
	}
	return *k.present.Load()
}

// look reads files that have changed. It does not wait for somebody else who does.
func (k *Keys) look() {
	if !k.mu.TryLock() {
		return
	}
	defer k.mu.Unlock()
	before := k.present.Load()
	var all []*Key
	for _, value := range k.values {
		keys, _ := value.Get()
		all = append(all, keys...)
	}
	if before == nil || !slices.Equal(*before, all) {
		k.present.Store(&all)
	}
}

// Have reports whether a key is one of them now.
func (k *Keys) Have(key *Key) bool {
	return slices.ContainsFunc(k.Present(), key.Same)
}
