package attempts_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users/attempts"
)

func TestAnAddressHasTenFailuresAtOnceAndThenOneEverySixSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{})
		if n := fails(t, g, 100, from("192.0.2.1")); n != 10 {
			t.Fatalf("%d failures at once", n)
		}
		l := limited(t, g.Do(t.Context(), at("192.0.2.1"), "somebody", right))
		if l == nil || l.RetryAfter != 6*time.Second {
			t.Fatalf("%v", l)
		}
		time.Sleep(l.RetryAfter - 1)
		if limited(t, g.Do(t.Context(), at("192.0.2.1"), "somebody", right)) == nil {
			t.Error("too early")
		}
		time.Sleep(1)
		if n := fails(t, g, 100, from("192.0.2.1")); n != 1 {
			t.Errorf("%d failures after 6 s", n)
		}
		time.Sleep(time.Minute)
		if n := fails(t, g, 100, from("192.0.2.1")); n != 10 {
			t.Errorf("%d failures after a minute", n)
		}
	})
}

func TestANameAtAnAddressHasHalfOfItsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{})
		same := func(int) (netip.Addr, string) { return at("192.0.2.1"), "alice" }
		if n := fails(t, g, 100, same); n != 5 {
			t.Errorf("%d failures at once", n)
		}
		for range 1000 { // the old password on a phone
			if limited(t, g.Do(t.Context(), at("192.0.2.1"), "alice", wrong)).RetryAfter != 12*time.Second {
				t.Fatal("another time")
			}
		}
		if n := fails(t, g, 100, from("192.0.2.1")); n != 5 {
			t.Errorf("others behind the same address have %d failures", n)
		}
	})
}

func TestASuccessNeitherCostsNorForgives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{})
		for i := range 10 {
			for range 100 {
				if err := g.Do(t.Context(), at("192.0.2.1"), "good", right); err != nil {
					t.Fatalf("after %d failures: %v", i, err)
				}
			}
			if err := g.Do(t.Context(), at("192.0.2.1"), fmt.Sprint("bad", i), wrong); err != nil {
				t.Fatal(err)
			}
		}
		if limited(t, g.Do(t.Context(), at("192.0.2.1"), "good", right)) == nil {
			t.Error("the eleventh is looked at")
		}
	})
}

func TestAttackNobodyLocksOutAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{})
		for i := range 5_000 {
			address := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
			fails(t, g, 6, func(int) (netip.Addr, string) { return address, "alice" })
		}
		if err := g.Do(t.Context(), at("192.0.2.1"), "alice", right); err != nil {
			t.Error(err)
		}
		if err := g.Do(t.Context(), at("2001:db8::1"), "alice", right); err != nil {
			t.Error(err)
		}
	})
}

func TestAttackAnAddressInAnotherFormIsTheSame(t *testing.T) {
	for name, forms := range map[string][2]string{
		"IPv4 in IPv6":            {"192.0.2.1", "::ffff:192.0.2.1"},
		"behind a translator":     {"192.0.2.1", "64:ff9b::192.0.2.1"},
		"the same /64":            {"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"},
		"with a zone":             {"fe80::1%a", "fe80::1%b"},
		"without a valid address": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := guard(t, attempts.Config{})
				first, _ := netip.ParseAddr(forms[0])
				second, _ := netip.ParseAddr(forms[1])
				n := fails(t, g, 100, func(i int) (netip.Addr, string) { return first, fmt.Sprint(i) })
				if n != 10 || limited(t, g.Do(t.Context(), second, "x", right)) == nil {
					t.Errorf("%d failures, and then the other form", n)
				}
				if err := g.Do(t.Context(), at("2001:db8:0:2::1"), "x", right); err != nil {
					t.Errorf("another /64: %v", err)
				}
			})
		})
	}
}

func TestAttackAddressesBehindATranslatorAreNotOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{})
		fails(t, g, 100, from("64:ff9b::192.0.2.1"))
		if err := g.Do(t.Context(), at("64:ff9b::192.0.2.2"), "x", right); err != nil {
			t.Error(err)
		}
	})
}

func TestAttackASiteWithManyNetworksHasEightTimesTheFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{})
		n := fails(t, g, 200, func(i int) (netip.Addr, string) {
			return at(fmt.Sprintf("2001:db8:0:%x::1", i<<8)), fmt.Sprint(i) // each in a /56 of its own
		})
		if n != 80 {
			t.Errorf("%d failures", n)
		}
		if err := g.Do(t.Context(), at("2001:db8:1::1"), "x", right); err != nil {
			t.Errorf("another site: %v", err)
		}
	})
}

func TestOnlyAnAnswerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{})
		away := errors.New("away")
		for range 100 {
			if err := g.Do(t.Context(), at("192.0.2.1"), "a", func() (bool, error) { return false, away }); err != away {
				t.Fatal(err)
			}
		}
		if n := fails(t, g, 100, from("192.0.2.1")); n != 10 {
			t.Errorf("%d failures are left", n)
		}
	})
}

func TestAttackACancelledAttemptCounts(t *testing.T) {
	for name, end := range map[string]func(context.Context) (bool, error){
		"refused":   func(context.Context) (bool, error) { return false, nil },
		"cut short": func(ctx context.Context) (bool, error) { return false, ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := guard(t, attempts.Config{})
				for i := range 10 {
					ctx, cancel := context.WithCancel(t.Context())
					_ = g.Do(ctx, at("192.0.2.1"), fmt.Sprint(i), func() (bool, error) {
						cancel()
						return end(ctx)
					})
				}
				if limited(t, g.Do(t.Context(), at("192.0.2.1"), "x", right)) == nil {
					t.Error("who leaves early guesses for nothing")
				}
			})
		})
	}
}

func TestAPanicCountsAndGivesBackItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{Slots: 1})
		for i := range 10 {
			func() {
				defer func() { _ = recover() }()
				_ = g.Do(t.Context(), at("192.0.2.1"), fmt.Sprint(i), func() (bool, error) { panic("secret") })
			}()
		}
		if limited(t, g.Do(t.Context(), at("192.0.2.1"), "x", right)) == nil {
			t.Error("a panic does not count")
		}
		if err := g.Do(t.Context(), at("192.0.2.2"), "x", right); err != nil {
			t.Error(err)
		}
	})
}

func TestAnEndedContextIsNotLookedAt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := guard(t, attempts.Config{}).Do(ctx, at("192.0.2.1"), "x", func() (bool, error) {
		t.Error("called")
		return true, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestNewNamesTheWrongSetting(t *testing.T) {
	for field, c := range map[string]attempts.Config{
		"Slots": {Slots: -1}, "Remote": {Remote: -1}, "Burst": {Burst: 1},
		"Every": {Every: time.Microsecond}, "Places": {Places: 1 << 30},
	} {
		if _, err := attempts.New(c); setting.Field(err) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestLimitedSaysWhen(t *testing.T) {
	l := &attempts.Limited{RetryAfter: 1500 * time.Millisecond}
	if l.Error() != "too many attempts to sign in; the next one is possible in 2s" {
		t.Error(l)
	}
}
