package words

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2"
)

// Text reads one value.
func Text[T any](field func(*T) *string, mistakes ...Mistake) Reader[T] {
	return value(field, func(b *Block, text string, into *string) error {
		*into = text
		return b.Check(b.entry.Name, mistakes, text)
	})
}

// Texts reads one value or more.
func Texts[T any](field func(*T) *[]string, mistakes ...Mistake) Reader[T] {
	return Reader[T]{
		read: func(b *Block, into *T) error {
			texts, err := b.Many()
			if err != nil {
				return err
			}
			*field(into) = texts
			return b.Check(b.entry.Name, mistakes, texts...)
		},
		fills: func(into *T) []any { return []any{field(into)} },
	}
}

// Flag reads no value: the word alone sets the field.
func Flag[T any](field func(*T) *bool) Reader[T] {
	return Reader[T]{
		read: func(b *Block, into *T) error {
			if b.d.NextArg() {
				return b.d.Errf("%s: %q takes no value", b.table, b.entry.Name)
			}
			*field(into) = true
			return nil
		},
		fills: func(into *T) []any { return []any{field(into)} },
	}
}

// Duration reads a positive duration.
func Duration[T any](field func(*T) *caddy.Duration) Reader[T] {
	return value(field, func(b *Block, text string, into *caddy.Duration) error {
		parsed, err := caddy.ParseDuration(text)
		if err != nil || parsed <= 0 {
			return b.d.Errf("%s: %s %q: expected a positive duration such as 30s, 5m or 1d", b.table, b.entry.Name, text)
		}
		*into = caddy.Duration(parsed)
		return nil
	})
}

// DurationOrZero reads a duration that may be zero, which differs from a field that was not given.
func DurationOrZero[T any](field func(*T) **caddy.Duration) Reader[T] {
	return value(field, func(b *Block, text string, into **caddy.Duration) error {
		parsed, err := caddy.ParseDuration(text)
		if err != nil || parsed < 0 {
			return b.d.Errf("%s: %s %q: expected a duration such as 0s, 30s or 5m", b.table, b.entry.Name, text)
		}
		*into = (*caddy.Duration)(&parsed)
		return nil
	})
}

// Number reads a positive whole number.
func Number[T any](field func(*T) *int) Reader[T] {
	return value(field, func(b *Block, text string, into *int) error {
		parsed, err := strconv.Atoi(text)
		if err != nil || parsed <= 0 {
			return b.d.Errf("%s: %s %q: expected a whole number of at least 1", b.table, b.entry.Name, text)
		}
		*into = parsed
		return nil
	})
}

// Parsed reads one value with a function of the caller's. Errors have the word and the value before the function's
// text.
func Parsed[T, F any](field func(*T) *F, parse func(text string) (F, error)) Reader[T] {
	return value(field, func(b *Block, text string, into *F) (err error) {
		*into, err = parse(text)
		if err != nil {
			return b.d.Errf("%s: %s %q: %w", b.table, b.entry.Name, text, err)
		}
		return nil
	})
}

// value reads one value into one field.
func value[T, F any](field func(*T) *F, read func(*Block, string, *F) error) Reader[T] {
	return Reader[T]{
		read: func(b *Block, into *T) error {
			text, err := b.One()
			if err != nil {
				return err
			}
			return read(b, text, field(into))
		},
		fills: func(into *T) []any { return []any{field(into)} },
	}
}

// Only reads a word that is followed by a block and no value.
func Only[T, U any](field func(*T) **U, table *Table[U]) Reader[T] {
	return Reader[T]{
		read: func(b *Block, into *T) error {
			if b.d.NextArg() {
				return b.d.Errf("%s: %q takes its settings in a block, not on its line", b.table, b.entry.Name)
			}
			*field(into) = new(U)
			return ReadInto(b, b.entry.Fields[0], table, *field(into))
		},
		fills:  func(into *T) []any { return []any{field(into)} },
		inside: table,
	}
}

// Named reads a new element of a list: one value, which is the element's name, and the block that may follow.
func Named[T, U any](list func(*T) *[]U, name func(*U) *string, table *Table[U], mistakes ...Mistake) Reader[T] {
	return Reader[T]{
		read: func(b *Block, into *T) error {
			text, err := b.One()
			if err != nil {
				return err
			}
			if err := b.Check(b.entry.Name, mistakes, text); err != nil {
				return err
			}
			var element U
			*name(&element) = text
			err = ReadInto(b, fmt.Sprintf("%s[%d]", b.entry.Fields[0], len(*list(into))), table, &element)
			*list(into) = append(*list(into), element)
			return err
		},
		fills:  func(into *T) []any { return []any{list(into)} },
		inside: table,
	}
}

// SecretHint is for a secret with too many words, or none. The secret is not quoted.
const SecretHint = "put a value with blanks in quotes, and check that its variable is set"

// Pairs reads a name and a text on each line, and refuses a name that is there twice.
func Pairs[T any](field func(*T) *map[string]string) Reader[T] {
	return Custom(func(b *Block, into *T) error {
		args := b.Args()
		if len(args) != 2 {
			return b.WrongUsage("two values; one with blanks needs quotes")
		}
		all := field(into)
		if _, twice := (*all)[args[0]]; twice {
			return b.Errf("%q is there twice: remove one of the two", args[0])
		}
		if *all == nil {
			*all = make(map[string]string)
		}
		(*all)[args[0]] = args[1]
		return nil
	}, func(into *T) []any { return []any{field(into)} })
}
