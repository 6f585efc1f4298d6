package mcp_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/mcp"
	"github.com/caddyjwt/gateway/internal/setting"
)

var config = mcp.Config{
	Tools: []mcp.Rule{{"read_file", []string{"files:read"}}, {"delete-file", []string{"files:read", "files:write"}}, {
		"echo", nil}},
	Methods: []mcp.Rule{
		{"resources/read", []string{"res"}}, {"tools/call", []string{"tools"}}, {"tools/list", []string{"tools", "list"}},
	},
}

func rules(t *testing.T, anyTool bool) *mcp.Rules {
	t.Helper()
	c := config
	c.AnyTool = anyTool
	r, err := mcp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestScopesThatMessagesNeed(t *testing.T) {
	for name, c := range map[string]struct {
		m    mcp.Message
		want string
	}{
		"a listed tool needs its scopes, and those of tools/call": {
			mcp.Message{Method: "tools/call", Tool: "delete-file"}, "tools files:read files:write"},
		"a tool without scopes needs those of tools/call": {mcp.Message{Method: "tools/call", Tool: "echo"}, "tools"},
		"a listed method needs its scopes":                {mcp.Message{Method: "tools/list"}, "tools list"},
		"another method needs none":                       {mcp.Message{Method: "prompts/list"}, ""},
		"a notification needs none":                       {mcp.Message{Method: "notifications/initialized"}, ""},
		"a response needs none":                           {mcp.Message{}, ""},
	} {
		for _, anyTool := range []bool{true, false} {
			scopes, err := rules(t, anyTool).Needs(c.m)
			if got := strings.Join(scopes, " "); err != nil || got != c.want {
				t.Errorf("%s, any tool %v: scopes %q, error %v; want %q", name, anyTool, got, err, c.want)
			}
		}
	}
}

func TestToolsThatAreNotListed(t *testing.T) {
	for tool, want := range map[string]error{
		"other":                  nil,
		"Other.tool-2":           nil,
		strings.Repeat("a", 128): nil,
		"Read_File":              mcp.ErrMalformed, // some servers take it for read_file
		"readFile":               mcp.ErrMalformed,
		"read-file":              mcp.ErrMalformed,
		"read__file":             mcp.ErrMalformed,
		"ECHO":                   mcp.ErrMalformed,
		"echo.":                  mcp.ErrMalformed,
		"":                       mcp.ErrMalformed,
		" echo":                  mcp.ErrMalformed, // not plain
		"echo\x00":               mcp.ErrMalformed,
		"ｅcho":                   mcp.ErrMalformed,
		"e\u0301cho":             mcp.ErrMalformed,
		"\u00e9cho":              mcp.ErrMalformed,
		"ns/echo":                mcp.ErrMalformed,
		strings.Repeat("a", 129): mcp.ErrMalformed,
	} {
		m := mcp.Message{Method: "tools/call", Tool: tool}
		scopes, err := rules(t, true).Needs(m)
		if !errors.Is(err, want) || err == nil && !slices.Equal(scopes, []string{"tools"}) {
			t.Errorf("%q with default allow: scopes %q, error %v; want %v", tool, scopes, err, want)
		}
		if _, err := rules(t, false).Needs(m); !errors.Is(err, mcp.ErrDenied) {
			t.Errorf("%q with default deny: %v", tool, err)
		}
	}
}

func TestMethodsThatCouldBeTakenForListedOnes(t *testing.T) {
	for _, method := range []string{"Resources/Read", "resources.read", "resourcesread", "tools/List", "tools//list"} {
		if _, err := rules(t, true).Needs(mcp.Message{Method: method}); !errors.Is(err, mcp.ErrMalformed) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestWithoutRulesForToolsEveryPlainToolPasses(t *testing.T) {
	r, err := mcp.New(mcp.Config{Methods: []mcp.Rule{{"tools/call", []string{"tools"}}}, AnyTool: true})
	if err != nil {
		t.Fatal(err)
	}
	scopes, err := r.Needs(mcp.Message{Method: "tools/call", Tool: "x"})
	if err != nil || !slices.Equal(scopes, []string{"tools"}) {
		t.Errorf("scopes %q, error %v", scopes, err)
	}
}

func TestMistakesInRules(t *testing.T) {
	for name, c := range map[string]struct {
		config       mcp.Config
		field, cause string
	}{
		"a tool twice": {mcp.Config{Tools: []mcp.Rule{{"a", nil}, {"a", []string{"s"}}}},
			"Tools[1].Name", `tool "a" is listed twice: put all of its scopes on one line`},
		"a method twice": {mcp.Config{Methods: []mcp.Rule{{"tools/list", []string{"s"}}, {"tools/list", []string{"t"}}}},
			"Methods[1].Name", `method "tools/list" is listed twice`},
		"a method without a scope": {mcp.Config{Methods: []mcp.Rule{{"tools/list", nil}}},
			"Methods[0].Scopes", `method "tools/list" needs a scope: without one, the line has no effect`},
		"a method that no message has": {mcp.Config{Methods: []mcp.Rule{{"tools list", []string{"s"}}}},
			"Methods[0].Name", `method "tools list" is not the name of a method`},
		"a method that messages may not have": {mcp.Config{Methods: []mcp.Rule{{"Tools/Call", []string{"s"}}}},
			"Methods[0].Name", `method "Tools/Call" is not the name of a method`},
		"a tool without a name": {mcp.Config{Tools: []mcp.Rule{{"", nil}}}, "Tools[0].Name", "empty"},
		"a tool that could have two spellings": {mcp.Config{Tools: []mcp.Rule{{"größe", nil}}, AnyTool: true},
			"Tools[0].Name", `can be listed only with "default deny"`},
		"a scope with a quote": {mcp.Config{Tools: []mcp.Rule{{"a", []string{"s", `"`}}}},
			"Tools[0].Scopes[1]", `tool "a": scope "\"" has a character that scopes cannot have`},
		"a method with a bad scope": {mcp.Config{Methods: []mcp.Rule{{"ping", []string{"a b"}}}},
			"Methods[0].Scopes[0]", `method "ping": scope "a b" has a character`},
	} {
		_, err := mcp.New(c.config)
		if err == nil || setting.Field(err) != c.field || !strings.Contains(err.Error(), c.cause) {
			t.Errorf("%s: field %q, error %v; want %q, %q", name, setting.Field(err), err, c.field, c.cause)
		}
	}
	if _, err := mcp.New(mcp.Config{Tools: []mcp.Rule{{"größe", nil}}}); err != nil {
		t.Errorf("a tool outside of ASCII with default deny: %v", err)
	}
}

func TestAllScopes(t *testing.T) {
	if got, want := config.Scopes(), strings.Fields("res tools list files:read files:write"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func BenchmarkMessage(b *testing.B) {
	r, err := mcp.New(config)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		m, err := mcp.Parse(callX)
		if err == nil {
			_, _ = r.Needs(m)
		}
	}
}
