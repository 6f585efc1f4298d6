package gate_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// TestTimeEdges tests each date at its edge, for a new token and for a cached one. The results must not differ.
func TestTimeEdges(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	now := start.Unix()
	for name, c := range map[string]struct {
		set    m
		leeway time.Duration
		after  time.Duration // when the token is seen, from the start
		want   gate.Reason
	}{
		"exp a nanosecond ahead":              {m{"exp": now + 1}, 0, time.Second - 1, ""},
		"exp reached":                         {m{"exp": now + 1}, 0, time.Second, gate.Expired},
		"exp passed":                          {m{"exp": now + 1}, 0, time.Minute, gate.Expired},
		"exp passed within the leeway":        {m{"exp": now + 1}, 5 * time.Second, 6*time.Second - 1, ""},
		"exp passed at the end of the leeway": {m{"exp": now + 1}, 5 * time.Second, 6 * time.Second, gate.Expired},
		"exp passed, the longest leeway":      {m{"exp": now + 1}, gate.MaxLeeway, gate.MaxLeeway + time.Second - 1, ""},
		"exp passed, the longest leeway too": {m{"exp": now + 1},
			gate.MaxLeeway, gate.MaxLeeway + time.Second, gate.Expired},
		"exp with a fraction ahead": {m{"exp": json.Number("1795435200.5")}, 0, 500*time.Millisecond - 1, ""},
		"exp with a fraction reached": {m{"exp": json.Number("1795435200.5")},
			0, 500 * time.Millisecond, gate.Expired},
		"nbf reached":                              {m{"nbf": now + 1}, 0, time.Second, ""},
		"nbf a nanosecond ahead":                   {m{"nbf": now + 1}, 0, time.Second - 1, gate.NotYetValid},
		"nbf ahead by the leeway":                  {m{"nbf": now + 5}, 5 * time.Second, 0, ""},
		"nbf ahead by more":                        {m{"nbf": now + 6}, 5 * time.Second, 0, gate.NotYetValid},
		"iat now":                                  {m{"iat": now}, 0, 0, ""},
		"iat ahead":                                {m{"iat": now + 1}, 0, 0, gate.NotYetValid},
		"iat ahead by the leeway":                  {m{"iat": now + 5}, 5 * time.Second, 0, ""},
		"iat with a fraction, as IRIS writes it":   {m{"iat": json.Number("1795435199.749942")}, 0, 0, ""},
		"no iat":                                   {m{"iat": nil}, 0, 0, ""},
		"exp in the year 9999":                     {m{"exp": 253402300799}, 0, time.Hour, ""},
		"exp in milliseconds":                      {m{"exp": now * 1000}, 0, 0, gate.MalformedToken},
		"exp zero":                                 {m{"exp": 0}, gate.MaxLeeway, 0, gate.Expired},
		"expired and not yet valid is still wrong": {m{"exp": now, "nbf": now + 100}, 0, 0, gate.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			token := key.Sign(t, says(c.set))
			for _, seen := range []string{"new", "cached"} {
				clock := newClock()
				cfg := config(t, key, func(cfg *gate.Config) {
					cfg.Issuers[0].Leeway, cfg.Now, cfg.Cache = c.leeway, clock.now, newCache(t, 1<<20)
				})
				g := open(t, cfg)
				if seen == "cached" {
					_, _ = g.Check(direct(request(token))) // at the start
				}
				clock.advance(c.after)
				if c.want == "" {
					accepted(t, g, request(token))
				} else {
					refused(t, g, request(token), c.want)
				}
			}
		})
	}
}

func TestClockThatGoesBack(t *testing.T) {
	key, clock := tokentest.NewKey(t, "ES256", "k1"), newClock()
	g := build(t, key, func(c *gate.Config) { c.Now, c.Cache = clock.now, newCache(t, 1<<20) })
	token := key.Sign(t, says(m{"nbf": start.Unix()}))
	accepted(t, g, request(token))
	clock.advance(-time.Hour)
	refused(t, g, request(token), gate.NotYetValid)
	clock.advance(2 * time.Hour)
	refused(t, g, request(token), gate.Expired)
}

func TestLeewayBelongsToTheParty(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) {
		c.Leeway = time.Minute
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
	})
	set := m{"exp": start.Unix() - 30}
	accepted(t, g, request(key.Sign(t, says(set, m{"iss": "shop-key"}))))
	refused(t, g, request(key.Sign(t, says(set))), gate.Expired)
}

// The audiences of the route and of the issuer must both be satisfied.
func TestAudience(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	none, anyone := gate.Audience{}, gate.Audience{Any: true}
	for name, c := range map[string]struct {
		route, issuer gate.Audience
		aud           any
		want          gate.Reason
	}{
		"the issuer's":                      {none, accept("a"), "a", ""},
		"one of several":                    {none, accept("x", "a"), []string{"b", "a"}, ""},
		"not the issuer's":                  {none, accept("a"), "b", gate.InvalidAudience},
		"the route's":                       {accept("a"), none, "a", ""},
		"not the route's":                   {accept("a"), none, "b", gate.InvalidAudience},
		"both":                              {accept("a"), accept("b"), []string{"a", "b"}, ""},
		"both in one":                       {accept("a", "b"), accept("a", "c"), "a", ""},
		"only the route's":                  {accept("a"), accept("b"), "a", gate.InvalidAudience},
		"only the issuer's":                 {accept("a"), accept("b"), "b", gate.InvalidAudience},
		"any for the issuer, not the route": {accept("a"), anyone, "b", gate.InvalidAudience},
		"any for the route, not the issuer": {anyone, accept("a"), "b", gate.InvalidAudience},
		"any for both":                      {anyone, anyone, "b", ""},
		"any and none in the token":         {anyone, none, nil, ""},
		"none in the token":                 {accept("a"), anyone, nil, gate.InvalidAudience},
		"a prefix": {none, accept("https://api.example"),
			"https://api.example.evil", gate.InvalidAudience},
		"another case":                  {none, accept("api"), "API", gate.InvalidAudience},
		"a slash more":                  {none, accept("https://api.example"), "https://api.example/", gate.InvalidAudience},
		"an empty array":                {none, accept("a"), []string{}, gate.InvalidAudience},
		"an empty array, for the route": {accept("a"), anyone, []string{}, gate.InvalidAudience},
		"any and an empty array":        {anyone, none, []string{}, ""},
		"an array in an array":          {none, accept("a"), []any{[]string{"a"}}, gate.MalformedToken},
		"an object":                     {none, accept("a"), m{"a": 1}, gate.MalformedToken},
		"a blank":                       {none, accept("a"), "", gate.MalformedToken},
		"a number":                      {none, accept("1"), 1, gate.MalformedToken},
		"null":                          {anyone, none, (*int)(nil), gate.MalformedToken},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, func(cfg *gate.Config) {
				cfg.Audience, cfg.Issuers[0].Audience, cfg.Cache = c.route, c.issuer, newCache(t, 1<<20)
			})
			token := key.Sign(t, says(m{"aud": c.aud}))
			for range 2 { // new and cached
				if c.want == "" {
					accepted(t, g, request(token))
				} else {
					refused(t, g, request(token), c.want)
				}
			}
		})
	}
}

func TestAudienceOfTheRouteHoldsForConsumers(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	g := build(t, key, func(c *gate.Config) {
		c.Audience, c.Consumers = accept(api), []gate.Consumer{consumer(t, "shop", "shop-key", key)}
	})
	accepted(t, g, request(key.Sign(t, says(m{"iss": "shop-key"}))))
	refused(t, g, request(key.Sign(t, says(m{"iss": "shop-key", "aud": "x"}))), gate.InvalidAudience)
}

func TestLifetime(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	now := start.Unix()
	for name, c := range map[string]struct {
		route, issuer, leeway time.Duration
		set                   m
		want                  gate.Reason
	}{
		"no bound":                        {0, 0, 0, m{"exp": now + 1e9}, ""},
		"the route's, exactly":            {300 * time.Second, 0, 0, nil, ""},
		"the route's, a second over":      {299 * time.Second, 0, 0, nil, gate.LifetimeTooLong},
		"the issuer's, a second over":     {0, 299 * time.Second, 0, nil, gate.LifetimeTooLong},
		"the shorter is the route's":      {299 * time.Second, time.Hour, 0, nil, gate.LifetimeTooLong},
		"the shorter is the issuer's":     {time.Hour, 299 * time.Second, 0, nil, gate.LifetimeTooLong},
		"leeway does not lengthen a life": {299 * time.Second, 0, time.Minute, nil, gate.LifetimeTooLong},
		"no iat":                          {time.Hour, 0, 0, m{"iat": nil}, gate.MissingClaim},
		"old, with little left":           {time.Hour, 0, 0, m{"iat": now - 3600}, gate.LifetimeTooLong},
		"iat ahead within the leeway":     {300 * time.Second, 0, 5 * time.Second, m{"iat": now + 5, "exp": now + 305}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, func(cfg *gate.Config) {
				cfg.MaxLifetime, cfg.Issuers[0].MaxLifetime, cfg.Issuers[0].Leeway = c.route, c.issuer, c.leeway
				cfg.Cache = newCache(t, 1<<20)
			})
			token := key.Sign(t, says(c.set))
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
