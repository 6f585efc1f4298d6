package doubts

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A configuration that accepts every kind of token of an issuer logs a warning when it loads, which says what to write.
func TestWarnsIfNothingTellsKindsOfTokensApart(t *testing.T) {
	pem, err := json.Marshal(tokentest.NewKey(t, "ES256", "k1").PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	keys := `"keys":{"source":"pem","pem":` + string(pem) + `}`
	none := `"keys":{"source":"none"}`
	ask := `"introspect":{"endpoint":"https://as.example/introspect","client_id":"c","client_secret":"0123456789abcdef"}`
	always := strings.Replace(ask, `{`, `{"mode":"always",`, 1)
	userInfo := `"introspect":{"verify":"userinfo","endpoint":"https://as.example/userinfo"}`
	unsaid, every := gate.Audience{}, gate.Audience{Any: true}
	one := gate.Audience{Accepted: []string{"https://api.example"}}
	const open = `"any_audience":true`
	asked := func(more ...string) []string { return append([]string{none, open, ask}, more...) }
	for name, c := range map[string]struct {
		route  gate.Audience
		issuer []string
		want   string // empty for no warning
	}{
		"an audience":                             {unsaid, []string{keys, `"audience":["https://api.example"]`}, ""},
		"any audience":                            {unsaid, []string{keys, open}, tellJWTs},
		"any audience of the handler":             {every, []string{keys}, tellJWTs},
		"any audience, and one of the handler":    {one, []string{keys, open}, ""},
		"the profile":                             {unsaid, []string{keys, open, `"profile":"rfc9068"`}, ""},
		"a type of access tokens":                 {unsaid, []string{keys, open, `"type":["application/AT+JWT"]`}, ""},
		"a type that all tokens have":             {unsaid, []string{keys, open, `"type":["JWT"]`}, tellJWTs},
		"a required claim":                        {unsaid, []string{keys, open, `"required_claims":["access.roles"]`}, ""},
		"sub, of which IRIS' refresh tokens lack": {unsaid, []string{keys, open, `"required_claims":["sub"]`}, ""},
		"a required claim that all tokens have":   {unsaid, []string{keys, open, `"required_claims":["exp"]`}, tellJWTs},
		"introspection of opaque tokens":          {unsaid, asked(), tellAnswers},
		"introspection, and token_type":           {unsaid, asked(`"required_claims":["token_type"]`), ""},
		"introspection, and sub":                  {unsaid, asked(`"required_claims":["sub"]`), tellAnswers},
		"introspection, with an audience":         {unsaid, []string{none, ask, `"audience":["https://api.example"]`}, ""},
		"JWTs and opaque tokens":                  {unsaid, []string{keys, open, ask}, tellBoth},
		"typed JWTs and opaque tokens":            {unsaid, []string{keys, open, ask, `"type":["at+jwt"]`}, tellAnswers},
		"JWTs that are asked about":               {unsaid, []string{keys, open, always}, tellBoth},
		"UserInfo":                                {unsaid, []string{none, open, userInfo}, ""},
		"JWTs and UserInfo":                       {unsaid, []string{keys, open, userInfo}, tellJWTs},
	} {
		t.Run(name, func(t *testing.T) {
			g := gateOf(t, `{"issuer":"https://as.example",`+strings.Join(c.issuer, ",")+`}`)
			g.Config.Audience = c.route
			if c.want == "" {
				expect(t, doubtsOf(g, Of))
				return
			}
			found := doubtsOf(g, Of)
			expect(t, found, c.want, "issuer=https://as.example")
			if !strings.HasSuffix(found[0].message, c.want) {
				t.Errorf("told: %s, want …%s", found[0].message, c.want)
			}
		})
	}
}
