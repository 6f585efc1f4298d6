package caddyjwt

import (
	"cmp"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// maxBlamed is how many words are tried: reading a configuration of thousands of issuers again for each would take too long.
const maxBlamed = 100

// blame gives a line to an error that concerns a block as a whole: that of the word without which there would be no error,
// the last one if there are several, and otherwise that of the block. read reads a block whose first word is the current
// one.
func (b *block) blame(start caddyfile.Dispenser, err error, read func(*block) error) error {
	if b.trying {
		return start.WrapErr(err)
	}
	of := start
	tokens := of.NextSegment()
	words := wordsIn(tokens, 0, 1)
	if len(words) > maxBlamed {
		words = nil
	}
	slices.SortStableFunc(words, func(x, y span) int {
		return cmp.Or(cmp.Compare(y.depth, x.depth), cmp.Compare(y.from, x.from))
	})
	for _, word := range words {
		without := caddyfile.NewDispenser(slices.Concat(tokens[:word.from], tokens[word.to:]))
		without.Next()
		if read(&block{d: without, trying: true}) == nil {
			culprit := caddyfile.NewDispenser(tokens[word.from:word.to])
			culprit.Next()
			return culprit.WrapErr(err)
		}
	}
	return start.WrapErr(err)
}

// span is a word with its values and its block, among the tokens of a larger block.
type span struct{ from, to, depth int }

// wordsIn finds the words of a block, and of the blocks inside.
func wordsIn(tokens []caddyfile.Token, offset, depth int) (found []span) {
	d := caddyfile.NewDispenser(tokens)
	d.Next()
	from := 2 // after the block's word and its brace
	for d.NextArg() {
		from++
	}
	for d.NextBlock(0) {
		word := d.NextSegment()
		to := from + len(word)
		if to+1 < len(tokens) && tokens[to].Text == "{" && tokens[to+1].Text == "}" {
			to += 2 // NextSegment leaves out the braces of an empty block
		}
		found = append(found, span{offset + from, offset + to, depth})
		found = append(found, wordsIn(word, offset+from, depth+1)...)
		from = to
	}
	return found
}
