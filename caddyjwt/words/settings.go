package words

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Settings resolves the values of a configuration: placeholders that are known when it loads ({env.*}, {file.*}), and
// files. A placeholder without a value is an error: an unset variable must not turn a check into an empty one.
type Settings struct {
	repl    *caddy.Replacer
	defers  bool
	missing []error
}

// NewSettings makes Settings for loading a configuration, and for everything else that needs all values.
func NewSettings() *Settings { return &Settings{repl: caddy.NewReplacer()} }

// NewDeferringSettings makes Settings for adapting a configuration, perhaps on another machine than the one that loads
// it. A missing variable or file is not an error there; its value is unknown.
func NewDeferringSettings() *Settings { return &Settings{repl: caddy.NewReplacer(), defers: true} }

// Missing are the errors for missing variables and files that loading the configuration on this machine would give.
func (s *Settings) Missing() []error { return s.missing }

// later decides about a missing value: nil means that it is unknown for now.
func (s *Settings) later(err error) error {
	if !s.defers {
		return err
	}
	s.missing = append(s.missing, err)
	return nil
}

// Text resolves the placeholders in a value. what is how errors name the setting. An empty value stays empty.
//
// When known is false, nobody can know the text yet, and the one returned only stands in for it. It differs from the
// stand-ins of other values. It can be neither checked nor used.
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

// Texts is Text for a list. An error has the index as its field. known is true when all texts are known.
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

// standIn stands for a text that is not known. It is the text as written, so that errors show it and equal texts stay
// equal; or a number, if a check could refuse the text for its length or its characters.
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

// given reports whether a placeholder stands for something outside of the configuration, which may be there later.
func given(name string) bool {
	return strings.HasPrefix(name, "env.") || strings.HasPrefix(name, "file.")
}

// content is a value without what editors and programs put around it in a file or a variable: a byte order mark before
// it, and line ends (CR, LF or both) behind it. This goes for every text of the configuration, secrets and tokens
// included. A secret whose bytes do end in a line end has to be written in base64.
func content(text string) string {
	return rotating.Trim(text)
}

const placeholderAdvice = " (use {env.NAME} or {file./path}, which must have a value when the configuration loads; " +
	"a literal brace is written \\{)"

// placeholders are the beginnings of the placeholders that people write.
var placeholders = []string{"{env.", "{file.", "{http.", "{$"}

// nothing says that a placeholder has no value. It names only what surely is a placeholder: the text may be a secret
// that happens to contain a brace.
func nothing(name string) string {
	for _, known := range placeholders {
		if strings.HasPrefix("{"+name, known) {
			return "{" + name + "} has no value"
		}
	}
	return "there is no such placeholder"
}

// Typed is what somebody typed of a value: all but the placeholders.
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

// Literal refuses a placeholder in a setting where none is resolved: there it would be a name that nothing has.
func Literal(what, value string) error {
	for _, known := range placeholders {
		if strings.Contains(value, known) {
			return fmt.Errorf("%s: placeholders are not resolved here; write the value itself, or {$NAME} in a Caddyfile", what)
		}
	}
	return nil
}

// NotEmpty refuses an empty list, which only JSON can have. Whoever wrote it meant to restrict something, and it would
// restrict nothing.
func NotEmpty[T any](what string, values []T) error {
	if values != nil && len(values) == 0 {
		return fmt.Errorf("%s is an empty list: leave it out, or add a value", what)
	}
	return nil
}

// Unguessable stands in for a secret that is not known yet. If it were used by mistake, no token would pass.
func Unguessable() string { return rand.Text() + rand.Text() }
