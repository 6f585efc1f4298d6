package caddyjwt

import (
	"fmt"

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
		return nil, fmt.Errorf("%s %q: %w", what, path, err)
	}
	return content, nil
}
