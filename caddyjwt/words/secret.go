package words

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Secret resolves a secret to its bytes. Its errors never quote the secret. When known is false, there are no bytes
// yet.
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
		if cure := ShellVariable(value); cure != "" {
			return nil, false, errors.New("secret is the name of a variable, which anybody can guess: " + cure)
		}
		if IsPath(text) {
			return nil, false, errors.New("secret is the path of a file, not its content: write {file./the/path}")
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

// IsPath reports whether a text in place of a secret or of PEM is a path. Whoever writes a path means the content of
// the file, and a path is easily guessed. A secret may begin with a slash, too, so only two kinds of text are paths:
// those of a file that exists, and those that end like a file name.
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
