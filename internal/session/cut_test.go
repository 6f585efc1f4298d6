package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// cutOf is the cut-off of a session.
func (h *house) cutOf(p *session.Pair) (until, expires time.Time) {
	h.cuts.mu.Lock()
	defer h.cuts.mu.Unlock()
	return h.cuts.until["sid "+p.Session], h.cuts.expires["sid "+p.Session]
}

// A gate with another clock takes an access token a little longer. So the cut-off is there for longer, too.
func TestOldAccessTokensAreCutOffWhileTheyMayBeTaken(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		want  bool
	}{
		"while it lives": {4 * time.Minute, true}, "within the leeway": {6*time.Minute - 2*time.Second, true},
		"later": {6*time.Minute + time.Second, false},
	} {
		h := newHouse(t, store.NewMemory())
		p := begin(t, h, terms())
		h.clock.advance(c.after)
		refresh(t, h, terms(), p.Refresh)
		until, expires := h.cutOf(p)
		if until.Equal(p.IssuedAt) != c.want || c.want && !expires.After(p.Expires.Add(time.Minute)) {
			t.Errorf("%s: cut off until %v, and that until %v", name, until, expires)
		}
	}
}

// The store has lost the cut-off that came with a pair.
func TestTheGraceCutsOffOnceMore(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms(grace))
	h.clock.advance(time.Minute)
	next := refresh(t, h, terms(grace), p.Refresh)
	clear(h.cuts.until)
	if again := refresh(t, h, terms(grace), p.Refresh); *again != *next || h.lives(p) || !h.lives(next) {
		t.Errorf("the old access token lives: %v, and the new one: %v", h.lives(p), h.lives(next))
	}
}

// The cut-off of a session that has ended lasts as long as its access token, and for a while in case that its record
// comes back. If the record may still be there, it lasts as long as the refresh token.
func TestTheCutoffOfASessionLastsAsLongAsItsTokens(t *testing.T) {
	for name, end := range map[string]func(*house, *session.Terms, *session.Pair, *session.Pair){
		"reuse": func(h *house, agreed *session.Terms, old, _ *session.Pair) {
			refused(t, h, agreed, old.Refresh, session.ErrReused)
		},
		"logout": func(h *house, agreed *session.Terms, _, p *session.Pair) {
			if err := h.End(t.Context(), agreed, p.Session, p.IssuedAt, p.Expires); err != nil {
				t.Error(err)
			}
		},
		"a logout without the record": func(h *house, agreed *session.Terms, _, p *session.Pair) {
			if _, err := h.store.Take(t.Context(), "session/"+p.Session); err != nil {
				t.Error(err)
			}
			if err := h.End(t.Context(), agreed, p.Session, p.IssuedAt, p.Expires); err != nil {
				t.Error(err)
			}
		},
	} {
		for _, agreed := range []*session.Terms{
			terms(), terms(func(t *session.Terms) { t.RefreshLifetime = time.Minute }), // shorter than an access token
		} {
			h := newHouse(t, store.NewMemory())
			old := begin(t, h, agreed)
			h.clock.advance(time.Second)
			p := refresh(t, h, agreed, old.Refresh)
			end(h, agreed, old, p)
			_, expires := h.cutOf(p)
			refresh := agreed.RefreshLifetime
			switch name {
			case "logout":
				refresh = min(refresh, time.Hour)
			case "a logout without the record":
				refresh = 0
			}
			if expires.Before(p.Expires.Add(time.Minute)) ||
				expires.Before(h.clock.now().Add(refresh).Truncate(time.Millisecond)) {
				t.Errorf("%s: the cut-off lasts until %v", name, expires)
			}
		}
	}
}

// Others refresh twice in the middle of a refresh. What that has read is old, and the second cut-off looks like that of
// an admin. Nothing is decided by it.
func TestARefreshThatIsOvertakenTwice(t *testing.T) {
	for _, agreed := range []*session.Terms{terms(), terms(grace)} {
		for moment := 1; ; moment++ {
			f := &faults{}
			h := newFaultyHouse(t, store.NewMemory(), f)
			p := begin(t, h, agreed)
			h.clock.advance(time.Minute)
			f.reset()
			overtaken := false
			f.each = func(n int) {
				if n != moment {
					return
				}
				f.each, overtaken = nil, true
				next, err := h.Refresh(t.Context(), agreed, p.Refresh, session.Proof{})
				h.clock.advance(time.Second)
				if err == nil {
					_, err = h.Refresh(t.Context(), agreed, next.Refresh, session.Proof{})
				}
				if err != nil && !errors.Is(err, session.ErrReused) {
					t.Errorf("moment %d: %v", moment, err)
				}
			}
			_, err := h.Refresh(t.Context(), agreed, p.Refresh, session.Proof{})
			if f.each = nil; !overtaken {
				break
			}
			if err != nil && !errors.Is(err, session.ErrReused) {
				t.Errorf("moment %d, itself: %v", moment, err)
			}
		}
	}
}
