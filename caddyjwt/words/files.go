package words

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

// PEMBegin is in every PEM text, and in no path.
const PEMBegin = "-----BEGIN"

// File is Text and ReadFile, for a setting that has the path of a file.
func (s *Settings) File(what, value string) (content []byte, known bool, err error) {
	path, known, err := s.Text(what, value)
	if err != nil || !known {
		return nil, false, err
	}
	return s.ReadFile(what, path)
}

// ReadFile reads a file with keys or certificates. When known is false, the file is not there yet.
func (s *Settings) ReadFile(what, path string) (content []byte, known bool, err error) {
	content, _, err = smallfile.Read(path)
	if err != nil {
		err = notAPath(path, err)
		return nil, false, s.unread(path, err, fmt.Errorf("%s: %w", what+named(path), err))
	}
	return content, true, nil
}

// PEM gives the PEM text of a setting that has either the text or the path of its file. When known is false, there is
// none yet.
func (s *Settings) PEM(what, value string) (text string, known bool, err error) {
	text, known, err = s.Text(what, value)
	if err != nil || !known || strings.Contains(text, PEMBegin) {
		return text, known, err
	}
	content, _, err := smallfile.Read(text)
	if err != nil {
		err = notAPath(text, err)
		err = s.unread(text, err, fmt.Errorf("%s is neither PEM text nor a file that can be read: %w", what+named(text), err))
		return "", false, err
	}
	return string(content), true, nil
}

// notAPath says what a text is that was taken for the path of a file, or gives the cause why that cannot be read.
func notAPath(text string, cause error) error {
	switch {
	case strings.Contains(text, PEMBegin):
		return errors.New("this is PEM text, and not the path of a file")
	case strings.Contains(text, "://"):
		return errors.New("this is an address, and not the path of a file: save what it answers in a file")
	}
	return cause
}

// unread decides about a file that could not be read, because of cause: whether that is full, an error, or its content
// is not known yet. A text that may be a key, or no name of a file, will be no file later either.
func (s *Settings) unread(path string, cause, full error) error {
	if named(path) != "" && errors.Is(cause, fs.ErrNotExist) {
		return s.later(full)
	}
	return full
}

// named is how an error names a file, if it can. What stands in the place of a path may be a key that somebody has put
// there, or that a placeholder has: PEM text has lines and dashes, a JWK has braces, and base64 and hex have no dot.
// Nor is an address named, whose query may have a secret.
func named(path string) string {
	const longest = 255 // no file system takes a longer name
	if len(path) > longest || strings.ContainsAny(path, "\n{?") ||
		strings.Contains(path, "-----") || strings.Contains(path, "://") ||
		!strings.HasPrefix(path, "/") && !strings.Contains(path, ".") {
		return ""
	}
	return fmt.Sprintf(" %q", path)
}
