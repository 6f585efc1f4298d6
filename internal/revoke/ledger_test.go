package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// When Write returns, the entry is in force, and in the store: a second ledger has exactly the same.
func TestWhatIsWrittenIsInForceAndStays(t *testing.T) {
	in := newStore(t)
	l := newLedger(t, in, revoke.Options{})
	jti := revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "j"}
	var want []revoke.Entry
	for i := range 2500 { // more than are read at once
		e := out(subject(fmt.Sprint(i)))
		e.Author, e.Reason = "me", fmt.Sprint("reason ", i)
		write(t, l, e)
		if !revoked(l.List(), issued(t, m{"sub": fmt.Sprint(i)})) {
			t.Fatalf("%d is not in force", i)
		}
		want = append(want, *e)
	}
	write(t, l, out(jti))
	want = append(want, *out(jti))
	write(t, l, back(subject("7")))
	want = slices.Delete(want, 7, 8)
	second := newLedger(t, in, revoke.Options{})
	for _, ledger := range []*revoke.Ledger{l, second} {
		if got := entries(t, ledger); !slices.Equal(got, want) {
			t.Errorf("%d entries, want %d", len(got), len(want))
		}
		if n := ledger.List().Len(); n != len(want) {
			t.Errorf("the list has %d entries, want %d", n, len(want))
		}
		if revoked(ledger.List(), issued(t, m{"sub": "7"})) {
			t.Error("what was taken back is in force")
		}
		if _, err := ledger.List().Generation(start); err != nil {
			t.Error(err)
		}
	}
	// Both follow the store.
	write(t, second, out(subject("new")))
	write(t, l, out(subject("newer"))) // after it, so it has come by
	if !revoked(l.List(), issued(t, m{"sub": "new"})) {
		t.Error("the first ledger does not follow the store")
	}
}

func TestEntriesEndWithTheirReader(t *testing.T) {
	l := newLedger(t, newStore(t), revoke.Options{})
	write(t, l, out(subject("a")), out(subject("b")))
	n := 0
	for range l.Entries(t.Context()) {
		n++
		break
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for e, err := range l.Entries(ended) {
		if n++; !errors.Is(err, context.Canceled) || e != nil {
			t.Errorf("%v, %v", e, err)
		}
	}
	if n != 2 {
		t.Errorf("%d steps, want 2", n)
	}
}

// Revoked, taken back, revoked again: the last word counts, also after a restart. An entry is there once.
func TestLastWordCounts(t *testing.T) {
	single := revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "j"}
	for name, target := range map[string]revoke.Target{"a subject": subject("s"), "a token": single} {
		in := newStore(t)
		l := newLedger(t, in, revoke.Options{})
		token := issued(t, m{"sub": "s", "jti": "j"})
		check := func(want int) {
			t.Helper()
			for which, ledger := range map[string]*revoke.Ledger{"": l, " after a restart": newLedger(t, in, revoke.Options{})} {
				if got := entries(t, ledger); len(got) != want || ledger.List().Len() != want {
					t.Errorf("%s%s: %d entries, %d in the list, want %d", name, which, len(got), ledger.List().Len(), want)
				}
				if is := revoked(ledger.List(), token); is != (want == 1) {
					t.Errorf("%s%s: revoked %v", name, which, is)
				}
			}
		}
		for range 3 {
			write(t, l, out(target))
			check(1)
			write(t, l, back(target))
			check(0)
		}
		again := out(target)
		again.Reason = "the last time"
		write(t, l, again)
		check(1)
		if got := entries(t, l); len(got) == 1 && got[0] != *again {
			t.Errorf("%s: %+v is in force", name, got[0])
		}
	}
}

// Whatever changes nothing is no record: it could make the log grow for ever.
func TestWhatChangesNothingIsNotWritten(t *testing.T) {
	in := &shaky{Store: newStore(t)}
	l := newLedger(t, in, revoke.Options{})
	count := func(want int64, entries ...*revoke.Entry) {
		t.Helper()
		before := in.appends.Load()
		write(t, l, entries...)
		if n := in.appends.Load() - before; n != want {
			t.Errorf("%d records, want %d", n, want)
		}
	}
	count(0, back(subject("s"))) // nothing to take back
	fine := out(subject("s"))
	fine.NotAfter, fine.Leeway, fine.Expires = fine.NotAfter.Add(1), 1, fine.Expires.Add(1)
	count(1, fine, fine, out(subject("s")), until(subject("s"), start.Add(-time.Hour)))
	longer := out(subject("s"))
	longer.Expires = fine.Expires.Add(time.Hour)
	count(1, longer, fine, longer)
	count(1, until(subject("s"), start.Add(time.Hour)))
	count(1, back(subject("s")), back(subject("s")))
}

// A full list forgets nothing. An entry that needs no room can still be written.
func TestAFullListRefusesMore(t *testing.T) {
	l := newLedger(t, newStore(t), revoke.Options{Limit: 3})
	write(t, l, out(subject("0")), out(subject("1")), out(subject("2")))
	full := func() {
		t.Helper()
		err := l.Write(t.Context(), out(subject("x")))
		if !errors.Is(err, revoke.ErrFull) || revoked(l.List(), issued(t, m{"sub": "x"})) {
			t.Errorf("error %v", err)
		}
		for i := range 3 {
			if !revoked(l.List(), issued(t, m{"sub": fmt.Sprint(i)})) {
				t.Errorf("%d was forgotten", i)
			}
		}
	}
	full()
	write(t, l, until(subject("1"), start.Add(time.Minute)))
	full()
	write(t, l, back(subject("2")), out(subject("2")))
	full()
	write(t, l, back(subject("2")), out(subject("x")))
}

// A target that is revoked again and again is one entry, and each time a record. The log has a bound, too.
func TestTheLogHasABound(t *testing.T) {
	now := start
	l := newLedger(t, newStore(t), revoke.Options{Limit: 5, Now: func() time.Time { return now }})
	written := 0
	var err error
	for err == nil && written < 1000 {
		if err = l.Write(t.Context(), until(subject("s"), start.Add(time.Duration(written)*time.Second))); err == nil {
			written++
		}
	}
	if !errors.Is(err, revoke.ErrFull) || written != 20 || !strings.Contains(err.Error(), "20 records") {
		t.Errorf("%d records, then %v", written, err)
	}
	if !revoked(l.List(), issued(t, m{"sub": "s", "iat": start.Unix() + int64(written) - 1})) {
		t.Error("the last record does not count")
	}
	l.Close() // nothing reads the clock any more
	now = start.Add(2 * time.Hour)
	if n := l.Records(now); n != 0 {
		t.Errorf("%d records count after all have expired", n)
	}
}

// Writers do not wait for each other, and each finds its own entry in force.
func TestManyWriters(t *testing.T) {
	l := newLedger(t, newStore(t), revoke.Options{})
	const writers, each = 16, 100
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				name := fmt.Sprint(w, " ", i)
				if err := l.Write(t.Context(), out(subject(name))); err != nil {
					t.Error(err)
				}
				if !revoked(l.List(), issued(t, m{"sub": name})) {
					t.Errorf("%s is not in force", name)
				}
				if i%3 == 0 {
					if err := l.Write(t.Context(), back(subject(name))); err != nil || revoked(l.List(), issued(t, m{"sub": name})) {
						t.Errorf("%s is in force: %v", name, err)
					}
				}
			}
		})
	}
	all.Wait()
	if n, want := l.List().Len(), writers*each-writers*34; n != want {
		t.Errorf("%d entries, want %d", n, want)
	}
}

// What takes back must not be forgotten before what it takes back: the next ledger would find that alone.
func TestWhatTakesBackLastsAsLong(t *testing.T) {
	in, now := newStore(t), start
	clock := func() time.Time { return now }
	long, lift := out(subject("s")), back(subject("s"))
	long.Expires, lift.Expires = start.Add(24*time.Hour), start.Add(time.Hour)
	first := newLedger(t, in, revoke.Options{Now: clock})
	write(t, first, long, lift)
	first.Close()
	now = start.Add(2 * time.Hour)
	if err := in.Sweep(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	second := newLedger(t, in, revoke.Options{Now: clock})
	if second.List().Len() != 0 || len(entries(t, second)) != 0 {
		t.Error("what was taken back is in force again")
	}
}

// What has expired is not taken over, but does not hide what has not.
func TestExpiredRecords(t *testing.T) {
	in := newStore(t)
	old := out(subject("old"))
	old.Expires = start
	for _, e := range []*revoke.Entry{old, out(subject("new"))} {
		record, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Append(t.Context(), logName, record, e.Expires.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	l := newLedger(t, in, revoke.Options{})
	if l.List().Len() != 1 || !l.List().Has(subject("new")) || len(entries(t, l)) != 1 {
		t.Errorf("%d entries", l.List().Len())
	}
}

// The list is known from the moment in which all is read.
func TestOpenFailsWithoutItsStore(t *testing.T) {
	in := newStore(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := revoke.Open(ended, in, revoke.Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_ = in.Close()
	if _, err := revoke.Open(t.Context(), in, revoke.Options{}); !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
	if _, err := revoke.NewList().Generation(start); !errors.Is(err, revoke.ErrUnknown) {
		t.Errorf("a new list is known: %v", err)
	}
}
