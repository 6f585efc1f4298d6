package caddyjwt

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// readFile reads a file with keys or certificates that a configuration names.
func readFile(path string) ([]byte, error) {
	content, _, err := keyset.ReadFile(path)
	return content, err
}

// readSetting reads the file that a setting names.
func readSetting(repl *caddy.Replacer, what, path string) ([]byte, error) {
	path, err := resolve(repl, what, path)
	if err != nil {
		return nil, err
	}
	content, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", what, named(path), err)
	}
	return content, nil
}

// named is how an error names a file, if it can. What stands in the place of a path may be a key that somebody has put
// there, or that a placeholder has: PEM text has lines and dashes, and base64 and hex have no dot.
func named(path string) string {
	const longest = 255 // a name that no file system takes is none
	if len(path) > longest || strings.Contains(path, "\n") || strings.Contains(path, "-----") ||
		!strings.HasPrefix(path, "/") && !strings.Contains(path, ".") {
		return ""
	}
	return fmt.Sprintf(" %q", path)
}
