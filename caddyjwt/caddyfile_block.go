package caddyjwt

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/internal/gate"
)

// words are those of each block. The ones that may be given more than once are marked with a star.
var words = map[string]string{
	"bearer_auth": `realm token_from* max_token_size audience leeway max_lifetime issuer* consumer* key_claim
		require* introspect forward_claim* forward_token optional anonymous allow_preflight cache`,
	"issuer": `keys audience algorithms type profile require max_lifetime leeway max_stale key_use max_keys request_header*
		allow_link_local tls introspect`,
	"tls": "ca client_cert client_key server_name pin",
	"introspect": `verify prefix endpoint client_id client_secret auth_method private_key bearer_token raw_basic
		signed param* token_type_hint cache_ttl negative_ttl timeout max_in_flight`,
	"consumer":   "id custom_id groups credential*",
	"credential": "algorithm public_key secret",
}

// block reads the words of one { … } and knows what may be said about them.
type block struct {
	d      *caddyfile.Dispenser
	name   string
	word   string
	trying bool // only to see whether there is an error
}

func newBlock(d *caddyfile.Dispenser) *block { return &block{d: d} }

// each reads the words of a block. One that is not marked with a star is refused the second time: of two values, one
// would silently win.
func (b *block) each(name string, read func(word string) error) error {
	known := strings.Fields(words[name])
	seen := make(map[string]int)
	for nesting := b.d.Nesting(); b.d.NextBlock(nesting); {
		word := b.d.Val()
		if word == "{" {
			return b.d.Errf("%s: %q takes no block", name, b.word)
		}
		b.name, b.word = name, word // a nested block has set its own
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

// unknown says what may have been meant: a word of another product, one that is spelt alike, or one of another block.
func (b *block) unknown() error {
	known := strings.Fields(strings.ReplaceAll(words[b.name], "*", ""))
	hint := ""
	if here := hereInstead(b.word); here != "" && !slices.Contains(known, b.word+"s") {
		hint = " (" + here + ")"
	} else if meant := mostAlike(b.word, known); meant != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", meant)
	} else if homes := blocksWith(b.word); len(homes) > 0 {
		hint = " (it belongs into the block of " + strings.Join(homes, " or ") + ")"
	}
	return b.d.Errf("%s: unknown word %q%s; known are %s", b.name, b.word, hint, strings.Join(known, ", "))
}

func blocksWith(word string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(words)) {
		if slices.Contains(strings.Fields(strings.ReplaceAll(words[name], "*", "")), word) {
			names = append(names, name)
		}
	}
	return names
}

// mostAlike is the known word that is at most two slips of the pen away from a word, or part of it, or "".
func mostAlike(word string, known []string) string {
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

// names are what follows the words that name something.
var names = map[string]string{
	"issuer": "the name that tokens have as \"iss\"", "consumer": "a username", "credential": "the value of the key claim",
}

// text reads exactly one argument that is not empty.
func (b *block) text(s *string) error {
	word := b.word
	args := b.d.RemainingArgs()
	switch {
	case len(args) == 0:
		return b.d.Errf("%s: %q needs %s; is an environment variable unset?", b.name, word, cmp.Or(names[word], "a value"))
	case len(args) > 1:
		return b.d.Errf("%s: %q takes one value, not %d; one with blanks in it is put in quotes", b.name, word, len(args))
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
		return b.d.Errf("%s: %q needs at least one value; is an environment variable unset?", b.name, word)
	}
	for _, arg := range args {
		if strings.TrimSpace(arg) == "" {
			return b.d.Errf("%s: a value of %q is empty; is an environment variable unset?", b.name, word)
		}
	}
	*list = args
	return nil
}

// plain reads one argument that is compared as it stands.
func (b *block) plain(s *string) error {
	word := b.word
	if err := b.text(s); err != nil {
		return err
	}
	return b.mistaken(word, *s)
}

// plains reads arguments that are compared as they stand.
func (b *block) plains(list *[]string) error {
	word := b.word
	if err := b.texts(list); err != nil {
		return err
	}
	return b.mistaken(word, *list...)
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
	return b.mistaken("audience", args...)
}
