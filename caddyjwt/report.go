package caddyjwt

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/introspect"
)

// troubleInterval is how often trouble of one kind is told: an authorization server that is down fails every request.
const troubleInterval = 10 * time.Second

// reporter writes what operators should see: at debug level what clients can cause, and counted where no access log has
// it; our side's trouble as a warning; and never a byte of a token.
type reporter struct {
	logger  *zap.Logger
	trouble sync.Map // of troubleKind to *trouble; as many as there are reasons, issuers and causes
	tally   *tally

	warnings      *process.Warnings // given already
	configuration process.Configuration
}

// troubleKind is what is told apart: one server's trouble must not hide another's, and the first of a series ("connection
// refused") not what it leads to ("the breaker is open"), nor the reverse.
type troubleKind struct {
	reason gate.Reason
	issuer string // as configured
	cause  introspect.Cause
}

func kindOf(f *gate.Failure) troubleKind {
	kind := troubleKind{reason: f.Reason, issuer: f.Issuer}
	if verdict, ok := errors.AsType[*introspect.NoVerdictError](f); ok {
		kind.cause = verdict.Cause
	}
	return kind
}

// trouble remembers when a kind of trouble was last told, and how often it was not told since.
type trouble struct {
	told   atomic.Int64 // Unix time in nanoseconds
	hidden atomic.Int64
}

func newReporter(logger *zap.Logger) *reporter {
	return &reporter{logger: logger, tally: newTally(logger), warnings: new(process.Warnings)}
}

// warn says something about the configuration, once for all of its handlers.
func (r *reporter) warn(message string, fields ...zap.Field) {
	if r.warnings.New(r.configuration, message, fields) {
		r.logger.Warn(message, fields...)
	}
}

// failedToClose is for errors of what outlives a configuration. No request can do anything about them.
func (r *reporter) failedToClose(err error) { r.logger.Error(err.Error()) }

// refused reports a refusal with the answer's status. Logged says that the request is in an access log, with the
// reason.
func (r *reporter) refused(f *gate.Failure, status int, logged bool) {
	level, troubled := zapcore.DebugLevel, isTrouble(f.Reason, status)
	if !logged && !troubled {
		r.tally.add(f.Reason, status)
	}
	if troubled {
		level = zapcore.WarnLevel
	}
	entry := r.logger.Check(level, "request refused")
	if entry == nil {
		return
	}
	fields := make([]zap.Field, 0, 8)
	if troubled {
		known, _ := r.trouble.LoadOrStore(kindOf(f), new(trouble))
		hidden, tell := known.(*trouble).tell(time.Now())
		if !tell {
			return
		}
		if hidden > 0 {
			fields = append(fields, zap.Int64("not_logged_before", hidden))
		}
	}
	fields = append(fields, zap.String("reason", string(f.Reason)), zap.Int("status", status))
	for _, field := range []struct{ name, value string }{{"issuer", f.Issuer}, {"kid", f.KeyID}, {"token", f.Token}} {
		if field.value != "" {
			fields = append(fields, zap.String(field.name, field.value))
		}
	}
	if f.Cause != nil {
		fields = append(fields, zap.NamedError("cause", f.Cause))
	}
	entry.Write(fields...)
}

// isTrouble reports whether a refusal is something for operators to look at. The key that is not known yet is not:
// strangers can invent key ids.
func isTrouble(reason gate.Reason, status int) bool {
	return status >= http.StatusInternalServerError && reason != gate.KeyPending
}

// tell decides whether it is time to tell again, and says how many were not told since the last time. A clock that is set
// back does not silence the log until it has caught up.
func (t *trouble) tell(now time.Time) (hidden int64, tell bool) {
	last := t.told.Load()
	age := now.UnixNano() - last
	if age >= 0 && age < int64(troubleInterval) || !t.told.CompareAndSwap(last, now.UnixNano()) {
		t.hidden.Add(1)
		return 0, false
	}
	return t.hidden.Swap(0), true
}
