package caddyjwt_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt"
)

// adaptAll is the whole JSON of a Caddyfile.
func adaptAll(caddyfile string) (string, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	return string(config), err
}

func TestGlobalOptionBecomesAnApp(t *testing.T) {
	for _, option := range []string{"bearer_auth", "bearer_auth {\n\t}"} {
		const want = `{"apps":{"bearer_auth":{}}}`
		if got, err := adaptAll("{\n\t" + option + "\n}\n"); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", option, got, err, want)
		}
	}
	const want = `{"apps":{"bearer_auth":{"prefetch":true}}}`
	if got, err := adaptAll("{\n\tbearer_auth {\n\t\tprefetch\n\t}\n}\n"); err != nil || got != want {
		t.Errorf("prefetch: %s, %v; want %s", got, err, want)
	}
	for words, want := range map[string]string{
		"store memory":          `{"kind":"memory"}`,
		"store file":            `{"kind":"file"}`,
		"store file {env.NONE}": `{"kind":"file","path":"{env.NONE}"}`,
	} {
		want = `{"apps":{"bearer_auth":{"store":` + want + `}}}`
		if got, err := adaptAll("{\n\tbearer_auth {\n\t\t" + words + "\n\t}\n}\n"); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", words, got, err, want)
		}
	}
	if got, err := adaptAll("{\n\tskip_install_trust\n}\n"); err != nil || strings.Contains(got, "bearer_auth") {
		t.Errorf("without the option: %s, %v", got, err)
	}
}

func TestGlobalOptionRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct{ caddyfile, want string }{
		"a word": {"{\n\tbearer_auth {\n\t\trealm x\n\t}\n}\n",
			`bearer_auth: unrecognized subdirective "realm"`},
		"a value": {"{\n\tbearer_auth {\n\t\tprefetch yes\n\t}\n}\n", `"prefetch" takes no value`},
		"a block": {"{\n\tbearer_auth {\n\t\tprefetch {\n\t\t}\n\t}\n}\n", `"prefetch" takes no block`},
		"a word twice": {"{\n\tbearer_auth {\n\t\tprefetch\n\t\tprefetch\n\t}\n}\n",
			`"prefetch" is already on line 3; remove one of the two`},
		"a store of no kind":   {"{\n\tbearer_auth {\n\t\tstore sql x\n\t}\n}\n", "store memory, or store file [<path>]"},
		"a store of no server": {"{\n\tbearer_auth {\n\t\tstore redis\n\t}\n}\n", "or store redis <url>"},
		"a block of a file":    {"{\n\tbearer_auth {\n\t\tstore file {\n\t\t}\n\t}\n}\n", `"store" takes no block`},
		"an empty path": {"{\n\tbearer_auth {\n\t\tstore file \"{$NOT_SET_ANYWHERE}\"\n\t}\n}\n",
			"store memory, or store file [<path>]"},
		"a path in memory": {"{\n\tbearer_auth {\n\t\tstore memory x\n\t}\n}\n", "store memory, or store file [<path>]"},
		"an argument":      {"{\n\tbearer_auth on\n}\n", `takes its settings in a block, not as arguments`},
		"twice":            {"{\n\tbearer_auth\n\tbearer_auth\n}\n", "is given twice"},
	} {
		_, err := adaptAll(c.caddyfile)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%s: error %v, want %q with a line", name, err, c.want)
		}
	}
}

func TestAppRefusesSettingsThatDoNotExist(t *testing.T) {
	off := false
	config := &caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}},
		AppsRaw: caddy.ModuleMap{"bearer_auth": json.RawMessage(`{"prefetch":true}`)},
	}
	if err := caddy.Validate(config); err != nil {
		t.Fatal(err)
	}
	config.AppsRaw["bearer_auth"] = json.RawMessage(`{"realm":"x"}`)
	if err := caddy.Validate(config); err == nil || !strings.Contains(err.Error(), "realm") {
		t.Errorf("a setting that does not exist: error %v", err)
	}
}

// The manual has every setting of the app, in its section.
func TestManualHasEverySettingOfTheApp(t *testing.T) {
	_, section, _ := strings.Cut(readDoc(t, "docs/configuration.md"), "\n## Global option\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, field := range manual().JSONFields(reflect.TypeFor[caddyjwt.App]()) {
		if !strings.Contains(section, "| `"+field+"` |") {
			t.Errorf("docs/configuration.md, section Global option, lacks %q", field)
		}
	}
}

// neighbour stands for another directive of this project.
type neighbour struct{ name string }

func (n neighbour) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddy.ModuleID("http.handlers." + n.name), New: func() caddy.Module { return n }}
}

func (neighbour) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

// Beside bearer_auth, which is registered first: an issuer, and a gate that is registered after the issuer.
func init() {
	for _, d := range []struct {
		name      string
		position  httpcaddyfile.Positional
		neighbour string
	}{
		{"order_test_issuer", httpcaddyfile.After, "try_files"},
		{"order_test_gate", httpcaddyfile.Before, "basic_auth"},
		{"order_test_upstream", httpcaddyfile.Before, "request_header"},
	} {
		caddy.RegisterModule(neighbour{d.name})
		httpcaddyfile.RegisterHandlerDirective(d.name, func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
			h.Next()
			return neighbour{d.name}, nil
		})
		httpcaddyfile.RegisterDirectiveOrder(d.name, d.position, d.neighbour)
	}
}

// The places that order.go gives out hold whichever directive is registered first.
func TestOrderDoesNotDependOnWhoIsFirst(t *testing.T) {
	config, err := adaptAll(`example.com {
	respond "x"
	request_header X-A b
	order_test_upstream
	bearer_auth {
		consumer alice {
			credential k {
				algorithm HS256
				secret 9d1f8a3c5e7b42604f8e1a2b3c4d5e6f
			}
		}
	}
	order_test_gate
	order_test_issuer
	rewrite /a /b
}
`)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, text := range strings.Split(config, `"handler":"`)[1:] {
		name, _, _ := strings.Cut(text, `"`)
		if name != "subroute" {
			order = append(order, name)
		}
	}
	want := []string{
		"rewrite", "order_test_issuer", "bearer_auth", "order_test_gate", "order_test_upstream", "headers", "static_response",
	}
	if !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}
