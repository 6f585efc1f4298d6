package revoke

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke/table"
)

// When a store.Shared has lost entries, a process writes back those that it holds. It has only their hashes, which are
// the same in all processes.

// held are entries without their targets.
type held struct {
	wanted wanted // the kinds of which they may be
	items  []table.Item
}

const (
	heldSize = 32   // bytes of an item in a record
	mostHeld = 1000 // items of a record
)

// heldRecord is a record of a store with held entries.
type heldRecord struct {
	Version int      `json:"v"`
	Wanted  [2]uint8 `json:"kinds"`
	Items   []byte   `json:"held"`
}

func (h *held) encode() ([]byte, error) {
	r := heldRecord{Version: version, Wanted: [2]uint8{uint8(h.wanted.ofIssuers), uint8(h.wanted.ofConsumers)}}
	for _, i := range h.items {
		for _, n := range []uint64{i.Hi, i.Lo, uint64(i.Cutoff), uint64(i.Expires)} {
			r.Items = binary.BigEndian.AppendUint64(r.Items, n)
		}
	}
	return json.Marshal(&r)
}

// decodeHeld reads a record. All of it must be good: it may revoke something.
func decodeHeld(data []byte) (*held, error) {
	var r heldRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if n := len(r.Items); r.Version != version || n == 0 || n%heldSize != 0 || n > mostHeld*heldSize {
		return nil, fmt.Errorf("%w: version %d with %d bytes of entries", ErrRecord, r.Version, n)
	}
	h := &held{wanted: wanted{kindSet(r.Wanted[0]), kindSet(r.Wanted[1])}}
	for b := range slices.Chunk(r.Items, heldSize) {
		i := table.Item{
			Hash:    table.Hash{Hi: binary.BigEndian.Uint64(b), Lo: binary.BigEndian.Uint64(b[8:])},
			Cutoff:  int64(binary.BigEndian.Uint64(b[16:])),
			Expires: int64(binary.BigEndian.Uint64(b[24:])),
		}
		if i.Hi < table.MinHi || i.Cutoff <= 0 || !isSane(time.Unix(i.Expires, 0)) {
			return nil, fmt.Errorf("%w: an entry that nobody can have", ErrRecord)
		}
		h.items = append(h.items, i)
	}
	return h, nil
}

// hold takes over entries that another process has held. h may be nil.
func (l *List) hold(h *held, now time.Time) {
	if h == nil {
		return
	}
	if h.wanted.ofConsumers != 0 {
		l.concerned.any.Store(true)
	}
	l.wantAll(h.wanted)
	for _, i := range h.items {
		if i.Expires > now.Unix() {
			l.put(i)
		}
	}
}

// lacking are the entries that another list does not have, or not as strictly. Those that expire first come first.
func (l *List) lacking(in *List, now time.Time) (all []table.Item) {
	for part := range table.Parts {
		l.mu.Lock()
		for i := range l.table.All(part) {
			cutoff, expires, _ := in.table.Find(i.Hash)
			if i.Expires > now.Unix() && (cutoff < i.Cutoff || expires < i.Expires) {
				all = append(all, i)
			}
		}
		l.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b table.Item) int { return cmp.Compare(a.Expires, b.Expires) })
	return all
}
