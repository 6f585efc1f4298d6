package words

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Secret gives the bytes of a secret. Its errors never quote the secret. When known is false, there are none yet.
func (s *Settings) Secret(value string, isBase64 bool) (secret []byte, known bool, err error) {
	text, known, err := s.Text("secret", value)
	if err != nil {
		if strings.Contains(value, "{") {
			return nil, false, err
		}
		return nil, false, errors.New("secret is empty")
	}
	if !known {
		return nil, false, nil
	}
	if !isBase64 {
		if IsShellVariable(value) {
			return nil, false, errors.New("secret is the name of a variable, which anybody may guess: " + VariableCure)
		}
		if IsPath(text) {
			return nil, false, errors.New("secret is the path of a file: to use its content, write {file./the/path}")
		}
		return []byte(text), true, nil
	}
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	encoding := base64.RawURLEncoding
	if strings.ContainsAny(text, "+/") {
		encoding = base64.RawStdEncoding
	}
	secret, err = encoding.Strict().DecodeString(text)
	if err != nil {
		return nil, false, errors.New("secret is not base64: remove the word base64, or encode the secret")
	}
	return secret, true, nil
}

// IsShellVariable reports whether a value is a variable as shells and Compose write it ("$NAME"). Caddy takes it as it
// stands.
func IsShellVariable(value string) bool {
	name, found := strings.CutPrefix(value, "$")
	return found && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// VariableCure says how a variable is written here.
const VariableCure = "an environment variable is written {env.NAME}, or {$NAME} in a Caddyfile"

// IsPath reports whether a text in place of a secret or of PEM is a path: whoever writes one means the content, and a
// path is easily guessed. A secret may begin with a slash, too; a path either is there or ends like the name of a
// file.
func IsPath(text string) bool {
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
