package verdict

import (
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/mcp"
)

const (
	userPrefix   = "http.auth.user."
	bearerPrefix = "http.auth.bearer."
)

// placeholder resolves {http.auth.user.*} and {http.auth.bearer.*}. What has no value is nil: empty in a text, null in
// an expression.
func placeholder(vars map[string]any, name string) (value any, known bool) {
	if claim, ours := strings.CutPrefix(name, userPrefix); ours {
		identity, _ := vars[variable].(*gate.Identity)
		return ofUser(identity, claim), true
	}
	field, ours := strings.CutPrefix(name, bearerPrefix)
	if !ours {
		return nil, false
	}
	if part, ofMCP := strings.CutPrefix(field, "mcp."); ofMCP {
		m, _ := vars[message].(*mcp.Message)
		return ofMessage(m, part), true
	}
	if field == "token" {
		token, _ := vars[exposed].(bearer.Exposed)
		return orNil(token.Reveal()), true
	}
	return ofVerdict(vars[variable], field), true
}

// ofMessage is the value of {http.auth.bearer.mcp.<name>}.
func ofMessage(m *mcp.Message, name string) any {
	switch {
	case m != nil && name == "method":
		return orNil(m.Method)
	case m != nil && name == "tool":
		return orNil(m.Tool)
	}
	return nil
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

// ofHeader is the value of a placeholder about the JOSE header.
func ofHeader(id *gate.Identity, name string) any {
	if path, found := strings.CutPrefix(name, "header."); found {
		value, _ := id.HeaderMember(path)
		return printable(value)
	}
	switch name {
	case "alg", "kid", "typ":
		return orNil(id.Header.Text(name))
	case "enc":
		return orNil(id.Header.Encryption)
	}
	return nil
}

// ofVerdict is the value of {http.auth.bearer.<name>}. The issuer of a consumer's token is "", not nil.
func ofVerdict(verdict any, name string) any {
	switch verdict := verdict.(type) {
	case *gate.Identity:
		if verdict == nil {
			return nil
		}
		switch name {
		case "issuer":
			return verdict.Issuer
		case "tenant":
			return orNil(verdict.Tenant())
		}
		return ofHeader(verdict, name)
	case *Refusal:
		switch name {
		case "issuer":
			return orNil(verdict.Failure.Issuer)
		case "reason":
			return string(verdict.Failure.Reason)
		case "error":
			return orNil(verdict.Code)
		case "error_description": // there is none without a code (RFC 6750 section 3.1)
			if verdict.Code != "" {
				return verdict.Text
			}
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
