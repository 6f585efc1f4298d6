package issuers

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/decryption"
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

var Table = words.Table[Issuer]{Name: "issuer", Words: []words.Word[Issuer]{
	{Name: "keys", Usage: keysUsage(), Repeatable: true,
		Reader: words.WithBlock(words.Custom(readKeys, func(i *Issuer) []any { return []any{&i.Keys} }), &keysTable)},
	{Name: "tenants", Usage: []string{"<value...>|any|file <path>"}, Reader: words.Custom(readTenants,
		func(i *Issuer) []any { return []any{&i.Tenants, &i.AnyTenant, &i.TenantsFile} })},
	{Name: "audience", Usage: AudienceUsage,
		Reader: AudienceReader(func(i *Issuer) (*[]string, *bool) { return &i.Audience, &i.AnyAudience })},
	{Name: "algorithms", Usage: []string{"<alg...>"},
		Reader: words.Texts(func(i *Issuer) *[]string { return &i.Algorithms }, words.SingleQuotes, words.CommaList)},
	{Name: "type", Usage: []string{"<typ...>"},
		Reader: words.Texts(func(i *Issuer) *[]string { return &i.Types }, words.SingleQuotes, words.CommaList, anyType,
			words.WildcardInName("a type is compared exactly", "list each one, or leave the word out"))},
	{Name: "profile", Usage: []string{"rfc9068"}, Reader: words.Text(func(i *Issuer) *string { return &i.Profile })},
	{Name: "required_claims", Usage: []string{"<claim...>"},
		Reader: words.Custom(readRequiredClaims, func(i *Issuer) []any { return []any{&i.RequiredClaims} })},
	{Name: "max_lifetime", Usage: []string{"<duration>"},
		Reader: words.Duration(func(i *Issuer) *caddy.Duration { return &i.MaxLifetime })},
	{Name: "tolerate", Usage: []string{"<what...>"},
		Reader: words.Texts(func(i *Issuer) *[]string { return &i.Tolerate }, words.CommaList)},
	{Name: "group_claim", Usage: []string{"<path...>"},
		Reader: words.Texts(func(i *Issuer) *[]string { return &i.GroupClaims }, oneClaim()...)},
	{Name: "consumer_claim", Usage: []string{"<path> [custom_id]"}, Reader: words.Custom(readConsumerClaim,
		func(i *Issuer) []any { return []any{&i.ConsumerClaim, &i.ConsumerBy} })},
	{Name: "username_claim", Usage: []string{"<path>"},
		Reader: words.Text(func(i *Issuer) *string { return &i.UsernameClaim }, oneClaim()...)},
	{Name: "revocation", Usage: revocations.OfIssuerUsage, Reader: words.Custom(
		func(b *words.Block, i *Issuer) error { return revocations.ReadOfIssuer(b, &i.Revocation) },
		func(i *Issuer) []any { return []any{&i.Revocation} })},
	{Name: "backchannel_logout", Usage: backchannel.Usage, Needs: "the path of the address that the server has for it",
		Reader: words.WithBlock(words.Custom(
			func(b *words.Block, i *Issuer) error { return backchannel.Read(b, &i.BackchannelLogout) },
			func(i *Issuer) []any { return []any{&i.BackchannelLogout} }), &backchannel.Table)},
	{Name: "leeway", Usage: []string{"<duration>"},
		Reader: words.DurationOrZero(func(i *Issuer) **caddy.Duration { return &i.Leeway })},
	{Name: "max_stale", Usage: []string{"<duration>"},
		Reader: words.Duration(func(i *Issuer) *caddy.Duration { return &i.MaxStale })},
	{Name: "key_use", Usage: []string{"sig|jwt-svid"}, Reader: words.Text(func(i *Issuer) *string { return &i.KeyUse })},
	{Name: "max_keys", Usage: []string{"<n>"}, Reader: words.Number(func(i *Issuer) *int { return &i.MaxKeys })},
	{Name: "header_up", Usage: []string{"<name> <value>"}, Repeatable: true,
		Reader: words.Custom(readHeaderUp, func(i *Issuer) []any { return []any{&i.RequestHeaders} })},
	{Name: "allow_link_local", Reader: words.Flag(func(i *Issuer) *bool { return &i.AllowLinkLocal })},
	{Name: "allow_http", Usage: []string{"[shared]"},
		Reader: words.Custom(readAllowHTTP, func(i *Issuer) []any { return []any{&i.AllowHTTP} })},
	{Name: "prefetch", Reader: words.Flag(func(i *Issuer) *bool { return &i.Prefetch })},
	{Name: "decrypt", Reader: words.Only(func(i *Issuer) **decryption.Config { return &i.Decrypt }, &decryption.Table)},
	{Name: "tls", Reader: words.Only(func(i *Issuer) **clienttls.TLS { return &i.TLS }, &clienttls.Table)},
	{Name: "introspect", Usage: []string{"[opaque|always]"},
		Reader: words.WithBlock(words.Custom(readIntrospect, func(i *Issuer) []any { return []any{&i.Introspect} }),
			&introspectTable)},
}}

var keysTable = words.Table[Keys]{Name: "keys", Words: []words.Word[Keys]{
	{Name: "ca", Usage: []string{"<file...>"}, Reader: words.Texts(func(k *Keys) *[]string { return &k.CA })},
}}

var introspectTable = words.Table[Introspect]{Name: "introspect", Words: []words.Word[Introspect]{
	{Name: "verify", Usage: []string{"introspection|userinfo"},
		Reader: words.Text(func(i *Introspect) *string { return &i.Verify })},
	{Name: "prefix", Usage: []string{"<text>"},
		Reader: words.Text(func(i *Introspect) *string { return &i.Prefix },
			words.SingleQuotes, words.ShellVariable, wildcardInPrefix)},
	{Name: "endpoint", Usage: []string{"<url>"},
		Reader: words.Custom(readEndpoint, func(i *Introspect) []any { return []any{&i.Endpoint} })},
	{Name: "client_id", Usage: []string{"<id>"}, Reader: words.Text(func(i *Introspect) *string { return &i.ClientID })},
	{Name: "client_secret", Usage: []string{"<secret>"},
		Reader: words.Text(func(i *Introspect) *string { return &i.ClientSecret })},
	{Name: "auth_method", Usage: []string{"<method>"},
		Reader: words.Text(func(i *Introspect) *string { return &i.AuthMethod })},
	{Name: "private_key", Usage: []string{"<pem|file> [<kid>]"},
		Reader: words.WithBlock(words.Custom(readPrivateKey,
			func(i *Introspect) []any { return []any{&i.PrivateKey, &i.KeyID} }), &privateKeyTable)},
	{Name: "assertion_alg", Usage: []string{"<alg>"},
		Reader: words.Text(func(i *Introspect) *string { return &i.AssertionAlg })},
	{Name: "bearer_token", Usage: []string{"<token>"},
		Reader: words.Text(func(i *Introspect) *string { return &i.BearerToken })},
	{Name: "raw_basic", Reader: words.Flag(func(i *Introspect) *bool { return &i.RawBasic })},
	{Name: "signed", Reader: words.Flag(func(i *Introspect) *bool { return &i.Signed })},
	{Name: "param", Usage: []string{"<name> <value>"}, Repeatable: true,
		Reader: words.Custom(readParam, func(i *Introspect) []any { return []any{&i.Params} })},
	{Name: "token_type_hint", Usage: []string{"<hint>|off"},
		Reader: words.Text(func(i *Introspect) *string { return &i.TokenTypeHint })},
	{Name: "cache_ttl", Usage: []string{"<duration>"},
		Reader: words.DurationOrZero(func(i *Introspect) **caddy.Duration { return &i.CacheTTL })},
	{Name: "negative_ttl", Usage: []string{"<duration>"},
		Reader: words.DurationOrZero(func(i *Introspect) **caddy.Duration { return &i.NegativeTTL })},
	{Name: "timeout", Usage: []string{"<duration>"},
		Reader: words.Duration(func(i *Introspect) *caddy.Duration { return &i.Timeout })},
	{Name: "max_in_flight", Usage: []string{"<n>"},
		Reader: words.Number(func(i *Introspect) *int { return &i.MaxInFlight })},
}}

var privateKeyTable = words.Table[Introspect]{Name: "private_key", Words: []words.Word[Introspect]{
	{Name: "password", Usage: []string{"<text>"},
		Reader: words.Text(func(i *Introspect) *string { return &i.PrivateKeyPassword })},
}}

// readKeys reads the source and its value. Errors quote neither: a secret may be in the wrong place.
func readKeys(b *words.Block, issuer *Issuer) error {
	args := b.Args()
	if len(args) == 0 {
		return b.WrongUsage("")
	}
	n, path := len(issuer.Keys), "Keys"
	if n > 0 {
		path = setting.Element("Keys", n)
	}
	b.MarkElements("Keys", n, n+1)
	issuer.Keys = append(issuer.Keys, Keys{Source: args[0]})
	keys := &issuer.Keys[n]
	source := keys.source()
	if source == nil {
		return noSource(b, args[0])
	}
	if args = args[1:]; len(args) > 0 && source.base64 && len(args) == 2 && args[1] == "base64" {
		keys.Base64, args = true, args[:1]
	}
	switch {
	case len(args) == 0 && (source.value == nil || source.optional):
		return words.ReadInto(b, path, &keysTable, keys)
	case len(args) != 1 || source.value == nil:
		return b.WrongForm(source.name, source.hint)
	case strings.TrimSpace(args[0]) == "":
		return b.Errf("keys %s: the value is empty; is an environment variable unset?", source.name)
	}
	*source.value(keys) = args[0]
	if err := mistakenKeys(b, keys); err != nil {
		return err
	}
	return words.ReadInto(b, path, &keysTable, keys)
}

// noSource is the error for a value without its source. It guesses the source from the value.
func noSource(b *words.Block, value string) error {
	const first = "the kind of key source comes first"
	switch {
	case strings.Contains(value, "://"):
		return b.WrongForm("jwks", first)
	case strings.Contains(value, words.PEMBegin):
		return b.WrongForm("pem", first)
	case words.IsPath(value):
		return b.WrongForm("file", first)
	}
	if meant := words.MostAlike(value, sourceNames()); meant != "" {
		return b.WrongForm(meant, first)
	}
	return b.WrongUsage(first)
}

// readRequiredClaims reads names of claims. Written like the require of a route, "required_claims scope orders:read"
// would ask for claims named "scope" and "orders:read".
func readRequiredClaims(b *words.Block, issuer *Issuer) error {
	claims, err := b.Many()
	if err != nil {
		return err
	}
	switch first := claims[0]; first {
	case "scope", "claim", "group":
		if len(claims) > 1 {
			return b.Errf("issuer: required_claims takes names of claims: outside the issuer block, write \"require %s …\" "+
				"(to require a claim named %q, write it last)", first, first)
		}
	}
	issuer.RequiredClaims = claims
	return b.Check("required_claims", oneClaim(equalsInIssuer), claims...)
}

// oneClaim are mistakes in the path of a claim, with more that a word knows.
func oneClaim(more ...words.Mistake) []words.Mistake {
	return append(slices.Concat(require.PathMistakes, more),
		words.WildcardInName("a claim path names one claim", "write its name"))
}

func readConsumerClaim(b *words.Block, issuer *Issuer) error {
	args := b.Args()
	if len(args) == 0 || len(args) > 2 || args[0] == "" || len(args) == 2 && args[1] != "custom_id" {
		return b.WrongUsage("a consumer is found by its username or, with custom_id behind the path, by that")
	}
	if issuer.ConsumerClaim = args[0]; len(args) == 2 {
		issuer.ConsumerBy = "custom_id"
	}
	return b.Check("consumer_claim", oneClaim(), args[0])
}

func readHeaderUp(b *words.Block, issuer *Issuer) error {
	args := b.Args()
	if len(args) != 2 {
		return b.WrongUsage("")
	}
	if strings.ContainsAny(args[0][:min(1, len(args[0]))], "+-?>") {
		return b.Errf("header_up %s: here it takes a name and a value: leave the %q before the name out",
			args[0], args[0][:1])
	}
	if issuer.RequestHeaders == nil {
		issuer.RequestHeaders = make(map[string][]string)
	}
	b.Mark("RequestHeaders[" + args[0] + "]")
	issuer.RequestHeaders[args[0]] = append(issuer.RequestHeaders[args[0]], args[1])
	return nil
}

func readIntrospect(b *words.Block, issuer *Issuer) error {
	i := new(Introspect)
	if args := b.Args(); len(args) > 1 {
		return b.WrongUsage("")
	} else if len(args) == 1 && strings.Contains(args[0], "://") {
		return b.Errf("introspect takes opaque or always, not an address: write it inside the block: endpoint <url>")
	} else if len(args) == 1 {
		i.Mode = args[0]
	}
	issuer.Introspect = i
	return words.ReadInto(b, "Introspect", &introspectTable, i)
}

// readEndpoint reads the address of the endpoint.
func readEndpoint(b *words.Block, i *Introspect) (err error) {
	if i.Endpoint, err = b.One(); err != nil {
		return err
	}
	if segments := pathOf(words.Typed(i.Endpoint)); isMetadata(segments) || isKeySet(segments) {
		return b.Errf("endpoint: this is the address of a document, not of an endpoint: " +
			"leave the word out if the issuer's metadata name the endpoint")
	}
	return nil
}

func readPrivateKey(b *words.Block, i *Introspect) error {
	args := b.Args()
	if len(args) < 1 || len(args) > 2 || args[0] == "" {
		return b.WrongUsage("")
	}
	i.PrivateKey = args[0]
	if len(args) == 2 {
		i.KeyID = args[1]
	}
	return words.ReadInto(b, "", &privateKeyTable, i)
}

func readParam(b *words.Block, i *Introspect) error {
	args := b.Args()
	if len(args) != 2 {
		return b.WrongUsage("")
	}
	i.Params = append(i.Params, Param{Name: args[0], Value: args[1]})
	return nil
}
