package words

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/smallfile"
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
	if secret, err = jose.DecodeSecret(text); err != nil {
		return nil, false, fmt.Errorf("secret %w", err)
	}
	return secret, true, nil
}

// IsPath reports whether a text in place of a secret or of PEM is a path. Whoever writes a path means the content of
// the file, and a path is easily guessed. It is one if such a file exists, or if the text can only be meant as one.
func IsPath(text string) bool {
	_, err := os.Stat(text)
	return err == nil || smallfile.IsName(text)
}
