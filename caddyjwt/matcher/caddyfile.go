package matcher

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/tenant"
)

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	bearer {
//	    scope      <scope...>                        # repeatable
//	    any_scope  <scope...>                        # repeatable
//	    claim      <path> [<value...>]               # repeatable
//	    claim      <path> like <pattern...>          # repeatable
//	    claim      <path> at_least <number>          # repeatable
//	    claim      <path> at_most <number>           # repeatable
//	    header     <path> [<value...>]               # repeatable
//	    header     <path> like <pattern...>          # repeatable
//	    header     <path> at_least <number>          # repeatable
//	    header     <path> at_most <number>           # repeatable
//	    group      <group...>                        # repeatable
//	    not        scope <scope...>                  # repeatable
//	    not        claim <path> [<value...>]         # repeatable
//	    not        claim <path> like <pattern...>    # repeatable
//	    not        header <path> [<value...>]        # repeatable
//	    not        header <path> like <pattern...>   # repeatable
//	    not        group <group...>                  # repeatable
//	    any        { <requirement> ... }             # repeatable
//	    consumer   <username...>                     # repeatable
//	    issuer     <iss...>                          # repeatable
//	}
//
// A single word needs no block: "bearer scope orders:write". Several lines of this kind in one named matcher are the
// same as a block.
func (m *Matcher) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	lines, err := directive.ReadMatcher(d, m)
	if err != nil {
		return err
	}
	_, err = m.compile(words.NewDeferringSettings())
	return lines.Wrap(err)
}

const (
	name    = "bearer"
	anybody = "to match whoever has an identity: expression {http.auth.user.id} != null"
)

var directive = words.Directive[Matcher]{
	Table: &words.Table[Matcher]{Name: name, Words: []words.Word[Matcher]{
		{Name: "scope", Usage: []string{"<scope...>"}, Repeatable: true,
			Reader: required("scope", func(m *Matcher) any { return &m.Scopes })},
		{Name: "any_scope", Usage: []string{"<scope...>"}, Repeatable: true,
			Reader: required("any_scope", func(m *Matcher) any { return &m.AnyScopes })},
		{Name: "claim", Usage: require.ClaimUsage, Repeatable: true,
			Reader: required("claim", func(m *Matcher) any { return &m.Claims })},
		{Name: "header", Usage: require.HeaderUsage, Repeatable: true,
			Reader: required("header", func(m *Matcher) any { return &m.Header })},
		{Name: "group", Usage: []string{"<group...>"}, Repeatable: true,
			Reader: required("group", func(m *Matcher) any { return &m.Groups })},
		{Name: "not", Usage: require.NotUsage, Repeatable: true,
			Reader: required("not", func(m *Matcher) any { return &m.Not })},
		{Name: "any", Usage: require.AnyUsage, Repeatable: true,
			Reader: words.Custom(readAny, func(m *Matcher) []any { return []any{&m.Any} })},
		{Name: "consumer", Usage: []string{"<username...>"}, Repeatable: true,
			Reader: list("consumer", func(m *Matcher) *[]string { return &m.Consumers }, words.SingleQuotes,
				words.ShellVariable, words.CommaList, words.Wildcard("a consumer has one name", "list each one"))},
		{Name: "issuer", Usage: []string{"<iss...>"}, Repeatable: true,
			Reader: list("issuer", func(m *Matcher) *[]string { return &m.Issuers }, words.SingleQuotes,
				words.ShellVariable, words.CommaList, words.QuotedAddresses, document, wildcard)},
	}},
	Foreign: words.NewForeign([][2]string{
		{"roles are in a claim: claim <path> <role...>", "role roles"},
		{anybody, "user valid-user authenticated"},
		{"here: consumer <username...>, or claim sub <subject...> for the tokens of an issuer", "id subject sub username"},
		{"here: claim aud <audience...>", "aud audience"},
		{"here: issuer <iss...>", "iss"},
	}),
}

// required reads what has the same rules in "require".
func required(kind string, field func(*Matcher) any) words.Reader[Matcher] {
	return words.Custom(func(b *words.Block, m *Matcher) error {
		values, err := b.Many()
		if err != nil {
			return err
		}
		all := require.Alternative{
			Scopes: m.Scopes, AnyScopes: m.AnyScopes, Claims: m.Claims, Header: m.Header, Groups: m.Groups, Not: m.Not,
		}
		err = all.ReadCommon(b, name, kind, values)
		m.Scopes, m.AnyScopes, m.Claims, m.Header = all.Scopes, all.AnyScopes, all.Claims, all.Header
		m.Groups, m.Not = all.Groups, all.Not
		return err
	}, func(m *Matcher) []any { return []any{field(m)} })
}

// readAny reads a block of alternatives.
func readAny(b *words.Block, m *Matcher) error {
	if len(b.Args()) > 0 {
		return b.WrongUsage("one scope of several is any_scope <scope...>; " + anybody)
	}
	block, err := require.ReadAny(b, name, fmt.Sprintf("Any[%d]", len(m.Any)), anybody)
	m.Any = append(m.Any, block)
	return err
}

// list reads values of which one must be the caller's.
func list(kind string, field func(*Matcher) *[]string, mistakes ...words.Mistake) words.Reader[Matcher] {
	return values(field, func(b *words.Block, values []string) error {
		return b.Check(name+" "+kind, mistakes, values...)
	})
}

func values(field func(*Matcher) *[]string, check func(*words.Block, []string) error) words.Reader[Matcher] {
	return words.Custom(func(b *words.Block, m *Matcher) error {
		values, err := b.Many()
		if err != nil {
			return err
		}
		*field(m) = append(*field(m), values...)
		return check(b, values)
	}, func(m *Matcher) []any { return []any{field(m)} })
}

// document recognizes the address of a document about an issuer (RFC 8615 section 3), which no token has as its "iss".
func document(value string) string {
	if !strings.Contains(value, "/.well-known/") {
		return ""
	}
	return "this is the address of a document: write the issuer as bearer_auth has it"
}

// wildcard recognizes a "*" that is not that of an issuer with tenants.
func wildcard(value string) string {
	if _, err := tenant.Parse(value); err == nil {
		return ""
	}
	return words.Wildcard("an issuer is compared exactly", "list each one, or write an issuer with \"*\" for its tenants "+
		"as bearer_auth has it")(value)
}
