package people

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

// ReadUser reads the line of a user into a list.
func ReadUser[T any](list func(*T) *[]User) words.Reader[T] {
	return words.Custom(func(b *words.Block, into *T) error {
		args := b.Args()
		if len(args) < 2 {
			return b.WrongUsage("make the hash with \"caddy hash-password\"")
		}
		user := User{Name: args[0], Hash: args[1]}
		if len(args) > 2 {
			user.Roles = args[2:]
		}
		users := list(into)
		*users = append(*users, user)
		return nil
	}, func(into *T) []any { return []any{list(into)} })
}

// ReadSource reads the line and the block of further users into a list, which is the field UsersFrom.
func ReadSource[T any](list func(*T) *[]Source) words.Reader[T] {
	return words.WithBlock(words.Custom(func(b *words.Block, into *T) error {
		args := b.Args()
		if len(args) != 2 || args[0] != kindFile && args[0] != kindLDAP && args[0] != kindHTTP {
			return b.WrongUsage("users of an htpasswd file with bcrypt hashes, or of a server")
		}
		from := Source{Kind: args[0], URL: args[1]}
		if args[0] == kindFile {
			from.URL, from.Path = "", args[1]
		}
		sources := list(into)
		err := words.ReadInto(b, setting.Element("UsersFrom", len(*sources)), &table, &from)
		*sources = append(*sources, from)
		return err
	}, func(into *T) []any { return []any{list(into)} }), &table)
}

// table has the words of the block of a server with users.
var table = words.Table[Source]{Name: "users", Words: []words.Word[Source]{
	{Name: "groups", Usage: []string{"<path>"}, Reader: words.Text(func(u *Source) *string { return &u.Groups })},
	{Name: "user_dn", Usage: []string{"<dn>"}, Reader: words.Text(func(u *Source) *string { return &u.UserDN })},
	{Name: "base_dn", Usage: []string{"<dn>"}, Reader: words.Text(func(u *Source) *string { return &u.BaseDN })},
	{Name: "filter", Usage: []string{"<filter>"}, Reader: words.Text(func(u *Source) *string { return &u.Filter })},
	{Name: "bind_dn", Usage: []string{"<dn>"}, Reader: words.Text(func(u *Source) *string { return &u.BindDN })},
	{Name: "bind_password", Usage: []string{"<password>"},
		Reader: words.Text(func(u *Source) *string { return &u.BindPassword })},
	{Name: "name_attribute", Usage: []string{"<attribute>"},
		Reader: words.Text(func(u *Source) *string { return &u.NameAttribute })},
	{Name: "role_attribute", Usage: []string{"<attribute>"},
		Reader: words.Text(func(u *Source) *string { return &u.RoleAttribute })},
	{Name: "role", Usage: []string{"<value> <role>"}, Repeatable: true,
		Reader: words.Pairs(func(u *Source) *map[string]string { return &u.Roles })},
	{Name: "claim", Usage: []string{"<name> <attribute>"}, Repeatable: true,
		Reader: words.Pairs(func(u *Source) *map[string]string { return &u.Claims })},
	{Name: "start_tls", Reader: words.Flag(func(u *Source) *bool { return &u.StartTLS })},
	{Name: "tls", Reader: words.Only(func(u *Source) **clienttls.TLS { return &u.TLS }, &clienttls.Table)},
	{Name: "header_up", Usage: []string{"<field> <value>"}, Repeatable: true,
		Reader: words.Pairs(func(u *Source) *map[string]string { return &u.Headers })},
	{Name: "allow_http", Reader: words.Flag(func(u *Source) *bool { return &u.AllowHTTP })},
	{Name: "timeout", Usage: []string{"<duration>"},
		Reader: words.Duration(func(u *Source) *caddy.Duration { return &u.Timeout })},
}}
