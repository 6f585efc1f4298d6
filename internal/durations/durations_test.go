package durations_test

import (
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/durations"
)

// times are one for each bucket, on its bound where it has one, and a time that no clock should give.
var times = []time.Duration{
	-time.Second, 10 * time.Microsecond, 10*time.Microsecond + 1, 250 * time.Microsecond, time.Millisecond,
	5 * time.Millisecond, 6 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, time.Hour,
}

var cumulative = map[float64]uint64{
	.00001: 2, .00005: 3, .00025: 4, .001: 5, .005: 6, .025: 7, .1: 8, .5: 9, 2.5: 10,
}

func check(t *testing.T, c durations.Counts) {
	t.Helper()
	if got := c.Cumulative(); !maps.Equal(got, cumulative) {
		t.Errorf("buckets %v, want %v", got, cumulative)
	}
	if got := c.Number(); got != uint64(len(times)) {
		t.Errorf("%d were counted, want %d", got, len(times))
	}
	if got, want := c.Seconds(), 3602.61226; got < want || got > want+.0001 {
		t.Errorf("%v seconds, want %v", got, want)
	}
}

func TestABoundBelongsToItsBucket(t *testing.T) {
	var c durations.Counts
	var live durations.Live
	for _, took := range times {
		c.Add(took)
		live.Add(took)
	}
	check(t, c)
	check(t, live.Counts())
}

func TestCountsOfTwoMoments(t *testing.T) {
	var early, late durations.Counts
	early.Add(time.Minute)
	late.Add(time.Minute)
	for _, took := range times {
		late.Add(took)
	}
	check(t, late.Since(early))
	check(t, durations.Counts{}.Plus(late).Since(early))
	if n := late.Plus(early).Number(); n != uint64(len(times))+2 {
		t.Errorf("%d together", n)
	}
}

// Nothing that is added at the same time is lost, and adding allocates nothing.
func TestLiveCountsEverything(t *testing.T) {
	var live durations.Live
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				live.Add(time.Millisecond)
				live.Counts()
			}
		})
	}
	all.Wait()
	if c := live.Counts(); c.Number() != 8000 || c.Seconds() != 8 {
		t.Errorf("%d in %v seconds, want 8000 in 8", c.Number(), c.Seconds())
	}
	if n := testing.AllocsPerRun(100, func() { live.Add(time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
