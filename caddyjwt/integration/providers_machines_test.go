package integration

import (
	"net/http"
	"slices"
	"strings"
)

// From InterSystems' documentation, and from an article in its community with the answer of /login.
func iris() []provider {
	const (
		oauth = `"iss":"$HOST/oauth2","sub":"alice","iat":$NOW.749942,"exp":$EXP.749942`
		login = `"iat":$NOW.749942,"exp":$SOON,"iss":"InterSystems","sid":"dY01bRT0faBRrnWgBq2aFikW"`
	)
	header := `{"alg":"ES256","typ":"JWT"}`
	return []provider{
		{
			section: "InterSystems IRIS", block: 1, hosts: []string{"https://iris.example.com"}, upstream: "localhost:52773",
			alg: "RS256", kid: "1", asks: "/oauth2/introspection",
			documents: map[string]string{
				"/oauth2/.well-known/openid-configuration": `{"issuer":"$HOST/oauth2","jwks_uri":"$HOST/oauth2/jwks",` +
					`"introspection_endpoint":"$HOST/oauth2/introspection"}`,
				"/oauth2/jwks": keySet,
			},
			tokens: []shape{
				{name: "an access token", header: `{"alg":"RS256","kid":"$KID"}`, seen: []string{"X-User", "alice"},
					payload: `{` + oauth + `,"jti":"j","aud":"https://api.example.com","client_id":"web","scope":"openid orders"}`,
					answer: `{"active":true,"scope":"openid orders","client_id":"web","username":"alice","token_type":"bearer",` +
						`"exp":$EXP,"sub":"alice","aud":"https://api.example.com","iss":"$HOST/oauth2"}`},
				{name: "an ID token", header: `{"alg":"RS256","kid":"$KID"}`, reason: "invalid_audience",
					payload: `{` + oauth + `,"aud":"web","auth_time":$NOW,"at_hash":"a","nonce":"n"}`},
				{name: "a revoked token", header: `{"alg":"RS256","kid":"$KID"}`, reason: "inactive",
					payload: `{` + oauth + `,"jti":"k","aud":"https://api.example.com","client_id":"web","scope":"openid"}`},
			},
		},
		{
			section: "InterSystems IRIS", block: 2, upstream: "localhost:52773",
			replace: map[string]string{"/etc/caddy/auth.pub.pem": "a file with the key"}, alg: "ES256", kid: "1",
			tokens: []shape{
				{name: "an access token", header: header, seen: []string{"X-User", "_SYSTEM"},
					payload: `{` + login + `,"sub":"_SYSTEM","app":"/api/ttrg/"}`},
				{name: "a refresh token", header: header, reason: "missing_claim", payload: `{` + login + `,"app":"/api/ttrg/"}`},
				{name: "a token of another web application", header: header, reason: "claim_mismatch",
					payload: `{` + login + `,"sub":"_SYSTEM","app":"/api/other/"}`},
				{name: "a token that lives for longer", header: header, reason: "lifetime_too_long",
					payload: `{"iat":$NOW.5,"exp":$EXP,"iss":"InterSystems","sub":"_SYSTEM","sid":"s","app":"/api/ttrg/"}`},
			},
		},
	}
}

// Another Caddy, whose token_issuer has a client that asks. e2e has a real one.
func caddys() []provider {
	claims := `"iat":$NOW.123,"exp":$EXP,"iss":"$HOST","sub":"billing","jti":"j","aud":"https://orders.example.com",` +
		`"client_id":"billing","scope":"orders:read"`
	header := `{"alg":"ES256","kid":"$KID","typ":"at+jwt"}`
	return []provider{{
		section: "Another Caddy", block: 1, hosts: []string{"https://auth.example.com"}, alg: "ES256", kid: "1",
		asks: "/oauth2/introspection",
		documents: map[string]string{
			"/.well-known/openid-configuration": `{"issuer":"$HOST","jwks_uri":"$HOST/.well-known/jwks.json",` +
				`"introspection_endpoint":"$HOST/oauth2/introspection"}`,
			"/.well-known/jwks.json": keySet,
		},
		tokens: []shape{
			{name: "an access token", header: header, seen: []string{"X-Client", "billing"}, payload: `{` + claims + `}`,
				answer: `{"active":true,"token_type":"Bearer",` + strings.Replace(claims, "$NOW.123", "$NOW", 1) + `}`},
			{name: "a revoked token", header: header, reason: "inactive",
				payload: `{` + strings.Replace(claims, `"jti":"j"`, `"jti":"k"`, 1) + `}`},
			{name: "a token for another API", header: header, reason: "invalid_audience",
				payload: `{` + strings.Replace(claims, "orders.example.com", "stock.example.com", 1) + `}`},
		},
	}}
}

// What stands before the gate, and signs in users.
func doors() []provider {
	const (
		team = `"aud":["32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"],"iss":"$HOST",` +
			`"exp":$EXP,"iat":$NOW`
		iap = `"iss":"https://cloud.google.com/iap","exp":$EXP,"iat":$NOW,"email":"alice@example.com",` +
			`"sub":"accounts.google.com:1234567890","hd":"example.com","identity_source":"GOOGLE"`
		backend = `"aud":"/projects/123456789012/global/backendServices/9876543210987654321"`
	)
	es256 := `{"alg":"ES256","typ":"JWT","kid":"$KID"}`
	return []provider{
		// From Cloudflare's page about the application token.
		{
			section: "Cloudflare Access", block: 1, hosts: []string{"https://example.cloudflareaccess.com"},
			alg: "RS256", kid: "9338abe1baf2fe492f646a736f25afbf7b025e35c627be4f60c414d4c73069b8",
			documents: map[string]string{"/cdn-cgi/access/certs": `{"keys":[$KEY],"public_cert":{"kid":"k","cert":"c"},` +
				`"public_certs":[{"kid":"k","cert":"c"}]}`},
			field: "Cf-Access-Jwt-Assertion",
			tokens: []shape{
				{name: "a user's token", header: plainHeader, seen: []string{"X-User", "alice@example.com"},
					payload: `{` + team + `,"nbf":$NOW,"email":"alice@example.com","type":"app","identity_nonce":"6ei69kawdKzMIAPF",` +
						`"sub":"7335d417-61da-459d-899c-0a01c76a2f94","country":"US"}`},
				{name: "a service token", header: plainHeader,
					seen:    []string{"X-User", "", "X-Service", "e367826f93b8d71185e03fe518aff3b4.access"},
					payload: `{"type":"app",` + team + `,"common_name":"e367826f93b8d71185e03fe518aff3b4.access","sub":""}`},
				{name: "a service token for another application", header: plainHeader, reason: "invalid_audience",
					payload: `{"type":"app","aud":["0000"],"iss":"$HOST","exp":$EXP,"iat":$NOW,"common_name":"e3.access","sub":""}`},
				{name: "a name of blanks, which nothing admits", header: plainHeader, reason: "malformed_token",
					payload: `{"type":"app",` + team + `,"common_name":"e3.access","sub":" "}`},
				{name: "a token for another application", header: plainHeader, reason: "invalid_audience",
					payload: `{"aud":["0000"],"iss":"$HOST","exp":$EXP,"iat":$NOW,"type":"app","email":"a@example.com","sub":"1"}`},
				{name: "the token of the session", header: plainHeader, reason: "claim_mismatch",
					payload: `{` + team + `,"type":"org","email":"alice@example.com","sub":"7335d417"}`},
			},
		},
		// From Google's page about signed headers of Identity-Aware Proxy.
		{
			section: "Google Cloud IAP", block: 1, hosts: []string{"https://www.gstatic.com"}, alg: "ES256", kid: "f9R3yg",
			documents: map[string]string{"/iap/verify/public_key-jwk": keySet}, field: "X-Goog-Iap-Jwt-Assertion",
			public: "/healthz",
			tokens: []shape{
				{name: "a user's token", header: es256, payload: `{` + iap + `,` + backend + `}`,
					seen: []string{"X-User", "alice@example.com"}},
				{name: "a token for another backend", header: es256, reason: "invalid_audience",
					payload: `{` + iap + `,"aud":"/projects/123456789012/global/backendServices/1"}`},
				{name: "an ID token of Google", header: plainHeader, key: "RS256 google", reason: "unknown_issuer",
					payload: `{"iss":"https://accounts.google.com",` + backend + `,"sub":"1","exp":$EXP}`},
			},
		},
	}
}

func machines() []provider {
	return slices.Concat([]provider{kubernetes(), gitlabCI(), spiffe()}, githubActions(), supabase())
}

// From Kubernetes' documentation of bound service account tokens.
func kubernetes() provider {
	const (
		cluster = `"iss":"https://kubernetes.default.svc.cluster.local","iat":$NOW,"nbf":$NOW,"exp":$EXP,"jti":"e51f1fbc"`
		pod     = `"kubernetes.io":{"namespace":"shop","node":{"name":"n1","uid":"1"},"pod":{"name":"web-0","uid":"2"},` +
			`"serviceaccount":{"name":"web","uid":"3"},"warnafter":$EXP}`
		account = `"sub":"system:serviceaccount:shop:web"`
	)
	header := `{"alg":"RS256","kid":"$KID"}`
	return provider{
		section: "Kubernetes service accounts", block: 1,
		replace: map[string]string{
			"https://kubernetes.default.svc/openid/v1/jwks":              "$HOST/openid/v1/jwks",
			"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt":       "a file with the certificate",
			"{file./var/run/secrets/kubernetes.io/serviceaccount/token}": "a token from a file",
		},
		tls:     true,
		expects: func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer the-gateways-own-token" },
		alg:     "RS256", kid: "OAjVVaejWFc0Yt9ykr0_8lMMuRNs67OXTWHsN02Pkyw",
		documents: map[string]string{"/openid/v1/jwks": keySet},
		tokens: []shape{
			{name: "a projected token", header: header, seen: []string{"X-Caller", "system:serviceaccount:shop:web"},
				payload: `{` + cluster + `,"aud":["orders"],` + pod + `,` + account + `}`},
			{name: "the token that every pod has", header: header, reason: "invalid_audience",
				payload: `{` + cluster + `,"aud":["https://kubernetes.default.svc.cluster.local"],` + pod + `,` + account + `}`},
			{name: "another service account", header: header, reason: "claim_mismatch",
				payload: `{` + cluster + `,"aud":["orders"],"sub":"system:serviceaccount:default:default"}`},
			{name: "an old token from a Secret", header: header, reason: "unknown_issuer",
				payload: `{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"shop",` + account + `}`},
		},
	}
}

// From GitHub's reference of OpenID Connect.
func githubActions() []provider {
	const (
		run = `"iss":"$HOST","iat":$NOW,"nbf":$NOW,"exp":$EXP,"jti":"j","repository":"octo-org/api",` +
			`"repository_id":"815","repository_owner":"octo-org","run_id":"1","workflow":"deploy","event_name":"push",` +
			`"runner_environment":"github-hosted","repository_visibility":"private","actor":"alice"`
		ours = `"aud":"https://deploy.example.com"`
	)
	// token is one of a run, with a sub, a ref and the id of the owner.
	token := func(sub, ref, owner string) string {
		return `{` + run + `,` + ours + `,"sub":"` + sub + `","ref":"` + ref + `","repository_owner_id":"` + owner + `"}`
	}
	seen := []string{"X-Repository", "octo-org/api"}
	p := provider{
		section: "GitHub Actions", block: 1, hosts: []string{"https://token.actions.githubusercontent.com"},
		alg: "RS256", kid: "cc413527-173f-5a05-976e-9c52b1d7b431",
		documents: map[string]string{
			"/.well-known/openid-configuration": plainMetadata("$HOST", "/.well-known/jwks"), "/.well-known/jwks": keySet,
		},
		tokens: []shape{
			{name: "a push to main", header: plainHeader, seen: seen,
				payload: token("repo:octo-org/api:ref:refs/heads/main", "refs/heads/main", "4711")},
			{name: "a push to main of a newer repository", header: plainHeader, seen: seen,
				payload: token("repo:octo-org@4711/api@815:ref:refs/heads/main", "refs/heads/main", "4711")},
			{name: "a pull request", header: plainHeader, reason: "claim_mismatch",
				payload: token("repo:octo-org/api:pull_request", "refs/pull/7/merge", "4711")},
			{name: "another owner", header: plainHeader, reason: "claim_mismatch",
				payload: token("repo:octo-org/api:ref:refs/heads/main", "refs/heads/main", "666")},
			{name: "the default audience", header: plainHeader, reason: "invalid_audience",
				payload: `{` + run + `,"aud":"https://github.com/octo-org","sub":"repo:octo-org/api:ref:refs/heads/main",` +
					`"ref":"refs/heads/main","repository_owner_id":"4711"}`},
			{name: "GitHub Enterprise Server", header: plainHeader, reason: "unknown_issuer",
				payload: `{"iss":"https://ghes.example.com/_services/token",` + ours + `,"exp":$EXP,"sub":"repo:octo-org/api"}`},
		},
	}
	patterns := p
	patterns.block = 2
	const release = "refs/heads/release/1"
	patterns.tokens = []shape{
		{name: "a release", header: plainHeader, seen: seen,
			payload: token("repo:octo-org/api:ref:"+release, release, "4711")},
		{name: "a release of a newer repository", header: plainHeader, seen: seen,
			payload: token("repo:octo-org@4711/api@815:ref:"+release, release, "4711")},
		{name: "another branch", header: plainHeader, reason: "claim_mismatch",
			payload: token("repo:octo-org/api:ref:refs/heads/releases", "refs/heads/releases", "4711")},
		{name: "an owner whose name begins alike", header: plainHeader, reason: "claim_mismatch",
			payload: token("repo:octo-org-2/api:ref:"+release, release, "666")},
		{name: "an owner with that name and another id", header: plainHeader, reason: "claim_mismatch",
			payload: token("repo:octo-org@666/api@815:ref:"+release, release, "666")},
		{name: "an owner inside of a name", header: plainHeader, reason: "claim_mismatch",
			payload: token("repo:evil/repo:octo-org/api:ref:"+release, release, "666")},
		{name: "another form of sub", header: plainHeader, reason: "claim_mismatch",
			payload: token("repository_owner:octo-org", release, "4711")},
	}
	return []provider{p, patterns}
}

// From GitLab's page about ID tokens of jobs.
func gitlabCI() provider {
	const job = `"iss":"$HOST","iat":$NOW,"nbf":$NOW,"exp":$EXP,"jti":"235b3a54","namespace_id":"72",` +
		`"namespace_path":"my-group","user_id":"1","user_login":"alice","pipeline_id":"574","pipeline_source":"push",` +
		`"job_id":"302","ref_type":"branch","runner_id":1,"runner_environment":"self-hosted","sha":"714a629c"`
	const (
		ours = `"aud":"https://deploy.example.com"`
		main = `"project_id":"20","project_path":"my-group/my-project","ref":"main","ref_path":"refs/heads/main",` +
			`"ref_protected":"true","sub":"project_path:my-group/my-project:ref_type:branch:ref:main"`
	)
	return provider{
		section: "GitLab CI", block: 1, hosts: []string{"https://gitlab.com"},
		alg: "RS256", kid: "4i3sFE7sxqNPOT7FdvcGA1ZVGGI_r-tsDXnEuYT4ZqE",
		documents: map[string]string{
			"/.well-known/openid-configuration": plainMetadata("$HOST", "/oauth/discovery/keys"),
			"/oauth/discovery/keys":             keySet,
		},
		tokens: []shape{
			{name: "a job of the main branch", header: plainHeader, payload: `{` + job + `,` + ours + `,` + main + `}`,
				seen: []string{"X-Project", "my-group/my-project"}},
			{name: "a job of a branch that is not protected", header: plainHeader, reason: "claim_mismatch",
				payload: `{` + job + `,` + ours + `,"project_id":"20","project_path":"my-group/my-project","ref":"feature",` +
					`"ref_protected":"false","sub":"project_path:my-group/my-project:ref_type:branch:ref:feature"}`},
			{name: "a job of another project", header: plainHeader, reason: "claim_mismatch",
				payload: `{` + job + `,` + ours + `,"project_id":"21","project_path":"evil/my-project","ref":"main",` +
					`"ref_protected":"true","sub":"project_path:evil/my-project:ref_type:branch:ref:main"}`},
			{name: "a token for another server", header: plainHeader, reason: "invalid_audience",
				payload: `{` + job + `,"aud":"https://vault.example.com",` + main + `}`},
			{name: "the ID token of a login", header: plainHeader, reason: "invalid_audience",
				payload: `{"iss":"$HOST","sub":"1","aud":"app","iat":$NOW,"exp":$EXP,"nonce":"n","auth_time":$NOW}`},
		},
	}
}

// From Supabase's reference of the claims of its tokens.
func supabase() []provider {
	const (
		project = "https://abcdefghijklmnopqrst.supabase.co"
		user    = `"aal":"aal1","amr":[{"method":"password","timestamp":$NOW}],"app_metadata":{"provider":"email",` +
			`"providers":["email"]},"aud":"authenticated","email":"alice@example.com","exp":$EXP,"iat":$NOW,` +
			`"iss":"$HOST/auth/v1","phone":"","role":"authenticated","session_id":"123e4567-e89b-12d3-a456-426614174000",` +
			`"sub":"123e4567-e89b-12d3-a456-426614174000","user_metadata":{"name":"Alice"}`
		known  = `{` + user + `,"is_anonymous":false}`
		secret = `{"alg":"HS256","kid":"0Gx7kQ2mPz","typ":"JWT"}`
	)
	keys := map[string]string{"/auth/v1/.well-known/jwks.json": keySet}
	header := `{"alg":"ES256","kid":"$KID","typ":"JWT"}`
	seen := []string{"X-User", "123e4567-e89b-12d3-a456-426614174000"}
	common := []shape{
		{name: "a user's access token", header: header, payload: known, seen: seen},
		{name: "a user of an anonymous sign-in", header: header, reason: "claim_mismatch",
			payload: `{` + user + `,"is_anonymous":true}`},
		{name: "the key service_role", header: `{"alg":"HS256","typ":"JWT"}`, key: "HS256 legacy",
			payload: `{"iss":"supabase","ref":"abcdefghijklmnopqrst","role":"service_role","iat":$NOW,"exp":$EXP}`,
			reason:  "unknown_issuer"},
		{name: "another project", header: header, key: "ES256 other", reason: "unknown_issuer",
			payload: `{"iss":"https://other.supabase.co/auth/v1","aud":"authenticated","sub":"1","exp":$EXP,` +
				`"is_anonymous":false}`},
		{name: "a refresh token", header: "v1Q2xkzJ7aBc", reason: "malformed_token"},
	}
	return []provider{
		{
			section: "Supabase", block: 1, hosts: []string{project}, documents: keys,
			alg: "ES256", kid: "b81269f1-21d8-4f2e-b719-c2240a840d90",
			tokens: append([]shape{
				{name: "a token of the legacy secret", header: secret, key: "HS256 legacy", payload: known,
					reason: "unsupported_algorithm"},
			}, common...),
		},
		{
			section: "Supabase", block: 2, hosts: []string{project}, documents: keys,
			replace: map[string]string{"{env.SUPABASE_JWT_SECRET}": "the legacy secret"},
			alg:     "ES256", kid: "b81269f1-21d8-4f2e-b719-c2240a840d90",
			tokens: append([]shape{
				{name: "a token of the legacy secret", header: secret, key: "HS256 legacy", payload: known, seen: seen},
				{name: "a token of another secret", header: secret, key: "HS256 stranger", payload: known,
					reason: "invalid_signature"},
				{name: "a user of an anonymous sign-in, by the secret", header: secret, key: "HS256 legacy",
					payload: `{` + user + `,"is_anonymous":true}`, reason: "claim_mismatch"},
			}, common...),
		},
	}
}

// From the SPIFFE standard for JWT-SVIDs and bundles.
func spiffe() provider {
	const svid = `"iss":"$HOST","iat":$NOW,"exp":$EXP`
	header := `{"alg":"ES256","typ":"JWT","kid":"$KID"}`
	return provider{
		section: "SPIFFE", block: 1, hosts: []string{"https://spire.example.com"}, alg: "ES256", kid: "C6vs25welZOx",
		published: map[string]any{"use": "jwt-svid", "alg": nil},
		documents: map[string]string{"/bundle": `{"spiffe_sequence":1,"spiffe_refresh_hint":300,"keys":[{"use":"x509-svid",` +
			`"kty":"EC","crv":"P-256","x":"AA","y":"AA","x5c":["AA"]},$KEY]}`},
		tokens: []shape{
			{name: "a JWT-SVID", header: header, seen: []string{"X-Caller", "spiffe://example.com/web"},
				payload: `{` + svid + `,"aud":["spiffe://example.com/orders"],"sub":"spiffe://example.com/web"}`},
			{name: "another workload", header: header, reason: "claim_mismatch",
				payload: `{` + svid + `,"aud":["spiffe://example.com/orders"],"sub":"spiffe://example.com/other"}`},
			{name: "a JWT-SVID for another service", header: header, reason: "invalid_audience",
				payload: `{` + svid + `,"aud":["spiffe://example.com/stock"],"sub":"spiffe://example.com/web"}`},
			{name: "a JWT-SVID without iss", header: header, reason: "unknown_issuer",
				payload: `{"exp":$EXP,"aud":["spiffe://example.com/orders"],"sub":"spiffe://example.com/web"}`},
		},
	}
}
