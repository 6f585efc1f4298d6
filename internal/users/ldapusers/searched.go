package ldapusers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// SearchConfig says how to find the entries of users.
type SearchConfig struct {
	Server
	Record
	// BindDN is the DN of the account that searches.
	BindDN string
	// BindPassword returns the password of that account. It is asked for each connection, so that the password can
	// change. It must be fast, and safe for concurrent use.
	BindPassword func() string
	// BaseDN is the DN of the entry to search below.
	BaseDN string
	// Filter fits the entry of the user {user} and no other (RFC 4515), such as "(uid={user})". It should leave out those
	// who are disabled: they can then not sign in, and their sessions end.
	Filter string
	// NameAttribute has the name of the user, as its only value. Empty means the value of the first part of the DN. The
	// filter must find the entry by this name, too.
	NameAttribute string
}

// Searched has the users that an account can find. It is safe for concurrent use, and holds nothing between two
// questions.
type Searched struct {
	server   *server
	record   Record
	config   SearchConfig
	stranger string // the DN of an entry that does not exist
}

var (
	_ users.Knower  = (*Searched)(nil)
	_ users.Remoter = (*Searched)(nil)
)

// NewSearched checks the settings. It does not look whether the server is there. The error is a *setting.Error.
func NewSearched(c SearchConfig) (*Searched, error) {
	s, err := newServer(c.Server)
	if err != nil {
		return nil, err
	}
	if err := c.Record.check(); err != nil {
		return nil, err
	}
	switch {
	case !isDN(c.BindDN):
		return nil, setting.Errorf("BindDN", "the name of the account that searches is not a DN")
	case c.BindPassword == nil:
		return nil, setting.Errorf("BindPassword", "no password of the account that searches")
	case !isDN(c.BaseDN):
		return nil, setting.Errorf("BaseDN", "where to search is not a DN")
	}
	if err := checkFilter(c.Filter); err != nil {
		return nil, setting.In("Filter", err)
	}
	if c.NameAttribute != "" {
		if err := checkAttribute(c.NameAttribute); err != nil {
			return nil, setting.In("NameAttribute", err)
		}
	}
	stranger := "cn=" + rand.Text() + "," + c.BaseDN
	return &Searched{server: s, record: c.Record.prepared(), config: c, stranger: stranger}, nil
}

func isDN(text string) bool {
	dn, err := ldap.ParseDN(text)
	return err == nil && len(dn.RDNs) > 0
}

// checkFilter takes a filter that compares something with {user}. Elsewhere in a filter, a name would be more than a
// value.
func checkFilter(filter string) error {
	parts := strings.Split(filter, placeholder)
	for _, before := range parts[:len(parts)-1] {
		if !strings.Contains(before[strings.LastIndexByte(before, '(')+1:], "=") {
			return errors.New(`{user} is not a value in the filter: write it like "(uid={user})"`)
		}
	}
	if len(parts) < 2 {
		return errors.New(`no {user} in the filter, so it would find one entry for all users: write it like "(uid={user})"`)
	}
	if _, err := ldap.CompileFilter(strings.Join(parts, "x")); err != nil {
		return fmt.Errorf(`this is not a filter, write it like "(uid={user})": %w`, err)
	}
	return nil
}

// filter is the filter for one name, which is escaped (RFC 4515 section 3).
func (d *Searched) filter(name string) string {
	return strings.ReplaceAll(d.config.Filter, placeholder, ldap.EscapeFilter(name))
}

// Remote implements users.Remoter.
func (d *Searched) Remote(string) bool { return true }

// Check implements users.Directory. It finds the entry, and binds as that.
func (d *Searched) Check(ctx context.Context, name, password string) (*users.User, error) {
	if err := users.Acceptable(name, password); err != nil {
		return nil, err
	}
	return d.server.ask(ctx, func(s *session) (*users.User, error) {
		entry, err := d.find(s, name)
		if isNobody(err) {
			return nil, d.refuse(s, password, err)
		}
		if err != nil {
			return nil, err
		}
		if err := s.bindAs(entry.DN, password); err != nil {
			return nil, err
		}
		user, err := d.user(entry)
		if err == nil && user.Name != name {
			err = d.confirm(s, user.Name, entry.DN)
		}
		return user, err
	})
}

// refuse sends as much as for a user with another password. The entry to bind as does not exist, because nobody could
// guess its name.
func (d *Searched) refuse(s *session, password string, why error) error {
	err := s.bindAs(d.stranger, password)
	a, is := errors.AsType[*answer](err)
	if err == nil || errors.Is(err, users.ErrRefused) || is && a.code == ldap.LDAPResultInvalidDNSyntax {
		return fmt.Errorf("%w: %w", users.ErrRefused, why)
	}
	return err // as it would be for anybody now
}

// confirm checks that the server's own spelling of a name finds the same entry, and no other. Otherwise two users could
// have one name: one filter can compare several attributes, and names below different entries can be the same.
func (d *Searched) confirm(s *session, name, dn string) error {
	entry, err := d.find(s, name)
	if err == nil && entry.DN != dn {
		err = errors.New("another entry")
	}
	if err != nil {
		return fmt.Errorf("the filter does not find the entry by the name of its user; see the NameAttribute: %w", err)
	}
	return nil
}

// Find implements users.Directory. A name that the server now spells in another way is an ErrRefused: it may have
// become somebody else's.
func (d *Searched) Find(ctx context.Context, name string) (*users.User, error) {
	if err := acceptableName(name); err != nil {
		return nil, err
	}
	return d.server.ask(ctx, func(s *session) (*users.User, error) {
		entry, err := d.find(s, name)
		if isNobody(err) {
			return nil, fmt.Errorf("%w: %w", users.ErrRefused, err)
		}
		if err != nil {
			return nil, err
		}
		user, err := d.user(entry)
		if err == nil && user.Name != name {
			return nil, fmt.Errorf("%w: the entry has another name", users.ErrRefused)
		}
		return user, err
	})
}

// Knows implements users.Knower. It knows a name that several entries have: nobody else may have it.
func (d *Searched) Knows(ctx context.Context, name string) (bool, error) {
	if err := acceptableName(name); err != nil {
		return false, nil //nolint:nilerr // nobody has such a name
	}
	knows := false
	_, err := d.server.ask(ctx, func(s *session) (*users.User, error) {
		_, err := d.find(s, name)
		knows = err == nil || errors.Is(err, errSeveral)
		if isNobody(err) {
			err = nil
		}
		return nil, err
	})
	return knows && err == nil, err
}

func acceptableName(name string) error { return users.Acceptable(name, "x") }

// isNobody reports whether a search was a success, but has not found one entry.
func isNobody(err error) bool { return errors.Is(err, errNone) || errors.Is(err, errSeveral) }

// find finds the entry of a user, with the account that searches.
func (d *Searched) find(s *session, name string) (*ldap.Entry, error) {
	if err := s.bind(d.config.BindDN, d.config.BindPassword()); err != nil {
		return nil, fmt.Errorf("the account that searches cannot bind: %w", err)
	}
	attributes := d.record.attributes(d.config.NameAttribute, pwdChangedTime, pwdLastSet)
	entry, err := s.search(d.config.BaseDN, ldap.ScopeWholeSubtree, d.filter(name), attributes)
	if err != nil {
		return nil, fmt.Errorf("the search: %w", err)
	}
	return entry, nil
}

// The attributes that say when a password was changed: that of OpenLDAP and others, and that of Active Directory. The
// server may have none, or may not show it to the account that searches.
const (
	pwdChangedTime = "pwdChangedTime"
	pwdLastSet     = "pwdLastSet"
)

// user makes a user of an entry. Another entry under the same name is another person.
func (d *Searched) user(entry *ldap.Entry) (*users.User, error) {
	name := nameOf(entry)
	if d.config.NameAttribute != "" {
		names := entry.GetEqualFoldAttributeValues(d.config.NameAttribute)
		if len(names) != 1 {
			return nil, fmt.Errorf("an entry has %d values of the NameAttribute, and not one", len(names))
		}
		name = names[0]
	}
	user, err := d.record.user(name, entry)
	if err == nil {
		changed := append(entry.GetEqualFoldAttributeValues(pwdChangedTime),
			entry.GetEqualFoldAttributeValues(pwdLastSet)...)
		user.Mark = users.MarkOf(fmt.Sprintf("%q %q", folded(entry.DN), changed))
	}
	return user, err
}
