package gate

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// Answer is what a refused client gets: a status and the headers that go with it.
type Answer struct {
	// Status is the HTTP status code.
	Status int
	// Header has the fields of the answer, each challenge as a field of its own. All requests share it: nobody may
	// change it.
	Header http.Header
	// Text is what a client may know, in words: for error pages and for logs that anybody may read.
	Text string
}

// WriteTo sets the answer's fields in h, in place of others of the same names. h gets copies, which are the caller's.
func (a Answer) WriteTo(h http.Header) {
	bearer.DropTargetedCacheControl(h)
	for name, values := range a.Header {
		h[name] = slices.Clone(values)
	}
}

// headerOf makes the fields of an answer. No refusal may be stored by a cache: the next token may be a good one.
func headerOf(challenges ...string) http.Header {
	h := http.Header{"Cache-Control": {"no-store"}}
	if len(challenges) > 0 {
		h["Www-Authenticate"] = challenges
	}
	return h
}

// The error descriptions, one per error code or class of status: a client learns the class of its mistake, while which
// rule refused it is for the operator's log. Telling an unknown key from a bad signature or an unknown issuer would
// make the gate an oracle. Those without an error code are in no challenge (RFC 6750 section 3.1), but on error pages.
const (
	describeMissing           = "an access token is needed"
	describeUnavailable       = "the access token cannot be checked at the moment; try again later"
	describeFailed            = "the access token could not be checked"
	describeInvalidRequest    = "exactly one well-formed access token is needed"
	describeInvalidToken      = "the access token is expired, revoked, malformed or otherwise invalid"
	describeInsufficientScope = "the access token does not give the rights that this resource requires"
)

// Answer maps a failure to what the client gets; this is the only place that knows.
//
//	situation                                             status  challenge (RFC 6750 section 3.1)
//	no credentials                                        401     Bearer with realm (and scope), no error code
//	not one well-formed credential                        400     error="invalid_request"
//	form body longer than is read                         413     error="invalid_request"
//	token malformed, unknown, expired, inactive, …        401     error="invalid_token"
//	token fine, but not enough for this route             403     error="insufficient_scope", scope="…"
//	key not known yet, no keys, no authorization server   503     none; Retry-After
//	forms take all the memory that they may               503     none; Retry-After
//	authorization server broke the protocol               502     none
//	authorization server too slow                         504     none
//	the client left before there was an answer            499     none (for the access log: nobody reads it)
//	a fault of ours                                       500     none
func (g *Gate) Answer(f *Failure) Answer {
	answer, ok := g.answers[f.Reason]
	if !ok {
		answer = g.answerTo(f.Reason)
	}
	if f.Challenge != nil {
		challenge := *f.Challenge
		challenge.Realm = g.realm
		answer.Header = headerOf(challenge.String())
	}
	if answer.Status == http.StatusServiceUnavailable {
		answer.Header = headerOf()
		answer.Header["Retry-After"] = []string{retryAfter(f.RetryAfter)}
	}
	return answer
}

// prepare makes the answers to all reasons: they depend on nothing else but on when to try again.
func (g *Gate) prepare() {
	g.answers = make(map[Reason]Answer)
	for _, reason := range Reasons() {
		g.answers[reason] = g.answerTo(reason)
	}
}

func (g *Gate) answerTo(reason Reason) Answer {
	challenge := bearer.Challenge{Realm: g.realm}
	status, text := http.StatusUnauthorized, ""
	switch reason {
	case MissingToken:
		// RFC 6750 section 3.1: no error code when the request lacks any authentication information.
		challenge.Scope, text = g.require.scopeText, describeMissing
	case MalformedRequest:
		status = http.StatusBadRequest
		challenge.Error, challenge.Description = "invalid_request", describeInvalidRequest
	case BodyTooLarge:
		status = http.StatusRequestEntityTooLarge
		challenge.Error, challenge.Description = "invalid_request", describeInvalidRequest
	case InsufficientScope, ClaimMismatch:
		status = http.StatusForbidden
		challenge.Error, challenge.Description = "insufficient_scope", describeInsufficientScope
		challenge.Scope = g.require.scopeText
	case Overloaded, KeyPending, KeysUnavailable, IntrospectionUnavailable:
		return Answer{http.StatusServiceUnavailable, headerOf(), describeUnavailable}
	case IntrospectionFailed:
		return Answer{http.StatusBadGateway, headerOf(), describeFailed}
	case IntrospectionTimeout:
		return Answer{http.StatusGatewayTimeout, headerOf(), describeFailed}
	case ClientGone:
		return Answer{statusClientClosedRequest, headerOf(), describeFailed}
	case InternalError:
		return Answer{http.StatusInternalServerError, headerOf(), describeFailed}
	default:
		challenge.Error, challenge.Description = "invalid_token", describeInvalidToken
	}
	if challenge.Description != "" {
		text = challenge.Description
	}
	return Answer{status, headerOf(challenge.String()), text}
}

// statusClientClosedRequest is what nginx and Caddy log when the client has gone.
const statusClientClosedRequest = 499

// retryAfter is in whole seconds, rounded up, and never zero: "at once" would invite a stampede (RFC 9110 section
// 10.2.3).
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
