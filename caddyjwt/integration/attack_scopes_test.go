package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A gate that makes syntax of "|" or "*" lets a token choose what it means: a scope "*" is everything, and "read|write"
// is both. In a hierarchy, a name that only resembles the broad scope would be worth all that it implies. Only exact
// names count, in any_scope and in scope_implies, and no scope implies a broader one.
func TestAttackScopesAlternativesAndHierarchy(t *testing.T) {
	t.Setenv("GATE_STAR", "mcp:*") // in a Caddyfile, a star as it stands is taken for a mistake
	s, issuer, key := claimSite(t, "require any_scope read write|all {env.GATE_STAR}", "require scope base",
		"scope_implies admin base read", "scope_implies root admin")
	for name, scope := range map[string]any{
		"one alternative": "base read", "one with a bar": "write|all base", "one with a star": "base mcp:*",
		"implied": "admin", "implied in two steps": "x root", "in two claims": []string{"base", "read"},
	} {
		s.attack(t, "control: "+name, func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(issuer, "scope", scope))))
		})
	}
	for name, scope := range map[string]any{
		"half of a bar": "base write", "the other half": "base all", "all in one": "base read|write|all|mcp:*",
		"a star alone": "*", "a star beside": "base *", "a star in front": "base *:read", "a pattern": "base mcp:read",
		"a regular expression": "base .*", "a prefix": "base rea read:x", "upper case": "BASE READ", "a title": "Admin Root",
		"narrow": "base", "the other narrow one": "read", "quoted": `"admin"`, "escaped": `\admin`, "commas": "admin,root",
		"a bar between": "admin|root", "a tab": "admin\troot", "a line end": "root\nadmin", "a NUL": "root\x00",
		"a NUL in front": "\x00admin", "a control character": "base read\x01", "a form feed": "base\fread",
		"a no-break space": "base\u00a0read", "an ideographic space": "base\u3000read", "a zero-width space": "admin\u200b",
		"Cyrillic letters": "\u0430dmin", "more of them": "r\u043e\u043et", "full width": "\uff41\uff44\uff4d\uff49\uff4e",
		"a combining mark": "admin\u0301", "a soft hyphen": "ad\u00admin", "a dotless letter": "adm\u0131n",
		"a long s": "ba\u017fe read", "a list in a list": []string{"base read"},
		"plus": "base+read", "percent": "base%20read", "the arrow": "admin->base", "a negation": "!admin -root",
		"a placeholder": "{http.request.host} {env.ADMIN}", "the text of an array": `["admin"]`,
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.send(key.Sign(t, issuedBy(issuer, "scope", scope)))
			a.refusedFor(got, "insufficient_scope")
			if field := got.Header.Get("WWW-Authenticate"); !strings.HasSuffix(field, `scope="base read"`) {
				t.Errorf("the challenge %s names something else than the route's scopes", field)
			}
		})
	}
	for name, scope := range map[string]any{
		"an object": map[string]any{"admin": true}, "a number": 1, "a nested array": []any{[]string{"admin"}},
		"an object in an array": []any{map[string]any{"value": "admin"}}, "true": true,
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "scope", scope))), "malformed_token")
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "scope", "base", "scp", scope))), "malformed_token")
		})
	}
	s.attack(t, "a scope twice in the payload", func(t *testing.T, a *attempt) {
		payload := strings.Replace(asJSON(t, issuedBy(issuer, "scope", "x")), `"scope":"x"`, `"scope":"x","scope":"admin"`, 1)
		a.refusedFor(a.send(key.SignRaw(`{"alg":"ES256","kid":"e1","typ":"JWT"}`, payload)), "malformed_token")
	})
	s.attack(t, "in other claims", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "scopes", "admin", "roles", []string{"root"}, "Scope", "root",
			"SCP", "admin"))), "insufficient_scope")
	})
}

// A matcher behind one gate goes by the hierarchy of that gate. A hierarchy that stays from an earlier gate in the
// chain would give a token rights that its own gate does not know.
func TestAttackScopesHierarchyOfAnotherGate(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	first := gateFor(issuerByJWKS(as), "scope_implies admin read", "forward_token")
	second := gateFor(issuerByJWKS(as))
	passing := gateFor(issuerByJWKS(as), "forward_token")
	behind := "\n@readers bearer any_scope none read\nrespond @readers readers\nrespond others\n"
	for name, test := range map[string]struct{ gates, want string }{
		"control: its own gate":             {first, "readers"},
		"control: the last gate has one":    {passing + "\n" + first, "readers"},
		"the first gate of two has one":     {first + "\n" + second, "others"},
		"the same gates, and another scope": {first + "\n" + strings.Replace(first, "admin read", "admin x", 1), "others"},
	} {
		s.loadFile(s.caddyfile("route {\n" + test.gates + behind + "}"))
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.send(key.Sign(t, issuedBy(as.URL, "scope", "admin")))
			if got.StatusCode != http.StatusOK || got.body != test.want {
				t.Errorf("status %d, body %q, want %q", got.StatusCode, got.body, test.want)
			}
		})
	}
}

// A server takes scopes back from a JWT that goes on to say that it has them. They must be gone for all that asks for
// scopes: the route, the tool of a message, and a matcher behind the gate. It is the same for a remembered token.
func TestAttackScopesTakenBackByTheServer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := introspector(t, tokentest.WithKeys(key))
	const every = "base tools files:read files:write"
	n := 0
	whole := func(left any) string {
		n++
		as.Introspect(always(active("scope", left)))
		return key.Sign(t, issuedBy(as.URL, "scope", every, "jti", asJSON(t, n)))
	}
	left := map[string]any{"one is missing": "base tools files:read", "all but the route's": "base"}

	s := start(t, gateForAudience(introspecting(as, "always"), "require scope base", mcpBlock))
	s.attack(t, "control: a tool, by an answer with all scopes", func(t *testing.T, a *attempt) {
		a.passed(a.message(whole(every), call("delete_file")))
	})
	s.attack(t, "control: a tool, by an answer without scopes", func(t *testing.T, a *attempt) {
		a.passed(a.message(whole(nil), call("delete_file")))
	})
	for name, scopes := range left {
		s.attack(t, "a tool: "+name, func(t *testing.T, a *attempt) {
			for token, i := whole(scopes), 0; i < 3; i++ {
				a.refusedFor(a.message(token, call("delete_file")), "insufficient_scope")
			}
			a.logSays(`in the server's answer: the token lacks the scope`)
		})
	}
	s.loadFile(s.caddyfile("route {\n" + gateForAudience(introspecting(as, "always"), "require scope base",
		"scope_implies files:write files:delete") +
		"\n@all bearer scope files:delete\n@any bearer any_scope none files:delete\nrespond @all all\nrespond @any any\n" +
		"respond others\n}"))
	s.attack(t, "control: a matcher, by an answer with all scopes", func(t *testing.T, a *attempt) {
		if got := a.send(whole(every)); got.body != "all" {
			t.Errorf("status %d, body %q", got.StatusCode, got.body)
		}
	})
	for name, scopes := range left {
		s.attack(t, "a matcher: "+name, func(t *testing.T, a *attempt) {
			for token, i := whole(scopes), 0; i < 3; i++ {
				if got := a.send(token); got.body != "others" {
					t.Errorf("status %d, body %q", got.StatusCode, got.body)
				}
			}
		})
	}
}
