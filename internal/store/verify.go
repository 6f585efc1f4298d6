package store

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
)

// verifier checks that a file has everything that it should have, and nothing else.
type verifier struct {
	*image
	hasher
	found   [tables]total // what the tables have
	said    totals        // what the head says
	hasHead bool
	numbers map[uint64]uint64 // of logs: their last positions
	highest map[uint64]uint64 // of logs: the highest positions of their records

	// Entries that expire and the table of their ends must be the same set. Sums of hashes, with a seed of this process,
	// are compared instead of the sets.
	seed             maphash.Seed
	expiring, ending uint64
	expire, ends     uint64
	scratch          []byte
}

// verify reads a whole file. An error of errFormat is no damage.
func verify(file io.ReaderAt, size int64) error {
	if size == 0 {
		return errors.New("it is empty, which a new store never is")
	}
	i, err := newImage(file, size)
	if err != nil {
		return err
	}
	if err := i.readFreelist(); err != nil {
		return err
	}
	v := &verifier{image: i, seed: maphash.MakeSeed(), numbers: make(map[uint64]uint64),
		highest: make(map[uint64]uint64)}
	buckets := make(map[string][]byte)
	root := tree{image: i, found: func(flags uint32, key, value []byte) error {
		if flags != bucketElement {
			return errors.New("it has an entry outside of the tables")
		}
		buckets[string(key)] = bytes.Clone(value)
		return nil
	}}
	if err := root.walk(i.meta.root, nil, 0); err != nil {
		return err
	}
	for t, name := range bucketNames {
		bucket, ok := buckets[name]
		if !ok {
			return fmt.Errorf("it has no table %s", name)
		}
		if err := v.bucket(table(t), bucket); err != nil {
			return err
		}
	}
	if len(buckets) != len(bucketNames) {
		return errors.New("it has a table that no store has")
	}
	if err := i.unused(); err != nil {
		return err
	}
	return v.compare()
}

// bucket reads a table: the tree at a page, or if it is small the page itself, which bbolt then keeps in the root.
func (v *verifier) bucket(t table, header []byte) error {
	if len(header) < bucketHeader {
		return fmt.Errorf("the table %s is damaged", bucketNames[t])
	}
	walk := tree{image: v.image, found: func(flags uint32, key, value []byte) error {
		if flags != 0 {
			return fmt.Errorf("an entry of %s is damaged", bucketNames[t])
		}
		return v.entry(t, key, value)
	}}
	if root := native.Uint64(header); root != 0 {
		return walk.walk(root, nil, 0)
	}
	inline := header[bucketHeader:]
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != leafPage {
		return fmt.Errorf("the table %s is damaged", bucketNames[t])
	}
	return walk.leaf(page{flags: leafPage, count: int(native.Uint16(inline[10:])), body: inline}, nil, 0)
}

// entry checks one entry, and counts it.
func (v *verifier) entry(t table, key, stored []byte) error {
	e, err := v.decode(t, key, stored)
	if err != nil {
		return err
	}
	if t != head {
		v.found[t].add(e.checksum)
	}
	switch t {
	case head:
		return v.readHead(key, e)
	case logs:
		return v.log(e)
	case ends:
		return v.end(key, e)
	case records:
		if err := v.record(key); err != nil {
			return err
		}
	}
	if e.expires != 0 {
		v.expiring++
		v.scratch = endKey(v.scratch[:0], t, key, e.expires)
		v.expire += maphash.Bytes(v.seed, v.scratch)
	}
	return nil
}

func (v *verifier) readHead(key []byte, e entry) (err error) {
	if v.hasHead || !bytes.Equal(key, headKey) {
		return errors.New("it has a second head")
	}
	v.hasHead = true
	v.said, err = decodeTotals(e.content)
	return err
}

func (v *verifier) log(e entry) error {
	state, err := decodeLog(e.content)
	if err != nil {
		return err
	}
	if _, twice := v.numbers[state.number]; twice || state.number == 0 {
		return errors.New("two logs have the same number")
	}
	v.numbers[state.number] = state.last
	return nil
}

func (v *verifier) end(key []byte, e entry) error {
	t, _, expires, err := splitEndKey(key)
	if err != nil {
		return err
	}
	if e.expires != expires || t != values && t != records {
		return errors.New("an end is that of nothing")
	}
	v.ending++
	v.ends += maphash.Bytes(v.seed, key)
	return nil
}

func (v *verifier) record(key []byte) error {
	log, position, err := splitRecordKey(key)
	v.highest[log] = max(v.highest[log], position)
	return err
}

// compare compares what was found with what the head says, and the tables with each other.
func (v *verifier) compare() error {
	if !v.hasHead {
		return errors.New("its head is missing")
	}
	for t := range tables {
		if got, want := v.found[t], v.said.tables[t]; got.count != want.count {
			return fmt.Errorf("the table %s has %d entries, and should have %d", bucketNames[t], got.count, want.count)
		} else if got.sum != want.sum {
			return fmt.Errorf("the table %s has entries of another time", bucketNames[t])
		}
	}
	if v.expiring != v.ending || v.expire != v.ends {
		return errors.New("what expires and the table of the ends do not fit together")
	}
	if v.said.logs != uint64(len(v.numbers)) {
		return errors.New("a log is missing")
	}
	for log, position := range v.highest {
		if last, ok := v.numbers[log]; !ok || position > last {
			return errors.New("a record is in no log, or after its last position")
		}
	}
	return nil
}
