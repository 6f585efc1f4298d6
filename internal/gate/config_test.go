package gate_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

func TestConfigurationMistakes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	secret := tokentest.NewKey(t, "HS256", "s")
	shop := consumer(t, "shop", "shop-key", key)
	first := func(change func(*gate.Issuer)) func(*gate.Config) {
		return func(c *gate.Config) { change(&c.Issuers[0]) }
	}
	consumers := func(list ...gate.Consumer) func(*gate.Config) {
		return func(c *gate.Config) { c.Consumers = list }
	}
	edited := func(change func(*gate.Consumer)) func(*gate.Config) {
		other := shop
		other.Credentials = append([]gate.Credential(nil), shop.Credentials...)
		change(&other)
		return consumers(other)
	}
	credential := func(change func(*gate.Credential)) func(*gate.Config) {
		return edited(func(c *gate.Consumer) { change(&c.Credentials[0]) })
	}
	age := -time.Second
	for name, c := range map[string]struct {
		change func(*gate.Config)
		want   string
		field  string
	}{
		"no extractor": {func(c *gate.Config) { c.Extractor = nil },
			"no place to take the token from", "Extractor"},
		"no party": {func(c *gate.Config) { c.Issuers = nil },
			"nobody vouches for a token: add an issuer, or a consumer with a credential", "Issuers"},
		"a consumer without credentials": {func(c *gate.Config) {
			c.Issuers, c.Consumers = nil, []gate.Consumer{{Username: "x"}}
		}, "nobody vouches", "Issuers"},
		"a realm with a line break": {func(c *gate.Config) { c.Realm = "a\nb" }, "realm: ", "Realm"},
		"audience any and values": {func(c *gate.Config) { c.Audience = gate.Audience{Any: true, Accepted: []string{api}} },
			`audience "any" cannot be combined`, "Audience"},
		"an empty audience": {func(c *gate.Config) { c.Audience = accept("") },
			"an audience is empty", "Audience"},
		"a negative leeway": {func(c *gate.Config) { c.Leeway = -1 },
			"leeway -1ns is not between 0s and 5m0s", "Leeway"},
		"a leeway over the bound": {func(c *gate.Config) { c.Leeway = 5*time.Minute + 1 },
			"is not between 0s and 5m0s", "Leeway"},
		"a negative lifetime": {func(c *gate.Config) { c.MaxLifetime = -1 },
			"max_lifetime is negative", "MaxLifetime"},
		"optional and anonymous": {func(c *gate.Config) { c.Optional, c.Anonymous = true, "guest" },
			"optional and anonymous exclude each other", "Anonymous"},
		"an expired token as none, and no token as a mistake": {func(c *gate.Config) { forgiving(c); c.Optional = false },
			"a request without a token is refused: set optional, too", "OptionalExpired"},
		"an expired token as none, and no cookie": {func(c *gate.Config) { c.Optional, c.OptionalExpired = true, true },
			`no token is taken from a cookie: add "token_from cookie <name>"`, "OptionalExpired"},
		"an expired token as none, and anonymous": {func(c *gate.Config) { forgiving(c); c.Anonymous = "guest" },
			"optional and anonymous exclude each other", "Anonymous"},
		"anonymous without a consumer": {func(c *gate.Config) { c.Anonymous = "guest" },
			`anonymous consumer "guest" does not exist: add a consumer block`, "Anonymous"},
		"an issuer without a name": {first(func(i *gate.Issuer) { i.Name = " " }),
			"an issuer has no name", "Issuers[0].Name"},
		"an issuer without an audience": {first(func(i *gate.Issuer) { i.Audience = gate.Audience{} }),
			`issuer "https://as.example": no audience: a token meant for another service would be accepted`,
			"Issuers[0].Audience"},
		"an issuer with two audiences": {first(func(i *gate.Issuer) { i.Audience.Any = true }),
			`issuer "https://as.example": audience "any" cannot be combined`, "Issuers[0].Audience"},
		"an issuer without keys": {first(func(i *gate.Issuer) { i.Keys = nil }),
			`issuer "https://as.example": no keys, and no "introspect opaque"`, "Issuers[0].Keys"},
		"an issuer without algorithms": {first(func(i *gate.Issuer) { i.Algorithms = 0 }),
			`issuer "https://as.example": no algorithms`, "Issuers[0].Algorithms"},
		"an issuer with too much leeway": {first(func(i *gate.Issuer) { i.Leeway = math.MaxInt64 }),
			`issuer "https://as.example": leeway `, "Issuers[0].Leeway"},
		"an issuer with negative lifetime": {first(func(i *gate.Issuer) { i.MaxLifetime = -1 }),
			`issuer "https://as.example": max_lifetime is negative`, "Issuers[0].MaxLifetime"},
		"an issuer twice": {func(c *gate.Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) },
			`issuer "https://as.example" is configured twice`, "Issuers[1].Name"},
		"a consumer without a username": {edited(func(c *gate.Consumer) { c.Username = "\t" }),
			"a consumer has no username", "Consumers[0].Username"},
		"a consumer twice": {consumers(shop, gate.Consumer{Username: "shop"}),
			`consumer "shop" is configured twice`, "Consumers[1].Username"},
		"a consumer with a line break": {edited(func(c *gate.Consumer) { c.CustomID = "a\r\nb" }),
			`consumer "shop": "a\r\nb" cannot be sent to the backend`, "Consumers[0].CustomID"},
		"a consumer that is not UTF-8": {edited(func(c *gate.Consumer) { c.ID = "\xff" }),
			"it is not UTF-8", "Consumers[0].ID"},
		"a group with a comma": {edited(func(c *gate.Consumer) { c.Groups = []string{"a,b"} }),
			`group "a,b" is empty or has a comma`, "Consumers[0].Groups"},
		"an empty group": {edited(func(c *gate.Consumer) { c.Groups = []string{"a", ""} }),
			`group "" is empty or has a comma`, "Consumers[0].Groups"},
		"a credential without a key": {credential(func(c *gate.Credential) { c.Key = "" }),
			`consumer "shop": a credential has no key: give the value of the tokens' iss`, "Consumers[0].Credentials[0].Key"},
		"a credential with a NUL": {credential(func(c *gate.Credential) { c.Key = "a\x00" }),
			"cannot be sent to the backend", "Consumers[0].Credentials[0].Key"},
		"a credential twice": {consumers(shop, consumer(t, "other", "shop-key", key)),
			`credential "shop-key" belongs to consumer "shop" already`, "Consumers[1].Credentials[0].Key"},
		"a credential that is an issuer": {credential(func(c *gate.Credential) { c.Key = issuerA }),
			`credential "https://as.example" is also the name of an issuer`, "Consumers[0].Credentials[0].Key"},
		"a credential without a verifier": {credential(func(c *gate.Credential) { c.Verifier = nil }),
			`consumer "shop": credential "shop-key": the key does not fit algorithm ES256`,
			"Consumers[0].Credentials[0].Algorithm"},
		"a credential of another kind": {credential(func(c *gate.Credential) { c.Verifier = verifier(t, secret) }),
			"the key does not fit algorithm ES256", "Consumers[0].Credentials[0].Algorithm"},
		"a credential without algorithm": {credential(func(c *gate.Credential) { c.Algorithm = 0 }),
			"the key does not fit algorithm", "Consumers[0].Credentials[0].Algorithm"},
		"a scope with a space": {func(c *gate.Config) { c.Require.Scopes = []string{"a b"} },
			`require scope "a b": `, "Require.Scopes"},
		"an empty claim value": {func(c *gate.Config) {
			c.Require.Claims = []claims.Condition{{Path: path(t, "a.b"), Values: []string{""}}}
		}, "require claim a.b: a value is empty", "Require.Claims[0]"},
		"an empty required group": {func(c *gate.Config) { c.Require.Groups = []string{""} },
			"require group: a group is empty", "Require.Groups"},
		"optional and a requirement": {func(c *gate.Config) { c.Optional, c.Require.Scopes = true, []string{"read"} },
			"optional and require exclude each other", "Optional"},
		"an anonymous consumer that could never pass": {func(c *gate.Config) {
			c.Consumers, c.Anonymous, c.Require.Groups = []gate.Consumer{{Username: "guest"}}, "guest", []string{"staff"}
		}, `anonymous consumer "guest" could never pass`, "Anonymous"},
		"a key claim without consumers": {func(c *gate.Config) { c.KeyClaim = "kid" },
			"key_claim selects a consumer's credential, and there is none", "KeyClaim"},
		"an age without introspection": {func(c *gate.Config) { c.Asking.MaxAge = new(time.Duration) },
			"introspect changes how issuers are asked, and no issuer is", "Asking"},
		"force with a consumer": {func(c *gate.Config) {
			c.Consumers, c.Asking.Mode = []gate.Consumer{shop}, gate.RouteForce
		}, "introspect force does not go with consumers", "Asking.Mode"},
		"force without introspection": {func(c *gate.Config) { c.Asking.Mode = gate.RouteForce },
			`introspect force: issuer "https://as.example" has no introspect block`, "Asking.Mode"},
		"a negative age": {func(c *gate.Config) { c.Asking.MaxAge = &age },
			"introspect max_age is negative", "Asking.MaxAge"},
		"introspection without a client": {first(func(i *gate.Issuer) {
			i.Asking = &gate.Asking{Mode: gate.AskAlways}
		}), `issuer "https://as.example"`, "Issuers[0].Asking.Client"},
		"introspection without a mode": {first(func(i *gate.Issuer) {
			i.Asking = &gate.Asking{Client: new(introspect.Client)}
		}), `issuer "https://as.example"`, "Issuers[0].Asking.Mode"},
		"a header that the token is in": {func(c *gate.Config) {
			c.Extractor = extractor(t, bearer.Place{Kind: bearer.Header, Name: "X-Token"})
			c.ForwardClaims = []gate.Forward{{Path: path(t, "sub"), Header: "X-User"},
				{Path: path(t, "jti"), Header: "X-Token"}}
		}, "the token is taken from that header", "ForwardClaims[1].Header"},
		"a header twice": {func(c *gate.Config) {
			c.ForwardClaims = []gate.Forward{{Path: path(t, "sub"), Header: "X-User"},
				{Path: path(t, "jti"), Header: "x-user"}}
		}, "the header is already taken", "ForwardClaims[1].Header"},
		"a header that is reserved": {func(c *gate.Config) {
			c.ForwardClaims = []gate.Forward{{Path: path(t, "sub"), Header: "Host"}}
		}, "it has a meaning of its own in HTTP", "ForwardClaims[0].Header"},
		"two issuers for the same opaque tokens": {func(c *gate.Config) {
			c.Issuers = append(c.Issuers, issuer(t, issuerB, key))
			for i := range c.Issuers {
				c.Issuers[i].Asking = &gate.Asking{Mode: gate.AskOpaque, Client: new(introspect.Client)}
			}
		}, "both take the same opaque tokens", "Issuers[1].Asking.Prefix"},
		"a public path that would open others": {opening("/a", "/b*"), `public "/b*": "*" stands only`, "Public[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := gate.New(config(t, key, c.change))
			if err == nil || g != nil {
				t.Fatalf("a gate: %t, error %v; want an error alone", g != nil, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
			if field := setting.Field(err); field != c.field {
				t.Errorf("the error is about %q, want %q", field, c.field)
			}
		})
	}
}

// A configuration can be checked before its introspection clients are open, with the same checks as those of New.
func TestValidateNeedsNoClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	asking := config(t, key, func(c *gate.Config) {
		c.Issuers[0].Asking = &gate.Asking{Mode: gate.AskAlways}
	})
	if err := asking.Validate(); err != nil {
		t.Errorf("a configuration without a client: %v", err)
	}
	if _, err := gate.New(asking); err == nil {
		t.Error("a gate without a client to ask with")
	}
	wrong := config(t, key, func(c *gate.Config) { c.Anonymous = "guest" })
	if err := wrong.Validate(); setting.Field(err) != "Anonymous" {
		t.Errorf("a mistake that only the look-up tables show: %v", err)
	}
}

func TestCacheTooSmall(t *testing.T) {
	for _, size := range []int64{-1, 0, 64<<10 - 1} {
		if cache, err := gate.NewCache(size); err == nil || !strings.Contains(err.Error(), "smaller than 65536") {
			t.Errorf("size %d: cache %v, error %v", size, cache, err)
		}
	}
}

// New does not change the caller's configuration, and a later change to that does not change the gate.
func TestConfigurationIsCopied(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	c := config(t, key, func(c *gate.Config) {
		c.ForwardClaims = []gate.Forward{{Path: path(t, "sub"), Header: "x-user"}}
		c.Audience = accept(api)
		c.Require.Scopes = []string{"read"}
	})
	g := open(t, c)
	if c.ForwardClaims[0].Header != "x-user" {
		t.Errorf("New changed the caller's header name to %q", c.ForwardClaims[0].Header)
	}
	token := key.Sign(t, says(m{"scope": "read"}))
	accepted(t, g, request(token))
	c.Audience.Accepted[0], c.Require.Scopes[0] = "https://else.example", "write"
	c.Issuers[0].Audience.Accepted[0], c.Issuers[0].Algorithms = "https://else.example", jose.MakeAlgorithms(jose.HS256)
	c.Issuers[0].RequiredClaims = []claims.Path{path(t, "x")}
	accepted(t, g, request(token))
}
