package gate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// refusedFor is a request that is refused, and what its cause must say.
type refusedFor struct {
	reason gate.Reason
	name   string
	gate   func(*gate.Config)
	send   *http.Request
	cause  string // the whole cause, or the parts of it between "*"
}

// For each reason, the cause says what came and what was expected. A new reason without a row fails.
func TestEveryCauseNamesBothSides(t *testing.T) {
	key, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	as := newAS(t)
	good := key.Sign(t, says())
	sign := func(changes ...m) *http.Request { return request(key.Sign(t, says(changes...))) }
	typed := func(typ string, changes ...m) *http.Request {
		return request(key.Sign(t, says(changes...), m{"typ": typ}))
	}
	places := func(places ...bearer.Place) func(*gate.Config) {
		return func(c *gate.Config) { c.Extractor = extractor(t, places...) }
	}
	query, form := bearer.Place{Kind: bearer.Query, Name: "jwt"}, bearer.Place{Kind: bearer.Form, Name: "jwt"}
	cookie := bearer.Place{Kind: bearer.Cookie, Name: "session"}
	crossSite := func(origin, site string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "https://example.com/", nil)
		r.Header = http.Header{"Cookie": {"session=" + good}, "Origin": {origin}, "Sec-Fetch-Site": {site}}
		return r
	}
	target := func(target string, header ...string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		return r
	}
	post := func(body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	asking := func(mode gate.AskMode, changes ...func(*introspect.Config)) func(*gate.Config) {
		return func(c *gate.Config) { c.Issuers[0].Asking, c.Now = as.introspection(mode, changes...), as.clock.now }
	}
	answer := func(changes ...m) *http.Request {
		token := key.Sign(t, says(m{"jti": fmt.Sprint(changes)}))
		as.says[token] = active(changes...)
		return request(token)
	}
	require := func(change func(*gate.Requirements)) func(*gate.Config) {
		return func(c *gate.Config) { change(&c.Require) }
	}
	issuer := func(change func(*gate.Issuer)) func(*gate.Config) {
		return func(c *gate.Config) { change(&c.Issuers[0]) }
	}
	failing := func(err error) func(*gate.Config) {
		return issuer(func(i *gate.Issuer) {
			keys := newKeys(t, key)
			keys.fail(err)
			i.Keys = keys
		})
	}
	withAlice := func(c *gate.Config) {
		c.Consumers, c.KeyClaim = []gate.Consumer{consumer(t, "alice", "alice-key", other)}, "kid"
		c.Consumers[0].Groups = []string{"clerks"}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	dead := tokentest.NewAS(t, tokentest.StartDown())
	slow := newAS(t)
	t.Cleanup(slow.Stall())
	as.SetClient("gateway", "s3cret")
	exampled := path(t, "realm_access.roles")
	client, thief, proofs := prover(t, "ES256"), prover(t, "ES256"), dpop(t)
	bound := key.Sign(t, says(boundTo(client)))
	unproved := proved(t, client, bound)
	unproved.Header.Del("DPoP")
	rows := []refusedFor{
		{gate.MalformedRequest, "two places", places(bearer.DefaultPlace, query),
			target("/?jwt=x", "Authorization", "Bearer y"),
			"not exactly one well-formed access token: tokens in more than one place, one of them in query jwt"},
		{gate.MalformedRequest, "a token that is too long", nil, request(strings.Repeat("a", 16<<10+1)),
			"not exactly one well-formed access token: token too long, of more than 16384 bytes"},
		{gate.BodyTooLarge, "a large form", places(form), post("jwt=" + strings.Repeat("a", 1<<20)),
			"body too large to look into: it has more than 1048576 bytes"},
		{gate.Overloaded, "a form without memory for it", func(c *gate.Config) {
			c.Extractor, _ = bearer.NewExtractor(bearer.Options{Places: []bearer.Place{form}, Forms: bearer.NewFormMemory(1)})
		}, post("jwt=" + strings.Repeat("a", 20<<10)), "no memory left for a body of this size: other bodies hold it"},
		{gate.MissingToken, "nothing", nil, request(""), "no token in header Authorization Bearer"},
		{gate.MissingToken, "another scheme and place", places(bearer.DefaultPlace, query),
			target("/?access_token=x", "Authorization", "Basic x"), "no token in header Authorization Bearer, query jwt; " +
				"the request has Authorization with the scheme Basic, the query parameter access_token"},
		{gate.CrossOrigin, "a page of another site", places(cookie), crossSite("https://evil.example", "cross-site"),
			`the token is in a cookie, and a page of another origin sent the request: Sec-Fetch-Site "cross-site", ` +
				`Origin "https://evil.example"; if that page may do so, name its origin in cors, with credentials`},
		{gate.CrossOrigin, "an old browser, or a proxy", places(cookie), crossSite("https://example.com:8443", ""),
			`the token is in a cookie, and a page of another origin sent the request: Origin "https://example.com:8443", ` +
				`Host "example.com"; if a proxy has changed Host, have it send the client's; *`},
		{gate.MalformedToken, "an opaque token", nil, request("opaque"), "opaque token, but no issuer here takes*"},
		{gate.MalformedToken, "milliseconds", nil, sign(m{"exp": 1764367000000}),
			"malformed claims: exp is not a date between 1970 and 9999 in seconds: is it in milliseconds? " +
				`("tolerate millisecond_dates" accepts that)`},
		{gate.UnsupportedAlgorithm, "an algorithm of ours", nil, request(tokentest.NewKey(t, "EdDSA", "k1").Sign(t, says())),
			"alg is EdDSA; allowed here: ES256"},
		{gate.UnsupportedAlgorithm, "none", withAlice, request(key.SignRaw(`{"alg":"none\n"}`, `{}`)),
			`alg is "none\n"; allowed here: ES256: unsupported algorithm`},
		{gate.InvalidType, "another kind, by typ", nil, typed("logout+jwt"),
			`typ is "logout+jwt": token of the wrong type: another kind of JWT than an access token`},
		{gate.InvalidType, "another kind, by a word", nil, typed("refresh"), `typ is "refresh", which is that of another*`},
		{gate.InvalidType, "another kind, by a claim", nil, sign(m{"token_use": "id"}),
			`token_use says that this is a token of the kind "id", and not an access token`},
		{gate.InvalidType, "not a type of the issuer", issuer(func(i *gate.Issuer) { i.Types = []string{"at+jwt", "x"} }),
			typed("JWT"), `typ is "jwt"; allowed here: "at+jwt", "x"`},
		{gate.InvalidType, "not the type of the profile", issuer(func(i *gate.Issuer) { i.AccessTokenProfile = true }),
			typed("JWT"), `typ is "jwt", and profile rfc9068 allows only at+jwt`},
		{gate.UnknownIssuer, "a slash", nil, sign(m{"iss": issuerA + "/"}),
			`iss is "https://as.example/", and the issuer "https://as.example" differs in the slash at its end`},
		{gate.UnknownIssuer, "no iss", nil, sign(m{"iss": nil}),
			`the token has no iss, and the only issuer here is "https://as.example"`},
		{gate.UnknownIssuer, "no consumer", withAlice, request(key.WithKID("bob").Sign(t, says(m{"iss": "x"}))),
			`iss is "x", and the only issuer here is "https://as.example"; ` +
				`the key claim "kid" is "bob", which does not name the only credential here`},
		{gate.UnknownIssuer, "no key claim", withAlice, request(key.WithKID("").Sign(t, says(m{"iss": nil}))),
			`the token has no iss, and the only issuer here is "https://as.example"; ` +
				`the token also lacks the key claim "kid", which could name the only credential here`},
		{gate.UnknownKey, "another kid", nil, request(other.Sign(t, says())),
			`unknown key: the token's kid is "k2", but the only key is "k1"`},
		{gate.UnknownKey, "a certificate that has expired", func(c *gate.Config) {
			withAlice(c)
			c.Consumers[0].Credentials[0].NotAfter = start
		}, request(other.WithKID("alice-key").Sign(t, says())),
			"the credential's certificate has expired at 2026-11-23T12:00:00Z"},
		{gate.InvalidSignature, "an issuer's", nil, request(tokentest.FlipSignature(t, good)),
			`invalid signature: it was not made with the key "k1"`},
		{gate.InvalidSignature, "a consumer's", withAlice, request(key.WithKID("alice-key").Sign(t, says())),
			"invalid signature: it was not made with the key of this credential"},
		{gate.Expired, "an hour ago", nil, sign(m{"exp": start.Unix() - 3600}),
			"expired: exp was 1h0m0s ago, and the leeway is 0s"},
		{gate.Expired, "by the server's answer", asking(gate.AskAlways), answer(m{"exp": start.Unix() - 60}),
			"in the server's answer: expired: exp was 1m0s ago, and the leeway is 0s"},
		{gate.NotYetValid, "in a minute", nil, sign(m{"iat": start.Unix() + 60}),
			"not yet valid: iat is 1m0s ahead of our clock, and the leeway is 0s"},
		{gate.LifetimeTooLong, "a day", issuer(func(i *gate.Issuer) { i.MaxLifetime = time.Hour }),
			sign(m{"exp": start.Unix() + 86400}),
			"lifetime too long: from iat to exp it is 24h0m0s, and the longest allowed is 1h0m0s (max_lifetime)"},
		{gate.InvalidIssuer, "another", asking(gate.AskAlways), answer(m{"iss": issuerB}), "in the server's answer: " +
			`not this issuer: iss is "https://other.example", and expected is "https://as.example"`},
		{gate.InvalidAudience, "of the issuer", nil, sign(m{"aud": []string{"a", "b"}}), "not for this audience: " +
			`aud is a list of 2: "a", "b"; accepted: "https://api.example" (audience of the issuer)`},
		{gate.InvalidAudience, "of the route", func(c *gate.Config) { c.Audience = accept("orders") }, sign(),
			`not for this audience: aud is "https://api.example"; accepted: "orders" (audience of the route)`},
		{gate.InvalidAudience, "none", nil, sign(m{"aud": nil}), "not for this audience: there is no aud; " +
			`accepted: "https://api.example" (audience of the issuer)`},
		{gate.MissingClaim, "of every JWT", nil, sign(m{"exp": nil}), "missing claim: exp"},
		{gate.MissingClaim, "of the profile", issuer(func(i *gate.Issuer) { i.AccessTokenProfile = true }), typed("at+jwt"),
			"missing claim: client_id, which profile rfc9068 requires"},
		{gate.MissingClaim, "of the issuer", issuer(func(i *gate.Issuer) {
			i.RequiredClaims = append(i.RequiredClaims, exampled)
		}),
			sign(m{"realm_access": m{"roles": []string{}}}),
			"missing claim: realm_access.roles is there, but empty, which required_claims of the issuer names"},
		{gate.ProofRequired, "a key", nil, sign(m{"cnf": m{"jkt": strings.Repeat("a", 43)}}),
			`cnf binds the token to a DPoP key (jkt), and DPoP proofs are not accepted here: add "proof dpop"`},
		{gate.ProofRequired, "a certificate", nil, sign(m{"cnf": m{"x5t#S256": strings.Repeat("a", 43)}}),
			`cnf binds the token to a client certificate (x5t#S256), and client certificates are not *: add "proof mtls"`},
		{gate.ProofRequired, "something else", nil, sign(m{"cnf": m{}}), "cnf binds the token to something that is not*"},
		{gate.ProofRequired, "a token type", nil, sign(m{"token_type": "DPoP"}), "the token type is DPoP, and no cnf says*"},
		{gate.InvalidProof, "another path", proofs, proved(t, client, bound, m{"htu": "http://example.com/x"}),
			`invalid DPoP proof: htu is "http://example.com/x", and the request was for "http://example.com/orders"`},
		{gate.InvalidProof, "no proof", proofs, unproved, "the request has no DPoP proof in a header DPoP; *"},
		{gate.OtherKey, "a stolen token", proofs, proved(t, thief, bound),
			"the DPoP proof is by another key than that of the token: its thumbprint is " + thief.Thumbprint() +
				", and the token is bound to " + client.Thumbprint()},
		{gate.NonceRequired, "none", dpop(t, withNonces), proved(t, client, bound),
			"the DPoP proof has no nonce, and this route wants one"},
		{gate.ProofReplayed, "twice", proofFailing(t, replay.ErrUsed), proved(t, client, bound), "the proof was used before"},
		{gate.TooManyProofs, "a full memory", proofFailing(t, replay.ErrFull), proved(t, client, bound),
			"there is no room to remember another proof of this key"},
		{gate.ProofsUnavailable, "a store that is away", proofFailing(t, replay.ErrUnavailable), proved(t, client, bound),
			"the store did not say whether the proof was used"},
		{gate.PlainHTTP, "a good token", func(c *gate.Config) { c.RequireTLS = true }, sign(),
			"the token came over http without TLS (require_tls), so others may have read it: revoke it. *trusted_proxies"},
		{gate.Revoked, "one token", revokes(t, revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "out"}),
			sign(m{"jti": "out"}), "this very token is revoked"},
		{gate.Revoked, "a session", revokes(t, revoke.Target{Issuer: issuerA, Kind: revoke.Session, Value: "private"}),
			sign(m{"sid": "private"}), "all tokens with this sid that were issued until 2026-*Z are revoked"},
		{gate.Revoked, "an issuer", revokes(t, revoke.Target{Issuer: issuerA, Kind: revoke.All}), sign(),
			`all tokens of issuer "` + issuerA + `" that were issued until 2026-*Z are revoked`},
		{gate.Inactive, "says the server", asking(gate.AskAlways), sign(),
			`the server answered "active": false: to it the token is expired, revoked or unknown`},
		{gate.Contradiction, "iss is another in the token", asking(gate.AskAlways),
			answer(m{"aud": []string{"x", "y"}}),
			`aud is "https://api.example" in the token, and "x", "y" in the server's answer`},
		{gate.Contradiction, "another subject", asking(gate.AskAlways), answer(m{"sub": "4711"}),
			"sub in the token differs from sub in the server's answer"},
		{gate.UnknownConsumer, "no claim", shops(t, "client", gate.ByUsername), sign(),
			"the token has no claim client, which consumer_claim names"},
		{gate.UnknownConsumer, "a list", shops(t, "client", gate.ByUsername), sign(m{"client": []string{"shop"}}),
			"claim client is of the type array, and only a string names a consumer"},
		{gate.DecryptionFailed, "for another key", issuer(func(i *gate.Issuer) { i.Decrypt = opener(t, key) }),
			request(encrypted(t, key.Sign(t, says()), other)), "encrypted token, and no key here opens it"},
		{gate.NotEncrypted, "signed alone", issuer(func(i *gate.Issuer) {
			i.Decrypt = opener(t, key)
			i.Decrypt.Required = true
		}), sign(), `the token is not encrypted, and "required" in the issuer's decrypt block demands it`},
		{gate.UnknownConsumer, "nobody", shops(t, "client", gate.ByCustomID), sign(m{"client": "x\n"}),
			`claim client is "x\n", and no consumer has that custom_id`},
		{gate.UnknownConsumer, "the anonymous one", shops(t, "client", gate.ByUsername), sign(m{"client": "guest"}),
			`claim client is "guest", and no token can be the anonymous consumer`},
		{gate.MissingClaim, "the name", called(t, "name"), sign(), "missing claim: name, which username_claim names"},
		{gate.UnsafeClaim, "a line end", forward(t, "name", "X-Name"), sign(m{"name": "a\nb"}),
			"claim name: it has a control character"},
		{gate.InsufficientUserAuthentication, "another acr", require(func(r *gate.Requirements) {
			r.ACR = []string{"gold", "silver"}
		}), sign(m{"acr": "bronze"}), "not the required authentication of the user: " +
			`acr is "bronze"; accepted: "gold", "silver" (require acr)`},
		{gate.InsufficientUserAuthentication, "an old sign-in", require(func(r *gate.Requirements) {
			r.MaxAuthAge = time.Minute
		}), sign(m{"auth_time": start.Unix() - 120}), "not the required authentication of the user: " +
			"auth_time was 2m0s ago, the longest allowed is 1m0s, and the leeway is 0s (require max_auth_age)"},
		{gate.InsufficientUserAuthentication, "no auth_time in the token", require(func(r *gate.Requirements) {
			r.MaxAuthAge = time.Minute
		}), sign(), "not the required authentication of the user: there is no auth_time (require max_auth_age)"},
		{gate.InsufficientScope, "one of two", require(func(r *gate.Requirements) { r.Scopes = []string{"read", "write"} }),
			sign(m{"scope": "read other"}), `the token lacks the scope "write", and it has "read", "other"`},
		{gate.InsufficientScope, "none", require(func(r *gate.Requirements) { r.Scopes = []string{"read"} }), sign(),
			`the token lacks the scope "read", and it has none`},
		{gate.ClaimMismatch, "not there", require(func(r *gate.Requirements) {
			r.Claims = []claims.Condition{{Path: exampled, Values: []string{"admin"}}}
		}), sign(), `the claim "realm_access.roles" is not there; required: "admin"`},
		{gate.ClaimMismatch, "other values", require(func(r *gate.Requirements) {
			r.Claims = []claims.Condition{{Path: exampled, Values: []string{"admin", "root"}}}
		}), sign(m{"realm_access": m{"roles": []string{"private", "texts"}}}), `the claim "realm_access.roles" is there, ` +
			`but it is a list of 2 other values; required: "admin", "root"`},
		{gate.ClaimMismatch, "no groups", require(func(r *gate.Requirements) { r.Groups = []string{"staff"} }), sign(),
			`the route requires one of the groups "staff"; the token has no claim "groups". *`},
		{gate.ClaimMismatch, "other groups", require(func(r *gate.Requirements) { r.Groups = []string{"staff"} }),
			sign(m{"groups": "private"}),
			`the route requires one of the groups "staff"; the token's claim "groups" is another string`},
		{gate.ClaimMismatch, "other groups of a consumer", func(c *gate.Config) {
			withAlice(c)
			c.Audience.Any, c.Require.Groups = true, []string{"staff"}
		}, request(other.WithKID("alice-key").Sign(t, says())),
			`the route requires one of the groups "staff"; the consumer "alice" has "clerks"`},
		{gate.KeyPending, "an unknown kid", issuer(func(i *gate.Issuer) { i.Keys = pendingKeys{newKeys(t, key)} }),
			request(other.Sign(t, says())), "keys unavailable: the key is not known yet: slowly"},
		{gate.KeysUnavailable, "no keys", failing(fmt.Errorf("key set https://as.example/jwks: %w", http.ErrServerClosed)),
			sign(), "key set https://as.example/jwks: http: Server closed"},
		{gate.RevocationsUnavailable, "not in sync", func(c *gate.Config) {
			c.Revocations, c.MaxLifetime = revoke.NewList(), time.Hour
		}, sign(), "it is not known which tokens are revoked"},
		{gate.IntrospectionUnavailable, "nobody listens", asking(gate.AskAlways, func(c *introspect.Config) {
			c.Endpoint = dead.IntrospectionURL()
		}), sign(),
			"introspect: no verdict: unavailable: asking *refused*"},
		{gate.IntrospectionFailed, "a wrong secret", asking(gate.AskAlways, func(c *introspect.Config) {
			c.ClientSecret = "wrong"
		}), sign(m{"jti": "2"}), "introspect: no verdict: refused: * answered with status 401"},
		{gate.IntrospectionTimeout, "no answer", asking(gate.AskAlways, func(c *introspect.Config) {
			c.Endpoint, c.Timeout = slow.IntrospectionURL(), 300*time.Millisecond
		}), sign(m{"jti": "3"}), "introspect: no verdict: timeout: no answer within 300ms"},
		{gate.ClientGone, "while keys are fetched", failing(fmt.Errorf("any")), sign().WithContext(gone),
			"the client hung up while the gate waited for keys, the store or the authorization server (keys_unavailable)"},
		{gate.InternalError, "a fault of an extractor", func(c *gate.Config) { c.Extractor = wrongPlace{c.Extractor} },
			sign(),
			"the extractor returned place 7 of 1"},
	}
	seen := make(map[gate.Reason]bool)
	for _, row := range rows {
		seen[row.reason] = true
		t.Run(string(row.reason)+", "+row.name, func(t *testing.T) {
			change := row.gate
			if change == nil {
				change = func(*gate.Config) {}
			}
			g := build(t, key, change)
			var f *gate.Failure
			if row.reason == gate.UnsafeClaim {
				f = gate.FailureOf(g.Annotate(row.send, accepted(t, g, row.send)))
			} else {
				f = refused(t, g, row.send, row.reason)
			}
			if !matches(causes.Line(f.Cause), row.cause) {
				t.Errorf("the cause is\n%v\nwant\n%s", f.Cause, row.cause)
			}
		})
	}
	// These are about messages, which the gate does not read.
	seen[gate.MalformedMessage], seen[gate.ToolDenied] = true, true
	for _, reason := range gate.Reasons() {
		if !seen[reason] {
			t.Errorf("no row shows the cause of %s", reason)
		}
	}
}

// matches reports whether a text consists of the parts of a pattern, with anything where the pattern has "*".
func matches(text, pattern string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	for i, part := range parts {
		at := strings.Index(text, part)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return text == "" || parts[len(parts)-1] == ""
}

// wrongPlace says that the token was in a place that there is not.
type wrongPlace struct{ gate.Extractor }

func (w wrongPlace) Extract(r *http.Request) (bearer.Credential, error) {
	credential, err := w.Extractor.Extract(r)
	credential.Place = 7
	return credential, err
}

// Whatever a client writes, a cause stays one line of bounded length, and it has nothing that a terminal obeys. It has
// no part of the token as it was sent, and no value of a claim that may be personal.
func TestAttackCausesCannotBeForged(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	const personal = "4711-personal"
	hostile := []string{
		"\n{\"level\":\"error\",\"msg\":\"forged\"}", "\x1b[31mred\x1b[0m", "\u2028\u2029\u0085", strings.Repeat("x", 12_000),
		strings.Repeat("\U0001f511", 3_000), "\", \"reason\":\"none", "\u202e\u0430", key.Sign(t, says()),
		strings.Repeat("\n", 5_000),
	}
	gates := map[string]*gate.Gate{
		"plain": build(t, key, long, func(c *gate.Config) {
			c.Require.Scopes, c.Issuers[0].Types = []string{"admin"}, []string{"jwt"}
		}),
		"consumers": build(t, key, long, func(c *gate.Config) {
			c.Consumers, c.KeyClaim = []gate.Consumer{consumer(t, "alice", "alice-key", key)}, "account"
			c.Require.Groups = []string{"staff"}
		}),
		"mapped": build(t, key, long, shops(t, "client", gate.ByUsername)),
		"named":  build(t, key, long, called(t, "role")),
		"claims": build(t, key, long, func(c *gate.Config) {
			c.Require.Claims = []claims.Condition{{Path: path(t, "role"), Values: []string{"admin"}}}
		}),
	}
	tried := 0
	for _, text := range hostile {
		tokens := map[string]string{
			"iss":       key.Sign(t, says(m{"iss": text, "sub": personal})),
			"iss alike": key.Sign(t, says(m{"iss": issuerA + "/" + text})),
			"aud":       key.Sign(t, says(m{"aud": text, "email": personal})),
			"audiences": key.Sign(t, says(m{"aud": many(text, 1000)})),
			"too many":  key.Sign(t, says(m{"aud": many("x", 10_000)})),
			"scope":     key.Sign(t, says(m{"scope": text, "sub": personal})),
			"scopes":    key.Sign(t, says(m{"scp": many(text, 1000)})),
			"groups":    key.Sign(t, says(m{"groups": []string{text, personal}})),
			"role":      key.Sign(t, says(m{"role": text + personal})),
			"client":    key.Sign(t, says(m{"client": text, "email": personal})),
			"account":   key.Sign(t, says(m{"iss": "x", "account": text})),
			"alg":       key.SignRaw(`{"alg":`+quoted(t, text)+`}`, `{}`),
			"typ":       key.Sign(t, says(), m{"typ": text}),
			"kid":       key.WithKID(text).Sign(t, says()),
			"token_use": key.Sign(t, says(m{"token_use": text})),
			"token_typ": key.Sign(t, says(m{"token_type": text + "+jwt"})),
			"cnf":       key.Sign(t, says(m{"cnf": m{text: personal}})),
			"exp":       key.Sign(t, says(m{"exp": text})),
			"name":      key.Sign(t, says(m{text: personal, "iss": "y"})),
			"not UTF-8": key.SignRaw(`{"alg":"`+"\xff"+text[:1]+`"}`, `{}`),
		}
		for place, token := range tokens {
			for name, g := range gates {
				_, err := g.Check(direct(request(token)))
				if err == nil {
					continue
				}
				tried++
				line := causes.Line(gate.FailureOf(err).Cause)
				if len(line) > 1_003 || gate.FailureOf(err).Cause != nil && len(gate.FailureOf(err).Cause.Error()) > 2_000 {
					t.Errorf("%s, %s: %d bytes", name, place, len(line))
				}
				for _, c := range []byte(line) {
					if c < ' ' || c > '~' {
						t.Fatalf("%s, %s: byte %#x in %q", name, place, c, line)
					}
				}
				parts := strings.Split(token, ".")
				for _, secret := range []string{personal, parts[0][:min(len(parts[0]), 20)], parts[len(parts)-1]} {
					if strings.Contains(line, secret) {
						t.Errorf("%s, %s: %s in %s", name, place, secret, line)
					}
				}
			}
		}
	}
	if tried < 400 {
		t.Errorf("only %d requests were refused", tried)
	}
}

func quoted(tb testing.TB, text string) string {
	tb.Helper()
	written, err := json.Marshal(text)
	if err != nil {
		tb.Fatal(err)
	}
	return string(written)
}

func many(text string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = text[:min(len(text), 50)]
	}
	return list
}
