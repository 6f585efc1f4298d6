package integration

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The check finds resources whose metadata no route serves. It sends no request to the site, which does not run.
func TestCheckFindsMetadataThatNobodyServes(t *testing.T) {
	t.Setenv("RESOURCE_OF_TEST", tools)
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "one")))
	gate := func(resource string) string { return gateFor("resource "+resource, "issuer "+as.URL) }
	for name, c := range map[string]struct {
		site   string
		status int    // with --strict
		served string // by this server; "" for none
		code   string
		says   string
	}{
		"a gate of the site": {gate(tools), 0, "srv0", "", "served by srv0"},
		"a gate in a block": {"handle /tools* {\n" + gate(tools) + "\n}\nrespond no", 1, "", "metadata_not_served",
			"the handler static_response answers such requests"},
		"a gate in a block, and the directive": {"protected_resource " + tools + "\nhandle /tools* {\n" + gate(tools) + "\n}",
			0, "srv0", "", "served by srv0"},
		"two gates, and a placeholder": {"protected_resource {env.RESOURCE_OF_TEST}\nroute /tools* {\n" +
			gate("{env.RESOURCE_OF_TEST}") + "\n}", 0, "srv0", "", "served by srv0"},
		"another gate before it": {"route {\n" + gateFor(consumerAlice(t)) + "\n" + gate(tools) + "\n}", 1, "",
			"metadata_not_served", "the handler bearer_auth answers such requests"},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, filepath.Join(t.TempDir(), "Caddyfile"), "http://gate.test {\n"+c.site+"\n}\n")
			out, status := runCheck(t, "--config", file, "--json", "--strict")
			var report struct {
				Resources []struct {
					Resource, Metadata, Server, Result string
					Findings                           []struct{ Code, Cure string }
				}
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil || status != c.status || len(report.Resources) != 1 {
				t.Fatalf("status %d, want %d, %v:\n%s", status, c.status, err, out)
			}
			got := report.Resources[0]
			if got.Resource != tools || got.Metadata != "https://gate.test"+metadataPath("/tools") || got.Server != c.served {
				t.Errorf("report %+v", got)
			}
			if c.code == "" && (len(got.Findings) != 0 || got.Result != "ok") ||
				c.code != "" && (got.Result != "warning" || got.Findings[0].Code != c.code ||
					!strings.Contains(got.Findings[0].Cure, "protected_resource "+tools)) {
				t.Errorf("findings %+v", got)
			}
			if out, _ := runCheck(t, "--config", file); !strings.Contains(out, c.says) {
				t.Errorf("the table does not say %q:\n%s", c.says, out)
			}
		})
	}
	t.Run("a resource that no gate has", func(t *testing.T) {
		file := writeFile(t, filepath.Join(t.TempDir(), "Caddyfile"),
			"http://gate.test {\nprotected_resource "+tools+"/\n"+gate(tools)+"\n}\n")
		if out, status := runCheck(t, "--config", file); status != 2 {
			t.Errorf("status %d:\n%s", status, out)
		}
	})
}

// Each of these gates loads alone. Together they do not, and the check says so.
func TestCheckFindsGatesThatContradictEachOther(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "one")))
	issuer := "issuer " + as.URL
	for name, gates := range map[string][2]string{
		"two names of one resource": {
			gateFor(issuer, "resource "+tools+" {\nname one\n}"), gateFor(issuer, "resource "+tools+" {\nname two\n}"),
		},
		"two spellings of one host": {
			gateFor(issuer, "resource https://gate.test"), gateFor(issuer, "resource https://gate.test/"),
		},
		"two modes of auth_server_metadata": {
			gateFor(issuer, "resource "+tools, "auth_server_metadata proxy"),
			gateFor(issuer, "resource "+tools, "auth_server_metadata redirect"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			site := "http://gate.test {\nroute {\n" + gates[0] + "\n" + gates[1] + "\n}\n}\n"
			file := writeFile(t, filepath.Join(t.TempDir(), "Caddyfile"), site)
			if out, status := runCheck(t, "--config", file); status != 2 {
				t.Errorf("status %d, want 2:\n%s", status, out)
			}
		})
	}
}
