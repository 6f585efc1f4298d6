package process

import (
	"strings"
	"sync"
	"weak"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Warnings remembers the warnings about the configuration that was loaded last, so that twenty routes with the same
// issuer give one warning about it. The next configuration gives it again.
type Warnings struct {
	mu    sync.Mutex
	of    Configuration
	given map[string]bool
}

// Configuration identifies a configuration, without keeping anything of it in memory.
type Configuration struct {
	registry weak.Pointer[prometheus.Registry] // Caddy makes one for each
}

// ConfigurationOf is the configuration that a module is provisioned for.
func ConfigurationOf(ctx caddy.Context) Configuration {
	return Configuration{weak.Make(ctx.GetMetricsRegistry())}
}

// New reports whether a warning is new for a configuration. If the configuration is not known, every warning is new.
func (w *Warnings) New(to Configuration, message string, fields []zap.Field) bool {
	if to == (Configuration{}) {
		return true
	}
	var text strings.Builder
	text.WriteString(message)
	for _, field := range fields {
		text.WriteString("\x00" + field.Key + "\x00" + field.String)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of != to {
		w.of, w.given = to, make(map[string]bool)
	}
	if w.given[text.String()] {
		return false
	}
	w.given[text.String()] = true
	return true
}
