package caddyjwt

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/gate"
)

// tallyInterval is how often refusals of one reason are logged if no access log has them.
const tallyInterval = time.Minute

// tally logs refusals. It logs the first one of a reason at once, so that whoever tries something out sees it, and
// those that follow as a number, once a minute. So a stranger can cause at most one line per reason and minute. A timer
// logs the rest when no more requests come. It runs only within a minute that has begun.
type tally struct {
	logger *zap.Logger

	mu      sync.Mutex
	minutes map[gate.Reason]*tallied // begun and not over
	closed  bool
}

// tallied is one minute's refusals of one reason, after the first.
type tallied struct {
	status int
	count  int
	timer  *time.Timer
}

func newTally(logger *zap.Logger) *tally {
	return &tally{logger: logger, minutes: make(map[gate.Reason]*tallied)}
}

// add counts a refusal.
func (t *tally) add(reason gate.Reason, status int) {
	if !t.logger.Core().Enabled(zap.InfoLevel) {
		return
	}
	if t.isFirst(reason, status) {
		t.log(reason, status, 1)
	}
}

func (t *tally) isFirst(reason gate.Reason, status int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch minute := t.minutes[reason]; {
	case t.closed: // the request has outlived its configuration
		return false
	case minute != nil:
		minute.count++
		return false
	default:
		t.minutes[reason] = &tallied{
			status: status,
			timer:  time.AfterFunc(tallyInterval, func() { t.minuteOver(reason) }),
		}
		return true
	}
}

// minuteOver logs the refusals within the minute. If there were any, the next minute begins.
func (t *tally) minuteOver(reason gate.Reason) {
	status, count := t.take(reason)
	if count > 0 {
		t.log(reason, status, count)
	}
}

func (t *tally) take(reason gate.Reason) (status, count int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	minute := t.minutes[reason]
	if minute == nil {
		return 0, 0 // closed meanwhile
	}
	status, count, minute.count = minute.status, minute.count, 0
	if count > 0 {
		minute.timer.Reset(tallyInterval)
	} else {
		delete(t.minutes, reason)
	}
	return status, count
}

// close logs the rest and ends all timers.
func (t *tally) close() {
	t.mu.Lock()
	rest := t.minutes
	t.minutes, t.closed = nil, true
	t.mu.Unlock()
	for _, reason := range gate.Reasons() {
		if minute := rest[reason]; minute != nil {
			minute.timer.Stop()
			if minute.count > 0 {
				t.log(reason, minute.status, minute.count)
			}
		}
	}
}

func (t *tally) log(reason gate.Reason, status, count int) {
	t.logger.Info("requests refused",
		zap.String("reason", string(reason)), zap.Int("status", status), zap.Int("count", count))
}
