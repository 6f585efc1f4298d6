package matcher_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/matcher"
	"github.com/caddyjwt/gateway/caddyjwt/verdict"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/scope"
)

// provisioned is a matcher from JSON.
func provisioned(t testing.TB, text string) (*matcher.Matcher, error) {
	t.Helper()
	m := new(matcher.Matcher)
	if err := caddy.StrictUnmarshalJSON([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m, m.Provision(caddy.Context{Context: t.Context()})
}

// request is one as Caddy gives it to a matcher.
func request(t testing.TB) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", nil)
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
}

// staff is the identity of an issuer's token.
func staff(t testing.TB) *gate.Identity {
	t.Helper()
	set, err := claims.Decode([]byte(`{"iss": "https://as.example.com", "sub": "zoe", "scope": "read write",
		"groups": ["clerks", "staff"], "realm_access": {"roles": ["user", "admin"]}, "tenant": 7}`))
	if err != nil {
		t.Fatal(err)
	}
	return &gate.Identity{ID: "zoe", Issuer: "https://as.example.com", Claims: set}
}

func TestMatcherWithJSON(t *testing.T) {
	for text, want := range map[string]bool{
		`{"scopes": ["read", "write"]}`:                                                    true,
		`{"scopes": ["read", "delete"]}`:                                                   false,
		`{"any_scopes": [["delete", "write"], ["read"]]}`:                                  true,
		`{"any_scopes": [["delete", "write"], ["none"]]}`:                                  false,
		`{"claims": [{"claim": "realm_access.roles", "values": ["boss", "admin"]}]}`:       true,
		`{"claims": [{"claim": "realm_access"}, {"claim": "tenant", "values": ["7"]}]}`:    true,
		`{"claims": [{"claim": "realm_access"}, {"claim": "tenant", "values": ["8"]}]}`:    false,
		`{"groups": ["boss", "staff"]}`:                                                    true,
		`{"consumers": ["zoe"]}`:                                                           false,
		`{"issuers": ["https://as.example.com"], "groups": ["staff"], "scopes": ["read"]}`: true,
		`{"issuers": ["https://as.example.com"], "groups": ["boss"], "scopes": ["read"]}`:  false,
		`{"issuers": ["https://as.example.com/"]}`:                                         false,
	} {
		m, err := provisioned(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		r := request(t)
		verdict.Pass(r, staff(t), nil)
		if got, err := m.MatchWithError(r); err != nil || got != want {
			t.Errorf("%s: %v, error %v; want %v", text, got, err, want)
		}
	}
}

// A matcher goes by the hierarchy of the last gate. Nothing of an earlier one is left.
func TestMatcherKnowsWhichScopesImplyOthers(t *testing.T) {
	m, err := provisioned(t, `{"scopes": ["orders.read"], "any_scopes": [["none", "orders.write"]]}`)
	if err != nil {
		t.Fatal(err)
	}
	scopes, err := scope.NewHierarchy([]scope.Implication{
		{Broad: "write", Narrow: []string{"orders.write"}}, {Broad: "orders.write", Narrow: []string{"orders.read"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := request(t)
	for _, step := range []struct {
		scopes *scope.Hierarchy
		want   bool
	}{{scopes, true}, {nil, false}, {scopes, true}} {
		verdict.Pass(r, staff(t), step.scopes)
		if got, err := m.MatchWithError(r); err != nil || got != step.want {
			t.Errorf("matches %v, error %v; want %v", got, err, step.want)
		}
	}
	verdict.Refuse(r, &verdict.Refusal{Failure: &gate.Failure{Reason: gate.Expired}})
	if got, err := m.MatchWithError(r); got || err != nil {
		t.Errorf("a refused request matches: %v, error %v", got, err)
	}
}

// Without an identity there is no match. Without a gate there is an error, and its status is 500.
func TestMatcherWithoutAnIdentity(t *testing.T) {
	m, err := provisioned(t, `{"groups": ["staff"]}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		before  func(*http.Request)
		handled bool
	}{
		"a request that has none": {func(r *http.Request) { verdict.Pass(r, nil, nil) }, true},
		"a refused one": {func(r *http.Request) {
			verdict.Refuse(r, &verdict.Refusal{Failure: &gate.Failure{Reason: gate.Expired}})
		}, true},
		"a refused one that another gate had accepted": {func(r *http.Request) {
			verdict.Pass(r, staff(t), nil)
			verdict.Refuse(r, &verdict.Refusal{Failure: &gate.Failure{Reason: gate.Expired}})
		}, true},
		"one without a gate": {func(*http.Request) {}, false},
		"one with another verdict": {func(r *http.Request) {
			caddyhttp.SetVar(r.Context(), "bearer_auth.verdict", "zoe")
		}, false},
	} {
		r := request(t)
		test.before(r)
		got, err := m.MatchWithError(r)
		handler, failed := errors.AsType[caddyhttp.HandlerError](err)
		if got || failed == test.handled || failed && handler.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: matches %v, error %v", name, got, err)
		}
	}
	bare := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if got, err := m.MatchWithError(bare); got || err == nil {
		t.Errorf("a request outside of Caddy: matches %v, error %v", got, err)
	}
}

// What asks for nothing, or for nothing that a caller can have, does not load.
func TestMatcherMistakesInJSON(t *testing.T) {
	t.Setenv("MATCHER_EMPTY", "")
	t.Setenv("MATCHER_GROUP", "staff")
	for text, want := range map[string]string{
		`{}`:                                           "asks for nothing",
		`{"groups": []}`:                               "asks for nothing",
		`{"groups": [], "scopes": ["read"]}`:           "bearer group is an empty list",
		`{"groups": [""]}`:                             "a value of bearer group is empty",
		`{"groups": ["{env.MATCHER_EMPTY}"]}`:          "bearer group: {env.MATCHER_EMPTY} has no value",
		`{"groups": ["{http.request.host}"]}`:          "bearer group: {http.request.host} has no value",
		`{"issuers": [""]}`:                            "a value of bearer issuer is empty",
		`{"issuers": []}`:                              "asks for nothing",
		`{"consumers": [" "]}`:                         "bearer consumer is empty",
		`{"scopes": ["a b"]}`:                          `scope "a b": `,
		`{"any_scopes": [["a b"]]}`:                    `any_scope "a b": `,
		`{"any_scopes": [[]]}`:                         "bearer any_scope is an empty list",
		`{"any_scopes": [], "groups": ["a"]}`:          "bearer any_scope is an empty list",
		`{"claims": [{"claim": ""}]}`:                  "bearer claim: invalid path",
		`{"claims": [{"claim": "a..b"}]}`:              "bearer claim: invalid path",
		`{"claims": [{"claim": "{env.X}"}]}`:           "bearer claim: placeholders are not resolved here",
		`{"claims": [{"claim": "a", "values": []}]}`:   "bearer claim a is an empty list",
		`{"claims": [{"claim": "a", "values": [""]}]}`: "a value of bearer claim a is empty",
		`{"groups": ["{env.MATCHER_GROUP}"]}`:          "",
	} {
		_, err := provisioned(t, text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func TestMatcherTakesPlaceholders(t *testing.T) {
	t.Setenv("MATCHER_GROUP", "staff")
	m, err := provisioned(t, `{"groups": ["{env.MATCHER_GROUP}"]}`)
	if err != nil {
		t.Fatal(err)
	}
	r := request(t)
	verdict.Pass(r, staff(t), nil)
	if got, err := m.MatchWithError(r); !got || err != nil {
		t.Errorf("matches %v, error %v", got, err)
	}
	if text, err := json.Marshal(m); err != nil || string(text) != `{"groups":["{env.MATCHER_GROUP}"]}` {
		t.Errorf("JSON %s, error %v: the value must stay out of it", text, err)
	}
}

func TestMatcherAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	r := request(t)
	for _, identity := range []*gate.Identity{staff(t), nil} {
		verdict.Pass(r, identity, nil)
		for _, text := range matchers {
			m, err := provisioned(t, text)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(100, func() { _, _ = m.MatchWithError(r) }); n != 0 {
				t.Errorf("%s allocates %v times", text, n)
			}
		}
	}
}

var matchers = map[string]string{
	"scope":     `{"scopes": ["write"]}`,
	"any scope": `{"any_scopes": [["delete", "write"]]}`,
	"claim":     `{"claims": [{"claim": "realm_access.roles", "values": ["admin"]}]}`,
	"group":     `{"groups": ["boss", "staff"]}`,
	"all": `{"scopes": ["write"], "groups": ["staff"], "issuers": ["https://as.example.com"],
		"claims": [{"claim": "realm_access.roles", "values": ["boss", "admin"]}]}`,
	"no match": `{"groups": ["boss"]}`,
}

func BenchmarkMatcher(b *testing.B) {
	r := request(b)
	verdict.Pass(r, staff(b), nil)
	for name, text := range matchers {
		m, err := provisioned(b, text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = m.MatchWithError(r)
			}
		})
	}
}
