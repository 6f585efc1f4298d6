package words_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/rotating"
)

func TestRotating(t *testing.T) {
	dir := t.TempDir()
	one, two, pem := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "key.pem")
	const key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"
	for path, text := range map[string]string{one: "1\r\n", two: "\ufeff2\n", pem: key + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATE_TEST_VALUE", "v")
	text := func(text string) rotating.Part { return rotating.Part{Text: text} }
	file := func(path string) rotating.Part { return rotating.Part{Text: path, File: true} }
	for _, test := range []struct {
		name, value string
		pem         bool
		first       string
		parts       []rotating.Part
	}{
		{"a text", "abc", false, "abc", []rotating.Part{text("abc")}},
		{"nothing", "", false, "", []rotating.Part{text("")}},
		{"a variable", "{env.GATE_TEST_VALUE}", false, "v", []rotating.Part{text("v")}},
		{"a file", "{file." + one + "}", false, "1", []rotating.Part{file(one)}},
		{"a file between texts", "a {file." + one + "} b", false, "a 1 b",
			[]rotating.Part{text("a "), file(one), text(" b")}},
		{"two files and a variable", "{file." + two + "}{env.GATE_TEST_VALUE}{file." + one + "}", false, "2v1",
			[]rotating.Part{file(two), text("v"), file(one)}},
		{"the same file twice", "{file." + one + "}{file." + one + "}", false, "11", []rotating.Part{file(one), file(one)}},
		{"a brace that is no placeholder", `\{file.x\}{file.` + one + "}", false, "{file.x}1",
			[]rotating.Part{text("{file.x}"), file(one)}},
		{"a text with the mark", "\x00{file." + one + "}", false, "\x001", []rotating.Part{text("\x001")}},
		{"a path", pem, true, key + "\n", []rotating.Part{file(pem)}},
		{"PEM text", key, true, key, []rotating.Part{text(key)}},
		{"PEM text in a file", "{file." + pem + "}", true, key, []rotating.Part{file(pem)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			read := words.NewSettings().Rotating
			if test.pem {
				read = words.NewSettings().RotatingPEM
			}
			got, known, err := read("value", test.value)
			if err != nil || !known || got.First != test.first || !slices.Equal(got.Parts, test.parts) {
				t.Errorf("%+v, known %v, error %v; want %q of %v", got, known, err, test.first, test.parts)
			}
		})
	}
	t.Run("a pipe", func(t *testing.T) { // as a shell makes one for <(command)
		written := make(chan error, 1)
		go func() { // one reader gets it, and a second would wait forever
			w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
			if err == nil {
				_, err = w.WriteString("once\n")
				err = errors.Join(err, w.Close())
			}
			written <- err
		}()
		got, _, err := words.NewSettings().Rotating("value", "{file."+pipe+"}")
		if err != nil || got.First != "once" || got.Rotates() {
			t.Errorf("%+v, error %v", got, err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
	t.Run("not there", func(t *testing.T) {
		if _, _, err := words.NewSettings().Rotating("value", "{file."+dir+"/none}"); err == nil {
			t.Error("no error on loading")
		}
		got, known, err := words.NewDeferringSettings().Rotating("value", "{file."+dir+"/none}")
		if err != nil || known || got.Rotates() {
			t.Errorf("%+v, known %v, error %v", got, known, err)
		}
	})
}
