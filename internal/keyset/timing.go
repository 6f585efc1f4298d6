package keyset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Timing says when a source fetches, how long requests wait for it, and how long its keys last. Zero fields have the
// defaults named beside them.
type Timing struct {
	// MinRefresh and MaxRefresh bound what the server's Cache-Control may ask for; DefaultRefresh counts when it asks for
	// nothing. Keys are fetched again after four fifths of that time, or of MaxStale if that is less, give or take a tenth.
	// Default 1m, 24h, 15m.
	MinRefresh, MaxRefresh, DefaultRefresh time.Duration
	// MaxStale is for how long keys are used after the last successful fetch. Default 24h.
	MaxStale time.Duration
	// Cooldown is the time in which requests may cause a fetch while there are keys, each of the motives one: see
	// budget.go. Default 10s.
	Cooldown time.Duration
	// MinBackoff and MaxBackoff bound the time between attempts when fetching fails; it doubles from one to the other.
	// While there are no keys at all and requests ask for them, it is MinBackoff. A server that asks for more by
	// Retry-After gets it, up to a minute. Default 1s, 5m.
	MinBackoff, MaxBackoff time.Duration
	// Timeout bounds one attempt in all. Default 5s.
	Timeout time.Duration
	// Wait is the longest that a request waits for a fetch. Default 2s.
	Wait time.Duration
}

func (t *Timing) defaults() error {
	for _, field := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"minimum refresh interval", &t.MinRefresh, time.Minute},
		{"maximum refresh interval", &t.MaxRefresh, 24 * time.Hour},
		{"default refresh interval", &t.DefaultRefresh, 15 * time.Minute},
		{"maximum staleness", &t.MaxStale, 24 * time.Hour},
		{"cooldown", &t.Cooldown, 10 * time.Second},
		{"minimum backoff", &t.MinBackoff, time.Second},
		{"maximum backoff", &t.MaxBackoff, 5 * time.Minute},
		{"timeout", &t.Timeout, 5 * time.Second},
		{"wait", &t.Wait, 2 * time.Second},
	} {
		if *field.value < 0 {
			return fmt.Errorf("%s is negative", field.name)
		}
		if *field.value == 0 {
			*field.value = field.unset
		}
	}
	if t.MinRefresh > t.MaxRefresh || t.MinBackoff > t.MaxBackoff {
		return fmt.Errorf("a minimum is above its maximum")
	}
	return nil
}

func (t Timing) fingerprint(h hash.Hash) {
	for _, d := range []time.Duration{
		t.MinRefresh, t.MaxRefresh, t.DefaultRefresh, t.MaxStale, t.Cooldown, t.MinBackoff, t.MaxBackoff, t.Timeout, t.Wait,
	} {
		hashNumber(h, int64(d))
	}
}

// next is the time from a success to the next fetch. life is what the server asked for, negative for nothing.
func (t Timing) next(life time.Duration) time.Duration {
	if life < 0 {
		life = t.DefaultRefresh
	}
	// Before the keys are too old to be used, whatever the server says: there must be time for another attempt.
	life = min(max(life, t.MinRefresh), t.MaxRefresh, t.MaxStale)
	return spread(life * 8 / 10)
}

// backoff is the time from a failure to the next attempt.
func (t Timing) backoff(failures int) time.Duration {
	delay := t.MinBackoff
	for range failures - 1 {
		if delay >= t.MaxBackoff/2 {
			delay = t.MaxBackoff
			break
		}
		delay *= 2
	}
	return spread(delay)
}

// spread changes a duration by up to a tenth, so that gateways do not ask in step.
func spread(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)/5*float64(d))
}

// lifetime is for how long an answer may be used (RFC 9111 section 4.2), negative when it does not say: max-age, or else
// the time from Date to Expires, less the time it spent in caches. "no-cache" and "no-store" say nothing about that.
func lifetime(header http.Header, now time.Time) time.Duration {
	life := time.Duration(-1)
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		if age, ok := deltaSeconds(strings.Trim(value, `"`)); ok && (life < 0 || age < life) {
			life = age
		}
	}
	age, _ := deltaSeconds(header.Get("Age"))
	if life >= 0 {
		return max(life-age, 0)
	}
	if expires, err := http.ParseTime(header.Get("Expires")); err == nil {
		date, err := http.ParseTime(header.Get("Date"))
		if err != nil { // our clock has seen the time in caches go by
			date, age = now, 0
		}
		life = min(max(expires.Sub(date), 0), maxDelta) // a difference too large for a Duration is cut, and may be negative
		return max(life-age, 0)
	}
	return -1
}

// maxDelta is above every bound that one would configure and far from the end of time.Duration.
const maxDelta = 10 * 365 * 24 * time.Hour

// deltaSeconds reads a non-negative number of seconds of any size (RFC 9111 section 1.2.2).
func deltaSeconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > uint64(maxDelta/time.Second) {
		return maxDelta, true
	}
	return time.Duration(n) * time.Second, true
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
