package tokenissuer

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/internal/store"
)

// After a reload with shorter lifetimes, tokens from before live on, and what revokes them must be remembered.
func TestLifetimesThatBecomeShorterAreRememberedForAWhile(t *testing.T) {
	in, now := store.NewMemory(), time.Now()
	named := func(longest time.Duration) *issuer {
		return &issuer{compiled: &compiled{
			clients: new(registration.Plan), name: "https://i.test", apps: []*applications.Application{{Refresh: longest}},
		}}
	}
	for _, step := range []struct {
		after, longest, want time.Duration
	}{
		{0, time.Hour, time.Hour},
		{0, 24 * time.Hour, 24 * time.Hour},
		{time.Hour, time.Minute, 24 * time.Hour},
		{time.Hour, time.Minute, 24 * time.Hour},    // it ends a day after the change, and not after this
		{20 * time.Hour, time.Hour, 24 * time.Hour}, // another change in between
		{5 * time.Hour, time.Hour, time.Hour},       // over
		{0, time.Minute, time.Hour},                 // shorter again
		{0, 2 * time.Hour, 2 * time.Hour},           // longer: in force again
		{48 * time.Hour, 2 * time.Hour, 2 * time.Hour},
	} {
		now = now.Add(step.after)
		if got := named(step.longest).longestEver(t.Context(), in, now); got != step.want {
			t.Errorf("%v later, with %v: %v, want %v", step.after, step.longest, got, step.want)
		}
	}
	other := &issuer{compiled: &compiled{
		clients: new(registration.Plan), name: "https://j.test", apps: []*applications.Application{{Refresh: time.Minute}},
	}}
	if got := other.longestEver(t.Context(), in, now); got != time.Minute {
		t.Errorf("another issuer: %v", got)
	}
	_ = in.Close()
	if got := other.longestEver(t.Context(), in, now); got != applications.LongestRefresh {
		t.Errorf("without the store: %v", got)
	}
}
