package durations_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/durations"
)

func TestCallsAreCountedByWhatBecameOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls durations.Calls
		for _, answered := range []bool{true, true, false} {
			end := calls.Begin()
			time.Sleep(time.Second)
			end(answered)
		}
		answered, failed := calls.Counts()
		if answered.Number() != 2 || answered.Seconds() != 2 || failed.Number() != 1 || failed.Seconds() != 1 {
			t.Errorf("%v, %v", answered, failed)
		}
	})
	var nobody *durations.Calls
	nobody.Begin()(true)
}
