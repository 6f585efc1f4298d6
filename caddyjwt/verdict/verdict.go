// Package verdict publishes what a gate has decided about a request, for the handlers, matchers and logs that come
// after it: in placeholders, and for Go code that asks.
package verdict

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/mcp"
	"github.com/caddyjwt/gateway/internal/scope"
)

// variable is the name of the gate's verdict among Caddy's request variables: the *gate.Identity of a request that
// passes, nil if it has none; or the *Refusal. Error routes have the same variables.
const variable = "bearer_auth.verdict"

// hierarchy is the name of the gate's *scope.Hierarchy among them. It is not there if no scope implies another.
const hierarchy = "bearer_auth.scopes"

// message is the name of the *mcp.Message among them. It is there once a gate has judged one by its rules.
const message = "bearer_auth.message"

// exposed is the name of the bearer.Exposed among them. It is there only if the last gate of the chain has accepted a
// token and exposes it.
const exposed = "bearer_auth.token"

// Refusal is a failure as Caddy sees it. Its text is on every error page with {err.message}, and in Caddy's error log.
// So it has only what a client may know, not the reason.
type Refusal struct {
	// Failure is for the operator, not for the client.
	Failure *gate.Failure
	// Text and Code are those of the answer that the client gets. With a Code, the Text is its description.
	Text, Code string
}

// Error returns the Text.
func (r *Refusal) Error() string { return r.Text }

// Unwrap lets errors.Is find the reason.
func (r *Refusal) Unwrap() error { return r.Failure }

// Pass publishes that the gate lets a request pass. The identity is nil if the request has none. scopes says which of
// the gate's scopes imply others; it may be nil.
//
// With several bearer_auth handlers in one chain, the last one decides all placeholders. It also replaces the user that
// another handler has set before it. A later handler may again replace the user.
func Pass(r *http.Request, identity *gate.Identity, scopes *scope.Hierarchy) {
	publish(r, identity)
	vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	switch {
	case !ok:
	case scopes != nil:
		vars[hierarchy] = scopes
	default:
		delete(vars, hierarchy) // another gate in the chain may have set it
	}
}

// Refuse publishes that the gate refuses a request.
func Refuse(r *http.Request, refusal *Refusal) { publish(r, refusal) }

// Message publishes what a client wants to do, if the rules of the gate know it. With several such gates in one chain,
// the last one decides.
func Message(r *http.Request, m mcp.Message) {
	if vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		vars[message] = &m
	}
}

// Expose makes the token of an accepted request known to placeholders. Call it after Pass.
func Expose(r *http.Request, token bearer.Exposed) {
	if vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
		vars[exposed] = token
	}
}

// Of returns what the last gate has decided about a request, and which of its scopes imply others. The identity is nil
// for a request that has none: one that was refused, came without a token, or needs none. If no gate has handled the
// request, handled is false.
func Of(r *http.Request) (identity *gate.Identity, scopes *scope.Hierarchy, handled bool) {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	switch verdict := vars[variable].(type) {
	case *gate.Identity:
		scopes, _ = vars[hierarchy].(*scope.Hierarchy)
		return verdict, scopes, true
	case *Refusal:
		return nil, nil, true
	default: // nothing, or what the configuration has put there
		return nil, nil, false
	}
}

// publish makes a verdict known to placeholders, and so to matchers, logs and other handlers. A placeholder is resolved
// only when somebody asks for it. From now on every placeholder under the two prefixes is known, whatever the outcome:
// Caddy would leave an unknown one in the text, and a backend would take "{http.auth.user.id}" for the name of a user.
func publish(r *http.Request, verdict any) {
	ctx := r.Context()
	vars, ok := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	if !ok {
		return
	}
	_, again := vars[variable]
	if again {
		delete(vars, exposed) // what an earlier gate has accepted
	}
	vars[variable] = verdict
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.DeleteByPrefix(userPrefix)
		if !again {
			repl.Map(func(name string) (any, bool) { return placeholder(vars, name) })
		}
	}
}
