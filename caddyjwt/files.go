package caddyjwt

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

// pemBegin is in every PEM text, and in no path.
const pemBegin = "-----BEGIN"

// readFile reads a file with keys or certificates that a setting names.
func readFile(what, path string) ([]byte, error) {
	content, _, err := smallfile.Read(path)
	if err != nil && strings.Contains(path, pemBegin) {
		err = errors.New("this is PEM text, and not the path of a file")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what+named(path), err)
	}
	return content, nil
}

// readSetting reads the PEM file whose path a setting has.
func readSetting(repl *caddy.Replacer, what, value string) ([]byte, error) {
	path, err := resolve(repl, what, value)
	if err != nil {
		return nil, err
	}
	text, err := readFile(what, path)
	return jose.PlainText(text), err
}

// readPEM gives the PEM text of a setting that has either the text or the path of its file.
func readPEM(repl *caddy.Replacer, what, value string) (string, error) {
	text, err := resolve(repl, what, value)
	if err != nil || strings.Contains(text, pemBegin) {
		return text, err
	}
	content, _, err := smallfile.Read(text)
	if err != nil {
		return "", fmt.Errorf("%s is neither PEM text nor a file that can be read: %w", what+named(text), err)
	}
	return string(content), nil
}

// named is how an error names a file, if it can. What stands in the place of a path may be a key that somebody has put
// there, or that a placeholder has: PEM text has lines and dashes, a JWK has braces, and base64 and hex have no dot.
func named(path string) string {
	const longest = 255 // a name that no file system takes is none
	if len(path) > longest || strings.ContainsAny(path, "\n{") || strings.Contains(path, "-----") ||
		!strings.HasPrefix(path, "/") && !strings.Contains(path, ".") {
		return ""
	}
	return fmt.Sprintf(" %q", path)
}
