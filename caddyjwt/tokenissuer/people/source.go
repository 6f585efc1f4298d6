package people

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/httpusers"
	"github.com/caddyjwt/gateway/internal/users/ldapusers"
)

// The kinds of Source.
const (
	kindFile = "file"
	kindLDAP = "ldap"
	kindHTTP = "http"
)

// Source is where further users are.
type Source struct {
	// "file" is a file of Apache's htpasswd, with bcrypt hashes alone ("htpasswd -B"). "ldap" is a server where users
	// bind with their passwords. "http" is a server that gets {"user", "password"} as JSON by POST: a status of 2xx lets
	// the user in, 401 and 403 do not. Its answer may be an object with "sub", the name in the server's spelling, "roles"
	// and "claims".
	Kind string `json:"kind"`
	// Of the kind "file": its path. Changes take effect by themselves. Placeholders are resolved.
	Path string `json:"path,omitempty"`
	// Of the kind "file": the path of a file with groups of its users, as Apache's AuthGroupFile has them: "group: alice
	// bob". They are the roles of the users. Changes take effect by themselves. Placeholders are resolved. Default: no
	// roles.
	Groups string `json:"groups,omitempty"`
	// Of "ldap" and "http": the server. ldaps:// or https://; ldap:// and http:// only to this machine, to private
	// addresses with allow_http, or with start_tls. Placeholders are resolved.
	URL string `json:"url,omitempty"`
	// Of "ldap": the entry of the user {user}, such as "uid={user},ou=people,dc=example,dc=com". Each user must be allowed
	// to read it. Not together with base_dn.
	UserDN string `json:"user_dn,omitempty"`
	// Of "ldap": the entry below which bind_dn searches for users. Placeholders are resolved.
	BaseDN string `json:"base_dn,omitempty"`
	// Of "ldap" with base_dn: what fits the entry of {user} and no other. It should leave out who is disabled. Default:
	// "(uid={user})".
	Filter string `json:"filter,omitempty"`
	// Of "ldap" with base_dn: the account that searches. Placeholders are resolved.
	BindDN string `json:"bind_dn,omitempty"`
	// Of "ldap" with base_dn: its password. Placeholders are resolved; use {file./path} or {env.NAME}.
	BindPassword string `json:"bind_password,omitempty"`
	// Of "ldap" with base_dn: the attribute with the name of the user. Default: the first part of the entry's DN.
	NameAttribute string `json:"name_attribute,omitempty"`
	// Of "ldap": the attribute with the roles of the user, such as "memberOf". Default: no roles.
	RoleAttribute string `json:"role_attribute,omitempty"`
	// Of "ldap": names of roles for values of role_attribute. With them, other values are no roles. Default: each value is
	// a role.
	Roles map[string]string `json:"roles,omitempty"`
	// Of "ldap": further claims, by name, with the attribute that each comes from. Default: none.
	Claims map[string]string `json:"claims,omitempty"`
	// Of "ldap" with ldap://: TLS begins on the same connection. Default: no TLS with ldap://.
	StartTLS bool `json:"start_tls,omitempty"`
	// Of "ldap" and "http": TLS settings. Default: the system's certificate authorities.
	TLS *clienttls.TLS `json:"tls,omitempty"`
	// Of "http": header fields of the requests, such as a credential. Placeholders are resolved.
	Headers map[string]string `json:"headers,omitempty"`
	// Of "ldap" and "http": without TLS also to private addresses. Dangerous: passwords are readable on the way. Default:
	// only to this machine.
	AllowHTTP bool `json:"allow_http,omitempty"`
	// Of "ldap" and "http": how long a question may take, at most 1m. Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

const defaultTimeout = 10 * time.Second

// opened is a directory that was opened. What has nothing to close has no closer.
type opened struct {
	users.Directory
	closer io.Closer
}

// plan says how to open the directory, which must not fail any more. It is nil while a value is not known.
type plan func(*slog.Logger) (opened, error)

// mark says which server it is, as the configuration has it. Another server may know another person under a name, and
// not all can be asked about that. A file has the hashes, which say more.
func (u *Source) mark() string {
	if u.Kind == kindFile {
		return ""
	}
	return u.URL + "\n" + u.UserDN + "\n" + u.BaseDN
}

// HasClaim reports whether users of a source can have a claim with a name.
func (u *Source) HasClaim(name string) bool {
	_, mapped := u.Claims[name]
	return mapped || u.Kind == kindHTTP && users.CheckClaim(name) == nil
}

// compile checks the settings.
func (u *Source) compile(s *words.Settings) (plan, error) {
	if err := u.checkFields(); err != nil {
		return nil, err
	}
	switch u.Kind {
	case kindFile:
		return u.compileFile(s)
	case kindLDAP:
		return u.compileLDAP(s)
	default:
		return u.compileHTTP(s)
	}
}

// checkFields refuses a kind that does not exist, and fields that another kind has.
func (u *Source) checkFields() error {
	search := u.BaseDN != "" || u.Kind == kindLDAP && u.UserDN == ""
	if err := words.CheckKind("users", u.Kind, []words.OfKind{
		{Field: "Path", Word: "a path", Given: u.Path != "", Fits: u.Kind == kindFile},
		{Field: "Groups", Word: "groups", Given: u.Groups != "", Fits: u.Kind == kindFile},
		{Field: "URL", Word: "a URL", Given: u.URL != "", Fits: u.Kind != kindFile},
		{Field: "UserDN", Word: "user_dn", Given: u.UserDN != "", Fits: u.Kind == kindLDAP && u.BaseDN == ""},
		{Field: "BaseDN", Word: "base_dn", Given: u.BaseDN != "", Fits: u.Kind == kindLDAP},
		{Field: "Filter", Word: "filter", Given: u.Filter != "", Fits: u.Kind == kindLDAP && search},
		{Field: "BindDN", Word: "bind_dn", Given: u.BindDN != "", Fits: u.Kind == kindLDAP && search},
		{Field: "BindPassword", Word: "bind_password", Given: u.BindPassword != "", Fits: u.Kind == kindLDAP && search},
		{Field: "NameAttribute", Word: "name_attribute", Given: u.NameAttribute != "", Fits: u.Kind == kindLDAP && search},
		{Field: "RoleAttribute", Word: "role_attribute", Given: u.RoleAttribute != "", Fits: u.Kind == kindLDAP},
		{Field: "Roles", Word: "role", Given: len(u.Roles) > 0, Fits: u.Kind == kindLDAP},
		{Field: "Claims", Word: "claim", Given: len(u.Claims) > 0, Fits: u.Kind == kindLDAP},
		{Field: "StartTLS", Word: "start_tls", Given: u.StartTLS, Fits: u.Kind == kindLDAP},
		{Field: "TLS", Word: "tls", Given: u.TLS != nil, Fits: u.Kind != kindFile},
		{Field: "Headers", Word: "header_up", Given: len(u.Headers) > 0, Fits: u.Kind == kindHTTP},
		{Field: "AllowHTTP", Word: "allow_http", Given: u.AllowHTTP, Fits: u.Kind != kindFile},
		{Field: "Timeout", Word: "timeout", Given: u.Timeout != 0, Fits: u.Kind != kindFile},
	}); err != nil {
		return err
	}
	switch {
	case u.Kind != kindFile && u.Kind != kindLDAP && u.Kind != kindHTTP:
		return setting.Errorf("Kind", "users %q: expected %s", u.Kind,
			words.Alternatives([]string{kindFile, kindLDAP, kindHTTP}))
	case u.Kind == kindFile && u.Path == "":
		return setting.Errorf("Path", "users file needs the path of a file")
	case u.Kind != kindFile && u.URL == "":
		return setting.Errorf("URL", "users %s needs the URL of a server", u.Kind)
	case u.Kind == kindLDAP && u.UserDN == "" && u.BaseDN == "":
		return setting.Errorf("UserDN", "users ldap needs to know where the entries of users are: write \"user_dn "+
			"uid={user},ou=people,…\", or base_dn with bind_dn and bind_password")
	}
	return nil
}

func (u *Source) compileFile(s *words.Settings) (plan, error) {
	path, pathKnown, err := readable(s, "users file", u.Path, users.CheckFile)
	if err != nil {
		return nil, setting.In("Path", err)
	}
	groups, groupsKnown, err := readable(s, "groups", u.Groups, users.CheckGroups)
	if err != nil {
		return nil, setting.In("Groups", err)
	}
	if !pathKnown || !groupsKnown {
		return nil, nil //nolint:nilnil // nothing is known to be wrong
	}
	return func(logger *slog.Logger) (opened, error) {
		file, err := users.OpenFile(users.FileConfig{Path: path, Groups: groups, Logger: logger})
		return opened{file, file}, err
	}, nil
}

// readable resolves the path of a file, and checks what the file has now. No path is good, too.
func readable(s *words.Settings, what, value string, check func([]byte) error) (path string, known bool, err error) {
	path, known, err = s.Text(what, value)
	if err != nil || !known || path == "" {
		return "", known, err
	}
	content, known, err := s.ReadFile(what, path)
	if err == nil && known {
		err = setting.Wrap(what+" "+path, check(content))
	}
	return path, known, err
}

// plain is how far passwords may go without TLS.
func (u *Source) plain() fetch.PlainHTTP {
	if u.AllowHTTP {
		return fetch.PrivateHTTP
	}
	return fetch.LoopbackHTTP
}

func (u *Source) timeout() (time.Duration, error) {
	switch t := time.Duration(u.Timeout); {
	case t == 0:
		return defaultTimeout, nil
	case t < 0 || t > time.Minute:
		return 0, setting.Errorf("Timeout", "timeout %v is not between 0s and 1m", t)
	default:
		return t, nil
	}
}

// texts resolves several settings. It reports whether all are known.
func texts(s *words.Settings, of ...*resolved) (known bool, err error) {
	known = true
	for _, r := range of {
		var is bool
		if r.text, is, err = s.Text(r.word, r.value); err != nil {
			return false, setting.In(r.field, err)
		}
		known = known && is
	}
	return known, nil
}

type resolved struct{ field, word, value, text string }

func (u *Source) compileLDAP(s *words.Settings) (plan, error) {
	url := &resolved{field: "URL", word: "users ldap", value: u.URL}
	base := &resolved{field: "BaseDN", word: "base_dn", value: u.BaseDN}
	bind := &resolved{field: "BindDN", word: "bind_dn", value: u.BindDN}
	password := &resolved{field: "BindPassword", word: "bind_password", value: u.BindPassword}
	known, err := texts(s, url, base, bind, password)
	if err != nil {
		return nil, err
	}
	timeout, err := u.timeout()
	if err != nil {
		return nil, err
	}
	server := ldapusers.Server{URL: url.text, StartTLS: u.StartTLS, Plain: u.plain(), Timeout: timeout}
	if u.TLS != nil {
		if server.TLS, _, err = u.TLS.Client(s); err != nil {
			return nil, setting.In("TLS", err)
		}
	}
	if !known {
		return nil, nil //nolint:nilnil // nothing is known to be wrong
	}
	record := ldapusers.Record{RoleAttribute: u.RoleAttribute, RoleNames: u.Roles, Claims: u.Claims}
	if u.UserDN != "" {
		d, err := ldapusers.NewByDN(ldapusers.DNConfig{Server: server, Record: record, UserDN: u.UserDN})
		return ready(d, nil), setting.Wrap("users ldap", err)
	}
	filter := u.Filter
	if filter == "" {
		filter = "(uid={user})"
	}
	d, err := ldapusers.NewSearched(ldapusers.SearchConfig{
		Server: server, Record: record, BindDN: bind.text, BindPassword: func() string { return password.text },
		BaseDN: base.text, Filter: filter, NameAttribute: u.NameAttribute,
	})
	return ready(d, nil), setting.Wrap("users ldap", err)
}

func (u *Source) compileHTTP(s *words.Settings) (plan, error) {
	url := &resolved{field: "URL", word: "users http", value: u.URL}
	known, err := texts(s, url)
	if err != nil {
		return nil, err
	}
	options := fetch.Options{Plain: u.plain(), Header: make(http.Header)}
	if options.Timeout, err = u.timeout(); err != nil {
		return nil, err
	}
	for name, value := range u.Headers {
		text, is, err := s.Text("header_up "+name, value)
		if err == nil && is && (!httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(text)) {
			err = fmt.Errorf("header_up %q: this is no header field", name)
		}
		if err != nil {
			return nil, setting.In("Headers", err)
		}
		known = known && is
		options.Header.Set(name, text)
	}
	if u.TLS != nil {
		if err := u.TLS.Compile(s, &options); err != nil {
			return nil, setting.In("TLS", err)
		}
	}
	if !known {
		return nil, nil //nolint:nilnil // nothing is known to be wrong
	}
	config := httpusers.Config{URL: url.text, Options: options}
	d, err := httpusers.New(config)
	if err != nil {
		return nil, setting.Wrap("users http", err)
	}
	if err := d.Close(); err != nil { // it was made to find mistakes
		return nil, err
	}
	return func(*slog.Logger) (opened, error) {
		d, err := httpusers.New(config)
		return opened{d, d}, err
	}, nil
}

// ready is the plan for a directory that is ready, and has nothing to close.
func ready(d users.Directory, closer io.Closer) plan {
	return func(*slog.Logger) (opened, error) { return opened{d, closer}, nil }
}
