package caddyjwt_test

import (
	"strings"
	"testing"
)

// inLogout is a Caddyfile with these lines of a block backchannel_logout, the first of them as its line 6.
func inLogout(lines string) string {
	return inIssuer("backchannel_logout /bye {\n" + lines + "\n}")
}

// A mistake about logouts is an error with its line, which says how to mend it. Otherwise sessions would live on that
// the server has ended.
func TestMistakesAboutLogouts(t *testing.T) {
	second := func(path string) string {
		return "\n\t\t}\n\t\tissuer https://other.example.com {\nbackchannel_logout " + path + " {\nclient_id a\n}"
	}
	for name, c := range map[string]struct{ caddyfile, want string }{
		"no path":       {inIssuer("backchannel_logout {\nclient_id a\n}"), `"backchannel_logout" needs the path`},
		"two paths":     {inIssuer("backchannel_logout /a /b"), `takes one value, not 2`},
		"no block":      {inIssuer("backchannel_logout /bye"), "backchannel_logout /bye needs client_id"},
		"no client id":  {inLogout("without_sid sub"), "backchannel_logout /bye needs client_id"},
		"an address":    {inIssuer("backchannel_logout https://a.example/bye {\nclient_id a\n}"), "without scheme and host"},
		"no slash":      {inIssuer("backchannel_logout bye {\nclient_id a\n}"), "begins with a slash"},
		"the root":      {inIssuer("backchannel_logout / {\nclient_id a\n}"), "the page at the root"},
		"a query":       {inIssuer("backchannel_logout /bye?a=b {\nclient_id a\n}"), "without a query"},
		"a wildcard":    {inIssuer("backchannel_logout /bye/* {\nclient_id a\n}"), `"*" is not a wildcard`},
		"an escape":     {inIssuer("backchannel_logout /b%79e {\nclient_id a\n}"), "has only letters"},
		"a dot segment": {inIssuer("backchannel_logout /a/../bye {\nclient_id a\n}"), "has only letters"},
		"a placeholder": {inIssuer("backchannel_logout /{env.HOME} {\nclient_id a\n}"), "placeholders are not resolved"},
		"a comma":       {inLogout("client_id a, b"), "separated by blanks, not by commas"},
		"a star":        {inLogout("client_id *"), "list each one"},
		"a blank":       {inLogout("client_id <id>"), "stands for a value of yours"},
		"a shell's way": {inLogout("client_id $CLIENT"), "{env.NAME}"},
		"another mode":  {inLogout("client_id a\nwithout_sid all"), `without_sid "all": expected ignore or sub`},
		"a word twice":  {inLogout("client_id a\nclient_id b"), `"client_id" is already on line 6`},
		"another word":  {inLogout("client_ids a"), `client_id`},
		"twice":         {inIssuer("backchannel_logout /a {\nclient_id a\n}\nbackchannel_logout /b"), "already on line 5"},
		"without keys": {inIssuer("keys none\nintrospect {\nclient_id a\nclient_secret b\n}\n" +
			"backchannel_logout /a {\nclient_id a\n}"), "no keys to verify them"},
		"revocation off": {inIssuer("revocation off\nbackchannel_logout /a {\nclient_id a\n}"), `remove "revocation off"`},
		"one path for two issuers": {inIssuer("backchannel_logout /bye {\nclient_id a\n}" + second("/bye")),
			"is the path of issuer \"https://auth.example.com\" already: give each issuer its own path"},
		"both kinds of keys": {inIssuer("keys discovery\nkeys secret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f\n" +
			"backchannel_logout /bye {\nclient_id a\n}"), "must not choose between them"},
		"tenants": {"example.com {\n\tbearer_auth {\n\t\taudience a\n\n\t\tissuer https://login.example.com/*/v2.0 {\n" +
			"keys jwks https://login.example.com/keys\ntenants a\nbackchannel_logout /bye {\nclient_id a\n}\n}\n}\n}\n",
			`not for an issuer with "*"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := adaptAll(c.caddyfile)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Caddyfile:") {
				t.Errorf("error %v\nwant %q with a line", err, c.want)
			}
		})
	}
	for name, caddyfile := range map[string]string{
		"two issuers with a path each": inIssuer("backchannel_logout /bye {\nclient_id a\n}" + second("/ciao")),
		"a client that is not set yet": inLogout("client_id {env.GATE_TEST_UNSET}"),
		"a path in a folder":           inIssuer("backchannel_logout /.well-known/bye/ {\nclient_id a\n}"),
	} {
		if _, err := adaptAll(caddyfile); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The directive of a site stands alone, and takes no matcher.
func TestMistakesOfTheLogoutDirective(t *testing.T) {
	for line, want := range map[string]string{
		"backchannel_logout":                   "needs the path that an issuer of a gate has",
		"backchannel_logout *":                 `takes no matcher, because it answers only at its path: remove "*"`,
		"backchannel_logout @x /bye":           `remove "@x"`,
		"backchannel_logout /a https://b c":    `move "c" to its own`,
		"backchannel_logout /a {\nclient x\n}": `no block here: write "client" into the block "backchannel_logout"`,
		"backchannel_logout bye":               "begins with a slash",
	} {
		_, err := adaptAll("example.com {\n\t@x path /y\n\t" + line + "\n}\n")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%s: error %v\nwant %q with a line", line, err, want)
		}
	}
	got, err := adaptAll("example.com {\n\tbackchannel_logout /bye https://as.example\n\trespond x\n}\n")
	const want = `{"handle":[{"handler":"backchannel_logout","issuer":"https://as.example","path":"/bye"}],` +
		`"match":[{"path":["/bye"]}]}`
	if err != nil || !strings.Contains(got, want) {
		t.Errorf("%s, %v", got, err)
	}
}

// A gate comes with the route that answers logout requests, before its own.
func TestGateBringsTheRouteOfItsLogouts(t *testing.T) {
	got, err := adaptAll(inLogout("client_id a b"))
	const want = `{"handle":[{"client_id":["a","b"],"handler":"backchannel_logout","issuer":"https://auth.example.com",` +
		`"path":"/bye"}],"match":[{"path":["/bye"]}]},{"handle":[{"audience"`
	if err != nil || !strings.Contains(got, want) {
		t.Errorf("%s, %v", got, err)
	}
}
