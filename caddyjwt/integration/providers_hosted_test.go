package integration

import "strings"

const plainHeader = `{"alg":"RS256","typ":"JWT","kid":"$KID"}`

// From Keycloak's source: org.keycloak.representations.AccessToken, IDToken and RefreshToken, and
// org.keycloak.util.TokenUtil. Refresh tokens are signed with a secret of the realm.
func keycloak() []provider {
	const (
		access = `{"exp":$EXP,"iat":$NOW,"auth_time":$NOW,"jti":"onrtac:5d1c8a8e-4c1b-4f0e-9d8e-0e6a2f6f6c11",` +
			`"iss":"$HOST/realms/main","aud":["https://api.example.com","account"],` +
			`"sub":"f1b0c9a6-8f1e-4d4c-9f5a-0d5f0c7a3b21",` +
			`"typ":"Bearer","azp":"shop-web","sid":"0c3d5a1e-51c9-4bd5-8d19-4e3b6a2f9c10","acr":"1",` +
			`"allowed-origins":["https://shop.example.com"],"realm_access":{"roles":["default-roles-main","clerk"]},` +
			`"resource_access":{"account":{"roles":["manage-account"]}},"scope":"openid profile email",` +
			`"email_verified":true,"name":"Alice Doe","preferred_username":"alice","email":"alice@example.com"}`
		noRole = `{"exp":$EXP,"iat":$NOW,"jti":"1","iss":"$HOST/realms/main","aud":"https://api.example.com","sub":"bob",` +
			`"typ":"Bearer","azp":"shop-web","realm_access":{"roles":["default-roles-main"]},"scope":"openid"}`
		noAudience = `{"exp":$EXP,"iat":$NOW,"jti":"1","iss":"$HOST/realms/main","aud":"account","sub":"alice",` +
			`"typ":"Bearer","azp":"shop-web","realm_access":{"roles":["clerk"]},"scope":"openid"}`
		idToken = `{"exp":$EXP,"iat":$NOW,"auth_time":$NOW,"jti":"2","iss":"$HOST/realms/main",` +
			`"aud":["https://api.example.com","shop-web"],"sub":"f1b0c9a6-8f1e-4d4c-9f5a-0d5f0c7a3b21","typ":"ID",` +
			`"azp":"shop-web","nonce":"n","sid":"3","at_hash":"fPlsvVszI29LU2UhDyJ9vg","acr":"1",` +
			`"realm_access":{"roles":["clerk"]},"preferred_username":"alice"}`
		refresh = `{"exp":$EXP,"iat":$NOW,"jti":"3","iss":"$HOST/realms/main","aud":"$HOST/realms/main",` +
			`"sub":"f1b0c9a6-8f1e-4d4c-9f5a-0d5f0c7a3b21","typ":"Refresh","azp":"shop-web","sid":"3","scope":"openid"}`
		offline = `{"iat":$NOW,"exp":$EXP,"jti":"4","iss":"$HOST/realms/main","aud":"$HOST/realms/main","sub":"alice",` +
			`"typ":"Offline","azp":"shop-web","sid":"3","scope":"openid offline_access"}`
		otherRealm = `{"exp":$EXP,"iat":$NOW,"jti":"5","iss":"$HOST/realms/other","aud":"https://api.example.com",` +
			`"sub":"alice","typ":"Bearer","azp":"shop-web","realm_access":{"roles":["clerk"]}}`
		user        = "f1b0c9a6-8f1e-4d4c-9f5a-0d5f0c7a3b21"
		secretly    = `{"alg":"HS512","typ":"JWT","kid":"$KID"}`
		certs       = "/realms/main/protocol/openid-connect/certs"
		metadata    = "/realms/main/.well-known/openid-configuration"
		introspects = "/realms/main/protocol/openid-connect/token/introspect"
	)
	keys := map[string]string{
		metadata: `{"issuer":"$HOST/realms/main","jwks_uri":"$HOST` + certs + `","introspection_endpoint":"$HOST` +
			introspects + `","introspection_endpoint_auth_methods_supported":["private_key_jwt","client_secret_basic"]}`,
		certs: `{"keys":[{"kid":"enc","kty":"RSA","alg":"RSA-OAEP","use":"enc","n":"AQAB","e":"AQAB"},$KEY]}`,
	}
	const inner = "https://keycloak.example.com/realms/main"
	return []provider{
		{
			section: "Keycloak", block: 1, hosts: []string{"https://keycloak.example.com"}, documents: keys,
			alg: "RS256", kid: "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE",
			tokens: []shape{
				{name: "an access token", header: plainHeader, payload: access, seen: []string{"X-User", user}},
				{name: "an access token with the header of RFC 9068", header: `{"alg":"RS256","typ":"at+jwt","kid":"$KID"}`,
					payload: access, seen: []string{"X-User", user}},
				{name: "a token without the mapper", header: plainHeader, payload: noAudience, reason: "invalid_audience"},
				{name: "a user without the role", header: plainHeader, payload: noRole, reason: "claim_mismatch"},
				{name: "an ID token", header: plainHeader, payload: idToken, reason: "invalid_type"},
				{name: "a refresh token", header: secretly, payload: refresh, key: "HS512 realm", reason: "invalid_type"},
				{name: "an offline token", header: secretly, payload: offline, key: "HS512 realm", reason: "invalid_type"},
				{name: "another realm", header: plainHeader, payload: otherRealm, reason: "unknown_issuer"},
			},
		},
		{
			section: "Keycloak", block: 2, hosts: []string{"https://keycloak.example.com"}, documents: keys,
			alg: "RS256", kid: "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE", asks: introspects,
			tokens: []shape{
				{name: "an access token", header: plainHeader, payload: access, seen: []string{"X-User", user},
					answer: `{"active":true,"token_type":"Bearer","username":"alice","client_id":"shop-web",` + access[1:]},
				{name: "a revoked token", header: plainHeader, payload: noRole, reason: "inactive"},
				{name: "an ID token", header: plainHeader, payload: idToken, reason: "invalid_type"},
			},
		},
		{
			section: "Keycloak", block: 3, hosts: []string{"http://keycloak:8080"},
			warning:   "allow_http: requests to ",
			documents: map[string]string{metadata: plainMetadata(inner, certs), certs: keySet},
			alg:       "RS256", kid: "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE",
			tokens: []shape{
				{name: "a token of the public name", header: plainHeader, seen: []string{"X-User", "alice"},
					payload: `{"exp":$EXP,"iat":$NOW,"iss":"` + inner + `","aud":"https://api.example.com","sub":"alice",` +
						`"typ":"Bearer","azp":"shop-web"}`},
				{name: "a token of the inner name", header: plainHeader, payload: access, reason: "unknown_issuer"},
				{name: "an ID token", header: plainHeader, reason: "invalid_type",
					payload: `{"exp":$EXP,"iat":$NOW,"iss":"` + inner + `","aud":"https://api.example.com","sub":"alice",` +
						`"typ":"ID","azp":"shop-web"}`},
			},
		},
	}
}

// From Microsoft's references of the claims in access tokens and in ID tokens.
func entra() []provider {
	const (
		tenant = "5f1c0e9d-0000-0000-0000-000000000001"
		api    = "5f1c0e9d-0000-0000-0000-000000000002"
		v2     = `"iss":"$HOST/` + tenant + `/v2.0","iat":$NOW,"nbf":$NOW,"exp":$EXP,"tid":"` + tenant + `","ver":"2.0"`
		v1     = `"iss":"https://sts.windows.net/` + tenant + `/","iat":$NOW,"nbf":$NOW,"exp":$EXP,"tid":"` + tenant +
			`","ver":"1.0"`
		user = `"oid":"1f3a5b7c-aaaa-bbbb-cccc-000000000007","sub":"HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ"`

		old     = `{"typ":"JWT","alg":"RS256","x5t":"$KID","kid":"$KID"}`
		graph   = `{"typ":"JWT","nonce":"kq1","alg":"RS256","x5t":"$KID","kid":"$KID"}`
		toGraph = `{"aud":"00000003-0000-0000-c000-000000000000",` + v1 + `,"appid":"c1","scp":"User.Read",` + user + `}`
		newer   = `{"aud":"` + api + `",` + v2 + `,"azp":"c1c1c1c1-0000-0000-0000-000000000009","azpacr":"0",` + user +
			`,"scp":"orders.read orders.write","name":"Alice","preferred_username":"alice@example.com","rh":"0.A","uti":"u"}`
		first    = "9f86d081-884c-4d65-9a2f-eaa0c55ad015"
		second   = "60303ae2-2fdd-4c1c-b9a4-6c0d8a1f0d3b"
		personal = "9188040d-6c67-4c5b-b112-36a304b66dad"

		older = `{"aud":"api://` + api + `",` + v1 + `,"appid":"c1c1c1c1-0000-0000-0000-000000000009","appidacr":"0",` +
			user + `,"scp":"orders.read","acr":"1","amr":["pwd"],"unique_name":"alice@example.com","upn":"alice@example.com"}`
	)
	// ofTenant is a v2 token whose iss and tid name tenants.
	ofTenant := func(iss, tid, more string) string {
		return `{"aud":"` + api + `","iss":"$HOST/` + iss + `/v2.0","iat":$NOW,"nbf":$NOW,"exp":$EXP,"tid":"` + tid +
			`","ver":"2.0","oid":"7","sub":"s","scp":"orders.read",` + more + `}`
	}
	seen := []string{"X-User", "1f3a5b7c-aaaa-bbbb-cccc-000000000007"}
	return []provider{
		{
			section: "Entra ID, v2 tokens", block: 1, hosts: []string{"https://login.microsoftonline.com"},
			alg: "RS256", kid: "nOo3ZDrODXEK1jKWhXslHR_KXEg", published: map[string]any{
				"alg": nil, "x5t": "nOo3ZDrODXEK1jKWhXslHR_KXEg", "issuer": "$HOST/" + tenant + "/v2.0"},
			documents: map[string]string{
				"/" + tenant + "/v2.0/.well-known/openid-configuration": plainMetadata("$HOST/"+tenant+"/v2.0",
					"/"+tenant+"/discovery/v2.0/keys"),
				"/" + tenant + "/discovery/v2.0/keys": keySet,
			},
			tokens: []shape{
				{name: "a user's access token", header: plainHeader, payload: newer, seen: seen},
				{name: "a daemon's access token, which has no scopes", header: plainHeader, seen: seen,
					payload: `{"aud":"` + api + `",` + v2 + `,"azp":"c2","azpacr":"1",` + user + `,"roles":["Orders.Read.All"]}`},
				{name: "a token with another scope and another role", header: plainHeader, reason: "insufficient_scope",
					payload: `{"aud":"` + api + `",` + v2 + `,"azp":"c1",` + user + `,"scp":"stock.read","roles":["clerk"]}`},
				{name: "an ID token of the same registration", header: plainHeader, reason: "missing_claim", payload: `{"aud":"` +
					api + `",` + v2 + `,` + user + `,"nonce":"n","roles":["Orders.Read.All"],"name":"Alice"}`},
				{name: "an ID token of another registration", header: plainHeader, reason: "invalid_audience",
					payload: `{"aud":"c1c1c1c1-0000-0000-0000-000000000009",` + v2 + `,"azp":"c1",` + user + `}`},
				{name: "a token for Microsoft Graph", header: graph, payload: toGraph, key: "RS256 graph",
					reason: "unknown_issuer"},
				{name: "another tenant", header: plainHeader, reason: "unknown_issuer",
					payload: `{"aud":"` + api + `","iss":"$HOST/99999999-0000-0000-0000-000000000001/v2.0","iat":$NOW,` +
						`"exp":$EXP,"azp":"c1","scp":"orders.read",` + user + `}`},
			},
		},
		{
			section: "Entra ID, several tenants", block: 1, hosts: []string{"https://login.microsoftonline.com"},
			alg: "RS256", kid: "nOo3ZDrODXEK1jKWhXslHR_KXEg", published: map[string]any{
				"alg": nil, "issuer": "$HOST/{tenantid}/v2.0"},
			documents: map[string]string{
				"/common/v2.0/.well-known/openid-configuration": plainMetadata("$HOST/{tenantid}/v2.0",
					"/common/discovery/v2.0/keys"),
				"/common/discovery/v2.0/keys": keySet,
			},
			tokens: []shape{
				{name: "the first tenant", header: plainHeader, payload: ofTenant(first, first, `"azp":"c1"`),
					seen: []string{"X-User", "7", "X-Tenant", first}},
				{name: "the second tenant", header: plainHeader, payload: ofTenant(second, second, `"azp":"c1"`),
					seen: []string{"X-User", "7", "X-Tenant", second}},
				{name: "a tenant that is not listed", header: plainHeader, payload: ofTenant(tenant, tenant, `"azp":"c1"`),
					reason: "unknown_issuer"},
				{name: "a personal account", header: plainHeader, payload: ofTenant(personal, personal, `"azp":"c1"`),
					reason: "unknown_issuer"},
				{name: "a token without the scope", header: plainHeader, reason: "insufficient_scope",
					payload: strings.Replace(ofTenant(first, first, `"azp":"c1"`), "orders.read", "openid", 1)},
				{name: "a tid of another tenant", header: plainHeader, payload: ofTenant(first, second, `"azp":"c1"`),
					reason: "invalid_issuer"},
				{name: "an ID token of the same registration", header: plainHeader,
					payload: ofTenant(first, first, `"nonce":"n"`), reason: "missing_claim"},
				{name: "an ID token of another registration", header: plainHeader, reason: "invalid_audience",
					payload: strings.Replace(ofTenant(first, first, `"azp":"c1"`), api, "c1", 1)},
			},
		},
		{
			section: "Entra ID, v1 tokens", block: 1, hosts: []string{"https://login.microsoftonline.com"},
			alg: "RS256", kid: "nOo3ZDrODXEK1jKWhXslHR_KXEg", published: map[string]any{"alg": nil},
			documents: map[string]string{
				"/" + tenant + "/.well-known/openid-configuration": plainMetadata("https://sts.windows.net/"+tenant+"/",
					"/"+tenant+"/discovery/keys"),
				"/" + tenant + "/discovery/keys": keySet,
			},
			tokens: []shape{
				{name: "an access token", header: old, payload: older, seen: seen},
				{name: "an ID token of the same registration", header: old, reason: "missing_claim",
					payload: `{"aud":"api://` + api + `",` + v1 + `,` + user + `,"nonce":"n","amr":["pwd"],"upn":"alice"}`},
				{name: "an ID token", header: old, reason: "invalid_audience",
					payload: `{"aud":"c1",` + v1 + `,"appid":"c1",` + user + `,"nonce":"n"}`},
				{name: "a token for Microsoft Graph that verifies", header: old, payload: toGraph, reason: "invalid_audience"},
				{name: "a token without the scope", header: old, reason: "insufficient_scope",
					payload: `{"aud":"api://` + api + `",` + v1 + `,"appid":"c1","roles":["clerk"],` + user + `}`},
				{name: "a v2 token", header: plainHeader, payload: newer, reason: "unknown_issuer"},
				{name: "an issuer without its slash", header: old, reason: "unknown_issuer",
					payload: `{"aud":"api://` + api + `","iss":"https://sts.windows.net/` + tenant + `","iat":$NOW,"exp":$EXP,` +
						`"appid":"c1","scp":"orders.read",` + user + `}`},
			},
		},
	}
}

func hosted() []provider {
	return []provider{auth0(), okta(), cognito(), google(), googleByUserInfo()}
}

// From Auth0's pages about access token profiles and ID tokens.
func auth0() provider {
	const (
		machine = `{"iss":"$HOST/","sub":"m1@clients","aud":"https://api.example.com","iat":$NOW,"exp":$EXP,` +
			`"azp":"m1","scope":"read:orders","gty":"client-credentials"}`
		user = `{"iss":"$HOST/","sub":"auth0|123456","aud":["https://api.example.com","$HOST/userinfo"],"azp":"c1",` +
			`"exp":$EXP,"iat":$NOW,"scope":"openid profile read:orders","permissions":["read:orders"],` +
			`"https://example.com/roles":["clerk"]}`
		rfc9068 = `{"iss":"$HOST/","sub":"auth0|123456","aud":["https://api.example.com","$HOST/userinfo"],` +
			`"client_id":"c1","exp":$EXP,"iat":$NOW,"jti":"73WakrfVbNJBaAmhQtEeDv","scope":"openid read:orders"}`
	)
	return provider{
		section: "Auth0", block: 1, hosts: []string{"https://example.eu.auth0.com"},
		alg: "RS256", kid: "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg",
		documents: map[string]string{
			"/.well-known/openid-configuration": plainMetadata("$HOST/", "/.well-known/jwks.json"),
			"/.well-known/jwks.json":            keySet,
		},
		tokens: []shape{
			{name: "a user's access token", header: plainHeader, payload: user, seen: []string{"X-User", "auth0|123456"}},
			{name: "a machine's access token", header: plainHeader, payload: machine, seen: []string{"X-User", "m1@clients"}},
			{name: "an access token of the RFC 9068 profile", header: `{"alg":"RS256","typ":"at+jwt","kid":"$KID"}`,
				payload: rfc9068, seen: []string{"X-User", "auth0|123456"}},
			{name: "a token without the scope", header: plainHeader, reason: "insufficient_scope",
				payload: `{"iss":"$HOST/","sub":"auth0|1","aud":"https://api.example.com","azp":"c1","exp":$EXP,"iat":$NOW,` +
					`"scope":"openid"}`},
			{name: "an ID token", header: plainHeader, reason: "invalid_audience",
				payload: `{"iss":"$HOST/","sub":"auth0|123456","aud":"c1","exp":$EXP,"iat":$NOW,"sid":"s","nonce":"n",` +
					`"name":"Alice","email":"alice@example.com"}`},
			{name: "a token for another API", header: plainHeader, reason: "invalid_audience",
				payload: `{"iss":"$HOST/","sub":"auth0|1","aud":"https://other.example.com","azp":"c1","exp":$EXP,"iat":$NOW,` +
					`"scope":"read:orders"}`},
			{name: "an encrypted token, for a client that named no audience", reason: "malformed_token",
				header: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVy.dGFn"},
		},
	}
}

// From Okta's reference of OpenID Connect and OAuth 2.0, and tokens in the rabbitmq-users group (2023).
func okta() provider {
	const org = `"ver":1,"iss":"$HOST/oauth2/default","iat":$NOW,"exp":$EXP`
	header := `{"kid":"$KID","alg":"RS256"}`
	return provider{
		section: "Okta", block: 1, hosts: []string{"https://example.okta.com"},
		alg: "RS256", kid: "fAomAvsWyAWDlnBuJbHoqqCRcRdmsg4vri0OICxbIgs",
		documents: map[string]string{
			"/oauth2/default/.well-known/openid-configuration": plainMetadata("$HOST/oauth2/default",
				"/oauth2/default/v1/keys"),
			"/oauth2/default/v1/keys": keySet,
		},
		tokens: []shape{
			{name: "a user's access token", header: header, seen: []string{"X-User", "00ujmkLgagxeRrAg20g3"},
				payload: `{` + org + `,"jti":"AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE","aud":"api://default",` +
					`"cid":"nmdP1fcyvdVO11AL7ECm","uid":"00ujmkLgagxeRrAg20g3","scp":["openid","orders.read"],` +
					`"auth_time":$NOW,"sub":"alice@example.com"}`},
			{name: "a machine's access token", header: header, seen: []string{"X-User", ""},
				payload: `{` + org + `,"jti":"AT.1","aud":"api://default","cid":"m1","scp":["orders.read"],"sub":"m1"}`},
			{name: "a token without the scope", header: header, reason: "insufficient_scope",
				payload: `{` + org + `,"jti":"AT.2","aud":"api://default","cid":"c1","uid":"u","scp":["openid"],"sub":"a"}`},
			{name: "an ID token", header: header, reason: "invalid_audience",
				payload: `{` + org + `,"jti":"ID.1","sub":"00ujmkLgagxeRrAg20g3","aud":"nmdP1fcyvdVO11AL7ECm","amr":["pwd"],` +
					`"idp":"00o1","nonce":"n","auth_time":$NOW,"at_hash":"fPlsvVszI29LU2UhDyJ9vg"}`},
			{name: "a token of the organization's own server", header: header, key: "RS256 org", reason: "unknown_issuer",
				payload: `{"ver":1,"jti":"AT.3","iss":"$HOST","aud":"$HOST","sub":"alice@example.com","iat":$NOW,"exp":$EXP,` +
					`"cid":"c1","uid":"u","scp":["openid"]}`},
		},
	}
}
