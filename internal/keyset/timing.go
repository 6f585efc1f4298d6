package keyset

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"

	"github.com/caddyjwt/gateway/internal/refresh"
)

// Timing says when a source fetches. Each of the motives in budget.go may cause one fetch in a cooldown.
type Timing = refresh.Timing

func fingerprintTiming(h hash.Hash, t Timing) {
	for _, d := range []time.Duration{
		t.MinRefresh, t.MaxRefresh, t.DefaultRefresh, t.MaxStale, t.Cooldown, t.MinBackoff, t.MaxBackoff, t.Timeout, t.Wait,
	} {
		hashNumber(h, int64(d))
	}
}

// newFingerprint starts a hash of the options of one kind of source.
func newFingerprint(kind string) hash.Hash {
	h := sha256.New()
	hashText(h, kind)
	return h
}

func hashText(h hash.Hash, text string) {
	hashNumber(h, int64(len(text)))
	h.Write([]byte(text))
}

func hashNumber(h hash.Hash, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}
