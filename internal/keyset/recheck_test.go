package keyset_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var (
	_ keyset.Fetcher = (*keyset.Remote)(nil)
	_ keyset.Fetcher = (*keyset.Discovery)(nil)
)

func parse(tb testing.TB, token string) *jose.Token {
	tb.Helper()
	parsed, err := jose.Parse(token, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &parsed
}

// check is what the gate asks about a token.
func check(tb testing.TB, source keyset.Source, token string) error {
	tb.Helper()
	_, err := keyset.Verify(tb.Context(), source, parse(tb, token))
	return err
}

// numbered are claims that no other token has.
func numbered(n int) map[string]any { return map[string]any{"sub": "alice", "jti": fmt.Sprint(n)} }

func TestKeysWithTheSameID(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new *tokentest.Key
	}{
		{"another key under the same id", tokentest.NewKey(t, "ES256", "same"),
			tokentest.NewKey(t, "ES256", "same too").WithKID("same")},
		{"keys without an id", tokentest.NewKey(t, "ES256", "a").WithKID(""), tokentest.NewKey(t, "ES256", "b").WithKID("")},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
				s.body = tokentest.JWKS(c.old)
				if err := check(t, source, c.old.Sign(t, claims())); err != nil {
					t.Fatal(err)
				}
				s.set(func(s *server) { s.body = tokentest.JWKS(c.new) })
				time.Sleep(time.Minute)
				for i := range 10 {
					if err := check(t, source, c.new.Sign(t, numbered(i))); err != nil {
						t.Errorf("a token of the new key: %v", err)
					}
					if err := check(t, source, c.old.Sign(t, numbered(i))); !errors.Is(err, jose.ErrSignature) {
						t.Errorf("a token of the old key: %v", err)
					}
				}
				// There are three: the first, one for the new key, and one for the old tokens, since the fetch that brings a new
				// key is given back.
				if n := s.fetches(); n != 3 {
					t.Errorf("%d fetches", n)
				}
			})
		})
	}
}

func TestBrokenSignatures(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		if err := check(t, source, one.Sign(t, claims())); err != nil {
			t.Fatal(err)
		}
		for i := range 600 { // a minute
			broken := tokentest.FlipSignature(t, one.Sign(t, numbered(i)))
			if err := check(t, source, broken); !errors.Is(err, jose.ErrSignature) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.fetches(); n > 1+6 {
			t.Errorf("%d fetches in a minute", n)
		}
		s.set(func(s *server) { s.body = tokentest.JWKS(one, two) })
		_ = check(t, source, tokentest.FlipSignature(t, one.Sign(t, claims())))
		if err := check(t, source, two.Sign(t, claims())); err != nil {
			t.Errorf("a rotation beside them: %v", err)
		}
	})
}

func TestRecheckIsBounded(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two").WithKID("one")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		stranger := signed(parse(t, tokentest.NewKey(t, "ES256", "three").WithKID("one").Sign(t, claims())))
		if others, err := source.Recheck(t.Context(), stranger, nil); others != nil || err != nil || s.fetches() > 0 {
			t.Error("there is something before there are keys")
		}
		if err := check(t, source, one.Sign(t, claims())); err != nil {
			t.Fatal(err)
		}
		tried := source.Current().Keys()
		for range 100 {
			if others, err := source.Recheck(t.Context(), stranger, tried); others != nil || err != nil {
				t.Fatal("a key that was tried is given again")
			}
		}
		if n := s.fetches(); n != 2 {
			t.Errorf("%d fetches", n)
		}
		time.Sleep(10 * time.Second)
		s.set(func(s *server) { s.body = tokentest.JWKS(one, two) })
		if others, err := source.Recheck(t.Context(), stranger, tried); len(others) != 1 ||
			others[0] == tried[0] || err != nil {
			t.Errorf("a second key under the id: %d others, %v", len(others), err)
		}
		time.Sleep(10 * time.Second)
		start := time.Now()
		s.set(func(s *server) { s.latency = time.Hour })
		others, err := source.Recheck(t.Context(), stranger, source.Current().Keys())
		if others != nil || !errors.Is(err, keyset.ErrPending) || time.Since(start) != 2*time.Second {
			t.Errorf("a slow server: %v after %v", err, time.Since(start))
		}
		source.Close()
		if others, err := source.Recheck(t.Context(), stranger, nil); others != nil || err != nil {
			t.Error("there is something after Close")
		}
	})
}

// A request arrives during a fetch that began before it. That fetch need not bring what was published in the meantime.
func TestRecheckOfAFetchThatWasTooEarly(t *testing.T) {
	old, renewed := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "renewed").WithKID("one")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		if err := check(t, source, old.Sign(t, claims())); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.latency = 500 * time.Millisecond })
		go func() { _ = find(t, source, "invented") }()
		time.Sleep(100 * time.Millisecond)
		s.set(func(s *server) { s.body = tokentest.JWKS(renewed) })
		if err := check(t, source, renewed.Sign(t, claims())); err != nil || s.fetches() != 3 {
			t.Errorf("%v after %d fetches", err, s.fetches())
		}
	})
}

// A key without an id is tried for every key id. While it fits, nothing is fetched, and nobody waits for a server that
// does not answer. A token that it does not fit may cause a fetch, within the same budgets as other unknown key ids.
func TestKeysWithoutAnIDAreTriedFirst(t *testing.T) {
	key, next, mallory := tokentest.NewKey(t, "ES256", "x"),
		tokentest.NewKey(t, "ES256", "next"), tokentest.NewKey(t, "ES256", "mallory")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.body = tokentest.JWKS(key.WithKID(""))
		if err := check(t, source, key.Sign(t, claims())); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.latency = time.Hour })
		began := time.Now()
		for i := range 100 {
			time.Sleep(time.Second)
			if err := check(t, source, key.Sign(t, numbered(i))); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(began) - 100*time.Second; s.fetches() != 1 || waited > 0 {
			t.Errorf("%d fetches, and tokens waited for %v", s.fetches(), waited)
		}
		s.set(func(s *server) { s.latency = 0 })
		for i := range 600 { // a minute
			token := mallory.WithKID(fmt.Sprint("invented ", i)).Sign(t, numbered(i))
			if err := check(t, source, token); !errors.Is(err, jose.ErrSignature) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.fetches(); n > 17 { // six for the key ids, three of them saved up, and six for the signatures
			t.Errorf("%d fetches", n)
		}
		s.set(func(s *server) { s.body = tokentest.JWKS(key.WithKID(""), next) })
		time.Sleep(time.Minute)
		if err := check(t, source, next.Sign(t, claims())); err != nil {
			t.Errorf("a token of a new key beside the one without an id: %v", err)
		}
	})
}

// While the last fetch has failed, it cannot be known whether a signature is bad or a new key has replaced the old one.
// A client that is refused would give up a good token.
func TestSignatureWhileFetchingFails(t *testing.T) {
	old, fresh := tokentest.NewKey(t, "ES256", "same"), tokentest.NewKey(t, "ES256", "same too").WithKID("same")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.body = tokentest.JWKS(old)
		if err := check(t, source, old.Sign(t, claims())); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.err = errDown })
		for i := range 600 { // a minute
			err := check(t, source, fresh.Sign(t, numbered(i)))
			if !errors.Is(err, keyset.ErrUnavailable) || errors.Is(err, keyset.ErrPending) || errors.Is(err, jose.ErrSignature) {
				t.Fatal(err)
			}
			if err := check(t, source, old.Sign(t, numbered(i))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.fetches(); n > 12 { // six that requests cause, and those of the timer
			t.Errorf("%d fetches", n)
		}
		s.set(func(s *server) { s.err, s.body = nil, tokentest.JWKS(fresh) })
		for i := 0; ; i++ {
			err := check(t, source, fresh.Sign(t, numbered(i)))
			if err == nil {
				break
			}
			if !errors.Is(err, keyset.ErrUnavailable) || i > 10 {
				t.Fatalf("after %d seconds: %v", i, err)
			}
			time.Sleep(time.Second)
		}
		if err := check(t, source, old.Sign(t, claims())); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("a token of the old key: %v", err)
		}
	})
}

// Requests with broken signatures can take all places among those who wait for a fetch. A request that finds no free
// place has no answer yet. It must not be refused as if its token were bad.
func TestNoPlaceToWaitForASignature(t *testing.T) {
	old, fresh := tokentest.NewKey(t, "ES256", "same"), tokentest.NewKey(t, "ES256", "same too").WithKID("same")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.body = tokentest.JWKS(old)
		broken := parse(t, tokentest.FlipSignature(t, old.Sign(t, claims())))
		if err := check(t, source, old.Sign(t, claims())); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.body, s.latency = tokentest.JWKS(fresh), time.Second })
		time.Sleep(time.Minute)
		var strangers sync.WaitGroup
		for range 2000 {
			strangers.Go(func() {
				if _, err := keyset.Verify(t.Context(), source, broken); err == nil {
					t.Error("a broken signature passes")
				}
			})
		}
		synctest.Wait()
		good := fresh.Sign(t, numbered(1))
		if err := check(t, source, good); !errors.Is(err, keyset.ErrPending) {
			t.Errorf("without a place to wait: %v", err)
		}
		strangers.Wait()
		if err := check(t, source, good); err != nil {
			t.Error(err)
		}
	})
}
