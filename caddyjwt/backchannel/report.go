package backchannel

import (
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/logout"
)

// How often there is a line about one result at most. Strangers can cause any number of bad requests, and a store that
// is down fails every request.
const (
	refusedInterval = time.Minute
	troubleInterval = 10 * time.Second
)

// report counts a request, and logs it for operators: trouble on our side as an error, because a session may live on
// that the server has ended, and refusals at info. A logout that has an effect has a line of its own where it is
// revoked. The token is never logged. A cause may repeat a few of its texts, cut and quoted.
func (x *Receiver) report(logger *zap.Logger, outcome logout.Outcome, err error) {
	result, message, level, interval := outcome.String(), "logout request", zapcore.DebugLevel, time.Duration(0)
	if outcome == logout.Ignored {
		message, level, interval = "logout token names no session, and without_sid is not sub: nothing is revoked",
			zapcore.InfoLevel, refusedInterval
	}
	if err != nil {
		message, level, interval = "logout request refused", zapcore.InfoLevel, refusedInterval
		failure, is := errors.AsType[*logout.Failure](err)
		if result = string(logout.RevocationFailed); is {
			result, err = string(failure.Reason), failure.Cause
		}
		if !is || failure.Reason.OnOurSide() {
			message, level, interval = "logout failed: what it names is still good here, until the server tries again",
				zapcore.ErrorLevel, troubleInterval
		}
	}
	x.Count(result)
	entry := logger.Check(level, message)
	if entry == nil {
		return
	}
	hidden, due := x.lines.due(result, interval, time.Now())
	if !due {
		return
	}
	fields := []zap.Field{
		zap.String("result", result), zap.String("issuer", x.Settings.Issuer), zap.String("path", x.Path),
	}
	if err != nil {
		fields = append(fields, zap.String("cause", causes.Line(err)))
	}
	if hidden > 0 {
		fields = append(fields, zap.Int("not_logged_before", hidden))
	}
	entry.Write(fields...)
}

// lines remembers the last line about each result. There are as many as there are results.
type lines struct {
	mu   sync.Mutex
	last map[string]*line
}

// line is when there was a line, and how many requests have had none since.
type line struct {
	at     time.Time
	hidden int
}

// due reports whether it is time for a line, and how many requests have had none since the last.
func (l *lines) due(result string, interval time.Duration, now time.Time) (hidden int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.last[result]
	if last == nil {
		if l.last == nil {
			l.last = make(map[string]*line)
		}
		l.last[result] = &line{at: now}
		return 0, true
	}
	if now.Sub(last.at) < interval {
		last.hidden++
		return 0, false
	}
	hidden, last.hidden, last.at = last.hidden, 0, now
	return hidden, true
}

// Results are all that Receiver.Count may be called with.
func Results() (all []string) {
	for _, outcome := range []logout.Outcome{logout.Ended, logout.Repeated, logout.Ignored} {
		all = append(all, outcome.String())
	}
	for _, reason := range logout.Reasons() {
		all = append(all, string(reason))
	}
	return all
}
