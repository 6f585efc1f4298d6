package caddyjwt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/caddyserver/caddy/v2"
)

// maxFile bounds the files with keys and certificates that a configuration names.
const maxFile = 1 << 20

// readFile reads a regular file of reasonable size; anything else might never end. Its errors do not name the file: what
// stands in the place of a path may be a key that somebody has put there.
func readFile(path string) ([]byte, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, nameless(err)
	}
	if !stat.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nameless(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, nameless(err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	return content, nil
}

func nameless(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
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
