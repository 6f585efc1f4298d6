package integration

func selfHosted() []provider {
	return []provider{zitadel(), authentik(), oidcProvider(), oidcProviderAsked(), dex()}
}

// From Zitadel's page about its claims.
func zitadel() provider {
	const (
		project = `"aud":["69234237810729234@orders","69234237810729235@orders","69234237810729019"]`
		clerk   = `"urn:zitadel:iam:org:project:roles":{"clerk":{"61234237810729001":"acme.zitadel.cloud"}}`
		common  = `"iss":"$HOST","sub":"77776025198584418","exp":$EXP,"iat":$NOW,"nbf":$NOW`
	)
	header := `{"alg":"RS256","kid":"$KID","typ":"JWT"}`
	return provider{
		section: "Zitadel", block: 1, hosts: []string{"https://example-a1b2c3.zitadel.cloud"},
		alg: "RS256", kid: "293456789012345678",
		documents: map[string]string{
			"/.well-known/openid-configuration": plainMetadata("$HOST", "/oauth/v2/keys"), "/oauth/v2/keys": keySet,
		},
		tokens: []shape{
			{name: "an access token", header: header, seen: []string{"X-User", "77776025198584418"},
				payload: `{` + common + `,` + project + `,"jti":"V2_1-at_2","client_id":"69234237810729234@orders",` + clerk + `}`},
			{name: "a user with another role", header: header, reason: "claim_mismatch",
				payload: `{` + common + `,` + project + `,"jti":"1","urn:zitadel:iam:org:project:roles":{"guest":{"1":"a.b"}}}`},
			{name: "a role that is withdrawn", header: header, reason: "claim_mismatch",
				payload: `{` + common + `,` + project + `,"jti":"1","urn:zitadel:iam:org:project:roles":{"clerk":null}}`},
			{name: "an ID token", header: header, reason: "missing_claim",
				payload: `{` + common + `,` + project + `,"azp":"69234237810729234@orders",` +
					`"client_id":"69234237810729234@orders","auth_time":$NOW,"amr":["pwd"],"at_hash":"a","nonce":"n",` + clerk + `}`},
			{name: "a token for another project", header: header, reason: "invalid_audience",
				payload: `{` + common + `,"aud":["1@other","2"],"jti":"1",` + clerk + `}`},
			{name: "an opaque access token", header: "mN3xXQ7t4V8z_opaque", reason: "malformed_token"},
		},
	}
}

// From authentik's source: authentik/providers/oauth2/id_token.py.
func authentik() provider {
	const (
		slug   = "/application/o/orders/"
		client = `"aud":"Y2xpZW50LWlkLW9mLW9yZGVycw"`
		common = `"iss":"$HOST` + slug + `","sub":"5f2e0c1a","exp":$EXP,"iat":$NOW,"auth_time":$NOW,` +
			`"acr":"goauthentik.io/providers/oauth2/default","amr":["pwd"],"sid":"s"`
		profile = `"email":"alice@example.com","name":"Alice","preferred_username":"alice"`
		access  = `{` + common + `,` + client + `,` + profile + `,"groups":["authentik Admins","clerks"],` +
			`"azp":"Y2xpZW50LWlkLW9mLW9yZGVycw","uid":"PCHHQ4"}`
	)
	header := `{"alg":"RS256","kid":"$KID","typ":"JWT"}`
	return provider{
		section: "Authentik", block: 1, hosts: []string{"https://authentik.example.com"},
		alg: "RS256", kid: "3f6d0c2b5a4e4f1c9b8a7d6e5f4c3b2a",
		documents: map[string]string{
			slug + ".well-known/openid-configuration": plainMetadata("$HOST"+slug, slug+"jwks/"), slug + "jwks/": keySet,
		},
		tokens: []shape{
			{name: "an access token", header: header, payload: access, seen: []string{"X-User", "5f2e0c1a"}},
			{name: "a user without the group", header: header, reason: "claim_mismatch",
				payload: `{` + common + `,` + client + `,"groups":["guests"],"azp":"c","uid":"PCHHQ4"}`},
			{name: "an ID token", header: header, reason: "missing_claim",
				payload: `{` + common + `,` + client + `,` + profile + `,"groups":["clerks"],"nonce":"n","at_hash":"a"}`},
			{name: "a token of another application with the same issuer", header: header, reason: "invalid_audience",
				payload: `{` + common + `,"aud":"other","groups":["clerks"],"azp":"other","uid":"u"}`},
			{name: "a token of another application", header: header, reason: "unknown_issuer",
				payload: `{"iss":"$HOST/application/o/other/","sub":"5f2e0c1a","exp":$EXP,` + client + `,"uid":"u"}`},
			{name: "a token of a provider without a signing key", header: `{"alg":"HS256","typ":"JWT"}`, key: "HS256 client",
				payload: access, reason: "unsupported_algorithm"},
		},
	}
}

// From oidc-provider's documentation, and tokens of the one in e2e.
const (
	oidcAccess = `{"jti":"Ux0","sub":"alice","iat":$NOW,"exp":$EXP,"scope":"orders:read","client_id":"web",` +
		`"iss":"$HOST","aud":"https://api.example.com"}`
	oidcID = `{"sub":"alice","nonce":"n","at_hash":"a","aud":"web","exp":$EXP,"iat":$NOW,"iss":"$HOST"}`
)

func oidcProvider() provider {
	return provider{
		section: "oidc-provider", block: 1, hosts: []string{"https://auth.example.com"}, alg: "ES256", kid: "e1",
		documents: map[string]string{
			"/.well-known/openid-configuration": plainMetadata("$HOST", "/jwks"), "/jwks": keySet,
		},
		tokens: []shape{
			{name: "an access token", header: `{"alg":"ES256","typ":"at+jwt","kid":"$KID"}`, payload: oidcAccess,
				seen: []string{"X-User", "alice"}},
			{name: "a token without the scope", header: `{"alg":"ES256","typ":"at+jwt","kid":"$KID"}`,
				reason: "insufficient_scope", payload: `{"jti":"1","sub":"alice","iat":$NOW,"exp":$EXP,"client_id":"web",` +
					`"iss":"$HOST","aud":"https://api.example.com"}`},
			{name: "an ID token", header: `{"alg":"ES256","typ":"JWT","kid":"$KID"}`, payload: oidcID,
				reason: "invalid_audience"},
			{name: "an opaque access token", header: "xhTL3m0FDSCqfJEdgdlrvXdHtYMCFlFXLmjC7Zo7MCF",
				reason: "malformed_token"},
		},
	}
}

func oidcProviderAsked() provider {
	return provider{
		section: "oidc-provider", block: 2, hosts: []string{"https://auth.example.com"}, alg: "ES256", kid: "e1",
		documents: map[string]string{
			"/.well-known/openid-configuration": `{"issuer":"$HOST","jwks_uri":"$HOST/jwks",` +
				`"introspection_endpoint":"$HOST/token/introspection"}`,
			"/jwks": keySet,
		},
		asks: "/token/introspection",
		tokens: []shape{
			{name: "an opaque access token", header: "opaque-access", seen: []string{"X-User", "alice"},
				answer: `{"active":true,"iss":"$HOST","sub":"alice","client_id":"web","exp":$EXP,"iat":$NOW,` +
					`"scope":"orders:read","aud":"https://api.example.com","token_type":"Bearer"}`},
			{name: "a JWT", header: `{"alg":"ES256","typ":"at+jwt","kid":"$KID"}`, payload: oidcAccess,
				seen: []string{"X-User", "alice"}},
			{name: "a refresh token", header: "opaque-refresh", reason: "invalid_audience",
				answer: `{"active":true,"iss":"$HOST","sub":"alice","client_id":"web","exp":$EXP,"iat":$NOW,"scope":"openid"}`},
			{name: "a revoked token", header: "opaque-revoked", reason: "inactive"},
			{name: "an ID token", header: `{"alg":"ES256","typ":"JWT","kid":"$KID"}`, payload: oidcID,
				reason: "invalid_audience"},
		},
	}
}

// From dex's source: server/tokens/issuer.go and claims.go.
func dex() provider {
	const common = `"iss":"$HOST","sub":"CgUxMjM0NRIEbW9jaw","exp":$EXP,"iat":$NOW,"email":"alice@example.com",` +
		`"email_verified":true,"name":"Alice"`
	header := `{"alg":"RS256","kid":"$KID"}`
	return provider{
		section: "dex", block: 1, hosts: []string{"https://dex.example.com"},
		alg: "RS256", kid: "d6a1d2f5c8e94c0b8f5f6b0d8d0c7a3b21f1b0c9",
		documents: map[string]string{
			"/.well-known/openid-configuration": plainMetadata("$HOST", "/keys"), "/keys": keySet,
		},
		tokens: []shape{
			{name: "an access token", header: header, seen: []string{"X-User", "CgUxMjM0NRIEbW9jaw"},
				payload: `{` + common + `,"aud":["orders-api","web"],"azp":"web","at_hash":"a","groups":["authors"]}`},
			{name: "an ID token of a refresh, which is no different", header: header,
				seen:    []string{"X-User", "CgUxMjM0NRIEbW9jaw"},
				payload: `{` + common + `,"aud":["orders-api","web"],"azp":"web","nonce":"n","at_hash":"b","groups":["authors"]}`},
			{name: "an ID token of a login", header: header, reason: "invalid_type",
				payload: `{` + common + `,"aud":["orders-api","web"],"azp":"web","at_hash":"c","c_hash":"d","groups":["authors"]}`},
			{name: "a token for the web page", header: header, reason: "invalid_audience",
				payload: `{` + common + `,"aud":"web","at_hash":"e","groups":["authors"]}`},
			{name: "a user without the group", header: header, reason: "claim_mismatch",
				payload: `{` + common + `,"aud":["orders-api","web"],"azp":"web","at_hash":"f"}`},
			{name: "a refresh token", header: "ChlhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ehIZYWJj", reason: "malformed_token"},
		},
	}
}

// From Hydra's documentation, and tokens of the one in e2e.
func hydra() []provider {
	const common = `"iss":"$HOST","sub":"alice","client_id":"web","exp":$EXP,"iat":$NOW,"nbf":$NOW,"jti":"j"`
	return []provider{
		{
			section: "Ory Hydra", block: 1, hosts: []string{"https://hydra.example.com"},
			alg: "RS256", kid: "8a8a0a29-1c7e-4a55-9f0b-8f2a4f0f8d0c",
			documents: map[string]string{
				"/.well-known/openid-configuration": plainMetadata("$HOST", "/.well-known/jwks.json"),
				"/.well-known/jwks.json":            keySet,
			},
			tokens: []shape{
				{name: "an access token", header: plainHeader, seen: []string{"X-User", "alice"},
					payload: `{` + common + `,"aud":["https://api.example.com"],"scp":["openid","orders.read"],"ext":{}}`},
				{name: "a client that asked for no audience", header: plainHeader, reason: "invalid_audience",
					payload: `{` + common + `,"aud":[],"scp":["orders.read"],"ext":{}}`},
				{name: "a token without the scope", header: plainHeader, reason: "insufficient_scope",
					payload: `{` + common + `,"aud":["https://api.example.com"],"scp":["openid"],"ext":{}}`},
				{name: "an ID token", header: plainHeader, reason: "invalid_audience",
					payload: `{"iss":"$HOST","sub":"alice","aud":["web"],"exp":$EXP,"iat":$NOW,"auth_time":$NOW,"rat":$NOW,` +
						`"jti":"j","sid":"s","nonce":"n","at_hash":"a"}`},
				{name: "a refresh token", header: "ory_rt_Yk3vJp0.7QmA", reason: "malformed_token"},
			},
		},
		{
			section: "Ory Hydra", block: 2, hosts: []string{"http://127.0.0.1:4445"},
			alg: "RS256", kid: "not used", asks: "/admin/oauth2/introspect",
			tokens: []shape{
				{name: "an access token", header: "ory_at_1.2", seen: []string{"X-User", "alice"}, answer: hydraAnswer(
					`"scope":"orders.read","aud":["https://api.example.com"],"token_use":"access_token"`)},
				{name: "a JWT, about which Hydra is asked as well", header: plainHeader, seen: []string{"X-User", "alice"},
					payload: `{"iss":"https://hydra.example.com","sub":"alice","exp":$EXP}`, answer: hydraAnswer(
						`"scope":"orders.read","aud":["https://api.example.com"],"token_use":"access_token"`)},
				{name: "a token without the scope", header: "ory_at_4.2", reason: "insufficient_scope", answer: hydraAnswer(
					`"scope":"openid","aud":["https://api.example.com"],"token_use":"access_token"`)},
				{name: "a refresh token", header: "ory_rt_1.2", reason: "invalid_type", answer: hydraAnswer(
					`"scope":"orders.read","aud":["https://api.example.com"],"token_use":"refresh_token"`)},
				{name: "a token for another API", header: "ory_at_2.2", reason: "invalid_audience", answer: hydraAnswer(
					`"scope":"orders.read","aud":["https://other.example.com"],"token_use":"access_token"`)},
				{name: "a revoked token", header: "ory_at_3.2", reason: "inactive"},
			},
		},
	}
}

func hydraAnswer(members string) string {
	return `{"active":true,"client_id":"web","sub":"alice","exp":$EXP,"iat":$NOW,"nbf":$NOW,` +
		`"iss":"https://hydra.example.com","token_type":"Bearer",` + members + `}`
}
