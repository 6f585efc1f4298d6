package ldapusers_test

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/ldapusers"
)

func TestNewByDNNamesTheWrongSetting(t *testing.T) {
	for _, c := range []struct {
		field  string
		change func(*ldapusers.DNConfig)
	}{
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldap://example.com" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldap://10.0.0.1" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL, c.Plain = "ldap://192.0.2.1", fetch.PrivateHTTP }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "https://example.com" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldaps://" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldaps://a:secret@example.com" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldaps://example.com/dc=x" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldaps://example.com?x" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldaps://example.com#" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldaps://{x}" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldaps://example.com:0" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldaps://%" }},
		{"URL", func(c *ldapusers.DNConfig) { c.URL = "ldapi:///x" }},
		{"StartTLS", func(c *ldapusers.DNConfig) { c.StartTLS = true }},
		{"TLS", func(c *ldapusers.DNConfig) { c.URL, c.TLS = "ldap://localhost", new(tls.Config) }},
		{"TLS", func(c *ldapusers.DNConfig) { c.TLS = &tls.Config{InsecureSkipVerify: true} }},
		{"ConnectTimeout", func(c *ldapusers.DNConfig) { c.ConnectTimeout = time.Hour }},
		{"Timeout", func(c *ldapusers.DNConfig) { c.Timeout = -1 }},
		{"MaxConnections", func(c *ldapusers.DNConfig) { c.MaxConnections = -1 }},
		{"UserDN", func(c *ldapusers.DNConfig) { c.UserDN = "uid=x,dc=x" }},
		{"UserDN", func(c *ldapusers.DNConfig) { c.UserDN = "{user}" }},
		{"UserDN", func(c *ldapusers.DNConfig) { c.UserDN = "{user}@example.com" }},
		{"UserDN", func(c *ldapusers.DNConfig) { c.UserDN = "uid=a{user},dc=x" }},
		{"UserDN", func(c *ldapusers.DNConfig) { c.UserDN = "uid={user}+cn=x,dc=x" }},
		{"UserDN", func(c *ldapusers.DNConfig) { c.UserDN = "uid={user},ou={user}" }},
		{"UserDN", func(c *ldapusers.DNConfig) { c.UserDN = "uid=x,ou={user}" }},
		{"RoleNames", func(c *ldapusers.DNConfig) { c.RoleNames = map[string]string{"a": "b"} }},
		{"RoleNames", func(c *ldapusers.DNConfig) { c.RoleAttribute, c.RoleNames = "a", map[string]string{"a": ""} }},
		{"RoleAttribute", func(c *ldapusers.DNConfig) { c.RoleAttribute = "a;b" }},
		{"Claims", func(c *ldapusers.DNConfig) { c.Claims = map[string]string{"sub": "uid"} }},
		{"Claims", func(c *ldapusers.DNConfig) { c.Claims = map[string]string{"x": "*"} }},
	} {
		good := ldapusers.DNConfig{Server: ldapusers.Server{URL: "ldaps://example.com"}, UserDN: "uid={user},dc=x"}
		c.change(&good)
		_, err := ldapusers.NewByDN(good)
		if setting.Field(err) != c.field || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q, want %q: %v", setting.Field(err), c.field, err)
		}
	}
	for _, server := range []ldapusers.Server{
		{URL: "ldap://localhost"}, {URL: "ldap://127.0.0.1:1389/"}, {URL: "ldap://example.com", StartTLS: true},
		{URL: "ldap://10.0.0.1", Plain: fetch.PrivateHTTP}, {URL: "ldaps://[2001:db8::1]"},
		{URL: "ldaps://example.com", TLS: &tls.Config{ServerName: "other"}},
	} {
		if _, err := ldapusers.NewByDN(ldapusers.DNConfig{Server: server, UserDN: "uid={user}"}); err != nil {
			t.Errorf("%+v: %v", server, err)
		}
	}
}

func TestNewSearchedNamesTheWrongSetting(t *testing.T) {
	for _, c := range []struct {
		field  string
		change func(*ldapusers.SearchConfig)
	}{
		{"URL", func(c *ldapusers.SearchConfig) { c.URL = "" }},
		{"RoleAttribute", func(c *ldapusers.SearchConfig) { c.RoleAttribute = "1.2.3" }},
		{"BindDN", func(c *ldapusers.SearchConfig) { c.BindDN = "" }},
		{"BindDN", func(c *ldapusers.SearchConfig) { c.BindDN = "admin" }},
		{"BindPassword", func(c *ldapusers.SearchConfig) { c.BindPassword = nil }},
		{"BaseDN", func(c *ldapusers.SearchConfig) { c.BaseDN = "" }},
		{"Filter", func(c *ldapusers.SearchConfig) { c.Filter = "" }},
		{"Filter", func(c *ldapusers.SearchConfig) { c.Filter = "(uid=alice)" }},
		{"Filter", func(c *ldapusers.SearchConfig) { c.Filter = "uid={user}" }},
		{"Filter", func(c *ldapusers.SearchConfig) { c.Filter = "({user}=x)" }},
		{"Filter", func(c *ldapusers.SearchConfig) { c.Filter = "(&(uid=x)({user}))" }},
		{"Filter", func(c *ldapusers.SearchConfig) { c.Filter = "(uid={user}" }},
		{"NameAttribute", func(c *ldapusers.SearchConfig) { c.NameAttribute = "a b" }},
	} {
		good := ldapusers.SearchConfig{
			Server: ldapusers.Server{URL: "ldaps://example.com"}, BindDN: searcher, BindPassword: password("secret"),
			BaseDN: base, Filter: "(uid={user})",
		}
		c.change(&good)
		_, err := ldapusers.NewSearched(good)
		if setting.Field(err) != c.field || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q, want %q: %v", setting.Field(err), c.field, err)
		}
	}
}

// The name is allowed, and what it leads to is not: only the address that is dialled counts.
func TestAttackANameLeadsToAStrangersAddress(t *testing.T) {
	const name = "localhost.example"
	if _, err := net.LookupHost(name); err == nil {
		t.Skip("somebody has this name")
	}
	d := byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: "ldap://" + name, Plain: fetch.PrivateHTTP}})
	fails(t, d, "alice", "secret", users.ErrUnavailable)
	if err := ldapusers.MayDial(d, "192.0.2.1:389"); !errors.Is(err, fetch.ErrAddress) {
		t.Error(err)
	}
	for _, address := range []string{"169.254.169.254:389", "[fe80::1%1]:389", "8.8.8.8:389", "[2001:db8::1]:389"} {
		if err := ldapusers.MayDial(d, address); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:389", "10.1.2.3:389", "[fd00::1]:389"} {
		if err := ldapusers.MayDial(d, address); err != nil {
			t.Error(err)
		}
	}
	secure := byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: "ldaps://" + name}})
	if err := ldapusers.MayDial(secure, "192.0.2.1:636"); err != nil {
		t.Error(err)
	}
}
