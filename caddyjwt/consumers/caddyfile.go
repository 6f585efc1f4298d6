package consumers

import (
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

var Table = words.Table[Consumer]{Name: "consumer", Words: []words.Word[Consumer]{
	{Name: "id", Usage: []string{"<id>"}, Reader: words.Text(func(c *Consumer) *string { return &c.ID })},
	{Name: "custom_id", Usage: []string{"<id>"}, Reader: words.Text(func(c *Consumer) *string { return &c.CustomID })},
	{Name: "groups", Usage: []string{"<group...>"},
		Reader: words.Texts(func(c *Consumer) *[]string { return &c.Groups },
			words.SingleQuotes, words.ShellVariable, words.CommaList,
			words.Wildcard("a group is compared exactly", "list each one"))},
	{Name: "tolerate", Usage: []string{"<what...>"},
		Reader: words.Texts(func(c *Consumer) *[]string { return &c.Tolerate }, words.CommaList)},
	{Name: "credential", Usage: []string{"<key>"}, Needs: "the value of the key claim", Repeatable: true,
		Reader: words.Named(func(c *Consumer) *[]Credential { return &c.Credentials },
			func(c *Credential) *string { return &c.Key }, &credentialTable, words.SingleQuotes, words.ShellVariable,
			words.Wildcard("the key of a credential is compared exactly", "write a credential for each key"))},
}}

// FromReader reads where further consumers come from.
func FromReader[T any](field func(*T) **From) words.Reader[T] {
	return words.Custom(func(b *words.Block, into *T) error {
		args := b.Args()
		if len(args) != 2 || args[0] != "file" || strings.TrimSpace(args[1]) == "" {
			return b.WrongUsage("a consumer that is written here has its own word, consumer")
		}
		*field(into) = &From{File: args[1]}
		return nil
	}, func(into *T) []any { return []any{field(into)} })
}

var credentialTable = words.Table[Credential]{Name: "credential", Words: []words.Word[Credential]{
	{Name: "algorithm", Usage: []string{"<alg>"}, Reader: words.Text(func(c *Credential) *string { return &c.Algorithm })},
	{Name: "public_key", Usage: []string{"<pem|file>"},
		Reader: words.Text(func(c *Credential) *string { return &c.PublicKey })},
	{Name: "secret", Usage: []string{"<value> [base64]"},
		Reader: words.Custom(readSecret, func(c *Credential) []any { return []any{&c.Secret, &c.Base64} })},
	{Name: "expires", Usage: []string{"<date>"}, Reader: words.Text(func(c *Credential) *string { return &c.Expires })},
}}

func readSecret(b *words.Block, c *Credential) error {
	args := b.Args()
	if len(args) < 1 || len(args) > 2 || strings.TrimSpace(args[0]) == "" || len(args) == 2 && args[1] != "base64" {
		return b.WrongUsage(words.SecretHint)
	}
	c.Secret, c.Base64 = args[0], len(args) == 2
	return nil
}
