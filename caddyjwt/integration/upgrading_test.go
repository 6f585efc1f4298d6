package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// What docs/upgrading.md has one try before an upgrade works, and finds a word that has got another name.
func TestTryingAnUpgrade(t *testing.T) {
	page, err := os.ReadFile("../../docs/upgrading.md")
	if err != nil {
		t.Fatal(err)
	}
	key := tokentest.NewKey(t, "ES256", "e1")
	const iss = "https://auth.example.com"
	keys := writeFile(t, filepath.Join(t.TempDir(), "keys.json"), tokentest.JWKS(key))
	gate := gateForAudience(issuerBlock(iss, "keys file "+keys), "forward_claims X-User sub")
	config := writeFile(t, filepath.Join(t.TempDir(), "Caddyfile"), "api.example.com {\n"+gate+"\n}\n")
	token := key.Sign(t, issuedBy(iss))
	run := func(command string) (string, error) {
		t.Helper()
		command, reads := strings.CutSuffix(command, " < token")
		args := strings.Fields(strings.ReplaceAll(command, "/etc/caddy/Caddyfile", config))
		caddy, output := caddyCommand(t, args[1:]...)
		if reads {
			caddy.Stdin = strings.NewReader(token)
		}
		err := caddy.Run()
		return output.String(), err
	}
	prints := map[string]string{
		"validate": "Valid configuration", "check": iss, "explain": "The request passes", "adapt": `"handler": "bearer_auth"`,
		"build-info": "github.com/caddyjwt/gateway",
	}
	tried := make(map[string]bool)
	for _, found := range regexp.MustCompile("`(\\./caddy-new [^`]+)`").FindAllStringSubmatch(string(page), -1) {
		out, err := run(found[1])
		for word, want := range prints {
			if strings.Contains(found[1], " "+word) {
				tried[word] = true
				if err != nil || !strings.Contains(out, want) {
					t.Errorf("%s: %v, and no %q in\n%s", found[1], err, want, out)
				}
			}
		}
	}
	if len(tried) != len(prints) {
		t.Errorf("docs/upgrading.md has only the commands %v", tried)
	}

	writeFile(t, config, strings.Replace("api.example.com {\n"+gate+"\n}\n", "forward_claims X-User sub",
		"forward_claim sub X-User", 1))
	out, err := run("./caddy-new validate --config /etc/caddy/Caddyfile")
	if err == nil || !strings.Contains(out, "here: forward_claims <Header> <path>") {
		t.Errorf("an old word: %v, and the new one is not named in\n%s", err, out)
	}
}
