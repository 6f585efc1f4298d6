package caddyjwt

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// readDeadline is a writer that keeps the last deadline for reading.
type readDeadline struct {
	http.ResponseWriter
	last time.Time
}

func (w *readDeadline) SetReadDeadline(t time.Time) error {
	w.last = t
	return nil
}

// A refused client gets a deadline for the rest of its body. Once the whole message has been read, there is no rest,
// and the server would take the deadline for the client hanging up, while an error route is at work.
func TestDeadlineAfterARefusedMessage(t *testing.T) {
	h := provisioned(t, `{"optional":true,"consumers":[`+consumerJSON(t)+`],"mcp":{"default":"deny"}}`)
	none := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	for name, c := range map[string]struct {
		contentType string
		remains     bool
	}{"one that was read": {"application/json", false}, "one that was not": {"text/plain", true}} {
		message := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`)
		r := httptest.NewRequest(http.MethodPost, "/", struct{ io.Reader }{message}) // on its way, and not in memory
		r.Header.Set("Content-Type", c.contentType)
		w := &readDeadline{ResponseWriter: httptest.NewRecorder()}
		if err := h.ServeHTTP(w, r, none); err == nil {
			t.Errorf("%s: not refused", name)
		}
		if w.last.IsZero() == c.remains {
			t.Errorf("%s: the deadline is %v", name, w.last)
		}
	}
}
