package caddyjwt

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/gate"
)

// identityVar is where the request's identity is kept among Caddy's request variables.
const identityVar = "bearer_auth.identity"

// publish makes the identity known to placeholders, and so to matchers, logs and other handlers. Nothing is resolved
// before somebody asks. When several bearer_auth handlers are in one chain, the last one decides about all of them, also
// behind one that has refused the request: what that one said of the issuer would hide what this one says.
func publish(r *http.Request, identity *gate.Identity) {
	ctx := r.Context()
	vars, ok := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	if !ok {
		return
	}
	repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if ok {
		repl.Delete("http.auth.bearer.issuer")
	}
	_, known := vars[identityVar]
	vars[identityVar] = identity
	if ok && !known {
		repl.Map(func(name string) (any, bool) { return placeholder(vars, name) })
	}
}

// placeholder resolves {http.auth.user.id}, {http.auth.user.<claim>} and {http.auth.bearer.issuer}.
func placeholder(vars map[string]any, name string) (any, bool) {
	name, ours := strings.CutPrefix(name, "http.auth.")
	if !ours {
		return nil, false
	}
	identity, _ := vars[identityVar].(*gate.Identity)
	if identity == nil {
		return nil, false
	}
	switch claim, user := strings.CutPrefix(name, "user."); {
	case name == "user.id":
		return identity.ID, identity.ID != ""
	case user:
		return identity.Claim(claim)
	case name == "bearer.issuer":
		return identity.Issuer, true
	default:
		return nil, false
	}
}
