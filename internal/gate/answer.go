package gate

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// Answer is the response to a refused request: a status and headers, and what a body may say.
type Answer struct {
	// Status is the HTTP status code.
	Status int
	// Header has the fields of the response. Each challenge is a field line of its own. All requests share the map, so
	// it must not be changed.
	Header http.Header
	// Text tells the client as much as it may know. It suits error pages, and logs that anybody may read.
	Text string
	// Code is the error code of the challenge (RFC 6750 section 3.1), the first one if there are several challenges. Text
	// is then its description, if it has one. Code is empty for a request without a token, and for trouble of ours.
	Code string
	// Scope is that of the same challenge: the scopes that are needed, separated by single spaces. It may be empty.
	Scope string
	// ResourceMetadata is that of the same challenge. It may be empty.
	ResourceMetadata string
	// ACRValues and MaxAge are those of the same challenge (RFC 9470 section 3): authentication context classes that are
	// accepted, separated by single spaces, and how long ago the user may have signed in. They may be empty.
	ACRValues string
	MaxAge    time.Duration
}

// WriteTo sets the answer's fields in h and replaces fields of the same names. The caller may change the copies in h.
func (a Answer) WriteTo(h http.Header) {
	bearer.DropTargetedCacheControl(h)
	for name, values := range a.Header {
		h[name] = slices.Clone(values)
	}
}

// headerOf makes the fields of an answer. Caches must not store a refusal: the next token may be good.
func headerOf(challenges ...string) http.Header {
	h := http.Header{"Cache-Control": {"no-store"}}
	if len(challenges) > 0 {
		h["Www-Authenticate"] = challenges
	}
	return h
}

// The error descriptions, one per error code or class of status. A client learns the class of its mistake; the rule
// that refused it is for the operator's log only. A gate that distinguished an unknown key from a bad signature or an
// unknown issuer would be an oracle. A description without an error code appears on error pages, but not in a challenge
// (RFC 6750 section 3.1).
const (
	describeMissing           = "an access token is needed"
	describeUnavailable       = "the access token cannot be checked at the moment; try again later"
	describeFailed            = "the access token could not be checked"
	describeInvalidRequest    = "exactly one well-formed access token is needed"
	describeInvalidMessage    = "exactly one well-formed MCP message is needed"
	describeToolDenied        = "this tool cannot be used here"
	describeInvalidToken      = "the access token is expired, revoked, malformed or otherwise invalid"
	describeCrossOrigin       = "a page of another origin sent this request, and its access token is in a cookie"
	describePlainHTTP         = "the access token came without TLS, where others can read it: use https and a new token"
	describeInvalidProof      = "a fresh DPoP proof for this request and this access token is needed"
	describeNonce             = "the DPoP proof needs the nonce of this response"
	describeTooMany           = "too many requests with proofs of one key; try again later"
	describeStepUp            = "the user must sign in again, or in a stronger way"
	describeInsufficientScope = "the access token does not give the rights that this resource requires"
)

// Answer maps a failure to the response to the client. No other code decides that.
//
//	situation                                             status  challenge (RFC 6750 section 3.1)
//	no credentials                                        401     Bearer with realm (and scope), no error code
//	not one well-formed credential                        400     error="invalid_request"
//	not one well-formed MCP message                       400     error="invalid_request"
//	body that must be read over the limit                 413     error="invalid_request"
//	token malformed, unknown, expired, revoked, …         401     error="invalid_token"
//	valid token, but the user must sign in again          401     error="insufficient_user_authentication", …
//	valid token, but not enough for this route            403     error="insufficient_scope", scope="…"
//	DPoP proof missing, wrong or used before              401     error="invalid_dpop_proof"
//	DPoP proof without a nonce of ours                    401     error="use_dpop_nonce"; DPoP-Nonce
//	more DPoP proofs of one key than are remembered       429     none; Retry-After
//	page of another origin, token in a cookie             403     none
//	token over http, where it must not come so            403     none
//	MCP tool that nobody may run                          403     Bearer with realm, no error code
//	key not known yet, no keys, no authorization server   503     none; Retry-After
//	not known which tokens are revoked, or proofs used    503     none; Retry-After
//	bodies use all memory, or decryptions all turns       503     none; Retry-After
//	authorization server broke the protocol               502     none
//	authorization server too slow                         504     none
//	the client left before there was an answer            499     none (seen only in the access log)
//	a fault of ours                                       500     none
//
// Challenges in the failure's Reply replace the one above, except for status 503, which has none.
func (g *Gate) Answer(f *Failure) Answer {
	answer, ok := g.answersTo(f.withDPoP)[f.Reason]
	if !ok {
		answer = g.answerTo(f.Reason, f.withDPoP)
	}
	switch answer.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		answer.Header = maps.Clone(answer.Header)
		answer.Header["Retry-After"] = []string{retryAfter(f.RetryAfter)}
	}
	if f.Reply != nil {
		answer = g.withReply(answer, f)
	}
	return answer
}

// withReply is an answer with the Reply of a failure in it.
func (g *Gate) withReply(answer Answer, f *Failure) Answer {
	own, reply := answer.Header, f.Reply
	if reply.Challenges != nil && answer.Status != http.StatusServiceUnavailable {
		challenges := make([]string, 0, len(reply.Challenges))
		answer.Code, answer.Scope, answer.ACRValues, answer.MaxAge = "", "", "", 0
		for _, challenge := range reply.Challenges {
			challenge.Realm, challenge.ResourceMetadata = g.realm, g.metadata
			challenges = append(challenges, g.challenges(answer.Status, challenge, f.withDPoP)...)
			if answer.Code != "" {
				continue
			}
			answer.Scope = challenge.Scope
			if challenge.Error != "" {
				answer.Code, answer.Text = challenge.Error, cmp.Or(challenge.Description, answer.Text)
				answer.ACRValues, answer.MaxAge = challenge.ACRValues, challenge.MaxAge
			}
		}
		own = headerOf(challenges...)
	}
	answer.Header = make(http.Header, len(reply.Header)+len(own))
	maps.Copy(answer.Header, reply.Header)
	maps.Copy(answer.Header, own)
	return answer
}

// prepare makes the answers to all reasons once: those about tokens with the scheme Bearer or in another place, and
// those about tokens with the scheme DPoP. Only Retry-After, DPoP-Nonce and a failure's own Reply vary by request.
func (g *Gate) prepare() {
	for _, withDPoP := range []bool{false, true} {
		answers := make(map[Reason]Answer)
		for _, reason := range Reasons() {
			answers[reason] = g.answerTo(reason, withDPoP)
		}
		if withDPoP {
			g.dpopAnswers = answers
		} else {
			g.answers = answers
		}
	}
}

func (g *Gate) answersTo(withDPoP bool) map[Reason]Answer {
	if withDPoP {
		return g.dpopAnswers
	}
	return g.answers
}

func (g *Gate) answerTo(reason Reason, withDPoP bool) Answer {
	challenge := bearer.Challenge{Realm: g.realm, ResourceMetadata: g.metadata}
	status, text := http.StatusUnauthorized, ""
	switch reason {
	case MissingToken:
		// RFC 6750 section 3.1: no error code if the request lacks any authentication information.
		challenge.Scope, text = g.require.scopeText, describeMissing
	case MalformedRequest:
		status = http.StatusBadRequest
		challenge.Error, challenge.Description = "invalid_request", describeInvalidRequest
	case MalformedMessage:
		status = http.StatusBadRequest
		challenge.Error, challenge.Description = "invalid_request", describeInvalidMessage
	case ToolDenied:
		// No error code: after insufficient_scope, clients ask for a token with more scopes, and none would help.
		status, text = http.StatusForbidden, describeToolDenied
	case BodyTooLarge:
		status = http.StatusRequestEntityTooLarge
		challenge.Error, challenge.Description = "invalid_request", describeInvalidRequest
	case CrossOrigin:
		// The token is not the trouble, and no other token would help. So there is no challenge: RFC 9110 section 15.5.4 asks
		// for none, and none of the error codes of RFC 6750 section 3.1 fits.
		return Answer{Status: http.StatusForbidden, Header: headerOf(), Text: describeCrossOrigin}
	case PlainHTTP:
		// As above: what is wrong is how the token came.
		return Answer{Status: http.StatusForbidden, Header: headerOf(), Text: describePlainHTTP}
	case InvalidProof, ProofReplayed:
		challenge.Error, challenge.Description = "invalid_dpop_proof", describeInvalidProof
	case NonceRequired:
		challenge.Error, challenge.Description = "use_dpop_nonce", describeNonce
	case TooManyProofs:
		return Answer{Status: http.StatusTooManyRequests, Header: headerOf(), Text: describeTooMany}
	case InsufficientUserAuthentication:
		challenge.Error, challenge.Description = "insufficient_user_authentication", describeStepUp
		challenge.ACRValues, challenge.MaxAge = g.require.acrValues, g.require.maxAuthAge
	case InsufficientScope, ClaimMismatch, UnknownConsumer:
		status = http.StatusForbidden
		challenge.Error, challenge.Description = "insufficient_scope", describeInsufficientScope
		challenge.Scope = g.require.scopeText
	case Overloaded, KeyPending, KeysUnavailable, RevocationsUnavailable, ProofsUnavailable, IntrospectionUnavailable:
		return Answer{Status: http.StatusServiceUnavailable, Header: headerOf(), Text: describeUnavailable}
	case IntrospectionFailed:
		return Answer{Status: http.StatusBadGateway, Header: headerOf(), Text: describeFailed}
	case IntrospectionTimeout:
		return Answer{Status: http.StatusGatewayTimeout, Header: headerOf(), Text: describeFailed}
	case ClientGone:
		return Answer{Status: statusClientClosedRequest, Header: headerOf(), Text: describeFailed}
	case InternalError:
		return Answer{Status: http.StatusInternalServerError, Header: headerOf(), Text: describeFailed}
	default:
		challenge.Error, challenge.Description = "invalid_token", describeInvalidToken
		if g.metadata != "" {
			// A client that has lost its token asks for a new one with these scopes, and would otherwise lose them.
			challenge.Scope = g.require.scopeText
		}
	}
	if challenge.Description != "" {
		text = challenge.Description
	}
	return Answer{
		Status: status, Header: headerOf(g.challenges(status, challenge, withDPoP)...), Text: text, Code: challenge.Error,
		Scope:            challenge.Scope,
		ResourceMetadata: g.metadata,
		ACRValues:        challenge.ACRValues, MaxAge: challenge.MaxAge,
	}
}

// statusClientClosedRequest is the status that nginx and Caddy log when the client has gone.
const statusClientClosedRequest = 499

// retryAfter gives whole seconds (RFC 9110 section 10.2.3), rounded up. It is never zero, which would invite a
// stampede.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
