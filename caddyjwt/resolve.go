package caddyjwt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// resolve replaces placeholders that are known when a configuration loads ({env.*}, {file.*}). One that gives nothing
// is an error: an unset variable must not become an empty check.
func resolve(repl *caddy.Replacer, what, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	resolved, err := repl.ReplaceFunc(value, func(_ string, found any) (any, error) {
		text := content(caddy.ToString(found))
		if text == "" {
			return nil, errNothing
		}
		return text, nil
	})
	if err != nil {
		return "", fmt.Errorf("%s: %s%s", what, troubled(value), placeholderAdvice)
	}
	if resolved = content(resolved); strings.TrimSpace(resolved) == "" {
		return "", fmt.Errorf("%s is empty%s", what, placeholderAdvice)
	}
	return resolved, nil
}

var errNothing = errors.New("the placeholder gives nothing")

// content is a value without what editors and programs put around it in a file or a variable: line ends behind it, CR,
// LF or both, and a byte order mark before it. Every text of the configuration is read so, secrets and tokens among
// them; one whose bytes do end in a line end is written in base64.
func content(text string) string {
	return strings.TrimRight(strings.TrimPrefix(text, "\ufeff"), "\r\n")
}

const placeholderAdvice = " (only placeholders known at start, such as {env.NAME} and {file./path}, can be used here, " +
	"and they must give something; a brace that is meant literally is written \\{)"

// placeholders are how those begin that somebody may write.
var placeholders = []string{"{env.", "{file.", "{http.", "{$"}

// literal refuses a placeholder where none is resolved: as a name it would be that of nothing.
func literal(what, value string) error {
	for _, known := range placeholders {
		if strings.Contains(value, known) {
			return fmt.Errorf("%s: no placeholder is resolved here; write the value itself, or {$NAME} in a Caddyfile", what)
		}
	}
	return nil
}

// troubled names the placeholder that gives nothing. The text of a value is not quoted: it may be a secret, and a brace in
// it no placeholder at all.
func troubled(value string) string {
	for _, known := range placeholders {
		if _, rest, found := strings.Cut(value, known); found {
			if name, _, ended := strings.Cut(rest, "}"); ended {
				return known + name + "} gives nothing"
			}
		}
	}
	return "there is no such placeholder"
}

func resolveAll(repl *caddy.Replacer, what string, values []string) ([]string, error) {
	if err := notEmpty(what, values); err != nil {
		return nil, err
	}
	out := make([]string, len(values))
	for i, value := range values {
		resolved, err := resolve(repl, what, value)
		if err != nil {
			return nil, err
		}
		if resolved == "" {
			return nil, fmt.Errorf("a value of %s is empty", what)
		}
		out[i] = resolved
	}
	return out, nil
}

// notEmpty refuses a list without a value, which only JSON can have: whoever wrote it, or the program that did, meant to
// restrict something, and nothing would be.
func notEmpty[T any](what string, values []T) error {
	if values != nil && len(values) == 0 {
		return fmt.Errorf("%s is an empty list: leave it out, or give it a value", what)
	}
	return nil
}

// resolveSecret gives the bytes of a secret. Its errors never quote the secret.
func resolveSecret(repl *caddy.Replacer, value string, isBase64 bool) ([]byte, error) {
	text, err := resolve(repl, "secret", value)
	if err != nil {
		if strings.Contains(value, "{") {
			return nil, err
		}
		return nil, errors.New("secret is empty")
	}
	if !isBase64 {
		if isShellVariable(value) {
			return nil, errors.New("secret is the name of a variable, which anybody may guess: " + variableCure)
		}
		if isPath(text) {
			return nil, errors.New("secret is the path of a file: to use its content, write {file./the/path}")
		}
		return []byte(text), nil
	}
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	encoding := base64.RawURLEncoding
	if strings.ContainsAny(text, "+/") {
		encoding = base64.RawStdEncoding
	}
	secret, err := encoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("secret is not base64: remove the word base64, or encode the secret")
	}
	return secret, nil
}

// isShellVariable reports whether a value is a variable as shells and Compose write it ("$NAME"). Caddy takes it as it
// stands.
func isShellVariable(value string) bool {
	name, found := strings.CutPrefix(value, "$")
	return found && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

const variableCure = "an environment variable is written {env.NAME}, or {$NAME} in a Caddyfile"

// isPath tells a path from a secret: whoever writes one means the content, and a path is easily guessed. A secret may
// begin with a slash, too; a path either is there or ends like the name of a file.
func isPath(text string) bool {
	if _, err := os.Stat(text); err == nil {
		return true
	}
	if !strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../") {
		return false
	}
	switch filepath.Ext(text) {
	case ".key", ".pem", ".txt", ".secret", ".jwk", ".json":
		return true
	}
	return false
}
