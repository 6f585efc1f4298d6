package gate_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// anyAudience lets issuerA's tokens be for anybody.
func anyAudience(c *gate.Config) { c.Issuers[0].Audience = gate.Audience{Any: true} }

// InterSystems IRIS signs both tokens of its /login with one key. Only the sub distinguishes them.
func TestAnyAudienceNeedsSubjectOrClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	login := m{"aud": nil, "sid": "dY01bRT0faBRrnWgBq2aFikW", "app": "/api/ttrg/"}
	nobody, client := m{"sub": nil}, m{"sub": nil, "client_id": "c"}
	route := func(c *gate.Config) { c.Audience, c.Issuers[0].Audience = gate.Audience{Any: true}, gate.Audience{} }
	for name, c := range map[string]struct {
		change []func(*gate.Config)
		set    []m
		typ    string
		want   gate.Reason
	}{
		"the access token":          {[]func(*gate.Config){anyAudience}, []m{login, {"sub": "_SYSTEM"}}, "JWT", ""},
		"the refresh token":         {[]func(*gate.Config){anyAudience}, []m{login, nobody}, "JWT", gate.MissingClaim},
		"any audience of the route": {[]func(*gate.Config){route}, []m{login, nobody}, "JWT", gate.MissingClaim},
		"a client is enough":        {[]func(*gate.Config){anyAudience}, []m{login, client}, "JWT", ""},
		"an audience is enough":     {nil, []m{nobody}, "JWT", ""},
		"an audience of the route, too": {[]func(*gate.Config){anyAudience,
			func(c *gate.Config) { c.Audience = accept(api) }},
			[]m{nobody}, "JWT", ""},
		"a claim of access tokens": {[]func(*gate.Config){anyAudience, requiring(t, "app")},
			[]m{login, nobody}, "JWT", ""},
		"a claim inside another": {[]func(*gate.Config){anyAudience, requiring(t, "realm_access.roles")},
			[]m{{"realm_access": m{"roles": []string{"a"}}}, nobody}, "JWT", ""},
		"claims that all tokens have": {[]func(*gate.Config){anyAudience,
			requiring(t, "exp", "/iss", "scope", "/scope", "jti")},
			[]m{login, nobody, {"scope": "x", "jti": "j"}}, "JWT", gate.MissingClaim},
		"a sub that is required": {[]func(*gate.Config){anyAudience, requiring(t, "sub")},
			[]m{login, nobody}, "JWT", gate.MissingClaim},
		"a type of access tokens": {[]func(*gate.Config){anyAudience, wanting("at+jwt")}, []m{nobody}, "at+jwt", ""},
		"a type that all tokens have": {[]func(*gate.Config){anyAudience, wanting("jwt")},
			[]m{nobody}, "JWT", gate.MissingClaim},
		"a type beside one that all have": {[]func(*gate.Config){anyAudience, wanting("at+jwt", "jwt")},
			[]m{nobody}, "at+jwt", gate.MissingClaim},
		"a lifetime is not enough": {[]func(*gate.Config){anyAudience, func(c *gate.Config) { c.MaxLifetime = 1 << 40 }},
			[]m{login, nobody}, "JWT", gate.MissingClaim},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, append(c.change, func(c *gate.Config) { c.Cache = newCache(t, 1<<20) })...)
			token := key.Sign(t, says(c.set...), m{"typ": c.typ})
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

// A route with an audience caches a token without sub. A route with any audience must not accept it from the cache.
func TestAnyAudienceDoesNotAcceptTokensCachedWithAnAudience(t *testing.T) {
	key, cache := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20)
	narrow, _ := cached(t, cache, key)
	wide, keys := cached(t, cache, key, anyAudience)
	token := key.Sign(t, says(m{"sub": nil}))
	accepted(t, narrow, request(token))
	refused(t, wide, request(token), gate.MissingClaim)
	accepted(t, narrow, request(token))
	if n := keys.finds.Load(); n != 1 {
		t.Errorf("verified %d times, want once", n)
	}
}

// An authorization server calls refresh tokens active, too. The answer of oidc-provider about one has client_id and
// usually sub, but no token_type.
func TestAnyAudienceNeedsAnAnswerAboutAnAccessToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	refresh := m{"aud": nil, "client_id": "app", "scope": "openid offline_access"}
	for name, c := range map[string]struct {
		change []func(*gate.Config)
		answer m
		want   gate.Reason
	}{
		"about a refresh token":            {nil, refresh, gate.InvalidType},
		"token_type Bearer":                {nil, m{"token_type": "Bearer"}, ""},
		"token_type bearer":                {nil, m{"token_type": "bearer"}, ""},
		"token_type access_token":          {nil, m{"token_type": "access_token"}, ""},
		"token_type N_A":                   {nil, m{"token_type": "N_A"}, ""},
		"token_type by its URN":            {nil, m{"token_type": "urn:ietf:params:oauth:token-type:access_token"}, ""},
		"token_type DPoP":                  {nil, m{"token_type": "DPoP"}, gate.ProofRequired},
		"token_type DPoP and cnf":          {nil, m{"token_type": "DPoP", "cnf": m{"jkt": "x"}}, gate.ProofRequired},
		"token_type JWT":                   {nil, m{"token_type": "JWT"}, gate.InvalidType},
		"token_type that is null":          {nil, m{"token_type": null}, gate.InvalidType},
		"token_use access_token":           {nil, m{"token_use": "access_token"}, ""},
		"typ Bearer":                       {nil, m{"typ": "Bearer"}, ""},
		"typ JWT":                          {nil, m{"typ": "JWT"}, gate.InvalidType},
		"typ Refresh":                      {nil, m{"typ": "Refresh", "token_type": "Bearer"}, gate.InvalidType},
		"a required claim":                 {[]func(*gate.Config){requiring(t, "token_type")}, m{"token_type": "Bearer"}, ""},
		"a required claim is missing":      {[]func(*gate.Config){requiring(t, "token_type")}, refresh, gate.MissingClaim},
		"a claim of access tokens":         {[]func(*gate.Config){requiring(t, "roles")}, m{"roles": []string{"a"}}, ""},
		"a claim of access tokens, absent": {[]func(*gate.Config){requiring(t, "roles")}, refresh, gate.MissingClaim},
		"claims that all answers have": {[]func(*gate.Config){requiring(t, "client_id", "/sub", "scope", "exp")},
			refresh, gate.InvalidType},
		"an identifier of the token": {[]func(*gate.Config){requiring(t, "jti")},
			m{"client_id": "app", "jti": "j"}, gate.InvalidType},
		"a part of what all answers have": {[]func(*gate.Config){requiring(t, "/aud/0")},
			m{"aud": []string{"x"}}, gate.InvalidType},
	} {
		t.Run(name, func(t *testing.T) {
			for shape, more := range map[string]func(*gate.Config){
				"issuer with keys": func(*gate.Config) {}, "issuer without keys": keyless,
			} {
				t.Run(shape, func(t *testing.T) {
					as := newAS(t)
					as.says["opaque"] = active(c.answer)
					g := as.gate(gate.AskOpaque, key, append(c.change, anyAudience, more)...)
					for range 2 { // the second time from the client's cache
						if c.want == "" {
							accepted(t, g, request("opaque"))
						} else {
							refused(t, g, request("opaque"), c.want)
						}
					}
				})
			}
		})
	}
	t.Run("with an audience the answer need not declare it", func(t *testing.T) {
		as := newAS(t)
		as.says["opaque"] = active()
		accepted(t, as.gate(gate.AskOpaque, key), request("opaque"))
		accepted(t, as.gate(gate.AskOpaque, key, anyAudience, func(c *gate.Config) { c.Audience = accept(api) }),
			request("opaque"))
	})
	t.Run("UserInfo takes access tokens only", func(t *testing.T) {
		as := newAS(t)
		as.says["opaque"] = m{"active": true, "sub": "alice"}
		g := as.gate(gate.AskOpaque, key, anyAudience, keyless, func(c *gate.Config) {
			c.Issuers[0].Asking = as.introspection(gate.AskOpaque,
				func(c *introspect.Config) { c.Decode = gate.DecodeUserInfo(issuerA, claims.DecodeUserInfo) })
		})
		accepted(t, g, request("opaque"))
	})
}

// With "introspect always", either the JWT or the answer about it must declare that it is an access token.
func TestAnyAudienceNeedsJWTOrAnswerToDeclareAnAccessToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		change []func(*gate.Config)
		token  string
		answer m
		want   gate.Reason
	}{
		"neither says it":         {nil, key.Sign(t, says()), m{}, gate.InvalidType},
		"the answer does":         {nil, key.Sign(t, says()), m{"token_type": "Bearer"}, ""},
		"the JWT does":            {nil, key.Sign(t, says(m{"typ": "Bearer"})), m{}, ""},
		"the type does":           {nil, key.Sign(t, says(), m{"typ": "at+jwt"}), m{}, ""},
		"the answer says refresh": {nil, key.Sign(t, says(m{"typ": "Bearer"})), m{"typ": "Refresh"}, gate.InvalidType},
		"a type is wanted": {[]func(*gate.Config){wanting("at+jwt")},
			key.Sign(t, says(), m{"typ": "at+jwt"}), m{}, ""},
		"a claim is required": {[]func(*gate.Config){requiring(t, "roles")},
			key.Sign(t, says(m{"roles": []string{"a"}})), m{}, ""},
		"a kind that is wanted": {[]func(*gate.Config){wanting("id")},
			key.Sign(t, says(m{"typ": "ID"})), m{"token_use": "id"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			as.says[c.token] = m{"active": true}
			for name, value := range c.answer {
				as.says[c.token][name] = value
			}
			g := as.gate(gate.AskAlways, key,
				append(c.change, anyAudience, func(c *gate.Config) { c.Cache = newCache(t, 1<<20) })...)
			for range 2 {
				if c.want == "" {
					accepted(t, g, request(c.token))
				} else {
					refused(t, g, request(c.token), c.want)
				}
			}
		})
	}
}
