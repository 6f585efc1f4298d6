package revoke_test

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// A wall clock that was set forward must not have everything forgotten, and one that was set back forgets late.
func TestAClockThatWasSetForwardForgetsNothing(t *testing.T) {
	steady := time.Now() // its monotonic clock does not count in a comparison
	for off, want := range map[time.Duration]time.Duration{24 * time.Hour: 0, 0: 0, -time.Hour: -time.Hour} {
		if got := revoke.Earliest(steady.Round(0).Add(off), steady); !got.Equal(steady.Add(want)) {
			t.Errorf("a clock that is off by %v: %v, want %v", off, got.Sub(steady), want)
		}
	}
}
