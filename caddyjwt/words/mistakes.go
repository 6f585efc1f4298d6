package words

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Mistake recognizes values that would load but are surely not meant. It says what is wrong and what to write instead,
// or "" if the value is fine. It sees what somebody typed, without the placeholders.
//
// Only a Caddyfile is searched for mistakes: people type it, while programs write JSON. The value of a placeholder is
// not searched either, because it may differ on another machine. So a value that looks like a mistake but is meant can
// be written in JSON, or as a placeholder.
type Mistake func(value string) string

// Check looks for mistakes in values of the word. what is how the error names it.
func (b *Block) Check(what string, mistakes []Mistake, values ...string) error {
	for _, value := range values {
		typed := Typed(value)
		for _, mistake := range mistakes {
			if why := mistake(typed); why != "" {
				return b.d.Errf("%s %q: %s", what, value, why)
			}
		}
	}
	return nil
}

// Wildcard recognizes a "*" where there are no wildcards. rule says why there are none, cure what to write instead.
func Wildcard(rule, cure string) Mistake {
	return wildcard("JSON or a placeholder such as {env.NAME}", rule, cure)
}

// WildcardInName is Wildcard for words in which no placeholder is resolved.
func WildcardInName(rule, cure string) Mistake { return wildcard("JSON", rule, cure) }

func wildcard(elsewhere, rule, cure string) Mistake {
	return func(value string) string {
		if !strings.Contains(value, "*") {
			return ""
		}
		return fmt.Sprintf("%s, so \"*\" is not a wildcard: %s (for a literal \"*\", use %s)", rule, cure, elsewhere)
	}
}

// CommaList recognizes lists as other configurations write them.
func CommaList(value string) string {
	if !strings.Contains(value, ",") {
		return ""
	}
	parts := strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' })
	if len(parts) == 0 {
		return "values are separated by blanks: leave the comma out"
	}
	return "values are separated by blanks, not by commas: " + strings.Join(parts, " ")
}

// TrailingComma is CommaList for values in which a comma may be meant, such as a distinguished name.
func TrailingComma(value string) string {
	if !strings.HasSuffix(value, ",") {
		return ""
	}
	return CommaList(value)
}

// QuotedAddresses recognizes several addresses in one pair of quotes.
func QuotedAddresses(value string) string {
	parts := strings.Fields(value)
	if len(parts) < 2 || slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(part, "://") }) {
		return ""
	}
	return "one pair of quotes makes one value: quote each address on its own, or leave the quotes out"
}

// SingleQuotes recognizes the quotes of YAML and of shells.
func SingleQuotes(value string) string {
	if len(value) < 2 || value[0] != '\'' || value[len(value)-1] != '\'' {
		return ""
	}
	return fmt.Sprintf("a Caddyfile takes single quotes as part of the value: write %q", value[1:len(value)-1])
}

// unfilled is a blank of a manual.
var unfilled = regexp.MustCompile(`<[\w][\w. -]*>`)

// Unfilled recognizes a blank of a manual that nobody has filled in, such as "<aud>".
func Unfilled(value string) string {
	blank := unfilled.FindString(value)
	if blank == "" {
		return ""
	}
	return blank + " stands for a value of yours: write that instead"
}

// OuterBlanks recognizes blanks at the ends of a value, which quotes have kept.
func OuterBlanks(value string) string {
	trimmed := strings.TrimSpace(value)
	if trimmed == value || trimmed == "" {
		return ""
	}
	return fmt.Sprintf("a blank inside of quotes belongs to the value: write %q", trimmed)
}

// ShellVariable recognizes a variable as shells and Compose write it ("$NAME"). Caddy takes it as it stands.
func ShellVariable(value string) string {
	name, found := strings.CutPrefix(value, "$")
	if !found || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return ""
	}
	return "an environment variable is written {env.NAME}, or {$NAME} in a Caddyfile"
}
