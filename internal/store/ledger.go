package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// ledger is the tables of a file in one transaction. It keeps counts and sums of them, and the ends of what expires.
// All its errors mean that the file is damaged, or that bbolt has failed: the transaction must not be committed.
type ledger struct {
	hasher
	buckets [tables + 1]*bbolt.Bucket
	head    totals
	changed bool
	grown   map[string]struct{} // logs that have got records
}

// headKey is the key of the only entry of the head.
var headKey = []byte("totals")

// format is the version of the layout of the file.
const format = 1

// totals says what the tables have. It is written by each transaction that changes a table.
type totals struct {
	format uint64
	logs   uint64 // the number of the newest log
	tables [tables]total
}

// total is the number of the entries of a table, and the sum of their checksums.
type total struct{ count, sum uint64 }

func (t *total) add(checksum uint64)    { t.count++; t.sum += checksum }
func (t *total) remove(checksum uint64) { t.count--; t.sum -= checksum }

func (t totals) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, t.format)
	b = binary.BigEndian.AppendUint64(b, t.logs)
	for _, one := range t.tables {
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, one.count), one.sum)
	}
	return b
}

// decodeTotals reads the content of the head. The error is an errFormat if a newer version has written it.
func decodeTotals(content []byte) (t totals, err error) {
	next := func() uint64 {
		number := binary.BigEndian.Uint64(content)
		content = content[8:]
		return number
	}
	if len(content) < 8 {
		return t, fmt.Errorf("the entry of %s is too short", bucketNames[head])
	}
	if t.format = next(); t.format != format {
		return t, errFormat(t.format)
	}
	if len(content) != 8+16*int(tables) {
		return t, fmt.Errorf("the entry of %s has another length", bucketNames[head])
	}
	t.logs = next()
	for i := range t.tables {
		t.tables[i] = total{count: next(), sum: next()}
	}
	return t, nil
}

// errFormat is a version of the layout that this program does not know.
type errFormat uint64

func (e errFormat) Error() string {
	return fmt.Sprintf("its layout has version %d, and this program knows only version %d", uint64(e), format)
}

// create makes the tables of an empty file.
func create(tx *bbolt.Tx) error {
	for _, name := range bucketNames {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	stored, _ := new(hasher).encode(head, headKey, 0, totals{format: format}.encode())
	return tx.Bucket([]byte(bucketNames[head])).Put(headKey, stored)
}

// open finds the tables in a transaction.
func open(tx *bbolt.Tx) (*ledger, error) {
	l := new(ledger)
	for t, name := range bucketNames {
		if l.buckets[t] = tx.Bucket([]byte(name)); l.buckets[t] == nil {
			return nil, fmt.Errorf("it has no table %s", name)
		}
	}
	l.buckets[records].FillPercent = 0.9 // they come in order
	l.buckets[ends].FillPercent = 0.8    // nearly so
	e, err := l.must(head, headKey)
	if err != nil {
		return nil, err
	}
	l.head, err = decodeTotals(e.content)
	return l, err
}

// close writes the totals, before the transaction is committed.
func (l *ledger) close() error {
	stored, _ := l.encode(head, headKey, 0, l.head.encode())
	return l.buckets[head].Put(headKey, stored)
}

// get reads an entry. It is nil if there is none.
func (l *ledger) get(t table, key []byte) (*entry, error) {
	stored := l.buckets[t].Get(key)
	if stored == nil {
		return nil, nil //nolint:nilnil // none is an answer, and not an error
	}
	e, err := l.decode(t, key, stored)
	return &e, err
}

// must reads an entry that has to be there.
func (l *ledger) must(t table, key []byte) (*entry, error) {
	e, err := l.get(t, key)
	if err == nil && e == nil {
		return nil, fmt.Errorf("an entry of %s is missing", bucketNames[t])
	}
	return e, err
}

// put writes an entry, in place of the one that is there.
func (l *ledger) put(t table, key []byte, expires int64, content []byte) error {
	if err := l.remove(t, key); err != nil {
		return err
	}
	l.changed = true
	stored, checksum := l.encode(t, key, expires, content)
	l.head.tables[t].add(checksum)
	if err := l.buckets[t].Put(key, stored); err != nil || expires == 0 || t == ends {
		return err
	}
	return l.put(ends, endKey(nil, t, key, expires), expires, nil)
}

// remove deletes an entry, if it is there.
func (l *ledger) remove(t table, key []byte) error {
	before, err := l.get(t, key)
	if err != nil || before == nil {
		return err
	}
	l.changed = true
	expires := before.expires
	l.head.tables[t].remove(before.checksum)
	if err := l.buckets[t].Delete(key); err != nil || expires == 0 || t == ends {
		return err
	}
	end := endKey(nil, t, key, expires)
	if _, err := l.must(ends, end); err != nil {
		return err
	}
	return l.remove(ends, end)
}

// value returns a copy of a value that has not expired; nil if there is none.
func (l *ledger) value(key string) ([]byte, error) {
	e, err := l.get(values, userKey(key))
	if err != nil || e == nil || Expired(e.expires, time.Now().UnixMilli()) {
		return nil, err
	}
	return copied(e.content), nil
}

// log reads the state of a log. It is zero for one that has never had a record.
func (l *ledger) log(name string) (logState, error) {
	e, err := l.get(logs, userKey(name))
	if err != nil || e == nil {
		return logState{}, err
	}
	return decodeLog(e.content)
}

// append adds a record to a log, and returns its position.
func (l *ledger) append(name string, record []byte, expires int64) (uint64, error) {
	state, err := l.log(name)
	if err != nil {
		return 0, err
	}
	if state.number == 0 {
		l.head.logs++
		state.number = l.head.logs
	}
	state.last++
	if err := l.put(logs, userKey(name), 0, state.encode()); err != nil {
		return 0, err
	}
	if l.grown == nil {
		l.grown = make(map[string]struct{})
	}
	l.grown[name] = struct{}{}
	return state.last, l.put(records, recordKey(state.number, state.last), expires, record)
}

// read adds to an answer what a log has after a position.
func (l *ledger) read(name string, after uint64, a *answer) error {
	state, err := l.log(name)
	if err != nil || state.last <= after {
		return err
	}
	cursor, end := l.buckets[records].Cursor(), recordKey(state.number, state.last)
	key, stored := cursor.Seek(recordKey(state.number, after+1))
	for ; key != nil && bytes.Compare(key, end) <= 0 && !a.full(); key, stored = cursor.Next() {
		e, err := l.decode(records, key, stored)
		if err != nil {
			return err
		}
		position := Position{Lo: binary.BigEndian.Uint64(key[8:])}
		a.add(Record{Position: position, Data: copied(e.content), Expires: TimeOf(e.expires)})
	}
	return nil
}

// sweep deletes what has expired at a time, at most as much as one step may. It returns how much that was.
func (l *ledger) sweep(now int64) (int, error) {
	var due [][]byte
	cursor := l.buckets[ends].Cursor()
	for key, _ := cursor.First(); key != nil && len(due) < sweepStep; key, _ = cursor.Next() {
		_, _, expires, err := splitEndKey(key)
		if err != nil {
			return 0, err
		}
		if !Expired(expires, now) {
			break
		}
		due = append(due, copied(key))
	}
	for _, end := range due {
		t, key, _, err := splitEndKey(end)
		if err == nil {
			_, err = l.must(t, key)
		}
		if err == nil {
			err = l.remove(t, key)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(due), nil
}
