package words

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Foreign are words of other products, and words that newcomers try first. The value is one sentence: what to write
// instead. The key is the word as bare spells it.
type Foreign map[string]string

// NewForeign makes a Foreign from rows of a sentence and the words that it answers, which are separated by blanks. It
// panics when a word has two sentences.
func NewForeign(rows [][2]string) Foreign {
	found := make(Foreign)
	for _, row := range rows {
		for word := range strings.FieldsSeq(row[1]) {
			if _, twice := found[bare(word)]; twice {
				panic("words: two sentences for " + word)
			}
			found[bare(word)] = row[0]
		}
	}
	return found
}

// Instead says what to write instead of a word. It is "" for a word that is not foreign.
func (f Foreign) Instead(word string) string { return f[bare(word)] }

// bare is a word without what products spell differently: capitals, "_", "-", and the "config." of Kong.
func bare(name string) string {
	return joints.Replace(strings.TrimPrefix(strings.ToLower(name), "config."))
}

// joints removes what products put between the parts of a word. Made once: a table of foreign words needs it for each.
var joints = strings.NewReplacer("_", "", "-", "")

// unknown is the error for an unknown word. It says what may have been meant: a word of another product, a similar
// word, or a word of another block. It does not list all words of the block: a list of twenty helps nobody.
func (b *Block) unknown(name string, table listing) error {
	var known []string
	for _, entry := range table.entries() {
		known = append(known, entry.Name)
	}
	if word, joined := withoutValue(name); joined {
		return b.d.Errf("%s: a blank is missing after %q, between word and value", b.table, word)
	}
	if !nameable(name) {
		return b.d.Errf("%s: a line must begin with a word; a value with blanks or several lines needs quotes", b.table)
	}
	var hint string
	if here := b.hereInstead(name); here != "" && (!slices.Contains(known, name+"s") || strings.Contains(here, name+"s")) {
		hint = here
	} else if meant := MostAlike(name, known); meant != "" {
		hint = fmt.Sprintf("did you mean %q?", meant)
	} else if homes := b.blocksWith(name); len(homes) > 0 {
		hint = "it belongs in the " + strings.Join(homes, " or ") + " block"
	} else {
		return b.d.Errf("%s: unrecognized subdirective %q", b.table, name)
	}
	return b.d.Errf("%s: unrecognized subdirective %q (%s)", b.table, name, hint)
}

// withoutValue splits a word from a value without a blank between them, as in "client_secret=x". The value may be a
// secret.
func withoutValue(name string) (word string, joined bool) {
	at := strings.IndexAny(name, "=:")
	if at <= 0 || at == len(name)-1 {
		return name, false
	}
	return name[:at], true
}

// nameable reports whether a text could be a word, so that an error may show it. A line of an unquoted key could not.
func nameable(name string) bool {
	const longest = 40
	return len(name) <= longest && (strings.HasPrefix(name, "//") || !strings.ContainsFunc(name, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("_-.:", c)
	}))
}

// directives of Caddy that often follow a handler. One inside its block means that a brace is missing.
const directives = " abort encode error file_server handle handle_errors handle_path import log php_fastcgi respond " +
	"reverse_proxy root route templates "

// hereInstead says what to write in place of a word that belongs elsewhere, or "".
func (b *Block) hereInstead(name string) string {
	switch {
	case strings.HasPrefix(name, "//"):
		return "a comment begins with #"
	case strings.HasSuffix(name, ":"):
		return "words have no colon: leave it out"
	case strings.Contains(directives, " "+name+" "):
		return "this is a directive of Caddy; is a } missing before it?"
	}
	return b.foreign[bare(name)]
}

func (b *Block) blocksWith(name string) (names []string) {
	tables := allTables(b.root)
	for _, block := range slices.Sorted(maps.Keys(tables)) {
		if slices.ContainsFunc(tables[block], func(e Entry) bool { return e.Name == name }) {
			names = append(names, block)
		}
	}
	return names
}

// MostAlike is the known word that a word contains, or else the closest one that at most two slips of the pen turn into
// it. It is "" when there is no such word.
func MostAlike(word string, known []string) string {
	best, least := "", 3
	for _, candidate := range known {
		if len(candidate) > 5 && strings.Contains(word, candidate) {
			return candidate
		}
		if n := slips(strings.ToLower(word), candidate); n < least && n < len(candidate)/2 {
			best, least = candidate, n
		}
	}
	return best
}

// slips counts letters that are missing, surplus or wrong: the Levenshtein distance, or 3 when it is surely above 2.
func slips(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3 // as good as any
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// Alternatives lists names as a sentence does: "a, b or c".
func Alternatives(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
