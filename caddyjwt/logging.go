package caddyjwt

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
)

// sourceLog is the logger of what outlives a configuration: it writes to the logs of the one that is in force at that moment,
// not of the one that happened to come first.
var sourceLog = slog.New(currentLog{})

// keysLog names the log lines of key sources, by which the logs of a configuration choose what they take. The default log alone
// will not do: Caddy takes out of it what the "include" of another names.
type keysLog struct{}

const keysLogName = "http.handlers.bearer_auth.keys"

// CaddyModule implements caddy.Module. It is not registered: nothing of it can be loaded.
func (keysLog) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: keysLogName, New: func() caddy.Module { return keysLog{} }}
}

// loadingLog is the logger of the configuration that was loaded last, which has the say while none is in force.
var loadingLog atomic.Pointer[zap.Logger]

func logWhileLoading(ctx caddy.Context) { loadingLog.Store(ctx.Logger(keysLog{})) }

func currentLogger() *zap.Logger {
	if inForce := caddy.ActiveContext(); inForce.Context != nil {
		return inForce.Logger(keysLog{})
	}
	if loading := loadingLog.Load(); loading != nil {
		return loading
	}
	return caddy.Log()
}

// noTraces leaves out the stack of what tells an error: it says nothing about a server that is down.
var noTraces = zapslog.AddStacktraceAt(slog.Level(127))

type currentLog struct{ attrs []slog.Attr }

func (l currentLog) handler() slog.Handler {
	handler := slog.Handler(zapslog.NewHandler(currentLogger().Core(), zapslog.WithName(keysLogName), noTraces))
	if len(l.attrs) > 0 {
		handler = handler.WithAttrs(l.attrs)
	}
	return handler
}

func (l currentLog) Enabled(ctx context.Context, level slog.Level) bool {
	return l.handler().Enabled(ctx, level)
}

func (l currentLog) Handle(ctx context.Context, record slog.Record) error {
	return l.handler().Handle(ctx, record)
}

func (l currentLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return currentLog{append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

// WithGroup is not used by the sources; their attributes stay at the top level.
func (l currentLog) WithGroup(string) slog.Handler { return l }
