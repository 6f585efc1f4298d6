//go:build e2e && e2eall

package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// An event source connects again by itself when its stream ends. When it then meets a 401, it gives up, as the HTML
// standard demands, and the page learns of it.
func TestABrowserLearnsThatItsStreamHasExpired(t *testing.T) {
	w := newWeb(t, byCookie+"\nend_at_expiry", func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			return
		}
		rw.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(rw, "retry: 10\ndata: hello\n\n")
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	})
	p := w.signedIn(t, w.token(t, "", 3*time.Second))
	var got struct {
		Messages, Ends int
		Waits          bool // for a new connection, at the first end
	}
	p.run(t, fmt.Sprintf(`
		const source = new EventSource(%q), got = { messages: 0, ends: 0, waits: false }
		return await new Promise((done) => {
			source.onmessage = () => { got.messages++ }
			source.onerror = () => {
				got.ends++
				got.waits ||= got.ends === 1 && source.readyState === EventSource.CONNECTING
				if (source.readyState === EventSource.CLOSED) done(got)
			}
		})`, protected+"/events"), &got)
	if got.Messages != 1 || got.Ends != 2 || !got.Waits {
		t.Errorf("%+v, want one message, an end after which the browser connects again, and one that is final", got)
	}
	if seen := w.reached(); seen != "GET /events" {
		t.Errorf("the backend has seen %q", seen)
	}
}
