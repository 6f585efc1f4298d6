package caddyjwt_test

import (
	"strings"
	"testing"
)

// onLine is a Caddyfile whose bearer_auth, in line 3, has these arguments.
func onLine(arguments string) string {
	return "example.com {\n\t@write method POST\n\tbearer_auth " + arguments + "\n}\n"
}

// An issuer and an audience on the line mean the same as an issuer block.
func TestIssuerOnTheLineIsAnIssuerBlock(t *testing.T) {
	const issuer, audience = "https://auth.example.com", "https://api.example.com"
	const block = "issuer " + issuer + " {\naudience " + audience + "\n}\n"
	for name, test := range map[string]struct{ line, block string }{
		"alone":            {issuer + " " + audience, "{\n" + block + "}"},
		"behind a path":    {"/api/* " + issuer + " " + audience, "/api/* {\n" + block + "}"},
		"behind a matcher": {"@write " + issuer + " " + audience, "@write {\n" + block + "}"},
		"behind a star":    {"* " + issuer + " " + audience, "* {\n" + block + "}"},
		"an empty block":   {issuer + " " + audience + " {\n}", "{\n" + block + "}"},
		"with a block": {issuer + " " + audience + " {\nrequire scope a\naudience b\nissuer https://b.example\n}",
			"{\n" + block + "require scope a\naudience b\nissuer https://b.example\n}"},
		"an audience that is no URL": {issuer + " my-api", "{\nissuer " + issuer + " {\naudience my-api\n}\n}"},
		"variables that are unset here": {"{env.GATE_TEST_UNSET} {env.GATE_TEST_UNSET}",
			"{\nissuer {env.GATE_TEST_UNSET} {\naudience {env.GATE_TEST_UNSET}\n}\n}"},
	} {
		got, want := adapted(t, onLine(test.line)), adapted(t, onLine(test.block))
		if got != want || !strings.Contains(got, `"issuers"`) {
			t.Errorf("%s: got\n%s\nthe block gives\n%s", name, got, want)
		}
	}
}

func TestMistakesOnTheLine(t *testing.T) {
	const issuer = "https://auth.example.com"
	for name, test := range map[string]struct{ arguments, want string }{
		"an issuer alone": {issuer, "<issuer> <audience>, or all settings in a block; an audience, " +
			`the "aud" of tokens for this site, is missing after ` + issuer},
		"an audience alone":       {"my-api", "is an environment variable unset?"},
		"an unset variable":       {"{$GATE_TEST_UNSET} my-api", "is an environment variable unset?"},
		"two audiences":           {issuer + " a b", "several issuers or audiences go in the block"},
		"audience before issuer":  {"my-api " + issuer, `did you mean "bearer_auth ` + issuer + ` my-api"?`},
		"an issuer without a URL": {"accounts.example my-api", "it must be a URL"},
		"any audience":            {issuer + " any", `write an issuer block with "audience any"`},
		"Any audience":            {issuer + " Any", `write an issuer block with "audience any"`},
		"an empty audience":       {issuer + ` ""`, "a value of audience is empty"},
		"two empty values":        {`"" ""`, "so it must be a URL"},
		"a word of the block":     {"issuer " + issuer, `"issuer" is a word of its block`},
		"a matcher at the end":    {issuer + " /api/*", "one matcher comes first"},
		"two paths":               {"/a /b " + issuer + " my-api", "for several paths, name a matcher"},
		"a matcher by its name":   {issuer + " @write", "one matcher comes first"},
		"a list of audiences":     {issuer + " a,b", "not by commas: a b"},
		"a star in the audience":  {issuer + " a*", `"*" is not a wildcard`},
		"a star in the issuer":    {"https://*.example.com my-api", `"*" cannot be in the host`},
		"single quotes":           {issuer + " 'my-api'", `write "my-api"`},
		"an address of metadata":  {issuer + "/.well-known/openid-configuration my-api", "address of a metadata document"},
		"an address by http":      {"http://auth.example.com my-api", "use https"},
		"a key claim for nobody":  {issuer + " a {\nkey_claim kid\n}", "key_claim"},
	} {
		got := adapted(t, onLine(test.arguments))
		if !strings.HasPrefix(got, "error: ") || !strings.Contains(got, test.want) {
			t.Errorf("%s: no %q in %s", name, test.want, got)
		}
	}
}

// What stands on the line by mistake may be a token. No part of it is in the error.
func TestTokensOnTheLineAreNotQuoted(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ6b2UifQ.c2lnbmF0dXJl"
	for _, arguments := range []string{
		token, "Bearer " + token, `"Bearer ` + token + `"`, "https://auth.example.com " + token, token + " my-api",
		"opaque-token-c2lnbmF0dXJl", "https://auth.example.com my-api opaque-c2lnbmF0dXJl",
	} {
		got := adapted(t, onLine(arguments))
		if !strings.HasPrefix(got, "error: ") || strings.Contains(got, "eyJ") || strings.Contains(got, "c2lnbmF0dXJl") {
			t.Errorf("%s: %s", arguments, got)
		}
	}
}

// Errors have the line of what they are about: that of bearer_auth only for what stands there.
func TestLinesOfMistakesBesideAnIssuerOnTheLine(t *testing.T) {
	const line = "https://auth.example.com my-api {\n"
	for name, test := range map[string]struct{ arguments, want string }{
		"the same issuer has a block": {line + "require scope a\nissuer https://auth.example.com {\nleeway 1s\n}\n}",
			`issuer "https://auth.example.com" is already on the line of bearer_auth: to give it more settings, remove it ` +
				"there, and write its audience in this block, at Caddyfile:5\n"},
		"another issuer has no audience": {line + "\nissuer https://b.example\n}",
			`issuer "https://b.example": no audience: a token meant for another service would be accepted; ` +
				`add "audience <value>" here or to bearer_auth, or write out "audience any", at Caddyfile:5` + "\n"},
		"the line has a mistake, and a block follows": {"http://auth.example.com my-api {\naudience a\nissuer " +
			"https://b.example\n}", "and replace keys, at Caddyfile:3\n"},
		"an unknown word": {line + "audiance a\n}", `unrecognized subdirective "audiance" (did you mean "audience"?), ` +
			"at Caddyfile:4\n"},
	} {
		if got := adapted(t, onLine(test.arguments)); !strings.HasSuffix(got, test.want) {
			t.Errorf("%s: no %q in %s", name, test.want, got)
		}
	}
}
