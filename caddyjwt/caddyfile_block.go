package caddyjwt

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/internal/gate"
)

// block reads the words of one { … } and knows what may be said about them.
type block struct {
	d     *caddyfile.Dispenser
	name  string
	word  string
	known []string
}

func newBlock(d *caddyfile.Dispenser) *block { return &block{d: d} }

// each reads the words of a block. Those that may be given more than once are marked with a star; any other is refused
// the second time: of two values, one would silently win.
func (b *block) each(name, words string, read func(word string) error) error {
	known := strings.Fields(words)
	seen := make(map[string]int)
	for nesting := b.d.Nesting(); b.d.NextBlock(nesting); {
		word := b.d.Val()
		b.name, b.word, b.known = name, word, known // a nested block has set its own
		if line, twice := seen[word]; twice && !slices.Contains(known, word+"*") {
			return b.d.Errf("%s: %q was given in line %d already; it may be given once", name, word, line)
		}
		seen[word] = b.d.Line()
		if err := read(word); err != nil {
			return err
		}
	}
	return nil
}

// at adds the line to an error.
func (b *block) at(err error) error {
	if err == nil {
		return nil
	}
	return b.d.WrapErr(err)
}

func (b *block) unknown() error {
	return b.d.Errf("%s: unknown word %q; known are %s", b.name, b.word,
		strings.ReplaceAll(strings.Join(b.known, ", "), "*", ""))
}

// text reads exactly one argument that is not empty.
func (b *block) text(s *string) error {
	word := b.word
	args := b.d.RemainingArgs()
	switch {
	case len(args) != 1:
		return b.d.Errf("%s: %q takes one value, not %d", b.name, word, len(args))
	case strings.TrimSpace(args[0]) == "":
		return b.d.Errf("%s: %q is empty; is an environment variable unset?", b.name, word)
	}
	*s = args[0]
	return nil
}

// texts reads at least one argument, none of them empty.
func (b *block) texts(list *[]string) error {
	word := b.word
	args := b.d.RemainingArgs()
	if len(args) == 0 {
		return b.d.Errf("%s: %q needs at least one value", b.name, word)
	}
	for _, arg := range args {
		if strings.TrimSpace(arg) == "" {
			return b.d.Errf("%s: a value of %q is empty; is an environment variable unset?", b.name, word)
		}
	}
	*list = args
	return nil
}

func (b *block) flag(set *bool) error {
	if b.d.NextArg() {
		return b.d.Errf("%s: %q takes no value", b.name, b.word)
	}
	*set = true
	return nil
}

func (b *block) duration(value *caddy.Duration) error {
	word := b.word
	var text string
	if err := b.text(&text); err != nil {
		return err
	}
	parsed, err := caddy.ParseDuration(text)
	if err != nil || parsed <= 0 {
		return b.d.Errf("%s: %s %q: expected a positive duration such as 30s, 5m or 1d", b.name, word, text)
	}
	*value = caddy.Duration(parsed)
	return nil
}

// optionalDuration is for settings where zero differs from nothing.
func (b *block) optionalDuration(value **caddy.Duration) error {
	word := b.word
	var text string
	if err := b.text(&text); err != nil {
		return err
	}
	parsed, err := caddy.ParseDuration(text)
	if err != nil || parsed < 0 {
		return b.d.Errf("%s: %s %q: expected a duration such as 0s, 30s or 5m", b.name, word, text)
	}
	*value = (*caddy.Duration)(&parsed)
	return nil
}

func (b *block) leeway(value **caddy.Duration) error {
	if err := b.optionalDuration(value); err != nil {
		return err
	}
	return b.at(gate.ValidateLeeway(time.Duration(**value)))
}

func (b *block) number(n *int) error {
	word := b.word
	var text string
	if err := b.text(&text); err != nil {
		return err
	}
	parsed, err := strconv.Atoi(text)
	if err != nil || parsed <= 0 {
		return b.d.Errf("%s: %s %q: expected a positive number", b.name, word, text)
	}
	*n = parsed
	return nil
}

// audience reads "any", which must stand alone, or values.
func (b *block) audience(accepted *[]string, everything *bool) error {
	var args []string
	if err := b.texts(&args); err != nil {
		return err
	}
	for _, arg := range args {
		if arg == "any" && len(args) > 1 {
			return b.d.Errf("%s: audience \"any\" cannot be combined with values: remove one of the two", b.name)
		}
	}
	if args[0] == "any" {
		*everything = true
		return nil
	}
	*accepted = args
	return nil
}
