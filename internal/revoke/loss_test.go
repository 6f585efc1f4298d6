package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// faulty is a link whose answers a test changes.
type faulty struct {
	*link
	faults atomic.Pointer[faults]
}

// faults are called before or after what they are named after. A nil one changes nothing.
type faults struct {
	append func(record []byte) (store.Position, bool, error)
	check  func()
	read   func([]store.Record)
	get    func() error
	swap   func(key string)
}

func (f *faulty) set() faults {
	if set := f.faults.Load(); set != nil {
		return *set
	}
	return faults{}
}

func (f *faulty) Append(ctx context.Context, log string, record []byte, expires time.Time) (store.Position, error) {
	if do := f.set().append; do != nil {
		if at, instead, err := do(record); instead {
			return at, err
		}
	}
	return f.link.Append(ctx, log, record, expires)
}

func (f *faulty) Check(ctx context.Context, log string, anchor store.Position) (store.Condition, error) {
	c, err := f.link.Check(ctx, log, anchor)
	if do := f.set().check; do != nil {
		do()
	}
	return c, err
}

func (f *faulty) ReadAnchored(ctx context.Context, log string, after, anchor store.Position, limit int) (
	[]store.Record, []byte, error,
) {
	records, anchored, err := f.link.ReadAnchored(ctx, log, after, anchor, limit)
	if do := f.set().read; do != nil {
		do(records)
	}
	return records, anchored, err
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, error) {
	if do := f.set().get; do != nil {
		if err := do(); err != nil {
			return nil, err
		}
	}
	return f.link.Get(ctx, key)
}

func (f *faulty) Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error) {
	if do := f.set().swap; do != nil {
		do(key)
	}
	return f.link.Swap(ctx, key, old, fresh, expires)
}

// openFaulty opens a ledger at a server. The caller closes it.
func openFaulty(t *testing.T, f *faulty) *node {
	t.Helper()
	l, err := revoke.Open(t.Context(), f, revoke.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &node{Ledger: l, link: f.link}
}

// A server that takes a record, loses it before anybody has read it, and goes on with one of another node, must not
// have the first one acknowledged: nobody knows it.
func TestARecordThatIsLostBeforeItIsReadIsNotAcknowledged(t *testing.T) {
	together(t, func(t *testing.T, s *server, _, b *node) {
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		other, err := lasting(subject("other"), time.Hour).Encode()
		if err != nil {
			t.Fatal(err)
		}
		f.faults.Store(&faults{append: func([]byte) (store.Position, bool, error) {
			at, err := b.link.Append(t.Context(), logName, other, time.Now().Add(time.Hour))
			return at, true, err
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.Write(ctx, lasting(subject("lost"), time.Hour)); !errors.Is(err, revoke.ErrWrite) {
			t.Errorf("error %v, and it is refused: %v", err, c.refuses(t, "lost"))
		}
	})
}

// A node that fails while it writes back goes on at once: until then, others do not know what it knows.
func TestWritingBackGoesOnAfterAFailure(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		write(t, a.Ledger, lasting(subject("s"), time.Hour))
		synctest.Wait()
		a.Close()
		b.Close()
		var failed atomic.Bool
		f.faults.Store(&faults{append: func(record []byte) (store.Position, bool, error) {
			fails := strings.Contains(string(record), "held") && !failed.Swap(true)
			return store.Position{}, fails, errCut
		}})
		s.goBack(t, 0)
		time.Sleep(5 * time.Second)
		if !failed.Load() || s.records(t) != 1 {
			t.Errorf("failed: %v; %d records", failed.Load(), s.records(t))
		}
	})
}

// A revocation that is written while the store has lost it goes into the store: nobody knows whether this node lives
// until it can write back.
func TestARevocationAgainWhileTheStoreIsNotKnown(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, _ *node) {
		entry := lasting(subject("s"), time.Hour)
		write(t, a.Ledger, entry)
		s.empty()
		time.Sleep(12 * time.Second)
		write(t, a.Ledger, entry)
		if n := s.records(t); n != 1 {
			t.Errorf("%d records", n)
		}
	})
}

// With many issuers, a reload does not wait for each of them when the server does not answer.
func TestExpectationsWaitOnceForASilentServer(t *testing.T) {
	together(t, func(t *testing.T, s *server, _, _ *node) {
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		owners := new(revoke.Owners)
		for i := range 50 {
			owners.Add(revoke.Owner{Issuer: fmt.Sprintf("https://as%d.example", i), MaxLifetime: time.Hour})
		}
		if err := errors.Join(c.Expect(t.Context(), owners), c.Bound(t.Context(), owners)); err != nil {
			t.Fatal(err)
		}
		f.faults.Store(&faults{get: func() error {
			time.Sleep(2 * time.Second)
			return errCut
		}})
		began := time.Now()
		if err := c.Expect(t.Context(), owners); err != nil || c.known() != nil {
			t.Errorf("%v, %v", err, c.known())
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		f.faults.Store(nil)
	})
}

// A store that is damaged stays so for a configuration that comes into force after the server has gone away.
func TestExpectationsDoNotHideDamage(t *testing.T) {
	together(t, func(t *testing.T, _ *server, a, _ *node) {
		if _, err := a.link.Append(t.Context(), logName, []byte("nonsense"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		a.link.cut.Store(true)
		time.Sleep(2 * time.Second)
		if err := a.Expect(t.Context(), ownedBy(issuerB, time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := a.known(); err == nil || errors.Is(err, revoke.ErrUnsynced) {
			t.Errorf("error %v", err)
		}
	})
}

// What is taken back while a node is about to write back does not come again.
func TestALiftDuringTheWritingBack(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		write(t, a.Ledger, lasting(subject("s"), time.Hour), lasting(subject("t"), time.Hour))
		synctest.Wait()
		a.Close()
		b.Close()
		var lifted atomic.Bool
		f.faults.Store(&faults{swap: func(key string) {
			if !strings.HasPrefix(key, "revocations") || lifted.Swap(true) {
				return
			}
			lift := lifting(subject("s"), time.Hour)
			s.append(t, lift)
		}})
		s.goBack(t, 1)
		time.Sleep(5 * time.Second)
		fresh := s.join(t, revoke.Options{})
		defer fresh.Close()
		for name, n := range map[string]*node{"c": c, "fresh": fresh} {
			if !lifted.Load() || n.refuses(t, "s") || !n.refuses(t, "t") {
				t.Errorf("%s: s refused: %v, t refused: %v", name, n.refuses(t, "s"), n.refuses(t, "t"))
			}
		}
	})
}
