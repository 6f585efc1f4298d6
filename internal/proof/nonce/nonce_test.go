package nonce_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/proof/nonce"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const lifetime = 2 * time.Minute

// border is when a step begins, whatever lifetime of whole seconds a test has: the quotient by their halves is whole.
var border = time.UnixMilli(1_800_000_000_000 / (86_400_000 / 2) * (86_400_000 / 2))

func source(secret byte) *nonce.Source {
	return nonce.NewSource(func(context.Context) ([32]byte, error) { return [32]byte{secret}, nil })
}

func issue(t testing.TB, s *nonce.Source, now time.Time, lifetime time.Duration) string {
	t.Helper()
	text, err := s.Issue(t.Context(), now, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func check(t testing.TB, s *nonce.Source, text string, now time.Time, lifetime time.Duration) nonce.State {
	t.Helper()
	state, err := s.Check(t.Context(), text, now, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestHowLongANonceIsGood(t *testing.T) {
	const half = lifetime / 2
	for name, c := range map[string]struct {
		issued, checked time.Duration // after the border
		want            nonce.State
	}{
		"at once":                               {0, 0, nonce.Fresh},
		"in the same step":                      {0, half - 1, nonce.Fresh},
		"from the end of a step, at once":       {half - 1, half - 1, nonce.Fresh},
		"from the end of a step, then":          {half - 1, half, nonce.Stale},
		"from the end of a step, half its life": {half - 1, half - 1 + half, nonce.Stale},
		"all its life":                          {0, lifetime - 1, nonce.Stale},
		"after its life":                        {0, lifetime, nonce.Unknown},
		"long after":                            {0, 1000 * lifetime, nonce.Unknown},
		"of a clock that is 5 s ahead":          {half, half - 5*time.Second, nonce.Fresh},
		"of a clock that is 6 s ahead":          {half, half - 6*time.Second, nonce.Unknown},
		"of a clock that is far ahead":          {2 * half, half - 1, nonce.Unknown},
		"of a clock that is behind":             {half - 5*time.Second, half, nonce.Stale},
	} {
		t.Run(name, func(t *testing.T) {
			text := issue(t, source(1), border.Add(c.issued), lifetime)
			if got := check(t, source(1), text, border.Add(c.checked), lifetime); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

func TestANonceIsGoodForHalfItsLifeAndNotLonger(t *testing.T) {
	s, random := source(1), rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		life := nonce.MinLifetime + time.Duration(random.Int64N(int64(nonce.MaxLifetime-nonce.MinLifetime)))
		life = life.Truncate(2 * time.Millisecond)
		now := border.Add(time.Duration(random.Int64N(int64(24 * time.Hour))))
		text := issue(t, s, now, life)
		for _, c := range []struct {
			after time.Duration
			good  bool
		}{{0, true}, {life/2 - 1, true}, {life, false}, {life + life/2, false}} {
			if got := check(t, s, text, now.Add(c.after), life); (got != nonce.Unknown) != c.good {
				t.Fatalf("a lifetime of %s, %s later: %d", life, c.after, got)
			}
		}
		if check(t, s, text, now, life) != nonce.Fresh {
			t.Fatalf("a new nonce is not fresh: %s, %s", life, now)
		}
	}
}

func TestAShortLifetimeHasLittleTimeForClocksThatAreAhead(t *testing.T) {
	text := issue(t, source(1), border.Add(time.Second), 2*time.Second)
	if got := check(t, source(1), text, border.Add(time.Second/2), 2*time.Second); got != nonce.Fresh {
		t.Errorf("half a second ahead: %d", got)
	}
	if got := check(t, source(1), text, border.Add(time.Second/2-1), 2*time.Second); got != nonce.Unknown {
		t.Errorf("more than half a second ahead: %d", got)
	}
}

// nqchar is what a nonce may have (RFC 9449 section 8.1).
var nqchar = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`)

func TestNoncesDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for secret := range byte(5) {
		s := source(secret)
		for _, life := range []time.Duration{time.Second, time.Minute, lifetime, lifetime + time.Second, nonce.MaxLifetime} {
			for step := range 20 {
				text := issue(t, s, border.Add(time.Duration(step)*life/2), life)
				if seen[text] || !nqchar.MatchString(text) || len(text) != nonce.Size {
					t.Fatalf("secret %d, lifetime %s, step %d: %q", secret, life, step, text)
				}
				seen[text] = true
			}
		}
	}
}

// The steps of both lifetimes begin at the same time.
func TestLifetimesThatAreNearlyTheSameHaveNoncesOfTheirOwn(t *testing.T) {
	s := source(1)
	for range 2 {
		text, other := issue(t, s, border, lifetime), issue(t, s, border, lifetime+1)
		if text == other || check(t, s, other, border, lifetime) != nonce.Unknown {
			t.Error("the nonce of another lifetime is good")
		}
	}
}

func TestWhatIsNoNonceOfOursIsUnknown(t *testing.T) {
	now := border.Add(time.Second)
	s := source(1)
	text := issue(t, s, now, lifetime)
	for name, forged := range map[string]string{
		"nothing":            "",
		"a character":        "A",
		"one less":           text[1:],
		"one more":           text + "A",
		"padding":            text + "=",
		"twice":              text + text,
		"line feed":          text[:10] + "\n" + text[10:],
		"line feed in place": text[:10] + "\n" + text[11:],
		"other case":         strings.ToUpper(text),
		"zeros":              strings.Repeat("A", nonce.Size),
		"long":               strings.Repeat("A", 1<<20),
		"of another secret":  issue(t, source(2), now, lifetime),
		"of another life":    issue(t, s, now, lifetime+time.Second),
		"of another time":    issue(t, s, now.Add(time.Hour), lifetime),
	} {
		if got := check(t, s, forged, now, lifetime); got != nonce.Unknown {
			t.Errorf("%s: %d", name, got)
		}
	}
	for _, at := range []time.Duration{0, lifetime / 2} { // the current one, and the one before
		for i := range len(text) {
			for b := range 256 {
				changed := []byte(text)
				changed[i] = byte(b)
				if byte(b) == text[i] {
					continue
				}
				if got := check(t, s, string(changed), now.Add(at), lifetime); got != nonce.Unknown {
					t.Fatalf("with %q at %d: %d", byte(b), i, got)
				}
			}
		}
	}
}

func TestLifetimesThatAreNotPossible(t *testing.T) {
	s := nonce.NewSource(func(context.Context) ([32]byte, error) {
		t.Error("the secret was asked for")
		return [32]byte{}, nil
	})
	for _, life := range []time.Duration{-1 << 63, -time.Second, 0, 1, time.Second - 1, nonce.MaxLifetime + 1, 1<<63 - 1} {
		if text, err := s.Issue(t.Context(), border, life); err == nil || text != "" {
			t.Errorf("%s: issued %q", life, text)
		}
		if state, err := s.Check(t.Context(), "", border, life); err == nil || state != nonce.Unknown {
			t.Errorf("%s: %d", life, state)
		}
	}
}

func TestManyLifetimesAtOnce(t *testing.T) {
	s := source(1)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			life := time.Minute + time.Duration(i)*time.Second
			for n := range 50 {
				now := border.Add(time.Duration(n) * life / 2)
				text, err := s.Issue(t.Context(), now, life)
				state, checkErr := s.Check(t.Context(), text, now, life)
				if err != nil || checkErr != nil || state != nonce.Fresh {
					t.Errorf("%s: %d, %v, %v", life, state, err, checkErr)
				}
			}
		})
	}
	all.Wait()
}

func TestCheckDoesNotAllocate(t *testing.T) {
	s, ctx := source(1), t.Context()
	now := border.Add(lifetime/2 - 1)
	fresh := issue(t, s, now, lifetime)
	for name, text := range map[string]string{
		"current": fresh, "of a clock that is ahead": issue(t, s, now.Add(1), lifetime), "forged": fresh[1:] + "A",
		"the one before": issue(t, s, now.Add(-lifetime/2), lifetime), "long": strings.Repeat("A", 10_000),
	} {
		_ = check(t, s, text, now, lifetime)
		if n := testing.AllocsPerRun(100, func() { _, _ = s.Check(ctx, text, now, lifetime) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Issue(ctx, now, lifetime) }); n != 0 {
		t.Errorf("issuing: %v allocations", n)
	}
	failing := nonce.NewSource(func(context.Context) ([32]byte, error) { return [32]byte{}, errors.New("no") })
	_, _ = failing.Check(ctx, fresh, now, lifetime)
	if n := testing.AllocsPerRun(100, func() { _, _ = failing.Check(ctx, fresh, now, lifetime) }); n > 1 {
		t.Errorf("without a secret: %v allocations", n)
	}
}

func FuzzCheck(f *testing.F) {
	s := source(1)
	f.Add("", int64(0), int64(time.Minute))
	f.Add(issue(f, s, border, lifetime), border.UnixMilli(), int64(lifetime))
	f.Add(issue(f, s, border, lifetime), border.Add(lifetime/2).UnixMilli(), int64(lifetime))
	f.Add(issue(f, s, border, lifetime)+"\n", int64(-1<<63), int64(lifetime))
	f.Fuzz(func(t *testing.T, text string, ms, life int64) {
		now, lifetime := time.UnixMilli(ms), time.Duration(life)
		state, err := s.Check(t.Context(), text, now, lifetime)
		if possible := lifetime >= nonce.MinLifetime && lifetime <= nonce.MaxLifetime; possible != (err == nil) {
			t.Fatalf("a lifetime of %s: %v", lifetime, err)
		}
		if err != nil {
			return
		}
		if state != nonce.Unknown && (len(text) != nonce.Size || !nqchar.MatchString(text)) {
			t.Fatalf("%q is good", text)
		}
		ours, err := s.Issue(t.Context(), now, lifetime)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Check(t.Context(), ours, now, lifetime); err != nil || again != nonce.Fresh {
			t.Fatalf("%s, %s: a new nonce is %d, %v", now, lifetime, again, err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	s, ctx := source(1), b.Context()
	text := issue(b, s, border, lifetime)
	b.ReportAllocs()
	for b.Loop() {
		if state, err := s.Check(ctx, text, border, lifetime); state != nonce.Fresh || err != nil {
			b.Fatal(state, err)
		}
	}
}
