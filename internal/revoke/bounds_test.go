package revoke_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// clock is the time of a ledger.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// living is a token of issuer A, or of a consumer, that lives for a while.
func living(t *testing.T, issued time.Time, life time.Duration, consumer string) *revoke.Token {
	t.Helper()
	set, err := claims.Decode([]byte(`{"iss":"A","sub":"alice","iat":` + seconds(issued) + `,"exp":` +
		seconds(issued.Add(life)) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if consumer != "" {
		return &revoke.Token{Consumer: consumer, Set: set}
	}
	return &revoke.Token{Issuer: "A", Set: set}
}

// A longer max_lifetime must not bring back a token whose revocation was forgotten under the shorter one.
func TestALongerLifeDoesNotBringBackWhatWasForgotten(t *testing.T) {
	for name, consumer := range map[string]string{"of an issuer": "", "of a consumer": "shop"} {
		t.Run(name, func(t *testing.T) {
			began := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
			at, in := &clock{began}, store.NewMemory()
			defer in.Close()
			open := func(longest time.Duration) *revoke.Ledger {
				l, err := revoke.Open(t.Context(), in, revoke.Options{Now: at.now})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(l.Close)
				if err := l.Bound(t.Context(), ownersOf(consumer, longest)); err != nil {
					t.Fatal(err)
				}
				return l
			}
			old := living(t, began.Add(-time.Minute), 10*time.Hour, consumer)
			short := open(time.Hour)
			entry := &revoke.Entry{Target: revoke.Target{Issuer: old.Issuer, Consumer: consumer, Kind: revoke.All}}
			if err := ownersOf(consumer, time.Hour).Complete(entry, at.at); err != nil {
				t.Fatal(err)
			}
			if err := short.Write(t.Context(), entry); err != nil {
				t.Fatal(err)
			}
			at.at = began.Add(2 * time.Hour) // the entry has expired
			if err := in.Sweep(t.Context(), at.at); err != nil {
				t.Fatal(err)
			}
			raised := at.at
			for i := range 3 { // in this process, after a restart, and after another
				long := open(24 * time.Hour).List()
				if by, revoked := long.Revokes(*old); !revoked || by.Kind != revoke.Outgrown || by.Longest != time.Hour {
					t.Errorf("start %d: the token passes: %+v", i, by)
				}
				for of, token := range map[string]*revoke.Token{
					"short, from before": living(t, began.Add(90*time.Minute), time.Hour, consumer),
					"long, from after":   living(t, raised.Add(time.Minute), 10*time.Hour, consumer),
				} {
					if by, revoked := long.Revokes(*token); revoked {
						t.Errorf("start %d: the token %s is refused: %+v", i, of, by)
					}
				}
				at.at = at.at.Add(time.Hour)
			}
			at.at = raised.Add(25 * time.Hour) // all tokens from before have expired
			if by, revoked := open(24 * time.Hour).List().Revokes(*old); revoked {
				t.Errorf("the bound is still there: %+v", by)
			}
		})
	}
}

// Gates may have consumers with different longest lives. A longer life of some must not bring back what was forgotten
// under their shorter one, although other consumers always lived as long.
func TestALongerLifeOfSomeConsumers(t *testing.T) {
	began := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	at, in := &clock{began}, store.NewMemory()
	defer in.Close()
	l, err := revoke.Open(t.Context(), in, revoke.Options{Now: at.now})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	with := func(shops time.Duration) *revoke.Owners {
		owners := ownersOf("shop", shops)
		owners.Add(revoke.Owner{IsConsumer: func(name string) bool { return name == "partner" }, MaxLifetime: 24 * time.Hour})
		return owners
	}
	owners := with(time.Hour)
	if err := l.Bound(t.Context(), owners); err != nil {
		t.Fatal(err)
	}
	entry := &revoke.Entry{Target: revoke.Target{Consumer: "shop", Kind: revoke.All}}
	if err := owners.Complete(entry, at.at); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	at.at = began.Add(2 * time.Hour)
	l.List().Sweep(at.at)
	if err := l.Bound(t.Context(), with(12*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, revoked := l.List().Revokes(*living(t, began.Add(-time.Minute), 10*time.Hour, "shop")); !revoked {
		t.Error("the token passes, whose revocation was forgotten")
	}
}

// A life that becomes shorter, and longer again, counts from the last moment.
func TestALifeThatGoesUpAndDown(t *testing.T) {
	began := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	at, in := &clock{began}, store.NewMemory()
	defer in.Close()
	l, err := revoke.Open(t.Context(), in, revoke.Options{Now: at.now})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	token := living(t, began, 5*time.Hour, "")
	for i, longest := range []time.Duration{10 * time.Hour, time.Hour, 10 * time.Hour} {
		at.at = began.Add(time.Duration(i) * time.Minute)
		if err := l.Bound(t.Context(), ownersOf("", longest)); err != nil {
			t.Fatal(err)
		}
		if _, revoked := l.List().Revokes(*token); revoked != (i == 2) {
			t.Errorf("step %d: revoked %v", i, revoked)
		}
	}
	before, err := l.List().Generation(at.at)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Bound(t.Context(), ownersOf("", 10*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if after, err := l.List().Generation(at.at); err != nil || after != before {
		t.Errorf("generation %d, %v; it was %d, and nothing has changed", after, err, before)
	}
}

// Of many raises, none makes a bound longer than it was.
func TestManyRaises(t *testing.T) {
	began := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	at, in := &clock{began}, store.NewMemory()
	defer in.Close()
	l, err := revoke.Open(t.Context(), in, revoke.Options{Now: at.now})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for hours := range 100 {
		at.at = began.Add(time.Duration(hours) * time.Minute)
		if err := l.Bound(t.Context(), ownersOf("", time.Duration(hours+1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for minutes := range 99 {
		issued := began.Add(time.Duration(minutes)*time.Minute - time.Second)
		could := time.Duration(minutes) * time.Hour // when it was issued
		if _, revoked := l.List().Revokes(*living(t, issued, could+2*time.Hour, "")); !revoked {
			t.Errorf("a token of minute %d lives longer than it could", minutes)
		}
	}
	if size, err := in.Get(t.Context(), "max_lifetime/issuer A"); err != nil || len(size) > 1000 {
		t.Errorf("%d bytes in the store, %v", len(size), err)
	}
	if err := in.Put(t.Context(), "max_lifetime/issuer A", []byte("?"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := l.Bound(context.Background(), ownersOf("", time.Hour)); err == nil {
		t.Error("a value that cannot be read is taken for none")
	}
}

// A configuration may be started and not come into force: another app fails, and the one before goes on. Then what that
// one has forgotten stays out, however the lives were meant to change, and nobody who is good is refused for it.
func TestLivesOfAConfigurationThatFailsToStart(t *testing.T) {
	began := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	at, in := &clock{began}, store.NewMemory()
	defer in.Close()
	l, err := revoke.Open(t.Context(), in, revoke.Options{Now: at.now})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	after := func(d time.Duration, do func(context.Context, *revoke.Owners) error, longest time.Duration) {
		t.Helper()
		at.at = began.Add(d)
		owners := new(revoke.Owners)
		if longest > 0 {
			owners = ownersOf("", longest)
		}
		if err := do(t.Context(), owners); err != nil {
			t.Fatal(err)
		}
	}
	check := func(issued, life time.Duration, want bool) {
		t.Helper()
		if _, out := l.List().Revokes(*living(t, began.Add(issued), life, "")); out != want {
			t.Errorf("at %v: a token of %v that lives for %v: refused %v", at.at.Sub(began), issued, life, out)
		}
	}
	after(0, l.Bound, time.Hour)
	after(time.Hour, l.Expect, 24*time.Hour)
	check(30*time.Minute, 10*time.Hour, true) // at gates that are there before their configuration is in force
	after(2*time.Hour, l.Bound, 24*time.Hour)
	check(90*time.Minute, 10*time.Hour, true) // it may have been revoked after the failure, for an hour
	check(3*time.Hour, 10*time.Hour, false)

	for range 100 { // with a shorter life, without the issuer, and with a longer one
		after(4*time.Hour, l.Expect, time.Hour)
		after(4*time.Hour, l.Expect, 0)
		after(4*time.Hour, l.Expect, 48*time.Hour)
	}
	check(90*time.Minute, 10*time.Hour, true)
	check(3*time.Hour, 10*time.Hour, false)
	after(5*time.Hour, l.Bound, 24*time.Hour)
	check(90*time.Minute, 10*time.Hour, true)
	check(3*time.Hour, 10*time.Hour, false)
	if n := l.List().Raises(); n > 8 {
		t.Errorf("%d moments are told apart", n)
	}

	after(6*time.Hour, l.Bound, 0) // requests may still come to gates of the configuration before
	check(90*time.Minute, 10*time.Hour, true)
}

// ownersOf are issuer A, or a consumer.
func ownersOf(consumer string, longest time.Duration) *revoke.Owners {
	owner := revoke.Owner{Issuer: "A", MaxLifetime: longest, Leeway: 5 * time.Second}
	if consumer != "" {
		owner.Issuer, owner.IsConsumer = "", func(name string) bool { return name == consumer }
	}
	owners := new(revoke.Owners)
	owners.Add(owner)
	return owners
}

func seconds(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
