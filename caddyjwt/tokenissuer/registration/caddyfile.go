package registration

import (
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// audienceMistakes are what people write in place of audiences.
var audienceMistakes = []words.Mistake{words.SingleQuotes, words.ShellVariable, words.CommaList, words.Unfilled}

// Table has the words of the block of a client.
var Table = words.Table[Client]{Name: "client", Words: []words.Word[Client]{
	{Name: "secret_hash", Usage: []string{"<hash...>"},
		Reader: words.Custom(readHashes, func(c *Client) []any { return []any{&c.SecretHashes} })},
	{Name: "public_key", Usage: []string{"<pem|path>"},
		Reader: words.Text(func(c *Client) *string { return &c.PublicKey })},
	{Name: "jwks", Usage: []string{"<url>"}, Reader: words.Text(func(c *Client) *string { return &c.JWKS })},
	{Name: "tls_client_auth", Usage: []string{"subject|san_dns|san_uri|spki_sha256 <value>"},
		Reader: words.Custom(readCertificate, func(c *Client) []any { return []any{&c.TLSClientAuth} })},
	{Name: "scopes", Usage: []string{"<scope...>"},
		Reader: words.Texts(func(c *Client) *[]string { return &c.Scopes }, words.CommaList)},
	{Name: "grants", Usage: []string{"client_credentials|none"},
		Reader: words.Texts(func(c *Client) *[]string { return &c.Grants }, words.CommaList)},
	{Name: "audience", Usage: []string{"<aud...>"}, Reader: words.Texts(func(c *Client) *[]string { return &c.Audience },
		audienceMistakes...)},
	{Name: "introspect", Usage: []string{"<aud...>"}, Reader: words.Texts(
		func(c *Client) *[]string { return &c.Introspect }, audienceMistakes...)},
	{Name: "proof", Usage: []string{"dpop|mtls"}, Reader: words.Text(func(c *Client) *string { return &c.Proof })},
	{Name: "exchange", Usage: []string{"from <issuer>"}, Repeatable: true, Reader: words.WithBlock(
		words.Custom(readExchange, func(c *Client) []any { return []any{&c.Exchange} }), &exchangeTable)},
	{Name: "token", Usage: []string{"jwt|opaque"}, Reader: words.Text(func(c *Client) *string { return &c.Token })},
	{Name: "access_lifetime", Usage: []string{"<duration> [<aud...>]"}, Repeatable: true, Reader: words.Custom(
		readLifetime, func(c *Client) []any { return []any{&c.AccessLifetime, &c.AccessLifetimes} })},
	{Name: "claim", Usage: []string{"<name> <text>", "<name> json <value>"}, Repeatable: true,
		Reader: readMembers("claim", func(c *Client) *members { return &c.Claims })},
	{Name: "header", Usage: []string{"<name> <text>", "<name> json <value>"}, Repeatable: true,
		Reader: readMembers("header", func(c *Client) *members { return &c.Header })},
}}

// readHashes reads hashes of secrets. No error repeats one: people write the secret itself.
func readHashes(b *words.Block, c *Client) (err error) {
	if c.SecretHashes, err = b.Many(); err != nil {
		return err
	}
	for _, hash := range c.SecretHashes {
		if words.SingleQuotes(hash) != "" {
			return b.Errf("secret_hash: a Caddyfile takes single quotes as part of the value: leave them out")
		}
		if why := words.ShellVariable(hash); why != "" {
			return b.Errf("secret_hash: %s", why)
		}
	}
	return nil
}

// readCertificate reads which certificate is the client's.
func readCertificate(b *words.Block, c *Client) error {
	args := b.Args()
	if len(args) != 2 {
		return b.WrongUsage("a subject with blanks needs quotes")
	}
	c.TLSClientAuth = new(Certificate)
	switch args[0] {
	case "subject":
		c.TLSClientAuth.Subject = args[1]
	case "san_dns":
		c.TLSClientAuth.DNS = args[1]
	case "san_uri":
		c.TLSClientAuth.URI = args[1]
	case "spki_sha256":
		c.TLSClientAuth.Key = args[1]
	default:
		return b.WrongUsage("name what of the certificate is the client's")
	}
	return nil
}
