package pool

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// Source is a key source in a pool.
type Source struct {
	keyset.Source

	// Kind is the configuration's word for where the keys come from.
	Kind string

	totals *totals

	mu   sync.Mutex
	uses map[string]*use // by issuer
}

// use is the use of a source for one issuer.
type use struct {
	leases int
	seen   keyset.Stats // what is in the totals already
}

// Observable is a key source that reports its events.
type Observable interface{ SetObserver(func(keyset.Event)) }

// Fetcher is a key source that fetches, and counts how often.
type Fetcher interface{ Stats() keyset.Stats }

// Source takes a key source from the pool, or opens it. id is a fingerprint of its settings, kind the configuration's
// word for where the keys come from. Until the lease is closed, what the source counts is counted for the issuer. A
// source that only reads metadata, and has no keys, is for no issuer: "".
func (l *Lease) Source(issuer, kind string, id [32]byte, open func() (keyset.Source, error)) (keyset.Source, error) {
	source, err := Take(l, "keys", string(id[:]), func() (*Source, error) {
		opened, err := open()
		if err != nil {
			return nil, err
		}
		source := &Source{Source: opened, Kind: kind, totals: &l.pool.totals, uses: make(map[string]*use)}
		if from, ok := opened.(Observable); ok {
			observe := l.pool.observe
			from.SetObserver(func(e keyset.Event) { observe(source, e) })
		}
		return source, nil
	})
	if err != nil {
		return nil, err
	}
	if issuer != "" {
		l.sources = append(l.sources, UsedSource{source, issuer})
		source.use(issuer)
		l.onClose(func() error { source.used(issuer); return nil })
	}
	return source.Source, nil
}

// Destruct implements caddy.Destructor.
func (s *Source) Destruct() error { return s.Close() }

// Stats are the counters of the source. fetches is false for a source that does not fetch, and so has none.
func (s *Source) Stats() (stats keyset.Stats, fetches bool) {
	from, fetches := s.Source.(Fetcher)
	if fetches {
		stats = from.Stats()
	}
	return stats, fetches
}

// Len is how many keys there are now.
func (s *Source) Len() int {
	if stats, fetches := s.Stats(); fetches {
		return stats.Keys // those of all tenants, where each has its own
	}
	return s.Current().Len()
}

// Issuers are the issuers that open leases have taken the source for, sorted.
func (s *Source) Issuers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	issuers := make([]string, 0, len(s.uses))
	for issuer := range s.uses {
		issuers = append(issuers, issuer)
	}
	slices.Sort(issuers)
	return issuers
}

// Err says why the keys could not be read the last time, or cannot be used any more. It is nil if all is well.
func (s *Source) Err() error {
	if stats, fetches := s.Stats(); fetches {
		return stats.Err
	}
	if from, reads := s.Source.(interface{ Err() error }); reads {
		return from.Err()
	}
	return nil
}

// use begins to count for an issuer. What the source has counted before was for others.
func (s *Source) use(issuer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uses[issuer] == nil {
		stats, _ := s.Stats()
		s.uses[issuer] = &use{seen: stats}
	}
	s.uses[issuer].leases++
}

// used ends use.
func (s *Source) used(issuer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.countFor(issuer)
	if s.uses[issuer].leases--; s.uses[issuer].leases == 0 {
		delete(s.uses, issuer)
	}
}

// Count adds to the pool's totals what the source has counted since the last Count.
func (s *Source) Count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for issuer := range s.uses {
		s.countFor(issuer)
	}
}

// countFor is Count for one issuer. The caller holds the lock.
func (s *Source) countFor(issuer string) {
	stats, _ := s.Stats()
	s.uses[issuer].seen = s.totals.addFetches(issuer, s.uses[issuer].seen, stats)
}

// Refetch fetches the keys now, for an operator. It returns ErrNotFetched for a source that does not fetch.
func (s *Source) Refetch(ctx context.Context) error {
	if from, can := s.Source.(interface{ Refetch(context.Context) error }); can {
		return from.Refetch(ctx)
	}
	return ErrNotFetched
}

// ErrNotFetched means that the keys of a source are in a file, which is followed.
var ErrNotFetched = errors.New("the keys are in a file, which is read again when it changes")
