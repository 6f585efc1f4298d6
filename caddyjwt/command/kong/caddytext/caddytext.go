// Package caddytext writes Caddyfiles whose values come from elsewhere: nothing in a value can end its token, its line
// or its block, or be a placeholder.
package caddytext

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A Writer collects lines with their indentation.
type Writer struct {
	text  strings.Builder
	depth int
}

// Line writes a line of tokens. They are written as they are: see [Quote].
func (w *Writer) Line(tokens ...string) {
	if line := strings.Join(tokens, " "); line != "" {
		w.text.WriteString(strings.Repeat("\t", w.depth) + line)
	}
	w.text.WriteString("\n")
}

// Values writes a word with values, each as one token. An error says why one cannot be written.
func (w *Writer) Values(word string, values ...string) error {
	tokens := []string{word}
	for _, value := range values {
		token, err := Quote(value)
		if err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
		tokens = append(tokens, token)
	}
	w.Line(tokens...)
	return nil
}

// Lines writes what another Writer has written. What stands between backticks stays as it is.
func (w *Writer) Lines(text string) {
	quoted := false
	for line := range strings.Lines(text) {
		if quoted {
			w.text.WriteString(line)
		} else {
			w.Line(strings.TrimSuffix(line, "\n"))
		}
		if strings.Count(line, "`")%2 == 1 {
			quoted = !quoted
		}
	}
}

// Block writes a line that begins a block, what is in it, and its end.
func (w *Writer) Block(inside func(), tokens ...string) {
	w.Line(append(tokens, "{")...)
	w.depth++
	inside()
	w.depth--
	w.Line("}")
}

// Inside is what stands in the one block that was written.
func (w *Writer) Inside() string {
	_, inside, _ := strings.Cut(w.String(), "{\n")
	return strings.TrimSuffix(inside, "}\n")
}

// Gap writes an empty line.
func (w *Writer) Gap() { w.text.WriteString("\n") }

// Comment writes a comment, which may have any characters.
func (w *Writer) Comment(format string, args ...any) {
	w.Line("# " + Plain(fmt.Sprintf(format, args...)))
}

// String is what was written.
func (w *Writer) String() string { return w.text.String() }

// Plain is a text for a comment: on one line, and without what Caddy replaces in the whole file.
func Plain(text string) string {
	text = strings.ReplaceAll(text, "{$", "{ $")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

var (
	bare     = regexp.MustCompile(`^[A-Za-z0-9_./:@+=,*~-]+$`)
	variable = regexp.MustCompile(`^\$\{\{\s*env\s+"([A-Za-z_][A-Za-z0-9_]*)"\s*\}\}$`)
)

// ErrBraces is about a value that Caddy would take for a placeholder.
var ErrBraces = errors.New("it has a brace, which Caddy would take for a placeholder")

// ErrEmpty is about a value that is missing.
var ErrEmpty = errors.New("it is empty")

// Quote makes one token of a value. A variable of decK becomes a placeholder of Caddy.
func Quote(value string) (string, error) {
	if name := variable.FindStringSubmatch(value); name != nil {
		return "{env." + name[1] + "}", nil
	}
	if strings.ContainsAny(value, "{}") {
		return "", ErrBraces
	}
	for _, r := range value {
		if r != '\n' && unicode.IsControl(r) || r == unicode.ReplacementChar {
			return "", fmt.Errorf("it has the control character %U", r)
		}
	}
	switch {
	case value == "":
		return "", ErrEmpty
	case bare.MatchString(value):
		return value, nil
	case !strings.Contains(value, "`"):
		return "`" + value + "`", nil
	case strings.ContainsAny(value, "\\\n"):
		return "", errors.New("it has a backtick together with a backslash or more than one line")
	default:
		return `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`, nil
	}
}

// Pattern makes one token of a regular expression, which has no backtick.
func Pattern(expr string) string { return "`" + expr + "`" }
