package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzVerify writes bytes into a good file, of one page and of many. No damage may panic, or use more memory than the
// file has bytes. That nothing is lost silently is the matter of other tests.
func FuzzVerify(f *testing.F) {
	path := filepath.Join(f.TempDir(), "store.db")
	s, err := OpenFile(path, FileOptions{})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 40 {
		value := make([]byte, 40*i)
		if err := s.Put(f.Context(), string(rune('A'+i)), value, time.UnixMilli(int64(i))); err != nil {
			f.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := verify(bytes.NewReader(good), int64(len(good))); err != nil {
		f.Fatal(err)
	}
	for page := range len(bytes.TrimRight(good, "\x00"))/os.Getpagesize() + 1 {
		f.Add(uint32(page*os.Getpagesize()), []byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 255, 255, 255})
		f.Add(uint32(page*os.Getpagesize()+16), bytes.Repeat([]byte{255}, 64))
	}
	f.Fuzz(func(_ *testing.T, offset uint32, overlay []byte) {
		damaged := bytes.Clone(good)
		copy(damaged[int(offset)%len(good):], overlay)
		_ = verify(bytes.NewReader(damaged), int64(len(damaged)))
	})
}
