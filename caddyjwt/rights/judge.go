package rights

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyjwt/gateway/caddyjwt/bodies"
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
// Nothing is read of a request that is refused, with one exception: if scopes are missing, or the user must sign in
// again, the challenge must name the scopes of the message as well. Otherwise a client would learn of them only after
// it has got what the route requires, and would ask its user twice. A message that is not well-formed changes nothing
// then.
func (j *Judge) Settle(w http.ResponseWriter, r *http.Request, g *gate.Gate, v gate.Verdict, refused error) error {
	var failure *gate.Failure
	if refused != nil {
		failure = gate.FailureOf(refused)
		if failure.Reason != gate.InsufficientScope && failure.Reason != gate.InsufficientUserAuthentication {
			return refused
		}
	}
	carries, err := mcp.Carries(r)
	var scopes []string
	if carries {
		scopes, err = j.read(w, r)
	}
	switch {
	case failure != nil:
		if all := g.RequireScopes(new(gate.Identity), scopes); all != nil {
			answer, challenge := g.Answer(failure), &all.Reply.Challenges[0]
			challenge.Error, challenge.Description = answer.Code, answer.Text
			challenge.ACRValues, challenge.MaxAge = answer.ACRValues, answer.MaxAge
			failure.Reply = all.Reply
		}
		return refused
	case err != nil:
		return refusal(v.Identity, err)
	}
	switch f := g.RequireScopes(v.Identity, scopes); {
	case f == nil:
		return nil
	case v.Outcome == gate.Public:
		return refusal(nil, errPublic)
	default:
		return f
	}
}

// errPublic is about a message on a public path. Nobody judges its token, so no token would help, and a challenge that
// asks for one would have the client ask its user again and again.
var errPublic = fmt.Errorf("%w: it needs scopes, and no token is judged on a public path; remove that from public, "+
	"or write optional instead", mcp.ErrDenied)

// read returns the scopes that the message of a request needs. The client gets a deadline for sending it. Once the body
// has been read, the deadline must be gone: the server would take it for the client hanging up.
func (j *Judge) read(w http.ResponseWriter, r *http.Request) ([]string, error) {
	bodies.Limit(w, bodies.FormTimeout)
	scopes, err := j.needs(r)
	if err == nil || bearer.HasRead(r) {
		bodies.Limit(w, 0)
	}
	return scopes, err
}

// needs returns the scopes that the message of a request needs.
func (j *Judge) needs(r *http.Request) ([]string, error) {
	body, err := bearer.ReadBody(r)
	if err != nil {
		return nil, err
	}
	m, err := mcp.Parse(body)
	if err == nil {
		err = m.Agrees(r)
	}
	if err != nil {
		return nil, err
	}
	return j.rules.Needs(m)
}

// refusal is an error of this package's steps as a failure of the gate.
func refusal(id *gate.Identity, err error) error {
	f := &gate.Failure{Reason: gate.MalformedMessage, Cause: err}
	switch {
	case errors.Is(err, mcp.ErrDenied):
		f.Reason = gate.ToolDenied
	case errors.Is(err, bearer.ErrOverloaded):
		f.Reason = gate.Overloaded
	case errors.Is(err, bearer.ErrBodyTooLarge):
		f.Reason = gate.BodyTooLarge
		f.Reply = &gate.Reply{Challenges: []bearer.Challenge{
			{Error: "invalid_request", Description: "the message is too long"},
		}}
	}
	if id != nil {
		f.Issuer = cmp.Or(id.Issuer, id.CredentialKey)
	}
	return f
}
