package revocations

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// opened is the open store of a configuration.
func opened(t *testing.T) (*Revocations, *Backing) {
	t.Helper()
	r := provisioned(t, new(Desk), pool.New(nil))
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	return r, r.Backing()
}

// heard wants a call, or none.
func heard(t *testing.T, calls <-chan struct{}, want bool) {
	t.Helper()
	if want {
		select {
		case <-calls:
		case <-time.After(10 * time.Second):
			t.Fatal("nobody was called")
		}
	}
	select {
	case <-calls:
		t.Error("one call too many")
	default:
	}
}

// Whoever waits hears of each cut-off of all tokens, whoever makes it, and of no other.
func TestEachCutOffOfAllTokensIsHeardOf(t *testing.T) {
	r, b := opened(t)
	if at := b.CutOffOfAll(issuer); !at.IsZero() {
		t.Errorf("cut off until %v", at)
	}
	calls := make(chan struct{}, 100)
	stop := b.WatchAll(issuer, time.Time{}, func() { calls <- struct{}{} })
	heard(t, calls, false)
	now := time.Now()
	one := revoke.Target{Issuer: issuer, Kind: revoke.Session, Value: "s1"}
	if err := b.CutOff(t.Context(), one, now, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	heard(t, calls, false)
	if _, _, err := r.Write(t.Context(), &Order{Issuer: issuer}); err != nil { // by an operator
		t.Fatal(err)
	}
	heard(t, calls, true)
	var last time.Time
	for range 20 { // also in one millisecond
		if err := b.CutOffAll(t.Context(), issuer); err != nil {
			t.Fatal(err)
		}
		heard(t, calls, true)
		at := b.CutOffOfAll(issuer)
		if !at.After(last) {
			t.Errorf("cut off until %v, after %v", at, last)
		}
		last = at
	}
	if revoked, err := b.IsRevoked(session(last)); err != nil || !revoked {
		t.Errorf("issued at the cut-off: %t, %v", revoked, err)
	}
	if revoked, err := b.IsRevoked(session(last.Add(time.Millisecond))); err != nil || revoked {
		t.Errorf("issued after it: %t, %v", revoked, err)
	}
	stop()
	stop()
	if err := b.CutOffAll(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	heard(t, calls, false)
}

// A cut-off that came between two looks at something is heard of, and one from before is not.
func TestACutOffIsHeardOfLater(t *testing.T) {
	_, b := opened(t)
	before := b.CutOffOfAll(issuer)
	if err := b.CutOffAll(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	calls := make(chan struct{}, 100)
	defer b.WatchAll(issuer, before, func() { calls <- struct{}{} })()
	heard(t, calls, true)
	others := make(chan struct{}, 100)
	defer b.WatchAll(issuer, b.CutOffOfAll(issuer), func() { others <- struct{}{} })()
	heard(t, others, false)
	if err := b.CutOffAll(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	heard(t, calls, true)
	heard(t, others, true)
}

func TestACutOffOfAnUnknownIssuerIsAnError(t *testing.T) {
	_, b := opened(t)
	if err := b.CutOffAll(t.Context(), "https://unknown.example"); err == nil {
		t.Error("nobody's tokens are cut off")
	}
}
