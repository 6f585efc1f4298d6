package gate

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/introspect"
)

// The gate's border: who takes the token out of a request, who is asked about it, who knows that it is revoked, what a
// route requires, and what the backend learns. The steps between them and their order are not to be chosen: they are
// what makes the gate safe. All of these are used by many requests at once.

// Extractor finds the token of a request, and takes it out. *bearer.Extractor is one.
type Extractor interface {
	// Places lists where a token may be. A Credential names its place by the index.
	Places() []bearer.Place
	// Extract finds the one token of a request. The error is or wraps one of bearer's, such as bearer.ErrMissing; any
	// other counts as a malformed request.
	Extract(r *http.Request) (bearer.Credential, error)
	// ReadsBody reports whether Extract reads the request's body. It gives the body back.
	ReadsBody(r *http.Request) bool
	// InHeader reports whether there is something in one of the places that are header fields or cookies.
	InHeader(h http.Header) bool
	// Needs reports whether a header field, in whatever spelling, may hold a token.
	Needs(field string) bool
	// Remove takes whatever is in the places out of a request.
	Remove(r *http.Request)
}

// Asker asks an authorization server about tokens. *introspect.Client is one.
type Asker interface {
	// Introspect asks about a token. The Value of an active answer comes from DecodeAnswer or DecodeUserInfo. The error
	// is introspect.ErrToken for a token that cannot be asked about, and an *introspect.NoVerdictError where the server
	// gave no usable answer; any other means that it could not be asked.
	Introspect(ctx context.Context, token string, options ...introspect.Option) (introspect.Result, error)
}

// Revocations knows which tokens are revoked before they expire.
type Revocations interface {
	// Revoked reports whether the token of an identity is revoked. It is called for each request with a token, also
	// when the token is remembered: it must answer from memory. An error says that nobody knows; the request is refused
	// with 503 then.
	Revoked(id *Identity, now time.Time) (bool, error)
}

// Requirement is something that a route asks of an identity.
type Requirement interface {
	// Check gives the failure of an identity that does not bring what is required, and nil for one that does. An
	// anonymous identity has no claims. A failure may name the challenge that the client gets.
	Check(id *Identity, now time.Time) *Failure
}

// Output tells the backend in header fields who is calling.
type Output interface {
	// Names lists the fields that Write may set. They are removed from every request first, however a client spells
	// them.
	Names() []string
	// Write sets fields. An error refuses the request; the gate removes what was set then.
	Write(h http.Header, id *Identity) error
}
