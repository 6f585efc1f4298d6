package caddyjwt

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"

	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// directive is bearer_auth with all of its words.
var directive = words.Directive[Handler]{Table: &handlerTable, Line: readLine, Foreign: foreign}

var handlerTable = words.Table[Handler]{Name: "bearer_auth", Words: []words.Word[Handler]{
	{Name: "name", Usage: []string{"<name>"}, Reader: words.Text(func(h *Handler) *string { return &h.Name })},
	{Name: "realm", Usage: []string{"<text>"}, Reader: words.Text(func(h *Handler) *string { return &h.Realm })},
	{Name: "token_from", Usage: placeUsage(), Repeatable: true,
		Reader: words.Custom(readPlace, func(h *Handler) []any { return []any{&h.TokenFrom} })},
	{Name: "max_token_size", Usage: []string{"<size>"},
		Reader: words.Parsed(func(h *Handler) *int { return &h.MaxTokenSize }, parseTokenSize)},
	{Name: "audience", Usage: issuers.AudienceUsage,
		Reader: issuers.AudienceReader(func(h *Handler) (*[]string, *bool) { return &h.Audience, &h.AnyAudience })},
	{Name: "leeway", Usage: []string{"<duration>"},
		Reader: words.DurationOrZero(func(h *Handler) **caddy.Duration { return &h.Leeway })},
	{Name: "max_lifetime", Usage: []string{"<duration>"},
		Reader: words.Duration(func(h *Handler) *caddy.Duration { return &h.MaxLifetime })},
	{Name: "resource", Usage: []string{"<url>"}, Needs: "the URL of what the gate guards",
		Reader: words.WithBlock(words.Custom(readResource, func(h *Handler) []any { return []any{&h.Resource} }),
			&resourceTable)},
	{Name: "auth_server_metadata", Usage: []string{"proxy|redirect [<issuer>]"},
		Reader: words.Custom(readServerMetadata, func(h *Handler) []any { return []any{&h.AuthServerMetadata} })},
	{Name: "issuer", Usage: []string{"<iss>"}, Needs: "the name that tokens have as \"iss\"", Repeatable: true,
		Reader: words.Named(func(h *Handler) *[]issuers.Issuer { return &h.Issuers },
			func(i *issuers.Issuer) *string { return &i.Issuer }, &issuers.Table, issuers.NameMistakes...)},
	{Name: "consumer", Usage: []string{"<username>"}, Needs: "a username", Repeatable: true,
		Reader: words.Named(func(h *Handler) *[]consumers.Consumer { return &h.Consumers },
			func(c *consumers.Consumer) *string { return &c.Username }, &consumers.Table,
			words.SingleQuotes, words.ShellVariable,
			words.Wildcard("a consumer has one name", "write a consumer block for each one"))},
	{Name: "consumers", Usage: []string{"file <path>"},
		Reader: consumers.FromReader(func(h *Handler) **consumers.From { return &h.ConsumersFrom })},
	{Name: "proof", Usage: proofs.Usage,
		Reader: proofs.Reader(func(h *Handler) **proofs.Config { return &h.Proof })},
	{Name: "client_cert_header", Usage: proofs.HeaderUsage,
		Reader: proofs.HeaderReader(func(h *Handler) **proofs.CertificateHeader { return &h.ClientCertHeader })},
	{Name: "profile", Usage: []string{proofs.ProfileFAPI2},
		Reader: words.Text(func(h *Handler) *string { return &h.Profile })},
	{Name: "require_tls", Reader: words.Flag(func(h *Handler) *bool { return &h.RequireTLS })},
	{Name: "key_claim", Usage: []string{"<claim>"},
		Reader: words.Text(func(h *Handler) *string { return &h.KeyClaim }, words.SingleQuotes, keyClaimAsPath,
			words.Wildcard("key_claim is the name of one claim", "write the name"))},
	{Name: "require", Repeatable: true,
		Usage:  require.Usage,
		Reader: words.Custom(readRequirement, func(h *Handler) []any { return []any{&h.Require} })},
	{Name: "scope_implies", Usage: []string{"<broad> <narrow...>"}, Repeatable: true,
		Reader: words.Custom(readScopeImplies, func(h *Handler) []any { return []any{&h.ScopeImplies} })},
	{Name: "mcp", Reader: words.Only(func(h *Handler) **rights.Rights { return &h.MCP }, &rights.Table)},
	{Name: "introspect", Usage: []string{"[force|skip] [max_age <duration>]"},
		Reader: words.Custom(readRouteIntrospect, func(h *Handler) []any { return []any{&h.Introspect} })},
	{Name: "forward_claims", Usage: forwardUsage, Repeatable: true,
		Reader: words.Custom(forwardsClaims.read, func(h *Handler) []any { return []any{&h.ForwardClaims} })},
	{Name: "forward_header", Usage: forwardUsage, Repeatable: true,
		Reader: words.Custom(forwardsHeader.read, func(h *Handler) []any { return []any{&h.ForwardHeader} })},
	{Name: "forward_payload", Usage: []string{"<header> [padded]"},
		Reader: words.Custom(readForwardPayload, func(h *Handler) []any { return []any{&h.ForwardPayload, &h.PadPayload} })},
	{Name: "forward_tenant", Usage: []string{"<header>"},
		Reader: words.Text(func(h *Handler) *string { return &h.ForwardTenant })},
	{Name: "consumer_headers", Usage: []string{"off|<header...>"},
		Reader: words.Texts(func(h *Handler) *[]string { return &h.ConsumerHeaders })},
	{Name: "forward_token", Reader: words.Flag(func(h *Handler) *bool { return &h.ForwardToken })},
	{Name: "expose_token", Reader: words.Flag(func(h *Handler) *bool { return &h.ExposeToken })},
	{Name: "optional", Usage: []string{"[expired]"},
		Reader: words.Custom(readOptional, func(h *Handler) []any { return []any{&h.Optional, &h.OptionalExpired} })},
	{Name: "anonymous", Usage: []string{"<username>"},
		Reader: words.Text(func(h *Handler) *string { return &h.Anonymous })},
	{Name: "allow_preflight", Reader: words.Flag(func(h *Handler) *bool { return &h.AllowPreflight })},
	{Name: "cors", Reader: words.Only(func(h *Handler) **cors.Config { return &h.CORS }, &cors.Table)},
	{Name: "origin_check", Usage: []string{"off"},
		Reader: words.Text(func(h *Handler) *string { return &h.OriginCheck })},
	{Name: "error_format", Usage: []string{"problem"},
		Reader: words.Text(func(h *Handler) *string { return &h.ErrorFormat })},
	{Name: "public", Usage: []string{"<path...>"}, Repeatable: true,
		Reader: words.Custom(readPublic, func(h *Handler) []any { return []any{&h.Public} })},
	{Name: "end_at_expiry", Usage: []string{"[all]"},
		Reader: words.Custom(readEndAtExpiry, func(h *Handler) []any { return []any{&h.EndAtExpiry} })},
	{Name: "cache", Usage: []string{"<size>|off"},
		Reader: words.Parsed(func(h *Handler) *int64 { return &h.CacheSize }, parseCacheSize)},
}}

func readPlace(b *words.Block, h *Handler) error {
	args := b.Args()
	if err := mistakenPlace(b, args); err != nil {
		return err
	}
	if len(args) == 0 {
		return b.WrongUsage("")
	}
	kind := placeOf(args[0])
	switch {
	case kind == nil, len(args) == 1 && kind.usual == "":
		return b.WrongUsage("")
	case len(args) > 3, len(args) == 3 && !kind.scheme:
		return b.WrongForm(kind.name, "")
	}
	place := TokenPlace{In: args[0]}
	if len(args) > 1 {
		place.Name = args[1]
	}
	if len(args) == 3 {
		place.Scheme = args[2]
	}
	h.TokenFrom = append(h.TokenFrom, place)
	return nil
}

func parseTokenSize(text string) (int, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > maxTokenSize {
		return 0, errors.New("expected a size from 1 to 1MiB, such as 16KiB")
	}
	if _, err := strconv.Atoi(text); err == nil && n < 1024 {
		return 0, fmt.Errorf("hardly any token is that short: write the unit, %sKiB or %sB", text, text)
	}
	return int(n), nil
}

func parseCacheSize(text string) (int64, error) {
	if text == "off" {
		return -1, nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<40 {
		return 0, errors.New("expected a size such as 32MiB, or off")
	}
	return int64(n), nil
}
