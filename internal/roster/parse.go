package roster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/jose"
)

// Bounds on a file. Each has an error of its own.
const (
	MaxFile      = 256 << 20 // bytes
	maxConsumers = 1_000_000
	maxPiece     = 1 << 20 // bytes of one consumer
)

// Error is a mistake in a file of consumers. It quotes no secret.
type Error struct {
	Line     int    // of the file, from 1
	Consumer int    // in the order of the file, from 1; 0 if the mistake is outside of them
	Username string // empty if it is not known
	Err      error
}

// Error says where the mistake is, and what it is.
func (e *Error) Error() string {
	where := fmt.Sprintf("line %d", e.Line)
	if e.Consumer > 0 {
		where += fmt.Sprintf(", consumer %d", e.Consumer)
	}
	if e.Username != "" {
		where += " " + causes.Quote(e.Username)
	}
	return where + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// piece is where the text of one consumer is.
type piece struct {
	text []byte
	line int // of its first byte, from 1
}

// format is one of the forms that a file may have.
type format struct {
	// split finds the text of each consumer. It judges only what is between them.
	split func(data []byte) ([]piece, error)
	// decode reads the texts of neighbours in the file, and returns each consumer on demand. An error is about that
	// consumer alone, and names the member as a setting.Error does.
	decode func(neighbours []piece) func(i int) (record, error)
	// locate returns the line of an error of decode, or of one that names a member. The first line of the text is 0.
	locate func(text []byte, mistake error) int
}

// misread is the error about text that its reader does not understand. It quotes nothing.
type misread struct {
	at   int // in JSON the offset in bytes, in YAML the line; both begin at 0
	text string
}

func (m *misread) Error() string { return m.text }

// formatOf chooses the form by the first character that means something: a list in JSON begins with a bracket.
func formatOf(data []byte) (format, error) {
	first := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(first) == 0:
		return format{}, &Error{Line: 1, Err: errors.New("the file is empty: it was cut off, or is not written yet; " +
			"for no consumers at all, write []")}
	case first[0] == '[':
		return format{splitJSON, decodeJSON, locateJSON}, nil
	case first[0] == '{':
		return format{}, &Error{Line: 1 + bytes.Count(data[:len(data)-len(first)], newline), Err: errors.New(
			"expected a list of consumers, [{\"username\": …}, …], and this is an object: " +
				"write only the list that \"consumers\" has in a configuration")}
	default:
		return format{splitYAML, decodeYAML, locateYAML}, nil
	}
}

var newline = []byte("\n")

// Parse reads a file of consumers. now is when certificates must have begun. It uses all processors, and stops early
// when ctx ends. What is the same as in before is taken over from there; before may be nil. An error about the content
// is an *Error, the one about the first consumer that is bad.
func Parse(ctx context.Context, data []byte, before *Set, now time.Time) (*Set, error) {
	form, pieces, err := split(data)
	if err != nil {
		return nil, err
	}
	read, err := readAll(ctx, form, pieces, now)
	if err != nil {
		return nil, err
	}
	return collect(read, pieces, before)
}

// split finds the text of each consumer.
func split(data []byte) (form format, pieces []piece, err error) {
	if len(data) > MaxFile {
		return form, nil, fmt.Errorf("longer than %d MiB", MaxFile>>20)
	}
	data = jose.WithoutMark(data)
	if i := invalidUTF8(data); i >= 0 {
		return form, nil, &Error{Line: 1 + bytes.Count(data[:i], newline), Err: errors.New("the file is not UTF-8 here")}
	}
	if form, err = formatOf(data); err != nil {
		return form, nil, err
	}
	pieces, err = form.split(data)
	return form, pieces, err
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// batch is how many consumers one worker takes at a time.
const batch = 64

// readAll reads the pieces. It returns the error about the first piece that is bad, whichever worker finds it first.
func readAll(ctx context.Context, form format, pieces []piece, now time.Time) ([]*consumer.Consumer, error) {
	read := make([]*consumer.Consumer, len(pieces))
	var (
		next, bad atomic.Int64 // bad is the first bad piece so far
		mu        sync.Mutex
		first     error
		workers   sync.WaitGroup
	)
	bad.Store(int64(len(pieces)))
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			w := worker{form: form, now: now, groups: make(map[string][]string)}
			for ctx.Err() == nil {
				from := int(next.Add(batch)) - batch
				if from >= len(pieces) || int64(from) > bad.Load() {
					return
				}
				to := min(from+batch, len(pieces))
				decode := form.decode(pieces[from:to])
				for i := from; i < to; i++ {
					consumer, err := w.read(i, pieces[i], func() (record, error) { return decode(i - from) })
					if err != nil {
						mu.Lock()
						if int64(i) < bad.Load() {
							bad.Store(int64(i))
							first = err
						}
						mu.Unlock()
						return
					}
					read[i] = consumer
				}
			}
		})
	}
	workers.Wait()
	if first == nil {
		first = ctx.Err()
	}
	return read, first
}

// worker reads pieces.
type worker struct {
	form   format
	now    time.Time
	groups map[string][]string // lists of groups by their text: most consumers have the same few
}

// read reads one piece. A panic becomes an error: the YAML reader has had some.
func (w *worker) read(i int, p piece, decode func() (record, error)) (consumer *consumer.Consumer, err error) {
	where := &Error{Line: p.line, Consumer: i + 1}
	defer func() {
		if r := recover(); r != nil {
			where.Err = errors.New("the file cannot be read here")
			consumer, err = nil, where
		}
	}()
	r, err := decode()
	if len(r.username) <= maxText {
		where.Username = r.username
	}
	if err == nil {
		consumer, err = r.compile(w.now)
	}
	if err != nil {
		where.Line += w.form.locate(p.text, err)
		where.Err = err
		return nil, where
	}
	consumer.Groups = w.shared(consumer.Groups)
	return consumer, nil
}

// shared returns an equal list of groups, the same one for all consumers that have these groups.
func (w *worker) shared(groups []string) []string {
	if len(groups) == 0 {
		return nil
	}
	text := strings.Join(groups, ",") // no group has a comma
	if known, ok := w.groups[text]; ok {
		return known
	}
	own := slices.Clone(groups)
	for i, group := range own {
		own[i] = strings.Clone(group)
	}
	w.groups[text] = own
	return own
}
