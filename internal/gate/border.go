package gate

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/introspect"
)

// The interfaces at the gate's border: extracting the token, asking about it, revocation, requirements, and output to
// the backend. Implementations can be exchanged. The steps between them and their order are fixed, since they make the
// gate safe. Each implementation must be safe for concurrent use.

// Extractor finds the token in a request and removes it. *bearer.Extractor implements it.
type Extractor interface {
	// Places lists where a token may be. A Credential refers to its place by the index.
	Places() []bearer.Place
	// Extract finds the one token of a request. The error is or wraps one of bearer's, such as bearer.ErrMissing; any
	// other counts as a malformed request.
	Extract(r *http.Request) (bearer.Credential, error)
	// ReadForm reads a form that may hold a token, as Extract does, so that Remove finds the token in it. It judges no
	// token. Its errors are those of Extract.
	ReadForm(r *http.Request) error
	// ReadsBody reports whether Extract reads the request's body. Extract puts the body back.
	ReadsBody(r *http.Request) bool
	// InHeader reports whether a header field is present that may hold a token, in whatever spelling. Cookies do not
	// count.
	InHeader(h http.Header) bool
	// Needs reports whether a header field, in whatever spelling, may hold a token.
	Needs(field string) bool
	// Remove removes the content of all places from a request.
	Remove(r *http.Request)
}

// Asker asks an authorization server about tokens. *introspect.Client implements it.
type Asker interface {
	// Introspect asks about a token. The Value of an active answer comes from DecodeAnswer or DecodeUserInfo. The error
	// is introspect.ErrToken for a token that cannot be asked about, and an *introspect.NoVerdictError if the server
	// gave no usable answer. Any other error means that the server could not be asked.
	Introspect(ctx context.Context, token string, options ...introspect.Option) (introspect.Result, error)
}

// Revocations knows which tokens are revoked before they expire.
type Revocations interface {
	// Revoked reports whether the token of an identity is revoked. It is called for each request with a token, even if
	// the token is cached, so it must answer from memory. An error means that the state is unknown; the request is then
	// refused with status 503.
	Revoked(id *Identity, now time.Time) (bool, error)
}

// Requirement is something that a route requires of an identity.
type Requirement interface {
	// Check returns a failure unless the identity meets the requirement. An anonymous identity has no claims. The
	// failure may carry a Reply for the client.
	Check(id *Identity, now time.Time) *Failure
}

// Output sets header fields from which the backend learns who is calling.
type Output interface {
	// Names lists the fields that Write may set. Strip removes them from every request first, in whatever spelling.
	Names() []string
	// Write sets fields. An error refuses the request, and the gate removes what was set.
	Write(h http.Header, id *Identity) error
}
