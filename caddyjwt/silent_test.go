package caddyjwt_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt"
)

const silentGolden = "testdata/silent_mistakes.txt"

// TestSilentMistakes shows what an operator sees of mistakes that would load without a word and then refuse every
// token. Run it with -update after a change, and read the file. Two of them still load: nothing in them
// is surely wrong.
func TestSilentMistakes(t *testing.T) {
	var got strings.Builder
	for _, mistake := range []struct{ what, caddyfile string }{
		{"claim before header, as in an order of one's own", inGate("forward_claims sub X-User")},
		{"a comma between audiences", inIssuer("audience https://a.example,https://b.example")},
		{"a claim and its value in one", inGate("require claim azp=spa")},
		{"an index in a claim path", inGate("require claim roles[0] admin")},
		{"the scheme in place of the header", inGate("token_from header Bearer")},
		{"the address of metadata as issuer", named("https://auth.example.com/.well-known/openid-configuration")},
		{"the address of keys as issuer", named("https://auth.example.com/jwks.json")},
		{"the address of metadata in place of keys",
			inIssuer("keys jwks https://auth.example.com/.well-known/openid-configuration")},
		{"a star as tenant", named("https://login.microsoftonline.com/*/v2.0")},
		{"a star in an audience", inIssuer("audience /projects/1/global/backendServices/*")},
		{"a star in a subject", inGate("require claim sub repo:example/*")},
		{"a token as WebSocket protocol", inGate("token_from header Sec-WebSocket-Protocol")},
		{"an issuer of Auth0 without its slash", named("https://shop.eu.auth0.com")},
		{"all tenants of Entra ID", named("https://login.microsoftonline.com/common/v2.0")},
		{"one scope as the whole text of the claim", inGate("require claim scope orders:read")},
		{"a size without its unit", inGate("max_token_size 16")},
		{"an unset variable among audiences", inIssuer("audience https://a.example {$GATE_TEST_UNSET}")},
		{"a place that replaces the default", inGate("token_from cookie access_token")},
	} {
		got.WriteString("# " + mistake.what + "\n\n" + mistake.caddyfile + "\n" + seen(t, mistake.caddyfile) + "\n")
	}
	if *update {
		if err := os.WriteFile(silentGolden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(silentGolden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant the text of %s", got.String(), silentGolden)
	}
}

// seen is the error for a Caddyfile, or what a gate of it has understood.
func seen(t *testing.T, caddyfile string) string {
	t.Helper()
	got := adapted(t, caddyfile)
	if strings.HasPrefix(got, "error: ") {
		return got
	}
	h := new(caddyjwt.Handler)
	if err := json.Unmarshal([]byte(got), h); err != nil {
		t.Fatal(err)
	}
	return "loads, and the line \"gate is in force\" says:\n" + h.SummaryLines(t)
}
