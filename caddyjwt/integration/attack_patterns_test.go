package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A pattern is taken for more than a beginning: a name that only begins alike, a part in the middle, an escape that is
// decoded twice, a list that is read as one text. Registrars sell names that begin with any other (CWE-183, CWE-625).
func TestAttackRequirementsPatterns(t *testing.T) {
	s, issuer, key := claimSite(t, "require claim sub like repo:org/*", "require claim email like *@example.com",
		"require claim groups like team/* lead/*")
	good := []any{"sub", "repo:org/api", "email", "alice@example.com", "groups", []string{"x", "team/a"}}
	send := func(a *attempt, change ...any) answer {
		return a.send(key.Sign(t, issuedBy(issuer, append(append([]any{}, good...), change...)...)))
	}
	s.attack(t, "control: passes", func(_ *testing.T, a *attempt) { a.passed(send(a)) })
	s.attack(t, "control: SCIM", func(_ *testing.T, a *attempt) {
		a.passed(send(a, "groups", []any{7, map[string]any{"value": "lead/b"}}))
	})
	for name, change := range map[string][]any{
		"name with more":             {"sub", "repo:org-evil/x"},
		"name with a letter before":  {"sub", "xrepo:org/x"},
		"name inside":                {"sub", "repo:evil/repo:org/x"},
		"name behind a line end":     {"sub", "repo:evil/x\nrepo:org/x"},
		"name alone":                 {"sub", "repo:org"},
		"name in another case":       {"sub", "Repo:Org/x"},
		"percent-encoded slash":      {"sub", "repo:org%2fx"},
		"escaped twice":              {"sub", `repo:org\u002fx`},
		"backslash":                  {"sub", `repo:org\x`},
		"other slash":                {"sub", "repo:org\u2215x"},
		"Cyrillic letter":            {"sub", "repo:\u043erg/x"},
		"zero-width blank":           {"sub", "\u200brepo:org/x"},
		"byte order mark":            {"sub", "\ufeffrepo:org/x"},
		"blank before":               {"sub", " repo:org/x"},
		"the pattern without a name": {"sub", "*"},
		"longer domain":              {"email", "alice@example.com.evil"},
		"line end behind":            {"email", "alice@example.com\n"},
		"NUL behind":                 {"email", "alice@example.com\u0000"},
		"subdomain":                  {"email", "alice@sub.example.com"},
		"prefix of the domain":       {"email", "alice@evil-example.com"},
		"two addresses":              {"email", "alice@example.com,mallory@evil.example"},
		"no address":                 {"email", nil},
		"number":                     {"email", 7},
		"object":                     {"email", map[string]any{"alice@example.com": true}},
		"object with a value":        {"email", map[string]any{"value": "alice@example.com"}},
		"nested list":                {"groups", []any{[]string{"team/a"}}},
		"list as one text":           {"groups", "x team/a"},
		"comma list":                 {"groups", "x,team/a"},
		"names of members":           {"groups", map[string]any{"team/a": true}},
		"list of objects":            {"groups", []any{map[string]any{"name": "team/a"}}},
		"value that is a list":       {"groups", []any{map[string]any{"value": []string{"team/a"}}}},
		"group with more":            {"groups", []string{"teams/a", "xteam/a", "team"}},
	} {
		s.attack(t, name, func(_ *testing.T, a *attempt) { a.refusedFor(send(a, change...), "claim_mismatch") })
	}
	// Two readers of a duplicate member would see two claims.
	for name, member := range map[string]string{
		"duplicate, the good one first": `"email":"a@example.com","email":"a@evil.example"`,
		"duplicate, the good one last":  `"email":"a@evil.example","email":"a@example.com"`,
		"duplicate by an escape":        `"email":"a@evil.example","em\u0061il":"a@example.com"`,
		"lone surrogate":                `"email":"\ud800@example.com"`,
	} {
		s.attack(t, name, func(_ *testing.T, a *attempt) {
			payload := strings.TrimSuffix(asJSON(t, issuedBy(issuer, append(good, "email", nil)...)), "}") + "," + member + "}"
			a.refusedFor(a.send(key.SignRaw(`{"alg":"ES256","kid":"e1"}`, payload)), "malformed_token")
		})
	}
}

// A bound is passed by something that is not a number, or by rounding: a text that a lenient language compares as a
// number, a boolean that counts as 1, null that counts as 0, a float that cannot hold the integer (CWE-681, CWE-843).
func TestAttackRequirementsNumbers(t *testing.T) {
	s, issuer, key := claimSite(t, "require claim level at_least 5", "require claim level at_most 9007199254740992")
	send := func(a *attempt, level string) answer {
		payload := strings.TrimSuffix(asJSON(t, issuedBy(issuer)), "}") + `,"level":` + level + "}"
		return a.send(key.SignRaw(`{"alg":"ES256","kid":"e1"}`, payload))
	}
	for _, level := range []string{"5", "5.0", "0.5e1", "50E-1", "6", "9007199254740992", "9.007199254740992e15"} {
		s.attack(t, "control: "+level, func(_ *testing.T, a *attempt) { a.passed(send(a, level)) })
	}
	for _, level := range []string{
		`"5"`, `"6"`, `"0x6"`, `"Infinity"`, `true`, `false`, `null`, `[5]`, `[6,7]`, `{}`, `{"value":6}`, `[{"value":6}]`,
		`4`, `4.999999999999999999999999`, `-6`, `-5`, `0`, `5e-1`, `1e-999999999`, `-1e999999999`,
		`9007199254740993`, `9007199254740992.0000001`, `1e16`, `1e999999999`, `1e` + strings.Repeat("9", 5_000),
		strings.Repeat("9", 5_000), `0.` + strings.Repeat("0", 5_000) + `9`,
	} {
		s.attack(t, fmt.Sprintf("%.40s", level), func(_ *testing.T, a *attempt) {
			a.refusedFor(send(a, level), "claim_mismatch")
		})
	}
	for _, level := range []string{`NaN`, `Infinity`, `+6`, `06`, `6.`, `.6`, `0x6`, `6,"level":4`, `4,"level":6`} {
		s.attack(t, level, func(_ *testing.T, a *attempt) { a.refusedFor(send(a, level), "malformed_token") })
	}
}

// What is excluded hides: in another form, at another place of a list, under a name that only a lenient reader follows,
// or as another spelling of the same number. A form in which it cannot be seen is refused (CWE-184).
func TestAttackRequirementsExclusions(t *testing.T) {
	s, issuer, key := claimSite(t, "require not claim realm.role banned 5 true", "require not claim sub like test/*",
		"require not scope guest", "require not group out", "scope_implies visitor guest")
	send := func(a *attempt, change ...any) answer { return a.send(key.Sign(t, issuedBy(issuer, change...))) }
	role := func(value any) []any { return []any{"realm", map[string]any{"role": value}} }
	for name, change := range map[string][]any{
		"nothing":        nil,
		"another role":   role("clerk"),
		"other roles":    role([]any{"clerk", 6, false}),
		"an empty list":  role([]any{}),
		"null":           role(nil),
		"another claim":  {"role", "banned"},
		"another scope":  {"scope", "guests visit"},
		"another group":  {"groups", []string{"in", "outer"}},
		"another tester": {"sub", "contest/1"},
	} {
		s.attack(t, "control: "+name, func(_ *testing.T, a *attempt) { a.passed(send(a, change...)) })
	}
	for name, change := range map[string][]any{
		"plainly":                       role("banned"),
		"last of a list":                role([]any{"a", "b", "banned"}),
		"behind another type":           role([]any{1, true, "banned"}),
		"as SCIM writes it":             role([]any{map[string]any{"value": "banned"}}),
		"as the name of a member":       role(map[string]any{"banned": true}),
		"as a member":                   role(map[string]any{"name": "banned"}),
		"as a member called value":      role(map[string]any{"value": "banned"}),
		"in a list in a list":           role([]any{[]any{"banned"}}),
		"in an object in a list":        role([]any{map[string]any{"name": "banned"}}),
		"in a value that is a list":     role([]any{map[string]any{"value": []any{"banned"}}}),
		"in a list on the way":          {"realm", []any{map[string]any{"role": "banned"}}},
		"in a text on the way":          {"realm", `{"role":"banned"}`},
		"a number":                      role(5),
		"a number in a list":            role([]any{4, 5}),
		"a number as a text":            role("5"),
		"a boolean":                     role(true),
		"a pattern":                     {"sub", "test/1"},
		"the scope":                     {"scope", "a guest"},
		"the scope in scp":              {"scp", []string{"guest"}},
		"a scope that implies it":       {"scope", "visitor"},
		"the group":                     {"groups", []string{"in", "out"}},
		"the group alone":               {"groups", "out"},
		"the group as a name":           {"groups", map[string]any{"out": true}},
		"the group in a list in a list": {"groups", []any{[]any{"out"}}},
	} {
		s.attack(t, name, func(_ *testing.T, a *attempt) { a.refusedFor(send(a, change...), "claim_mismatch") })
	}
	for _, value := range []string{"5.0", "5.000", "0.5e1", "50e-1", "[5.0]", `"b\u0061nned"`, `["b\u0061nned"]`} {
		s.attack(t, "spelled "+value, func(_ *testing.T, a *attempt) {
			payload := strings.TrimSuffix(asJSON(t, issuedBy(issuer)), "}") + `,"realm":{"role":` + value + "}}"
			a.refusedFor(a.send(key.SignRaw(`{"alg":"ES256","kid":"e1"}`, payload)), "claim_mismatch")
		})
	}
}

// Halves of two alternatives make none: scopes of one and a claim of another, a scope in the token and its sibling in
// the server's answer. A matcher behind the gate must not be looser than the gate.
func TestAttackRequirementsAlternatives(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := introspector(t, tokentest.WithKeys(key))
	lines := []string{"scope orders:read profile", "any_scope eu us", "claim roles reader", "claim level at_least 5",
		"not claim human"}
	s := prepare(t)
	sign := func(changes ...any) string {
		return key.Sign(t, issuedBy(as.URL, append([]any{"human", true}, changes...)...))
	}
	answers := func(changes ...any) {
		as.Introspect(always(active(append([]any{"iss", as.URL}, changes...)...)))
	}
	issuer := introspecting(as, "always", "cache_ttl 0s")
	s.load(gateForAudience(issuer, "require any {\n"+strings.Join(lines, "\n")+"\n}"))
	type try struct{ token, answer []any }
	for name, c := range map[string]try{
		"the scopes in both":       {[]any{"scope", "orders:read profile"}, []any{"scope", "profile orders:read x"}},
		"one of several in both":   {[]any{"scope", "eu us"}, []any{"scope", "us"}},
		"a role, and no scope":     {[]any{"roles", "reader"}, []any{"scope", ""}},
		"a level":                  {[]any{"level", 7}, nil},
		"an answer without scopes": {[]any{"scope", "eu"}, nil},
		"no human":                 {[]any{"human", nil}, nil},
	} {
		s.attack(t, "control: "+name, func(_ *testing.T, a *attempt) {
			answers(c.answer...)
			a.passed(a.send(sign(c.token...)))
		})
	}
	for name, c := range map[string]try{
		"nothing":                        {nil, nil},
		"half of the scopes":             {[]any{"scope", "orders:read"}, nil},
		"halves in both":                 {[]any{"scope", "orders:read"}, []any{"scope", "profile"}},
		"siblings in both":               {[]any{"scope", "eu"}, []any{"scope", "us"}},
		"one in the token, another kind": {[]any{"scope", "eu"}, []any{"scope", "orders:read profile"}},
		"scopes taken back":              {[]any{"scope", "orders:read profile eu"}, []any{"scope", ""}},
		"a role that the answer adds":    {nil, []any{"roles", "reader"}},
		"a role in another case":         {[]any{"roles", "Reader"}, nil},
		"a level as a text":              {[]any{"level", "7"}, nil},
		"a human by name":                {[]any{"human", map[string]any{"is": true}}, nil},
	} {
		s.attack(t, name, func(_ *testing.T, a *attempt) {
			answers(c.answer...)
			got := a.send(sign(c.token...))
			a.refusedFor(got, "insufficient_scope")
			if !strings.HasSuffix(got.Header.Get("WWW-Authenticate"), ` scope="orders:read profile"`) {
				t.Errorf("challenge %s", got.Header.Get("WWW-Authenticate"))
			}
		})
	}
	// The matcher has the same alternatives, behind a gate that asks for nothing.
	s.behind(
		"@them bearer any {\n"+strings.Join(lines, "\n")+"\n}\nrespond @them yes\nrespond no\nGATE",
		"audience "+audience,
		issuer,
	)
	for want, tries := range map[string][]try{
		"yes": {{[]any{"scope", "eu us"}, []any{"scope", "us"}}, {[]any{"roles", "reader"}, []any{"scope", ""}}},
		"no": {{[]any{"scope", "eu"}, []any{"scope", "us"}},
			{[]any{"scope", "orders:read profile"}, []any{"scope", "profile"}},
			{[]any{"level", "7"}, nil}},
	} {
		for i, c := range tries {
			s.attack(t, fmt.Sprintf("matcher: %s %d", want, i), func(t *testing.T, a *attempt) {
				answers(c.answer...)
				if got := a.get("/", sign(c.token...)); got.StatusCode != http.StatusOK || got.body != want {
					t.Errorf("status %d, %q", got.StatusCode, got.body)
				}
			})
		}
	}
}
