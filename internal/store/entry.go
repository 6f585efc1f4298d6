package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// table is one of the collections of entries in a file. Each is a bucket of bbolt.
type table byte

const (
	values  table    = iota // by a mark and the key of the user
	records                 // by the number of the log and the position
	logs                    // by a mark and the name of the log: its number and its last position
	ends                    // by the end of a value or a record, its table and its key there: nothing
	tables                  // how many there are of these, each counted in the head
	head    = tables        // by headKey: what the other tables have, see ledger.go
)

// bucketNames are the names of the buckets, by table.
var bucketNames = [...]string{values: "values", records: "records", logs: "logs", ends: "ends", head: "head"}

// An entry in the file has a checksum, the end of what it is about, and its content.
//
// The checksum is SHA-256 of table, key, end and content, cut to 8 bytes. CRC-32C would find all small damage, too.
// But a checksum of 64 bits also serves as a summand: the head has the sum of the checksums of each table, which shows
// an entry that is missing, one too many, or one of an earlier time, although each of them is good by itself. For that,
// two entries must never have the same checksum by chance.
const (
	checksumSize = 8
	entryHeader  = checksumSize + 8
)

// entry is an entry as it was read. Its content is part of the memory from which it was read.
type entry struct {
	checksum uint64
	expires  int64 // milliseconds; zero: never
	content  []byte
}

// hasher makes checksums. It keeps its buffer.
type hasher struct{ buffer []byte }

func (h *hasher) checksum(t table, key []byte, expires int64, content []byte) uint64 {
	b := append(h.buffer[:0], byte(t))
	b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
	b = append(b, key...)
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	b = append(b, content...)
	h.buffer = b
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}

// encode makes an entry in memory of its own.
func (h *hasher) encode(t table, key []byte, expires int64, content []byte) (stored []byte, checksum uint64) {
	checksum = h.checksum(t, key, expires, content)
	stored = make([]byte, 0, entryHeader+len(content))
	stored = binary.BigEndian.AppendUint64(stored, checksum)
	stored = binary.BigEndian.AppendUint64(stored, uint64(expires))
	return append(stored, content...), checksum
}

// decode reads an entry, and checks its checksum.
func (h *hasher) decode(t table, key, stored []byte) (entry, error) {
	if len(stored) < entryHeader {
		return entry{}, fmt.Errorf("an entry of %s is too short", bucketNames[t])
	}
	e := entry{
		checksum: binary.BigEndian.Uint64(stored),
		expires:  int64(binary.BigEndian.Uint64(stored[checksumSize:])),
		content:  stored[entryHeader:],
	}
	if e.checksum != h.checksum(t, key, e.expires, e.content) {
		return entry{}, fmt.Errorf("the checksum of an entry of %s is wrong", bucketNames[t])
	}
	return e, nil
}

// mark begins keys of users, because bbolt has no empty keys.
const mark = '='

// userKey is the key of a value, or of a log, in its table.
func userKey(name string) []byte { return append([]byte{mark}, name...) }

// recordKey is the key of a record in its table. The order of the bytes is that of the positions.
func recordKey(log, position uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, log), position)
}

// endKey is the key under which the end of an entry is kept. Its first bytes are the time.
func endKey(b []byte, t table, key []byte, expires int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	return append(append(b, byte(t)), key...)
}

// splitEndKey is the reverse of endKey.
func splitEndKey(b []byte) (t table, key []byte, expires int64, err error) {
	if len(b) < 10 || table(b[8]) >= tables {
		return 0, nil, 0, fmt.Errorf("an entry of %s is about nothing", bucketNames[ends])
	}
	return table(b[8]), b[9:], int64(binary.BigEndian.Uint64(b)), nil
}

// logState is what the table of logs has for one log.
type logState struct{ number, last uint64 }

func (s logState) encode() []byte { return recordKey(s.number, s.last) }

func decodeLog(content []byte) (logState, error) {
	if len(content) != 16 {
		return logState{}, fmt.Errorf("an entry of %s has %d bytes", bucketNames[logs], len(content))
	}
	return logState{number: binary.BigEndian.Uint64(content), last: binary.BigEndian.Uint64(content[8:])}, nil
}

// splitRecordKey is the reverse of recordKey.
func splitRecordKey(key []byte) (log, position uint64, err error) {
	if len(key) != 16 {
		return 0, 0, fmt.Errorf("a key of %s has %d bytes", bucketNames[records], len(key))
	}
	return binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:]), nil
}
