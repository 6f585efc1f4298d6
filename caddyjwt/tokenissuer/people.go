package tokenissuer

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// people are those who may sign in, before their file is open.
type people struct {
	inline *users.Inline // nil for none, and while a hash is not known
	file   string        // path; empty for none
	count  int           // in the configuration
}

// compilePeople checks who may sign in.
func (h *Handler) compilePeople(s *words.Settings) (p people, err error) {
	if err := words.NotEmpty("users", h.Users); err != nil {
		return p, setting.In("Users", err)
	}
	if len(h.Users) == 0 && h.UsersFrom == nil {
		return p, setting.Errorf("Users", "nobody could sign in: add \"user <name> <hash>\", with the hash that \"caddy "+
			"hash-password\" prints, or \"users file <path>\"")
	}
	if p.inline, err = h.inline(s); err != nil {
		return p, err
	}
	p.count = len(h.Users)
	if h.UsersFrom == nil {
		return p, nil
	}
	if h.UsersFrom.File == "" {
		return p, setting.Errorf("UsersFrom.File", "users file needs the path of a file")
	}
	path, known, err := s.Text("users file", h.UsersFrom.File)
	if err != nil || !known {
		return p, setting.In("UsersFrom.File", err)
	}
	p.file = path
	content, known, err := s.ReadFile("users file", path)
	if err == nil && known {
		err = users.CheckFile(content)
	}
	if err != nil {
		return p, setting.In("UsersFrom.File", fmt.Errorf("users file %s: %w", path, err))
	}
	return p, nil
}

// inline are the users in the configuration.
func (h *Handler) inline(s *words.Settings) (*users.Inline, error) {
	var config users.InlineConfig
	allKnown := true
	for i := range h.Users {
		user := &h.Users[i]
		if err := words.Literal("user", user.Name); err != nil {
			return nil, setting.In(setting.Element("Users", i)+".Name", err)
		}
		hash, known, err := s.Text("user "+user.Name, user.Hash)
		if err != nil {
			return nil, setting.In(setting.Element("Users", i)+".Hash", err)
		}
		allKnown = allKnown && known
		config.Accounts = append(config.Accounts, users.Account{Name: user.Name, Hash: hash})
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

// open makes the directory of all users. The file is followed until it is closed; it is nil without one.
func (p *people) open(logger *slog.Logger) (users.Directory, *users.File, error) {
	var members []users.Member
	if p.inline != nil {
		members = append(members, users.Member{Name: "configuration", Directory: p.inline})
	}
	var file *users.File
	if p.file != "" {
		var err error
		if file, err = users.OpenFile(users.FileConfig{Path: p.file, Logger: logger}); err != nil {
			return nil, nil, err
		}
		members = append(members, users.Member{Name: "file", Directory: file})
	}
	joint, err := users.NewJoint(members...)
	if err != nil && file != nil {
		err = errors.Join(err, file.Close())
	}
	return joint, file, err
}
