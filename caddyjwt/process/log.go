package process

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/caddyjwt/gateway/internal/causes"
)

// Log is the log of what outlives a configuration. Each line goes to the logs of the configuration that is in force at
// that moment, not of the one that happened to come first.
type Log struct {
	// Keys is for key sources, and Consumers for files of consumers.
	Keys, Consumers *slog.Logger

	store *slog.Logger

	// loading is the logger of the configuration that was loaded last. It is used while no configuration is in force.
	loading atomic.Pointer[zap.Logger]
}

func newLog() *Log {
	l := new(Log)
	l.Keys = slog.New(handler{log: l, name: keysLogName})
	l.Consumers = slog.New(handler{log: l, name: consumersLogName})
	l.store = slog.New(handler{log: l, name: storeLogName})
	return l
}

// storeTrouble writes that a store has failed while nobody waited for it or, with nil, that it works again.
func (l *Log) storeTrouble(where string, err error) {
	if err == nil {
		l.store.Info("the store works again", "store", where)
		return
	}
	l.store.Error("the store has failed", "store", where, "error", causes.Line(err))
}

// Loading names the configuration that is being loaded.
func (l *Log) Loading(ctx caddy.Context) { l.loading.Store(ctx.Logger(keysLog{})) }

func (l *Log) current() *zap.Logger {
	if inForce := caddy.ActiveContext(); inForce.Context != nil {
		return inForce.Logger(keysLog{})
	}
	if loading := l.loading.Load(); loading != nil {
		return loading
	}
	return caddy.Log()
}

// keysLog names the log lines of key sources: logs of a configuration choose their lines by name. Writing to the
// default log is not enough: Caddy excludes from it what another log's "include" names.
type keysLog struct{}

const (
	keysLogName      = "http.handlers.bearer_auth.keys"
	consumersLogName = "http.handlers.bearer_auth.consumers"
	storeLogName     = "http.handlers.bearer_auth.store"
)

// CaddyModule implements caddy.Module. The module is not registered, so no configuration can load it.
func (keysLog) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: keysLogName, New: func() caddy.Module { return keysLog{} }}
}

// noTraces leaves out stack traces: they say nothing about a server that is down.
var noTraces = zapslog.AddStacktraceAt(slog.Level(127))

// handler looks up for every line where it goes.
type handler struct {
	log   *Log
	name  string
	attrs []slog.Attr
}

func (h handler) current() slog.Handler {
	handler := slog.Handler(zapslog.NewHandler(h.log.current().Core(), zapslog.WithName(h.name), noTraces))
	if len(h.attrs) > 0 {
		handler = handler.WithAttrs(h.attrs)
	}
	return handler
}

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.current().Enabled(ctx, level)
}

func (h handler) Handle(ctx context.Context, record slog.Record) error {
	return h.current().Handle(ctx, record)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.log, h.name, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup ignores groups, which key sources do not use.
func (h handler) WithGroup(string) slog.Handler { return h }
