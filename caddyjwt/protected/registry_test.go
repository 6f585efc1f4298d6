package protected

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/resource"
)

func identifier(t *testing.T, text string) resource.Identifier {
	t.Helper()
	id, err := resource.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Caddy provisions servers in any order. The document is the same, and so is its ETag.
func TestDocumentDoesNotDependOnTheOrderOfServers(t *testing.T) {
	type told struct{ server, issuer string }
	all := []told{{"srv0", "https://one"}, {"srv0", "https://two"}, {"srv1", "https://three"}, {"srv2", "https://four"}}
	for name, order := range map[string][]int{
		"as they are": {0, 1, 2, 3}, "backwards": {3, 2, 0, 1}, "mixed": {2, 0, 3, 1}, "in between": {0, 3, 1, 2},
	} {
		var r Registry
		id := identifier(t, "https://example.com/mcp")
		e := r.serve(id)
		for _, i := range order {
			if err := r.Add(all[i].server, id, resource.Part{Servers: []string{all[i].issuer}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Finish(); err != nil {
			t.Fatal(err)
		}
		const want = `"authorization_servers":["https://one","https://two","https://three","https://four"]`
		if !strings.Contains(string(e.document.Body), want) {
			t.Errorf("%s: %s", name, e.document.Body)
		}
	}
}

func TestRegistryKnowsWhatGatesGuard(t *testing.T) {
	var r Registry
	a, b, c := identifier(t, "https://a.example"), identifier(t, "https://b.example"), identifier(t, "https://c.example")
	r.serve(b)
	for _, id := range []resource.Identifier{c, b, a} {
		if err := r.Add("srv0", id, resource.Part{}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := r.Guarded(), []resource.Identifier{a, b, c}; !reflect.DeepEqual(got, want) {
		t.Errorf("guarded: %v, want %v", got, want)
	}
	if err := r.Finish(); err != nil {
		t.Errorf("a gate may be served elsewhere: %v", err)
	}
	r = Registry{}
	r.serve(a)
	if err := r.Finish(); err == nil || !strings.Contains(err.Error(), "no bearer_auth has this resource") {
		t.Errorf("a handler without a gate: %v", err)
	}
	if got := r.Guarded(); got != nil {
		t.Errorf("guarded: %v", got)
	}
}

// A server may take requests before the app has started. They get the whole document, whoever comes first.
func TestRequestsBeforeTheStart(t *testing.T) {
	var r Registry
	id := identifier(t, "https://example.com/mcp")
	h := &Handler{path: id.MetadataPath(), registry: &r, entry: r.serve(id)}
	if err := r.Add("srv0", id, resource.Part{Servers: []string{"https://auth.example.com"}}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			w := httptest.NewRecorder()
			err := h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, id.MetadataPath(), nil), nobody(t))
			if err != nil || w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "https://auth.example.com") {
				t.Errorf("%v, status %d: %s", err, w.Code, w.Body)
			}
		})
	}
	all.Go(func() {
		if err := r.Finish(); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
}

// nobody is a next handler that no request may reach.
func nobody(t *testing.T) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		t.Error("the request went on")
		return nil
	})
}

// Two resources with the same path in a site for all hosts: each has its own host. A host that is nobody's may be the
// name of this server behind a proxy.
func TestHostDecidesBetweenTwoResources(t *testing.T) {
	var r Registry
	ids := []resource.Identifier{
		identifier(t, "https://one.example/mcp"), identifier(t, "https://two.example:8443/mcp"),
		identifier(t, "https://three.example/other"), identifier(t, "https://unserved.example/mcp"),
	}
	handlers := make([]*Handler, 3)
	for i, id := range ids {
		if i < len(handlers) {
			handlers[i] = &Handler{path: id.MetadataPath(), registry: &r, entry: r.serve(id)}
		}
		if err := r.Add("srv0", id, resource.Part{}); err != nil {
			t.Fatal(err)
		}
	}
	const first, second = `"https://one.example/mcp"`, `"https://two.example:8443/mcp"`
	for host, want := range map[string]string{
		"one.example": first, "ONE.example": first, "one.example:443": first, "one.example.": first,
		"one.example:80": first, "two.example:8443": second, "Two.Example:8443": second, "two.example.:8443": second,
		"two.example": first, "internal": first, "": first, "three.example": first, "unserved.example": first,
		"one.example:8443": first,
	} {
		w := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, ids[0].MetadataPath(), nil)
		request.Host = host
		last := nobody(t)
		for _, h := range []*Handler{handlers[2], handlers[1], handlers[0]} {
			next := last
			last = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, next) })
		}
		if err := last.ServeHTTP(w, request); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(w.Body.String(), `"resource":`+want) {
			t.Errorf("%q: %s, want %s", host, w.Body, want)
		}
	}
}
