package caddyjwt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// The mistakes of this file are values that could be taken as they stand, and surely are not meant so: they would
// load, and refuse every token.
//
// Mistakes are looked for in what somebody typed into a Caddyfile. Programs write JSON, so a "*" in it is meant. What
// a placeholder gives is not looked at: on another machine it may be something else. Whoever means a value that looks
// like a mistake writes it in one of these two ways.

// Mistakes of words that are followed by values of several kinds.
var (
	scopeMistakes = []words.Mistake{quoted, variable, comma, operator,
		star("a scope is compared exactly", "list each one, or see \"Patterns\" in docs/configuration.md")}
	groupMistakes = []words.Mistake{quoted, variable, comma, operator,
		star("a group is compared exactly", "list each one")}
	pathMistakes = []words.Mistake{quoted, jsonPath, index, pathComma, equals,
		starInName("a claim path has no wildcards", "name the claim; an array is searched by itself")}
	valueMistakes = []words.Mistake{quoted, variable, lastComma, comparison,
		star("a claim is compared exactly", "list each value, or see \"Patterns\" in docs/configuration.md")}
	forwardMistakes = []words.Mistake{quoted, jsonPath, index, pathComma,
		starInName("a claim path has no wildcards", "name the claim; an array or an object is forwarded as a whole")}
)

// star knows wildcards: nothing here has any.
func star(rule, cure string) words.Mistake {
	return starMeantIn("JSON or as a placeholder such as {env.NAME}", rule, cure)
}

// starInName is for words in which no placeholder is resolved.
func starInName(rule, cure string) words.Mistake { return starMeantIn("JSON", rule, cure) }

func starMeantIn(elsewhere, rule, cure string) words.Mistake {
	return func(value string) string {
		if !strings.Contains(value, "*") {
			return ""
		}
		return fmt.Sprintf("%s, and \"*\" stands for itself: %s (if a token really has a \"*\" there, write it in %s)",
			rule, cure, elsewhere)
	}
}

// starInPrefix needs no other way to be written: no token has a "*" (RFC 6750 section 2.1).
func starInPrefix(value string) string {
	if !strings.Contains(value, "*") {
		return ""
	}
	return "this is how tokens begin, whatever follows: leave out the \"*\""
}

// comma knows lists as other configurations write them.
func comma(value string) string {
	if !strings.Contains(value, ",") {
		return ""
	}
	parts := strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' })
	if len(parts) == 0 {
		return "values are separated by blanks: leave the comma out"
	}
	return "values are separated by blanks, not by commas: " + strings.Join(parts, " ")
}

// lastComma is for values in which a comma may be meant, such as a distinguished name.
func lastComma(value string) string {
	if !strings.HasSuffix(value, ",") {
		return ""
	}
	return comma(value)
}

// blankList knows several addresses in one pair of quotes.
func blankList(value string) string {
	parts := strings.Fields(value)
	if len(parts) < 2 || slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(part, "://") }) {
		return ""
	}
	return "what stands in one pair of quotes is one value: put each into its own, or leave the quotes out"
}

// quoted knows the quotes of YAML and of shells.
func quoted(value string) string {
	if len(value) < 2 || value[0] != '\'' || value[len(value)-1] != '\'' {
		return ""
	}
	return fmt.Sprintf("' is no quote in a Caddyfile, but a part of the value: write %q", value[1:len(value)-1])
}

// variable knows variables as shells write them.
func variable(value string) string {
	if !words.IsShellVariable(value) {
		return ""
	}
	return words.VariableCure
}

func capitalAny(value string) string {
	if !strings.EqualFold(value, "any") || value == "any" {
		return ""
	}
	return "the word that accepts everything is written \"any\""
}

func anyType(value string) string {
	if !strings.EqualFold(value, "any") {
		return ""
	}
	return "no token says so of itself: to accept any type, leave the word out"
}

// operator knows an "or" between values that must all be there.
func operator(value string) string {
	switch strings.ToLower(value) {
	case "|", "||", "&", "&&", "or", "and":
		return "values follow each other without a word between: of scopes all must be there, of groups one; " +
			"for one scope of several, see \"Patterns\" in docs/configuration.md"
	}
	return ""
}

// comparison knows the operators of expressions.
func comparison(value string) string {
	switch value {
	case "=", "==", "===", ":", ":=", "!=", "=~", ">", ">=", "<", "<=", "|", "||":
		return "values follow the path without an operator: require claim <path> <value...>; " +
			"for any other comparison, see \"Patterns\" in docs/configuration.md"
	}
	return ""
}

// literalName reports whether a path is taken as it stands or is a JSON pointer: in these any character may be meant.
func literalName(path string) bool {
	return strings.Contains(path, "://") || strings.HasPrefix(path, "/")
}

// jsonPath knows paths that begin at the root.
func jsonPath(path string) string {
	rest, found := strings.CutPrefix(path, "$.")
	if !found {
		return ""
	}
	return fmt.Sprintf("a claim path begins with the name of the claim: %s", rest)
}

// index knows brackets. Only a JSON pointer leads into an array (RFC 6901).
func index(path string) string {
	if strings.HasPrefix(path, "/") || strings.Contains(path, "://[") { // the latter is an address of IPv6
		return ""
	}
	name, rest, found := strings.Cut(path, "[")
	if !found {
		return ""
	}
	if strings.HasPrefix(rest, "]") || strings.HasPrefix(rest, "*]") {
		return fmt.Sprintf("an array is searched by itself: %s", name)
	}
	return fmt.Sprintf("a claim path has no brackets; a JSON pointer leads into an array: %s", pointer(path))
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

// pathComma knows lists of paths.
func pathComma(path string) string {
	if literalName(path) {
		return ""
	}
	return comma(path)
}

// equals knows a name and a value in one.
func equals(path string) string {
	name, value, found := strings.Cut(path, "=")
	if !found || literalName(path) {
		return ""
	}
	return fmt.Sprintf("the value follows the path after a blank: require claim %s %s (a name that has a \"=\" is "+
		"written as a JSON pointer: /%s)", strings.TrimRight(name, "!"), strings.TrimLeft(value, "=~"), path)
}

func equalsInIssuer(path string) string {
	if equals(path) == "" {
		return ""
	}
	return "require names claims that must be there; what one of them must be is said outside of the issuer block: " +
		"require claim <path> <value...>"
}

// keyClaimAsPath knows paths where one name is meant.
func keyClaimAsPath(value string) string {
	if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "$.") {
		return ""
	}
	return "key_claim is the name of a claim at the top, not a path: write the name alone"
}
