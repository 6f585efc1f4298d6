package gate_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// tolerantParties are a tolerant and a strict issuer, and a tolerant and a strict consumer, each with a key of its own.
func tolerantParties(tb testing.TB, tolerate claims.Tolerance, change func(*gate.Config)) (
	g *gate.Gate, keys map[string]*tokentest.Key,
) {
	keys = make(map[string]*tokentest.Key)
	for _, name := range []string{"https://lax.example", "https://strict.example", "lax-key", "strict-key"} {
		keys[name] = tokentest.NewKey(tb, "ES256", "k-"+name)
	}
	c := config(tb, keys["https://lax.example"], func(c *gate.Config) {
		c.Audience = accept(api)
		c.MaxLifetime = time.Hour
		c.Cache = newCache(tb, 1<<20)
		c.Issuers = []gate.Issuer{
			issuer(tb, "https://lax.example", keys["https://lax.example"]),
			issuer(tb, "https://strict.example", keys["https://strict.example"]),
		}
		c.Consumers = []gate.Consumer{
			consumer(tb, "lax", "lax-key", keys["lax-key"]), consumer(tb, "strict", "strict-key", keys["strict-key"]),
		}
		c.Issuers[0].Tolerate, c.Consumers[0].Tolerate = tolerate, tolerate
		change(c)
	})
	return open(tb, c), keys
}

// shapes are claims that one word admits.
var shapes = map[claims.Tolerance]m{
	claims.NumericSubject: {"sub": 4711},
	claims.EmptySubject:   {"sub": ""},
	claims.NullClaims:     {"nbf": json.RawMessage("null"), "sub": json.RawMessage("null")},
	claims.TextDates:      {"exp": fmt.Sprint(start.Unix() + 300)},
	claims.MillisecondDates: {
		"exp": (start.Unix() + 300) * 1000, "iat": start.Unix() * 1000,
	},
	claims.MissingExp: {"exp": nil},
}

// A token names its party by iss, or by a key claim in its payload or header, and is signed with some party's key. It
// passes only with the key of the party that it names, and with a tolerated shape only if that party tolerates it.
func TestTokenGetsTheToleranceOfItsOwnPartyOnly(t *testing.T) {
	for tolerate, shape := range shapes {
		for _, keyClaim := range []string{"iss", "kid", "azp", "sub"} {
			g, keys := tolerantParties(t, tolerate, func(c *gate.Config) { c.KeyClaim = keyClaim })
			for named := range keys {
				for issuer := range keys {
					for signer, key := range keys {
						header, payload := m{"kid": key.KID}, says(m{"iss": issuer}, shape)
						credential := strings.HasSuffix(named, "-key")
						switch {
						case keyClaim == "iss" && named != issuer, !credential && named != issuer,
							keyClaim != "iss" && strings.HasSuffix(issuer, "-key"):
							continue // it cannot name both
						case !credential:
						case keyClaim == "azp":
							payload["azp"] = named
						case keyClaim == "kid":
							header["kid"] = named
						case keyClaim == "sub":
							delete(payload, "sub") // a claim without a text selects nothing
							if _, has := shape["sub"]; has {
								continue
							}
							header["sub"] = named
						}
						token := key.Sign(t, payload, header)
						good := signer == named && strings.Contains(named, "lax")
						for range 2 {
							verdict, err := g.Check(direct(request(token)))
							if (err == nil) != good {
								t.Fatalf("%v, key_claim %s: of %s, iss %s, signed by %s: passes %v, %v", tolerate, keyClaim, named,
									issuer, signer, err == nil, err)
							}
							if good && verdict.Identity.Issuer+verdict.Identity.CredentialKey != named {
								t.Fatalf("%v: %s became %+v", tolerate, named, verdict.Identity)
							}
						}
						agrees(t, g, request(token))
					}
				}
			}
		}
	}
}

// The header's parameter selects a credential only if the payload lacks the key claim. A claim that counts as absent is
// there for this purpose: or the issuer's tolerance would decide who the party is.
func TestOmittedClaimsDoNotChangeTheParty(t *testing.T) {
	g, keys := tolerantParties(t, claims.NullClaims|claims.EmptySubject, func(c *gate.Config) { c.KeyClaim = "sub" })
	for _, sub := range []any{"", json.RawMessage("null")} {
		for signer, key := range keys {
			token := key.Sign(t, says(m{"iss": "https://lax.example", "sub": sub}), m{"sub": "lax-key"})
			verdict, err := g.Check(direct(request(token)))
			if good := signer == "https://lax.example"; (err == nil) != good ||
				good && (verdict.Identity.Consumer != nil || verdict.Identity.ID != "") {
				t.Errorf("sub %v, signed by %s: %+v, %v", sub, signer, verdict.Identity, err)
			}
		}
	}
}

// A token that is good without a tolerance has the same identity with it.
func TestToleranceChangesNoGoodToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says(m{"jti": "1", "groups": []string{"a"}}))
	want := accepted(t, build(t, key), request(token))
	for tolerate := range shapes {
		if tolerate == claims.MillisecondDates {
			continue // the unit of all dates
		}
		got := accepted(t, build(t, key, func(c *gate.Config) {
			c.Issuers[0].Tolerate, c.MaxLifetime = tolerate, time.Hour
		}), request(token))
		if got.ID != want.ID || string(got.Claims.Text()) != string(want.Claims.Text()) ||
			got.Claims.ExpiresAt != want.Claims.ExpiresAt {
			t.Errorf("%v: got %+v", tolerate, got)
		}
	}
}

// Gates share a cache. A token without exp ends by the max_lifetime of each, and by the end of its credential.
func TestEndOfATokenWithoutExpIsThatOfTheGate(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	cache, clock := newCache(t, 1<<20), newClock()
	gateOf := func(change func(*gate.Config)) *gate.Gate {
		return build(t, key, func(c *gate.Config) {
			c.Cache, c.Now = cache, clock.now
			c.Issuers[0].Tolerate = claims.MissingExp
			change(c)
		})
	}
	token := key.Sign(t, says(m{"exp": nil}))
	short := gateOf(func(c *gate.Config) { c.MaxLifetime = time.Minute })
	long := gateOf(func(c *gate.Config) { c.Issuers[0].MaxLifetime = time.Hour })
	both := gateOf(func(c *gate.Config) { c.MaxLifetime, c.Issuers[0].MaxLifetime = time.Hour, 2*time.Minute })
	leeway := gateOf(func(c *gate.Config) { c.MaxLifetime, c.Issuers[0].Leeway = time.Minute, 3*time.Second })
	for range 2 { // the second time they remember it
		for g, want := range map[*gate.Gate]time.Duration{
			long: time.Hour, short: time.Minute, both: 2 * time.Minute, leeway: time.Minute + 3*time.Second,
		} {
			clock.set(start)
			verdict, err := g.Check(direct(request(token)))
			if err != nil || !verdict.Expires.Equal(start.Add(want)) {
				t.Errorf("expires %v, %v; want %v", verdict.Expires.Sub(start), err, want)
			}
			clock.advance(want - 1)
			accepted(t, g, request(token))
			clock.advance(1)
			refused(t, g, request(token), gate.Expired)
		}
	}
	clock.set(start)
	noIssue := key.Sign(t, says(m{"exp": nil, "iat": nil}))
	if f := refused(t, long, request(noIssue), gate.MissingClaim); !strings.Contains(f.Cause.Error(), "no iat") {
		t.Errorf("cause: %v", f.Cause)
	}
}

// The unit counts for the bound of the lifetime, too.
func TestLifetimeInMilliseconds(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) {
		c.Issuers[0].Tolerate, c.MaxLifetime = claims.MillisecondDates, 10*time.Minute
	})
	in := func(d time.Duration) int64 { return start.Add(d).UnixMilli() }
	accepted(t, g, request(key.Sign(t, says(m{"iat": in(0), "exp": in(5 * time.Minute)}))))
	for name, changes := range map[string]m{
		"too long":       {"iat": in(0), "exp": in(11 * time.Minute)},
		"iat in seconds": {"iat": start.Unix(), "exp": in(5 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, g, request(key.Sign(t, says(changes))), gate.LifetimeTooLong)
		})
	}
}

// A credential ends when it expires, without leeway, and whatever its tokens say.
func TestCredentialExpires(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	clock := newClock()
	gateOf := func(tolerate claims.Tolerance, end, certificate time.Time) *gate.Gate {
		return build(t, key, func(c *gate.Config) {
			c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
			c.Consumers[0].Tolerate = tolerate
			c.Consumers[0].Credentials[0].Expires, c.Consumers[0].Credentials[0].NotAfter = end, certificate
			c.Now, c.Cache, c.Leeway = clock.now, newCache(t, 1<<20), time.Minute
		})
	}
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	endless := key.Sign(t, says(m{"iss": "shop-key", "exp": nil, "iat": nil}))
	decades := key.Sign(t, says(m{"iss": "shop-key", "exp": day(9000).Unix()}))
	for name, c := range map[string]struct {
		tolerate         claims.Tolerance
		end, certificate time.Time
		token            string
		want             time.Time
		cause            string
	}{
		"a token without exp":     {claims.MissingExp, day(1), time.Time{}, endless, day(1), "the credential has expired"},
		"a token with a long one": {0, day(1), time.Time{}, decades, day(1), "the credential has expired"},
		"before the certificate":  {0, day(1), day(2), decades, day(1), "the credential has expired"},
		"after the certificate":   {0, day(2), day(1), decades, day(1), "certificate has expired"},
	} {
		g := gateOf(c.tolerate, c.end, c.certificate)
		clock.set(start)
		for range 2 {
			verdict, err := g.Check(direct(request(c.token)))
			if err != nil || !verdict.Expires.Equal(c.want) {
				t.Errorf("%s: expires %v, %v; want %v", name, verdict.Expires, err, c.want)
			}
		}
		clock.set(c.want.Add(-1))
		accepted(t, g, request(c.token))
		clock.set(c.want)
		if f := refused(t, g, request(c.token), gate.UnknownKey); !strings.Contains(f.Cause.Error(), c.cause) {
			t.Errorf("%s: %v", name, f.Cause)
		}
		agrees(t, g, request(c.token))
	}
}

func TestToleranceThatCannotBeMeantIsAnError(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	shop := func(tolerate claims.Tolerance, credentials ...gate.Credential) func(*gate.Config) {
		return func(c *gate.Config) {
			c.Consumers = []gate.Consumer{{Username: "shop", Tolerate: tolerate, Credentials: credentials}}
		}
	}
	of := func(tolerate claims.Tolerance, longest time.Duration) func(*gate.Config) {
		return func(c *gate.Config) { c.Issuers[0].Tolerate, c.MaxLifetime = tolerate, longest }
	}
	credential := func(expires time.Time) gate.Credential {
		c := consumer(t, "shop", "key-"+expires.String(), key).Credentials[0]
		c.Expires = expires
		return c
	}
	for name, c := range map[string]struct {
		change func(*gate.Config)
		field  string // empty for no error
	}{
		"answers of nobody":         {of(claims.NeverExpires, time.Hour), "Issuers[0].Tolerate"},
		"no exp, and no lifetime":   {of(claims.MissingExp, 0), "Issuers[0].Tolerate"},
		"no exp, and the gate's":    {of(claims.MissingExp, time.Hour), ""},
		"a consumer without key":    {shop(claims.NumericSubject), "Consumers[0].Tolerate"},
		"answers about a consumer":  {shop(claims.NeverExpires, credential(start)), "Consumers[0].Tolerate"},
		"a consumer without an end": {shop(claims.MissingExp, credential(time.Time{})), "Consumers[0].Tolerate"},
		"one credential without an end": {
			shop(claims.MissingExp, credential(start), credential(time.Time{})), "Consumers[0].Tolerate"},
		"all credentials with an end": {shop(claims.MissingExp, credential(start), credential(start.Add(1))), ""},
	} {
		err := config(t, key, c.change).Validate()
		if got := setting.Field(err); (err != nil) != (c.field != "") || got != c.field {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.field)
		}
	}
}

// Explain names what was admitted.
func TestExplainSaysWhatIsTolerated(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) {
		c.Issuers[0].Tolerate, c.MaxLifetime = claims.NumericSubject|claims.MissingExp, time.Hour
	})
	e := agrees(t, g, request(key.Sign(t, says(m{"sub": 4711, "exp": nil}))))
	i := slices.IndexFunc(e.Steps, func(s gate.Step) bool { return s.Rule == "tolerate" })
	if i < 0 || e.Steps[i].Result != gate.Passed || e.Identity.ID != "4711" ||
		!slices.Equal(e.Steps[i].Came, []string{"sub is a number", "there is no exp"}) ||
		!slices.Equal(e.Steps[i].Expected, []string{"numeric_subject", "missing_exp"}) {
		t.Errorf("steps: %+v", e.Steps)
	}
	e = agrees(t, g, request(key.Sign(t, says())))
	if slices.ContainsFunc(e.Steps, func(s gate.Step) bool { return s.Rule == "tolerate" }) {
		t.Errorf("nothing needed it: %+v", e.Steps)
	}
}

// The groups of an issuer are where its configuration says, for requirements and for conditions, and in the cause.
func TestGroupClaim(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	with := func(paths ...string) func(*gate.Config) {
		return func(c *gate.Config) {
			for _, text := range paths {
				c.Issuers[0].GroupClaims = append(c.Issuers[0].GroupClaims, path(t, text))
			}
			c.Require.Groups = []string{"admin", "clerk"}
			c.Cache = newCache(t, 1<<20)
		}
	}
	roles := says(m{"realm_access": m{"roles": []string{"clerk"}}})
	zitadel := says(m{"urn:roles": m{"admin": m{"1": "a.example"}, "clerk": false}})
	for name, c := range map[string]struct {
		paths []string
		says  m
		cause string // empty if it passes
	}{
		"the usual claim":            {nil, says(m{"groups": []string{"clerk"}}), ""},
		"another claim, not named":   {nil, roles, `the token has no claim "groups"`},
		"another claim":              {[]string{"realm_access.roles"}, roles, ""},
		"the second of two":          {[]string{"roles", "realm_access.roles"}, roles, ""},
		"the usual claim, not named": {[]string{"roles"}, says(m{"groups": []string{"admin"}}), `no claim "roles"`},
		"an object":                  {[]string{"urn:roles"}, zitadel, ""},
		"an object that says no": {[]string{"urn:roles"}, says(m{"urn:roles": m{"admin": false}}),
			`"urn:roles" is another object`},
		"an object in the usual one":  {nil, says(m{"groups": m{"admin": true}}), `"groups" is another object`},
		"neither of several is there": {[]string{"a", "b"}, roles, `no claim "a", "b"`},
	} {
		g := build(t, key, with(c.paths...))
		token := key.Sign(t, c.says)
		for range 2 {
			agrees(t, g, request(token))
			if c.cause == "" {
				id := accepted(t, g, request(token))
				condition := gate.Condition{Requirements: gate.Requirements{Groups: []string{"admin", "clerk"}}}
				if !condition.Holds(id, nil) {
					t.Errorf("%s: the condition does not hold", name)
				}
				continue
			}
			if f := refused(t, g, request(token), gate.ClaimMismatch); !strings.Contains(f.Cause.Error(), c.cause) {
				t.Errorf("%s: %v", name, f.Cause)
			}
		}
	}
}

// A gate that looks for groups elsewhere does not get the identity that another one has remembered.
func TestGroupClaimCountsInTheCache(t *testing.T) {
	key, cache := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20)
	gateOf := func(claim string) *gate.Gate {
		return build(t, key, func(c *gate.Config) {
			c.Cache, c.Require.Groups = cache, []string{"admin"}
			c.Issuers[0].GroupClaims = []claims.Path{path(t, claim)}
		})
	}
	a, b := gateOf("a"), gateOf("b")
	token := key.Sign(t, says(m{"a": "admin", "b": "guest"}))
	for range 3 {
		accepted(t, a, request(token))
		refused(t, b, request(token), gate.ClaimMismatch)
	}
}
