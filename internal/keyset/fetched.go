package keyset

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/refresh"
)

// Timing says when a source fetches. Each motive in budget.go may cause one fetch in a cooldown.
type Timing = refresh.Timing

// Stats counts what a source has done so far.
type Stats struct {
	Fetches     uint64 // attempts, whether or not they have ended
	Failures    uint64 // attempts that brought no usable keys
	NotModified uint64 // attempts that found the keys unchanged by ETag
	Denied      uint64 // requests for unknown keys that caused no fetch and waited for none
	Keys        int    // keys in use
	Missing     bool   // there are none, though some were to be fetched
	Skipped     []Skipped
	Fetched     time.Time // last success
	Failing     bool      // the last attempt failed
	Err         error     // why it failed, or what is wrong with the certificates of the keys
	Next        time.Time // when the next attempt is due; zero before the first, and while one is under way
	Times       refresh.Times
}

// cureOfFetch is for a source that has no keys and cannot fetch any.
const cureOfFetch = "compare the issuer and its addresses with those of the authorization server, then reload; " +
	"\"caddy bearer-auth check\" tries them one by one; until a fetch succeeds, its tokens get 503"

// fetched is a source whose keys come over the network. The document decides when to fetch them. The code here finds
// keys, and decides which requests for missing keys may cause a fetch.
type fetched struct {
	name   string // what the source is called in logs and events
	timing Timing
	doc    *refresh.Document[Set]
	notify *notifier
	events *refresh.Queue[Event] // those of the document, and those of certificates
	told   told
	ca     *certchain.Authorities // nil unless only keys with certificates count

	// Under the lock of doc.
	budgets *budgets // for fetches that requests cause while there are keys
	asked   asked
	former  former
	denied  uint64
}

func newFetched(name string, timing Timing, l refresh.Loader[Set], logger *slog.Logger) *fetched {
	s := &fetched{
		name: name, timing: timing, notify: newNotifier(logger, name),
		budgets: newBudgets(timing.Cooldown), former: newFormer(),
		asked: asked{begun: make(map[uint64]uint64), most: DefaultMaxAsked},
	}
	s.notify.cure = cureOfFetch
	s.events = refresh.NewQueue(s.notify.tell)
	s.doc = refresh.New(timing, l, refresh.Hooks[Set]{Accept: s.accept, Report: s.report})
	return s
}

// follow reads the authorities at which the certificates of keys must end, and follows their files.
func (s *fetched) follow(taken Selection) (ca *certchain.Authorities, err error) {
	if len(taken.CA) == 0 {
		return nil, nil
	}
	if s.ca, err = certchain.Follow(taken.CA, s.notify.logger, s.lookAtCertificates); err != nil {
		return nil, errors.Join(err, s.doc.Close())
	}
	return s.ca, nil
}

// lookAtCertificates reports keys that have come or gone without a fetch.
func (s *fetched) lookAtCertificates() {
	if event, is := s.told.look(s.doc.Current()); is {
		event.Source = s.name
		s.tell(event)
	}
}

// tell hands an event over: in order, one at a time.
func (s *fetched) tell(event Event) {
	s.events.Add(event)
	s.events.Deliver()
}

// Start fetches the keys in the background, unless that has happened before. Without it, the first request that needs
// them does. That is better for an owner of thousands of sources.
func (s *fetched) Start() { s.doc.Start() }

// Preload is Start, and waits for the end of the first fetch or of ctx. How the fetch went is in the log and in Stats.
func (s *fetched) Preload(ctx context.Context) { s.doc.Preload(ctx) }

// Refetch fetches the keys now: see refresh.Document.Reload.
func (s *fetched) Refetch(ctx context.Context) error { return s.doc.Reload(ctx) }

// SetObserver makes observe get every event from now on: in order, one at a time, and outside of all requests; nil ends
// that. Only later events wait for it. It may call Close.
func (s *fetched) SetObserver(observe func(Event)) { s.notify.observe(observe) }

// Stats reports what has happened so far.
func (s *fetched) Stats() Stats {
	loads := s.doc.Stats()
	stats := Stats{
		Fetches: loads.Loads, Failures: loads.Failures, NotModified: loads.NotModified,
		Fetched: loads.Fetched, Failing: loads.Failing, Err: loads.Err, Next: loads.Next, Times: loads.Times,
	}
	if set := s.Current(); set != nil {
		stats.Keys, stats.Skipped = set.Len(), set.Skipped
	}
	stats.Missing = stats.Keys == 0 && stats.Fetches > 0
	if stats.Err == nil {
		stats.Err = cmp.Or(s.ca.Err(), s.doc.Current().certificateErr())
	}
	doc := s.doc.Lock()
	defer doc.Unlock()
	stats.Denied = s.denied
	return stats
}

// Current implements Source.
func (s *fetched) Current() *Set { return s.doc.Current().inForce() }

// Expires is when the first key ends that is in force, by its certificates; zero unless they count.
func (s *fetched) Expires() time.Time { return s.doc.Current().firstEnd() }

// Close implements Source.
func (s *fetched) Close() error {
	s.ca.Close()
	return s.doc.Close()
}

// accept decides what a fetch has changed, under the lock of the document. A set with the same keys keeps its
// generation.
//
// A fetch that has brought new keys refills the budgets: no stranger can cause that, and the next rotation should not
// have to wait. Keys that come back are not new. Two servers behind one address may have different keys, and then every
// fetch brings back those of the other.
func (s *fetched) accept(before, set *Set) *Set {
	if before.sameKeys(set) {
		same := *before
		same.Skipped, same.SkippedKeys, same.certs = set.Skipped, set.SkippedKeys, set.certs
		return &same
	}
	if before.isReordered(set) {
		return set
	}
	if s.former.replace(before, set) {
		s.budgets.refill()
	}
	return set
}

// report makes events about keys from those of the document.
func (s *fetched) report(e refresh.Event[Set]) {
	now := e.Now.inForce()
	event := Event{Source: s.name, Keys: now.Len(), Err: e.Err, Since: e.Since}
	switch e.Kind {
	case refresh.Ready:
		event.Kind, event.Skipped = Ready, now.skipped()
		event.Added, _ = s.told.move(e.Now)
		s.tell(event)
		s.reportCut(nil, e.Now)
	case refresh.Changed:
		event.Kind, event.Skipped = KeysChanged, now.skipped()
		event.Added, event.Removed = s.told.move(e.Now)
		if len(event.Added)+len(event.Removed) > 0 { // otherwise only their order has changed
			s.tell(event)
		}
		s.reportCut(e.Before, e.Now)
	case refresh.Recovered:
		event.Kind, event.Skipped = Recovered, now.skipped()
		s.tell(event)
	case refresh.Failing:
		event.Kind = Failing
		s.tell(event)
	case refresh.Expired:
		event.Kind = Expired
		s.tell(event)
	case refresh.Recalled:
		event.Kind, event.Fetched, event.Skipped = Recalled, e.Loaded, now.skipped()
		event.Added, _ = s.told.move(e.Now)
		s.tell(event)
		s.reportCut(nil, e.Now)
	case refresh.Unfit:
		event.Kind = Unfit
		s.tell(event)
	}
}

// reportCut sends an event when keys of the source begin to be left out of the set.
func (s *fetched) reportCut(before, set *Set) {
	if set.cutSince(before) {
		s.tell(Event{Kind: KeysLeftOut, Source: s.name, Keys: set.inForce().Len(), Skipped: set.Skipped})
	}
}
