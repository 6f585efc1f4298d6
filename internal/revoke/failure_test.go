package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// opened is a ledger with a store that can fail, in a bubble of synctest.
type opened struct {
	*revoke.Ledger
	in       *shaky
	mu       sync.Mutex
	troubles []error
}

// told are its troubles until now.
func (o *opened) told() []error {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.troubles)
}

func open(t *testing.T) *opened {
	t.Helper()
	o := &opened{in: &shaky{Store: store.NewMemory()}}
	var err error
	o.Ledger, err = revoke.Open(t.Context(), o.in, revoke.Options{Trouble: func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.troubles = append(o.troubles, err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *opened) close() {
	o.Close()
	_ = o.in.Close()
}

// lasting revokes what was issued until now, and lasts a while.
func lasting(target revoke.Target, life time.Duration) *revoke.Entry {
	e := &revoke.Entry{Target: target, Expires: time.Now().Add(life), At: time.Now()}
	if !target.Kind.IsToken() {
		e.NotAfter = time.Now()
	}
	return e
}

// lifting takes back what revokes a target.
func lifting(target revoke.Target, life time.Duration) *revoke.Entry {
	e := lasting(target, life)
	e.Lifted = true
	return e
}

// append adds a record past the ledger, as another node does.
func (o *opened) append(t *testing.T, record string, expires time.Time) {
	t.Helper()
	if _, err := o.in.Append(t.Context(), logName, []byte(record), expires); err != nil {
		t.Fatal(err)
	}
}

func TestSweepOfListAndStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		defer o.close()
		write(t, o.Ledger, lasting(subject("short"), 90*time.Second), lasting(subject("long"), time.Hour),
			lasting(subject("back"), 90*time.Second))
		lift := lifting(subject("back"), 100*time.Second)
		write(t, o.Ledger, lift)
		check := func(inList, inStore, lifts int) {
			t.Helper()
			synctest.Wait()
			records, err := o.in.Read(t.Context(), logName, store.Position{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			if o.List().Len() != inList || len(records) != inStore || o.Lifts() != lifts {
				t.Errorf("%d entries, %d records, %d lifts, want %d, %d, %d", o.List().Len(), len(records), o.Lifts(), inList,
					inStore, lifts)
			}
		}
		check(2, 4, 1)
		time.Sleep(61 * time.Second) // the first sweep
		check(2, 4, 1)
		time.Sleep(30 * time.Second) // all has expired but one, and that must not be swept
		if got := entries(t, o.Ledger); len(got) != 1 || got[0].Value != "long" {
			t.Errorf("%+v", got)
		}
		time.Sleep(30 * time.Second) // the second sweep
		check(1, 1, 0)
		time.Sleep(time.Hour)
		check(0, 0, 0)
	})
}

// A store that does not take a record is an error of the write. One that cannot be read delays what is written, and
// whoever waits is not let down.
func TestAStoreThatFailsAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		defer o.close()
		o.in.noAppend.Store(true)
		if err := o.Write(t.Context(), lasting(subject("s"), time.Hour)); !errors.Is(err, revoke.ErrWrite) ||
			!errors.Is(err, errDisk) || o.List().Len() != 0 {
			t.Errorf("error %v", err)
		}
		o.in.noAppend.Store(false)
		o.in.noRead.Store(true)
		done := make(chan error)
		go func() { done <- o.Write(t.Context(), lasting(subject("s"), time.Hour)) }()
		time.Sleep(3500 * time.Millisecond)
		select {
		case err := <-done:
			t.Errorf("the write is over although it is not in force: %v", err)
		default:
		}
		if n := len(o.told()); n != 4 { // at once, and then each second
			t.Errorf("told %d times: %v", n, o.told())
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := o.Write(short, lasting(subject("other"), time.Hour))
		if !errors.Is(err, revoke.ErrWrite) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if _, err := o.List().Generation(time.Now()); err != nil {
			t.Errorf("what this node has written is in doubt: %v", err)
		}
		o.in.noRead.Store(false)
		if err := <-done; err != nil || !o.List().Has(subject("s")) {
			t.Errorf("after the recovery: %v", err)
		}
		if n := len(o.told()); n != 5 || o.told()[4] != nil {
			t.Errorf("told %v, want an end without another record", o.told())
		}
		if !o.List().Has(subject("other")) {
			t.Error("a record whose writer has given up is not in force")
		}
	})
}

// Trouble ends when both the sweeps and the reading work again.
func TestTroubleWithSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		defer o.close()
		o.in.noSweep.Store(true)
		time.Sleep(2*time.Minute + time.Second)
		if len(o.told()) != 2 || !errors.Is(o.told()[1], errDisk) {
			t.Errorf("told %v", o.told())
		}
		write(t, o.Ledger, lasting(subject("s"), time.Hour))
		o.in.noRead.Store(true)
		done := make(chan error)
		go func() { done <- o.Write(t.Context(), lasting(subject("t"), time.Hour)) }()
		synctest.Wait()
		o.in.noRead.Store(false)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if told := o.told(); len(told) != 3 || told[2] == nil {
			t.Errorf("told %v: reading works again, and sweeping does not", told)
		}
		o.in.noSweep.Store(false)
		for range 2 {
			time.Sleep(time.Minute)
			if told := o.told(); len(told) != 4 || told[3] != nil {
				t.Errorf("told %v", told)
			}
		}
	})
}

// A record of another version may revoke any token. The list is unknown until that record is gone.
func TestARecordThatIsNotUnderstood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		defer o.close()
		o.append(t, `{"v":2}`, time.Now().Add(90*time.Second))
		synctest.Wait()
		if _, err := o.List().Generation(time.Now()); !errors.Is(err, revoke.ErrUnknown) {
			t.Fatalf("the list is known: %v", err)
		}
		if _, err := revoke.Open(t.Context(), o.in, revoke.Options{}); !errors.Is(err, revoke.ErrRecord) {
			t.Errorf("opened: %v", err)
		}
		for _, err := range o.Entries(t.Context()) {
			if !errors.Is(err, revoke.ErrRecord) {
				t.Errorf("entries: %v", err)
			}
		}
		err := o.Write(t.Context(), lasting(subject("s"), time.Hour)) // behind it
		if !errors.Is(err, revoke.ErrWrite) || !errors.Is(err, revoke.ErrRecord) {
			t.Errorf("a write that is not in force: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := o.List().Generation(time.Now()); !errors.Is(err, revoke.ErrUnknown) {
			t.Fatalf("the list is known: %v", err)
		}
		time.Sleep(time.Minute + 2*time.Second) // swept
		if _, err := o.List().Generation(time.Now()); err != nil || !o.List().Has(subject("s")) {
			t.Errorf("after the record is gone: %v", err)
		}
		if n := len(o.told()); n == 0 || o.told()[n-1] != nil {
			t.Errorf("told %v", o.told())
		}
	})
}

// Records before one that is not understood are taken over once, and not again each second.
func TestRecordsBeforeOneThatIsNotUnderstood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		defer o.close()
		o.in.noRead.Store(true) // so that all are read together
		done := make(chan error)
		go func() { done <- o.Write(t.Context(), lasting(subject("before"), time.Hour)) }()
		synctest.Wait()
		o.append(t, `{"v":2}`, time.Now().Add(time.Hour))
		o.in.noRead.Store(false)
		if err := <-done; err != nil || !o.List().Has(subject("before")) {
			t.Errorf("a write before it: %v", err)
		}
		time.Sleep(10 * time.Second)
		if n := o.Records(time.Now()); n != 1 {
			t.Errorf("%d records count, want 1", n)
		}
	})
}

func TestWritesEndWithTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		o.in.noRead.Store(true)
		done := make(chan error)
		go func() { done <- o.Write(context.Background(), lasting(subject("s"), time.Hour)) }()
		synctest.Wait()
		o.close()
		if err := <-done; !errors.Is(err, revoke.ErrWrite) || !errors.Is(err, store.ErrClosed) {
			t.Errorf("error %v", err)
		}
		if err := o.Write(t.Context(), lasting(subject("t"), time.Hour)); !errors.Is(err, revoke.ErrWrite) {
			t.Errorf("error %v", err)
		}
	})
}

func TestTrustHasAnEnd(t *testing.T) {
	list := revoke.NewList()
	list.Trust(start)
	for name, c := range map[string]struct {
		now   time.Time
		known bool
	}{"before": {start.Add(-1), true}, "at the end": {start, false}, "after": {start.Add(time.Hour), false}} {
		if _, err := list.Generation(c.now); (err == nil) != c.known || errors.Is(err, revoke.ErrUnsynced) == c.known {
			t.Errorf("%s: %v", name, err)
		}
	}
	list.Trust(time.Time{})
	if _, err := list.Generation(start.Add(1000 * time.Hour)); err != nil {
		t.Error(err)
	}
}

// Two lists never have the same generation: a gate may get another list.
func TestGenerations(t *testing.T) {
	seen := map[uint64]bool{}
	lists := []*revoke.List{revoke.NewList(), revoke.NewList()}
	for i := range 100 {
		list := lists[i%2]
		list.Trust(time.Time{})
		if i >= 2 {
			list.Apply(out(subject(fmt.Sprint(i % 7)))) // also for a target that is there
		}
		generation, err := list.Generation(start)
		if err != nil || generation == 0 || seen[generation] {
			t.Fatalf("generation %d, %v", generation, err)
		}
		seen[generation] = true
	}
}
