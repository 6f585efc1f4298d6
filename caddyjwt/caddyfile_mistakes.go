package caddyjwt

import (
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// The mistakes of this file are about tokens and their claims (see words.Mistake). Each would load, and then the gate
// would refuse every token.

// Mistakes of words that take values of several kinds.
var (
	scopeMistakes = []words.Mistake{words.SingleQuotes, words.ShellVariable, words.CommaList, operator,
		words.Wildcard("a scope is compared exactly", "list each one, or see \"Patterns\" in docs/configuration.md")}
	groupMistakes = []words.Mistake{words.SingleQuotes, words.ShellVariable, words.CommaList, operator,
		words.Wildcard("a group is compared exactly", "list each one")}
	pathMistakes = []words.Mistake{words.SingleQuotes, jsonPath, index, pathComma, equals,
		words.WildcardInName("a claim path names one claim", "write its name; every element of an array is compared")}
	valueMistakes = []words.Mistake{words.SingleQuotes, words.ShellVariable, words.TrailingComma, comparison,
		words.Wildcard("a claim is compared exactly", "list each value, or see \"Patterns\" in docs/configuration.md")}
	forwardMistakes = []words.Mistake{words.SingleQuotes, jsonPath, index, pathComma,
		words.WildcardInName("a claim path names one claim", "write its name; an array or an object is forwarded as a whole")}
)

// wildcardInPrefix names no way to write a literal "*": no token has one (RFC 6750 section 2.1).
func wildcardInPrefix(value string) string {
	if !strings.Contains(value, "*") {
		return ""
	}
	return "a prefix matches whatever follows it: leave out the \"*\""
}

func capitalAny(value string) string {
	if !strings.EqualFold(value, "any") || value == "any" {
		return ""
	}
	return "the word that accepts every audience is written in lower case: any"
}

func anyType(value string) string {
	if !strings.EqualFold(value, "any") {
		return ""
	}
	return "no token has this type: to accept any type, leave the word out"
}

// operator recognizes an "or" between values.
func operator(value string) string {
	switch strings.ToLower(value) {
	case "|", "||", "&", "&&", "or", "and":
		return "values stand side by side without an operator: a token needs all scopes, and one of the groups; " +
			"for one scope of several, see \"Patterns\" in docs/configuration.md"
	}
	return ""
}

// comparison recognizes the operators of expressions.
func comparison(value string) string {
	switch value {
	case "=", "==", "===", ":", ":=", "!=", "=~", ">", ">=", "<", "<=", "|", "||":
		return "values follow the path without an operator: require claim <path> <value...>; " +
			"for any other comparison, see \"Patterns\" in docs/configuration.md"
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
	return fmt.Sprintf("a claim path begins with the name of a claim, not with \"$\": %s", rest)
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
	return fmt.Sprintf("a claim path has no brackets: to reach one element, use a JSON pointer: %s", pointer(path))
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

// equals recognizes a name and a value in one.
func equals(path string) string {
	name, value, found := strings.Cut(path, "=")
	if !found || literalName(path) {
		return ""
	}
	return fmt.Sprintf("a blank separates path and value: require claim %s %s (for a name with a \"=\", use a JSON "+
		"pointer: /%s)", strings.TrimRight(name, "!"), strings.TrimLeft(value, "=~"), path)
}

func equalsInIssuer(path string) string {
	if equals(path) == "" {
		return ""
	}
	return "required_claims takes names of claims only; to compare a value, write this outside the issuer block: " +
		"require claim <path> <value...>"
}

// keyClaimAsPath recognizes paths where one name is meant.
func keyClaimAsPath(value string) string {
	if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "$.") {
		return ""
	}
	return "key_claim takes the name of a top-level claim, not a path: write the name alone"
}
