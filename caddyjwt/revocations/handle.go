package revocations

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// handle is the list of a configuration, which is opened later than gates are made: Caddy starts apps in no fixed
// order. Until then it is not known what is revoked, unless the configuration before has the store open.
type handle struct {
	list  atomic.Pointer[revoke.List]
	early func() *revoke.List // the list of a store that is open already, or nil; asked once
	once  sync.Once
	// accepts has tokens judged by what is known while the store is out of reach. A store that is damaged, or not open
	// yet, is another matter.
	accepts bool
}

// Generation implements gate.Revocations.
func (h *handle) Generation(now time.Time) (uint64, error) {
	list := h.list.Load()
	if list == nil {
		h.once.Do(h.look)
		list = h.list.Load()
	}
	if list == nil {
		return 0, fmt.Errorf("%w: the store is not open yet", revoke.ErrUnknown)
	}
	generation, err := list.Generation(now)
	if h.accepts && errors.Is(err, revoke.ErrUnsynced) {
		return generation, nil
	}
	return generation, err
}

// look takes the list of a store that is open already.
func (h *handle) look() {
	if h.early == nil {
		return
	}
	if list := h.early(); list != nil {
		h.list.CompareAndSwap(nil, list)
	}
}

// Revokes implements gate.Revocations. It is called only after Generation.
func (h *handle) Revokes(t revoke.Token) (revoke.Match, bool) { return h.list.Load().Revokes(t) }

// Watch implements gate.Revocations.
func (h *handle) Watch(t revoke.Token, end func()) (stop func()) { return h.list.Load().Watch(t, end) }
