package monitortest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	quoted    = regexp.MustCompile(`"[^"]*"`)
	matchers  = regexp.MustCompile(`\{[^}]*\}`)
	matched   = regexp.MustCompile(`([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)`)
	duration  = regexp.MustCompile(`\[[^\]]*\]`)
	grouping  = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	function  = regexp.MustCompile(`\b[a-zA-Z_]\w*\s*\(`)
	name      = regexp.MustCompile(`\b[a-zA-Z_:][\w:]*`)
	operators = []string{"and", "or", "unless", "bool", "offset"}
)

// Names returns the metrics and the labels that an expression of PromQL names. It does not understand PromQL: promtool
// says whether the expression is good.
func Names(expr string) (metrics, labels []string) {
	expr = quoted.ReplaceAllString(expr, `""`)
	for _, braces := range matchers.FindAllString(expr, -1) {
		for _, label := range matched.FindAllStringSubmatch(braces, -1) {
			labels = append(labels, label[1])
		}
	}
	expr = duration.ReplaceAllString(matchers.ReplaceAllString(expr, ""), "")
	for _, list := range grouping.FindAllStringSubmatch(expr, -1) {
		labels = append(labels, name.FindAllString(list[1], -1)...)
	}
	expr = function.ReplaceAllString(grouping.ReplaceAllString(expr, ""), "(")
	for _, word := range name.FindAllString(expr, -1) {
		if !slices.Contains(operators, word) {
			metrics = append(metrics, word)
		}
	}
	return unique(metrics), unique(labels)
}

func unique(words []string) []string {
	slices.Sort(words)
	return slices.Compact(words)
}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// Values returns which label of which series a variable takes its values from. Grafana has that twice, in definition
// and query.
func (v Variable) Values(tb testing.TB) (selector, label string) {
	tb.Helper()
	query, _ := v.Query.(map[string]any)
	found := labelValues.FindStringSubmatch(v.Definition)
	if found == nil || query["query"] != v.Definition {
		tb.Fatalf("variable %s: definition %q, and query %v: want label_values in both", v.Name, v.Definition, v.Query)
	}
	return found[1], found[2]
}

var variable = regexp.MustCompile(`\$(\w+)|\$\{(\w+)\}`)

// Variables returns the names of the variables in a text.
func Variables(text string) (names []string) {
	for _, found := range variable.FindAllStringSubmatch(text, -1) {
		names = append(names, found[1]+found[2])
	}
	return unique(names)
}

// Substitute puts values in place of variables.
func Substitute(text string, values map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		value, known := values[strings.Trim(found, "${}")]
		if !known {
			return found
		}
		return value
	})
}
