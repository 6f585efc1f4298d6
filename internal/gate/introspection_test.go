package gate_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// null is written as JSON's null. A bare nil removes a member.
var null *int

// Janssen and other servers write members without content.
func TestMembersWithoutContentCountAsAbsent(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	silent := m{
		"sub": "", "nbf": null, "acr_values": null, "cnf": null, "jti": null, "username": null,
		"token_type": null, "token_use": null, "iss": null, "scp": null,
	}
	as := newAS(t)
	as.says["opaque"] = active(silent, m{"token_type": "Bearer"})
	id := accepted(t, as.gate(gate.AskOpaque, key), request("opaque"))
	if id.ID != "" || id.Claims.Confirmation.Bound {
		t.Errorf("identity %+v", id)
	}
	if _, there := id.Claim("jti"); there {
		t.Error("a claim that is null in the answer is there")
	}
	token := key.Sign(t, says(m{"scope": "read"}))
	as.says[token] = active(silent, m{"aud": null, "client_id": "", "scope": null})
	g := as.gate(gate.AskAlways, key, func(c *gate.Config) { c.Require.Scopes = []string{"read"} })
	if id := accepted(t, g, request(token)); id.ID != "alice" {
		t.Errorf("ID %q", id.ID)
	}
}

func TestOpaqueTokens(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	roles := func(c *gate.Config) {
		c.Issuers[0].RequiredClaims = append(c.Issuers[0].RequiredClaims, path(t, "roles"))
	}
	for name, c := range map[string]struct {
		change func(*gate.Config)
		answer m
		want   gate.Reason
	}{
		"active":                              {nil, active(), ""},
		"inactive":                            {nil, m{"active": false}, gate.Inactive},
		"active without exp (it is optional)": {nil, active(m{"exp": nil}), ""},
		"active without iss":                  {nil, active(m{"iss": nil}), ""},
		"of another issuer":                   {nil, active(m{"iss": issuerB}), gate.InvalidIssuer},
		"expired":                             {nil, active(m{"exp": start.Unix()}), gate.Expired},
		"not yet valid":                       {nil, active(m{"nbf": start.Unix() + 1}), gate.NotYetValid},
		"not yet valid, without exp":          {nil, active(m{"exp": nil, "nbf": start.Unix() + 1}), gate.NotYetValid},
		"for another audience":                {nil, active(m{"aud": "x"}), gate.InvalidAudience},
		"for no audience":                     {nil, active(m{"aud": nil}), gate.InvalidAudience},
		"for an empty audience":               {nil, active(m{"aud": []string{}}), gate.InvalidAudience},
		"any audience, and an empty one":      {anyAudience, active(m{"aud": []string{}, "token_type": "Bearer"}), ""},
		"any audience":                        {anyAudience, active(m{"aud": nil, "token_type": "Bearer"}), ""},
		"bound to a key":                      {nil, active(m{"cnf": m{"jkt": "x"}}), gate.ProofRequired},
		"token_type Bearer":                   {nil, active(m{"token_type": "bearer"}), ""},
		"token_type access_token":             {nil, active(m{"token_type": "access_token"}), ""},
		"token_type DPoP":                     {nil, active(m{"token_type": "DPoP"}), gate.ProofRequired},
		"token_type refresh_token":            {nil, active(m{"token_type": "refresh_token"}), gate.InvalidType},
		"token_type of the wrong kind":        {nil, active(m{"token_type": []string{"Bearer"}}), gate.InvalidType},
		"token_use access":                    {nil, active(m{"token_use": "access"}), ""},
		"token_use access_token":              {nil, active(m{"token_use": "access_token"}), ""},
		"token_use refresh_token":             {nil, active(m{"token_use": "refresh_token"}), gate.InvalidType},
		"token_use id":                        {nil, active(m{"token_use": "id"}), gate.InvalidType},
		"token_use of the wrong kind":         {nil, active(m{"token_use": []string{"access_token"}}), gate.InvalidType},
		"a required claim":                    {roles, active(m{"roles": []string{"a"}}), ""},
		"a required claim is missing":         {roles, active(), gate.MissingClaim},
		"an end that is required": {func(c *gate.Config) {
			c.Issuers[0].RequiredClaims = append(c.Issuers[0].RequiredClaims, path(t, "exp"))
		}, active(m{"exp": nil}), gate.MissingClaim},
		"an issuer that is required": {func(c *gate.Config) {
			c.Issuers[0].RequiredClaims = append(c.Issuers[0].RequiredClaims, path(t, "iss"))
		}, active(m{"iss": nil}), gate.MissingClaim},
		"a subject that is required": {func(c *gate.Config) {
			c.Issuers[0].RequiredClaims = append(c.Issuers[0].RequiredClaims, path(t, "sub"))
		}, active(m{"sub": nil}), gate.MissingClaim},
		"enough scope": {func(c *gate.Config) { c.Require.Scopes = []string{"read"} },
			active(m{"scope": "read"}), ""},
		"not enough scope": {func(c *gate.Config) { c.Require.Scopes = []string{"read"} },
			active(m{"scope": "write"}), gate.InsufficientScope},
		"a lifetime that is too long": {func(c *gate.Config) { c.MaxLifetime = time.Minute },
			active(), gate.LifetimeTooLong},
		"a lifetime that is unknown": {func(c *gate.Config) { c.MaxLifetime = time.Minute },
			active(m{"exp": nil}), gate.MissingClaim},
		"a date that is text":       {nil, active(m{"exp": "tomorrow"}), gate.IntrospectionFailed},
		"a blank subject":           {nil, active(m{"sub": " "}), gate.IntrospectionFailed},
		"active is null":            {nil, active(m{"active": null}), gate.IntrospectionFailed},
		"an end that is null":       {nil, active(m{"exp": null}), gate.IntrospectionFailed},
		"an audience that is null":  {nil, active(m{"aud": null}), gate.InvalidAudience},
		"an audience that is empty": {nil, active(m{"aud": ""}), gate.InvalidAudience},
		"a scope that is null": {func(c *gate.Config) { c.Require.Scopes = []string{"read"} },
			active(m{"scope": null}), gate.InsufficientScope},
	} {
		t.Run(name, func(t *testing.T) {
			for shape, change := range map[string]func(*gate.Config){
				"issuer with keys": func(*gate.Config) {}, "issuer without keys": keyless,
			} {
				t.Run(shape, func(t *testing.T) {
					as := newAS(t)
					as.says["opaque-1"] = c.answer
					changes := []func(*gate.Config){change}
					if c.change != nil {
						changes = append(changes, c.change)
					}
					g := as.gate(gate.AskOpaque, key, changes...)
					for range 2 { // the second time from the client's cache
						if c.want != "" {
							refused(t, g, request("opaque-1"), c.want)
							continue
						}
						id := accepted(t, g, request("opaque-1"))
						if id.ID != "alice" || id.Issuer != issuerA {
							t.Errorf("identity %+v", id)
						}
					}
				})
			}
		})
	}
}

func TestWhichTokensAreAskedAbout(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	stranger := tokentest.NewKey(t, "ES256", "stranger")
	good := key.Sign(t, says())
	payload, _ := json.Marshal(says())
	jwe := jwePart(`{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}`) + ".a2V5.aXY.Y3Q.dGFn"
	for name, c := range map[string]struct {
		mode   gate.AskMode
		change func(*gate.Config)
		token  string
		want   gate.Reason
		asked  int
	}{
		"opaque: an opaque token": {gate.AskOpaque, nil, "op.aq.ue", gate.Inactive, 1},
		"opaque: a good JWT":      {gate.AskOpaque, nil, good, "", 0},
		"opaque: an expired JWT": {gate.AskOpaque,
			nil, key.Sign(t, says(m{"exp": start.Unix()})), gate.Expired, 0},
		"opaque: a forged JWT": {gate.AskOpaque,
			nil, tokentest.FlipSignature(t, good), gate.InvalidSignature, 0},
		"opaque: a damaged JWT": {gate.AskOpaque, nil, good + "=", gate.MalformedToken, 0},
		"opaque: a JWT after a blank": {gate.AskOpaque, nil,
			key.SignRaw(` {"alg":"ES256","kid":"k1"}`, string(payload)), "", 0},
		"opaque: a forged JWT after a blank": {gate.AskOpaque, nil,
			tokentest.FlipSignature(t, key.SignRaw(` {"alg":"ES256","kid":"k1"}`, string(payload))), gate.InvalidSignature, 0},
		"opaque: a damaged JWT after a blank": {gate.AskOpaque, nil,
			key.SignRaw(` {"alg":"ES256","kid":"k1"}`, "{") + "=", gate.MalformedToken, 0},
		"no keys: a damaged one after a blank": {gate.AskOpaque,
			keyless, key.SignRaw(` {"alg":"ES256"}`, "{"), gate.Inactive, 1},
		"opaque: alg none": {gate.AskOpaque, nil,
			key.SignRaw(`{"alg":"none"}`, `{}`), gate.UnsupportedAlgorithm, 0},
		"opaque: a JWT of an unknown issuer": {gate.AskOpaque,
			nil, stranger.Sign(t, says(m{"iss": issuerB})), gate.Inactive, 1},
		"opaque: a logout token of an unknown issuer": {gate.AskOpaque, nil,
			stranger.Sign(t, says(m{"iss": issuerB}), m{"typ": "logout+jwt"}), gate.InvalidType, 0},
		"always: an opaque token":            {gate.AskAlways, nil, "opaque", gate.Inactive, 1},
		"always: an opaque token like a JWT": {gate.AskAlways, nil, "ey.op.aque", gate.Inactive, 1},
		"always: a damaged JWT":              {gate.AskAlways, nil, good + "=", gate.MalformedToken, 0},
		"always: a JWT of an unknown issuer": {gate.AskAlways, nil,
			stranger.Sign(t, says(m{"iss": issuerB})), gate.UnknownIssuer, 0},
		"always: an encrypted token":    {gate.AskAlways, nil, jwe, gate.Inactive, 1},
		"JWTs only: an opaque token":    {gate.AskJWTs, nil, "opaque", gate.MalformedToken, 0},
		"JWTs only: an encrypted token": {gate.AskJWTs, nil, jwe, gate.MalformedToken, 0},
		"JWTs only: a good JWT":         {gate.AskJWTs, nil, good, gate.Inactive, 1},
		"opaque: an encrypted token":    {gate.AskOpaque, nil, jwe, gate.Inactive, 1},
		"opaque: encrypted to a shared key": {gate.AskOpaque, nil,
			jwePart(`{"alg":"dir","enc":"A256GCM"}`) + "..aXY.Y3Q.dGFn", gate.Inactive, 1},
		"opaque: five parts, not encrypted":  {gate.AskOpaque, nil, good + ".a.b", gate.MalformedToken, 0},
		"opaque: a JWE with a part too many": {gate.AskOpaque, nil, jwe + ".a", gate.MalformedToken, 0},
		"opaque: a JWE with a part too few": {gate.AskOpaque, nil,
			jwe[:strings.LastIndexByte(jwe, '.')], gate.MalformedToken, 0},
		"no keys: an encrypted token": {gate.AskOpaque, keyless, jwe, gate.Inactive, 1},
		"prefix: an encrypted token": {gate.AskOpaque,
			func(c *gate.Config) { c.Issuers[0].Asking.Prefix = "a_" }, jwe, gate.MalformedToken, 0},
		"prefix: always, and it begins so": {gate.AskAlways,
			func(c *gate.Config) { c.Issuers[0].Asking.Prefix = "a_" }, "a_1", gate.Inactive, 1},
		"prefix: always, and it does not": {gate.AskAlways,
			func(c *gate.Config) { c.Issuers[0].Asking.Prefix = "a_" }, "b_1", gate.MalformedToken, 0},
		"skip: an opaque token, always": {gate.AskAlways,
			func(c *gate.Config) { c.Asking.Mode = gate.RouteSkip }, "opaque", gate.Inactive, 1},
		"always: a good JWT": {gate.AskAlways, nil, good, gate.Inactive, 1},
		"always: an expired JWT": {gate.AskAlways,
			nil, key.Sign(t, says(m{"exp": start.Unix()})), gate.Expired, 0},
		"always: a JWT for somebody else": {gate.AskAlways,
			nil, key.Sign(t, says(m{"aud": "x"})), gate.InvalidAudience, 0},
		"always: a forged JWT": {gate.AskAlways,
			nil, tokentest.FlipSignature(t, good), gate.InvalidSignature, 0},
		"skip: a good JWT": {gate.AskAlways,
			func(c *gate.Config) { c.Asking.Mode = gate.RouteSkip }, good, "", 0},
		"skip: an opaque token": {gate.AskOpaque,
			func(c *gate.Config) { c.Asking.Mode = gate.RouteSkip }, "opaque", gate.Inactive, 1},
		"force: a good JWT": {gate.AskOpaque,
			func(c *gate.Config) { c.Asking.Mode = gate.RouteForce }, good, gate.Inactive, 1},
		"force: an opaque token": {gate.AskOpaque,
			func(c *gate.Config) { c.Asking.Mode = gate.RouteForce }, "opaque", gate.Inactive, 1},
		"no keys: a JWT": {gate.AskOpaque, keyless, good, gate.Inactive, 1},
		"no keys: a JWT of an unknown issuer": {gate.AskOpaque,
			keyless, stranger.Sign(t, says(m{"iss": issuerB})), gate.Inactive, 1},
		"no keys: a damaged JWT": {gate.AskOpaque, keyless, good + "=", gate.Inactive, 1},
		"prefix: a token that begins so": {gate.AskOpaque,
			func(c *gate.Config) { c.Issuers[0].Asking.Prefix = "a_" }, "a_1", gate.Inactive, 1},
		"prefix: a token that begins otherwise": {gate.AskOpaque,
			func(c *gate.Config) { c.Issuers[0].Asking.Prefix = "a_" }, "b_1", gate.MalformedToken, 0},
		"prefix: a JWT of an unknown issuer": {gate.AskOpaque,
			func(c *gate.Config) { c.Issuers[0].Asking.Prefix = "a_" },
			stranger.Sign(t, says(m{"iss": issuerB})), gate.UnknownIssuer, 0},
		"a JSON serialisation is not asked": {gate.AskOpaque, nil, `{"payload":"x"}`, gate.MalformedRequest, 0},
		"a header without the rest of a JWT": {gate.AskOpaque,
			nil, "eyJhbGciOiJub25lIn0.e30", gate.MalformedToken, 0},
		"a consumer's JWT": {gate.AskAlways,
			func(c *gate.Config) { c.Consumers = []gate.Consumer{consumer(t, "s", "s", stranger)} },
			stranger.WithKID("").Sign(t, says(m{"iss": "s"})), "", 0},
		"a token longer than the client asks": {gate.AskOpaque,
			long, strings.Repeat("a", 17<<10), gate.MalformedToken, 0},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			var changes []func(*gate.Config)
			if c.change != nil {
				changes = append(changes, c.change)
			}
			g := as.gate(c.mode, key, changes...)
			if c.want == "" {
				accepted(t, g, request(c.token))
			} else {
				refused(t, g, request(c.token), c.want)
			}
			if n := as.asked(); n != c.asked {
				t.Errorf("asked %d times, want %d", n, c.asked)
			}
		})
	}
}

// jwePart is one part of a JWE (RFC 7516 section 7.1).
func jwePart(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestTwoOpaqueIssuers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	a, b := newAS(t), newAS(t)
	g := a.gate(gate.AskOpaque, key, keyless, func(c *gate.Config) {
		other := issuer(t, issuerB)
		other.Asking = b.introspection(gate.AskOpaque, func(c *introspect.Config) {
			c.Issuer, c.Decode = issuerB, gate.DecodeAnswer(issuerB, nil)
		})
		other.Asking.Prefix = "b_"
		c.Issuers = append(c.Issuers, other)
	})
	a.says["b_1"], b.says["b_1"] = active(), active(m{"iss": issuerB, "sub": "bob"})
	a.says["x"], b.says["x"] = active(), active(m{"iss": issuerB})
	if id := accepted(t, g, request("b_1")); id.ID != "bob" || id.Issuer != issuerB || a.asked() != 0 {
		t.Errorf("identity %+v; the other server was asked %d times", id, a.asked())
	}
	if id := accepted(t, g, request("x")); id.ID != "alice" || id.Issuer != issuerA || b.asked() != 1 {
		t.Errorf("identity %+v; the other server was asked %d times", id, b.asked())
	}
	// A JWT goes to the issuer that it names, whatever it begins with.
	refused(t, g, request(key.Sign(t, says(m{"iss": issuerB}))), gate.Inactive)
	if a.asked() != 1 || b.asked() != 2 {
		t.Errorf("asked %d and %d times", a.asked(), b.asked())
	}
}

// A missing verdict is never the client's fault. The status says whose fault it is.
func TestNoVerdict(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	answer := func(answer tokentest.IntrospectionAnswer) func(*authority) {
		return func(a *authority) {
			a.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer { return answer })
		}
	}
	for name, c := range map[string]struct {
		spoil  func(*authority)
		want   gate.Reason
		status int
	}{
		"down":                {func(a *authority) { a.Down() }, gate.IntrospectionUnavailable, 503},
		"503":                 {answer(tokentest.IntrospectionAnswer{Status: 503}), gate.IntrospectionUnavailable, 503},
		"429":                 {answer(tokentest.IntrospectionAnswer{Status: 429}), gate.IntrospectionUnavailable, 503},
		"slow":                {func(a *authority) { a.tb.Cleanup(a.Stall()) }, gate.IntrospectionTimeout, 504},
		"our secret is wrong": {func(a *authority) { a.SetClient("gateway", "changed") }, gate.IntrospectionFailed, 502},
		"not JSON":            {answer(tokentest.IntrospectionAnswer{Body: "<html>"}), gate.IntrospectionFailed, 502},
		"active is a string": {answer(tokentest.IntrospectionAnswer{Body: `{"active":"true"}`}),
			gate.IntrospectionFailed, 502},
		"active twice": {answer(tokentest.IntrospectionAnswer{Body: `{"active":false,"active":true}`}),
			gate.IntrospectionFailed, 502},
		"no active at all": {answer(tokentest.IntrospectionAnswer{Body: `{}`}), gate.IntrospectionFailed, 502},
		"404":              {answer(tokentest.IntrospectionAnswer{Status: 404}), gate.IntrospectionFailed, 502},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			g := as.gate(gate.AskOpaque, key, func(gc *gate.Config) {
				gc.Issuers[0].Asking = as.introspection(gate.AskOpaque, func(config *introspect.Config) {
					if c.want == gate.IntrospectionTimeout { // for the others, a slow machine must not be a slow server
						config.Timeout = 300 * time.Millisecond
					}
				})
			})
			c.spoil(as)
			f := refused(t, g, request("t"), c.want)
			got := g.Answer(f)
			if got.Status != c.status || challengeOf(got) != "" ||
				(got.Header.Get("Retry-After") != "") != (c.status == 503) || f.Issuer != issuerA {
				t.Errorf("answer %+v about %q, want status %d", got, f.Issuer, c.status)
			}
			if _, ok := errors.AsType[*introspect.NoVerdictError](f); !ok {
				t.Errorf("cause %v", f.Cause)
			}
		})
	}
}

func TestClientThatDoesNotDecode(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := newAS(t)
	as.says["t"] = active()
	g := as.gate(gate.AskOpaque, key, func(c *gate.Config) {
		c.Issuers[0].Asking = as.introspection(gate.AskOpaque, func(c *introspect.Config) { c.Decode = nil })
	})
	refused(t, g, request("t"), gate.InternalError)
}
