package caddyjwt

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// A configuration in which two people can have one name logs a warning when it loads, which says what to write.
func TestWarnsOfNamesThatTwoPeopleCanHave(t *testing.T) {
	const (
		email  = "the email of a token may be one"
		tenant = "people of two tenants can have the same name"
		every  = "every tenant of this server can name any consumer"
		two    = "people of two issuers can have the same name"
	)
	issuer := func(name string, settings ...string) string {
		all := append([]string{`"issuer":"https://` + name + `.example"`}, settings...)
		return "{" + strings.Join(all, ",") + "}"
	}
	tenants := func(settings ...string) string {
		keys := `"keys":{"source":"jwks","url":"https://login.example/keys"}`
		return `{"issuer":"https://login.example/*",` + strings.Join(append(settings, keys), ",") + "}"
	}
	named, consumer := `"username_claim":"name"`, `"consumer_claim":"azp"`
	for name, c := range map[string]struct {
		route   string // settings of the handler
		issuers []string
		want    string // empty for no warning
	}{
		"no such word":            {"", []string{issuer("a"), issuer("b")}, ""},
		"a name":                  {"", []string{issuer("a", named), issuer("b")}, ""},
		"names of two issuers":    {"", []string{issuer("a", named), issuer("b", named)}, two},
		"names and their issuers": {forwards("iss"), []string{issuer("a", named), issuer("b", named)}, ""},
		"names and other claims":  {forwards("sub"), []string{issuer("a", named), issuer("b", named)}, two},
		"names and all claims":    {`"forward_payload":"X-All",`, []string{issuer("a", named), issuer("b", named)}, ""},
		"consumers of two":        {"", []string{issuer("a", consumer), issuer("b", consumer)}, ""},
		"names of all tenants":    {"", []string{tenants(named, `"any_tenant":true`)}, tenant},
		"names of two tenants":    {"", []string{tenants(named, `"tenants":["a","b"]`)}, tenant},
		"names of one tenant":     {"", []string{tenants(named, `"tenants":["a"]`)}, ""},
		"names and tenants": {`"forward_tenant":"X-Tenant",`, []string{tenants(named, `"tenants":["a","b"]`)},
			""},
		"consumers of all tenants": {"", []string{tenants(consumer, `"any_tenant":true`)}, every},
		"consumers of one tenant":  {"", []string{tenants(consumer, `"tenants":["a"]`)}, ""},
		"an email":                 {"", []string{issuer("a", `"username_claim":"email"`)}, email},
		"an email as a pointer":    {"", []string{issuer("a", `"username_claim":"/email"`)}, email},
		"another claim's email":    {"", []string{issuer("a", `"username_claim":"a.email"`)}, ""},
		"an email of a consumer":   {"", []string{issuer("a", `"consumer_claim":"email"`)}, email},
		"a verified email": {`"require":{"claims":[{"claim":"email_verified","values":["true"]}]},`,
			[]string{issuer("a", `"username_claim":"email"`)}, ""},
		"a verified email, by a pointer": {`"require":{"claims":[{"claim":"/email_verified","values":["true"]}]},`,
			[]string{issuer("a", `"username_claim":"email"`)}, ""},
		"an email that says something about itself": {`"require":{"claims":[{"claim":"email_verified"}]},`,
			[]string{issuer("a", `"username_claim":"email"`)}, email},
	} {
		t.Run(name, func(t *testing.T) {
			h := parse(t, `{`+c.route+`"audience":["x"],"consumers":[{"username":"x"}],"issuers":[`+
				strings.Join(c.issuers, ",")+`]}`)
			built, err := h.compile(words.NewSettings())
			if err != nil {
				t.Fatal(err)
			}
			core, lines := observer.New(zap.WarnLevel)
			h.log = newReporter(zap.New(core))
			h.warnOfNames(built)
			if c.want == "" && lines.Len() > 0 ||
				c.want != "" && (lines.Len() != 1 || !strings.Contains(lines.All()[0].Message, c.want)) {
				t.Errorf("warned: %v, want %q", lines.All(), c.want)
			}
		})
	}
}

func forwards(claim string) string {
	return `"forward_claims":[{"claim":"` + claim + `","header":"X-Claim"}],`
}
