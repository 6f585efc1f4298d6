// Package smallfile reads small regular files, such as keys and certificates, and nothing that might not end.
package smallfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Max is the greatest length of a file, in bytes.
const Max = 1 << 20

// Read reads a regular file of at most Max bytes. Its errors do not name the file. The caller knows the path, and in a
// configuration somebody may have put a key where the path belongs.
//
// Read checks the file after opening it, not the path before. In between, somebody could put a pipe there, and opening
// a pipe that has no writer would block.
func Read(path string) ([]byte, os.FileInfo, error) { return read(path, Max) }

// ReadUpTo is Read for a file that may have another length.
func ReadUpTo(path string, longest int64) ([]byte, error) {
	data, _, err := read(path, longest)
	return data, err
}

func read(path string, longest int64) ([]byte, os.FileInfo, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, WithoutPath(err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, nil, WithoutPath(err)
	}
	if !stat.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	if stat.Size() > longest {
		return nil, nil, fmt.Errorf("longer than %d bytes", longest)
	}
	var data bytes.Buffer
	data.Grow(int(stat.Size()) + bytes.MinRead) // a long file is not copied again and again while it is read
	if _, err := data.ReadFrom(io.LimitReader(file, longest+1)); err != nil {
		return nil, nil, WithoutPath(err)
	}
	if int64(data.Len()) > longest {
		return nil, nil, fmt.Errorf("longer than %d bytes", longest)
	}
	return data.Bytes(), stat, nil
}

// IsName reports whether a text can only be meant as the path of a file, to catch a path in place of a secret. It
// judges by the text alone. A secret may begin with a slash, too, so the text must also end like the name of a file.
func IsName(text string) bool {
	if !strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../") {
		return false
	}
	switch filepath.Ext(text) {
	case ".key", ".pem", ".txt", ".secret", ".jwk", ".json":
		return true
	}
	return false
}

// WithoutPath removes the path from an error of package os.
func WithoutPath(err error) error {
	if wrapped, ok := errors.AsType[*os.PathError](err); ok {
		return wrapped.Err
	}
	return err
}
