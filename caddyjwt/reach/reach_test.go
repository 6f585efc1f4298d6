package reach_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddyjwt/gateway/caddyjwt/reach"
)

// Directives of these tests: "document" serves the document, "gate" guards what the document describes.
func init() {
	caddy.RegisterModule(new(document))
	caddy.RegisterModule(new(gate))
	httpcaddyfile.RegisterHandlerDirective("document",
		func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) { return new(document), nil })
	httpcaddyfile.RegisterHandlerDirective("gate",
		func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) { return new(gate), nil })
	httpcaddyfile.RegisterDirectiveOrder("document", httpcaddyfile.Before, "method")
	httpcaddyfile.RegisterDirectiveOrder("gate", httpcaddyfile.Before, "basic_auth")
}

type document struct{ caddyhttp.MiddlewareHandler }

func (*document) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.document", New: func() caddy.Module { return new(document) }}
}

func (*document) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error { return nil }

type gate struct{ caddyhttp.MiddlewareHandler }

func (*gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.gate", New: func() caddy.Module { return new(gate) }}
}

func (*gate) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error { return nil }

// looked is the document of the resource https://mcp.test/mcp.
var looked = reach.Document{
	Host: "mcp.test", Path: "/.well-known/oauth-protected-resource/mcp", Behind: "/mcp",
	Serves: named("document"), Guards: named("gate"),
	Effect: func(h caddyhttp.MiddlewareHandler) (reach.Effect, bool) { return reach.Ends, named("gate")(h) },
}

func named(name string) func(caddyhttp.MiddlewareHandler) bool {
	return func(handler caddyhttp.MiddlewareHandler) bool {
		switch h := handler.(type) {
		case *reach.Written:
			return h.Name == name
		case *document:
			return name == "document"
		case *gate:
			return name == "gate"
		default:
			return false
		}
	}
}

// lines are those of a Caddyfile, block is a block of it, and site is the block of the document's host.
func lines(all ...string) string { return strings.Join(all, "\n") }

func block(head string, inside ...string) string { return head + " {\n" + lines(inside...) + "\n}" }

func site(inside ...string) string { return block("http://mcp.test", inside...) }

func TestADocumentIsReachedOrNot(t *testing.T) {
	for name, c := range map[string]struct {
		config  string
		reached bool
		by      string
	}{
		"beside the gate":                {site("document", "gate", "respond ok"), true, ""},
		"nowhere":                        {site("gate", "respond ok"), false, "gate"},
		"nowhere, behind a gate of /mcp": {site("gate /mcp*", "reverse_proxy localhost:1"), false, "reverse_proxy"},
		"nowhere, and nothing answers":   {site("gate /mcp*"), false, ""},
		"in a block of another path":     {site(block("handle /mcp*", "document", "gate")), false, ""},
		"in a block of its path": {
			site(block("handle /.well-known/*", "document"), block("handle", "gate")),
			true, ""},
		"in a block of every path": {site(block("handle", "document", "gate")), true, ""},
		"in the second block of a group": {
			site("gate /mcp", block("handle /.well-known/*", "respond no"), block("handle", "document")),
			false, "static_response"},
		"in the other block of a group": {
			site(block("handle /.well-known/*", "encode"), block("handle", "document", "gate")),
			false, ""},
		"beside a block of a group":   {site("document", block("handle", "gate")), true, ""},
		"in a route, before the gate": {site(block("route", "document", "gate")), true, ""},
		"in a route, behind the gate": {site(block("route", "gate", "document")), false, "gate"},
		"in a route, behind a response": {
			site("gate /mcp", block("route", "respond no", "document")),
			false, "static_response"},
		"behind a response to a client": {
			site("@a remote_ip 10.0.0.1", block("route", "respond @a no", "document")),
			true, ""},
		"for some clients":            {site("@a remote_ip 10.0.0.1", "document @a", "gate"), true, ""},
		"behind a response to a POST": {site("@a method POST", block("route", "respond @a no", "document")), true, ""},
		"behind a response to GET": {
			site("@a method GET", "gate /mcp", block("route", "respond @a no", "document")),
			false, "static_response"},
		"behind a response to all others": {
			site("@a not path /.well-known/*", block("route", "respond @a no", "document")),
			true, ""},
		"behind what is not for others": {
			site("@a not path /mcp", "gate /mcp", block("route", "respond @a no", "document")),
			false, "static_response"},
		"by a regular expression":       {site("@a path_regexp ^/.well-known/[a-z-]{24}/", "document @a"), true, ""},
		"by another regular expression": {site("@a path_regexp ^/mcp", "document @a"), false, ""},
		"after a rewrite": {
			site(block("route", "rewrite * /index.php", block("handle /x*", "document"))),
			true, ""},
		"behind files": {site("gate /mcp", block("route", "file_server", "document")), false, "file_server"},
		"behind files that may not exist": {
			site(block("route", block("file_server", "pass_thru"), "document")),
			true, ""},
		"behind another decision": {
			site(block("route", block("forward_auth localhost:1", "uri /auth"), "document")),
			true, ""},
		"behind a header":   {site("header X y", "document"), true, ""},
		"behind an error":   {site("gate /mcp", block("route", "error 404", "document")), false, "error"},
		"in an error route": {site("gate", block("handle_errors", "document")), false, "gate"},
		"in a named route":  {lines(block("&(doc)", "document"), site(block("route", "invoke doc", "gate"))), true, ""},
		"in a named route of another": {
			lines(block("&(doc)", "document"), site(block("handle /mcp*", "invoke doc"), "gate")),
			false, "gate"},
		"at another host":            {lines(block("http://a.test", "document"), site("gate")), false, "gate"},
		"at a wildcard host":         {lines(block("http://*.test", "document"), site("gate")), false, "gate"},
		"all at a wildcard host":     {block("http://*.test", "document", "gate"), true, ""},
		"at any host":                {block("http://", "document", "gate"), true, ""},
		"at the host behind a proxy": {block("http://inner.test", "document", "gate"), true, ""},
		"nowhere behind a proxy":     {block("http://inner.test", "gate"), false, ""},
		"at another port":            {lines(block("http://mcp.test:8080", "document"), site("gate")), true, ""},
		"by a placeholder":           {site("@a path {http.vars.x}", "document @a", "gate"), true, ""},
		"by an expression":           {site("@a expression {method} == 'POST'", "document @a", "gate"), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(
				[]byte("{\n admin off\n persist_config off\n log {\n output discard\n }\n}\n"+c.config), nil)
			if err != nil {
				t.Fatal(err)
			}
			type result struct {
				reached bool
				by      string
			}
			of := func(r reach.Result) result { return result{r.Reached, r.By} }
			want := result{c.reached, c.by}
			read, err := reach.Read(config)
			if err != nil {
				t.Fatal(err)
			}
			if got := of(looked.In(read)); got != want {
				t.Errorf("as it is written: %+v, want %+v\n%s", got, want, config)
			}
			if got := of(looked.In(provisioned(t, config))); got != want {
				t.Errorf("as it is loaded: %+v, want %+v\n%s", got, want, config)
			}
		})
	}
}

// provisioned loads a configuration without running it.
func provisioned(t *testing.T, config []byte) []reach.Server {
	t.Helper()
	written := new(caddy.Config)
	if err := json.Unmarshal(config, written); err != nil {
		t.Fatal(err)
	}
	written.StorageRaw = json.RawMessage(fmt.Sprintf(`{"module":"file_system","root":%q}`, t.TempDir()))
	ctx, err := caddy.ProvisionContext(written)
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("http")
	if err != nil {
		t.Fatal(err)
	}
	return reach.Servers(app.(*caddyhttp.App))
}

// Named routes may invoke themselves. A walk ends all the same, and does not say no.
func TestAWalkEnds(t *testing.T) {
	read, err := reach.Read([]byte(`{"apps":{"http":{"servers":{"s":{
		"routes": [{"handle": [{"handler": "invoke", "name": "a"}]}],
		"named_routes": {"a": {"handle": [
			{"handler": "invoke", "name": "a"}, {"handler": "invoke", "name": "a"}, {"handler": "invoke", "name": "b"}]}}
	}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := looked.In(read); !got.Reached {
		t.Errorf("%+v", got)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	if servers, err := reach.Read([]byte(`{"apps":{"tls":{}}}`)); err != nil || len(servers) != 0 {
		t.Errorf("without servers: %v, %v", servers, err)
	}
	route := func(text string) string { return `{"apps":{"http":{"servers":{"s":{"routes":[` + text + `]}}}}}` }
	for name, config := range map[string]string{
		"no JSON":               `{`,
		"a handler of no name":  route(`{"handle":[{}]}`),
		"a handler of no type":  route(`{"handle":[7]}`),
		"a bad matcher":         route(`{"match":[{"path":7}]}`),
		"a bad matcher in not":  route(`{"match":[{"not":[{"host":7}]}]}`),
		"not of no list":        route(`{"match":[{"not":7}]}`),
		"a bad expression":      route(`{"match":[{"path_regexp":{"pattern":"("}}]}`),
		"a bad subroute":        route(`{"handle":[{"handler":"subroute","routes":7}]}`),
		"a bad route below":     route(`{"handle":[{"handler":"subroute","routes":[{"handle":[7]}]}]}`),
		"a bad name of a route": route(`{"handle":[{"handler":"invoke","name":7}]}`),
		"a bad named route":     `{"apps":{"http":{"servers":{"s":{"named_routes":{"a":{"handle":[7]}}}}}}}`,
	} {
		if _, err := reach.Read([]byte(config)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := new(reach.Written).ServeHTTP(nil, nil, nil); err == nil {
		t.Error("a handler that is only read has served")
	}
	two, err := reach.Read([]byte(`{"apps":{"http":{"servers":{"b":{},"a":{}}}}}`))
	if names := []string{two[0].Name, two[1].Name}; err != nil || !slices.IsSorted(names) {
		t.Errorf("servers %q, %v", names, err)
	}
}
