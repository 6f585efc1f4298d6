package ldapusers_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/ldapusers"
)

// BenchmarkCheck signs in at slapd on this machine.
func BenchmarkCheck(b *testing.B) {
	s := start(b)
	secure := ldapusers.Server{URL: s.secure, TLS: s.trusted}
	for name, d := range map[string]users.Directory{
		"byDN":         byDN(b, ldapusers.DNConfig{Server: ldapusers.Server{URL: s.plain}}),
		"byDN/TLS":     byDN(b, ldapusers.DNConfig{Server: secure}),
		"searched":     searched(b, s.plain, nil),
		"searched/TLS": searched(b, s.plain, func(c *ldapusers.SearchConfig) { c.Server = secure }),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Check(b.Context(), "alice", "secret a"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	searched := searched(b, s.plain, nil)
	for name, password := range map[string]string{"alice": "wrong", "nobody": "wrong"} {
		b.Run("refused/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := searched.Check(b.Context(), name, password); err == nil {
					b.Fatal("a wrong password passes")
				}
			}
		})
	}
}
