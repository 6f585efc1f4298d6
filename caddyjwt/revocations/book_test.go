package revocations

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store/redis"
)

// The log has a line when trouble begins, when it is of another kind, and when it ends.
func TestTroubleIsToldWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		c := &changes{tell: func(err error) { told = append(told, fmt.Sprint(err)) }}
		away, empty := fmt.Errorf("%w: x", redis.ErrOutOfReach), fmt.Errorf("%w: y", revoke.ErrNoEpoch)
		for _, err := range []error{nil, away, away, empty, away, empty} {
			c.note(err)
		}
		time.Sleep(quiet)
		for _, err := range []error{away, empty, empty, nil, nil, errors.New("z"), errors.New("other z")} {
			c.note(err)
		}
		if want := []string{fmt.Sprint(away), fmt.Sprint(empty), "<nil>", "z"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}
