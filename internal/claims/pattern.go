package claims

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Pattern is a text with one "*" at its beginning or its end, which stands for any text, also for none. All else is
// compared exactly. The zero Pattern matches nothing.
type Pattern struct {
	text    string
	literal string
	suffix  bool // whether the literal part is at the end
}

// ParsePattern reads a pattern. It refuses what would match every text, and what no single comparison can decide.
func ParsePattern(text string) (Pattern, error) {
	literal, suffix := strings.CutPrefix(text, "*")
	if !suffix {
		literal = strings.TrimSuffix(text, "*")
	}
	switch {
	case !utf8.ValidString(text):
		return Pattern{}, errors.New("the pattern is not UTF-8")
	case strings.TrimSpace(literal) == "" && text != "":
		return Pattern{}, errors.New("\"*\" alone matches everything: write more of the value, or ask only that the claim " +
			"is there, without \"like\" and values")
	case literal == text && !strings.Contains(text, "*"):
		return Pattern{}, fmt.Errorf("the pattern %q has no \"*\": leave \"like\" out to compare the whole value, or put a "+
			"\"*\" at its beginning or its end", text)
	case strings.Contains(literal, "*"):
		return Pattern{}, fmt.Errorf("the pattern %q has more than one \"*\", or one in the middle: only one is allowed, at "+
			"the beginning or at the end", text)
	}
	return Pattern{text, literal, suffix}, nil
}

// String returns the text that was parsed.
func (p Pattern) String() string { return p.text }

// boundaries are characters at which the literal part of a pattern can stop without matching a longer name.
const boundaries = "/:.@"

// Doubt says how the pattern may match other names than those that were meant. It is empty if there is no doubt.
func (p Pattern) Doubt() string {
	switch {
	case p.literal == "":
		return ""
	case p.suffix && !strings.ContainsRune(boundaries, rune(p.literal[0])):
		return fmt.Sprintf("also matches %q, because nothing separates \"*\" from what follows it; begin the rest with /, "+
			":, . or @ if such names must not pass", "evil"+p.literal)
	case !p.suffix && !strings.ContainsRune(boundaries, rune(p.literal[len(p.literal)-1])):
		return fmt.Sprintf("also matches %q, because nothing separates \"*\" from what stands before it; end the rest with "+
			"/, :, . or @ if such names must not pass", p.literal+"-evil")
	}
	return ""
}

// matches reports whether a value is a string of that pattern. It does not allocate.
func (p Pattern) matches(v strictjson.Value) bool {
	switch {
	case p.literal == "":
		return false
	case p.suffix:
		return v.HasSuffix(p.literal)
	default:
		return v.HasPrefix(p.literal)
	}
}
