package rights

import (
	"net/http"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/mcp"
)

// Explain adds to the explanation of a request what the rules say about its message. Without a message, and for nil, it
// adds nothing. A refusal by the gate stays; its challenge gets the scopes of the message, as by Settle.
func (j *Judge) Explain(e *gate.Explanation, g *gate.Gate, r *http.Request) {
	if j == nil {
		return
	}
	n, err := j.needs(r, func() (string, error) { return bearer.ReadBody(r) })
	if err == nil && !n.carried {
		return
	}
	if e.Failure != nil {
		g.AskFor(e.Failure, n.scopes)
	}
	step := gate.Step{Rule: "message", Expected: n.scopes}
	if n.carried {
		step.Came = n.message.Words()
	}
	e.Add(step, refusal(g, e.Outcome, e.Identity, n, err))
}

// Permissions are what a caller may do by the rules of a route.
type Permissions struct {
	// Default is what becomes of tools that are not listed: "allow" or "deny".
	Default string `json:"default"`
	// Tools and Methods are those that are listed, in the order of the configuration.
	Tools   []Permission `json:"tools,omitempty"`
	Methods []Permission `json:"methods,omitempty"`
}

// Permission says whether a caller may run a tool, or use a method.
type Permission struct {
	Name    string `json:"name"`
	Allowed bool   `json:"allowed"`
	// Missing are the scopes that the caller lacks.
	Missing []string `json:"missing,omitempty"`
}

// Permissions are those of a caller who has passed the gate. The identity is nil for a caller without a token. For nil,
// there are none.
func (j *Judge) Permissions(g *gate.Gate, id *gate.Identity) *Permissions {
	if j == nil {
		return nil
	}
	if id == nil {
		id = new(gate.Identity)
	}
	p := &Permissions{Default: deny}
	if j.config.AnyTool {
		p.Default = allow
	}
	for _, tool := range j.config.Tools {
		scopes, _ := j.rules.Needs(mcp.Call(tool.Name)) // with those of the method
		p.Tools = append(p.Tools, permission(g, id, tool.Name, scopes))
	}
	for _, method := range j.config.Methods {
		p.Methods = append(p.Methods, permission(g, id, method.Name, method.Scopes))
	}
	return p
}

func permission(g *gate.Gate, id *gate.Identity, name string, scopes []string) Permission {
	missing := g.Scopes().Missing(id.Claims, scopes)
	return Permission{name, len(missing) == 0, missing}
}
