package caddyjwt

import (
	"strings"
	"sync"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// warn tells something about the configuration, once for all of its handlers: twenty routes with the same issuer have
// one thing to say of it. A configuration that is loaded later tells it again.
func (r *reporter) warn(message string, fields ...zap.Field) {
	if warned.isNew(r.configuration, message, fields) {
		r.logger.Warn(message, fields...)
	}
}

// warned are the warnings about the configuration that was loaded last.
var warned warnings

// configuration tells configurations apart: Caddy makes a registry for each. Nothing is kept by it.
type configuration = weak.Pointer[prometheus.Registry]

type warnings struct {
	mu   sync.Mutex
	of   configuration
	told map[string]bool
}

// isNew reports whether a warning is new to a configuration. Where that is not known, each is.
func (w *warnings) isNew(of configuration, message string, fields []zap.Field) bool {
	if of == (configuration{}) {
		return true
	}
	var text strings.Builder
	text.WriteString(message)
	for _, field := range fields {
		text.WriteString("\x00" + field.Key + "\x00" + field.String)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of != of {
		w.of, w.told = of, make(map[string]bool)
	}
	if w.told[text.String()] {
		return false
	}
	w.told[text.String()] = true
	return true
}
