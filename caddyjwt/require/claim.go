package require

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Number is a number as a text. Caddy passes every configuration through floating-point numbers, which would turn
// 9007199254740993 into 9007199254740992.
type Number string

// UnmarshalJSON refuses anything but a text.
func (n *Number) UnmarshalJSON(text []byte) error {
	if !bytes.HasPrefix(text, []byte(`"`)) {
		return fmt.Errorf("at_least and at_most are texts, because Caddy rounds the numbers of a configuration: write %q",
			text)
	}
	if err := json.Unmarshal(text, (*string)(n)); err != nil || strings.TrimSpace(string(*n)) == "" {
		return errors.New("at_least or at_most is empty: write a number such as \"18\", or leave it out")
	}
	return nil
}

// condition is a Claim or a HeaderMember.
type condition interface {
	parts() (path string, compared *Comparison)
}

func (c Claim) parts() (path string, compared *Comparison) { return c.Claim, &c.Comparison }

func (m HeaderMember) parts() (path string, compared *Comparison) {
	return m.Member, &m.Comparison
}

// compileConditions compiles a list, whose name is plural. word names one of its elements.
func compileConditions[C condition](s *words.Settings, word, plural string, list []C) ([]claims.Condition, error) {
	var out []claims.Condition
	if err := words.NotEmpty(plural, list); err != nil {
		return nil, err
	}
	for i := range list {
		path, compared := list[i].parts()
		condition, err := compared.compile(s, word, path)
		if err != nil {
			return nil, setting.In(fmt.Sprintf("[%d]", i), err)
		}
		out = append(out, condition)
	}
	return out, nil
}

func (c *Comparison) compile(s *words.Settings, word, path string) (out claims.Condition, err error) {
	if out.Path, err = ClaimPath(word, path); err != nil {
		return out, err
	}
	word += " " + path
	if out.Values, _, err = s.Texts(word, c.Values); err != nil {
		return out, err
	}
	if out.Patterns, err = compilePatterns(s, word+" like", c.Like); err != nil {
		return out, setting.In("Like", err)
	}
	if out.AtLeast, err = c.AtLeast.compile(s, word+" at_least"); err != nil {
		return out, setting.In("AtLeast", err)
	}
	out.AtMost, err = c.AtMost.compile(s, word+" at_most")
	return out, setting.In("AtMost", err)
}

// compilePatterns resolves placeholders in patterns. One with a value that is not known yet is judged as it is written.
// If no "*" is there, the value may have it.
func compilePatterns(s *words.Settings, word string, list []string) (out []claims.Pattern, err error) {
	if err := words.NotEmpty(word, list); err != nil {
		return nil, err
	}
	for i, value := range list {
		text, known, err := s.Text(word, value)
		if err == nil && !known {
			if text = value; !strings.Contains(text, "*") {
				text += "*"
			}
		}
		var pattern claims.Pattern
		if err == nil {
			if pattern, err = claims.ParsePattern(text); err != nil {
				err = fmt.Errorf("%s: %w", word, err)
			}
		}
		if err != nil {
			return nil, setting.In(fmt.Sprintf("[%d]", i), err)
		}
		out = append(out, pattern)
	}
	return out, nil
}

func (n Number) compile(s *words.Settings, word string) (claims.Number, error) {
	text, known, err := s.Text(word, string(n))
	if err != nil || text == "" {
		return claims.Number{}, err
	}
	if !known {
		text = "0" // stands in for it
	}
	number, err := claims.ParseNumber(text)
	if err != nil {
		return number, fmt.Errorf("%s: %w", word, err)
	}
	return number, nil
}

// ClaimPath reads the path of a claim, or that of a member of the JOSE header. word is how errors name it.
func ClaimPath(word, text string) (claims.Path, error) {
	if err := words.Literal(word, text); err != nil {
		return claims.Path{}, err
	}
	path, err := claims.ParsePath(text)
	if err != nil {
		return claims.Path{}, fmt.Errorf("%s: %w", word, err)
	}
	return path, nil
}

// ClaimPaths reads the paths of claims. word is how errors name them.
func ClaimPaths(word string, texts []string) ([]claims.Path, error) {
	if err := words.NotEmpty(word, texts); err != nil {
		return nil, err
	}
	var paths []claims.Path
	for n, text := range texts {
		path, err := ClaimPath(word, text)
		if err != nil {
			return nil, setting.In(setting.Element("", n), err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}
