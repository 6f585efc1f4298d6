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
	words := wordsIn(tokens)
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

// wordsIn finds the words of a block, whose own word is the first token, and of the blocks inside: a line begins one, unless
// it is the brace that ends a block. Token by token, since a Segment leaves out the braces of an empty block.
func wordsIn(tokens []caddyfile.Token) (found []span) {
	d := caddyfile.NewDispenser(tokens)
	d.Next()
	depth := 0
	var open []int // which of those found have not ended, from the outside in
	for i := 1; i < len(tokens); i++ {
		switch {
		case d.NextArg():
		case d.NextLine():
			for len(open) > 0 && found[open[len(open)-1]].depth >= depth {
				found[open[len(open)-1]].to = i
				open = open[:len(open)-1]
			}
			if tokens[i].Text == "}" && !tokens[i].Quoted() {
				depth--
				continue
			}
			open = append(open, len(found))
			found = append(found, span{from: i, to: len(tokens), depth: depth})
		default: // a brace that opens a block
			d.Next()
			depth++
		}
	}
	return found
}
