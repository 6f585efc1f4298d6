package refresh_test

import (
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/internal/refresh"
)

func TestEventsComeInOrderAndOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		hold := make(chan struct{})
		q := refresh.NewQueue(func(n int) {
			<-hold
			got = append(got, n) // a data race if two come at a time
		})
		for n := range 70 {
			q.Add(n)
		}
		go q.Deliver()
		synctest.Wait()
		q.Deliver() // returns: somebody is at it
		q.Add(1000) // takes the place of the one that is being handled
		q.Add(1001)
		close(hold)
		synctest.Wait()
		if len(got) != 65 || got[0] != 0 || got[63] != 63 || got[64] != 1000 {
			t.Errorf("%d events: %v", len(got), got)
		}
	})
}
