package words

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Block is the reader's position in a Caddyfile: one word of one block.
type Block struct {
	d       *caddyfile.Dispenser
	lines   *Lines
	root    listing
	foreign Foreign
	table   string // name of the block that the word stands in
	path    string // of the struct that the block fills
	entry   Entry
	token   *caddyfile.Token // the word itself
}

// readTable reads the words of the block that may follow the current word.
func readTable[T any](b *Block, table *Table[T], into *T) error {
	seen := make(map[string]int)
	at := b.of(table.Name)
	for nesting := b.d.Nesting(); b.d.NextBlock(nesting); {
		if err := readNext(at, table, into, seen); err != nil {
			return err
		}
	}
	return nil
}

// of is the position before the first word of a table.
func (b *Block) of(table string) *Block {
	return &Block{d: b.d, lines: b.lines, root: b.root, foreign: b.foreign, table: table, path: b.path, entry: b.entry}
}

// readNext reads the current word of a table. seen has the lines of those before it.
func readNext[T any](at *Block, table *Table[T], into *T, seen map[string]int) error {
	name := at.d.Val()
	if name == "{" {
		return at.d.Errf("%s: %q takes no block", table.Name, at.entry.Name)
	}
	token := at.d.Token()
	at.token = &token
	i := table.find(name)
	if i < 0 {
		return at.unknown(name, table)
	}
	word := &table.Words[i]
	at.entry = table.entries()[i]
	if line, twice := seen[name]; twice && !word.Repeatable {
		return at.d.Errf("%s: %q is already on line %d; remove one of the two", table.Name, name, line)
	}
	seen[name] = at.d.Line()
	return readWord(at, word, into)
}

// ReadInto reads the block that may follow the current word into a field of its struct. path is the field's, such as
// "Introspect" or "Issuers[1]". It is empty for a block that fills more fields of the same struct.
func ReadInto[U any](b *Block, path string, table *Table[U], into *U) error {
	inner := *b
	inner.path = join(b.path, path)
	return readTable(&inner, table, into)
}

// readWord reads a word, and remembers its line for each field that it has filled.
func readWord[T any](b *Block, word *Word[T], into *T) error {
	fields := word.fills(into)
	before := make([]int, len(fields))
	for i, field := range fields {
		before[i] = elements(field)
	}
	if err := word.read(b, into); err != nil {
		return err
	}
	for i, field := range fields {
		b.MarkElements(b.entry.Fields[i], before[i], elements(field))
	}
	return nil
}

// elements is the length of a list, and 0 for any other field.
func elements(field any) int {
	if list := reflect.ValueOf(field).Elem(); list.Kind() == reflect.Slice {
		return list.Len()
	}
	return 0
}

// find is the index of the word with this name, or -1.
func (t *Table[T]) find(name string) int {
	return slices.IndexFunc(t.Words, func(w Word[T]) bool { return w.Name == name })
}

// Mark remembers the line of the word for a field of the struct that the block fills.
func (b *Block) Mark(field string) { b.lines.remember(join(b.path, field), b.token) }

// MarkElements is Mark for a list and for the elements that the word has added: those from index from up to index to,
// exclusive. Elements of the list's first word have the line of the list, and need no entries of their own: a list may
// be long.
func (b *Block) MarkElements(list string, from, to int) {
	b.Mark(list)
	if from == 0 {
		return
	}
	for n := from; n < to; n++ {
		b.Mark(fmt.Sprintf("%s[%d]", list, n))
	}
}

// Args reads what follows the word on its line.
func (b *Block) Args() []string { return b.d.RemainingArgs() }

// EachLine reads the block that may follow the word, when its lines begin with values and not with words of a table. It
// hands the values of each line to read, where [Block.Mark] remembers that line.
func (b *Block) EachLine(read func(values []string) error) error {
	word := b.token
	defer func() { b.token = word }()
	for nesting := b.d.Nesting(); b.d.NextBlock(nesting); {
		if b.d.Val() == "{" {
			return b.d.Errf("%s: a line of %q takes no block", b.table, b.entry.Name)
		}
		token := b.d.Token()
		b.token = &token
		if err := read(append([]string{token.Text}, b.d.RemainingArgs()...)); err != nil {
			return err
		}
	}
	return nil
}

// Errf makes an error with the line of what was read last.
func (b *Block) Errf(format string, args ...any) error { return b.d.Errf(format, args...) }

// WrongUsage is the error for values that fit none of the word's forms. It quotes nothing: a surplus value may be the
// second half of a secret with a blank in it. A hint is added unless it is empty.
func (b *Block) WrongUsage(hint string) error { return b.wrongUsage(b.entry.Forms(), hint) }

// WrongForm is WrongUsage with the forms of one kind only. The kinds of a form stand before its first blank.
func (b *Block) WrongForm(kind, hint string) error {
	var forms []string
	for _, usage := range b.entry.Usage {
		kinds, rest, _ := strings.Cut(usage, " ")
		if slices.Contains(strings.Split(kinds, "|"), kind) {
			forms = append(forms, strings.TrimSpace(b.entry.Name+" "+kind+" "+rest))
		}
	}
	return b.wrongUsage(forms, hint)
}

func (b *Block) wrongUsage(forms []string, hint string) error {
	if hint != "" {
		hint = "; " + hint
	}
	return b.d.Errf("expected: %s%s", strings.Join(forms, ", or "), hint)
}

// One reads exactly one value that is not empty.
func (b *Block) One() (string, error) {
	args := b.d.RemainingArgs()
	switch form := strings.Join(b.entry.Forms(), ", or "); {
	case len(args) == 0:
		return "", b.noValue(cmp.Or(b.entry.needs, "a value"))
	case len(args) > 1:
		return "", b.d.Errf("%s: %q takes one value, not %d: %s; put a value with blanks in quotes",
			b.table, b.entry.Name, len(args), form)
	case strings.TrimSpace(args[0]) == "":
		return "", b.d.Errf("%s: %q is empty; is an environment variable unset?", b.table, b.entry.Name)
	}
	return args[0], nil
}

// Many reads one value or more. None of them may be empty.
func (b *Block) Many() ([]string, error) {
	args := b.d.RemainingArgs()
	if len(args) == 0 {
		return nil, b.noValue("at least one value")
	}
	for _, arg := range args {
		if strings.TrimSpace(arg) == "" {
			return nil, b.d.Errf("%s: a value of %q is empty; is an environment variable unset?", b.table, b.entry.Name)
		}
	}
	return args, nil
}

// noValue is the error for a word with nothing on its line. The values may be in a block, where they do not belong.
func (b *Block) noValue(needs string) error {
	form := strings.Join(b.entry.Forms(), ", or ")
	inBlock := b.d.Errf("%s: %q takes no block: write its values on one line: %s", b.table, b.entry.Name, form)
	nothing := b.d.Errf("%s: %q needs %s: %s; is an environment variable unset?", b.table, b.entry.Name, needs, form)
	if b.entry.Block == "" && b.d.NextBlock(b.d.Nesting()) {
		return inBlock
	}
	return nothing
}
