package caddyjwt

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
)

// verdictVar is the name of the gate's verdict among Caddy's request variables: the *gate.Identity of a request that
// passes, nil if it has none; or the *refusal.
const verdictVar = "bearer_auth.verdict"

const (
	userPrefix   = "http.auth.user."
	bearerPrefix = "http.auth.bearer."
)

// publish makes a verdict known to placeholders, and so to matchers, logs and other handlers. A placeholder is resolved
// only when somebody asks for it. From now on every placeholder under the two prefixes is known, whatever the outcome:
// Caddy would leave an unknown one in the text, and a backend would take "{http.auth.user.id}" for the name of a user.
//
// With several bearer_auth handlers in one chain, the last one decides all placeholders. It also replaces the user that
// another handler has set before it. A later handler may again replace the user.
func publish(r *http.Request, verdict any) {
	ctx := r.Context()
	vars, ok := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	if !ok {
		return
	}
	_, again := vars[verdictVar]
	vars[verdictVar] = verdict
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.DeleteByPrefix(userPrefix)
		if !again {
			repl.Map(func(name string) (any, bool) { return placeholder(vars[verdictVar], name) })
		}
	}
}

// placeholder resolves {http.auth.user.id}, {http.auth.user.<claim>}, {http.auth.bearer.issuer} and
// {http.auth.bearer.reason}. What has no value is nil: empty in a text, null in an expression.
func placeholder(verdict any, name string) (value any, known bool) {
	if claim, ours := strings.CutPrefix(name, userPrefix); ours {
		identity, _ := verdict.(*gate.Identity)
		return ofUser(identity, claim), true
	}
	if field, ours := strings.CutPrefix(name, bearerPrefix); ours {
		return ofVerdict(verdict, field), true
	}
	return nil, false
}

// ofUser is the value of {http.auth.user.<name>}.
func ofUser(identity *gate.Identity, name string) any {
	if identity == nil {
		return nil
	}
	if name == "id" {
		return orNil(identity.ID)
	}
	value, _ := identity.Claim(name)
	return printable(value)
}

// ofVerdict is the value of {http.auth.bearer.<name>}. The issuer of a consumer's token is "", not nil.
func ofVerdict(verdict any, name string) any {
	switch verdict := verdict.(type) {
	case *gate.Identity:
		if verdict != nil && name == "issuer" {
			return verdict.Issuer
		}
	case *refusal:
		switch name {
		case "issuer":
			return orNil(verdict.failure.Issuer)
		case "reason":
			return string(verdict.failure.Reason)
		}
	}
	return nil
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// list and object are a claim's array and object, as expressions and templates see them. In a text they print as in
// forward_claims, not in Go's notation, which Caddy would use. In a log they are arrays and objects.
type (
	list   []any
	object map[string]any
)

// printable makes arrays and objects, at every depth, print as in forward_claims. It changes the value, so nobody else
// may have it.
func printable(value any) any {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			value[i] = printable(element)
		}
		return list(value)
	case map[string]any:
		for name, member := range value {
			value[name] = printable(member)
		}
		return object(value)
	default:
		return value
	}
}

// String implements fmt.Stringer, by which Caddy and templates print it.
func (l list) String() string { return claims.TextOf(l) }

// String implements fmt.Stringer, by which Caddy and templates print it.
func (o object) String() string { return claims.TextOf(o) }

// MarshalLogArray implements zapcore.ArrayMarshaler.
func (l list) MarshalLogArray(log zapcore.ArrayEncoder) error {
	for _, element := range l {
		if err := log.AppendReflected(element); err != nil {
			return err
		}
	}
	return nil
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (o object) MarshalLogObject(log zapcore.ObjectEncoder) error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if err := log.AddReflected(name, o[name]); err != nil {
			return err
		}
	}
	return nil
}
