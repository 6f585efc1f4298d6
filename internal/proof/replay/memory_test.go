package replay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/proof/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is a time that is no border of anything.
var start = time.Unix(1_800_000_005, 123_000_000)

func keyOf(n int) (key [32]byte) {
	copy(key[:], fmt.Sprint("key ", n))
	return key
}

func use(t *testing.T, m *replay.Memory, key int, id string, now, until time.Time) error {
	t.Helper()
	err := m.Use(t.Context(), keyOf(key), id, now, until)
	if err != nil && !errors.Is(err, replay.ErrUsed) && !errors.Is(err, replay.ErrFull) {
		t.Fatal(err)
	}
	return err
}

func TestAProofIsGoodOnce(t *testing.T) {
	second := time.Second
	type call struct {
		key       int
		id        string
		now, left time.Duration
		want      error
	}
	for name, calls := range map[string][]call{
		"the same twice":         {{1, "a", 0, 60 * second, nil}, {1, "a", 0, 60 * second, replay.ErrUsed}},
		"another id":             {{1, "a", 0, 60 * second, nil}, {1, "b", 0, 60 * second, nil}},
		"another key":            {{1, "a", 0, 60 * second, nil}, {2, "a", 0, 60 * second, nil}},
		"an empty id":            {{1, "", 0, 60 * second, nil}, {1, "", 0, 60 * second, replay.ErrUsed}},
		"just before it ends":    {{1, "a", 0, 60 * second, nil}, {1, "a", 60*second - 1, 1, replay.ErrUsed}},
		"hours later":            {{1, "a", 0, 9000 * second, nil}, {1, "a", 8999 * second, second, replay.ErrUsed}},
		"by a more patient gate": {{1, "a", 0, 60 * second, nil}, {1, "a", 0, 600 * second, replay.ErrUsed}},
		"by a less patient gate": {{1, "a", 0, 600 * second, nil}, {1, "a", 0, 60 * second, replay.ErrUsed}},
		"until the later of two ends": {
			{1, "a", 0, 60 * second, nil}, {1, "a", 30 * second, 600 * second, replay.ErrUsed},
			{1, "a", 300 * second, 330 * second, replay.ErrUsed},
		},
		"until the later of three ends": {
			{1, "a", 0, 600 * second, nil}, {1, "a", 0, 60 * second, replay.ErrUsed},
			{1, "a", 0, 6000 * second, replay.ErrUsed}, {1, "a", 5999 * second, second, replay.ErrUsed},
		},
		"its time is over":       {{1, "a", 0, -second, nil}, {1, "a", 0, -second, replay.ErrUsed}},
		"no time":                {{1, "a", 0, -1 << 62, replay.ErrUsed}},
		"a day":                  {{1, "a", 0, replay.Longest * second, nil}},
		"more than a day":        {{1, "a", 0, (replay.Longest + 2) * second, replay.ErrFull}},
		"all time":               {{1, "a", 0, 1 << 62, replay.ErrFull}},
		"a clock that goes back": {{1, "a", 0, 60 * second, nil}, {1, "a", -90 * second, 150 * second, replay.ErrUsed}},
		"a clock that was ahead": {
			{1, "a", 0, 60 * second, nil}, {1, "b", 3600 * second, 60 * second, nil},
			{1, "a", second, 59 * second, replay.ErrUsed}, // nobody knows any more
			{1, "c", 100 * second, 60 * second, nil},      // it could not be among what is forgotten
			{1, "b", 3601 * second, 59 * second, replay.ErrUsed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := replay.NewMemory()
			for i, c := range calls {
				now := start.Add(c.now)
				if err := use(t, m, c.key, c.id, now, now.Add(c.left)); !errors.Is(err, c.want) {
					t.Errorf("call %d: %v, want %v", i, err, c.want)
				}
			}
		})
	}
}

func TestTimesBefore1970AreRefused(t *testing.T) {
	m := replay.NewMemory()
	for _, now := range []time.Time{{}, time.Unix(-1<<40, 0), time.Unix(-100, 0)} {
		if err := use(t, m, 1, "a", now, now.Add(time.Minute)); !errors.Is(err, replay.ErrUsed) {
			t.Errorf("at %s: %v", now, err)
		}
	}
}

func TestOfManyCallersOneUsesAProof(t *testing.T) {
	const callers = 64
	m := replay.NewMemory()
	for i := range 200 {
		var won atomic.Int32
		var all sync.WaitGroup
		begin := make(chan struct{})
		for caller := range callers {
			all.Go(func() {
				<-begin
				// The clocks of callers differ a little, and so do the ends that gates give to a proof.
				now := start.Add(time.Duration(i)*11*time.Second - time.Duration(caller)*time.Millisecond)
				until := start.Add(time.Duration(i)*11*time.Second + time.Duration(1+caller%3*90)*time.Millisecond)
				if m.Use(t.Context(), keyOf(i%3), fmt.Sprint(i), now, until) == nil {
					won.Add(1)
				}
			})
		}
		close(begin)
		all.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("proof %d: %d callers used it", i, n)
		}
	}
}

// A small Memory is compared with one that keeps everything, while time passes and it is full again and again.
func TestNothingIsForgottenTooEarly(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := replay.NewSmallMemory(4000, 1000)
		type name struct {
			key int
			id  string
		}
		ends := make(map[name]time.Time)
		counts := make(map[string]int)
		now := start
		for range 60_000 {
			now = now.Add(time.Duration(random.Int64N(int64(40 * time.Millisecond))))
			n := name{random.IntN(60), fmt.Sprint(random.IntN(500))}
			if random.IntN(4) == 0 {
				n.key = 1000
			}
			until := now.Add(time.Duration(random.Int64N(int64(200 * time.Second))))
			end, known := ends[n]
			if known && end.After(now) { // the same proof, maybe with a gate of its own
				if random.IntN(2) == 0 {
					until = end
				}
				if err := use(t, m, n.key, n.id, now, until); !errors.Is(err, replay.ErrUsed) {
					t.Fatalf("seed %d: a used proof: %v", seed, err)
				}
				counts["used"]++
				continue
			}
			switch err := use(t, m, n.key, n.id, now, until); {
			case err == nil:
				ends[n] = until
				counts["new"]++
			case errors.Is(err, replay.ErrFull):
				counts["full"]++
			default:
				counts["late"]++ // it is remembered for longer than it must be
			}
		}
		if counts["new"] < 5000 || counts["used"] < 4000 || counts["full"] < 1000 {
			t.Errorf("seed %d: %v: the test does not reach what it is for", seed, counts)
		}
	}
}

func TestWhatHasEndedIsForgotten(t *testing.T) {
	m := replay.NewMemory()
	_, empty := m.Stats()
	for i := range 5000 {
		if err := use(t, m, i%7, fmt.Sprint(i), start, start.Add(time.Duration(i%300)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	proofs, bytes := m.Stats()
	if proofs != 5000 || bytes < empty+5000*8 {
		t.Errorf("%d proofs, %d bytes, %d without any", proofs, bytes, empty)
	}
	later := start.Add(300*time.Second + 80*time.Second) // and what they stay too long
	if err := use(t, m, 1, "one", later, later.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if proofs, after := m.Stats(); proofs != 1 || after > empty+500 {
		t.Errorf("then %d proofs, %d bytes, %d without any", proofs, after, empty)
	}
	if err := use(t, m, 1, "1", later, later.Add(time.Second)); err != nil {
		t.Errorf("a proof with the name of one that has ended: %v", err)
	}
}

// Buckets end at multiples of a step. Proofs end before that, or with it, and somebody else may come at that moment.
func TestAtTheEndOfABucketItsProofsAreOver(t *testing.T) {
	border := time.Unix(1_800_000_000/replay.Shortest*replay.Shortest, 0)
	for _, c := range []struct{ until, other, again time.Duration }{ // after the border
		{0, -time.Second, -time.Millisecond},
		{0, -time.Millisecond, -1},
		{time.Second / 2, 0, time.Second / 4},
		{time.Millisecond, 0, 0},
		{time.Second, time.Second - 1, time.Second - 1},
		// The first one has looked at its clock before the other one.
		{0, 0, -time.Millisecond},
		{-time.Millisecond, time.Second, -time.Second},
	} {
		m := replay.NewMemory()
		until := border.Add(c.until)
		if err := use(t, m, 1, "a", border.Add(-time.Minute), until); err != nil {
			t.Fatal(err)
		}
		if err := use(t, m, 2, "b", border.Add(c.other), until.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := use(t, m, 1, "a", border.Add(c.again), until); !errors.Is(err, replay.ErrUsed) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	m := replay.NewMemory()
	for _, id := range []string{"a", "b"} {
		if err := use(t, m, 1, id, border.Add(-time.Minute), border); err != nil {
			t.Fatal(err)
		}
	}
	// A second before the end, nothing is forgotten, and there is still time for another proof.
	for i := range 1000 {
		if err := use(t, m, i, "new", border.Add(-time.Second), border); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatWasForgottenTooEarlyIsRefused(t *testing.T) {
	m := replay.NewMemory()
	until := func(i int) time.Time { return start.Add([]time.Duration{time.Hour, time.Minute}[i/2000]) }
	for i := range 4000 {
		if err := use(t, m, i%10, fmt.Sprint(i), start, until(i)); err != nil {
			t.Fatal(err)
		}
	}
	// The clock is ahead, and then right again.
	if err := use(t, m, 1, "ahead", start.Add(9*time.Hour), start.Add(10*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for i := range 4000 {
		if err := use(t, m, i%10, fmt.Sprint(i), start, until(i)); !errors.Is(err, replay.ErrUsed) {
			t.Fatalf("proof %d: %v", i, err)
		}
	}
}

func TestAProofWithSeveralEndsTakesNoMoreThanOnePlaceForEach(t *testing.T) {
	m := replay.NewMemory()
	for i := range 300 {
		left := []time.Duration{time.Minute, time.Hour, 10 * time.Minute}[i%3]
		if err := use(t, m, 1, "a", start, start.Add(left)); (err == nil) != (i == 0) {
			t.Fatal(i, err)
		}
	}
	if proofs, _ := m.Stats(); proofs != 2 {
		t.Errorf("%d places", proofs)
	}
}

func TestABucketEndsAfterItsProofsAndNotMuchLater(t *testing.T) {
	for left := int64(1); left <= replay.Longest; left += 1 + left/50 {
		ends := make(map[int64]bool)
		for now := int64(1_800_000_000); now < 1_800_000_000+left; now += 1 + left/200 {
			until := now + left
			end := replay.EndOf(now, until)
			if end < until || end > until+max(left/4, replay.Shortest) || end%replay.Shortest != 0 {
				t.Fatalf("%d s left at %d: the end is %d s after", left, now, end-until)
			}
			if again := replay.EndOf(now+left/2, until); again > end {
				t.Fatalf("%d s left at %d: later the end is %d, and was %d", left, now, again, end)
			}
			ends[end] = true
		}
		if len(ends) > 9+1 {
			t.Fatalf("%d s left: %d buckets", left, len(ends))
		}
	}
}

func TestUseDoesNotAllocate(t *testing.T) {
	m := replay.NewMemory()
	until := start.Add(time.Minute)
	if err := use(t, m, 1, "a", start, until); err != nil {
		t.Fatal(err)
	}
	key, ctx := keyOf(1), t.Context()
	if n := testing.AllocsPerRun(100, func() { _ = m.Use(ctx, key, "a", start, until) }); n != 0 {
		t.Errorf("a used proof: %v allocations", n)
	}
	ids := make([]string, 20_001)
	for i := range ids {
		ids[i] = fmt.Sprint("id ", i)
	}
	i := 0
	n := testing.AllocsPerRun(len(ids)-1, func() { _ = m.Use(ctx, key, ids[i], start, until); i++ })
	if n != 0 { // the average is rounded down: tables grow now and then
		t.Errorf("a new proof: %v allocations", n)
	}
}
