package caddyjwt

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// privateWriter keeps shared caches from storing an answer to a request whose token was not in Authorization. For that
// header RFC 9111 section 3.5 does so; for other places nothing does (RFC 6750 section 2.3).
type privateWriter struct {
	caddyhttp.ResponseWriterWrapper
	done bool
}

func keepPrivate(w http.ResponseWriter) *privateWriter {
	return &privateWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

// WriteHeader adds the directive to the final header. Informational answers do not need it.
func (w *privateWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.mark()
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write is needed because a handler may write without calling WriteHeader.
func (w *privateWriter) Write(p []byte) (int, error) {
	w.mark()
	return w.ResponseWriterWrapper.Write(p)
}

// ReadFrom is needed for the same reason, and keeps the short way for large answers open.
func (w *privateWriter) ReadFrom(r io.Reader) (int64, error) {
	w.mark()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is needed because a handler may send the header before it has anything to write. http.ResponseController
// looks for a method of this name.
func (w *privateWriter) FlushError() error {
	w.mark()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// mark adds the directive to the header, once. After the header has been sent it is too late anyway.
func (w *privateWriter) mark() {
	if w.done {
		return
	}
	w.done = true
	h := w.Header()
	bearer.DropTargetedCacheControl(h)
	h["Cache-Control"] = []string{private(h["Cache-Control"])}
}

// private is a Cache-Control without what would let a shared cache store the answer, and with "private" or "no-store".
func private(fields []string) string {
	kept := []string{"private"}
	for _, field := range fields {
		for directive := range strings.SplitSeq(field, ",") {
			directive = strings.TrimSpace(directive)
			name, _, _ := strings.Cut(strings.ToLower(directive), "=")
			switch name {
			case "", "public", "s-maxage", "private":
			case "no-store":
				return "no-store"
			default:
				kept = append(kept, directive)
			}
		}
	}
	return strings.Join(kept, ", ")
}
