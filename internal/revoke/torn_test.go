package revoke_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// takeOver has a copy take over that has only the first records, and that gets two new ones at once. The first of them
// is at the position of one that is lost.
func (s *server) takeOver(t *testing.T, records int) {
	t.Helper()
	s.goBack(t, records)
	for i := range 2 {
		s.append(t, lasting(subject(fmt.Sprint("new", i)), time.Hour))
	}
}

// append writes an entry as another process does.
func (s *server) append(t *testing.T, e *revoke.Entry) {
	t.Helper()
	record, err := e.Encode()
	if err == nil {
		_, err = (&link{server: s}).Append(context.Background(), logName, record, e.Expires)
	}
	if err != nil {
		t.Error(err)
	}
}

// A copy takes over between two questions, and no connection breaks. Its new records do not hide what it has lost.
func TestACopyThatTakesOverBetweenTwoQuestions(t *testing.T) {
	for name, fault := range map[string]func(copied func()) *faults{
		"after a look":          func(copied func()) *faults { return &faults{check: copied} },
		"after a record":        func(copied func()) *faults { return &faults{read: ifAny(copied)} },
		"before the first look": nil,
	} {
		t.Run(name, func(t *testing.T) {
			together(t, func(t *testing.T, s *server, a, b *node) {
				f := &faulty{link: &link{server: s}}
				var over atomic.Bool
				copied := func() {
					if !over.Swap(true) {
						s.takeOver(t, 1)
					}
				}
				first := lasting(subject("s1"), time.Hour)
				if fault == nil { // the first records are read from the one server, and the last from the other
					write(t, a.Ledger, first, lasting(subject("s2"), time.Hour))
					a.Close()
					b.Close()
					f.faults.Store(&faults{read: ifAny(copied)})
				}
				c := openFaulty(t, f)
				defer c.Close()
				if fault != nil {
					write(t, a.Ledger, first)
					time.Sleep(2 * time.Second)
					a.Close()
					b.Close()
					synctest.Wait()
					f.faults.Store(fault(copied))
					s.append(t, lasting(subject("s2"), time.Hour))
				}
				time.Sleep(5 * time.Second)
				fresh := s.join(t, revoke.Options{})
				defer fresh.Close()
				for _, sub := range []string{"s1", "s2", "new0", "new1"} {
					if !over.Load() || !c.refuses(t, sub) || !fresh.refuses(t, sub) {
						t.Errorf("%s: refused %v, by a new node %v", sub, c.refuses(t, sub), fresh.refuses(t, sub))
					}
				}
				if err := c.known(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// endAfterAnswer has the server end after its next answer that has records.
func (f *faulty) endAfterAnswer() {
	f.faults.Store(&faults{read: ifAny(func() { f.cut.Store(true) })})
}

// mend brings the server back, or another one.
func (f *faulty) mend() {
	f.faults.Store(nil)
	f.cut.Store(false)
}

func ifAny(do func()) func([]store.Record) {
	return func(records []store.Record) {
		if len(records) > 0 {
			do()
		}
	}
}

// A server that went back to an old backup, with a clock that is behind, gives positions that were there before. When
// nothing is left that could be missed, the new records are found all the same.
func TestPositionsThatGoBack(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		for i := range 5 {
			write(t, a.Ledger, lasting(subject(fmt.Sprint("old", i)), time.Minute))
		}
		time.Sleep(2 * time.Minute)
		s.goBack(t, 0)
		s.append(t, lasting(subject("new"), time.Hour))
		time.Sleep(2 * time.Second)
		if !a.refuses(t, "new") || !b.refuses(t, "new") || a.known() != nil {
			t.Errorf("refused %v and %v, %v", a.refuses(t, "new"), b.refuses(t, "new"), a.known())
		}
	})
}

// A node that cannot read on refuses what it has read until then, except for what it knows was taken back.
func TestWhatIsReadUntilAnErrorCounts(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		lift := lifting(subject("lifted"), time.Hour)
		write(t, a.Ledger, lasting(subject("lifted"), time.Hour))
		for i := range 1200 {
			s.append(t, lasting(subject(fmt.Sprint("other", i)), time.Hour))
		}
		write(t, a.Ledger, lift, lasting(subject("lost"), time.Hour))
		time.Sleep(2 * time.Second)
		a.Close()
		b.Close()
		s.goBack(t, 1202)
		f.endAfterAnswer()
		time.Sleep(2 * time.Second)
		f.mend()
		time.Sleep(5 * time.Second)
		fresh := s.join(t, revoke.Options{})
		defer fresh.Close()
		for name, n := range map[string]*node{"c": c, "a new one": fresh} {
			if n.known() != nil || n.refuses(t, "lifted") || !n.refuses(t, "lost") || !n.refuses(t, "other1199") {
				t.Errorf("%s: %v, refuses what was taken back: %v", name, n.known(), n.refuses(t, "lifted"))
			}
		}
	})
}

// A node that starts while a server fails knows what it could read, although the next server has lost it.
func TestWhatIsReadAtAStartIsNotLost(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		write(t, a.Ledger, lasting(subject("s1"), time.Hour), lasting(subject("s2"), time.Hour))
		a.Close()
		b.Close()
		f := &faulty{link: &link{server: s}}
		f.endAfterAnswer()
		c := openFaulty(t, f)
		defer c.Close()
		s.takeOver(t, 1)
		f.mend()
		time.Sleep(5 * time.Second)
		if !c.refuses(t, "s2") || !c.refuses(t, "new1") || c.known() != nil {
			t.Errorf("refused: %v, %v; %v", c.refuses(t, "s2"), c.refuses(t, "new1"), c.known())
		}
	})
}

// What has been read when the log turns out to be another one counts, at a start and later.
func TestWhatIsInHandIsNotLost(t *testing.T) {
	for name, atStart := range map[string]bool{"at a start": true, "later": false} {
		t.Run(name, func(t *testing.T) {
			together(t, func(t *testing.T, s *server, a, b *node) {
				f := &faulty{link: &link{server: s}}
				all := []string{"s", "other0", "other999", "new1"}
				hasRead := 0
				fail := &faults{read: func(records []store.Record) {
					if hasRead += len(records); hasRead > 1000 { // the rest is in another batch
						f.faults.Store(nil)
						s.takeOver(t, 0)
					}
				}}
				a.Close()
				b.Close()
				if atStart {
					f.faults.Store(fail)
				} else {
					c := openFaulty(t, f)
					defer c.Close()
					defer c.want(t, true, all...)
					f.faults.Store(fail)
				}
				for i := range 1000 {
					s.append(t, lasting(subject(fmt.Sprint("other", i)), time.Hour))
				}
				if !atStart {
					synctest.Wait()
				}
				s.append(t, lasting(subject("s"), time.Hour))
				if atStart {
					c := openFaulty(t, f)
					defer c.Close()
					defer c.want(t, true, all...)
				}
				time.Sleep(5 * time.Second)
			})
		})
	}
}
