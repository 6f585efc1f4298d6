package caddyjwt

import (
	"context"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/exp/zapslog"
)

// sourceLog is the logger of what outlives a configuration: it writes to whatever Caddy's log is at that moment, not to
// the one of the configuration that happened to come first.
var sourceLog = slog.New(currentLog{})

type currentLog struct{ attrs []slog.Attr }

func (l currentLog) handler() slog.Handler {
	handler := slog.Handler(zapslog.NewHandler(caddy.Log().Core(), zapslog.WithName("http.handlers.bearer_auth.keys")))
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
