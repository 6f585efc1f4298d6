package rotating_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

// whole is a parser that takes only texts which begin with "good".
func whole(text string) (string, error) {
	if !strings.HasPrefix(text, "good") {
		return "", errors.New("this is no good")
	}
	return text, nil
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// put has a file in place that is already old, by renaming it.
func put(tb testing.TB, path, text string) {
	tb.Helper()
	write(tb, path+".new", text)
	old := time.Now().Add(-time.Hour)
	if err := errors.Join(os.Chtimes(path+".new", old, old), os.Rename(path+".new", path)); err != nil {
		tb.Fatal(err)
	}
}

func must(tb testing.TB, errs ...error) {
	tb.Helper()
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
}

func ofFile(path, first string) rotating.Template {
	return rotating.Template{Parts: []rotating.Part{{Text: path, File: true}}, First: first}
}

func newValue(tb testing.TB, t rotating.Template, logger *slog.Logger) *rotating.Value[string] {
	tb.Helper()
	first, err := whole(t.First)
	if err != nil {
		tb.Fatal(err)
	}
	return rotating.New(t, first, whole, logger)
}

// lines is a logger, and what it has written without times.
func lines() (*slog.Logger, *bytes.Buffer) {
	var text bytes.Buffer
	return slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "file" {
				return slog.Attr{}
			}
			return a
		},
	})), &text
}

// Steps of one file. In a synctest bubble, the clock is before all files, so that only a second look can tell that a
// file has settled; put makes files that are old even there.
func TestValueFollowsItsFile(t *testing.T) {
	const changed, kept, same = "has changed", "the one from before stays", "the same as before"
	for _, test := range []struct {
		name string
		do   func(tb testing.TB, path string)
		want string
		log  string // of this step; empty for nothing
	}{
		{"nothing", func(testing.TB, string) {}, "good 1", ""},
		{"the same text again", func(tb testing.TB, path string) { put(tb, path, "good 1") }, "good 1", ""},
		{"another file", func(tb testing.TB, path string) { put(tb, path, "good 2") }, "good 2", changed},
		{"with a line end", func(tb testing.TB, path string) { put(tb, path, "good 2\r\n\n") }, "good 2", changed},
		{"with a byte order mark", func(tb testing.TB, path string) { put(tb, path, "\ufeffgood 2") }, "good 2", changed},
		{"blanks are part of it", func(tb testing.TB, path string) { put(tb, path, " good") }, "good 1", kept},
		{"nothing good in it", func(tb testing.TB, path string) { put(tb, path, "secret") }, "good 1", kept},
		{"an empty file", func(tb testing.TB, path string) { put(tb, path, "") }, "good 1", kept},
		{"only a line end", func(tb testing.TB, path string) { put(tb, path, "\n") }, "good 1", kept},
		{"too long a file", func(tb testing.TB, path string) {
			put(tb, path, "good"+strings.Repeat("x", smallfile.Max))
		}, "good 1", kept},
		{"no file", func(tb testing.TB, path string) { must(tb, os.Remove(path)) }, "good 1", kept},
		{"a directory", func(tb testing.TB, path string) {
			must(tb, os.Remove(path), os.Mkdir(path, 0o700))
		}, "good 1", kept},
		{"a pipe that nobody writes to", func(tb testing.TB, path string) {
			must(tb, os.Remove(path), syscall.Mkfifo(path, 0o600))
		}, "good 1", kept},
		{"a link to itself", func(tb testing.TB, path string) {
			must(tb, os.Remove(path), os.Symlink(path, path))
		}, "good 1", kept},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			put(t, path, "good 1\n")
			synctest.Test(t, func(t *testing.T) {
				logger, text := lines()
				value := rotating.New(ofFile(path, "good 1\n"), "good 1", whole, logger) // the file as it is
				first, number := value.Get()
				if first != "good 1" {
					t.Fatalf("at first %q", first)
				}
				test.do(t, path)
				for range 3 { // the log says it once
					if got, _ := value.Get(); got != test.want {
						t.Errorf("%q, want %q", got, test.want)
					}
				}
				if _, latest := value.Get(); (latest != number) != (test.want != first) {
					t.Errorf("the number was %d, and is %d", number, latest)
				}
				logged := text.String()
				if test.log == changed && test.want == first {
					t.Fatal("the table contradicts itself")
				}
				if strings.Contains(logged, "secret") || strings.Contains(logged, "good 2") {
					t.Errorf("the log has the content: %s", logged)
				}
				if n := strings.Count(logged, "\n"); test.log == "" && n > 0 || test.log != "" &&
					(n != 1 || !strings.Contains(logged, test.log)) {
					t.Errorf("the log has %q, want one line with %q", logged, test.log)
				}
				must(t, os.RemoveAll(path))
				put(t, path, test.want)
				if got, _ := value.Get(); got != test.want {
					t.Errorf("when it is back: %q", got)
				}
				if rest := strings.TrimPrefix(text.String(), logged); (test.log == kept) != strings.Contains(rest, same) {
					t.Errorf("when it is back, the log says %q", rest)
				}
			})
		})
	}
}

// A file that is written in place counts once it was the same for a moment.
func TestValueWaitsForWhatIsHalfWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "good 1")
	synctest.Test(t, func(t *testing.T) {
		logger, text := lines()
		value := newValue(t, ofFile(path, "good 1"), logger)
		for i, step := range []struct{ text, want string }{
			{"", "good 1"}, {"go", "good 1"}, {"good", "good 1"}, {"good 2", "good 1"},
		} {
			write(t, path, step.text)
			if got, _ := value.Get(); got != step.want {
				t.Errorf("step %d: %q, want %q", i, got, step.want)
			}
			time.Sleep(smallfile.Settle - 1)
		}
		if got, _ := value.Get(); got != "good 1" {
			t.Errorf("too early: %q", got)
		}
		time.Sleep(1)
		if got, _ := value.Get(); got != "good 2" {
			t.Errorf("after it has settled: %q", got)
		}
		if n := strings.Count(text.String(), "\n"); n != 1 {
			t.Errorf("the log has %q", text)
		}
	})
}

// After a refusal, what was written a moment ago is better than what was refused, if it is good.
func TestAgainDoesNotWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "good 1")
	synctest.Test(t, func(t *testing.T) {
		logger, text := lines()
		value := newValue(t, ofFile(path, "good 1"), logger)
		_, first := value.Get()
		if got, number := value.Again(first); got != "good 1" || number != first {
			t.Errorf("unchanged: %q, %d after %d", got, number, first)
		}
		write(t, path, "half")
		if got, number := value.Again(first); got != "good 1" || number != first || text.Len() > 0 {
			t.Errorf("half written: %q, %d after %d, log %q", got, number, first, text)
		}
		write(t, path, "good 2")
		got, second := value.Again(first)
		if got != "good 2" || second == first {
			t.Errorf("changed: %q, %d after %d", got, second, first)
		}
		write(t, path, "good 3")
		if got, number := value.Again(first); got != "good 2" || number != second { // another one came in the meantime
			t.Errorf("for an earlier one: %q, %d", got, number)
		}
	})
}

// Kubernetes replaces a directory of files at once: it renames a link to the directory.
func TestValueFollowsLinksAsOfKubernetes(t *testing.T) {
	dir := t.TempDir()
	swap := func(version string) {
		t.Helper()
		must(t, os.Mkdir(filepath.Join(dir, ".."+version), 0o700))
		put(t, filepath.Join(dir, ".."+version, "token"), "good "+version+"\n")
		must(t, os.Symlink(".."+version, filepath.Join(dir, "..data_tmp")),
			os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	swap("1")
	must(t, os.Symlink("..data/token", filepath.Join(dir, "token")))
	template := rotating.Template{
		Parts: []rotating.Part{{Text: "good Bearer "}, {Text: filepath.Join(dir, "token"), File: true}, {Text: "!"}},
		First: "good Bearer good 1!",
	}
	value := newValue(t, template, nil)
	for _, version := range []string{"2", "3", "4"} {
		swap(version)
		if got, _ := value.Get(); got != "good Bearer good "+version+"!" {
			t.Errorf("version %s: %q", version, got)
		}
	}
	must(t, os.RemoveAll(filepath.Join(dir, "..4")))
	if got, _ := value.Get(); got != "good Bearer good 4!" {
		t.Errorf("when it is gone: %q", got)
	}
}

// A text of two files changes with each of them.
func TestValueOfTwoFiles(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	put(t, one, "a\n")
	put(t, two, "b\n")
	template := rotating.Template{
		Parts: []rotating.Part{{Text: "good "}, {Text: one, File: true}, {Text: ":"}, {Text: two, File: true}},
		First: "good a:b",
	}
	value := newValue(t, template, nil)
	for _, step := range []struct{ path, text, want string }{
		{one, "c", "good c:b"}, {two, "d", "good c:d"}, {one, "", "good c:d"}, {two, "e", "good c:d"}, {one, "f", "good f:e"},
	} {
		put(t, step.path, step.text)
		if got, _ := value.Get(); got != step.want {
			t.Errorf("%q in %s: %q, want %q", step.text, filepath.Base(step.path), got, step.want)
		}
	}
}

// Trouble that changes is told again, the same one is not.
func TestEachTroubleIsLoggedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	put(t, path, "good")
	logger, text := lines()
	value := newValue(t, ofFile(path, "good"), logger)
	must(t, os.Remove(path))
	for i, content := range []string{"-", "bad", "worse", "-", "bad", "bad"} {
		if content == "-" {
			os.Remove(path)
		} else {
			put(t, path, content)
		}
		value.Get()
		value.Get()
		t.Logf("%d: %s", i, text)
	}
	var got []string
	for line := range strings.Lines(text.String()) {
		got = append(got, line[strings.Index(line, " error="):])
	}
	const gone, bad = ` error="no such file or directory"` + "\n", ` error="this is no good"` + "\n"
	if want := gone + bad + gone + bad; strings.Join(got, "") != want {
		t.Errorf("got %q, want %q", strings.Join(got, ""), want)
	}
}

func TestRotates(t *testing.T) {
	for _, test := range []struct {
		name  string
		parts []rotating.Part
		want  bool
	}{
		{"nothing", nil, false},
		{"a text", []rotating.Part{{Text: "a"}}, false},
		{"a file", []rotating.Part{{Text: "a", File: true}}, true},
		{"a file behind a text", []rotating.Part{{Text: "a"}, {Text: "a", File: true}}, true},
	} {
		if got := (rotating.Template{Parts: test.parts}).Rotates(); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// Whoever asks while the file changes gets a whole value, and never one that goes back.
func TestValueUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	put(t, path, "good 00000")
	value := newValue(t, ofFile(path, "good 00000"), nil)
	const last = "good 00200"
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			before, number := "", uint64(0)
			for before != last {
				got, latest := value.Get()
				if got < before || latest < number || (got == before) != (latest == number) {
					t.Errorf("%q (%d) after %q (%d)", got, latest, before, number)
					return
				}
				if len(got) != len(last) {
					t.Errorf("half a value: %q", got)
					return
				}
				if before, number = got, latest; latest%7 == 0 {
					before, number = value.Again(latest)
				}
			}
		})
	}
	for i := range 200 {
		put(t, path, fmt.Sprintf("good %05d", i+1))
	}
	running.Wait()
}
