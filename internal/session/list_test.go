package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

func three(o *session.Options) { o.PerUser = 3 }

// One session more than there may be ends that of the oldest login. Its access token lives on.
func TestTheOldestLoginEnds(t *testing.T) {
	h := newHouse(t, store.NewMemory(), three)
	var pairs []*session.Pair
	for range 5 {
		pairs = append(pairs, begin(t, h, terms()))
	}
	bob, err := h.Begin(t.Context(), terms(), &session.Login{Subject: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	other := begin(t, h, terms(func(t *session.Terms) { t.App = "bank" }))
	for i, p := range pairs {
		if !h.lives(p) {
			t.Errorf("the access token %d does not live", i)
		}
		if i < 2 {
			refused(t, h, terms(), p.Refresh, session.ErrInvalid)
		} else {
			refresh(t, h, terms(), p.Refresh)
		}
	}
	refresh(t, h, terms(), bob.Refresh)
	refresh(t, h, terms(func(t *session.Terms) { t.App = "bank" }), other.Refresh)
	if h.events() != 0 {
		t.Errorf("events: %v", h.reused)
	}
}

// A login is as far as the list when others push it out there. It fails, or its session would count nowhere.
func TestALoginThatIsPushedOutBeforeItIsOver(t *testing.T) {
	for moment := 1; ; moment++ {
		f := &faults{}
		h := newFaultyHouse(t, store.NewMemory(), f, three)
		var others []*session.Pair
		f.each = func(n int) {
			if n == moment {
				f.each = nil
				for range 3 {
					others = append(others, begin(t, h, terms()))
				}
			}
		}
		p, err := h.Begin(t.Context(), terms(), alice)
		if f.each = nil; others == nil {
			break
		}
		h.clock.advance(time.Second)
		if err == nil {
			others = append(others, p)
		} else if !errors.Is(err, session.ErrUnavailable) {
			t.Error(err)
		}
		if good := h.good(t, others...); good != 3 {
			t.Errorf("moment %d: %d sessions, want 3: %v", moment, good, err)
		}
	}
	for moment := 1; ; moment++ {
		if !pushOut(t, moment) {
			return
		}
	}
}

// pushOut pushes a login out that is as far as the list. It goes on at some moment of the one that does so. Reports
// whether there is such a moment.
func pushOut(t *testing.T, moment int) bool {
	t.Helper()
	slow, f := &faults{}, &faults{}
	h := newFaultyHouse(t, store.NewMemory(), f, three)
	o := h.options
	o.Store = faultyStore{h.store, slow}
	listed, goOn, done := make(chan struct{}), make(chan struct{}), make(chan *session.Pair)
	inTheMiddle := func(n int) {
		if n == 9 { // before the record is stored
			close(listed)
			<-goOn
		}
	}
	other := open(t, o)
	other.ShardKey("alice", "shop") // the salt is known
	slow.reset()
	slow.each = inTheMiddle
	go func() {
		p, err := other.Begin(t.Context(), terms(), alice)
		if (err == nil) != (p != nil) {
			t.Error(err)
		}
		done <- p
	}()
	<-listed
	all := []*session.Pair{begin(t, h, terms()), begin(t, h, terms())}
	f.reset()
	resumed := false
	resume := func() {
		close(goOn)
		if p := <-done; p != nil {
			all = append(all, p)
		}
	}
	f.each = func(n int) {
		if n == moment {
			f.each, resumed = nil, true
			resume()
		}
	}
	all = append(all, begin(t, h, terms()))
	if f.each = nil; !resumed {
		resume()
	}
	h.clock.advance(time.Second)
	if good := h.good(t, all...); good != 3 {
		t.Errorf("moment %d: %d sessions, want 3", moment, good)
	}
	return resumed
}

// A service that logs in every second, and never refreshes, works all the time.
func TestAServiceThatLogsInAllTheTime(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	var pairs []*session.Pair
	for range 600 {
		pairs = append(pairs, begin(t, h, terms()))
		h.clock.advance(time.Second)
	}
	for i, p := range pairs {
		if want := h.clock.now().Before(p.Expires); h.lives(p) != want {
			t.Errorf("the access token of %d seconds ago lives: %v", 600-i, !want)
		}
	}
	if good := h.good(t, pairs...); good != session.DefaultPerUser {
		t.Errorf("%d sessions, want %d", good, session.DefaultPerUser)
	}
}

// Sessions that have ended do not count, in whichever way they did. One that is refreshed does, however old it is.
func TestSessionsThatHaveEndedDoNotCount(t *testing.T) {
	h := newHouse(t, store.NewMemory(), three)
	old := begin(t, h, terms())
	idle := begin(t, h, terms())
	h.clock.advance(23 * time.Hour)
	old = refresh(t, h, terms(), old.Refresh)
	h.clock.advance(2 * time.Hour)
	ended := begin(t, h, terms())
	reused := begin(t, h, terms()) // one too many, unless the idle one does not count
	if err := h.End(t.Context(), terms(), ended.Session, ended.IssuedAt, ended.Expires); err != nil {
		t.Fatal(err)
	}
	refresh(t, h, terms(), reused.Refresh)
	refused(t, h, terms(), reused.Refresh, session.ErrReused)
	begin(t, h, terms())
	begin(t, h, terms())
	refused(t, h, terms(), idle.Refresh, session.ErrInvalid)
	old = refresh(t, h, terms(), old.Refresh)
	begin(t, h, terms()) // now it is the oldest
	refused(t, h, terms(), old.Refresh, session.ErrInvalid)
}

// The list lasts as long as the sessions that are in it. It is written seldom.
func TestTheListLastsAsLongAsItsSessions(t *testing.T) {
	f := &faults{}
	h := newFaultyHouse(t, store.NewMemory(), f, three)
	p := begin(t, h, terms())
	f.reset()
	f.only = "Swap"
	const hours = 24 * 10
	for range hours {
		h.clock.advance(time.Hour)
		p = refresh(t, h, terms(), p.Refresh)
	}
	if extra := f.n - hours; extra < 5 || extra > 10 {
		t.Errorf("the list was written %d times in ten days", extra)
	}
	for range 3 {
		begin(t, h, terms())
	}
	refused(t, h, terms(), p.Refresh, session.ErrInvalid)
}

func TestAListThatIsDamaged(t *testing.T) {
	h := newHouse(t, store.NewMemory(), three)
	p := begin(t, h, terms())
	keys := listKeys(t, h)
	for _, text := range []string{"", "{}", "[]", `{"v":2,"u":1,"s":[]}`, `{"v":1,"u":-1}`} {
		if err := h.store.Put(t.Context(), keys, []byte(text), time.Time{}); err != nil {
			t.Fatal(err)
		}
		_, err := h.Begin(t.Context(), terms(), alice)
		if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %v", text, err)
		}
	}
	refresh(t, h, terms(), p.Refresh) // it needs no list
}

// listKeys is the key of alice's list.
func listKeys(t *testing.T, h *house) string {
	t.Helper()
	key := session.ListKey(issuer, "shop", "alice")
	if _, err := h.store.Get(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return key
}

// A record that nobody can read counts as a session until it is the oldest.
func TestAListWithADamagedRecord(t *testing.T) {
	h := newHouse(t, store.NewMemory(), three)
	damaged := begin(t, h, terms())
	if err := h.store.Put(t.Context(), "session/"+damaged.Session, []byte("x"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(25 * time.Hour)
	for range 4 {
		refresh(t, h, terms(), begin(t, h, terms()).Refresh)
	}
	refused(t, h, terms(), damaged.Refresh, session.ErrInvalid)
}
