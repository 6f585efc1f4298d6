package words

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/setting"
)

// Settings reads what the values of a configuration stand for: placeholders that are known when it loads ({env.*},
// {file.*}), and files. One that gives nothing is an error: an unset variable must not become an empty check.
type Settings struct {
	repl    *caddy.Replacer
	defers  bool
	missing []error
}

// NewSettings is for loading a configuration, and for whatever else needs all that its values stand for.
func NewSettings() *Settings { return &Settings{repl: caddy.NewReplacer()} }

// NewDeferringSettings is for adapting a configuration, which may happen on another machine than the one that loads it.
// A variable or a file that is not there is no error, but its value is not known.
func NewDeferringSettings() *Settings { return &Settings{repl: caddy.NewReplacer(), defers: true} }

// Missing are the errors that loading the configuration here would give because a variable or a file is not there.
func (s *Settings) Missing() []error { return s.missing }

// later decides about a value that is not there. Without an error the value is not known.
func (s *Settings) later(err error) error {
	if !s.defers {
		return err
	}
	s.missing = append(s.missing, err)
	return nil
}

// Text replaces the placeholders in a value. what is how errors name the setting. An empty value stays empty.
//
// When known is false, the text only stands in for one that nobody can know yet: it differs from all others, and can be
// neither checked nor used.
func (s *Settings) Text(what, value string) (text string, known bool, err error) {
	if value == "" {
		return "", true, nil
	}
	var missing error
	text, err = s.repl.ReplaceFunc(value, func(name string, found any) (any, error) {
		text := content(caddy.ToString(found))
		switch {
		case text != "":
			return text, nil
		case !given(name):
			return nil, errors.New(nothing(name))
		case missing == nil:
			missing = fmt.Errorf("%s: %s%s", what, nothing(name), placeholderAdvice)
		}
		return "", nil
	})
	switch {
	case err != nil:
		return "", false, fmt.Errorf("%s: %w%s", what, err, placeholderAdvice)
	case missing != nil:
		return s.standIn(value), false, s.later(missing)
	}
	if text = content(text); strings.TrimSpace(text) == "" {
		return "", false, fmt.Errorf("%s is empty%s", what, placeholderAdvice)
	}
	return text, true, nil
}

// Texts is Text for a list. An error has the index as its field; known is true when all are.
func (s *Settings) Texts(what string, values []string) (texts []string, known bool, err error) {
	if err := NotEmpty(what, values); err != nil {
		return nil, false, err
	}
	texts, known = make([]string, len(values)), true
	for i, value := range values {
		text, ok, err := s.Text(what, value)
		if err == nil && text == "" {
			err = fmt.Errorf("a value of %s is empty", what)
		}
		if err != nil {
			return nil, false, setting.In(fmt.Sprintf("[%d]", i), err)
		}
		texts[i], known = text, known && ok
	}
	return texts, known, nil
}

// standIn is a text in place of one that is not known: what was written, so that an error names it and the same text is
// the same, or a number when that has characters that a check may refuse.
func (s *Settings) standIn(value string) string {
	const longest = 64
	harmful := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("{}./:_-", c)
	}
	if len(value) > longest || strings.ContainsFunc(value, harmful) {
		return fmt.Sprintf("{%d}", len(s.missing)+1)
	}
	return value
}

// given reports whether a placeholder is for something outside of the configuration, which may be there later.
func given(name string) bool {
	return strings.HasPrefix(name, "env.") || strings.HasPrefix(name, "file.")
}

// content is a value without what editors and programs put around it in a file or a variable: line ends behind it, CR,
// LF or both, and a byte order mark before it. Every text of the configuration is read so, secrets and tokens among
// them; one whose bytes do end in a line end is written in base64.
func content(text string) string {
	return strings.TrimRight(strings.TrimPrefix(text, "\ufeff"), "\r\n")
}

const placeholderAdvice = " (only placeholders known at start, such as {env.NAME} and {file./path}, can be used " +
	"here, and they must give something; a brace that is meant literally is written \\{)"

// placeholders are how those begin that somebody may write.
var placeholders = []string{"{env.", "{file.", "{http.", "{$"}

// nothing says that a placeholder gives nothing. Only what surely is one is named: the text of a value may be a secret,
// and a brace in it no placeholder at all.
func nothing(name string) string {
	for _, known := range placeholders {
		if strings.HasPrefix("{"+name, known) {
			return "{" + name + "} gives nothing"
		}
	}
	return "there is no such placeholder"
}

// Typed is a value without the placeholders in it.
func Typed(value string) string {
	for _, known := range placeholders {
		for {
			before, rest, found := strings.Cut(value, known)
			_, after, ended := strings.Cut(rest, "}")
			if !found || !ended {
				break
			}
			value = before + after
		}
	}
	return value
}

// Literal refuses a placeholder where none is resolved: as a name it would be that of nothing.
func Literal(what, value string) error {
	for _, known := range placeholders {
		if strings.Contains(value, known) {
			return fmt.Errorf("%s: no placeholder is resolved here; write the value itself, or {$NAME} in a Caddyfile", what)
		}
	}
	return nil
}

// NotEmpty refuses a list without a value, which only JSON can have: whoever wrote it, or the program that did, meant
// to restrict something, and nothing would be.
func NotEmpty[T any](what string, values []T) error {
	if values != nil && len(values) == 0 {
		return fmt.Errorf("%s is an empty list: leave it out, or give it a value", what)
	}
	return nil
}
