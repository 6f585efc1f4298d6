// Package expiry ends responses that would outlive the token of their request. A gate judges a token when a request
// begins, but a WebSocket or an event stream may go on for days.
package expiry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Kind is what was ended. The values are labels of a metric.
type Kind string

// The kinds of responses.
const (
	Upgrade Kind = "upgrade" // a tunnel: after status 101, or after an extended CONNECT (RFC 8441, RFC 9220)
	Events  Kind = "events"  // text/event-stream
	Other   Kind = "other"
)

// Cause is why a response was ended. The values are labels of a metric.
type Cause string

// The causes.
const (
	Expired Cause = "expired"
	Revoked Cause = "revoked"
)

// ErrNotBegun reports that the response ended before it began. Nothing has been sent, and the method is safe, so the
// request can be refused like one that comes with an expired token.
var ErrNotBegun = errors.New("the token was no longer in force when the response was to begin")

// ErrRevoked is the ErrNotBegun of a token that was revoked.
var ErrRevoked = fmt.Errorf("%w: it was revoked", ErrNotBegun)

// logField is the field of an ended response in the access log.
const logField = "auth_ended"

// Ending ends the responses of one route. A nil *Ending ends none.
type Ending struct {
	// All ends every response. Without it only tunnels and event streams end.
	All bool
	// Ended is called once for each response that is ended, from any goroutine. It must be quick. It may be nil.
	Ended func(Kind, Cause)
}

// Life is how long a token is in force. That of the zero value never ends.
type Life struct {
	// Expires is when the token expires, with the leeway in it. The zero time means never.
	Expires time.Time
	// Watch has end called as soon as the token is revoked; if it is revoked already, at once. The response calls stop
	// when it is over. A call of end that comes later does nothing. Nil means that the token cannot be revoked.
	Watch func(end func()) (stop func())
}

// Serve serves an accepted request, and ends the response when the life of the token does.
//
// Tunnels and event streams end cleanly: the client of an event stream connects again, and an unfinished event does not
// count (HTML section 9.2.6). Any other response is cut, so that nobody takes it for a complete one.
func (e *Ending) Serve(
	w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, life Life,
) (err error) {
	if e == nil || life.Expires.IsZero() && life.Watch == nil {
		return next.ServeHTTP(w, r)
	}
	ctx, cancel := context.WithCancel(r.Context())
	p := &response{
		ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		ending:                e, life: life, cancel: cancel,
		connect: r.Method == http.MethodConnect, major: r.ProtoMajor,
	}
	*r = *r.WithContext(ctx) // in place: net/http adds trailers to this very request
	var before http.Header
	if e.All {
		before = w.Header().Clone()
		p.arm()
	}
	defer func() {
		if how := p.over(); how.ended {
			if reason := recover(); reason != nil && !aborts(reason) {
				panic(reason)
			}
			if err = how.result(r); errors.Is(err, ErrNotBegun) {
				// The handler may have set some of its own header: a cookie, or a length that the refusal does not have.
				clear(w.Header())
				maps.Copy(w.Header(), before)
			}
		}
	}()
	return next.ServeHTTP(p, r)
}

// aborts reports whether a handler has panicked only to cut its response off, as a proxy does.
func aborts(reason any) bool {
	err, ok := reason.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// outcome is how a response was when its handler returned.
type outcome struct {
	ended bool
	cause Cause
	clean bool // the response may end as if it were complete

	// unsent reports that nothing was sent, and that something still can be.
	unsent bool
}

// result is what Serve returns for an ended response. It panics to cut one off: net/http then closes the connection or
// resets the stream, and logs nothing.
func (o outcome) result(r *http.Request) error {
	if fields, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		fields.Set(zap.String(logField, string(o.cause)))
	}
	switch {
	case o.clean:
		return nil
	case o.unsent && isSafe(r.Method):
		// Error routes must be able to work, and need what handlers have put into the context.
		*r = *r.WithContext(context.WithoutCancel(r.Context()))
		if o.cause == Revoked {
			return ErrRevoked
		}
		return ErrNotBegun
	default:
		panic(http.ErrAbortHandler)
	}
}

// isSafe reports whether a request has changed nothing (RFC 9110 section 9.2.1). After another one, a refusal would be
// a lie: the backend may have done what it was asked, and the client would ask again.
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
