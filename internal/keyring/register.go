package keyring

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
)

// Register has a record outside of the vault, as a store of sessions does. Rings of one issuer meet there that have
// different vaults, and so different keys. It is safe for concurrent use. Its methods give up when their context ends.
type Register interface {
	// Get returns the record of a key. Any error may mean that there is none: Swap knows better.
	Get(ctx context.Context, key string) ([]byte, error)
	// Swap stores a fresh record if the present one is old, and reports whether it was. A nil old means that there must
	// be none. The record stays for good if expires is zero.
	Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error)
}

const (
	// gone is how long after its last entry a ring is no longer in use. The clocks of nodes may differ by a minute.
	gone = 5 * time.Minute
	// maxRings bounds the rings in the register: a node whose vault forgets makes one at each start.
	maxRings = 16
	// maxSwaps bounds the attempts to write while others write, too.
	maxSwaps = 8
)

// errCrowd means that the register has changed in between, again and again, or that it cannot be read.
var errCrowd = errors.New("the record has changed too often")

// member is a ring in the register.
type member struct {
	Ring string `json:"ring"`
	Seen int64  `json:"seen"` // when a node has last used it, in milliseconds
}

// isNear reports whether the entry is younger than a time. One far ahead is not: a clock was wrong.
func (m member) isNear(now time.Time, d time.Duration) bool {
	return now.Sub(time.UnixMilli(m.Seen)).Abs() < d
}

// roll is the record.
type roll struct {
	Rings []member `json:"rings"`
}

// readRoll reads the record.
func readRoll(text []byte) (read roll, err error) {
	if json.Unmarshal(text, &read) != nil {
		return roll{}, errors.New("the record cannot be read: was it written by a newer program?")
	}
	for _, m := range read.Rings {
		if !isIdentity(m.Ring) {
			return roll{}, fmt.Errorf("the record has %s, which names no ring", causes.Quote(m.Ring))
		}
	}
	return read, nil
}

// has reports whether a ring is in the record, and whether its entry is younger than a time.
func (l roll) has(ring string, now time.Time, d time.Duration) (has, near bool) {
	i := slices.IndexFunc(l.Rings, func(m member) bool { return m.Ring == ring })
	return i >= 0, i >= 0 && l.Rings[i].isNear(now, d)
}

// others are further rings that are in use, by their identity.
func (l roll) others(ring string, now time.Time) (others []member) {
	for _, m := range l.Rings {
		if m.Ring != ring && m.isNear(now, gone) {
			others = append(others, m)
		}
	}
	slices.SortFunc(others, func(a, b member) int { return cmp.Compare(a.Ring, b.Ring) })
	return others
}

// rollWith is a record with a fresh entry of a ring, and the latest of others.
func rollWith(ring string, others []member, now time.Time) *roll {
	latest := slices.SortedStableFunc(slices.Values(others), func(a, b member) int { return cmp.Compare(b.Seen, a.Seen) })
	latest = latest[:min(len(latest), maxRings-1)]
	return &roll{Rings: append([]member{{Ring: ring, Seen: now.UnixMilli()}}, latest...)}
}

// meeting is what a look at the register has found.
type meeting struct {
	others   []member // further rings in use
	replaces bool     // others were in use before, and are not any more
}

// meet writes into the register that this ring is in use, and finds the others there.
//
// If no other node uses the register, whoever wrote it is gone. Then it is written only when that changes something.
func (r *Ring) meet(ctx context.Context, ring string) (found meeting, err error) {
	ctx, cancel := context.WithTimeout(ctx, savePatience)
	defer cancel()
	var unread error
	for range maxSwaps {
		var known roll
		var text []byte // nil for none, or perhaps none
		if text, unread = r.options.Register.Get(ctx, r.record); unread != nil {
			text = nil
		} else if known, err = readRoll(text); err != nil {
			return meeting{}, err
		}
		found, next := r.add(ring, known)
		if next == nil {
			return found, nil
		}
		fresh, err := json.Marshal(next)
		if err != nil {
			return meeting{}, err
		}
		if swapped, err := r.options.Register.Swap(ctx, r.record, text, fresh, time.Time{}); swapped || err != nil {
			return found, err
		}
	}
	return meeting{}, errors.Join(errCrowd, unread)
}

// add finds the others in a record, and makes the next one. That is nil if there is nothing to write.
func (r *Ring) add(ring string, known roll) (found meeting, next *roll) {
	now := r.options.Now()
	if !r.options.Alone {
		found.others = known.others(ring, now)
	}
	has, near := known.has(ring, now, meetEvery)
	found.replaces = !has && len(known.Rings) > 0 && len(found.others) == 0
	if has && (near || r.options.Alone) && len(known.Rings) == len(found.others)+1 {
		return found, nil // perhaps another node of this ring has just written it
	}
	return found, rollWith(ring, found.others, now)
}
