package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// version is that of records and lists in the store. versionBound is that of sessions which are bound to a key:
// versions of this program that do not know of keys would let them go on without, so they must not read them.
const (
	version      = 1
	versionBound = 2
)

// record is a session in the store, under "session/" and its sid. Times are milliseconds since 1970.
type record struct {
	Version  int             `json:"v"`
	Issuer   string          `json:"r"`
	Subject  string          `json:"s"`
	App      string          `json:"a"`
	Client   string          `json:"c,omitempty"`
	Group    string          `json:"g,omitempty"`
	Mark     string          `json:"m,omitempty"` // of whoever logged in
	Claims   json.RawMessage `json:"x,omitempty"`
	Key      string          `json:"k,omitempty"` // the thumbprint of the key that the session is bound to
	Late     bool            `json:"n,omitempty"` // a refresh has bound it, so it had tokens that are bound to nothing
	Created  int64           `json:"b"`           // at the login
	IssuedAt int64           `json:"i"`           // of the present pair
	Expires  int64           `json:"e"`           // of the present access token, in seconds
	From     int64           `json:"f"`           // one more than the iat of the pair before; the login for the first pair
	End      int64           `json:"d"`           // of the present refresh token
	Listed   int64           `json:"l"`           // until when the list of the subject's sessions lasts at least
	Paced    int64           `json:"q,omitempty"` // when a session would be that refreshes once in refreshEvery: see pace
	Present  []byte          `json:"h"`           // SHA-256 of the present secret
	Before   *before         `json:"p,omitempty"`
}

// before is what is known of the refresh token before, while that may come again.
type before struct {
	Hash   []byte `json:"h"` // SHA-256 of its secret
	Until  int64  `json:"u"` // end of the grace
	Sealed []byte `json:"z"` // the present pair
}

// latest is the last time that a record may have, in milliseconds: the end of the year 9999.
const latest = 253402300799999

// errRecord means that what is under the key of a session is not its record.
var errRecord = errors.New("the record is damaged, or of another version of this program: run the same version on " +
	"all nodes that share the store, or delete the session, whose user has to log in again")

func keyOf(sid string) string { return "session/" + sid }

// encode never makes two equal texts of two records: the secret of each pair is new.
func encode(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // claims may have many of the characters that it makes six times as long
	err := e.Encode(v)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

func decodeRecord(text []byte) (*record, error) {
	r := new(record)
	if json.Unmarshal(text, r) != nil || !r.sane() {
		return nil, errRecord
	}
	return r, nil
}

func (r *record) sane() bool {
	for _, ms := range []int64{r.Created, r.IssuedAt, r.Expires, r.From, r.End, r.Listed} {
		if ms <= 0 || ms > latest {
			return false
		}
	}
	b := r.Before
	return r.saneKey() && 0 <= r.Paced && r.Paced <= latest && r.Issuer != "" && r.Subject != "" && r.App != "" &&
		len(r.Present) == sha256.Size && r.Created <= r.From && r.From <= r.IssuedAt &&
		(b == nil || len(b.Hash) == sha256.Size)
}

// saneKey reports whether the version is that of a session with this key, or without one.
func (r *record) saneKey() bool {
	if r.Key == "" {
		return r.Version == version && !r.Late
	}
	return r.Version == versionBound
}

// bind binds the session to a key; none changes nothing.
func (r *record) bind(key string) {
	if key != "" {
		r.Key, r.Version = key, versionBound
	}
}

// load reads the record of a session, and returns its bytes, too. The error is ErrInvalid if there is none, or one of
// another issuer: several issuers can share a store, and know different users under one name.
func (s *Sessions) load(ctx context.Context, sid string) ([]byte, *record, error) {
	text, err := s.o.Store.Get(ctx, keyOf(sid))
	if errors.Is(err, store.ErrNotFound) || err == nil && string(text) == barred {
		return nil, nil, fmt.Errorf("%w: session %s is unknown, or has ended", ErrInvalid, sid)
	}
	if err != nil {
		return nil, nil, unavailable("reading session "+sid, err)
	}
	r, err := decodeRecord(text)
	if err != nil {
		return nil, nil, unavailable("session "+sid, err)
	}
	if r.Issuer != s.o.Issuer {
		return nil, nil, fmt.Errorf("%w: session %s is one of another issuer", ErrInvalid, sid)
	}
	return text, r, nil
}

// standing is what a refresh token is in its session.
type standing uint8

const (
	present   standing = iota + 1 // the newest, and never used
	used                          // the one before, and it may come again
	usedTwice                     // any other
)

// standingOf finds out what the secret with this hash is. Which of the hashes it is like must not be seen from how long
// that takes.
func (r *record) standingOf(hash [sha256.Size]byte, t *Terms, now int64) standing {
	switch {
	case subtle.ConstantTimeCompare(hash[:], r.Present) == 1:
		return present
	case r.Before != nil && subtle.ConstantTimeCompare(hash[:], r.Before.Hash) == 1 &&
		t.Grace > 0 && now < r.Before.Until:
		return used
	}
	return usedTwice
}

// margin is how much longer something is kept than it has to be. A store may have a clock of its own.
const margin = time.Minute

// kept is until when the store keeps the record.
func (r *record) kept() time.Time { return timeOf(r.End).Add(margin) }

// accessKept is until when a cut-off of access tokens with this exp is needed.
func (s *Sessions) accessKept(expires int64) time.Time {
	return time.Unix(expires, 0).UTC().Add(s.o.Leeway + margin)
}

// allKept is until when a cut-off of a session is needed: for its access token, and for its refresh token in case that
// the record is still there.
func (s *Sessions) allKept(r *record) time.Time {
	return later(s.accessKept(r.Expires), r.kept())
}
