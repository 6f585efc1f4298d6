package tokenissuer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// The log warns about an issuer whose addresses another one of the same site answers, and about no other one.
func TestAnIssuerBehindAnother(t *testing.T) {
	issuer := func(name string, lines ...string) string {
		return "token_issuer " + name + " {\nclient a {\nsecret_hash " + hash + "\naudience b\n}\n" +
			strings.Join(lines, "\n") + "\n}\n"
	}
	moved := "oauth_endpoints {\ntoken /t\nintrospection /i\nrevocation /r\n}"
	for name, c := range map[string]struct {
		sites string
		want  []string // parts of the lines
	}{
		"one site": {"http://a.test {\nbind unix/%[1]s/s\n" + issuer("https://a.test") + issuer("https://b.test") + "}",
			[]string{`"issuer":"https://b.test","other":"https://a.test","host":"a.test","endpoints":["/oauth2/token",` +
				`"/oauth2/introspection","/oauth2/revocation"]`}},
		"a part of them": {"http://a.test {\nbind unix/%[1]s/s\n" + issuer("https://a.test") +
			issuer("https://b.test", "oauth_endpoints {\ntoken /t\n}") + "}",
			[]string{`"endpoints":["/oauth2/introspection","/oauth2/revocation"]`}},
		"any host": {"http:// {\nbind unix/%[1]s/s\n" + issuer("https://a.test") + issuer("https://b.test") + "}",
			[]string{`"issuer":"https://b.test","other":"https://a.test"`}},
		"other paths": {"http://a.test {\nbind unix/%[1]s/s\n" + issuer("https://a.test") +
			issuer("https://b.test", moved) + "}", nil},
		"paths of the name": {"http://a.test {\nbind unix/%[1]s/s\n" + issuer("https://a.test") +
			issuer("https://a.test/b") + "}", nil},
		"other sites": {"http://a.test {\nbind unix/%[1]s/s\n" + issuer("https://a.test") + "}\nhttp://b.test {\n" +
			"bind unix/%[1]s/s\n" + issuer("https://b.test") + "}", nil},
		"perhaps the other": {"http://a.test {\nbind unix/%[1]s/s\n@some header X-A 1\nroute @some {\n" +
			issuer("https://a.test") + "}\nroute {\n" + issuer("https://b.test") + "}\n}", nil},
		"the same twice": {"http://a.test {\nbind unix/%[1]s/s\n" + issuer("https://a.test") + issuer("https://a.test") + "}",
			nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			config, err := adapted(fmt.Sprintf("{\nadmin off\npersist_config off\nauto_https off\n"+
				"storage file_system %[1]s\nbearer_auth {\nstore memory\n}\nlog {\noutput file %[1]s/log\n}\n}\n"+c.sites, s.dir))
			if err == nil {
				err = caddy.Load(config, true)
			}
			if err != nil {
				t.Fatal(err)
			}
			log, err := os.ReadFile(filepath.Join(s.dir, "log"))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(log), "another token_issuer of the site"); n != len(c.want) {
				t.Errorf("%d warnings in\n%s", n, log)
			}
			for _, want := range c.want {
				if !strings.Contains(string(log), want) {
					t.Errorf("%s is not in\n%s", want, log)
				}
			}
		})
	}
}
