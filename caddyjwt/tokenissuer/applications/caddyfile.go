package applications

import (
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyserver/caddy/v2"
)

// Table has the words of the block of an application.
var Table = words.Table[App]{Name: "app", Words: []words.Word[App]{
	{Name: "audience", Usage: []string{"<aud...>"}, Reader: words.Texts(func(a *App) *[]string { return &a.Audience },
		words.SingleQuotes, words.ShellVariable, words.CommaList, words.Unfilled)},
	{Name: "access_lifetime", Usage: []string{"<duration>"},
		Reader: words.Duration(func(a *App) *caddy.Duration { return &a.AccessLifetime })},
	{Name: "refresh_lifetime", Usage: []string{"<duration>"},
		Reader: words.Duration(func(a *App) *caddy.Duration { return &a.RefreshLifetime })},
	{Name: "session_lifetime", Usage: []string{"<duration>"},
		Reader: words.Duration(func(a *App) *caddy.Duration { return &a.SessionLifetime })},
	{Name: "grace", Usage: []string{"<duration>"},
		Reader: words.Duration(func(a *App) *caddy.Duration { return &a.Grace })},
	{Name: "group_by", Usage: []string{"claim <name>", "cookie <name>"},
		Reader: words.Custom(readGroupBy, func(a *App) []any { return []any{&a.GroupBy} })},
	{Name: "endpoints", Reader: words.Only(func(a *App) **Endpoints { return &a.Endpoints }, &endpointsTable)},
	{Name: "compat", Usage: []string{"oauth|iris"}, Reader: words.Text(func(a *App) *string { return &a.Compat })},
	{Name: "claim", Usage: []string{"<name> <text>"}, Repeatable: true,
		Reader: words.Pairs(func(a *App) *map[string]string { return &a.Claims })},
	{Name: "header", Usage: []string{"<name> <text>"}, Repeatable: true,
		Reader: words.Pairs(func(a *App) *map[string]string { return &a.Header })},
}}

var endpointsTable = words.Table[Endpoints]{Name: "endpoints", Words: []words.Word[Endpoints]{
	{Name: "login", Usage: []string{"<name>"}, Reader: words.Text(func(e *Endpoints) *string { return &e.Login })},
	{Name: "refresh", Usage: []string{"<name>"}, Reader: words.Text(func(e *Endpoints) *string { return &e.Refresh })},
	{Name: "logout", Usage: []string{"<name>"}, Reader: words.Text(func(e *Endpoints) *string { return &e.Logout })},
	{Name: "revoke", Usage: []string{"<name>"}, Reader: words.Text(func(e *Endpoints) *string { return &e.Revoke })},
}}

// readGroupBy reads which sessions end together.
func readGroupBy(b *words.Block, a *App) error {
	args := b.Args()
	switch {
	case len(args) == 2 && args[0] == "claim":
		a.GroupBy = &GroupBy{Claim: args[1]}
	case len(args) == 2 && args[0] == "cookie":
		a.GroupBy = &GroupBy{Cookie: args[1]}
	default:
		return b.WrongUsage("without the word, logout ends one session")
	}
	return nil
}
