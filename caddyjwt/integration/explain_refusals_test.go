package integration

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// refusal is a token or request that a gate refuses, and what explain says about it.
type refusal struct {
	gate  []string // lines of the bearer_auth block
	token string
	input string // a request, with %s for the token; empty for the token alone
	args  []string
	fetch bool
	sees  []string // what the output names: what came and what was expected
}

// refusals has at least one refusal for each reason that the command can show. The issuer https://as.example signs with
// key, and a consumer bob with hmacKey.
func refusals(t *testing.T, key *tokentest.Key) map[gate.Reason]map[string]refusal {
	const issuer = "https://as.example"
	pem := newFile(t, "key.pem", key.PublicPEM())
	encFile := newFile(t, "enc.pem", tokentest.NewKey(t, "ES256", "enc").PrivatePEM())
	two := newFile(t, "two.json", tokentest.JWKS(key, tokentest.NewKey(t, "RS256", "k2")))
	block := func(lines ...string) string { return issuerWithKeys(issuer, "file "+pem, lines...) }
	signed := func(changes ...any) string { return key.Sign(t, issuedBy(issuer, changes...)) }
	header := func(name string, value any) string {
		return key.Sign(t, issuedBy(issuer), map[string]any{name: value})
	}
	now := time.Now().Unix()
	plain := []string{block()}
	many := []string{issuerWithKeys(issuer+"/*/v2", "file "+pem, "tenants acme")}
	message := "POST /mcp HTTP/1.1\nHost: x\nContent-Type: application/json\nAuthorization: Bearer %s\n\n"
	form := "POST / HTTP/1.1\nHost: x\nContent-Type: application/x-www-form-urlencoded\n\naccess_token=%s"
	asking := func(change func(*testing.T, *tokentest.AS), lines ...string) (*tokentest.AS, []string) {
		as := introspector(t)
		change(t, as)
		return as, []string{introspecting(as, "opaque", lines...)}
	}
	asked := func(answer tokentest.IntrospectionAnswer) []string {
		_, lines := asking(answering(answer))
		return lines
	}
	down := tokentest.NewAS(t, tokentest.StartDown())
	confirming := introspector(t, tokentest.WithKeys(key))
	confirming.Introspect(always(active("sub", "mallory")))
	all := map[gate.Reason]map[string]refusal{
		gate.MalformedRequest: {
			"two tokens": {gate: append([]string{"token_from header Authorization", "token_from query jwt"}, plain...),
				token: signed(), input: "curl -H 'Authorization: Bearer %s' 'https://example.com/?jwt=%[1]s'",
				sees: []string{"more than one place", "query jwt"}},
			"a token that is too long": {gate: append([]string{"max_token_size 100B"}, plain...), token: signed(),
				sees: []string{"too long", "max_token_size"}},
		},
		gate.BodyTooLarge: {"a long form": {gate: append([]string{"token_from form access_token"}, plain...), token: signed(),
			input: form + "&a=" + strings.Repeat("a", 1<<20), sees: []string{"too large", "form access_token"}}},
		gate.MissingToken: {
			"another scheme": {gate: plain, token: signed(), input: "Authorization: JWT %s",
				sees: []string{"header Authorization Bearer", "token_from header Authorization JWT"}},
			"the scheme DPoP": {gate: plain, token: signed(), input: "Authorization: DPoP %s",
				sees: []string{"header Authorization Bearer", "proof dpop"}},
			"in the query": {gate: plain, token: signed(), input: "curl https://example.com/?access_token=%s",
				sees: []string{"header Authorization Bearer", "token_from query access_token"}},
			"in a cookie": {gate: plain, token: signed(), input: "Cookie: a=b; sess=%s",
				sees: []string{"header Authorization Bearer", "token_from cookie sess"}},
			"in another header": {gate: plain, token: signed(), input: "X-Jwt: %s",
				sees: []string{"header Authorization Bearer", "token_from header X-Jwt"}},
			"in place of the scheme": {gate: plain, token: signed(), input: "Authorization: %s x",
				sees: []string{"nothing", "header Authorization Bearer"}},
			"nowhere": {gate: plain, input: "curl https://example.com/",
				sees: []string{"nothing", "header Authorization Bearer"}},
		},
		gate.CrossOrigin: {"a form of another site": {
			gate: append([]string{"token_from cookie t"}, plain...), token: signed(),
			input: "POST / HTTP/1.1\nHost: example.com\nOrigin: https://evil.example\nCookie: t=%s\n\n",
			sees:  []string{"FAIL  origin", "evil.example", "with \"credentials\""}}},
		gate.DecryptionFailed: {
			"for another key": {gate: []string{block("decrypt {\nkey " + encFile + " enc\n}")},
				token: encrypted(t, signed(), tokentest.NewKey(t, "ES256", "other")),
				sees:  []string{"FAIL  decryption", "kid other", `EC key \"enc\"`, "docs/encryption.md"}}},
		gate.NotEncrypted: {
			"signed alone": {gate: []string{block("decrypt {\nkey " + encFile + "\nrequired\n}")}, token: signed(),
				sees: []string{"FAIL  encryption", "encrypt its tokens for this gate"}}},
		gate.MalformedToken: {
			"an opaque token": {gate: plain, token: "2YotnFZFEjr1zCsicMWpAA",
				sees: []string{"opaque token", "introspect opaque"}},
			"a token cut short": {gate: plain, token: signed()[:60],
				sees: []string{"not well-formed", "copy all of it"}},
			"an encrypted token": {gate: plain, token: b64(`{"alg":"dir","enc":"A256GCM"}`) + "..aaaa.bbbb.cccc",
				sees: []string{"encrypted", "introspect opaque"}},
		},
		gate.UnsupportedAlgorithm: {
			"another one of its kind": {
				gate:  []string{issuerWithKeys(issuer, "file "+two, "algorithms RS256")},
				token: signed(), sees: []string{`"ES256"`, `"RS256"`, "algorithms RS256 ES256"}},
			"none": {gate: plain, token: key.SignRaw(`{"alg":"none"}`, asJSON(t, issuedBy(issuer))),
				sees: []string{"algorithm", "Leave the configuration as it is"}},
		},
		gate.InvalidType: {
			"an ID token": {gate: plain, token: signed("typ", "ID"),
				sees: []string{`"id, by the claim typ"`, "an access token"}},
			"another typ": {gate: []string{block("type at+jwt")}, token: signed(),
				sees: []string{`"typ jwt"`, `"at+jwt"`}},
			"another profile": {gate: []string{block("profile rfc9068")}, token: signed(),
				sees: []string{"rfc9068", "at+jwt"}},
			"a kind in the typ": {gate: plain, token: header("typ", "logout+jwt"),
				sees: []string{"another kind of JWT", "Send the access token"}},
		},
		gate.UnknownIssuer: {
			"a slash too many": {gate: plain, token: signed("iss", issuer+"/"),
				sees: []string{`"iss https://as.example/"`, `"iss https://as.example"`, "issuer https://as.example/",
					"If it is the server that is configured"}},
			"another scheme": {gate: plain, token: signed("iss", "http://as.example"),
				sees: []string{`"iss http://as.example"`, "If it is the server that is configured"}},
			"another issuer": {gate: plain, token: signed("iss", "https://evil.example"),
				sees: []string{`"iss https://evil.example"`, `"iss https://as.example"`, "only if you trust"}},
			"none": {gate: plain, token: signed("iss", nil), sees: []string{"nothing", "Leave the configuration as it is"}},
			"a tenant that is not listed": {gate: many, token: signed("iss", "https://as.example/globex/v2"),
				sees: []string{`the tenant "globex"`, "tenants globex", "in the block of issuer \"https://as.example/*/v2\"",
					"only if you know this tenant"}},
			"the pattern of tenants": {gate: many, token: signed("iss", "https://as.example/*/v2"),
				sees: []string{`a token has a tenant in place of "*"`, "stands for a tenant"}},
			"another credential": {gate: []string{"key_claim kid", consumerAlice(t)}, token: hmacKey(t).WithKID("bob-key").
				Sign(t, claims("iss", nil)), sees: []string{`"kid bob-key"`, `"kid alice-key"`}},
		},
		gate.UnknownKey: {
			"another kid": {
				gate:  []string{issuerWithKeys(issuer, "file "+newFile(t, "keys.json", tokentest.JWKS(key.WithKID("k9"))))},
				token: key.WithKID("k8").Sign(t, issuedBy(issuer)), sees: []string{`k8`, "Get a new token"},
			},
			"an ended credential": {
				gate:  []string{strings.Replace(consumerAlice(t), "algorithm", "expires 2026-01-01\nalgorithm", 1)},
				token: hmacKey(t).Sign(t, claims()), sees: []string{"FAIL  certificate", "another credential"},
			},
		},
		gate.InvalidSignature: {"a forged token": {gate: plain, token: tokentest.FlipSignature(t, signed()),
			sees: []string{"FAIL  signature", "Nobody has verified the token"}}},
		gate.Expired: {
			"by a minute": {gate: plain, token: signed("exp", now-60),
				sees: []string{`"exp TIME"`, `"leeway 5s"`, "leeway 7"}},
			"by a day": {gate: plain, token: signed("exp", now-86400),
				sees: []string{`"exp TIME"`, "No leeway is long enough"}},
		},
		gate.NotYetValid: {
			"nbf": {gate: plain, token: signed("nbf", now+60), sees: []string{`"nbf TIME"`, `"leeway 5s"`, "leeway "}},
			"iat": {gate: plain, token: signed("iat", now+3600), sees: []string{`"iat TIME"`, "No leeway"}},
		},
		gate.LifetimeTooLong: {
			"of the gate": {gate: append([]string{"max_lifetime 1m"}, plain...), token: signed(),
				sees: []string{`"5m0s"`, `"1m0s"`, "max_lifetime 5m0s"}},
			"of the issuer": {gate: []string{block("max_lifetime 1m")}, token: signed(),
				sees: []string{`"5m0s"`, `"1m0s"`, "in the block of issuer"}},
		},
		gate.InvalidAudience: {
			"of the issuer": {gate: plain, token: signed("aud", "account"),
				sees: []string{`"account"`, `"` + audience + `"`, "audience " + audience + " account", "in the block of issuer"}},
			"of the route": {gate: append([]string{"audience https://other.example"}, plain...), token: signed(),
				sees: []string{`"https://other.example"`, "audience https://other.example " + audience,
					"in the bearer_auth block"}},
			"none": {gate: plain, token: signed("aud", nil),
				sees: []string{"nothing", `"` + audience + `"`, "audience any"}},
		},
		gate.MissingClaim: {
			"exp": {gate: plain, token: signed("exp", nil), sees: []string{"exp", "Leave the configuration as it is"}},
			"exp and iat": {gate: []string{block("tolerate missing_exp\nmax_lifetime 1h")},
				token: signed("exp", nil, "iat", nil), sees: []string{"or at least iat"}},
			"a required one": {gate: []string{block("required_claims azp")}, token: signed(),
				sees: []string{`"azp"`, "required_claims azp"}},
			"of the profile": {gate: []string{block("profile rfc9068")}, token: header("typ", "at+jwt"),
				sees: []string{"client_id", "profile rfc9068"}},
			"of the lifetime": {gate: []string{block("max_lifetime 1h")}, token: signed("iat", nil),
				sees: []string{"iat", "max_lifetime"}},
			"the name": {gate: []string{block("username_claim name")}, token: signed(),
				sees: []string{"nothing", "a name", "username_claim"}},
			"sub and client_id": {gate: []string{issuerBlock(issuer, "audience any", "keys file "+pem)},
				token: signed("sub", nil),
				sees:  []string{"sub or client_id", "audience <value>"}},
		},
		gate.UnknownConsumer: {
			"nobody": {gate: []string{block("consumer_claim azp"), consumerAlice(t)}, token: signed("azp", "bob"),
				sees: []string{`"azp \"bob\""`, `"the username of a consumer"`, "Add a consumer"}},
			"no claim": {gate: []string{block("consumer_claim azp"), consumerAlice(t)}, token: signed(),
				sees: []string{"nothing", "no claim azp", "Add a consumer"}},
		},
		gate.UnsafeClaim: {"a line end": {gate: append([]string{"forward_claims X-Name name"}, plain...),
			token: signed("name", "a\nb"),
			sees:  []string{"control character", "forward_claims"}}},
		gate.InsufficientScope: {"another scope": {gate: append([]string{"require scope write"}, plain...),
			token: signed("scope", "read"),
			sees:  []string{`"read"`, `"write"`, "require scope write"}},
			"the scope of a tool": {gate: append([]string{mcpBlock}, plain...), token: signed("scope", "tools"),
				input: message + call("delete_file"), sees: []string{`came      "tools/call", "delete_file"`,
					`expected  "tools", "files:read", "files:write"`, `The block "mcp" asks`,
					"tool delete_file: lacks files:read files:write", "method tools/call: allowed"}}},
		gate.InsufficientUserAuthentication: {
			"a weaker sign-in": {gate: append([]string{"require acr gold"}, plain...), token: signed("acr", "bronze"),
				sees: []string{`"bronze"`, `"gold"`, `acr_values="gold"`}},
			"a sign-in of long ago": {gate: append([]string{"require max_auth_age 5m"}, plain...),
				token: signed("auth_time", now-3600), sees: []string{"auth_time", "5m", "max_age=300"}},
		},
		gate.MalformedMessage: {"a batch": {gate: append([]string{mcpBlock}, plain...), token: signed(),
			input: message + "[]", sees: []string{"FAIL  message", "batch", "exactly one"}}},
		gate.ToolDenied: {"a tool that is not listed": {gate: append([]string{mcpBlock}, plain...), token: signed(),
			input: message + call("drop_tables"),
			sees:  []string{`"tools/call", "drop_tables"`, `add a line "tool"`, "other tools: denied"}}},
		gate.ClaimMismatch: {
			"another value": {gate: append([]string{"require claim role admin"}, plain...), token: signed("role", "user"),
				sees: []string{`"\"user\""`, `"role", "admin"`, "require claim role admin"}},
			"no group": {gate: append([]string{"require group staff"}, plain...), token: signed(),
				sees: []string{"nothing", `"staff"`, "require group staff"}},
		},
		gate.InvalidIssuer: {
			"an answer of another": {gate: asked(active("iss", "https://other.example")),
				token: "opaque-token", fetch: true,
				sees: []string{"introspection", "endpoint"}},
			"two tenants": {gate: many, token: signed("iss", "https://as.example/acme/v2", "tid", "globex"),
				sees: []string{"FAIL  tenant", "another in tid"}},
		},
		gate.Inactive: {"says the server": {
			gate:  asked(tokentest.IntrospectionAnswer{Claims: map[string]any{"active": false}}),
			token: "opaque-token", fetch: true, sees: []string{"introspection", "new token"}}},
		gate.Contradiction: {"another subject": {gate: []string{introspecting(confirming, "always")}, fetch: true,
			token: key.Sign(t, issuedBy(confirming.URL)), sees: []string{"sub", "endpoint"}}},
		gate.KeysUnavailable: {"a server that is down": {gate: []string{issuerByJWKS(down)}, fetch: true,
			token: key.Sign(t, issuedBy(down.URL)), sees: []string{"refused", "caddy bearer-auth check"}}},
		gate.IntrospectionUnavailable: {"a server in trouble": {gate: asked(tokentest.IntrospectionAnswer{Status: 500}),
			fetch: true, token: "opaque-token", sees: []string{"500", "caddy bearer-auth check"}}},
		gate.IntrospectionFailed: {"a server that does not know us": {gate: asked(tokentest.IntrospectionAnswer{Status: 401}),
			fetch: true, token: "opaque-token", sees: []string{"401", "client_secret"}}},
	}
	maps.Copy(all, refusalsOfProofs(t, key, block()))
	return all
}

// notExplained are the reasons that the command cannot show for a token, and why.
var notExplained = map[gate.Reason]string{
	gate.Revoked:                "only the running Caddy has the store",
	gate.RevocationsUnavailable: "only the running Caddy has the store",
	gate.ProofReplayed:          "nothing is used up, so nothing was used before",
	gate.TooManyProofs:          "it depends on the requests of others",
	gate.ProofsUnavailable:      "only the running Caddy has the store",
	gate.Overloaded:             "it depends on the forms of others",
	gate.KeyPending:             "it depends on the requests of others",
	gate.IntrospectionTimeout:   "it takes as long as the timeout; its text is that of introspection_unavailable",
	gate.ClientGone:             "there is no client",
	gate.InternalError:          "it would be a fault",
}
