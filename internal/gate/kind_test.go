package gate_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// wanting sets the "type" of issuerA.
func wanting(types ...string) func(*gate.Config) {
	return func(c *gate.Config) { c.Issuers[0].Types = types }
}

// requiring lets issuerA require these claims.
func requiring(t *testing.T, paths ...string) func(*gate.Config) {
	return func(c *gate.Config) {
		for _, p := range paths {
			c.Issuers[0].RequiredClaims = append(c.Issuers[0].RequiredClaims, path(t, p))
		}
	}
}

// profiled requires issuerA's tokens to follow RFC 9068.
func profiled(c *gate.Config) { c.Issuers[0].AccessTokenProfile = true }

// realAccessTokens are access tokens, and others that are used as such, as well-known servers issue them. None of them
// may be mistaken for another kind of token.
func realAccessTokens() map[string]struct{ header, claims m } {
	type token = struct{ header, claims m }
	jwt, typed, plain := m{"typ": "JWT"}, m{"typ": "at+jwt"}, m{"typ": nil}
	return map[string]token{
		"RFC 9068": {typed,
			m{"client_id": "s6BhdRkqt3", "jti": "dbe39bf3", "scope": "openid profile reademail", "auth_time": 1}},
		"Keycloak": {jwt, m{
			"typ": "Bearer", "azp": "web", "auth_time": 1, "session_state": "s",
			"sid": "s", "acr": "1", "nonce": "n", "aud": []string{api, "account"},
			"allowed-origins": []string{"*"}, "realm_access": m{"roles": []string{"user", "offline_access"}},
			"resource_access": m{"account": m{"roles": []string{"view-profile"}}},
			"scope":           "openid email", "email_verified": true,
		}},
		"Keycloak 26": {jwt,
			m{"typ": "Bearer", "jti": "onrtac:1", "azp": "web", "sid": "s", "scope": "openid"}},
		"Keycloak, at+jwt": {typed, m{"typ": "Bearer", "azp": "web", "client_id": "web"}},
		"Keycloak, a service account": {jwt,
			m{"typ": "Bearer", "azp": "svc", "client_id": "svc", "clientHost": "10.0.0.1", "clientAddress": "10.0.0.1"}},
		"Cognito, a user": {plain,
			m{"aud": nil, "token_use": "access", "client_id": "c", "version": 2, "event_id": "e",
				"origin_jti": "o", "cognito:groups": []string{"a"}, "username": "alice"}},
		"Cognito, a machine": {plain,
			m{"aud": nil, "sub": "c", "token_use": "access", "client_id": "c", "version": 2, "scope": "api/read"}},
		"Entra, version 1": {jwt,
			m{"aio": "x", "appid": "a", "appidacr": "1", "idp": "i", "oid": "o", "rh": "r",
				"scp": "user_impersonation", "tid": "t", "uti": "u", "ver": "1.0", "xms_ftd": "f"}},
		"Entra, version 2": {jwt,
			m{"azp": "a", "azpacr": "1", "idtyp": "app", "oid": "o", "roles": []string{"Read"}, "tid": "t", "ver": "2.0"}},
		"Auth0": {jwt,
			m{"azp": "c", "gty": "client-credentials", "scope": "read",
				"permissions": []string{"read"}, "aud": []string{api, "https://t.auth0.com/userinfo"}}},
		"Auth0, RFC 9068": {typed, m{"client_id": "c", "jti": "j", "sub": "c@clients"}},
		"Okta": {plain,
			m{"ver": 1, "jti": "AT.1", "cid": "c", "uid": "u", "scp": []string{"openid"}, "auth_time": 1}},
		"Hydra": {jwt,
			m{"client_id": "c", "ext": m{"groups": []string{"a"}}, "scp": []string{"openid", "offline"}, "jti": "j"}},
		"dex": {plain,
			m{"at_hash": "x", "nonce": "n", "email": "a@example.com", "email_verified": true,
				"name": "alice", "groups": []string{"a"}, "federated_claims": m{"connector_id": "c"}}},
		"zitadel": {jwt,
			m{"client_id": "c", "jti": "j", "urn:zitadel:iam:org:project:roles": m{"admin": m{"1": "x"}}}},
		"oidc-provider": {typed, m{"client_id": "c", "jti": "j", "scope": "api:read"}},
		"Ory Network":   {jwt, m{"client_id": "c", "ext": m{}, "scp": []string{}}},
		"Duende IdentityServer": {typed,
			m{"client_id": "c", "jti": "j", "sid": "s", "idp": "local",
				"amr": []string{"pwd"}, "auth_time": 1, "scope": []string{"api"}}},
		"Curity": {jwt, m{"purpose": "access_token", "delegationId": "d", "scope": "read"}},
		"Ping AM": {jwt,
			m{"tokenName": "access_token", "token_type": "Bearer", "cts": "OAUTH2_STATELESS_GRANT", "subname": "alice",
				"auditTrackingId": "x", "realm": "/alpha", "client_id": "c", "grant_type": "authorization_code"}},
		"PingOne": {jwt,
			m{"client_id": "c", "acr": "Single_Factor", "sid": "s", "env": "e", "org": "o"}},
		"Casdoor": {jwt,
			m{"tokenType": "access-token", "owner": "built-in",
				"type": "normal-user", "tag": "staff", "isAdmin": true, "azp": "c"}},
		"Simple JWT":          {jwt, m{"token_type": "access", "user_id": 1, "jti": "j"}},
		"Simple JWT, sliding": {jwt, m{"token_type": "sliding", "refresh_exp": start.Unix() + 900, "user_id": 1}},
		"Flask-JWT-Extended":  {jwt, m{"type": "access", "fresh": false, "csrf": "x", "jti": "j"}},
		"UAA": {jwt,
			m{"client_id": "cf", "cid": "cf", "azp": "cf", "grant_type": "password",
				"rev_sig": "1", "user_id": "u", "zid": "uaa", "scope": []string{"openid"}}},
		"WSO2": {typed,
			m{"aut": "APPLICATION_USER", "client_id": "c", "azp": "c", "binding_type": "sso-session", "org_id": "o"}},
		"Salesforce": {jwt,
			m{"mty": "oauth", "sfi": "x", "scp": "api", "client_id": "c", "roles": []string{}}},
		"Supabase": {jwt,
			m{"role": "authenticated", "aal": "aal1", "session_id": "s",
				"is_anonymous": false, "amr": []any{m{"method": "password"}}}},
		"GitHub Actions": {jwt,
			m{"repository": "o/r", "event_name": "push", "ref": "refs/heads/main",
				"ref_type": "branch", "runner_environment": "github-hosted", "actor": "a"}},
		"GitLab": {jwt,
			m{"namespace_path": "g", "project_path": "g/p", "pipeline_source": "push", "ref_type": "branch", "user_login": "a"}},
		"Kubernetes": {plain,
			m{"sub": "system:serviceaccount:ns:default", "aud": []string{api},
				"kubernetes.io": m{"namespace": "ns", "serviceaccount": m{"name": "default"}}}},
		"Google, a service account": {jwt,
			m{"azp": "1", "email": "x@p.iam.gserviceaccount.com", "email_verified": true}},
		"Google, a person": {jwt,
			m{"azp": "1", "at_hash": "x", "hd": "example.com", "nonce": "n", "picture": "p"}},
		"Firebase": {jwt,
			m{"auth_time": 1, "user_id": "u", "firebase": m{"identities": m{}, "sign_in_provider": "password"}}},
		"Cloudflare Access": {jwt,
			m{"type": "app", "identity_nonce": "n", "country": "DE", "email": "a@example.com", "aud": []string{api}}},
		"Cloudflare Access, a service": {jwt,
			m{"type": "app", "common_name": "c.access", "sub": "x", "aud": []string{api}}},
		"SPIFFE":                   {m{"typ": "JOSE"}, m{"sub": "spiffe://example.org/w", "aud": []string{api}}},
		"InterSystems IRIS, OAuth": {plain, m{"jti": "j", "client_id": "c", "scope": "openid", "iat": start.Unix()}},
		"InterSystems IRIS, /login": {jwt,
			m{"aud": nil, "sub": "_SYSTEM", "sid": "dY01bRT0", "app": "/api/ttrg/", "iat": start.Unix()}},
		"a credential in a token": {jwt, m{"vc": m{"type": []string{"VerifiableCredential"}}, "client_id": "c"}},
		"a token with a status": {typed,
			m{"status": m{"status_list": m{"idx": 1, "uri": "https://as.example/1"}}, "client_id": "c"}},
		"a private claim that is a list": {jwt, m{"events": []string{"login"}}},
		"private claims of other kinds": {jwt,
			m{"typ": "user", "token_type": "M2M", "token_use": "service",
				"purpose": "orders", "events": "all", "vp": true, "htm": 1}},
		"private claims of other types": {jwt,
			m{"typ": 7, "token_type": []string{"refresh"}, "token_use": m{"id": true},
				"purpose": false, "type": []string{"refresh"}}},
	}
}

func TestRealAccessTokensPass(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	strict, open := build(t, key), build(t, key, anyAudience)
	for name, c := range realAccessTokens() {
		t.Run(name, func(t *testing.T) {
			set := says(c.claims)
			token := key.Sign(t, set, c.header)
			accepted(t, open, request(token))
			if set["aud"] != nil {
				accepted(t, strict, request(token))
			}
		})
	}
}

// otherKinds are tokens whose payload says that they are not access tokens, with the word by which "type" names them.
func otherKinds() map[string]struct {
	claims m
	kind   string
} {
	type token = struct {
		claims m
		kind   string
	}
	return map[string]token{
		"an ID token of Keycloak":          {m{"typ": "ID", "azp": "web", "at_hash": "x"}, "id"},
		"a refresh token of Keycloak":      {m{"typ": "Refresh", "azp": "web"}, "refresh"},
		"an offline token of Keycloak":     {m{"typ": "Offline", "azp": "web"}, "offline"},
		"a logout token of Keycloak":       {m{"typ": "Logout", "sid": "s"}, "logout"},
		"an ID token of Cognito":           {m{"token_use": "id", "cognito:username": "alice"}, "id"},
		"token_use refresh_token":          {m{"token_use": "refresh_token"}, "refresh"},
		"token_use refresh":                {m{"token_use": "refresh"}, "refresh"},
		"token_type refresh":               {m{"token_type": "refresh"}, "refresh"},
		"token_type id_token":              {m{"token_type": "id_token"}, "id"},
		"a refresh token of Ping AM":       {m{"tokenName": "refresh_token"}, "refresh"},
		"a refresh token of Casdoor":       {m{"tokenType": "refresh-token"}, "refresh"},
		"an ID token of Curity":            {m{"purpose": "id"}, "id"},
		"a refresh token of Flask":         {m{"type": "refresh"}, "refresh"},
		"a security event":                 {m{"events": m{"https://schemas.openid.net/x": m{}}}, "secevent+jwt"},
		"a back-channel logout":            {logoutEvents(m{"sid": "s", "jti": "j"}), "secevent+jwt"},
		"an introspection answer":          {m{"token_introspection": m{"active": true}}, "token-introspection+jwt"},
		"a status list":                    {m{"status_list": m{"bits": 1, "lst": "x"}}, "statuslist+jwt"},
		"a DPoP proof":                     {m{"htm": "GET", "htu": api}, "dpop+jwt"},
		"a request object":                 {m{"client_id": "c", "response_type": "code"}, "oauth-authz-req+jwt"},
		"a presentation":                   {m{"vp": m{}}, "vp+jwt"},
		"an ID token of a hybrid flow":     {m{"c_hash": "x", "nonce": "n"}, "id"},
		"an access token that says ID too": {m{"token_use": "access", "typ": "ID"}, "id"},
	}
}

func TestOtherKindsOfTokensAreRefused(t *testing.T) {
	key, own := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "s")
	withConsumer := func(c *gate.Config) { c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", own)} }
	g := build(t, key, withConsumer)
	typed := build(t, key, wanting("jwt", "at+jwt"))
	profile := build(t, key, profiled)
	as := newAS(t)
	opaque, unkept := as.gate(gate.AskOpaque, key, keyless), as.gate(gate.AskOpaque, key)
	for name, c := range otherKinds() {
		t.Run(name, func(t *testing.T) {
			token := key.Sign(t, says(c.claims), m{"typ": "JWT"})
			refused(t, g, request(token), gate.InvalidType)
			refused(t, g, request(key.Sign(t, says(c.claims), m{"typ": nil})), gate.InvalidType)
			refused(t, g, request(own.Sign(t, says(c.claims, m{"iss": "shop-key"}))), gate.InvalidType)
			refused(t, typed, request(token), gate.InvalidType)
			refused(t, typed, request(key.Sign(t, says(c.claims), m{"typ": "at+jwt"})), gate.InvalidType)
			full := says(m{"client_id": "c", "jti": "j"}, c.claims)
			refused(t, profile, request(key.Sign(t, full, m{"typ": "at+jwt"})), gate.InvalidType)

			// The authorization server must not get to see it, either.
			refused(t, opaque, request(token), gate.InvalidType)
			refused(t, unkept, request(key.Sign(t, says(c.claims, m{"iss": issuerB}))), gate.InvalidType)
			if n := as.asked(); n != 0 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// logoutEvents adds what makes claims those of a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
func logoutEvents(claims m) m {
	claims["events"] = m{"http://schemas.openid.net/event/backchannel-logout": m{}}
	return claims
}

// An operator who wants tokens of another kind names it. Tokens of still other kinds do not pass.
func TestTypeAcceptsOtherKinds(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range otherKinds() {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, wanting(c.kind))
			accepted(t, g, request(key.Sign(t, says(c.claims), m{"typ": "JWT"})))
			accepted(t, g, request(key.Sign(t, says(c.claims), m{"typ": nil})))
			refused(t, g, request(key.Sign(t, says(), m{"typ": "JWT"})), gate.InvalidType)
			refused(t, g, request(key.Sign(t, says(m{"typ": "InitialAccessToken"}), m{"typ": "JWT"})), gate.InvalidType)
		})
	}
	for _, typ := range []string{
		"logout+jwt", "eat+jwt", "txntoken+jwt", "oauth-id-jag+jwt",
		"wit+jwt", "okta-internal-at+jwt", "dc+sd-jwt", "passport",
	} {
		t.Run(typ, func(t *testing.T) {
			events := logoutEvents(m{})
			token := key.Sign(t, says(), m{"typ": typ})
			other := func(c *gate.Config) {
				more := issuer(t, issuerB, key)
				more.Types = []string{typ}
				c.Issuers = append(c.Issuers, more)
			}
			g := build(t, key, wanting("at+jwt", typ))
			accepted(t, g, request(token))
			accepted(t, g, request(key.Sign(t, says(events), m{"typ": typ}))) // its explicit type covers its members
			accepted(t, g, request(key.Sign(t, says(), m{"typ": "at+jwt"})))
			refused(t, g, request(key.Sign(t, says(), m{"typ": "x+jwt"})), gate.InvalidType)
			refused(t, build(t, key), request(token), gate.InvalidType)
			refused(t, build(t, key, other), request(token), gate.InvalidType)
			accepted(t, build(t, key, other), request(key.Sign(t, says(m{"iss": issuerB}), m{"typ": typ})))
			refused(t, build(t, key, other),
				request(key.Sign(t, says(m{"iss": "https://nobody.example"}), m{"typ": typ})), gate.InvalidType)
		})
	}
	// The operator must name every kind that a token declares, in any order.
	for _, text := range []string{`{"typ":"Logout","events":{},%s}`, `{"events":{},"typ":"Logout",%s}`} {
		rest, _ := json.Marshal(says())
		token := key.SignRaw(`{"alg":"ES256","kid":"k1"}`, fmt.Sprintf(text, rest[1:len(rest)-1]))
		refused(t, build(t, key, wanting("logout")), request(token), gate.InvalidType)
		refused(t, build(t, key, wanting("secevent+jwt")), request(token), gate.InvalidType)
		accepted(t, build(t, key, wanting("logout", "secevent+jwt")), request(token))
	}
	for _, typ := range []string{"ID", "refresh", "refresh_token", "Logout"} {
		refused(t, build(t, key), request(key.Sign(t, says(), m{"typ": typ})), gate.InvalidType)
	}
	accepted(t, build(t, key, wanting("refresh_token")), request(key.Sign(t, says(), m{"typ": "refresh_token"})))
}

// A token that is bound by its kind is refused like one with cnf: after its signature was verified.
func TestTokenThatIsBoundByItsKind(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key)
	for _, set := range []m{{"typ": "DPoP"}, {"token_type": "DPoP"}} {
		refused(t, g, request(key.Sign(t, says(set))), gate.ProofRequired)
		refused(t, g, request(tokentest.FlipSignature(t, key.Sign(t, says(set)))), gate.InvalidSignature)
	}
}
