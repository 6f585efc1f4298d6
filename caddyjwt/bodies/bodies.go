// Package bodies bounds how long clients may take to send bodies, and keeps trailers from error routes.
package bodies

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// FormTimeout is how long a client may take to send a form that may hold its token.
const FormTimeout = 10 * time.Second

// RefusedTimeout is how long a refused client may go on sending its request's body. Before the answer, the server
// reads some of what is left of the body, and must not wait for a client that sends nothing. Once an error route has
// read the body to its end, net/http removes the deadline.
const RefusedTimeout = time.Second

// maxTrailedBody is how many bytes are read of a body whose trailers an error route must not see. The server itself
// reads as much of an unread body.
const maxTrailedBody = 256 << 10

// EndTrailers reads a body with trailers to its end before an error route sees the request, because forbidden names are
// removed from the trailers at the end of the body. It cannot be left to the error route: behind a handler that passes
// on a copy of the request, such as tracing or forward_auth, that route gets the original, with the same trailers and
// another body. So an error route gets no body when there are trailers.
func EndTrailers(w http.ResponseWriter, r *http.Request) {
	if r.Trailer == nil || r.Body == nil {
		return
	}
	Limit(w, RefusedTimeout)
	if _, err := io.CopyN(io.Discard, r.Body, maxTrailedBody); !errors.Is(err, io.EOF) {
		// Too long or too slow. The connection must end with this request: net/http does not know that the rest of a body
		// that was closed is still to come, and would take it for the next request.
		_ = r.Body.Close()
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
	}
	Limit(w, 0)
}

// Limit gives the client a deadline for what it still sends; 0 removes it. Where it cannot be set it is not
// needed: HTTP/3 has limits of its own.
func Limit(w http.ResponseWriter, limit time.Duration) {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	_ = http.NewResponseController(w).SetReadDeadline(deadline)
}
