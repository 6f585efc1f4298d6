package keyset_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var (
	_ keyset.Rechecker = (*keyset.Remote)(nil)
	_ keyset.Rechecker = (*keyset.Discovery)(nil)
)

func TestRecheck(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one").WithKID(""), tokentest.NewKey(t, "ES256", "two").WithKID("")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		if source.Recheck(t.Context(), nil) || s.fetches() > 0 {
			t.Error("there is something before there are keys")
		}
		s.body = tokentest.JWKS(one)
		if _, err := verify(t, source, one.Sign(t, claims())); err != nil {
			t.Fatal(err)
		}
		seen := source.Current()
		for range 100 {
			if source.Recheck(t.Context(), seen) {
				t.Fatal("the keys are said to be others")
			}
		}
		if n := s.fetches(); n != 2 {
			t.Errorf("%d fetches", n)
		}
		s.set(func(s *server) { s.body = tokentest.JWKS(two) })
		time.Sleep(10 * time.Second)
		if _, err := verify(t, source, two.Sign(t, claims())); !errors.Is(err, jose.ErrSignature) {
			t.Fatal(err)
		}
		if !source.Recheck(t.Context(), seen) || !source.Recheck(t.Context(), seen) || s.fetches() != 3 {
			t.Errorf("the new key has not come with %d fetches", s.fetches())
		}
		if _, err := verify(t, source, two.Sign(t, claims())); err != nil {
			t.Error(err)
		}
		start := time.Now()
		s.set(func(s *server) { s.latency = time.Hour })
		if source.Recheck(t.Context(), source.Current()) || time.Since(start) != 2*time.Second {
			t.Errorf("a slow server: %v", time.Since(start))
		}
		source.Close()
		if source.Recheck(t.Context(), seen) {
			t.Error("there is something after Close")
		}
	})
}
