package decryption

import (
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Table has the words of the block.
var Table = words.Table[Config]{Name: "decrypt", Words: []words.Word[Config]{
	{Name: "key", Usage: []string{"<pem|file> [<kid>]"}, Repeatable: true,
		Reader: words.WithBlock(words.Custom(readKey, func(d *Config) []any { return []any{&d.Keys} }),
			&keyTable)},
	{Name: "algorithms", Usage: []string{"<alg...>"},
		Reader: words.Texts(func(d *Config) *[]string { return &d.Algorithms }, words.SingleQuotes, words.CommaList)},
	{Name: "encryptions", Usage: []string{"<enc...>"},
		Reader: words.Texts(func(d *Config) *[]string { return &d.Encryptions }, words.SingleQuotes, words.CommaList)},
	{Name: "required", Reader: words.Flag(func(d *Config) *bool { return &d.Required })},
}}

var keyTable = words.Table[Key]{Name: "key", Words: []words.Word[Key]{
	{Name: "password", Usage: []string{"<text>"},
		Reader: words.Text(func(k *Key) *string { return &k.Password })},
}}

// readKey reads a key and its name. Errors quote neither: the key itself may be in the wrong place.
func readKey(b *words.Block, d *Config) error {
	args := b.Args()
	if len(args) < 1 || len(args) > 2 || args[0] == "" {
		return b.WrongUsage("")
	}
	key := Key{Key: args[0]}
	if len(args) == 2 {
		key.KeyID = args[1]
	}
	err := words.ReadInto(b, setting.Element("Keys", len(d.Keys)), &keyTable, &key)
	d.Keys = append(d.Keys, key)
	return err
}
