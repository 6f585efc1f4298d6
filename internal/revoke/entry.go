package revoke

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Entry is one entry of the log.
type Entry struct {
	Target
	// NotAfter is the cut-off: tokens that were issued until then are out. It is zero for a single token.
	NotAfter time.Time
	// Leeway is how far the clock of whoever issues the tokens may be ahead of ours. It is added to NotAfter.
	Leeway time.Duration
	// Expires is when all tokens of the target have expired, so that the entry is not needed any more.
	Expires time.Time
	// Lifted takes back what earlier entries of the same target revoke.
	Lifted bool
	// At is when the entry was made, by whom, and why. Author and Reason are for people.
	At     time.Time
	Author string
	Reason string
}

// maxNote bounds Author and Reason, in bytes.
const maxNote = 256

// ErrEntry means that an entry cannot be meant.
var ErrEntry = errors.New("unusable revocation")

// Check refuses an entry that cannot be meant, with ErrEntry.
func (e *Entry) Check() error {
	if err := e.mistake(); err != nil {
		return fmt.Errorf("%w: %w", ErrEntry, err)
	}
	return nil
}

func (e *Entry) mistake() error {
	switch {
	case e.Kind.IsToken() && !e.NotAfter.IsZero():
		return errors.New("a single token has no not_after: it is revoked whenever it was issued")
	case !e.Kind.IsToken() && !e.Lifted && e.NotAfter.IsZero():
		return errors.New("not_after is missing")
	case !e.NotAfter.IsZero() && !isSane(e.NotAfter):
		return errors.New("not_after is not between the years 1970 and 9999")
	case e.Leeway < 0 || e.Leeway > maxLeeway:
		return fmt.Errorf("the leeway is not between 0 and %v", maxLeeway)
	case e.Expires.IsZero():
		return errors.New("the entry has no end")
	case !isSane(e.Expires) || !e.At.IsZero() && !isSane(e.At):
		return errors.New("its times are not between the years 1970 and 9999")
	}
	if err := checkNote(e.Author); err != nil {
		return fmt.Errorf("author: %w", err)
	}
	if err := checkNote(e.Reason); err != nil {
		return fmt.Errorf("reason: %w", err)
	}
	return e.check()
}

// maxLeeway bounds Leeway. It is more than any gate tolerates.
const maxLeeway = 24 * time.Hour

// isSane reports whether a time can be meant. Times far away would overflow, and then a cut-off would refuse nothing.
func isSane(t time.Time) bool { return t.Unix() > 0 && t.Year() <= 9999 }

// checkNote refuses what would break a line of a log, or a terminal.
func checkNote(note string) error {
	if len(note) > maxNote {
		return fmt.Errorf("it is longer than %d bytes", maxNote)
	}
	if !utf8.ValidString(note) {
		return errors.New("it is not UTF-8")
	}
	for _, r := range note {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("it has the character %U, which cannot be printed", r)
		}
	}
	return nil
}

// cutoff is the entry's, as the table has it.
func (e *Entry) cutoff() int64 {
	if e.Kind.IsToken() {
		return always
	}
	return e.NotAfter.UnixMilli() + roundUp(e.Leeway).Milliseconds()
}

// roundUp rounds up to milliseconds, so that no token is judged more mildly from the store than from memory.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// end is when the entry expires, as the table has it: in seconds, rounded up, so that nothing is forgotten too early.
func (e *Entry) end() int64 {
	end := e.Expires.Unix()
	if e.Expires.Nanosecond() > 0 {
		end++
	}
	return end
}

// record is an Entry in a store. Members with short names are in every record of a million.
type record struct {
	Version  int    `json:"v"`
	Issuer   string `json:"iss,omitempty"`
	Consumer string `json:"con,omitempty"`
	Kind     Kind   `json:"k"`
	Claim    string `json:"c,omitempty"`
	Value    string `json:"x,omitempty"`
	NotAfter int64  `json:"t,omitempty"` // milliseconds since 1970
	Leeway   int64  `json:"w,omitempty"` // milliseconds
	Expires  int64  `json:"e"`           // seconds since 1970
	Lifted   bool   `json:"l,omitempty"`
	At       int64  `json:"a"` // milliseconds since 1970
	Author   string `json:"by,omitempty"`
	Reason   string `json:"why,omitempty"`
}

const version = 1

// ErrRecord means that a record of the store is not an entry that this version understands.
var ErrRecord = errors.New("a record of the store is not an entry of this version")

func (e *Entry) encode() ([]byte, error) {
	r := record{
		Version: version, Issuer: e.Issuer, Consumer: e.Consumer, Kind: e.Kind, Claim: e.Claim, Value: e.Value,
		Leeway: roundUp(e.Leeway).Milliseconds(), Expires: e.end(), Lifted: e.Lifted, NotAfter: millis(e.NotAfter),
		At: millis(e.At), Author: e.Author, Reason: e.Reason,
	}
	return json.Marshal(&r)
}

// millis is a time in a record: milliseconds since 1970, and 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// timeOf is the reverse of millis.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// change is what a record says: it has either an entry, or entries that a process held.
type change struct {
	entry *Entry
	held  *held
}

// decode reads a record. One that cannot be read is never left out in silence: it may revoke something.
func decode(data []byte) (c change, err error) {
	if bytes.Contains(data, []byte(`"held":`)) { // in an entry, quotes are escaped
		c.held, err = decodeHeld(data)
	} else {
		c.entry, err = decodeEntry(data)
	}
	return c, err
}

func decodeEntry(data []byte) (*Entry, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if r.Version != version {
		return nil, fmt.Errorf("%w: version %d, want %d", ErrRecord, r.Version, version)
	}
	e := &Entry{
		Target:  Target{Issuer: r.Issuer, Consumer: r.Consumer, Kind: r.Kind, Claim: r.Claim, Value: r.Value},
		Expires: time.Unix(r.Expires, 0).UTC(), Lifted: r.Lifted, NotAfter: timeOf(r.NotAfter), At: timeOf(r.At),
		Author: r.Author, Reason: r.Reason,
	}
	if r.Leeway < 0 || r.Leeway > maxLeeway.Milliseconds() { // before it overflows
		return nil, fmt.Errorf("%w: a leeway of %d ms", ErrRecord, r.Leeway)
	}
	e.Leeway = time.Duration(r.Leeway) * time.Millisecond
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return e, nil
}
