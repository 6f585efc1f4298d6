package keyring

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
)

// troubles notices when the vault begins to fail, and when all of it works again.
type troubles struct {
	mu      sync.Mutex
	tell    func(error)
	failing [2]bool // by what
	began   time.Time
}

// What may fail while nobody waits for it.
const (
	following = iota
	rotating
)

// report notes the outcome of one attempt. It tells the first error, and the end of all.
func (t *troubles) report(what int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.failing
	t.failing[what] = err != nil
	switch none := [2]bool{}; {
	case before == none && err != nil:
		t.began = time.Now()
		t.tell(err)
	case before != none && t.failing == none:
		t.began = time.Time{}
		t.tell(nil)
	}
}

// since is when the vault began to fail; zero while it works.
func (t *troubles) since() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.began
}

// report reports the outcome of background work, unless Close has ended it.
func (r *Ring) report(ctx context.Context, what int, err error) {
	if ctx.Err() == nil && !errors.Is(err, ErrClosed) {
		r.troubles.report(what, err)
	}
}

func (r *Ring) tellTrouble(err error) {
	if err != nil {
		r.logger.Warn("the signing keys cannot be kept up to date: they are used as they are, and what other nodes "+
			"change may not be noticed", "error", causes.Line(err))
	} else {
		r.logger.Info("the signing keys are kept up to date again")
	}
	r.options.Trouble(err)
}
