package words

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

// PEMBegin is in every PEM text, and never in a path.
const PEMBegin = "-----BEGIN"

// File resolves a setting that has the path of a file, and reads the file: Text, then ReadFile.
func (s *Settings) File(what, value string) (content []byte, known bool, err error) {
	path, known, err := s.Text(what, value)
	if err != nil || !known {
		return nil, false, err
	}
	return s.ReadFile(what, path)
}

// ReadFile reads a file with keys or certificates. When known is false, the file does not exist yet.
func (s *Settings) ReadFile(what, path string) (content []byte, known bool, err error) {
	content, _, err = smallfile.Read(path)
	if err != nil {
		return nil, false, s.Unread(what, path, err)
	}
	return content, true, nil
}

// PEM is the PEM text of a setting that has either the text itself or the path of a file. When known is false, a
// variable or the file is missing, and so is the text.
func (s *Settings) PEM(what, value string) (text string, known bool, err error) {
	_, text, known, err = s.pem(what, value)
	return text, known, err
}

// pem is PEM, with the path of the file that the text is from; empty for none.
func (s *Settings) pem(what, value string) (path, text string, known bool, err error) {
	text, known, err = s.Text(what, value)
	if err != nil || !known || strings.Contains(text, PEMBegin) {
		return "", text, known, err
	}
	content, _, err := smallfile.Read(text)
	if err != nil {
		err = notAPath(text, err)
		err = s.unread(text, err, fmt.Errorf("%s is neither PEM text nor a readable file: %w", what+named(text), err))
		return "", "", false, err
	}
	return text, string(content), true, nil
}

// Unread is the error about a file that could not be read, or has a mistake, or nil if the file may come later. Mistake
// says what is wrong; in it, nothing of the file's secrets may be quoted.
func (s *Settings) Unread(what, path string, mistake error) error {
	mistake = notAPath(path, mistake)
	return s.unread(path, mistake, fmt.Errorf("%s: %w", what+named(path), mistake))
}

// notAPath says what a text is that was written in place of a path. For a path, it returns the cause why the file
// cannot be read.
func notAPath(text string, cause error) error {
	switch {
	case strings.Contains(text, PEMBegin):
		return errors.New("this is PEM text, not the path of a file: save it to a file, and give its path")
	case strings.Contains(text, "://"):
		return errors.New("this is an address, not the path of a file: download the file, and give its path")
	}
	return cause
}

// unread decides about a file that could not be read. A file that does not exist may come later, so its content is only
// unknown. All else is an error, full, whose cause is cause. So is a path that may be a key, or that cannot name a
// file: no such file will ever come.
func (s *Settings) unread(path string, cause, full error) error {
	if named(path) != "" && errors.Is(cause, fs.ErrNotExist) {
		return s.later(full)
	}
	return full
}

// named is how an error names a file, or "" when it must not. In place of a path there may be a key, typed or from a
// placeholder: PEM text has lines and dashes, a JWK has braces, and base64 and hex have no dot. An address is not named
// either, because its query may have a secret.
func named(path string) string {
	const longest = 255 // no file system takes a longer name
	if len(path) > longest || strings.ContainsAny(path, "\n{?") ||
		strings.Contains(path, "-----") || strings.Contains(path, "://") ||
		!strings.HasPrefix(path, "/") && !strings.Contains(path, ".") {
		return ""
	}
	return fmt.Sprintf(" %q", path)
}
