package words

import (
	"reflect"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Table has the words of one block. They fill a T.
type Table[T any] struct {
	// Name of the block, which is the word before it.
	Name string
	// Words, in the order of the syntax card.
	Words []Word[T]

	once sync.Once
	rows []Entry // made once: a Caddyfile may have thousands of blocks of this kind
}

// Word is one row of a table.
type Word[T any] struct {
	// Name is the word itself.
	Name string
	// Usage is what follows the word, as the syntax card writes it: one text for each form. It is empty for a word alone.
	Usage []string
	// Needs is what the error asks for when nothing follows the word. Default: "a value".
	Needs string
	// Repeatable words may be given more than once. All others are refused the second time: one of two values would
	// silently win.
	Repeatable bool
	// Reader reads what follows the word, and fills the field.
	Reader[T]
}

// Reader reads what follows a word. Make one with Text, Flag, Named and the like, or with Custom.
type Reader[T any] struct {
	read   func(*Block, *T) error
	fills  func(*T) []any // pointers to the fields
	inside listing        // the table of the block that may follow
}

// Custom makes a reader for a word like no other. fills returns pointers to the fields of T that read may fill.
// Elements of a list further inside a field are read's to mark: see [Block.Mark].
func Custom[T any](read func(*Block, *T) error, fills func(*T) []any) Reader[T] {
	return Reader[T]{read: read, fills: fills}
}

// WithBlock tells the table whose block a custom reader reads with [ReadInto].
func WithBlock[T, U any](r Reader[T], table *Table[U]) Reader[T] {
	r.inside = table
	return r
}

// Entry describes a row of a table, for tests that compare the tables with a manual.
type Entry struct {
	Name       string
	Usage      []string
	Repeatable bool
	// Fields that the word fills: their names in the struct. JSON: their names in JSON.
	Fields, JSON []string
	// Block is the name of the block that may follow, or "".
	Block string

	needs  string
	inside listing
}

// Forms are the ways to write a word and what follows it.
func (e *Entry) Forms() []string {
	if len(e.Usage) == 0 {
		return []string{e.Name}
	}
	forms := make([]string, len(e.Usage))
	for i, usage := range e.Usage {
		forms[i] = e.Name + " " + usage
	}
	return forms
}

// listing is a table of any type.
type listing interface {
	name() string
	entries() []Entry
}

func (t *Table[T]) name() string { return t.Name }

func (t *Table[T]) entries() []Entry {
	t.once.Do(func() {
		t.rows = make([]Entry, len(t.Words))
		for i := range t.Words {
			t.rows[i] = t.Words[i].entry()
		}
	})
	return t.rows
}

// WordFor is the name of the word that fills a field of T, or "".
func (t *Table[T]) WordFor(field string) string {
	for _, entry := range t.entries() {
		if slices.Contains(entry.Fields, field) {
			return entry.Name
		}
	}
	return ""
}

func (w *Word[T]) entry() Entry {
	e := Entry{Name: w.Name, Usage: w.Usage, Repeatable: w.Repeatable, needs: w.Needs, inside: w.inside}
	if w.inside != nil {
		e.Block = w.inside.name()
	}
	empty := new(T)
	for _, field := range w.fills(empty) {
		name, json := fieldAt(reflect.ValueOf(empty).Elem(), field)
		e.Fields, e.JSON = append(e.Fields, name), append(e.JSON, json)
	}
	return e
}

// fieldAt finds the field of a struct that a pointer points to: its name, and its name in JSON.
func fieldAt(structure reflect.Value, pointer any) (name, json string) {
	at := reflect.ValueOf(pointer).Pointer()
	for i := range structure.NumField() {
		if structure.Field(i).Addr().Pointer() == at && structure.Field(i).Addr().Type() == reflect.TypeOf(pointer) {
			field := structure.Type().Field(i)
			return field.Name, jsonName(field)
		}
	}
	panic("words: a row of a table fills no field of its struct")
}

// Directive is the table of a directive's outermost block, and through it the tables of all blocks inside.
type Directive[T any] struct {
	*Table[T]
	// Line reads what stands on the line of the directive, behind its matcher. It is called only if something does.
	// Default: an error.
	Line func(*Block, *T) error
	// Foreign are words of other products.
	Foreign Foreign
}

// Tables gives the rows of every block of the directive, by the block's name.
func (d *Directive[T]) Tables() map[string][]Entry { return allTables(d.Table) }

func allTables(root listing) map[string][]Entry {
	found := make(map[string][]Entry)
	var add func(listing)
	add = func(table listing) {
		if _, known := found[table.name()]; known {
			return
		}
		entries := table.entries()
		found[table.name()] = entries
		for _, entry := range entries {
			if entry.inside != nil {
				add(entry.inside)
			}
		}
	}
	add(root)
	return found
}

// Read fills a struct from a directive whose name is the current token. The lines are those of the fields that it
// filled.
func (d *Directive[T]) Read(from *caddyfile.Dispenser, into *T) (*Lines, error) {
	token := from.Token()
	b := &Block{
		d: from, lines: newLines(token), root: d.Table, foreign: d.Foreign, entry: Entry{Name: d.Name}, token: &token,
	}
	switch {
	case from.CountRemainingArgs() == 0:
	case d.Line == nil:
		return nil, from.Errf("%s takes its settings in a block, not as arguments", d.Name)
	default:
		if err := d.Line(b, into); err != nil {
			return nil, err
		}
	}
	return b.lines, readTable(b, d.Table, into)
}

// ReadMatcher fills a struct from the lines of a request matcher. Each line has the matcher's name and a word of the
// table, or a block of words. Caddy gives all lines of one named matcher at once.
func (d *Directive[T]) ReadMatcher(from *caddyfile.Dispenser, into *T) (*Lines, error) {
	from.Next()
	b := &Block{d: from, lines: newLines(from.Token()), root: d.Table, foreign: d.Foreign, entry: Entry{Name: d.Name}}
	at, seen := b.of(d.Name), make(map[string]int)
	for more := true; more; more = from.Next() {
		for from.NextArg() || from.NextBlock(0) {
			if err := readNext(at, d.Table, into, seen); err != nil {
				return nil, err
			}
		}
	}
	return b.lines, nil
}
