package caddyjwt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/doubts"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// routesOf are the handlers of a Caddyfile in the order in which a request meets them, with the paths that they match.
func routesOf(t *testing.T, text string) (all []string) {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	var config any
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	var visit func(node any, path string)
	visit = func(node any, path string) {
		switch node := node.(type) {
		case []any:
			for _, element := range node {
				visit(element, path)
			}
		case map[string]any:
			if match, ok := node["match"].([]any); ok {
				if paths, ok := match[0].(map[string]any)["path"].([]any); ok {
					path += " " + fmt.Sprint(paths...)
				}
			}
			if name, ok := node["handler"].(string); ok && name != "subroute" {
				all = append(all, name+path)
			}
			for _, child := range []string{"apps", "http", "servers", "srv0", "routes", "handle"} {
				visit(node[child], path)
			}
		}
	}
	visit(config, "")
	return all
}

func TestMetadataComesBeforeTheGate(t *testing.T) {
	const issuer = "\tissuer https://auth.example.com\n"
	const wellKnown = "protected_resource /.well-known/oauth-protected-resource"
	for name, c := range map[string]struct{ site, want string }{
		"without a resource": {"bearer_auth {\n" + issuer + "audience a\n}", "bearer_auth"},
		"for the whole site": {"bearer_auth {\n" + issuer + "resource https://example.com/mcp\n}",
			wellKnown + "/mcp, bearer_auth"},
		"for a part that does not have the metadata": {
			"bearer_auth /mcp/* {\n" + issuer + "resource https://example.com/mcp\n}",
			wellKnown + "/mcp, bearer_auth /mcp/*"},
		"at the root": {"bearer_auth {\n" + issuer + "resource https://example.com\n}",
			wellKnown + ", bearer_auth"},
		"at the root, with its slash": {"bearer_auth {\n" + issuer + "resource https://example.com/\n}",
			wellKnown + ", bearer_auth"},
		"on the line": {"bearer_auth https://auth.example.com a {\nresource https://example.com/mcp\n}",
			wellKnown + "/mcp, bearer_auth"},
		"where the URL is not known yet": {"bearer_auth {\n" + issuer + "resource {env.GATE_TEST_UNSET}\n}",
			wellKnown + "*, bearer_auth"},
		"where a part of the URL is not known yet": {
			"bearer_auth {\n" + issuer + "resource https://example.com/{env.GATE_TEST_UNSET}\n}",
			wellKnown + "*, bearer_auth"},
		"two resources of one site": {
			"bearer_auth /b/* {\n" + issuer + "resource https://example.com/b\n}\n" +
				"bearer_auth /long/path/* {\n" + issuer + "resource https://example.com/long\n}",
			wellKnown + "/long, " + wellKnown + "/b, bearer_auth /long/path/*, bearer_auth /b/*"},
		"in a handle block": {"handle /mcp/* {\nbearer_auth {\n" + issuer + "resource https://example.com/mcp\n}\n}",
			"protected_resource /mcp/* /.well-known/oauth-protected-resource/mcp, bearer_auth /mcp/*"},
		"in a route block": {"route {\nbearer_auth {\n" + issuer + "resource https://example.com/mcp\n}\n}",
			wellKnown + "/mcp, bearer_auth"},
	} {
		if got := strings.Join(routesOf(t, "http://example.com {\n"+c.site+"\n}\n"), ", "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// The audience of a resource never makes a gate accept more than it would without the resource.
func TestAudienceOfAResource(t *testing.T) {
	const issuers = "\n%s\n\tissuer https://one.example.com {\n%s\n\t}\n\tissuer https://two.example.com {\n%s\n\t}\n"
	const us = "https://example.com/mcp"
	for name, c := range map[string]struct{ gate, one, two, want string }{
		"nobody says one":        {"", "", "", "audience=" + us},
		"the gate says one":      {"audience a", "", "", "audience=a"},
		"the gate says any":      {"audience any", "", "", "audience=any"},
		"one issuer says one":    {"", "audience a", "", "one=a two=" + us},
		"the other says any":     {"", "", "audience any", "one=" + us + " two=any"},
		"both issuers say one":   {"", "audience a", "audience b", "one=a two=b"},
		"everybody says one":     {"audience c", "audience a", "audience b", "audience=c one=a two=b"},
		"the gate and an issuer": {"audience c", "audience a", "", "audience=c one=a"},
	} {
		h := new(Handler)
		block := fmt.Sprintf(issuers, c.gate, c.one, c.two)
		if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(
			"bearer_auth {\n" + block + "resource " + us + "\n" + alice + "\n}")); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		built, err := h.compile(words.NewSettings())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, audience := range []struct {
			any      bool
			accepted []string
		}{
			{built.config.Audience.Any, built.config.Audience.Accepted},
			{built.config.Issuers[0].Audience.Any, built.config.Issuers[0].Audience.Accepted},
			{built.config.Issuers[1].Audience.Any, built.config.Issuers[1].Audience.Accepted},
		} {
			text := strings.Join(audience.accepted, " ")
			if audience.any {
				text = "any"
			}
			if text != "" {
				got = append(got, []string{"audience", "one", "two"}[i]+"="+text)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
		// Compiling changes no setting: the next one must give the same.
		said := strings.TrimPrefix(strings.TrimPrefix(c.gate, "audience any"), "audience ")
		if !slices.Equal(h.Audience, strings.Fields(said)) {
			t.Errorf("%s: the handler's audience became %v", name, h.Audience)
		}
	}
}

// Mistakes in a block with a resource. The gate has an issuer on line 2, and the resource on line 3.
func TestMistakesOfAResourceNameTheCure(t *testing.T) {
	for name, c := range map[string]struct {
		lines, want string
		line        int
	}{
		"nothing":     {"resource", `"resource" needs the URL of what the gate guards`, 3},
		"two of them": {"resource https://a.example https://b.example", "takes one value", 3},
		"twice": {"resource https://a.example\nresource https://b.example",
			`"resource" is already on line 3`, 4},
		"no URL":           {"resource mcp", "resource mcp: it is not an absolute URL", 3},
		"http":             {"resource http://example.com", "use https for example.com", 3},
		"another spelling": {"resource https://Example.com:443/mcp", `write that`, 3},
		"single quotes":    {"resource 'https://example.com/mcp'", "quotes", 3},
		"a request's host": {"resource https://{http.request.host}/mcp", "{http.request.host} has no value", 3},
		"an unknown word":  {"resource https://a.example {\nnames x\n}", `did you mean "name"`, 4},
		"no page": {"resource https://a.example {\nname x\npolicy us\n}",
			`resource policy: "us" is not the address`, 5},
		"a page of files":      {"resource https://a.example {\ntos file:///tos\n}", "resource tos", 4},
		"a name of two lines":  {"resource https://a.example {\nname \"x\ny\"\n}", "resource name", 4},
		"a scope with a quote": {"resource https://a.example {\nscopes a b\\\"c\n}", "resource scopes", 4},
		"a placeholder as scope": {"resource https://a.example {\nscopes {env.SCOPE}\n}",
			"placeholders are not resolved here", 4},
		"a list with commas": {"resource https://a.example {\nscopes a,b\n}", "comma", 4},
		"a realm that a client takes for a scope": {
			"resource https://a.example\nrealm \"x scope=admin\"", `"scope=" in it`, 4},
		"a realm with quotes": {"resource https://a.example\nrealm `a \"b\"`", "quote", 4},
		"a scope that a client takes for an error": {
			"resource https://a.example\nrequire scope read urn:x?error=1", `"error=" in it`, 3},
		"a class that a client takes for a scope": {
			"resource https://a.example\nrequire acr gold urn:x?scope=admin", `"scope=" in it`, 4},
	} {
		h := new(Handler)
		err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(
			"bearer_auth {\nissuer https://auth.example.com\n" + c.lines + "\n}"))
		if err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), fmt.Sprintf("Testfile:%d", c.line)) {
			t.Errorf("%s: %v, want %q in line %d", name, err, c.want, c.line)
		}
	}
	// Without a resource, nobody reads challenges in that way.
	h := new(Handler)
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(
		"bearer_auth {\nissuer https://auth.example.com\naudience a\nrealm `\"x\" scope=y`\n}")); err != nil {
		t.Error(err)
	}
}

func TestMistakesOfAResourceInJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:         "resource needs the URL",
		`{"url":""}`: "resource needs the URL",
		`{"url":"https://a.example","scopes":[]}`:   "resource scopes is an empty list",
		`{"url":"https://a.example","scopes":[""]}`: "scope is empty",
	} {
		h := parse(t, `{"issuers":[{"issuer":"https://auth.example.com"}],"audience":["a"],"resource":`+text+`}`)
		if _, err := h.compile(words.NewSettings()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// UserInfo does not tell a token's audience, so the resource cannot be one.
func TestUserInfoHasNoAudienceOfTheResource(t *testing.T) {
	const gate = `{"resource":{"url":"https://a.example"},"issuers":[
		{"issuer":"https://auth.example.com","keys":{"source":"none"}%s,
		"introspect":{"mode":"opaque","verify":"userinfo"}}]}`
	built, err := parse(t, fmt.Sprintf(gate, "")).compile(words.NewSettings())
	if err == nil {
		built.stub()
		err = built.config.Validate()
	}
	if err == nil || !strings.Contains(err.Error(), `write "audience any"`) {
		t.Errorf("error %v", err)
	}
	if _, err := parse(t, fmt.Sprintf(gate, `,"any_audience":true`)).compile(words.NewSettings()); err != nil {
		t.Error(err)
	}
}

// Some identifiers are right, and yet many clients spell them in another way. The gate warns of them.
func TestSlashOfAResource(t *testing.T) {
	for url, c := range map[string]struct {
		gate, issuer string // further members
		warns        bool
	}{
		"https://a.example":        {"", "", true},
		"https://b.example":        {`,"audience":["https://b.example"]`, "", true},
		"https://c.example":        {`,"audience":["https://c.example","https://c.example/"]`, "", false},
		"https://d.example":        {"", `,"audience":["https://d.example"]`, true},
		"https://e.example":        {"", `,"audience":["orders"]`, false},
		"https://a.example/":       {"", "", false},
		"https://a.example/mcp":    {"", "", false},
		"https://a.example/mcp/":   {"", "", true},
		"https://a.example/mcp/v1": {"", `,"audience":["orders"]`, false},
	} {
		h := parse(t, fmt.Sprintf(`{"issuers":[{"issuer":"https://auth.example.com"%s}],"resource":{"url":%q}%s}`,
			c.issuer, url, c.gate))
		built, err := h.compile(words.NewSettings())
		if err != nil {
			t.Fatal(err)
		}
		ctx, _ := newContext(t)
		warned := false
		doubts.OfResource(h.doubtful(ctx, built), func(string, ...zap.Field) { warned = true })
		if warned != c.warns {
			t.Errorf("%s%s%s: warned: %t, want %t", url, c.gate, c.issuer, warned, c.warns)
		}
	}
}

// Gates of one configuration agree about a resource, or it does not load.
func TestGatesAgreeAboutAResource(t *testing.T) {
	for name, c := range map[string]struct{ first, second, want string }{
		"the same":    {`"name":"A"`, `"name":"A"`, ""},
		"one says it": {`"name":"A"`, `"scopes":["x"]`, ""},
		"two names": {`"name":"A"`, `"name":"B"`,
			`resource https://a.example/: its name is "A" in one gate and "B"`},
		"two pages":           {`"tos":"https://b.example"`, `"tos":"https://c.example"`, "its tos is"},
		"the slash of a host": {`"url":"https://a.example/"`, `"url":"https://a.example"`, "write both in the same way"},
	} {
		ctx, _ := newContext(t)
		var err error
		for _, text := range []string{c.first, c.second} {
			if !strings.Contains(text, `"url"`) {
				text += `,"url":"https://a.example/"`
			}
			_, err = ctx.LoadModuleByID("http.handlers.bearer_auth",
				json.RawMessage(`{"issuers":[{"issuer":"https://auth.example.com"}],"resource":{`+text+`}}`))
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A server for metadata that no gate describes would serve nothing. The configuration does not start.
func TestMetadataNeedsAGate(t *testing.T) {
	ctx, _ := newContext(t)
	if _, err := ctx.LoadModuleByID("http.handlers.protected_resource",
		json.RawMessage(`{"resource":"https://a.example/mcp"}`)); err != nil {
		t.Fatal(err)
	}
	loaded, err := ctx.App("bearer_auth")
	if err != nil {
		t.Fatal(err)
	}
	err = loaded.(caddy.App).Start()
	if err == nil || !strings.Contains(err.Error(), `write "resource https://a.example/mcp"`) {
		t.Errorf("error %v", err)
	}
	if err := new(App).Start(); err != nil {
		t.Errorf("without resources: %v", err)
	}
}
