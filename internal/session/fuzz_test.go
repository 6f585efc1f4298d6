package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// FuzzRefreshToken sends any text. Only the one token that was handed out gives a pair, and a text that is no token by
// its form ends nothing.
func FuzzRefreshToken(f *testing.F) {
	good := begin(f, newHouse(f, store.NewMemory()), terms()).Refresh
	for _, text := range []string{
		"", good, good + "=", good[:63], good[:63] + "\n", good[1:] + "A", good[:32] + good[:32], "\xff" + good[1:],
	} {
		f.Add(text, 0, byte(0))
		f.Add(text, 40, byte(1))
	}
	f.Fuzz(func(t *testing.T, text string, at int, mask byte) {
		h := newHouse(t, store.NewMemory())
		p := begin(t, h, terms())
		h.clock.advance(1e9)
		changed := []byte(p.Refresh)
		changed[uint(at)%64] ^= mask
		malformed := true
		for _, candidate := range []string{text, string(changed)} {
			if candidate == p.Refresh {
				continue
			}
			next, err := h.Refresh(t.Context(), terms(), candidate, session.Proof{})
			sid, not := session.SIDOf(candidate)
			if next != nil || !errors.Is(err, session.ErrInvalid) && !errors.Is(err, session.ErrMalformed) {
				t.Fatalf("%q: %+v, %v", candidate, next, err)
			}
			if errors.Is(err, session.ErrMalformed) != (not != nil) || errors.Is(err, session.ErrReused) != (sid == p.Session) {
				t.Fatalf("%q of session %q: %v, %v", candidate, sid, err, not)
			}
			malformed = malformed && sid != p.Session
		}
		if _, err := h.Refresh(t.Context(), terms(), p.Refresh, session.Proof{}); (err == nil) != malformed {
			t.Fatalf("the good token: %v", err)
		}
	})
}

// FuzzIndex puts any text in the place of a shard. A login and a list work, or say that it is damaged.
func FuzzIndex(f *testing.F) {
	h := newHouse(f, store.NewMemory())
	begin(f, h, terms())
	good, err := h.store.Get(f.Context(), h.ShardKey("alice", "shop"))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "\x01", string(good), string(good) + "\x01", string(good[:len(good)-1])} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := newHouse(t, store.NewMemory())
		key := h.ShardKey("alice", "shop")
		if _, err := h.store.Swap(t.Context(), key, nil, text, time.Time{}); err != nil {
			t.Skip()
		}
		_, err := h.Begin(t.Context(), terms(), alice)
		if errors.Is(err, session.ErrUnavailable) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for part := 0; ; {
			found, err := h.All(t.Context(), inShop, part)
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Alive) == 1 && found.Alive[0].Subject == "alice" {
				return
			}
			if part = found.Next; part == 0 {
				t.Fatalf("%q: alice is not listed", text)
			}
		}
	})
}
