package tokentest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Vectors reads a file of published test vectors in JSON. The path is below the folder VECTORS_DIR. Without the folder
// or the file, it skips the test.
func Vectors(tb testing.TB, v any, path ...string) {
	tb.Helper()
	dir := os.Getenv("VECTORS_DIR")
	if dir == "" {
		tb.Skip("VECTORS_DIR names no folder of test vectors")
	}
	data, err := os.ReadFile(filepath.Join(append([]string{dir}, path...)...))
	if errors.Is(err, fs.ErrNotExist) {
		tb.Skip("this file is not in VECTORS_DIR")
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
