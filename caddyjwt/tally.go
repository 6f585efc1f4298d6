package caddyjwt

import (
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/gate"
)

// tallyInterval is how often refusals of one reason are logged if no access log has them.
const tallyInterval = time.Minute

// tally logs refusals. It logs the first one of a reason at once, with its cause, so that whoever tries something out
// sees it. Those that follow are logged as a number, once a minute, with the cause of one of them. So a stranger can
// cause at most one line per reason and minute. A timer logs the rest when no more requests come. It runs only within a
// minute that has begun.
type tally struct {
	logger *zap.Logger

	mu      sync.Mutex
	minutes map[gate.Reason]*tallied // begun and not over
	closed  bool
}

// tallied is one minute's refusals of one reason, after the first.
type tallied struct {
	status  int
	count   int
	example *gate.Failure // one of them
	timer   *time.Timer
}

func newTally(logger *zap.Logger) *tally {
	return &tally{logger: logger, minutes: make(map[gate.Reason]*tallied)}
}

// add counts a refusal.
func (t *tally) add(f *gate.Failure, status int) {
	if !t.logger.Core().Enabled(zap.InfoLevel) {
		return
	}
	if t.isFirst(f, status) {
		t.log(brief(f), status, 1)
	}
}

func (t *tally) isFirst(f *gate.Failure, status int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch minute := t.minutes[f.Reason]; {
	case t.closed: // the request has outlived its configuration
		return false
	case minute != nil:
		if minute.count++; minute.count == 1 {
			minute.example = brief(f)
		}
		return false
	default:
		reason := f.Reason
		t.minutes[reason] = &tallied{
			status: status,
			timer:  time.AfterFunc(tallyInterval, func() { t.minuteOver(reason) }),
		}
		return true
	}
}

// minuteOver logs the refusals within the minute. If there were any, the next minute begins.
func (t *tally) minuteOver(reason gate.Reason) {
	example, status, count := t.take(reason)
	if count > 0 {
		t.log(example, status, count)
	}
}

// brief is as much of a failure as a line has. A failure may hold all claims of its token, and a minute is long.
func brief(f *gate.Failure) *gate.Failure {
	cause := causes.Line(f.Cause)
	if cause == "" {
		return &gate.Failure{Reason: f.Reason, Issuer: f.Issuer}
	}
	return &gate.Failure{Reason: f.Reason, Issuer: f.Issuer, Cause: errors.New(cause)}
}

func (t *tally) take(reason gate.Reason) (example *gate.Failure, status, count int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	minute := t.minutes[reason]
	if minute == nil {
		return nil, 0, 0 // closed meanwhile
	}
	example, status, count, minute.count = minute.example, minute.status, minute.count, 0
	if count > 0 {
		minute.timer.Reset(tallyInterval)
	} else {
		delete(t.minutes, reason)
	}
	return example, status, count
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
				t.log(minute.example, minute.status, minute.count)
			}
		}
	}
}

func (t *tally) log(f *gate.Failure, status, count int) {
	fields := []zap.Field{zap.String("reason", string(f.Reason)), zap.Int("status", status), zap.Int("count", count)}
	t.logger.Info("requests refused", withTexts(fields, f)...)
}
