package rights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// Table has the words of the block "mcp".
var Table = words.Table[Rights]{Name: "mcp", Words: []words.Word[Rights]{
	{Name: "tool", Usage: []string{"<name> [scope <scope...>]"}, Repeatable: true,
		Reader: words.Custom(readTool, func(r *Rights) []any { return []any{&r.Tools} })},
	{Name: "method", Usage: []string{"<name> scope <scope...>"}, Repeatable: true,
		Reader: words.Custom(readMethod, func(r *Rights) []any { return []any{&r.Methods} })},
	{Name: "default", Usage: []string{"allow|deny"},
		Reader: words.Text(func(r *Rights) *string { return &r.Default })},
}}

// nameMistakes would load, and then no message would ever have such a name (see words.Mistake).
var nameMistakes = []words.Mistake{
	words.SingleQuotes, words.ShellVariable, words.CommaList, words.Unfilled, words.OuterBlanks,
	words.WildcardInName("names of tools and methods are compared exactly", "write a line for each one"),
}

func readTool(b *words.Block, r *Rights) error {
	name, scopes, err := readRule(b, "tool")
	r.Tools = append(r.Tools, Tool{name, scopes})
	return err
}

func readMethod(b *words.Block, r *Rights) error {
	name, scopes, err := readRule(b, "method")
	if err != nil {
		return err
	}
	r.Methods = append(r.Methods, Method{name, scopes})
	if scopes == nil {
		return b.WrongUsage("")
	}
	return b.Check("mcp method", []words.Mistake{misspelt}, name)
}

// readRule reads a name and the scopes that may follow.
func readRule(b *words.Block, word string) (name string, scopes []string, err error) {
	args := b.Args()
	if len(args) == 0 || args[0] == "" || len(args) == 2 || len(args) > 2 && args[1] != "scope" {
		return "", nil, b.WrongUsage("")
	}
	if err := b.Check("mcp "+word, nameMistakes, args[0]); err != nil {
		return "", nil, err
	}
	if len(args) == 1 {
		return args[0], nil, nil
	}
	return args[0], args[2:], require.Check(b, fmt.Sprintf("mcp %s %s", word, args[0]), "scope", args[2:])
}

// methods are those that clients may send by some revision of MCP.
var methods = strings.Fields(`initialize ping server/discover completion/complete logging/setLevel
	tools/list tools/call prompts/list prompts/get
	resources/list resources/templates/list resources/read resources/subscribe resources/unsubscribe
	subscriptions/listen tasks/get tasks/update tasks/cancel tasks/result tasks/list
	notifications/initialized notifications/cancelled notifications/progress notifications/roots/list_changed`)

// misspelt recognizes a method that is nearly one of MCP. Others may belong to an extension.
func misspelt(name string) string {
	if slices.Contains(methods, name) {
		return ""
	}
	meant := words.MostAlike(name, methods)
	if meant == "" || strings.Contains(name, meant) {
		return ""
	}
	return fmt.Sprintf("did you mean %q? (for a method of that name, use JSON)", meant)
}
