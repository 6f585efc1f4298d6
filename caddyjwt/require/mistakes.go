package require

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
)

// The mistakes of this file would load, and then no token would ever meet the requirement (see words.Mistake).

// PathMistakes are mistakes in the notation of a path to a claim, or into the JOSE header.
var PathMistakes = []words.Mistake{words.SingleQuotes, jsonPath, index, pathComma, words.Unfilled, braces}

// Check looks for mistakes in the values that follow "scope", "any_scope", "acr", "claim", "header" or "group" in a
// Caddyfile. word is what stands before the kind: "require", or the name of the matcher. A claim, and a member of the
// header, has at least one value, its path.
func Check(b *words.Block, word, kind string, values []string) error {
	const patterns = ", or see \"Patterns\" in docs/configuration.md"
	word, not := strings.CutSuffix(word, " not")
	if not {
		kind = "not " + kind
	}
	what := word + " " + kind
	switch kind {
	case "not scope":
		operator := operator("values stand side by side without an operator: the token must have none of them")
		return b.Check(what, append(listMistakes("a scope", "list each one"+patterns), operator, quotedScopes), values...)
	case "scope", "any_scope":
		operator := operator("values stand side by side without an operator: for all scopes, write " + word +
			" scope <scope...>; for one of several, " + word + " any_scope <scope...>")
		return b.Check(what, append(listMistakes("a scope", "list each one"+patterns), operator, quotedScopes), values...)
	case "acr":
		operator := operator("values stand side by side without an operator: one of them is enough")
		return b.Check(what, append(listMistakes("an acr", "list each one"), operator), values...)
	case "group", "not group":
		one := "one of the groups is enough"
		if not {
			one = "none of the groups may be there"
		}
		cure := fmt.Sprintf("list each one, or compare the claim: %s groups like <pattern...>",
			strings.Replace(what, "group", "claim", 1))
		return b.Check(what, append(listMistakes("a group", cure),
			operator("values stand side by side without an operator: "+one)), values...)
	}
	return checkMember(b, word, what, values)
}

// memberOf is the last word of what names a requirement: "claim" or "header".
func memberOf(what string) string { return what[strings.LastIndexByte(what, ' ')+1:] }

// checkMember looks for mistakes in a path, and in what follows it. word is what stands before "claim" or "not claim",
// "header" or "not header", and what ends with that.
func checkMember(b *words.Block, word, what string, values []string) error {
	names := "a claim path names one claim"
	if memberOf(what) == "header" {
		names = "a path names one member of the header"
	}
	paths := append(slices.Clone(PathMistakes), func(path string) string { return equals(word, what, path) },
		words.WildcardInName(names, "write its name; every element of an array is compared"))
	if err := b.Check(what, paths, values[0]); err != nil {
		return err
	}
	kind, ofClaim := strings.CutSuffix(what, "claim")
	kind += "scope"
	path, compares := values[0], ofClaim && len(values) > 1
	if compares && (path == "scope" || path == "scp" && strings.Contains(kind, " not ")) {
		return b.Errf("%s %s: the claim has all scopes of a token in one text, so no single one is equal to it: write "+
			"\"%s <scope...>\" (to compare the whole text, write the path as /%s)", what, path, kind, path)
	}
	typed := []words.Mistake{
		words.SingleQuotes, words.ShellVariable, words.TrailingComma, words.Unfilled, words.OuterBlanks,
	}
	if len(values) > 1 && (values[1] == "like" || values[1] == "at_least" || values[1] == "at_most") {
		return b.Check(what+" "+values[1], append(typed, regularExpression), values[2:]...)
	}
	if err := betweenValues(b, word, what, values); err != nil {
		return err
	}
	return b.Check(what+" value", append(typed,
		func(value string) string { return comparison(word, what, values[0], value) },
		func(value string) string { return wildcard(what, values[0], value) },
	), values[1:]...)
}

// regularExpression recognizes what a pattern is not.
func regularExpression(value string) string {
	if !strings.HasPrefix(value, "^") && !strings.HasSuffix(value, "$") {
		return ""
	}
	return "a pattern is not a regular expression: leave \"^\" and \"$\" out, or see \"Patterns\" in " +
		"docs/configuration.md"
}

// wildcard recognizes a pattern without the word that makes it one.
func wildcard(what, path, value string) string {
	cure := "list each value, or see \"Patterns\" in docs/configuration.md"
	if _, err := claims.ParsePattern(value); err == nil {
		cure = fmt.Sprintf("write %s %s like %s", what, path, value)
	} else if value == "*" {
		cure = fmt.Sprintf("to ask only that the claim is there, write %s %s", what, path)
	}
	return words.Wildcard("a "+memberOf(what)+" is compared exactly", cure)(value)
}

func listMistakes(what, cure string) []words.Mistake {
	return append(slices.Clone(textMistakes), words.Wildcard(what+" is compared exactly", cure))
}

var textMistakes = []words.Mistake{
	words.SingleQuotes, words.ShellVariable, words.CommaList, words.Unfilled, words.OuterBlanks,
}

// CheckImplies looks for mistakes in the values of scope_implies. The first is the broad scope. A "*" in it may be
// meant: some servers have a scope such as "mcp:*", and this word gives it its meaning. A narrow scope with a "*" would
// imply nothing that a route requires.
func CheckImplies(b *words.Block, values []string) error {
	const word = "scope_implies"
	for _, value := range values {
		switch value {
		case "->", "=>", "=", ":", ">", "|", "||", "&&", "and", "or", "implies":
			return b.Errf("%s: leave out %q: the broad scope comes first, and those that it implies follow it", word, value)
		}
	}
	if err := b.Check(word, append(slices.Clone(textMistakes), quotedScopes), values...); err != nil {
		return err
	}
	return b.Check(word, []words.Mistake{words.Wildcard("a scope is compared exactly", "list each scope that it implies")},
		values[1:]...)
}

// quotedScopes recognizes several scopes in one pair of quotes.
func quotedScopes(value string) string {
	if !strings.Contains(value, " ") {
		return ""
	}
	return "one pair of quotes makes one scope: leave the quotes out: " + strings.Join(strings.Fields(value), " ")
}

// braces recognizes a path that is written as Caddy writes placeholders.
func braces(path string) string {
	name, opened := strings.CutPrefix(path, "{")
	name, closed := strings.CutSuffix(name, "}")
	if !opened || !closed {
		return ""
	}
	return NotAPlaceholder(name)
}

// NotAPlaceholder says what to write in place of a placeholder. The name of the user is "id" there, and claims call it
// "sub".
func NotAPlaceholder(name string) string {
	if name == "id" {
		name = "sub"
	}
	return "a path is a name, not a placeholder: write " + name
}

// betweenValues recognizes words between the values of a claim that would be values themselves. The first of values is
// the path.
func betweenValues(b *words.Block, word, what string, values []string) error {
	for i, value := range values {
		if i == 0 || i == len(values)-1 {
			continue
		}
		switch value := strings.ToLower(value); {
		case i > 1 && slices.Contains([]string{"and", "&&", "&", "or", "||", "|"}, value):
			return b.Errf("%s: leave out %q: one of the values is enough; to ask for several, write a line for each",
				what, values[i])
		case value == "like" || value == "at_least" || value == "at_most":
			return b.Errf("%s: %q stands directly behind the path, as in %s %s %s ...; write a line for each comparison",
				what, values[i], what, values[0], value)
		case i == 1 && operators[value] != "":
			return b.Errf("%s %q: %s", what, values[i], comparison(word, what, values[0], operators[value]))
		case i == 1 && value == "not":
			member := memberOf(what)
			return b.Errf("%s: \"not\" stands before %q: %s %s %s", what, member,
				strings.Replace(what, member, "not "+member, 1), values[0], strings.Join(values[2:], " "))
		}
	}
	return nil
}

// operator recognizes an "or" between values.
func operator(why string) words.Mistake {
	return func(value string) string {
		switch strings.ToLower(value) {
		case "|", "||", "&", "&&", "or", "and":
			return why
		}
		return ""
	}
}

// operators are names of comparisons, which may also be values, with their signs in expressions.
var operators = map[string]string{
	"starts_with": "^=", "startswith": "^=", "prefix": "^=", "ends_with": "$=", "endswith": "$=", "suffix": "$=",
	"matches": "=~", "regex": "=~", "contains": "=~", "gte": ">=", "min": ">=", "lte": "<=", "max": "<=",
	"gt": ">", "lt": "<", "ne": "!=", "not_in": "!=", "not_values": "!=",
}

// comparison recognizes the operators of expressions. word is what stands before the kind.
func comparison(word, what, path, value string) string {
	member := memberOf(what)
	switch value {
	case "=", "==", "===", ":", ":=", "|", "||":
		return "values follow the path without an operator: " + what + " <path> <value...>"
	case "!=", "!==", "<>":
		return fmt.Sprintf("here: %s not %s %s <value...>", word, member, path)
	case ">=", "=>":
		return fmt.Sprintf("here: %s %s %s at_least <number>", word, member, path)
	case "<=", "=<":
		return fmt.Sprintf("here: %s %s %s at_most <number>", word, member, path)
	case ">", "<":
		return fmt.Sprintf("here: %s %s %s at_least <number>, or at_most <number>; both include the number itself",
			word, member, path)
	case "*=", "^=", "$=":
		return fmt.Sprintf("here: %s %s like <text>*, or like *<text>", what, path)
	case "=~", "~", "!~":
		return fmt.Sprintf("a \"*\" at one end of a value is %s %s like <pattern...>; for any other comparison, see "+
			"\"Patterns\" in docs/configuration.md", what, path)
	}
	return ""
}

// literalName reports whether a path is one name as it stands or a JSON pointer. Both may have any character.
func literalName(path string) bool {
	return strings.Contains(path, "://") || strings.HasPrefix(path, "/")
}

// jsonPath recognizes paths that begin at the root.
func jsonPath(path string) string {
	rest, found := strings.CutPrefix(path, "$.")
	if !found {
		return ""
	}
	return fmt.Sprintf("a path begins with a name, not with \"$\": %s", rest)
}

// index recognizes brackets. Only a JSON pointer leads into an array (RFC 6901).
func index(path string) string {
	if strings.HasPrefix(path, "/") || strings.Contains(path, "://[") { // the latter is an IPv6 address
		return ""
	}
	name, rest, found := strings.Cut(path, "[")
	if !found {
		return ""
	}
	if strings.HasPrefix(rest, "]") || strings.HasPrefix(rest, "*]") {
		return fmt.Sprintf("every element of an array is compared, so leave out the brackets: %s", name)
	}
	return fmt.Sprintf("a path has no brackets: to reach one element, use a JSON pointer: %s", pointer(path))
}

// pointer writes a path with brackets as a JSON pointer.
func pointer(path string) string {
	if strings.Contains(path, "://") {
		name, rest, _ := strings.Cut(path, "[")
		return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name) + pointer("["+rest)
	}
	bare := strings.NewReplacer("~", "~0", "/", "~1", ".[", ".", "[", ".", "]", "", `"`, "", "'", "")
	path = bare.Replace(strings.TrimPrefix(path, "$"))
	return "/" + strings.ReplaceAll(strings.TrimPrefix(path, "."), ".", "/")
}

// pathComma recognizes lists of paths.
func pathComma(path string) string {
	if literalName(path) {
		return ""
	}
	return words.CommaList(path)
}

// HasEquals reports whether a path seems to be a name and a value in one.
func HasEquals(path string) bool { return strings.Contains(path, "=") && !literalName(path) }

// equals recognizes a name and a value in one. word is what stands before the kind.
func equals(word, what, path string) string {
	if at := strings.IndexAny(path, "<>!"); at > 0 && !literalName(path) {
		sign, _, _ := strings.Cut(path[at:], "=")
		if strings.Contains(path[at:], "=") {
			sign += "="
		} else {
			sign = path[at : at+1]
		}
		if why := comparison(word, what, path[:at], sign); why != "" {
			return why
		}
	}
	if !HasEquals(path) {
		return ""
	}
	name, value, _ := strings.Cut(path, "=")
	return fmt.Sprintf("a blank separates path and value: %s %s %s (for a name with a \"=\", use a JSON "+
		"pointer: /%s)", what, name, strings.TrimLeft(value, "=~"), path)
}
