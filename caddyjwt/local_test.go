package caddyjwt_test

import (
	"strings"
	"testing"
)

// keys local is about tokens that are issued here, so what other issuers need has no meaning beside it.
func TestMistakesAboutLocalKeys(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"a value":    {"keys local x", "expected: keys local"},
		"other keys": {"keys local\n\t\t\tkeys discovery", "a token_issuer has all keys of its tokens"},
		"other keys first": {"keys jwks https://a.example/keys\n\t\t\tkeys local",
			"a token_issuer has all keys of its tokens"},
		"introspect": {"keys local\n\t\t\tintrospect {\n\t\t\t\tclient_id a\n\t\t\t\tclient_secret b\n" +
			"\t\t\t\tendpoint https://a.example/i\n\t\t\t}", "nobody has to be asked"},
		"backchannel_logout": {"keys local\n\t\t\tbackchannel_logout /out {\n\t\t\t\tclient_id a\n\t\t\t}",
			"remove backchannel_logout"},
		"revocation off":      {"keys local\n\t\t\trevocation off", `remove "revocation off"`},
		"tolerate":            {"keys local\n\t\t\ttolerate numeric_subject", "remove tolerate"},
		"a way to the server": {"keys local\n\t\t\ttls {\n\t\t\t\tserver_name a\n\t\t\t}", "keys local"},
		"prefetch":            {"keys local\n\t\t\tprefetch", "keys local"},
		"an HMAC":             {"keys local\n\t\t\talgorithms HS256", "HS256 cannot be used with keys local"},
	} {
		t.Run(name, func(t *testing.T) {
			text := adapted(t, inIssuer(test.line))
			if !strings.HasPrefix(text, "error: ") || !strings.Contains(text, test.want) {
				t.Errorf("%s\nwant %q", text, test.want)
			}
		})
	}
	tenants := "example.com {\n\tbearer_auth {\n\t\taudience a\n\t\tissuer https://a.example/*/v2 {\n\t\t\ttenants any\n" +
		"\t\t\tkeys local\n\t\t}\n\t}\n}\n"
	if text := adapted(t, tenants); !strings.Contains(text, "the tokens of a token_issuer have one issuer") {
		t.Errorf("tenants: %s", text)
	}
}
