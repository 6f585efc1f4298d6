package publicpath

import (
	"errors"
	"slices"
	"strings"
)

// Add adds a path, such as "/healthz", or everything below one: "/assets/*". An error says how to mend the path.
func (s *Set) Add(path string) error {
	if err := check(path); err != nil {
		return err
	}
	prefix, below := strings.CutSuffix(path, "*")
	_, twice := s.exact[path]
	switch {
	case twice, below && slices.Contains(s.below, prefix):
		return errors.New("it is there twice: remove one of them")
	case below:
		s.below = append(s.below, prefix)
	case s.exact == nil:
		s.exact = map[string]struct{}{path: {}}
	default:
		s.exact[path] = struct{}{}
	}
	return nil
}

// check refuses a path that no public request could have, or that could open more than it seems to.
func check(path string) error {
	switch {
	case path == "":
		return errors.New("it is empty: give a path such as /healthz")
	case path == "*", path == "/*":
		return errors.New("every path would be public: leave bearer_auth out, or use optional, " +
			"which lets requests without a token pass everywhere")
	case strings.Contains(path, "://"):
		return errors.New("give the path alone, without scheme and host")
	case path[0] != '/':
		return errors.New("a path begins with a slash, and there are no regular expressions: " +
			"/healthz, or /assets/* for everything below /assets/")
	case strings.ContainsAny(path, "?#"):
		return errors.New("give the path alone: it is then public with every query")
	case strings.Contains(path, "%"):
		return errors.New("a path with \"%\" is never public, because servers decode it in different ways: " +
			"give the page a plain name")
	case strings.Contains(path, ","):
		return errors.New("paths are separated by blanks, not by commas")
	}
	name, _ := strings.CutSuffix(path, "*")
	switch {
	case strings.Contains(name, "*"), name != path && !strings.HasSuffix(name, "/"):
		return errors.New("\"*\" stands only at the end, after a slash: " +
			"write /assets and /assets/*, not /assets*, and list other paths one by one")
	case strings.ContainsFunc(name, isForeign):
		return errors.New("a public path has only letters, digits and -._~@/: give the page a plain name")
	case !Plain(name):
		return errors.New("no public request could have it: its names are not empty, do not end in a dot, " +
			"and do not have two dots in a row")
	}
	return nil
}

// isForeign reports whether a character is in no public path.
func isForeign(c rune) bool { return c >= 0x80 || c != '/' && c != '.' && !isPlain(byte(c)) }
