// Package rights judges the messages of MCP clients: which scopes a caller needs for a tool or a method. It has the
// block "mcp" of the handler: its JSON, its words in a Caddyfile, and the way from there to the rules of package mcp.
package rights

import (
	"errors"
	"fmt"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/mcp"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Rights says which scopes the messages of MCP clients need.
type Rights struct {
	// Tools that tools/call may run. Default: none.
	Tools []Tool `json:"tools,omitempty"`
	// Methods that need scopes. For tools/call, they come on top of those of the tool. Default: none. Other methods need
	// nothing beyond what the route requires.
	Methods []Method `json:"methods,omitempty"`
	// What becomes of tools that are not listed: "allow" or "deny". With "allow", a tool passes only under a name of at
	// most 128 letters, digits, "_", "-" and ".", which no server could take for a listed one. Default: "deny" if there
	// are tools, else "allow".
	Default string `json:"default,omitempty"`
}

// Tool is a tool that tools/call may run.
type Tool struct {
	// Name of the tool, compared byte for byte. Placeholders are not resolved.
	Name string `json:"name"`
	// Scopes that a call needs, all of them. Default: none beyond those of the method tools/call and of the route.
	// Placeholders are resolved.
	Scopes []string `json:"scopes,omitempty"`
}

// Method is a method of MCP that needs scopes.
type Method struct {
	// Name of the method, such as "resources/read", compared byte for byte. Placeholders are not resolved.
	Name string `json:"name"`
	// Scopes that the method needs, all of them. Placeholders are resolved.
	Scopes []string `json:"scopes,omitempty"`
}

// Compile resolves placeholders and checks everything. Fields of errors are relative to the block. Nil stays nil.
func (r *Rights) Compile(s *words.Settings) (*Judge, error) {
	if r == nil {
		return nil, nil
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	j := &Judge{config: mcp.Config{AnyTool: r.Default == allow || r.Default == "" && len(r.Tools) == 0}}
	for i, tool := range r.Tools {
		rule, err := compile(s, "mcp tool", tool.Name, tool.Scopes)
		if err != nil {
			return nil, setting.In(fmt.Sprintf("Tools[%d]", i), err)
		}
		j.config.Tools = append(j.config.Tools, rule)
	}
	for i, method := range r.Methods {
		rule, err := compile(s, "mcp method", method.Name, method.Scopes)
		if err != nil {
			return nil, setting.In(fmt.Sprintf("Methods[%d]", i), err)
		}
		j.config.Methods = append(j.config.Methods, rule)
	}
	var err error
	j.rules, err = mcp.New(j.config)
	return j, err
}

const allow, deny = "allow", "deny"

func (r *Rights) check() error {
	switch {
	case r.Default != "" && r.Default != allow && r.Default != deny:
		return setting.Errorf("Default", "mcp default %q: expected allow or deny", r.Default)
	case r.Default == "" && len(r.Tools)+len(r.Methods) == 0:
		return errors.New("mcp says nothing: add a tool, a method or a default, or leave it out")
	}
	if err := words.NotEmpty("mcp tools", r.Tools); err != nil {
		return setting.In("Tools", err)
	}
	return setting.In("Methods", words.NotEmpty("mcp methods", r.Methods))
}

func compile(s *words.Settings, what, name string, scopes []string) (mcp.Rule, error) {
	if err := words.Literal(what, name); err != nil {
		return mcp.Rule{}, setting.In("Name", err)
	}
	texts, _, err := s.Texts(what+" "+name+" scope", scopes)
	return mcp.Rule{Name: name, Scopes: texts}, setting.In("Scopes", err)
}
