package revoke

import (
	"crypto/sha256"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// anchor is a record that was read. While the log has it, it has all that came before. The zero anchor is that of a log
// which has nothing to lose.
type anchor struct {
	at      store.Position
	sum     [sha256.Size]byte
	expires time.Time
}

// holds reports whether a log that has this record at the position of the anchor still has the anchor. Nil is none.
func (a *anchor) holds(record []byte) bool {
	return a.at == store.Position{} || record != nil && sha256.Sum256(record) == a.sum
}

// maxAnchors is how many anchors are kept.
const maxAnchors = 64

// anchors are the records that may be the newest one which has not expired, now or later: each is newer than those
// before it, and expires earlier. One that has expired may be gone from the log although nothing was lost.
type anchors struct {
	all       []anchor
	forgotten time.Time // until when there is one that was forgotten because there were too many
}

// drop adds a record that is newer than all others.
func (a *anchors) drop(r *store.Record, now time.Time) {
	if !now.Before(r.Expires) {
		return
	}
	for len(a.all) > 0 && !a.all[len(a.all)-1].expires.After(r.Expires) {
		a.all = a.all[:len(a.all)-1]
	}
	if len(a.all) == maxAnchors {
		if oldest := a.all[0].expires; oldest.After(a.forgotten) {
			a.forgotten = oldest
		}
		a.all = append(a.all[:0], a.all[1:]...)
	}
	a.all = append(a.all, anchor{r.Position, sha256.Sum256(r.Data), r.Expires})
}

// clockMargin is for clocks that differ: what has expired by that of another process may be gone. An entry lasts longer
// than it has to by more than that.
const clockMargin = 10 * time.Second

// newest is the newest record that has not expired, and will not do so at once. It is not known if it was forgotten.
func (a *anchors) newest(now time.Time) (newest anchor, known bool) {
	now = now.Add(clockMargin)
	for len(a.all) > 0 && !now.Before(a.all[len(a.all)-1].expires) {
		a.all = a.all[:len(a.all)-1]
	}
	if len(a.all) == 0 {
		return anchor{}, !now.Before(a.forgotten)
	}
	return a.all[len(a.all)-1], true
}
