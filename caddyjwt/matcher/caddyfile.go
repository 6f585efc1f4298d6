package matcher

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	bearer {
//	    scope      <scope...>            # repeatable
//	    any_scope  <scope...>            # repeatable
//	    claim      <path> [<value...>]   # repeatable
//	    group      <group...>            # repeatable
//	    consumer   <username...>         # repeatable
//	    issuer     <iss...>              # repeatable
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

const name = "bearer"

var directive = words.Directive[Matcher]{
	Table: &words.Table[Matcher]{Name: name, Words: []words.Word[Matcher]{
		{Name: "scope", Usage: []string{"<scope...>"}, Repeatable: true,
			Reader: required("scope", func(m *Matcher) *[]string { return &m.Scopes })},
		{Name: "any_scope", Usage: []string{"<scope...>"}, Repeatable: true,
			Reader: words.Custom(readAnyScope, func(m *Matcher) []any { return []any{&m.AnyScopes} })},
		{Name: "claim", Usage: []string{"<path> [<value...>]"}, Repeatable: true,
			Reader: words.Custom(readClaim, func(m *Matcher) []any { return []any{&m.Claims} })},
		{Name: "group", Usage: []string{"<group...>"}, Repeatable: true,
			Reader: required("group", func(m *Matcher) *[]string { return &m.Groups })},
		{Name: "consumer", Usage: []string{"<username...>"}, Repeatable: true,
			Reader: list("consumer", func(m *Matcher) *[]string { return &m.Consumers }, words.SingleQuotes,
				words.ShellVariable, words.CommaList, words.Wildcard("a consumer has one name", "list each one"))},
		{Name: "issuer", Usage: []string{"<iss...>"}, Repeatable: true,
			Reader: list("issuer", func(m *Matcher) *[]string { return &m.Issuers }, words.SingleQuotes,
				words.ShellVariable, words.CommaList, words.QuotedAddresses, document,
				words.Wildcard("an issuer is compared exactly", "list each one"))},
	}},
	Foreign: words.NewForeign([][2]string{
		{"roles are in a claim: claim <path> <role...>", "role roles"},
		{"to match whoever has an identity: expression {http.auth.user.id} != null", "any user valid-user authenticated"},
		{"here: consumer <username...>, or claim sub <subject...> for the tokens of an issuer", "id subject sub username"},
		{"here: claim aud <audience...>", "aud audience"},
		{"here: issuer <iss...>", "iss"},
	}),
}

// required reads values that have the same rules in "require".
func required(kind string, field func(*Matcher) *[]string) words.Reader[Matcher] {
	return values(field, func(b *words.Block, values []string) error { return require.Check(b, name, kind, values) })
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

func readAnyScope(b *words.Block, m *Matcher) error {
	scopes, err := b.Many()
	if err != nil {
		return err
	}
	m.AnyScopes = append(m.AnyScopes, scopes)
	return require.Check(b, name, "any_scope", scopes)
}

func readClaim(b *words.Block, m *Matcher) error {
	values, err := b.Many()
	if err != nil {
		return err
	}
	claim := require.Claim{Claim: values[0]}
	if len(values) > 1 {
		claim.Values = values[1:]
	}
	m.Claims = append(m.Claims, claim)
	return require.Check(b, name, "claim", values)
}

// document recognizes the address of a document about an issuer (RFC 8615 section 3), which no token has as its "iss".
func document(value string) string {
	if !strings.Contains(value, "/.well-known/") {
		return ""
	}
	return "this is the address of a document: write the issuer as bearer_auth has it"
}
