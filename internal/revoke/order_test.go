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

// A server that ends after its answer, and whose successor lacks what was in it: that goes back to the successor.
func TestTheLastAnswerOfAServer(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		write(t, a.Ledger, lasting(subject("first"), time.Hour))
		time.Sleep(2 * time.Second)
		a.Close()
		b.Close()
		synctest.Wait()
		f.endAfterAnswer()
		s.append(t, lasting(subject("lost"), time.Hour))
		time.Sleep(2 * time.Second)
		s.goBack(t, 1)
		f.mend()
		time.Sleep(5 * time.Second)
		fresh := s.join(t, revoke.Options{})
		defer fresh.Close()
		c.want(t, true, "first", "lost")
		fresh.want(t, true, "first", "lost")
	})
}

// What was revoked, taken back and revoked again stays revoked when the server that has all of it ends, and the next
// one lacks the end: whether a node reads that later, or at its start.
func TestRevokedAgainInTheLastAnswer(t *testing.T) {
	for name, atStart := range map[string]bool{"at a start": true, "later": false} {
		t.Run(name, func(t *testing.T) {
			together(t, func(t *testing.T, s *server, a, b *node) {
				f := &faulty{link: &link{server: s}}
				c := openFaulty(t, f)
				write(t, a.Ledger, lasting(subject("s"), time.Hour), lasting(subject("first"), time.Hour))
				time.Sleep(2 * time.Second)
				f.cut.Store(true)
				write(t, a.Ledger, lifting(subject("s"), time.Hour), lasting(subject("s"), time.Hour),
					lasting(subject("other"), time.Hour))
				a.Close()
				b.Close()
				f.mend()
				f.endAfterAnswer()
				if atStart {
					c.Close()
					c = openFaulty(t, f)
				}
				defer func() { c.Close() }()
				time.Sleep(2 * time.Second)
				s.goBack(t, 3)
				f.mend()
				time.Sleep(5 * time.Second)
				c.want(t, true, "s", "other")
			})
		})
	}
}

// What was revoked again after it was known to be taken back is kept, too, when nothing but an answer has it.
func TestRevokedAgainAfterAKnownLift(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		write(t, a.Ledger, lasting(subject("s"), time.Hour), lifting(subject("s"), time.Hour),
			lasting(subject("x"), time.Hour))
		synctest.Wait()
		b.Close()
		f.endAfterAnswer()
		a.link.cut.Store(true)
		s.goBack(t, 2)
		s.append(t, lasting(subject("s"), time.Hour))
		s.append(t, lasting(subject("y"), time.Hour))
		time.Sleep(1500 * time.Millisecond)
		a.Close()
		s.goBack(t, 2)
		f.mend()
		time.Sleep(10 * time.Second)
		c.want(t, true, "s", "x", "y")
	})
}

// What was revoked and taken back at once is not revoked again because a server lost both.
func TestTakenBackInAnAnswer(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		f := &faulty{link: &link{server: s}}
		c := openFaulty(t, f)
		defer c.Close()
		write(t, a.Ledger, lasting(subject("first"), time.Hour))
		time.Sleep(2 * time.Second)
		f.cut.Store(true)
		write(t, a.Ledger, lasting(subject("s"), time.Hour), lifting(subject("s"), time.Hour))
		synctest.Wait()
		f.faults.Store(&faults{read: ifAny(func() {
			f.faults.Store(nil)
			s.goBack(t, 0)
		})})
		f.cut.Store(false)
		time.Sleep(20 * time.Second)
		for _, n := range []*node{a, b, c} {
			n.want(t, false, "s")
			n.want(t, true, "first")
		}
	})
}

// What comes before a record that nobody can read counts, also when the next server has neither.
func TestWhatIsReadBeforeNonsense(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		a.Close()
		b.Close()
		s.append(t, lasting(subject("s"), time.Hour))
		if _, err := a.link.Append(t.Context(), logName, []byte("nonsense"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		c := s.join(t, revoke.Options{})
		defer c.Close()
		time.Sleep(3 * time.Second)
		s.goBack(t, 0)
		time.Sleep(10 * time.Second)
		c.want(t, true, "s")
	})
}

// A server that went back while a node was out of reach, and has given as many positions since, hides nothing.
func TestPositionsThatGoBackUnseen(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, _ *node) {
		for i := range 5 {
			write(t, a.Ledger, lasting(subject(fmt.Sprint("old", i)), time.Minute))
		}
		synctest.Wait()
		a.link.cut.Store(true)
		time.Sleep(2 * time.Minute)
		s.goBack(t, 0)
		for i := range 6 {
			s.append(t, lasting(subject(fmt.Sprint("new", i)), time.Hour))
		}
		a.link.cut.Store(false)
		time.Sleep(3 * time.Second)
		a.want(t, true, "new0", "new4", "new5")
	})
}

// waiting is a faulty link with a hook after Wait.
type waiting struct {
	*faulty
	after atomic.Pointer[func()]
}

func (w *waiting) Wait(ctx context.Context, log string, after store.Position) error {
	err := w.faulty.Wait(ctx, log, after)
	if do := w.after.Swap(nil); err == nil && do != nil {
		(*do)()
	}
	return err
}

// With too many records of which each expires before the one before it, the newest one that is left may not be known.
// Then new records do not hide that a copy has taken over.
func TestANewestRecordThatIsNotKnown(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		w := &waiting{faulty: &faulty{link: &link{server: s}}}
		l, err := revoke.Open(t.Context(), w, revoke.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := &node{Ledger: l, link: w.link}
		defer c.Close()
		s.append(t, lasting(subject("long"), time.Hour))
		for i := range 64 {
			s.append(t, lasting(subject(fmt.Sprint("short", i)), time.Minute-time.Duration(i)*time.Millisecond))
		}
		a.Close()
		b.Close()
		time.Sleep(time.Minute - 10*time.Second - 20*time.Millisecond) // they are anchors until 10 s before their end
		s.append(t, lasting(subject("tick"), 5*time.Millisecond))
		time.Sleep(29 * time.Millisecond)
		var over atomic.Bool
		takeOver := func() {
			over.Store(true)
			s.goBack(t, 0)
			for i := range 70 {
				s.append(t, lasting(subject(fmt.Sprint("new", i)), time.Hour))
			}
		}
		w.after.Store(&takeOver)
		s.append(t, lasting(subject("lost"), time.Hour))
		time.Sleep(10 * time.Second)
		if !over.Load() {
			t.Error("no copy has taken over")
		}
		fresh := s.join(t, revoke.Options{})
		defer fresh.Close()
		c.want(t, true, "long", "new0", "new69")
		fresh.want(t, true, "long", "new0", "new69")
	})
}

// A clock that is a little behind does not take for lost what others have swept.
func TestWhatOthersHaveSweptIsNotLost(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, _ *node) {
		c := s.join(t, revoke.Options{
			Now:     func() time.Time { return time.Now().Add(-300 * time.Millisecond) },
			Trouble: func(err error) { t.Error(err) },
		})
		defer c.Close()
		s.append(t, lasting(subject("short"), 10*time.Second))
		time.Sleep(10*time.Second + 100*time.Millisecond)
		if err := a.link.Sweep(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.append(t, lasting(subject("x"), time.Hour))
		time.Sleep(5 * time.Second)
		c.want(t, true, "x")
	})
}
