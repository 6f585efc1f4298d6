package ldapusers

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// placeholder stands for the name of the user in a DN and in a filter.
const placeholder = "{user}"

// anyEntry fits each entry (RFC 4512 section 2.4.1).
const anyEntry = "(objectClass=*)"

// DNConfig says which entries are those of users.
type DNConfig struct {
	Server
	Record
	// UserDN is the DN of the user {user}, such as "uid={user},ou=people,dc=example,dc=com". The name is the whole value
	// of its first part. Each user must be allowed to read that entry.
	UserDN string
}

// ByDN has the users whose entries have similar names. It needs no account of its own, and so it knows nothing without
// a password. It is safe for concurrent use, and holds nothing between two questions.
type ByDN struct {
	server *server
	record Record
	before string // of the name in the DN
	after  string
	parts  int // of the DN
}

var _ users.Remoter = (*ByDN)(nil)

// NewByDN checks the settings. It does not look whether the server is there. The error is a *setting.Error.
func NewByDN(c DNConfig) (*ByDN, error) {
	s, err := newServer(c.Server)
	if err != nil {
		return nil, err
	}
	if err := c.Record.check(); err != nil {
		return nil, err
	}
	before, after, found := strings.Cut(c.UserDN, placeholder)
	d := &ByDN{server: s, record: c.Record.prepared(), before: before, after: after}
	probe := rand.Text()
	dn, err := ldap.ParseDN(before + probe + after)
	if !found || err != nil || strings.Contains(after, "{") || valueOf(dn) != probe {
		return nil, setting.Errorf("UserDN", `this is not a DN with {user} as the value of its first part: write it like `+
			`"uid={user},ou=people,dc=example,dc=com"`)
	}
	d.parts = len(dn.RDNs)
	return d, nil
}

// valueOf is the value of the first part of a DN; empty if there is not exactly one.
func valueOf(dn *ldap.DN) string {
	if dn == nil || len(dn.RDNs) == 0 || len(dn.RDNs[0].Attributes) != 1 {
		return ""
	}
	return dn.RDNs[0].Attributes[0].Value
}

// nameOf is the name of the user whose entry it is.
func nameOf(entry *ldap.Entry) string {
	dn, err := ldap.ParseDN(entry.DN)
	if err != nil {
		return ""
	}
	return valueOf(dn)
}

// dn is the DN of a user. The name is escaped (RFC 4514 section 2.4), and must be the same after it is read back:
// no name may reach another part of the tree.
func (d *ByDN) dn(name string) (string, error) {
	text := d.before + ldap.EscapeDN(name) + d.after
	dn, err := ldap.ParseDN(text)
	if err != nil || len(dn.RDNs) != d.parts || valueOf(dn) != name {
		return "", fmt.Errorf("%w: a name that cannot be in a DN", users.ErrRefused)
	}
	return text, nil
}

// Remote implements users.Remoter.
func (d *ByDN) Remote(string) bool { return true }

// Check implements users.Directory. It binds as the user, and then reads the entry as the user.
func (d *ByDN) Check(ctx context.Context, name, password string) (*users.User, error) {
	if err := users.Acceptable(name, password); err != nil {
		return nil, err
	}
	dn, err := d.dn(name)
	if err != nil {
		return nil, err
	}
	return d.server.ask(ctx, func(s *session) (*users.User, error) {
		if err := s.bindAs(dn, password); err != nil {
			return nil, err
		}
		entry, err := s.search(dn, ldap.ScopeBaseObject, anyEntry, d.record.attributes(""))
		if err != nil {
			return nil, fmt.Errorf("the user cannot read the entry of the user, so the spelling of the name is not known; "+
				"allow it, or search with an account: %w", err)
		}
		return d.record.user(nameOf(entry), entry)
	})
}

// Find implements users.Directory. It always returns an ErrCannotKnow.
func (d *ByDN) Find(context.Context, string) (*users.User, error) { return nil, users.ErrCannotKnow }
