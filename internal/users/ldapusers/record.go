package ldapusers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// Record says what to read of a user's entry, beside the name.
type Record struct {
	// RoleAttribute has the roles as its values, such as memberOf. Empty means no roles.
	RoleAttribute string
	// RoleNames are names for its values, such as "cn=admins,ou=groups,dc=example,dc=com": "admin". With them, values
	// without a name are no roles. Upper and lower case of values do not count, nor do spaces around the parts of a DN.
	// Without them, each value is a role, and a user with more than users.MaxRoles values cannot sign in.
	RoleNames map[string]string
	// Claims are the attributes of claims by their names, such as "email": "mail". A claim with one value is a text, one
	// with several is a list of texts, and one without values is missing.
	Claims map[string]string
}

// attributeName is a name of an attribute (RFC 4512 section 1.4). Numbers and options are not needed here.
var attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)

func checkAttribute(name string) error {
	if !attributeName.MatchString(name) {
		return fmt.Errorf("%s is not the name of an attribute: it has letters, digits and hyphens", causes.Quote(name))
	}
	return nil
}

func (r *Record) check() error {
	if r.RoleAttribute == "" && len(r.RoleNames) > 0 {
		return setting.Errorf("RoleNames", "there are names of roles, but no attribute for them: add RoleAttribute")
	}
	if r.RoleAttribute != "" {
		if err := checkAttribute(r.RoleAttribute); err != nil {
			return setting.In("RoleAttribute", err)
		}
	}
	for _, role := range r.RoleNames {
		if err := users.CheckRoles([]string{role}); err != nil {
			return setting.In("RoleNames", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Claims)) {
		if err := checkAttribute(r.Claims[name]); err != nil {
			return setting.In("Claims", err)
		}
		if err := users.CheckClaim(name); err != nil {
			return setting.In("Claims", err)
		}
	}
	return nil
}

// prepared is a copy whose values can be compared.
func (r *Record) prepared() Record {
	p := Record{RoleAttribute: r.RoleAttribute, Claims: maps.Clone(r.Claims)}
	if len(r.RoleNames) > 0 {
		p.RoleNames = make(map[string]string, len(r.RoleNames))
		for value, role := range r.RoleNames {
			p.RoleNames[folded(value)] = role
		}
	}
	return p
}

// folded is a value in a form to compare. If it is a DN, only its parts count (RFC 4514 section 3).
func folded(value string) string {
	if dn, err := ldap.ParseDN(value); err == nil {
		value = dn.String()
	}
	return strings.ToLower(value)
}

// attributes are those to ask for. "1.1" asks for none (RFC 4511 section 4.5.1.8), and no attributes would ask for all.
func (r *Record) attributes(more ...string) []string {
	var names []string
	for _, name := range append(append(slices.Sorted(maps.Values(r.Claims)), r.RoleAttribute), more...) {
		if name != "" && !slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(other, name) }) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{"1.1"}
	}
	return names
}

// user makes a user of an entry. Its errors mean that nobody can sign in as this user until somebody mends the entry or
// the settings.
func (r *Record) user(name string, entry *ldap.Entry) (*users.User, error) {
	claims, err := r.claims(entry)
	if err != nil {
		return nil, err
	}
	u := &users.User{Name: name, Roles: r.roles(entry), Claims: claims}
	if err := users.CheckUser(u); err != nil {
		return nil, err
	}
	return u, nil
}

// roles are the roles of an entry, sorted: to LDAP, values have no order (RFC 4511 section 4.1.7).
func (r *Record) roles(entry *ldap.Entry) []string {
	if r.RoleAttribute == "" {
		return nil
	}
	var roles []string
	for _, value := range entry.GetEqualFoldAttributeValues(r.RoleAttribute) {
		if r.RoleNames == nil {
			roles = append(roles, value)
		} else if role, named := r.RoleNames[folded(value)]; named {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

func (r *Record) claims(entry *ldap.Entry) (json.RawMessage, error) {
	claims := make(map[string]any)
	for name, attribute := range r.Claims {
		values := slices.Sorted(slices.Values(entry.GetEqualFoldAttributeValues(attribute)))
		for _, value := range values {
			if !utf8.ValidString(value) {
				return nil, fmt.Errorf("the attribute %s has a value that is not text", attribute)
			}
		}
		switch len(values) {
		case 0:
		case 1:
			claims[name] = values[0]
		default:
			claims[name] = values
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(claims); err != nil {
		return nil, err
	}
	return users.Claims(text.Bytes())
}
