// Package people has the settings that say who may sign in at a token issuer: users in the configuration, and sources
// of further users. It checks them, and makes one directory of all.
package people

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// People are those who may sign in, before their directories are open.
type People struct {
	inline *users.Inline // nil for none, and while a hash is not known
	kinds  []string      // of the sources
	marks  []string      // of the sources: with another one, they may have other people
	plans  []plan        // how to open them; nil while a value is not known
}

// Compile checks who may sign in. An error names a field of the handler: Users or UsersFrom.
func Compile(s *words.Settings, inline []User, from []Source) (p People, err error) {
	if err := words.NotEmpty("users", inline); err != nil {
		return p, setting.In("Users", err)
	}
	if err := words.NotEmpty("users_from", from); err != nil {
		return p, setting.In("UsersFrom", err)
	}
	if len(inline) == 0 && len(from) == 0 {
		return p, setting.Errorf("Users", "nobody could sign in: add \"user <name> <hash>\", with the hash that \"caddy "+
			"hash-password\" prints, or \"users file <path>\"")
	}
	if p.inline, err = compileInline(s, inline); err != nil {
		return p, err
	}
	for i := range from {
		kind := from[i].Kind
		if slices.Contains(p.kinds, kind) {
			return p, setting.Errorf(setting.Element("UsersFrom", i), "users %s is there twice: one of each kind is possible",
				kind)
		}
		open, err := from[i].compile(s)
		if err != nil {
			return p, setting.In(setting.Element("UsersFrom", i), err)
		}
		p.kinds, p.marks, p.plans = append(p.kinds, kind), append(p.marks, from[i].mark()), append(p.plans, open)
	}
	if slices.ContainsFunc(p.plans, func(open plan) bool { return open == nil }) || len(inline) > 0 && p.inline == nil {
		return p, nil // not all is known
	}
	return p, setting.In("UsersFrom", p.standTogether())
}

// standTogether refuses directories that cannot be joined.
func (p *People) standTogether() error {
	_, closer, err := p.Open(slog.New(slog.DiscardHandler), func(string) *durations.Calls { return nil })
	if err != nil {
		return err
	}
	return closer.Close()
}

// Kinds are where users come from, in the order in which they decide: "configuration", and the kinds of sources.
func (p *People) Kinds() (kinds []string) {
	if p.inline != nil {
		kinds = append(kinds, inConfiguration)
	}
	return append(kinds, p.kinds...)
}

// inConfiguration is the name of the directory of the users in the configuration.
const inConfiguration = "configuration"

// closers are what has to be closed at the end.
type closers []io.Closer

// Close implements io.Closer.
func (c closers) Close() (err error) {
	for _, one := range c {
		err = errors.Join(err, one.Close())
	}
	return err
}

// compileInline checks the users in the configuration.
func compileInline(s *words.Settings, list []User) (*users.Inline, error) {
	var config users.InlineConfig
	allKnown := true
	for i, user := range list {
		if user.Name == "" {
			return nil, setting.Errorf(setting.Element("Users", i)+".Name", "a user has no name: write \"user <name> <hash>\"")
		}
		if err := words.Literal("user", user.Name); err != nil {
			return nil, setting.In(setting.Element("Users", i)+".Name", err)
		}
		hash, known, err := s.Text("user "+user.Name, user.Hash)
		if err != nil {
			return nil, setting.In(setting.Element("Users", i)+".Hash", err)
		}
		allKnown = allKnown && known
		config.Accounts = append(config.Accounts, users.Account{Name: user.Name, Hash: hash, Roles: user.Roles})
	}
	if !allKnown || len(config.Accounts) == 0 {
		return nil, nil
	}
	if strings.HasPrefix(config.Accounts[0].Hash, "$argon2") {
		config.Comparer = caddyauth.Argon2idHash{}
	}
	inline, err := users.NewInline(config)
	if err != nil {
		field := strings.Replace(setting.Field(err), "Accounts", "Users", 1)
		return nil, &setting.Error{Field: field, Err: err}
	}
	return inline, nil
}

// Open makes the directory of all users. The first one that has a name decides about it. Close the closer at the end.
// callsOf gives what counts the calls to a server with users, by its kind.
func (p *People) Open(
	logger *slog.Logger, callsOf func(kind string) *durations.Calls,
) (joint users.Directory, closer io.Closer, err error) {
	var members []users.Member
	var opened closers
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.Close())
		}
	}()
	if p.inline != nil {
		members = append(members, users.Member{Name: inConfiguration, Directory: p.inline})
	}
	for i, open := range p.plans {
		directory, err := open(logger)
		if err != nil {
			return nil, nil, err
		}
		if directory.closer != nil {
			opened = append(opened, directory.closer)
		}
		member := users.Member{Name: p.kinds[i], Directory: directory.Directory, Mark: p.marks[i]}
		if p.kinds[i] != kindFile {
			member.Calls = callsOf(p.kinds[i])
		}
		members = append(members, member)
	}
	joint, err = users.NewJoint(members...)
	return joint, opened, err
}

// User is somebody who may sign in.
type User struct {
	// Name, compared exactly. It is the claim sub of the user's tokens.
	Name string `json:"name"`
	// Hash of the password, as "caddy hash-password" prints it: bcrypt or argon2id. Placeholders are resolved.
	Hash string `json:"hash"`
	// Roles of the user: the claim roles. Default: none.
	Roles []string `json:"roles,omitempty"`
}
