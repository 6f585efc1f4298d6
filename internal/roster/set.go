// Package roster reads files of consumers, which may have a hundred thousand of them, and follows their changes. A file
// is data that other programs write: nothing in it is resolved, and it is either used as a whole or not at all.
//
// Requests see one atomic pointer to an immutable Set, and take no lock. What a change of the file leaves as it was
// stays the very same object, so that cached tokens of other consumers stay valid.
package roster

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/consumer"
)

// Set is the consumers of a file at one time. It is immutable. The zero value has none.
type Set struct {
	consumers   []*consumer.Consumer // in the order of the file
	lines       []uint32             // where each begins
	usernames   map[string]uint32
	credentials map[string]place
	customIDs   map[string]uint32 // the index of the consumer, or several
	sameID      error             // about the first custom id that two consumers have
	doubtful    []Doubt
	doubts      int
}

// place is where a credential is: the index of its consumer, and its own index there.
type place struct{ consumer, credential uint32 }

// Doubt is a secret that may not be random.
type Doubt struct {
	Username, Key string
	Why           string // the predicate of a sentence
}

// maxDoubts is how many doubtful secrets are named.
const maxDoubts = 10

// Member implements consumer.Roster.
func (s *Set) Member(key string) (*consumer.Consumer, *consumer.Credential) {
	at, ok := s.credentials[key]
	if !ok {
		return nil, nil
	}
	consumer := s.consumers[at.consumer]
	return consumer, &consumer.Credentials[at.credential]
}

// Consumer implements consumer.Roster.
func (s *Set) Consumer(username string) *consumer.Consumer {
	if at, ok := s.usernames[username]; ok {
		return s.consumers[at]
	}
	return nil
}

// WithCustomID implements consumer.Roster.
func (s *Set) WithCustomID(id string) *consumer.Consumer {
	if at, ok := s.customIDs[id]; ok && at != several {
		return s.consumers[at]
	}
	return nil
}

// several stands for the consumers who share a custom id.
const several = math.MaxUint32

// UniqueCustomIDs implements consumer.Roster.
func (s *Set) UniqueCustomIDs() error { return s.sameID }

// Keys implements consumer.Roster.
func (s *Set) Keys() iter.Seq[string] { return maps.Keys(s.credentials) }

// Len implements consumer.Roster.
func (s *Set) Len() int { return len(s.credentials) }

// Consumers are all consumers, in the order of the file. They must not be changed.
func (s *Set) Consumers() []*consumer.Consumer { return s.consumers }

// Doubts are the first secrets that may not be random, and how many there are in all.
func (s *Set) Doubts() ([]Doubt, int) { return s.doubtful, s.doubts }

// Certificates are the credentials whose keys come from certificates, those that expire first at the beginning.
func (s *Set) Certificates() []Certificate {
	var all []Certificate
	for _, consumer := range s.consumers {
		for i := range consumer.Credentials {
			if c := &consumer.Credentials[i]; !c.NotAfter.IsZero() {
				all = append(all, Certificate{consumer.Username, c.Key, c.NotAfter})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return all
}

// Certificate is the certificate of a credential.
type Certificate struct {
	Username, Key string
	NotAfter      time.Time
}

// At implements consumer.Roster.
func (s *Set) At(username string, err error) error {
	i, ok := s.usernames[username]
	if !ok {
		return err
	}
	return &Error{Line: int(s.lines[i]), Consumer: int(i) + 1, Username: username, Err: err}
}

// collect makes the set. Names must be unique in the whole file.
func collect(read []*consumer.Consumer, pieces []piece, before *Set) (*Set, error) {
	count := 0
	for _, consumer := range read {
		count += len(consumer.Credentials)
	}
	s := &Set{
		consumers: read, lines: make([]uint32, len(read)),
		usernames: make(map[string]uint32, len(read)), customIDs: make(map[string]uint32),
		credentials: make(map[string]place, count),
	}
	for i, consumer := range read {
		s.lines[i] = uint32(pieces[i].line) //nolint:gosec // a file has at most 256 MiB
		fail := func(format string, args ...any) error {
			return &Error{pieces[i].line, i + 1, consumer.Username, fmt.Errorf(format, args...)}
		}
		if other, twice := s.usernames[consumer.Username]; twice {
			return nil, fail("the consumer on line %d has the same username: put all its credentials into one", s.lines[other])
		}
		if before != nil {
			if old := before.Consumer(consumer.Username); old != nil && same(old, consumer) {
				consumer = old
				s.consumers[i] = old
			}
		}
		s.usernames[consumer.Username] = uint32(i) //nolint:gosec // see maxConsumers
		s.addCustomID(uint32(i))                   //nolint:gosec // the same
		for j := range consumer.Credentials {
			credential := &consumer.Credentials[j]
			if other, twice := s.credentials[credential.Key]; twice {
				return nil, fail("credential %q belongs to the consumer on line %d already: a credential key selects exactly "+
					"one credential", credential.Key, s.lines[other.consumer])
			}
			s.credentials[credential.Key] = place{uint32(i), uint32(j)} //nolint:gosec // see maxConsumers and maxPiece
			s.doubt(consumer, credential)
		}
	}
	return s, nil
}

// addCustomID notes the custom id of a consumer. Only some gates look for consumers by it, so two with the same one are
// an error for these gates alone.
func (s *Set) addCustomID(i uint32) {
	id := s.consumers[i].CustomID
	if id == "" {
		return
	}
	other, twice := s.customIDs[id]
	if !twice {
		s.customIDs[id] = i
		return
	}
	s.customIDs[id] = several
	if s.sameID == nil {
		s.sameID = s.At(s.consumers[i].Username, fmt.Errorf("the consumer on line %d has the same custom_id, so "+
			"consumer_claim cannot tell the two apart: change one of them", s.lines[other]))
	}
}

func (s *Set) doubt(consumer *consumer.Consumer, credential *consumer.Credential) {
	why := credential.Verifier.Doubt()
	if why == "" {
		return
	}
	if s.doubts++; len(s.doubtful) < maxDoubts {
		s.doubtful = append(s.doubtful, Doubt{consumer.Username, credential.Key, why})
	}
}

// same reports whether nothing about a consumer has changed. It compares whole structs, so that no field can be
// forgotten: a change in it would have no effect.
func same(a, b *consumer.Consumer) bool {
	if len(a.Credentials) != len(b.Credentials) {
		return false
	}
	for i := range a.Credentials {
		one, other := a.Credentials[i], b.Credentials[i]
		if one.Verifier.Thumbprint() != other.Verifier.Thumbprint() {
			return false
		}
		one.Verifier, other.Verifier = nil, nil // for the one algorithm of the credential
		if !reflect.DeepEqual(one, other) {
			return false
		}
	}
	one, other := *a, *b
	one.Credentials, other.Credentials = nil, nil
	return reflect.DeepEqual(one, other)
}

// changes counts what another set has more, less and differently.
func (s *Set) changes(to *Set) (added, removed, changed int) {
	for _, consumer := range to.consumers {
		switch before := s.Consumer(consumer.Username); before {
		case nil:
			added++
		case consumer:
		default:
			changed++
		}
	}
	return added, len(s.consumers) - (len(to.consumers) - added), changed
}
