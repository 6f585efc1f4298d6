package rights

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyjwt/gateway/caddyjwt/bodies"
	"github.com/caddyjwt/gateway/caddyjwt/verdict"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/mcp"
)

// Judge judges messages by the rules of one route. It is immutable.
type Judge struct {
	rules  *mcp.Rules
	config mcp.Config
}

// Scopes are all scopes that a message may need, each once. Nil has none.
func (j *Judge) Scopes() []string {
	if j == nil {
		return nil
	}
	return j.config.Scopes()
}

// String says in a few words what the rules are. For nil it is empty.
func (j *Judge) String() string {
	if j == nil {
		return ""
	}
	unlisted := "denied"
	if j.config.AnyTool {
		unlisted = "allowed"
	}
	return fmt.Sprintf("rules for %d tools and %d methods, other tools %s",
		len(j.config.Tools), len(j.config.Methods), unlisted)
}

// Settle decides about a request that the gate has judged, by its message. refused is the gate's own refusal, or nil;
// what Settle returns takes its place, and is a *gate.Failure or nil.
//
// Nothing is read of a request that is refused, with one exception: if the client has to get a token with more scopes,
// or with a newer sign-in, the challenge must name the scopes of the message as well. Otherwise a client would learn of
// them only after it has got what the route requires, and would ask its user twice. A message that is not well-formed
// changes nothing then.
func (j *Judge) Settle(w http.ResponseWriter, r *http.Request, g *gate.Gate, v gate.Verdict, refused error) error {
	var failure *gate.Failure
	if refused != nil {
		if failure = gate.FailureOf(refused); !failure.AsksForScopes() {
			return refused
		}
	}
	needs, err := j.needs(r, func() (string, error) { return readInTime(w, r) })
	if failure != nil {
		g.AskFor(failure, needs.scopes)
		return refused
	}
	if err == nil && needs.carried {
		verdict.Message(r, needs.message)
	}
	if failure = refusal(g, v.Outcome, v.Identity, needs, err); failure != nil {
		return failure
	}
	return nil
}

// errPublic is about a message on a public path. Nobody judges its token, so no token would help, and a challenge that
// asks for one would have the client ask its user again and again.
var errPublic = fmt.Errorf("%w: it needs scopes, and no token is judged on a public path; remove that from public, "+
	"or write optional instead", mcp.ErrDenied)

// readInTime reads the body. The client gets a deadline for sending it. Once the body has been read, the deadline must
// be gone: the server would take it for the client hanging up.
func readInTime(w http.ResponseWriter, r *http.Request) (string, error) {
	bodies.Limit(w, bodies.FormTimeout)
	body, err := bearer.ReadBody(r)
	if err == nil || bearer.HasRead(r) {
		bodies.Limit(w, 0)
	}
	return body, err
}

// needs are what a request needs for its message.
type needs struct {
	carried bool // there is a message that can be read
	message mcp.Message
	scopes  []string
}

// needs judges the message of a request.
func (j *Judge) needs(r *http.Request, read func() (string, error)) (needs, error) {
	carries, err := mcp.Carries(r)
	if err != nil || !carries {
		return needs{}, err
	}
	body, err := read()
	if err != nil {
		return needs{}, err
	}
	m, err := mcp.Parse(body)
	if err == nil {
		err = m.Agrees(r)
	}
	if err != nil {
		return needs{}, err
	}
	scopes, err := j.rules.Needs(m)
	return needs{true, m, scopes}, err
}

// refusal is why the caller may not send a message, or nil. The error is one of needs.
func refusal(g *gate.Gate, o gate.Outcome, id *gate.Identity, n needs, err error) *gate.Failure {
	if err == nil {
		f := g.RequireScopes(id, n.scopes)
		if f == nil || o != gate.Public {
			return f
		}
		err = errPublic
	}
	f := &gate.Failure{Reason: gate.MalformedMessage, Cause: err}
	switch {
	case errors.Is(err, mcp.ErrDenied):
		f.Reason = gate.ToolDenied
	case errors.Is(err, bearer.ErrOverloaded):
		f.Reason = gate.Overloaded
	}
	if id != nil {
		f.Issuer = cmp.Or(id.Issuer, id.CredentialKey)
	}
	return f
}
