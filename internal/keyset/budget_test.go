package keyset_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// tally counts the outcomes of tokens.
type tally struct {
	passed, pending, unavailable, bad int
	longest                           time.Duration // for which tokens were pending in a row
	since                             time.Time
}

func (c *tally) add(err error) {
	pending := errors.Is(err, keyset.ErrPending)
	switch {
	case err == nil:
		c.passed++
	case pending:
		c.pending++
	case errors.Is(err, keyset.ErrUnavailable):
		c.unavailable++
	default:
		c.bad++
	}
	if !pending {
		c.since = time.Time{}
		return
	}
	if c.since.IsZero() {
		c.since = time.Now()
	}
	c.longest = max(c.longest, time.Since(c.since))
}

func (c *tally) String() string {
	return fmt.Sprintf("%d accepted, %d pending, %d unavailable, %d called bad", c.passed, c.pending, c.unavailable, c.bad)
}

// attack runs before each good token, with the id of the next key and the number of calls so far.
type attack func(t *testing.T, source keyset.Source, next string, n int)

// rotations makes the server replace its only key about once a minute. Good tokens arrive five times a second, and
// attack runs as often. Each key has only a few tokens, because clients use a token repeatedly. With -short, everything
// happens a quarter as often.
func rotations(t *testing.T, minutes int, attack attack) (*tally, *server) {
	t.Helper()
	good, n := new(tally), 0
	pause := 200 * time.Millisecond
	if testing.Short() {
		pause *= 4
	}
	var behind *server
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		behind = s
		for minute := range minutes {
			key := tokentest.NewKey(t, "ES256", fmt.Sprint("minute ", minute))
			tokens := []string{key.Sign(t, numbered(1)), key.Sign(t, numbered(2)), key.Sign(t, numbered(3))}
			s.set(func(s *server) { s.body = tokentest.JWKS(key) })
			length := time.Duration(250+37*minute%100) * 200 * time.Millisecond // never at the same point of a cooldown
			for i := range int(length / pause) {
				n++
				attack(t, source, fmt.Sprint("minute ", minute+1), n)
				good.add(check(t, source, tokens[i%3]))
				time.Sleep(pause)
			}
		}
	})
	return good, behind
}

// Whatever strangers and old tokens do, a good token is never refused as bad because its key was not published ahead.
// It waits for half a cooldown at most.
func TestRotationBesideAttacks(t *testing.T) {
	minutes := 8
	if testing.Short() {
		minutes = 4 // enough for a key that was taken out long ago
	}
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	invent := func(t *testing.T, source keyset.Source, kid string, n int) {
		t.Helper()
		err := check(t, source, mallory.WithKID(kid).Sign(t, numbered(n)))
		if err == nil {
			t.Error("an invented token passes")
		}
		if wait, ok := errors.AsType[*keyset.UnavailableError](err); ok &&
			(wait.RetryAfter < time.Second || wait.RetryAfter > 5*time.Second) {
			t.Errorf("a client is to wait for %v", wait.RetryAfter)
		}
	}
	guessed := ""
	for _, c := range []struct {
		name    string
		attack  attack
		pending int // at most, of about 300 a minute
		fetches int // at most, a minute
	}{
		{"no attack", func(*testing.T, keyset.Source, string, int) {}, 0, 2},
		{"an invented id in ten seconds", func(t *testing.T, source keyset.Source, _ string, n int) {
			if n%50 == 0 {
				invent(t, source, fmt.Sprint("stray ", n), n)
			}
		}, 0, 8},
		{"an invented id for each request", func(t *testing.T, source keyset.Source, _ string, n int) {
			invent(t, source, fmt.Sprint("flood ", n), n)
		}, 2 * minutes, 10},
		{"every invented id twice", func(t *testing.T, source keyset.Source, _ string, n int) {
			invent(t, source, fmt.Sprint("twice ", n/2), n)
		}, 15 * minutes, 22},
		{"the id of the next key, guessed", func(t *testing.T, source keyset.Source, next string, n int) {
			invent(t, source, next, n)
		}, 15 * minutes, 22},
		{"the id of the next key, in a token that is sent again and again", func(
			t *testing.T, source keyset.Source, next string, _ int,
		) {
			if guessed == "" || parse(t, guessed).Header.KeyID != next {
				guessed = mallory.WithKID(next).Sign(t, claims())
			}
			_ = check(t, source, guessed)
		}, 0, 10},
		{"tokens of the key before", func(t *testing.T, source keyset.Source, next string, n int) {
			var minute int
			if _, err := fmt.Sscanf(next, "minute %d", &minute); err != nil {
				t.Fatal(err)
			}
			err := check(t, source, tokentest.NewKey(t, "ES256", fmt.Sprint("minute ", minute-2)).Sign(t, numbered(n)))
			if err != nil && !errors.Is(err, keyset.ErrUnknownKey) && minute > 2 {
				t.Errorf("an old token: %v", err)
			}
		}, 2, 10},
		{"broken signatures", func(t *testing.T, source keyset.Source, _ string, n int) {
			if set := source.Current(); set != nil {
				invent(t, source, set.Keys()[0].ID, n)
			}
		}, 0, 10},
		{"all of it at once", func(t *testing.T, source keyset.Source, next string, n int) {
			for _, n := range []int{2*n - 1, 2 * n} {
				invent(t, source, fmt.Sprint("all ", n/2), n)
				invent(t, source, next, n)
				if set := source.Current(); set != nil {
					invent(t, source, set.Keys()[0].ID, n)
				}
				_ = check(t, source, tokentest.NewKey(t, "ES256", "one").Sign(t, numbered(n)))
			}
		}, 15 * minutes, 33},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			good, server := rotations(t, minutes, c.attack)
			t.Logf("good tokens: %v; pending for %v at most; %d fetches in %d minutes",
				good, good.longest, server.fetches(), minutes)
			if good.bad+good.unavailable > 0 || good.longest > 5*time.Second {
				t.Errorf("good tokens: %v; pending for %v", good, good.longest)
			}
			if good.pending > c.pending {
				t.Errorf("%d pending, want at most %d", good.pending, c.pending)
			}
			if n := server.fetches(); n > c.fetches*minutes {
				t.Errorf("%d fetches, want at most %d", n, c.fetches*minutes)
			}
		})
	}
}

// A key that was removed and comes back is found at once. If old tokens have spent the fetch for such keys, the next
// fetch finds it.
func TestRollingBack(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	for _, flood := range []bool{false, true} {
		t.Run(fmt.Sprintf("old tokens are sent meanwhile: %v", flood), func(t *testing.T) {
			inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
				if err := check(t, source, one.Sign(t, claims())); err != nil {
					t.Fatal(err)
				}
				s.set(func(s *server) { s.body = tokentest.JWKS(two) })
				if err := check(t, source, two.Sign(t, claims())); err != nil {
					t.Fatal(err)
				}
				for i := range 101 {
					if flood || i == 0 {
						if err := check(t, source, one.Sign(t, numbered(i))); !errors.Is(err, keyset.ErrUnknownKey) {
							t.Fatalf("an old token: %v", err)
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
				s.set(func(s *server) { s.body = tokentest.JWKS(one) })
				start := time.Now()
				for i := 0; check(t, source, one.Sign(t, numbered(1000+i))) != nil; i++ {
					time.Sleep(100 * time.Millisecond)
				}
				took := time.Since(start)
				if took > 10*time.Second || !flood && took > 0 {
					t.Errorf("it takes %v", took)
				}
			})
		})
	}
}

// The next fetch, whatever causes it, settles all pending tokens: it brings the key, or they are refused for good.
func TestPendingTokensGetAnAnswer(t *testing.T) {
	two, stranger := tokentest.NewKey(t, "ES256", "two"), tokentest.NewKey(t, "ES256", "stranger")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		if err := find(t, source, "one"); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := find(t, source, fmt.Sprint("invented ", i)); !errors.Is(err, keyset.ErrUnknownKey) {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		good, bad := two.Sign(t, claims()), stranger.Sign(t, claims())
		s.set(func(s *server) { s.body = tokentest.JWKS(two) })
		for _, token := range []string{good, bad} {
			err := check(t, source, token)
			wait, ok := errors.AsType[*keyset.UnavailableError](err)
			if !errors.Is(err, keyset.ErrPending) || !ok || wait.RetryAfter != time.Second {
				t.Errorf("nothing can be fetched: %v, %+v", err, wait)
			}
		}
		before := s.fetches()
		if err := check(t, source, bad); !errors.Is(err, keyset.ErrUnknownKey) || s.fetches() != before+1 {
			t.Errorf("the second request for an id: %v after %d fetches", err, s.fetches()-before)
		}
		if err := check(t, source, good); err != nil || s.fetches() != before+1 {
			t.Errorf("the key has come: %v after %d fetches", err, s.fetches()-before)
		}
		if err := check(t, source, bad); !errors.Is(err, keyset.ErrUnknownKey) || s.fetches() != before+1 {
			t.Errorf("a token that has its answer: %v after %d fetches", err, s.fetches()-before)
		}
	})
}

// When there are more invented ids than the source remembers, bad tokens get their answers later, and good tokens lose
// nothing.
func TestMoreInventedIDsThanAreRemembered(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	two := tokentest.NewKey(t, "ES256", "two")
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		flood := func() {
			for i := range 2500 {
				err := find(t, source, fmt.Sprint(time.Now().UnixNano(), " ", i))
				if !errors.Is(err, keyset.ErrPending) && !errors.Is(err, keyset.ErrUnknownKey) {
					t.Fatal(err)
				}
			}
		}
		if err := find(t, source, "one"); err != nil {
			t.Fatal(err)
		}
		for range rounds {
			flood()
			s.set(func(s *server) { s.body = tokentest.JWKS(two) })
			start := time.Now()
			for err := check(t, source, two.Sign(t, numbered(0))); err != nil; err = check(t, source, two.Sign(t, numbered(0))) {
				if !errors.Is(err, keyset.ErrPending) {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond)
				flood() // between any two good requests
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it takes %v", took)
			}
			two = tokentest.NewKey(t, "ES256", two.KID+"+")
			time.Sleep(7300 * time.Millisecond)
		}
	})
}

func TestASlowServerDoesNotDelayKnownKeys(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		if err := find(t, source, "one"); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.latency = 3 * time.Second })
		if err := find(t, source, "invented"); !errors.Is(err, keyset.ErrPending) {
			t.Errorf("a stranger who waits for a slow server: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := source.Find(t.Context(), jose.ES256, "one"); err != nil {
			t.Error(err)
		}
	})
}
