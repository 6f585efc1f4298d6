package words

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Foreign are words of other products, and those that newcomers try first. Each has one sentence: what to write here.
type Foreign map[string]string

// unknown says what may have been meant: a word of another product, one that is spelt alike, or one of another block.
// It does not list the words of the block: a list of twenty helps nobody.
func (b *Block) unknown(name string, table listing) error {
	var known []string
	for _, entry := range table.entries() {
		known = append(known, entry.Name)
	}
	if word, joined := withoutValue(name); joined {
		return b.d.Errf("%s: a blank is missing behind %q: a word and its value are two", b.table, word)
	}
	if !nameable(name) {
		return b.d.Errf("%s: a word is missing before a value, or the value is not in quotes: what has blanks or several "+
			"lines in it is put in quotes", b.table)
	}
	var hint string
	if here := b.hereInstead(name); here != "" && !slices.Contains(known, name+"s") {
		hint = here
	} else if meant := MostAlike(name, known); meant != "" {
		hint = fmt.Sprintf("did you mean %q?", meant)
	} else if homes := b.blocksWith(name); len(homes) > 0 {
		hint = "it belongs in the block of " + strings.Join(homes, " or ")
	} else {
		return b.d.Errf("%s: unknown word %q", b.table, name)
	}
	return b.d.Errf("%s: unknown word %q (%s)", b.table, name, hint)
}

// withoutValue parts a word from a value that stands too close to it, as in "client_secret=x". That may be a secret.
func withoutValue(name string) (word string, joined bool) {
	at := strings.IndexAny(name, "=:")
	if at <= 0 || at == len(name)-1 {
		return name, false
	}
	return name[:at], true
}

// nameable reports whether a text could be a word of anything, so that it may be shown. A line of a key that is not in
// quotes could not.
func nameable(name string) bool {
	const longest = 40
	return len(name) <= longest && (strings.HasPrefix(name, "//") || !strings.ContainsFunc(name, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("_-.:", c)
	}))
}

// directives of Caddy that stand behind a handler. Inside its block they mean that a brace is missing.
const directives = " abort encode error file_server handle handle_errors handle_path import log php_fastcgi respond " +
	"reverse_proxy root route templates "

// hereInstead says what is written here in place of a word, or nothing.
func (b *Block) hereInstead(name string) string {
	switch {
	case strings.HasPrefix(name, "//"):
		return "a comment begins with #"
	case strings.HasSuffix(name, ":"):
		return "a word is written without the colon"
	case strings.Contains(directives, " "+name+" "):
		return "a directive of Caddy: is a } missing before it?"
	}
	return b.foreign[name]
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

// MostAlike is the known word that is at most two slips of the pen away from a word, or part of it, or "".
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

// slips counts the letters that are missing, too many or wrong (Levenshtein's distance).
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
