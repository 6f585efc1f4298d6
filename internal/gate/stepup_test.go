package gate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const mustSignIn = `Bearer realm="api", error="insufficient_user_authentication", ` +
	`error_description="the user must sign in again, or in a stronger way"`

// stepsUp is a gate that asks for a sign-in with gold or silver, at most five minutes ago.
func stepsUp(c *gate.Config) {
	c.Require.ACR, c.Require.MaxAuthAge = []string{"gold", "silver"}, 5*time.Minute
}

// TestStepUp is a truth table of acr, auth_time and what else may fail. The sign-in comes before the other
// requirements, and after everything that makes a token bad.
func TestStepUp(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, stepsUp, func(c *gate.Config) {
		c.Require.Scopes, c.Require.Groups = []string{"pay"}, []string{"staff"}
		c.Issuers[0].Leeway = 10 * time.Second
		c.Cache = newCache(t, 1<<20)
	})
	ago := func(seconds int64) int64 { return start.Unix() - seconds }
	full := m{"acr": "gold", "auth_time": ago(60), "scope": "pay", "groups": "staff"}
	const stepUp = gate.InsufficientUserAuthentication
	const both, all = `, acr_values="gold silver", max_age="300"`, `, scope="pay", acr_values="gold silver", max_age="300"`
	for name, c := range map[string]struct {
		change    m
		want      gate.Reason
		challenge string // behind the description
	}{
		"everything":                           {nil, "", ""},
		"the second class":                     {m{"acr": "silver"}, "", ""},
		"at the edge of the age":               {m{"auth_time": ago(310)}, "", ""},
		"beyond it":                            {m{"auth_time": ago(311)}, stepUp, both},
		"another class":                        {m{"acr": "bronze"}, stepUp, both},
		"no class":                             {m{"acr": nil}, stepUp, both},
		"no time, and a fresh token":           {m{"auth_time": nil}, stepUp, both},
		"both, and no scope":                   {m{"acr": nil, "auth_time": nil, "scope": nil}, stepUp, all},
		"an old sign-in, and another scope":    {m{"auth_time": ago(999), "scope": "x"}, stepUp, all},
		"another class, and no group":          {m{"acr": "x", "groups": nil}, stepUp, both},
		"only the scope":                       {m{"scope": "x"}, gate.InsufficientScope, ""},
		"only the group":                       {m{"groups": "x"}, gate.ClaimMismatch, ""},
		"an expired token of an old sign-in":   {m{"exp": ago(20), "auth_time": ago(999)}, gate.Expired, ""},
		"for another audience, without a time": {m{"aud": "x", "auth_time": nil}, gate.InvalidAudience, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(key.Sign(t, says(full, c.change)))
			agrees(t, g, r)
			for range 2 {
				if c.want == "" {
					accepted(t, g, r)
					continue
				}
				f := refused(t, g, r, c.want)
				if answer := g.Answer(f); c.want == stepUp &&
					(answer.Status != 401 || challengeOf(answer) != mustSignIn+c.challenge || f.Issuer != issuerA ||
						answer.ACRValues != "gold silver" || answer.MaxAge != 5*time.Minute ||
						strings.Contains(c.challenge, "scope") != (answer.Scope == "pay")) {
					t.Errorf("status %d, issuer %q, challenge %s", answer.Status, f.Issuer, challengeOf(answer))
				}
			}
		})
	}
	for reason, token := range map[gate.Reason]string{gate.MissingToken: "", gate.MalformedToken: "a.b.c"} {
		if got := challengeOf(g.Answer(refused(t, g, request(token), reason))); strings.Contains(got, "acr_values") ||
			strings.Contains(got, "max_age") {
			t.Errorf("a stranger learns what the route demands (RFC 9470 section 9): %s", got)
		}
	}
}

// A token that is remembered grows older, and so does its sign-in.
func TestSignInOfARememberedTokenGrowsOld(t *testing.T) {
	key, clock := tokentest.NewKey(t, "ES256", "k1"), newClock()
	g, keys := cached(t, newCache(t, 1<<20), key, stepsUp, func(c *gate.Config) { c.Now = clock.now })
	r := request(key.Sign(t, says(m{"acr": "gold", "auth_time": start.Unix() - 240, "exp": start.Unix() + 3600})))
	accepted(t, g, r)
	clock.advance(time.Minute)
	accepted(t, g, r)
	clock.advance(1)
	refused(t, g, r, gate.InsufficientUserAuthentication)
	if keys.finds.Load() != 1 {
		t.Error("the token was not remembered")
	}
}

// The claims of a consumer's token count as any others. Its leeway is that of the gate.
func TestStepUpOfConsumers(t *testing.T) {
	key, secret := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "s")
	g := build(t, key, stepsUp, func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", secret)}
		c.Leeway, c.Issuers[0].Leeway = 30*time.Second, 0
	})
	at := func(ago int64) m { return m{"acr": "gold", "auth_time": start.Unix() - ago} }
	accepted(t, g, request(secret.Sign(t, says(at(330), m{"iss": "shop-key"}))))
	refused(t, g, request(secret.Sign(t, says(at(331), m{"iss": "shop-key"}))), gate.InsufficientUserAuthentication)
	refused(t, g, request(key.Sign(t, says(at(301)))), gate.InsufficientUserAuthentication)
	accepted(t, g, request(key.Sign(t, says(at(300)))))
	refused(t, g, request(secret.Sign(t, says(m{"iss": "shop-key"}))), gate.InsufficientUserAuthentication)
	for _, change := range []func(*gate.Config){
		func(c *gate.Config) { c.Optional = true },
		func(c *gate.Config) { c.Consumers, c.Anonymous = []gate.Consumer{{Username: "guest"}}, "guest" },
	} {
		if config(t, key, stepsUp, change).Validate() == nil {
			t.Error("a request without a token could pass")
		}
	}
}

// RFC 9470 section 6.2: the members of an answer count like claims. About a JWT, both must hold.
func TestStepUpByAnswers(t *testing.T) {
	key, as := tokentest.NewKey(t, "ES256", "k1"), newAS(t)
	g := as.gate(gate.AskAlways, key, stepsUp, func(c *gate.Config) { c.Require.Scopes = []string{"pay"} })
	fresh := m{"acr": "gold", "auth_time": start.Unix() - 60, "scope": "pay"}
	for name, c := range map[string]struct {
		token, answer m
		opaque, jwt   bool // whether it passes
	}{
		"both":                            {fresh, fresh, true, true},
		"the answer says nothing":         {fresh, nil, false, true},
		"the answer has only nulls":       {fresh, m{"acr": (*int)(nil), "auth_time": (*int)(nil)}, false, true},
		"another class in the answer":     {fresh, m{"acr": "x", "auth_time": start.Unix(), "scope": "pay"}, false, false},
		"only another class":              {fresh, m{"acr": "x"}, false, false},
		"an older sign-in in the answer":  {fresh, m{"acr": "gold", "auth_time": start.Unix() - 999}, false, false},
		"a list in the answer":            {fresh, m{"acr": []string{"gold"}}, false, false},
		"a text as time in the answer":    {fresh, m{"auth_time": "1795435200"}, false, false},
		"only the answer has them":        {m{"scope": "pay"}, fresh, true, false},
		"another class only in the token": {m{"acr": "x", "auth_time": start.Unix(), "scope": "pay"}, fresh, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			jwt, opaque := key.Sign(t, says(c.token, m{"jti": name})), "opaque-"+strings.ReplaceAll(name, " ", "-")
			as.says[jwt], as.says[opaque] = active(c.answer), active(c.answer)
			for token, passes := range map[string]bool{jwt: c.jwt, opaque: c.opaque} {
				if passes {
					accepted(t, g, request(token))
					continue
				}
				f := refused(t, g, request(token), gate.InsufficientUserAuthentication)
				if got := challengeOf(g.Answer(f)); !strings.HasPrefix(got, mustSignIn) {
					t.Errorf("challenge %s", got)
				}
			}
		})
	}
}

func TestMistakesInStepUp(t *testing.T) {
	for name, c := range map[string]struct {
		require gate.Requirements
		field   string
	}{
		"an empty class":          {gate.Requirements{ACR: []string{"a", ""}}, "ACR"},
		"a blank in a class":      {gate.Requirements{ACR: []string{"a b"}}, "ACR"},
		"a quote in a class":      {gate.Requirements{ACR: []string{`a"`}}, "ACR"},
		"a line end in a class":   {gate.Requirements{ACR: []string{"a\n"}}, "ACR"},
		"a letter beyond ASCII":   {gate.Requirements{ACR: []string{"ä"}}, "ACR"},
		"a negative age":          {gate.Requirements{MaxAuthAge: -time.Second}, "MaxAuthAge"},
		"a part of a second":      {gate.Requirements{MaxAuthAge: 1500 * time.Millisecond}, "MaxAuthAge"},
		"less than a second":      {gate.Requirements{MaxAuthAge: 1}, "MaxAuthAge"},
		"more than we take":       {gate.Requirements{MaxAuthAge: gate.MaxAuthAge + time.Second}, "MaxAuthAge"},
		"an any_scope of nothing": {gate.Requirements{AnyScopes: [][]string{{"a"}, {}}}, "AnyScopes[1]"},
	} {
		if err := c.require.Validate(); setting.Field(err) != c.field {
			t.Errorf("%s: field %q, error %v", name, setting.Field(err), err)
		}
	}
	condition := gate.Condition{Requirements: gate.Requirements{ACR: []string{"gold"}}}
	if err := condition.Validate(); setting.Field(err) != "ACR" {
		t.Errorf("a condition about acr: %v", err)
	}
}

func TestStepUpOfAHitAllocatesNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "RS256", "k1")
	g, _ := cached(t, newCache(t, 1<<20), key, stepsUp)
	r := request(key.Sign(t, says(m{"acr": "silver", "auth_time": start.Unix()})))
	accepted(t, g, r)
	if n := testing.AllocsPerRun(200, func() { _, _ = g.Check(direct(r)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
