package tokenissuer

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// people are those who may sign in, before their directories are open.
type people struct {
	inline *users.Inline // nil for none, and while a hash is not known
	kinds  []string      // of the further directories
	plans  []plan        // how to open them; nil while a value is not known
}

// compilePeople checks who may sign in.
func (h *Handler) compilePeople(s *words.Settings) (p people, err error) {
	if err := words.NotEmpty("users", h.Users); err != nil {
		return p, setting.In("Users", err)
	}
	if err := words.NotEmpty("users_from", h.UsersFrom); err != nil {
		return p, setting.In("UsersFrom", err)
	}
	if len(h.Users) == 0 && len(h.UsersFrom) == 0 {
		return p, setting.Errorf("Users", "nobody could sign in: add \"user <name> <hash>\", with the hash that \"caddy "+
			"hash-password\" prints, or \"users file <path>\"")
	}
	if p.inline, err = h.inline(s); err != nil {
		return p, err
	}
	for i := range h.UsersFrom {
		from := &h.UsersFrom[i]
		if slices.Contains(p.kinds, from.Kind) {
			return p, setting.Errorf(setting.Element("UsersFrom", i), "users %s is there twice: one of each kind is possible",
				from.Kind)
		}
		open, err := from.compile(s)
		if err != nil {
			return p, setting.In(setting.Element("UsersFrom", i), err)
		}
		p.kinds, p.plans = append(p.kinds, from.Kind), append(p.plans, open)
	}
	return p, p.check(h)
}

// check refuses directories that cannot stand together, as far as all are known.
func (p *people) check(h *Handler) error {
	if slices.ContainsFunc(p.plans, func(open plan) bool { return open == nil }) || len(h.Users) > 0 && p.inline == nil {
		return nil
	}
	_, closers, err := p.open(slog.New(slog.DiscardHandler))
	return setting.In("UsersFrom", errors.Join(err, closers.Close()))
}

// closers are what has to be closed at the end.
type closers []io.Closer

// Close closes all.
func (c closers) Close() (err error) {
	for _, one := range c {
		err = errors.Join(err, one.Close())
	}
	return err
}

// inline are the users in the configuration.
func (h *Handler) inline(s *words.Settings) (*users.Inline, error) {
	var config users.InlineConfig
	allKnown := true
	for i := range h.Users {
		user := &h.Users[i]
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

// open makes the directory of all users. The first one that has a name decides about it.
func (p *people) open(logger *slog.Logger) (joint users.Directory, closing closers, err error) {
	var members []users.Member
	if p.inline != nil {
		members = append(members, users.Member{Name: "configuration", Directory: p.inline})
	}
	for i, open := range p.plans {
		directory, err := open(logger)
		if err != nil {
			return nil, closing, err
		}
		if directory.closer != nil {
			closing = append(closing, directory.closer)
		}
		members = append(members, users.Member{Name: p.kinds[i], Directory: directory.Directory})
	}
	joint, err = users.NewJoint(members...)
	return joint, closing, err
}
