package gate_test

import (
	"encoding/json"
	"net/http"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// shops has the first issuer name one of three consumers by this claim. Nobody has the anonymous one's rights.
func shops(tb testing.TB, claim string, by gate.ConsumerBy) func(*gate.Config) {
	tb.Helper()
	return func(c *gate.Config) {
		c.Consumers = []gate.Consumer{
			{Username: "shop", ID: "1", CustomID: "c1", Groups: []string{"partners", "eu"}},
			{Username: "Jürgen", CustomID: "c2"},
			{Username: "guest", CustomID: "c3"},
		}
		c.Issuers[0].ConsumerClaim, c.Issuers[0].ConsumerBy = path(tb, claim), by
		c.Anonymous = "guest"
	}
}

// called has the name of the caller in this claim of the first issuer.
func called(tb testing.TB, claim string) func(*gate.Config) {
	tb.Helper()
	return func(c *gate.Config) { c.Issuers[0].UsernameClaim = path(tb, claim) }
}

// told is what the backend learns about a request that passes.
func told(tb testing.TB, g *gate.Gate, r *http.Request) http.Header {
	tb.Helper()
	h := &http.Request{Header: http.Header{}}
	if err := g.Annotate(h, accepted(tb, g, r)); err != nil {
		tb.Fatal(explain(err))
	}
	return h.Header
}

func TestCallerIsTheConsumerThatTheTokenNames(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		claim string
		by    gate.ConsumerBy
		says  m
		want  string // username; empty if the token names nobody
	}{
		"by its username":              {"client", gate.ByUsername, m{"client": "shop"}, "shop"},
		"by its custom id":             {"client", gate.ByCustomID, m{"client": "c1"}, "shop"},
		"by sub":                       {"sub", gate.ByUsername, m{"sub": "shop"}, "shop"},
		"inside of an object":          {"a.b", gate.ByUsername, m{"a": m{"b": "shop"}}, "shop"},
		"in letters beyond ASCII":      {"client", gate.ByUsername, m{"client": "Jürgen"}, "Jürgen"},
		"nobody, without the claim":    {"client", gate.ByUsername, nil, ""},
		"nobody, with null":            {"client", gate.ByUsername, m{"client": json.RawMessage("null")}, ""},
		"nobody, with an empty text":   {"client", gate.ByUsername, m{"client": ""}, ""},
		"nobody, without a custom id":  {"client", gate.ByCustomID, m{"client": ""}, ""},
		"nobody, by the other name":    {"client", gate.ByUsername, m{"client": "c1"}, ""},
		"nobody, by another username":  {"client", gate.ByCustomID, m{"client": "shop"}, ""},
		"nobody, in another case":      {"client", gate.ByUsername, m{"client": "Shop"}, ""},
		"nobody, in decomposed form":   {"client", gate.ByUsername, m{"client": "Ju\u0308rgen"}, ""},
		"nobody, with a blank":         {"client", gate.ByUsername, m{"client": "shop "}, ""},
		"nobody, with a zero byte":     {"client", gate.ByUsername, m{"client": "shop\x00"}, ""},
		"nobody, in a list":            {"client", gate.ByUsername, m{"client": []string{"shop"}}, ""},
		"nobody, in an object":         {"client", gate.ByUsername, m{"client": m{"value": "shop"}}, ""},
		"nobody, as a number":          {"client", gate.ByUsername, m{"client": 1}, ""},
		"nobody, as the anonymous one": {"client", gate.ByUsername, m{"client": "guest"}, ""},
		"nobody, by its custom id":     {"client", gate.ByCustomID, m{"client": "c3"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, shops(t, c.claim, c.by))
			r := request(key.Sign(t, says(m{"sub": "alice"}, c.says)))
			agrees(t, g, r)
			if c.want == "" {
				f := refused(t, g, r, gate.UnknownConsumer)
				if answer := g.Answer(f); answer.Status != http.StatusForbidden || f.Issuer != issuerA {
					t.Errorf("status %d, issuer %q", answer.Status, f.Issuer)
				}
				return
			}
			id := accepted(t, g, r)
			if id.ID != c.want || id.Consumer == nil || id.Consumer.Username != c.want || id.Issuer != issuerA ||
				id.CredentialKey != "" || id.Anonymous {
				t.Errorf("identity %+v", id)
			}
			if v, ok := id.Claim("sub"); !ok || v != says(m{"sub": "alice"}, c.says)["sub"] {
				t.Errorf("sub is %v: the claims are not those of the token", v)
			}
		})
	}
}

func TestBackendLearnsTheConsumerThatTheTokenNames(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says(m{"client": "shop", "groups": "staff"}))
	want := http.Header{"X-Consumer-Id": {"1"}, "X-Consumer-Custom-Id": {"c1"}, "X-Consumer-Username": {"shop"},
		"X-Consumer-Groups": {"partners,eu"}, "X-User": {"alice"}}
	g := build(t, key, shops(t, "client", gate.ByUsername), forward(t, "sub", "X-User"))
	if got := told(t, g, request(token)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	g = build(t, key, shops(t, "client", gate.ByUsername), func(c *gate.Config) {
		c.ConsumerHeaders = []string{"X-Consumer-Groups"}
	})
	if got := told(t, g, request(token)); len(got) != 1 || got.Get("X-Consumer-Groups") == "" {
		t.Errorf("got %v, want the groups alone", got)
	}
}

// The groups of the consumer count for the route and for matchers, and those of the token do not.
func TestGroupsOfTheConsumerThatTheTokenNames(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says(m{"client": "shop", "groups": []string{"staff", "banned"}}))
	require := func(r gate.Requirements) func(*gate.Config) {
		return func(c *gate.Config) { c.Require, c.Anonymous = r, "" }
	}
	excluding := func(group string) (r gate.Requirements) {
		r.Not.Groups = []string{group}
		return r
	}
	for name, c := range map[string]struct {
		require gate.Requirements
		want    gate.Reason
	}{
		"a group of the consumer":          {gate.Requirements{Groups: []string{"eu"}}, ""},
		"a group of the token":             {gate.Requirements{Groups: []string{"staff"}}, gate.ClaimMismatch},
		"not a group of the consumer":      {excluding("eu"), gate.ClaimMismatch},
		"not a group of the token":         {excluding("banned"), ""},
		"a scope, which the token lacks":   {gate.Requirements{Scopes: []string{"read"}}, gate.InsufficientScope},
		"a group, beside a scope of token": {gate.Requirements{Groups: []string{"partners"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, shops(t, "client", gate.ByUsername), require(c.require))
			agrees(t, g, request(token))
			if c.want != "" {
				refused(t, g, request(token), c.want)
				return
			}
			accepted(t, g, request(token))
		})
	}
	id := accepted(t, build(t, key, shops(t, "client", gate.ByUsername)), request(token))
	for name, c := range map[string]struct {
		condition gate.Condition
		want      bool
	}{
		"the consumer":           {gate.Condition{Consumers: []string{"shop"}}, true},
		"another consumer":       {gate.Condition{Consumers: []string{"guest", "alice"}}, false},
		"the issuer":             {gate.Condition{Issuers: []string{issuerA}}, true},
		"both":                   {gate.Condition{Issuers: []string{issuerA}, Consumers: []string{"shop"}}, true},
		"a group of the caller":  {gate.Condition{Requirements: gate.Requirements{Groups: []string{"eu"}}}, true},
		"a group of nobody here": {gate.Condition{Requirements: gate.Requirements{Groups: []string{"staff"}}}, false},
	} {
		if got := c.condition.Holds(id, nil); got != c.want {
			t.Errorf("%s: holds %v, want %v", name, got, c.want)
		}
	}
}

func TestCallerHasTheNameInTheToken(t *testing.T) {
	key, secret := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "s")
	g := build(t, key, called(t, "name"), func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", secret), {Username: "guest"}}
		c.Anonymous = "guest"
	})
	for name, c := range map[string]struct {
		value any
		want  gate.Reason
	}{
		"a name":                       {"bob", ""},
		"a name with blanks inside":    {"Doe, Jane", ""},
		"a name beyond ASCII":          {"Jürgen", ""},
		"a consumer in another case":   {"Shop", ""},
		"the longest name":             {strings.Repeat("x", fields.MaxValue), ""},
		"no name":                      {nil, gate.MissingClaim},
		"null":                         {json.RawMessage("null"), gate.MissingClaim},
		"an empty name":                {"", gate.MissingClaim},
		"a blank":                      {" \u00a0", gate.MissingClaim},
		"a blank at the beginning":     {" bob", gate.UnsafeClaim},
		"a blank at the end":           {"bob\u3000", gate.UnsafeClaim},
		"a byte order mark at the end": {"bob\ufeff", gate.UnsafeClaim},
		"a line end":                   {"bob\r\nX-Admin: 1", gate.UnsafeClaim},
		"a tab at the end":             {"bob\t", gate.UnsafeClaim},
		"a name that is too long":      {strings.Repeat("x", fields.MaxValue+1), gate.UnsafeClaim},
		"a number":                     {4711, gate.UnsafeClaim},
		"a list":                       {[]string{"bob"}, gate.UnsafeClaim},
		"an object":                    {m{"value": "bob"}, gate.UnsafeClaim},
		"the name of a consumer":       {"shop", gate.UnsafeClaim},
		"the anonymous consumer":       {"guest", gate.UnsafeClaim},
		"a consumer with a blank":      {"shop ", gate.UnsafeClaim},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(key.Sign(t, says(m{"name": c.value})))
			agrees(t, g, r)
			if c.want != "" {
				refused(t, g, r, c.want)
				return
			}
			id := accepted(t, g, r)
			if id.ID != c.value || id.Consumer != nil || id.Issuer != issuerA {
				t.Errorf("identity %+v", id)
			}
			if got := told(t, g, r); len(got) != 1 || got.Get("X-Consumer-Username") != c.value {
				t.Errorf("the backend gets %v", got)
			}
		})
	}
	if got := told(t, g, request(secret.Sign(t, says(m{"iss": "shop-key", "name": "bob"})))); got.Get(
		"X-Consumer-Username") != "shop" {
		t.Errorf("the name of an issuer's tokens counts for a consumer: %v", got)
	}
}

func TestMappingMistakes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	consumers := func(by gate.ConsumerBy, list ...gate.Consumer) func(*gate.Config) {
		return func(c *gate.Config) {
			shops(t, "client", by)(c)
			c.Consumers, c.Anonymous = list, ""
		}
	}
	for name, c := range map[string]struct {
		change func(*gate.Config)
		want   string
		field  string
	}{
		"no consumer": {consumers(gate.ByUsername),
			"names a consumer of this gate, and there is none", "Issuers[0].ConsumerClaim"},
		"only the anonymous consumer": {func(c *gate.Config) {
			consumers(gate.ByUsername, gate.Consumer{Username: "guest"})(c)
			c.Anonymous = "guest"
		}, "the anonymous one does not count", "Issuers[0].ConsumerClaim"},
		"no custom id": {consumers(gate.ByCustomID, gate.Consumer{Username: "a"}),
			"no consumer has one", "Issuers[0].ConsumerBy"},
		"one custom id of two consumers": {consumers(gate.ByCustomID, gate.Consumer{Username: "a", CustomID: "c"},
			gate.Consumer{Username: "x"}, gate.Consumer{Username: "b", CustomID: "c"}),
			`consumers "a" and "b" have the same custom_id "c"`, "Issuers[0].ConsumerBy"},
		"headers about nobody": {func(c *gate.Config) { c.ConsumerHeaders = []string{"off"} },
			"there is none", "ConsumerHeaders"},
	} {
		_, err := gate.New(config(t, key, c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) || setting.Field(err) != c.field {
			t.Errorf("%s: %v about %q, want %q about %q", name, err, setting.Field(err), c.want, c.field)
		}
	}
	for name, change := range map[string]func(*gate.Config){
		"the same custom id, and consumers by username": consumers(gate.ByUsername,
			gate.Consumer{Username: "a", CustomID: "c"}, gate.Consumer{Username: "b", CustomID: "c"}),
		"two issuers by custom id": func(c *gate.Config) {
			shops(t, "client", gate.ByCustomID)(c)
			c.Issuers = append(c.Issuers, c.Issuers[0])
			c.Issuers[1].Name = issuerB
		},
		"headers about a name": func(c *gate.Config) {
			called(t, "name")(c)
			c.ConsumerHeaders = []string{"off"}
		},
	} {
		if _, err := gate.New(config(t, key, change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Gates share cached tokens, and have consumers of their own.
func TestMappedIdentityIsNotShared(t *testing.T) {
	key, cache := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20)
	token := key.Sign(t, says(m{"client": "shop", "name": "shop"}))
	gates := []*gate.Gate{}
	var keys []*fakeKeys
	for _, change := range []func(*gate.Config){
		func(*gate.Config) {}, called(t, "name"), called(t, "client"),
	} {
		g, source := cached(t, cache, key, change)
		gates, keys = append(gates, g), append(keys, source)
	}
	for range 3 {
		for i, want := range []string{"alice", "shop", "shop"} {
			if id := accepted(t, gates[i], request(token)); id.ID != want {
				t.Errorf("gate %d: %q, want %q", i, id.ID, want)
			}
		}
	}
	if n := keys[1].finds.Load() + keys[2].finds.Load(); n != 0 {
		t.Errorf("verified %d times: the gates do not share the token", n)
	}
	names := map[string]gate.Reason{"shop": "", "other": gate.UnknownConsumer}
	for range 3 {
		for name, want := range names {
			g, _ := cached(t, cache, key, shops(t, "client", gate.ByUsername), func(c *gate.Config) {
				c.Consumers[0].Username = name
			})
			if want != "" {
				refused(t, g, request(token), want)
			} else if id := accepted(t, g, request(token)); id.Consumer == nil || id.Consumer.Username != name {
				t.Errorf("identity %+v", id)
			}
		}
	}
}

// One answer of a server is shared by gates with other consumers, and with none.
func TestAnswerNamesTheConsumer(t *testing.T) {
	as, key := newAS(t), tokentest.NewKey(t, "ES256", "k1")
	as.says["opaque"] = active(m{"username": "shop", "sub": nil})
	shared := as.introspection(gate.AskOpaque)
	gateFor := func(change func(*gate.Config)) *gate.Gate {
		return build(t, key, change, func(c *gate.Config) { c.Issuers[0].Asking, c.Now = shared, as.clock.now })
	}
	shopCalled := func(username string) *gate.Gate {
		return gateFor(func(c *gate.Config) {
			shops(t, "username", gate.ByUsername)(c)
			c.Consumers[0].Username = username
		})
	}
	ours, theirs, plain := shopCalled("shop"), shopCalled("other"), gateFor(func(*gate.Config) {})
	for range 3 {
		if id := accepted(t, ours, request("opaque")); id.ID != "shop" || id.Consumer == nil {
			t.Errorf("identity %+v", id)
		}
		refused(t, theirs, request("opaque"), gate.UnknownConsumer)
		if id := accepted(t, plain, request("opaque")); id.Consumer != nil {
			t.Errorf("identity %+v", id)
		}
		agrees(t, ours, request("opaque"))
		agrees(t, theirs, request("opaque"))
	}
	if n := as.asked(); n != 1 {
		t.Errorf("asked %d times: the gates do not share the answer", n)
	}
}

// A claim that only the answer has does not count for a JWT: the backend gets the claims of the token, too.
func TestAnswerAboutAJWTNamesNobody(t *testing.T) {
	as, key := newAS(t), tokentest.NewKey(t, "ES256", "k1")
	g := as.gate(gate.AskAlways, key, shops(t, "client", gate.ByUsername))
	without, with := key.Sign(t, says()), key.Sign(t, says(m{"client": "shop"}))
	as.says[without], as.says[with] = active(m{"client": "shop"}), active(m{"client": "guest"})
	refused(t, g, request(without), gate.UnknownConsumer)
	if id := accepted(t, g, request(with)); id.ID != "shop" {
		t.Errorf("identity %+v", id)
	}
}

// An expired cookie counts as no token only if it was good here.
func TestExpiredTokenOfNobodyIsRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forgiving, shops(t, "client", gate.ByUsername), func(c *gate.Config) { c.Anonymous = "" })
	countsAsNone(t, g, withCookies("t="+key.Sign(t, expired(m{"client": "shop"}))))
	r := withCookies("t=" + key.Sign(t, expired(m{"client": "mallory"})))
	refused(t, g, r, gate.UnknownConsumer)
	agrees(t, g, r)
	refused(t, g, withCookies("t="+key.Sign(t, says(m{"client": "mallory"}))), gate.UnknownConsumer)
}

// A consumer is looked for last, so a refusal for any other reason says nothing about consumers.
func TestConsumerIsLookedForInGoodTokensOnly(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, shops(t, "client", gate.ByUsername), func(c *gate.Config) {
		c.Require.Scopes, c.Anonymous = []string{"read"}, ""
	})
	mallory := m{"client": "mallory"}
	for token, want := range map[string]gate.Reason{
		key.Sign(t, says(mallory, m{"exp": start.Add(-time.Hour).Unix()})): gate.Expired,
		key.Sign(t, says(mallory, m{"aud": "x"})):                          gate.InvalidAudience,
		key.Sign(t, says(mallory, m{"cnf": m{}})):                          gate.ProofRequired,
		tokentest.FlipSignature(t, key.Sign(t, says(mallory))):             gate.InvalidSignature,
		key.Sign(t, says(mallory)):                                         gate.UnknownConsumer,
		key.Sign(t, says(m{"client": "shop"})):                             gate.InsufficientScope,
	} {
		refused(t, g, request(token), want)
		agrees(t, g, request(token))
	}
}

// The word is the first issuer's, and counts for no other.
func TestMappingOfAnotherIssuer(t *testing.T) {
	key, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	g := build(t, key, shops(t, "client", gate.ByUsername), func(c *gate.Config) {
		c.Issuers = append(c.Issuers, issuer(t, issuerB, other))
	})
	id := accepted(t, g, request(other.Sign(t, says(m{"iss": issuerB, "client": "shop"}))))
	if id.Consumer != nil || id.ID != "alice" {
		t.Errorf("identity %+v", id)
	}
	refused(t, g, request(other.Sign(t, says(m{"client": "shop"}))), gate.UnknownKey)
}

func TestExplainNamesTheConsumer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, shops(t, "client", gate.ByCustomID), func(c *gate.Config) {
		c.Require.Groups, c.Anonymous = []string{"eu"}, ""
	})
	e := agrees(t, g, request(key.Sign(t, says(m{"client": "c1"}))))
	if e.Consumer != "shop" || e.Issuer != issuerA || e.Identity.Consumer == nil {
		t.Errorf("consumer %q, issuer %q, identity %+v", e.Consumer, e.Issuer, e.Identity)
	}
	for _, s := range e.Steps {
		if s.Rule == "consumer_claim" && !reflect.DeepEqual(s.Came, []string{`client "c1"`, "consumer shop"}) {
			t.Errorf("came %q", s.Came)
		}
	}
	e = agrees(t, g, request(key.Sign(t, says(m{"client": "c9", "groups": "eu"}))))
	if got := strings.Join(results(e), ", "); !strings.Contains(got, "consumer_claim fail, require_group not_checked") ||
		e.Consumer != "" {
		t.Errorf("steps %s, consumer %q", got, e.Consumer)
	}
	e = agrees(t, build(t, key, called(t, "name")), request(key.Sign(t, says(m{"name": "bob"}))))
	if got := strings.Join(results(e), ", "); !strings.Contains(got, "username_claim pass, forward pass") {
		t.Errorf("steps %s", got)
	}
}

// A mapped caller costs one allocation, the new identity. Without the words there is none: see TestHitAllocatesNothing.
func TestMappingAllocatesOnce(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, change := range map[string]func(*gate.Config){
		"a consumer": shops(t, "client", gate.ByUsername), "one by custom id": shops(t, "custom", gate.ByCustomID),
		"a name": called(t, "client"),
	} {
		g, keys := cached(t, newCache(t, 1<<20), key, change)
		r := request(key.Sign(t, says(m{"client": "shop", "custom": "c1"})))
		accepted(t, g, r)
		if n := testing.AllocsPerRun(200, func() { _, _ = g.Check(direct(r)) }); n != 1 {
			t.Errorf("%s: %v allocations, want 1", name, n)
		}
		if keys.finds.Load() != 1 {
			t.Error("these were no hits")
		}
	}
}

// Whatever a claim is, its caller is a consumer only by the very name, and the backend gets a name as it is or not at
// all.
func FuzzNamedCaller(f *testing.F) {
	for _, claim := range []string{
		`"shop"`, `"shop "`, `"sho\u0070"`, `"\ufeffshop"`, `"guest"`, `"Jürgen"`, `"J\u00fcrgen"`,
		`"Ju\u0308rgen"`, `"a\r\nb"`, `""`, `" "`, `null`, `["shop"]`, `{"value":"shop"}`, `7`, `true`, `"\ud800"`,
	} {
		f.Add(claim)
	}
	key := tokentest.NewKey(f, "EdDSA", "k1")
	byName := build(f, key, long, shops(f, "v", gate.ByUsername))
	named := build(f, key, long, shops(f, "w", gate.ByUsername), func(c *gate.Config) {
		c.Issuers[0].ConsumerClaim = claims.Path{}
		called(f, "v")(c)
	})
	f.Fuzz(func(t *testing.T, claim string) {
		var text any
		if json.Unmarshal([]byte(claim), &text) != nil {
			return
		}
		name, _ := text.(string)
		payload := `{"iss":"` + issuerA + `","sub":"alice","aud":"` + api + `","exp":1795435500,"v":` + claim + `}`
		r := request(key.SignRaw(`{"alg":"EdDSA","kid":"k1"}`, payload))
		isConsumer := name == "shop" || name == "Jürgen"
		if e := agrees(t, byName, r); (e.Failure == nil) != isConsumer || isConsumer && e.Identity.ID != name {
			t.Fatalf("%s is the consumer %+v", claim, e.Identity)
		}
		if e := agrees(t, named, r); e.Failure == nil {
			value := told(t, named, r)["X-Consumer-Username"]
			if len(value) != 1 || value[0] != name || textproto.TrimString(name) != name || name == "guest" || isConsumer ||
				!httpguts.ValidHeaderFieldValue(name) {
				t.Fatalf("%s arrives as %q", claim, value)
			}
		}
	})
}
