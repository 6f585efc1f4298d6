package caddyjwt_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func init() { caddy.RegisterModule(new(login)) }

// login is a provider for Caddy's own authentication handler. Every request is this user's.
type login struct {
	User string `json:"user"`
}

func (*login) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.authentication.providers.bearer_auth_login",
		New: func() caddy.Module { return new(login) },
	}
}

func (l *login) Authenticate(http.ResponseWriter, *http.Request) (caddyauth.User, bool, error) {
	return caddyauth.User{ID: l.User, Metadata: map[string]string{"role": "admin"}}, true, nil
}

const loginJSON = `{"handler": "authentication", "providers": {"bearer_auth_login": {"user": "bob"}}}`

// visit sends one request through handlers, and returns the result and the replacer that they have filled.
func visit(t *testing.T, handlers, token string, header http.Header) (*http.Request, *caddy.Replacer, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", nil)
	if header != nil {
		r.Header = header
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	repl := caddy.NewReplacer()
	r = caddyhttp.PrepareRequest(r, repl, httptest.NewRecorder(), new(caddyhttp.Server))
	err := chain(t, handlers).ServeHTTP(httptest.NewRecorder(), r)
	return r, repl, err
}

// saying is a token with these claims and the required ones.
func saying(t *testing.T, key *tokentest.Key, extra map[string]any) string {
	t.Helper()
	all := map[string]any{
		"iss": "https://as.example.com", "aud": "https://orders.example.com",
		"exp": time.Now().Add(time.Hour).Unix(),
	}
	for name, value := range extra {
		all[name] = value
	}
	return key.Sign(t, all)
}

// An authentication handler before or after the gate sets placeholders of its own. The gate removes those set before:
// it decides who is calling. It hides none that are set after it.
func TestPlaceholdersBesideAnotherAuthentication(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	zoe := saying(t, key, map[string]any{"sub": "zoe", "email": "zoe@example.com"})
	optional := issuerJSON(t, key, map[string]any{"optional": true})
	const text = "{http.auth.user.id}|{http.auth.user.role}|{http.auth.user.email}|{http.auth.bearer.issuer}"
	for _, test := range []struct{ name, handlers, token, want string }{
		{"the other first, a good token", loginJSON + "," + optional, zoe, "zoe||zoe@example.com|https://as.example.com"},
		{"the other first, no token", loginJSON + "," + optional, "", "|||"},
		{"the other first, a bad token", loginJSON + "," + optional, "x.y.z", "|||"},
		{"the other afterwards, a good token", optional + "," + loginJSON, zoe,
			"bob|admin|zoe@example.com|https://as.example.com"},
		{"the other afterwards, no token", optional + "," + loginJSON, "", "bob|admin||"},
		{"the other between two gates", optional + "," + loginJSON + "," + optional, "", "|||"},
		{"the user set by hand before the gate", `{"handler": "vars", "http.auth.user.id": "bob"},` + optional, "", "|||"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, repl, _ := visit(t, test.handlers, test.token, nil)
			if got := repl.ReplaceKnown(text, ""); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// What the gate keeps among Caddy's variables reveals nothing when it is printed.
func TestVerdictVariablePrintsNothing(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	handler := issuerJSON(t, key, map[string]any{"optional": true})
	for name, test := range map[string]struct{ token, want string }{
		"a good token": {saying(t, key, map[string]any{"sub": "zoe", "pin": "1234"}), "zoe"},
		"no token":     {"", ""},
		"a bad token":  {"x.y.z", "the access token is expired, revoked, malformed or otherwise invalid"},
	} {
		_, repl, _ := visit(t, handler, test.token, nil)
		if got := repl.ReplaceAll("{http.vars.bearer_auth.verdict}", ""); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// In a text, a list or object has the form that forward_claims gives it.
func TestPlaceholdersPrintWhatForwardClaimSends(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	handler := issuerJSON(t, key, map[string]any{"forward_claims": []any{map[string]any{"claim": "it", "header": "X-It"}}})
	for name, value := range map[string]any{
		"a text":                         "Zoë",
		"a number":                       42,
		"a fraction":                     0.625,
		"a boolean":                      true,
		"texts":                          []any{"a", "b"},
		"one text":                       []any{"a"},
		"a text with a comma":            []any{"a,b", "c"},
		"an empty list":                  []any{},
		"an empty text in a list":        []any{"a", ""},
		"numbers":                        []any{1, 2.5, -3},
		"booleans and null":              []any{true, nil},
		"an object":                      map[string]any{"a": 1, "b": "x", "c": []any{"y", "z"}},
		"an empty object":                map[string]any{},
		"a list in an object":            map[string]any{"roles": []any{"clerk", "manager"}},
		"an object in a list":            []any{map[string]any{"city": "Bonn"}},
		"lists in a list":                []any{[]any{"a"}, []any{}},
		"quotes and backslashes":         []any{`"`, `\`, 1},
		"what reads like a placeholder":  []any{"{http.auth.user.id}", 1},
		"what reads like another number": []any{"1", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			r, repl, err := visit(t, handler,
				saying(t, key, map[string]any{"it": value, "in": map[string]any{"it": value}}), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, placeholder := range []string{"{http.auth.user.it}", "{http.auth.user.in.it}"} {
				if got, want := repl.ReplaceAll(placeholder, ""), r.Header.Get("X-It"); got != want || got == "" {
					t.Errorf("%s is %q, the header %q", placeholder, got, want)
				}
			}
		})
	}
}

// So have the lists and objects inside, when a template takes them out.
func TestPlaceholdersPrintNestedListsAndObjects(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	_, repl, err := visit(t, issuerJSON(t, key, nil), saying(t, key, map[string]any{
		"list": []any{[]any{"a", "b"}, map[string]any{"x": 1}},
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	value, _ := repl.Get("http.auth.user.list")
	var texts []string
	for _, element := range elements(t, value) {
		texts = append(texts, caddy.ToString(element))
	}
	want := claims.TextOf([]any{"a", "b"}) + ` {"x":1}`
	if got := strings.Join(texts, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// elements are those of a list of whatever type.
func elements(t *testing.T, value any) []any {
	t.Helper()
	list := reflect.ValueOf(value)
	if list.Kind() != reflect.Slice {
		t.Fatalf("%T is not a list", value)
	}
	var all []any
	for i := range list.Len() {
		all = append(all, list.Index(i).Interface())
	}
	return all
}
