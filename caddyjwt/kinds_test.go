package caddyjwt

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A configuration that accepts every kind of token of an issuer logs a warning when it loads, which says what to write.
func TestWarnsIfNothingTellsKindsOfTokensApart(t *testing.T) {
	keys := `"keys":{"source":"pem","pem":` + quote(tokentest.NewKey(t, "ES256", "k1").PublicPEM()) + `}`
	none := `"keys":{"source":"none"}`
	ask := `"introspect":{"endpoint":"https://as.example/introspect","client_id":"c","client_secret":"0123456789abcdef"}`
	always := strings.Replace(ask, `{`, `{"mode":"always",`, 1)
	userInfo := `"introspect":{"verify":"userinfo","endpoint":"https://as.example/userinfo"}`
	const open = `"any_audience":true`
	for name, c := range map[string]struct {
		route  string // settings of the handler
		issuer []string
		want   string // empty for no warning
	}{
		"an audience":                             {"", []string{keys, `"audience":["https://api.example"]`}, ""},
		"any audience":                            {"", []string{keys, open}, tellJWTs},
		"any audience of the handler":             {open + ",", []string{keys}, tellJWTs},
		"any audience, and one of the handler":    {`"audience":["https://api.example"],`, []string{keys, open}, ""},
		"the profile":                             {"", []string{keys, open, `"profile":"rfc9068"`}, ""},
		"a type of access tokens":                 {"", []string{keys, open, `"type":["application/AT+JWT"]`}, ""},
		"a type that all tokens have":             {"", []string{keys, open, `"type":["JWT"]`}, tellJWTs},
		"a required claim":                        {"", []string{keys, open, `"required_claims":["realm_access.roles"]`}, ""},
		"sub, of which IRIS' refresh tokens lack": {"", []string{keys, open, `"required_claims":["sub"]`}, ""},
		"a required claim that all tokens have":   {"", []string{keys, open, `"required_claims":["exp"]`}, tellJWTs},
		"introspection of opaque tokens":          {"", []string{none, open, ask}, tellAnswers},
		"introspection, and token_type":           {"", []string{none, open, ask, `"required_claims":["token_type"]`}, ""},
		"introspection, and sub":                  {"", []string{none, open, ask, `"required_claims":["sub"]`}, tellAnswers},
		"introspection, with an audience":         {"", []string{none, ask, `"audience":["https://api.example"]`}, ""},
		"JWTs and opaque tokens":                  {"", []string{keys, open, ask}, tellBoth},
		"typed JWTs and opaque tokens":            {"", []string{keys, open, ask, `"type":["at+jwt"]`}, tellAnswers},
		"JWTs that are asked about":               {"", []string{keys, open, always}, tellBoth},
		"UserInfo":                                {"", []string{none, open, userInfo}, ""},
		"JWTs and UserInfo":                       {"", []string{keys, open, userInfo}, tellJWTs},
	} {
		t.Run(name, func(t *testing.T) {
			h := parse(t, `{`+c.route+`"issuers":[{"issuer":"https://as.example",`+strings.Join(c.issuer, ",")+`}]}`)
			built, err := h.compile(words.NewSettings())
			if err != nil {
				t.Fatal(err)
			}
			core, lines := observer.New(zap.WarnLevel)
			h.log = newReporter(zap.New(core))
			h.warnOfOtherKinds(built)
			if c.want == "" {
				if lines.Len() > 0 {
					t.Errorf("warned: %v", lines.All())
				}
				return
			}
			if lines.Len() != 1 || !strings.HasSuffix(lines.All()[0].Message, c.want) ||
				lines.All()[0].ContextMap()["issuer"] != "https://as.example" {
				t.Errorf("warned: %v, want once of https://as.example: …%s", lines.All(), c.want)
			}
		})
	}
}
