package caddyjwt

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tenant"
	"github.com/caddyjwt/gateway/introspect"
)

// troubleInterval is how often one kind of trouble is logged at most: an authorization server that is down fails every
// request.
const troubleInterval = 10 * time.Second

// reporter writes the log for operators. What clients can cause is logged at debug level, and counted if no access log
// has it. Trouble on our side is a warning. A token is never logged, nor its signature. A cause may repeat a few of its
// texts, cut and quoted.
type reporter struct {
	logger  *zap.Logger
	trouble sync.Map // troubleKind to *trouble; bounded by reasons, issuers and causes
	tally   *tally
	clocks  causes.Clocks

	patterns []tenant.Pattern // of issuers with "*"

	warnings      *process.Warnings // those given already
	configuration process.Configuration
}

// troubleKind decides what counts as the same trouble. Trouble with one server must not hide trouble with another. The
// first of a series ("connection refused") must not hide what it leads to ("the breaker is open"), nor the reverse.
type troubleKind struct {
	reason gate.Reason
	issuer string // as configured
	cause  introspect.Cause
}

func (r *reporter) kindOf(f *gate.Failure) troubleKind {
	kind := troubleKind{reason: f.Reason, issuer: r.configured(f.Issuer)}
	if verdict, ok := errors.AsType[*introspect.NoVerdictError](f); ok {
		kind.cause = verdict.Cause
	}
	return kind
}

// configured is the issuer as the configuration has it. Strangers can invent tenants, so nothing may be kept for each.
func (r *reporter) configured(issuer string) string {
	for i := range r.patterns {
		if _, matches := r.patterns[i].Tenant(issuer); matches {
			return r.patterns[i].String()
		}
	}
	return issuer
}

// trouble remembers when a kind of trouble was last logged, and how often it has occurred since.
type trouble struct {
	logged atomic.Int64 // Unix time in nanoseconds
	hidden atomic.Int64
}

func newReporter(logger *zap.Logger) *reporter {
	return &reporter{logger: logger, tally: newTally(logger), warnings: new(process.Warnings)}
}

// warn logs a warning about the configuration, once for all of its handlers.
func (r *reporter) warn(message string, fields ...zap.Field) {
	if r.warnings.New(r.configuration, message, fields) {
		r.logger.Warn(message, fields...)
	}
}

// failedToClose logs an error of closing what outlived its configuration. There is no request to give it to.
func (r *reporter) failedToClose(err error) { r.logger.Error(err.Error()) }

// refused logs a refusal with the answer's status. logged means that an access log has the request, with the reason.
func (r *reporter) refused(f *gate.Failure, status int, logged bool) {
	level, troubled := zapcore.DebugLevel, f.Reason.IsWarned()
	if !logged && !troubled {
		r.tally.add(f, status)
	}
	if f.Off != 0 && f.Token != "" && r.clocks.Wrong(r.configured(f.Issuer), f.Token, f.Off, time.Now()) {
		r.logger.Warn("several tokens of this issuer are late or early by about the same time: is a clock wrong, "+
			"its own or that of this server?", withTexts(nil, brief(f))...)
	}
	if troubled {
		level = zapcore.WarnLevel
		if toldBySource(f, time.Now()) {
			level, troubled = zapcore.DebugLevel, false
		}
	}
	entry := r.logger.Check(level, "request refused")
	if entry == nil {
		return
	}
	fields := make([]zap.Field, 0, 8)
	if troubled {
		known, _ := r.trouble.LoadOrStore(r.kindOf(f), new(trouble))
		hidden, due := known.(*trouble).due(time.Now())
		if !due {
			return
		}
		if hidden > 0 {
			fields = append(fields, zap.Int64("not_logged_before", hidden))
		}
	}
	fields = append(fields, zap.String("reason", string(f.Reason)), zap.Int("status", status))
	entry.Write(withTexts(fields, f)...)
}

// withTexts adds what is known about a refusal beside its reason.
func withTexts(fields []zap.Field, f *gate.Failure) []zap.Field {
	for _, field := range []struct{ name, value string }{
		{"issuer", f.Issuer}, {"kid", causes.Plain(f.KeyID)}, {"token", f.Token}, {"cause", causes.Line(f.Cause)},
	} {
		if field.value != "" {
			fields = append(fields, zap.String(field.name, field.value))
		}
	}
	return fields
}

// toldBySource reports whether the key source has just written a warning about this very trouble. The first request
// causes both the fetch that fails and the refusal. If the trouble goes on, refusals are logged, too.
func toldBySource(f *gate.Failure, now time.Time) bool {
	keys, ok := errors.AsType[*keyset.UnavailableError](f)
	return ok && !keys.FailingSince.IsZero() && now.Sub(keys.FailingSince) < troubleInterval
}

// due reports whether it is time to log again, and how many times were not logged since the last. A clock that is set
// back must not silence the log until it has caught up.
func (t *trouble) due(now time.Time) (hidden int64, due bool) {
	last := t.logged.Load()
	age := now.UnixNano() - last
	if age >= 0 && age < int64(troubleInterval) || !t.logged.CompareAndSwap(last, now.UnixNano()) {
		t.hidden.Add(1)
		return 0, false
	}
	return t.hidden.Swap(0), true
}
