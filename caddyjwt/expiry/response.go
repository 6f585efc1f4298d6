package expiry

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// grace is how long a handler may take to notice that its response has ended. Then the client's side is cut. A write to
// a client that does not read ends only in this way.
const grace = time.Second

// response is one response that may be ended. The timer's goroutine ends it while the handler may be writing, so the
// state has a lock. The handler holds it only when the response begins and ends.
type response struct {
	caddyhttp.ResponseWriterWrapper
	ending  *Ending
	life    Life
	cancel  context.CancelFunc // of the handler's context
	connect bool               // the request's method is CONNECT
	major   int                // the version of HTTP

	begun atomic.Bool // the header has been sent, or is being sent
	ended atomic.Bool // nothing more is written

	mu      sync.Mutex
	kind    Kind
	cause   Cause
	cut     bool    // the client's side was cut
	done    bool    // the handler has returned, or the tunnel was closed
	tunnel  *tunnel // after Hijack
	armed   bool
	timer   *time.Timer // for the expiry, and then for the grace
	unwatch func()      // nil without Life.Watch, and when it has been called
}

// begin notes that the response begins, and of which kind it is. It reports whether anything may still be written.
func (p *response) begin(status int) bool {
	if p.ended.Load() {
		return false
	}
	if p.begun.Load() {
		return true
	}
	p.mu.Lock()
	if p.ended.Load() || p.begun.Load() {
		p.mu.Unlock()
		return !p.ended.Load()
	}
	p.begun.Store(true)
	p.kind = p.kindOf(status)
	p.mu.Unlock()
	if p.kind != Other && !p.ending.All {
		p.arm()
	}
	return true
}

func (p *response) kindOf(status int) Kind {
	switch {
	case status == http.StatusSwitchingProtocols, p.connect && status >= 200 && status < 300:
		return Upgrade
	case isEventStream(p.Header()):
		return Events
	default:
		return Other
	}
}

// isEventStream reports whether a client may take the response for an event stream. It does not insist on the grammar
// of media types: clients differ in what they forgive.
func isEventStream(h http.Header) bool {
	const eventStream = "text/event-stream"
	for name, values := range h {
		if len(name) != len("Content-Type") || !strings.EqualFold(name, "Content-Type") {
			continue
		}
		for _, value := range values {
			value = strings.TrimLeft(value, " \t")
			if len(value) >= len(eventStream) && strings.EqualFold(value[:len(eventStream)], eventStream) {
				return true
			}
		}
	}
	return false
}

// arm makes sure that the response ends in time.
func (p *response) arm() {
	p.mu.Lock()
	if p.done || p.armed {
		p.mu.Unlock()
		return
	}
	p.armed = true
	if !p.life.Expires.IsZero() {
		p.timer = time.AfterFunc(time.Until(p.life.Expires), func() { p.end(Expired) })
	}
	p.mu.Unlock()
	if p.life.Watch == nil {
		return
	}
	unwatch := p.life.Watch(func() { p.end(Revoked) }) // without the lock: it may call at once
	p.mu.Lock()
	p.unwatch = unwatch
	over := p.done
	p.mu.Unlock()
	if over {
		p.finish()
	}
}

// end ends the response. From now on the handler can write nothing, and its context is over: a proxy gives up the
// backend. A response that cannot end cleanly is cut at once.
func (p *response) end(cause Cause) {
	p.mu.Lock()
	if p.done || p.ended.Load() {
		p.mu.Unlock()
		return
	}
	p.ended.Store(true)
	p.cause = cause
	kind, opened := p.kind, p.tunnel
	if !p.begun.Load() {
		kind = Other
	}
	if p.ending.Ended != nil {
		p.ending.Ended(kind, cause) // before the client can notice
	}
	p.cancel()
	switch {
	case opened != nil:
	case p.begun.Load() && kind == Other:
		p.cutOff()
	default:
		p.after(grace, p.cutLate)
	}
	p.mu.Unlock()
	if opened != nil {
		_ = opened.Conn.Close() // without the lock: it may say goodbye to the client first, and so block (TLS)
	}
}

// after starts the timer again. The caller has the lock.
func (p *response) after(d time.Duration, do func()) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(d, do)
}

// cutLate cuts a response whose handler has not noticed that it has ended.
func (p *response) cutLate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.done {
		p.cutOff()
	}
}

// cutOff makes reads from the client and writes to it fail, those that are under way included. The caller has the lock:
// after the handler has returned, the connection belongs to the next request.
//
// It asks the server's own writer. Those around it are not made for use from another goroutine, and Caddy's sets a new
// deadline for each piece that it writes. So over HTTP/1.1 and HTTP/3 the deadline is set again and again. HTTP/2
// resets the stream at once.
func (p *response) cutOff() {
	p.cut = true
	w := p.ResponseWriter
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = outer.Unwrap()
	}
	client, past := http.NewResponseController(w), time.Unix(1, 0)
	_ = client.SetReadDeadline(past)
	_ = client.SetWriteDeadline(past)
	if p.major != 2 {
		p.after(grace, p.cutLate)
	}
}

// over says how the response was when its handler returned. A tunnel whose handler has left it open goes on.
func (p *response) over() outcome {
	p.mu.Lock()
	how := outcome{ended: p.ended.Load(), cause: p.cause}
	switch {
	case p.tunnel != nil:
		how.clean = true
	case p.begun.Load():
		how.clean = !p.cut && p.kind != Other
	default:
		how.unsent = !p.cut
	}
	if p.tunnel != nil && !p.done && !how.ended {
		p.mu.Unlock()
		return how
	}
	p.unlockAndFinish()
	return how
}

// finish stops everything that could still end the response.
func (p *response) finish() {
	p.mu.Lock()
	p.unlockAndFinish()
}

// unlockAndFinish finishes in the same moment in which the caller has looked at the state.
func (p *response) unlockAndFinish() {
	p.done = true
	if p.timer != nil {
		p.timer.Stop()
	}
	unwatch := p.unwatch
	p.unwatch = nil
	p.mu.Unlock()
	if unwatch != nil {
		unwatch() // without the lock: it is foreign code
	}
}
