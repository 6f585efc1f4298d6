package keyring_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/keyring"
)

// troubles collects what a ring reports.
type troubles struct {
	mu   sync.Mutex
	list []error
}

func (t *troubles) into(o *keyring.Options) {
	o.Trouble = func(err error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.list = append(t.list, err)
	}
}

// are wants these troubles so far; nil for the end of one.
func (t *troubles) are(tb testing.TB, want ...error) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.EqualFunc(t.list, want, func(got, want error) bool { return errors.Is(got, want) }) {
		tb.Errorf("told %v, want %v", t.list, want)
	}
}
