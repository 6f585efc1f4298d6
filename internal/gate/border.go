package gate

import (
	"context"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/introspect"
)

// The interfaces at the gate's border: extracting the token, asking about it, revocation, and requirements. That for
// output to the backend is in package output. Implementations can be exchanged. The steps between them and their order
// are fixed, since they make the gate safe. Each implementation must be safe for concurrent use.

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

// Asker asks an authorization server about tokens. *introspect.Client implements it. That of a Local issuer opens its
// opaque tokens itself.
type Asker interface {
	// Introspect asks about a token. The Value of an active answer comes from DecodeAnswer, DecodeUserInfo or DecodeOwn.
	// The error is introspect.ErrToken for a token that cannot be asked about, and an *introspect.NoVerdictError if the
	// server gave no usable answer. Any other error means that the server could not be asked. For a token of a Local
	// issuer that does not open, the error is introspect.ErrToken, or one that keyset.Verify has about a JWT.
	Introspect(ctx context.Context, token string, options ...introspect.Option) (introspect.Result, error)
}

// Revocations knows which tokens are revoked before they expire. It is asked on each request with a token, so it must
// answer from memory. *revoke.List implements it.
type Revocations interface {
	// Generation changes with each revocation, and is never 0. An error means that it is unknown what is revoked; the
	// request is then refused with status 503.
	Generation(now time.Time) (uint64, error)
	// Revokes reports whether a token is revoked, and by what. The answer holds until the generation changes.
	Revokes(t revoke.Token) (by revoke.Match, revoked bool)
	// Watch has end called once a token is revoked: at once if it already is, and otherwise from another goroutine.
	Watch(t revoke.Token, end func()) (stop func())
}

// Requirement is something that a route requires of an identity.
type Requirement interface {
	// Check returns a failure unless the identity meets the requirement. An anonymous identity has no claims. The
	// failure may carry a Reply for the client.
	Check(id *Identity, now time.Time) *Failure
}
