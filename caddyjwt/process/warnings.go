package process

import (
	"strings"
	"sync"
	"weak"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Warnings remembers what has been said about the configuration that was loaded last. Twenty routes with the same
// issuer have one thing to say of it. A configuration that is loaded later says it again.
type Warnings struct {
	mu    sync.Mutex
	of    Configuration
	given map[string]bool
}

// Configuration tells configurations apart. It keeps nothing of them.
type Configuration struct {
	registry weak.Pointer[prometheus.Registry] // Caddy makes one for each
}

// ConfigurationOf is the configuration that a module is provisioned for.
func ConfigurationOf(ctx caddy.Context) Configuration {
	return Configuration{weak.Make(ctx.GetMetricsRegistry())}
}

// New reports whether a warning is new to a configuration. Where the configuration is not known, each warning is new.
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
