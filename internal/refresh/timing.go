package refresh

import (
	"math/rand/v2"
	"time"

	"github.com/caddyjwt/gateway/internal/setting"
)

// Timing says when a document is loaded, how long requests wait for it, and how long it lasts. Zero fields have the
// defaults named beside them.
type Timing struct {
	// MinRefresh and MaxRefresh bound what the server's Cache-Control may ask for. DefaultRefresh applies when it asks for
	// nothing. A document is loaded again after four fifths of that time, give or take a tenth, and never later than four
	// fifths of MaxStale. Default 1m, 24h, 15m.
	MinRefresh, MaxRefresh, DefaultRefresh time.Duration
	// MaxStale is how long a document is used after the last successful load. Default 24h.
	MaxStale time.Duration
	// Cooldown is the time in which requests may cause one load while there is a document, for each motive that the owner
	// distinguishes. Default 10s.
	Cooldown time.Duration
	// MinBackoff and MaxBackoff bound the time between attempts while loading fails; it doubles from one to the other.
	// When there is no document at all, a request may cause an attempt after MinBackoff. A server that asks for more time
	// by Retry-After gets it, up to a minute. Default 1s, 5m.
	MinBackoff, MaxBackoff time.Duration
	// Timeout bounds one attempt. Default 5s.
	Timeout time.Duration
	// Wait is the longest that a request waits for a load. Default 2s.
	Wait time.Duration
}

// Defaults fills in the fields that are zero. It returns a setting.Error for a negative field, and for a minimum above
// its maximum.
func (t *Timing) Defaults() error {
	for _, field := range []struct {
		field, name string
		value       *time.Duration
		unset       time.Duration
	}{
		{"MinRefresh", "minimum refresh interval", &t.MinRefresh, time.Minute},
		{"MaxRefresh", "maximum refresh interval", &t.MaxRefresh, 24 * time.Hour},
		{"DefaultRefresh", "default refresh interval", &t.DefaultRefresh, 15 * time.Minute},
		{"MaxStale", "maximum staleness", &t.MaxStale, 24 * time.Hour},
		{"Cooldown", "cooldown", &t.Cooldown, 10 * time.Second},
		{"MinBackoff", "minimum backoff", &t.MinBackoff, time.Second},
		{"MaxBackoff", "maximum backoff", &t.MaxBackoff, 5 * time.Minute},
		{"Timeout", "timeout", &t.Timeout, 5 * time.Second},
		{"Wait", "wait", &t.Wait, 2 * time.Second},
	} {
		if *field.value < 0 {
			return setting.Errorf(field.field, "the %s is negative", field.name)
		}
		if *field.value == 0 {
			*field.value = field.unset
		}
	}
	if t.MinRefresh > t.MaxRefresh {
		return setting.Errorf("MinRefresh", "the minimum refresh interval is above the maximum, %v", t.MaxRefresh)
	}
	if t.MinBackoff > t.MaxBackoff {
		return setting.Errorf("MinBackoff", "the minimum backoff is above the maximum, %v", t.MaxBackoff)
	}
	return nil
}

// next is the time from a success to the next load. life is what the server asked for; negative for nothing.
func (t Timing) next(life time.Duration) time.Duration {
	if life < 0 {
		life = t.DefaultRefresh
	}
	// Whatever the server says, load again before the document is too old, and early enough for a second attempt.
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

// spread changes a duration by up to a tenth, so that gateways do not all ask at the same time.
func spread(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)/5*float64(d))
}
