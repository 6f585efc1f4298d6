package mcp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/setting"
)

// ErrDenied is wrapped by the error for a tool that nobody may run.
var ErrDenied = errors.New("nobody may run this tool here")

// Config says which scopes messages need.
type Config struct {
	// Tools that tools/call may run. One without scopes needs none beyond those of its method.
	Tools []Rule
	// Methods that need scopes. Those that are not listed need none.
	Methods []Rule
	// AnyTool lets tools/call run tools that are not listed, too.
	AnyTool bool
}

// Rule has the scopes for one name. A message needs all of them.
type Rule struct {
	Name   string
	Scopes []string
}

// Rules are a Config that was checked. They are immutable, and safe for concurrent use.
type Rules struct {
	tools, methods map[string][]string // scopes by name; for a tool, with those of tools/call
	anyTool        bool
	folded         map[string]string // names of listed tools, by what lenient readers see of them
	foldedMethods  map[string]string // the same for methods
}

// New checks a configuration. An error names its setting.
func New(c Config) (*Rules, error) {
	r := &Rules{
		tools: make(map[string][]string), methods: make(map[string][]string), anyTool: c.AnyTool,
		folded: make(map[string]string), foldedMethods: make(map[string]string),
	}
	for i, rule := range c.Methods {
		if err := r.addMethod(rule); err != nil {
			return nil, setting.In(fmt.Sprintf("Methods[%d]", i), err)
		}
	}
	for i, rule := range c.Tools {
		if err := r.addTool(rule); err != nil {
			return nil, setting.In(fmt.Sprintf("Tools[%d]", i), err)
		}
	}
	return r, nil
}

func (r *Rules) addMethod(rule Rule) error {
	if len(rule.Scopes) == 0 {
		return setting.Errorf("Scopes", "method %q needs a scope: without one, the line has no effect", rule.Name)
	}
	if err := checkMethod(rule.Name); err != nil {
		return setting.Errorf("Name", "method %q is not the name of a method, such as tools/list", rule.Name)
	}
	if _, twice := r.methods[rule.Name]; twice {
		return setting.Errorf("Name", "method %q is listed twice: put all of its scopes on one line", rule.Name)
	}
	r.methods[rule.Name], r.foldedMethods[fold(rule.Name)] = rule.Scopes, rule.Name
	return checkScopes("method", rule)
}

func (r *Rules) addTool(rule Rule) error {
	switch _, twice := r.tools[rule.Name]; {
	case rule.Name == "":
		return setting.Errorf("Name", "the name of a tool is empty")
	case twice:
		return setting.Errorf("Name", "tool %q is listed twice: put all of its scopes on one line", rule.Name)
	case r.anyTool && !isPlain(rule.Name):
		// A server may take another name for this one, after some normalization. With AnyTool, that name would pass.
		return setting.Errorf("Name", "tool %q has characters beside letters, digits and \"_-.\", or more than %d: "+
			"such a tool can be listed only with \"default deny\"", rule.Name, longestName)
	}
	r.tools[rule.Name], r.folded[fold(rule.Name)] = slices.Concat(r.methods[callTool], rule.Scopes), rule.Name
	return checkScopes("tool", rule)
}

func checkScopes(what string, rule Rule) error {
	for i, scope := range rule.Scopes {
		if err := bearer.ValidScope(scope); err != nil {
			return setting.Errorf(fmt.Sprintf("Scopes[%d]", i), "%s %q: %w", what, rule.Name, err)
		}
	}
	return nil
}

// Needs returns the scopes that a message needs, all of them. The caller must not change the list. An error wraps
// ErrDenied, or ErrMalformed for a name that could be taken for a listed one.
func (r *Rules) Needs(m Message) ([]string, error) {
	if m.Method == callTool {
		return r.needsTool(m.Tool)
	}
	scopes, listed := r.methods[m.Method]
	if listed {
		return scopes, nil
	}
	if near, found := r.foldedMethods[fold(m.Method)]; found {
		return nil, malformed("the method %s is not listed, and could be taken for the listed %q",
			causes.Quote(m.Method), near)
	}
	return nil, nil
}

// needsTool compares byte for byte: names of tools are case-sensitive (MCP 2025-11-25, Tools, "Tool Names"). A server
// need not agree, nor need it compare without Unicode normalization. So with AnyTool, a tool that is not listed passes
// only under a plain name which cannot be taken for a listed one. Whoever has such a tool can list it.
func (r *Rules) needsTool(tool string) ([]string, error) {
	scopes, listed := r.tools[tool]
	switch near, found := r.folded[fold(tool)]; {
	case listed:
		return scopes, nil
	case !r.anyTool:
		return nil, fmt.Errorf("%w: the tool %s is not listed, and the default is deny", ErrDenied, causes.Quote(tool))
	case !isPlain(tool):
		return nil, malformed("the tool %s is not listed, and its name has characters beside letters, digits and \"_-.\"",
			causes.Quote(tool))
	case found:
		return nil, malformed("the tool %s is not listed, and could be taken for the listed %q", causes.Quote(tool), near)
	default:
		return r.methods[callTool], nil
	}
}

// Scopes are all scopes that a message may need, each once, in the order of the configuration.
func (c *Config) Scopes() []string {
	var all []string
	for _, rule := range slices.Concat(c.Methods, c.Tools) {
		for _, scope := range rule.Scopes {
			if !slices.Contains(all, scope) {
				all = append(all, scope)
			}
		}
	}
	return all
}
