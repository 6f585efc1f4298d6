package gate_test

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The JWT that is verified here and the answer of the server must be about the same token.
func TestConfirmationOfAJWT(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t,
		says(m{"client_id": "app", "aud": []string{api, "other"}, "roles": []string{"a"}, "scope": "read"}))
	require := func(c *gate.Config) {
		c.Issuers[0].RequiredClaims = append(c.Issuers[0].RequiredClaims, path(t, "roles"))
	}
	for name, c := range map[string]struct {
		change func(*gate.Config)
		answer m
		want   gate.Reason
	}{
		"active alone":                       {nil, m{"active": true}, ""},
		"active with the same claims":        {nil, active(m{"client_id": "app"}), ""},
		"inactive":                           {nil, m{"active": false}, gate.Inactive},
		"another subject":                    {nil, active(m{"sub": "bob"}), gate.Contradiction},
		"another client":                     {nil, active(m{"client_id": "evil"}), gate.Contradiction},
		"another issuer":                     {nil, active(m{"iss": issuerB}), gate.InvalidIssuer},
		"another audience":                   {nil, active(m{"aud": "x"}), gate.Contradiction},
		"an audience of the token, not ours": {nil, active(m{"aud": "other"}), gate.InvalidAudience},
		"a part of the audience":             {nil, active(m{"aud": api}), ""},
		"an empty audience":                  {nil, active(m{"aud": []string{}}), gate.InvalidAudience},
		"expired there":                      {nil, active(m{"exp": start.Unix()}), gate.Expired},
		"not yet valid there":                {nil, active(m{"nbf": start.Unix() + 1}), gate.NotYetValid},
		"bound there":                        {nil, active(m{"cnf": m{}}), gate.ProofRequired},
		"a refresh token there":              {nil, active(m{"token_use": "refresh_token"}), gate.InvalidType},
		"a required claim only in the token": {require, m{"active": true}, ""},
		"a required claim in both":           {require, active(m{"roles": []string{"b"}}), ""},
		"a scope only in the token": {func(c *gate.Config) { c.Require.Scopes = []string{"read"} },
			m{"active": true}, ""},
		"a scope that the answer lacks": {func(c *gate.Config) { c.Require.Scopes = []string{"read"} },
			active(m{"scope": "openid"}), gate.InsufficientScope},
		"no scope left in the answer": {func(c *gate.Config) { c.Require.Scopes = []string{"read"} },
			active(m{"scope": ""}), gate.InsufficientScope},
		"a scope that only the answer has": {func(c *gate.Config) { c.Require.Scopes = []string{"write"} },
			active(m{"scope": "write"}), gate.InsufficientScope},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			as.says[token] = c.answer
			changes := []func(*gate.Config){func(c *gate.Config) { c.Cache = newCache(t, 1<<20) }}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			g := as.gate(gate.AskAlways, key, changes...)
			for range 2 {
				if c.want == "" {
					accepted(t, g, request(token))
				} else {
					refused(t, g, request(token), c.want)
				}
			}
		})
	}
}

func TestMaxAgeOfAnswers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := newAS(t)
	as.says["t"] = active()
	client := as.introspection(gate.AskOpaque)
	with := func(age *time.Duration) *gate.Gate {
		return as.gate(gate.AskOpaque, key, func(c *gate.Config) {
			c.Issuers[0].Asking, c.Asking.MaxAge = client, age
		})
	}
	zero, ten := time.Duration(0), 10*time.Second
	always, recent, whenever := with(&zero), with(&ten), with(nil)
	for i, step := range []struct {
		g     *gate.Gate
		after time.Duration
		asked int
	}{
		{whenever, 0, 1}, {whenever, 0, 1}, {recent, 0, 1}, {always, 0, 2}, {always, 0, 3},
		{recent, 9 * time.Second, 3}, {recent, 2 * time.Second, 4}, {whenever, 20 * time.Second, 4}, {recent, 0, 5},
	} {
		as.clock.advance(step.after)
		accepted(t, step.g, request("t"))
		if n := as.asked(); n != step.asked {
			t.Fatalf("step %d: asked %d times, want %d", i, n, step.asked)
		}
	}
	delete(as.says, "t") // revoked
	accepted(t, whenever, request("t"))
	refused(t, always, request("t"), gate.Inactive)
	refused(t, whenever, request("t"), gate.Inactive)
}

func TestCachedAnswerIsJudgedAnew(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := newAS(t)
	as.says["t"] = active(m{"exp": start.Unix() + 10})
	client := as.introspection(gate.AskOpaque)
	same := func(c *gate.Config) { c.Issuers[0].Asking = client }
	g := as.gate(gate.AskOpaque, key, same)
	other := as.gate(gate.AskOpaque, key, same, func(c *gate.Config) { c.Audience = accept("x") })
	accepted(t, g, request("t"))
	refused(t, other, request("t"), gate.InvalidAudience)
	as.clock.advance(10*time.Second - 1)
	accepted(t, g, request("t"))
	if as.asked() != 1 {
		t.Errorf("asked %d times, want once", as.asked())
	}
	as.clock.advance(1)
	refused(t, g, request("t"), gate.Expired)
}

func TestIdentityOfAnAnswer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		answer m
		want   string
	}{
		"sub":              {active(m{"username": "al"}), "alice"},
		"username":         {active(m{"sub": nil, "username": "al"}), "al"},
		"neither":          {active(m{"sub": nil}), ""},
		"username, number": {active(m{"sub": nil, "username": 7}), ""},
		"username, blank":  {active(m{"sub": nil, "username": " "}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			as.says["t"] = c.answer
			if id := accepted(t, as.gate(gate.AskOpaque, key), request("t")); id.ID != c.want {
				t.Errorf("ID %q, want %q", id.ID, c.want)
			}
		})
	}
	if _, err := gate.DecodeAnswer(issuerA, nil)([]byte(`{"active":true,"active":false}`)); err == nil {
		t.Error("an ambiguous answer was decoded")
	}
}
