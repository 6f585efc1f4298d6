package rotating

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

// Value is what a text means, for example a private key. It follows the files of its template: each Get looks whether
// one of them has changed, which costs a system call for each file. New content counts once it is a moment old, because
// a file may be half written. If a file is gone, or if its content is no good, the last good value stays. The log says
// so once for each change. A Value is safe for concurrent use. It has no goroutine, and needs no Close.
type Value[T any] struct {
	parse  func(text string) (T, error)
	logger *slog.Logger

	current atomic.Pointer[version[T]]

	mu      sync.Mutex // held while files are read
	parts   []part
	refused refusal // the last text that was no good, to parse it only once
	trouble string  // what the log has said last; empty when all is well
}

type refusal struct {
	text string
	err  error
}

type version[T any] struct {
	value  T
	number uint64
	text   string
}

// part is a text, or a file and what it had when somebody looked.
type part struct {
	text  string
	watch *smallfile.Watch
}

// New makes a value, without looking at files. first is what the first text of the template means. parse makes a value
// from a text. Its error must not quote the text. The logger gets changes of state; nil for none. It must outlive the
// value.
func New[T any](t Template, first T, parse func(text string) (T, error), logger *slog.Logger) *Value[T] {
	v := &Value[T]{parse: parse}
	v.current.Store(&version[T]{first, 1, Trim(t.First)})
	var files []string
	for _, p := range t.Parts {
		if p.File {
			files = append(files, p.Text)
			v.parts = append(v.parts, part{watch: &smallfile.Watch{Path: p.Text}})
		} else {
			v.parts = append(v.parts, part{text: p.Text})
		}
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	v.logger = logger.With("file", strings.Join(files, ", "))
	return v
}

// Get returns the present value, and a number that is another one for each value. It does not wait for others who read
// the files: it then returns the value from before.
func (v *Value[T]) Get() (value T, number uint64) {
	if v.mu.TryLock() {
		v.look(false)
		v.mu.Unlock()
	}
	now := v.current.Load()
	return now.value, now.number
}

// Again is Get after somebody has refused the value with this number. It takes new content even if it may still be
// written: a value that was refused is worth less.
func (v *Value[T]) Again(number uint64) (value T, latest uint64) {
	v.mu.Lock()
	if v.current.Load().number == number {
		v.look(true)
	}
	v.mu.Unlock()
	now := v.current.Load()
	return now.value, now.number
}

// look takes new content. With hurry, it does not wait until the content is a moment old.
func (v *Value[T]) look(hurry bool) {
	text, calm, err := v.read()
	now := v.current.Load()
	switch {
	case err != nil:
		v.fail(err)
		return
	case text == now.text:
		v.recovered()
		return
	case !calm && !hurry:
		return
	case text == v.refused.text:
		v.fail(v.refused.err)
		return
	}
	value, err := v.parse(text)
	switch {
	case err == nil:
		v.current.Store(&version[T]{value, now.number + 1, text})
		v.trouble, v.refused = "", refusal{}
		v.logger.Info("a credential has changed: its file has new content")
	case calm: // what was written a moment ago may be half of it
		v.refused = refusal{text, err}
		v.fail(err)
	}
}

// read makes the text of this moment. calm reports that no file was written a moment ago.
func (v *Value[T]) read() (text string, calm bool, err error) {
	calm = true
	var whole strings.Builder
	for i := range v.parts {
		p := &v.parts[i]
		if p.watch != nil {
			settled, err := p.look(time.Now())
			if err != nil {
				return "", false, err
			}
			calm = calm && settled
		}
		whole.WriteString(p.text)
	}
	return Trim(whole.String()), calm, nil
}

// look reads the file of a part if it has changed. calm reports that it was not written a moment ago.
func (p *part) look(now time.Time) (calm bool, err error) {
	content, err := p.watch.Look(now)
	switch {
	case err != nil:
		return false, err
	case content != nil:
		p.text, calm = Trim(string(content.Data)), content.Settled || now.Sub(content.Modified) >= smallfile.Settle
	default:
		calm = true
	}
	if p.text == "" && calm {
		return false, errEmpty
	}
	return calm, nil
}

// errEmpty: no credential is an empty text, not even a part of one.
var errEmpty = errors.New("it is empty")

func (v *Value[T]) fail(err error) {
	if text := err.Error(); text != v.trouble {
		v.trouble = text
		v.logger.LogAttrs(context.Background(), slog.LevelWarn,
			"a credential cannot be read from its file: the one from before stays in use", slog.String("error", text))
	}
}

func (v *Value[T]) recovered() {
	if v.trouble != "" {
		v.trouble, v.refused = "", refusal{}
		v.logger.Info("a credential can be read from its file again, and is the same as before")
	}
}

// Trim removes what editors and programs put around a text in a file: a byte order mark before it, and line ends (CR,
// LF or both) behind it.
func Trim(text string) string {
	return strings.TrimRight(strings.TrimPrefix(text, "\ufeff"), "\r\n")
}
