package gate_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// inPath takes the token from the path, as no place of bearer does.
type inPath struct{ gate.Extractor }

func (inPath) Extract(r *http.Request) (bearer.Credential, error) {
	return bearer.Credential{Token: strings.TrimPrefix(r.URL.Path, "/")}, nil
}

// elsewhere finds the token in a place that does not exist.
type elsewhere struct {
	gate.Extractor
	place int
}

func (e elsewhere) Extract(r *http.Request) (bearer.Credential, error) {
	credential, err := e.Extractor.Extract(r)
	credential.Place = e.place
	return credential, err
}

func TestCustomExtractor(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := newAS(t)
	g := as.gate(gate.AskOpaque, key, func(c *gate.Config) { c.Extractor = inPath{extractor(t)} })
	r := request("")
	r.URL.Path = "/" + key.Sign(t, says())
	if id := accepted(t, g, r); id.ID != "alice" {
		t.Errorf("identity %v", id)
	}
	r.URL.Path = "/"
	refused(t, g, r, gate.MalformedRequest)
	for _, place := range []int{-1, 1} {
		g := build(t, key, func(c *gate.Config) { c.Extractor = elsewhere{extractor(t), place} })
		refused(t, g, request(key.Sign(t, says())), gate.InternalError)
	}
	if n := as.asked(); n != 0 {
		t.Errorf("the server was asked %d times about an empty token", n)
	}
}

// askerFunc is an authorization server in a function.
type askerFunc func(token string) (introspect.Result, error)

func (f askerFunc) Introspect(_ context.Context, token string, _ ...introspect.Option) (introspect.Result, error) {
	return f(token)
}

func TestCustomAsker(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	statement, err := gate.DecodeAnswer(issuerA, nil)([]byte(`{"sub":"bob","aud":"` + api + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	other, err := gate.DecodeAnswer("https://b.example", nil)([]byte(`{"sub":"bob","aud":"` + api + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	g := build(t, key, func(c *gate.Config) {
		c.Issuers[0].Asking = &gate.Asking{Mode: gate.AskOpaque, Client: askerFunc(
			func(token string) (introspect.Result, error) {
				switch token {
				case "bob":
					return introspect.Result{Active: true, Value: statement}, nil
				case "other":
					return introspect.Result{Active: true, Value: other}, nil
				case "else":
					return introspect.Result{Active: true, Value: new(gate.Identity)}, nil
				case "down":
					return introspect.Result{}, errors.New("down")
				}
				return introspect.Result{}, nil
			})}
	})
	if id := accepted(t, g, request("bob")); id.ID != "bob" || id.Issuer != issuerA {
		t.Errorf("identity %+v", id)
	}
	refused(t, g, request("eve"), gate.Inactive)
	refused(t, g, request("else"), gate.InternalError)
	refused(t, g, request("other"), gate.InternalError)
	refused(t, g, request("down"), gate.IntrospectionUnavailable)
}

// fresh requires a token that is not older than a minute, with the challenge of RFC 9470 section 3.
type fresh struct{}

func (fresh) Check(id *gate.Identity, now time.Time) *gate.Failure {
	if id.Claims == nil || now.Sub(id.Claims.IssuedAt) > time.Minute {
		return &gate.Failure{
			Reason: gate.ClaimMismatch,
			Reply: &gate.Reply{
				Challenges: []bearer.Challenge{
					{Scope: "read"},
					{Realm: "its own", Error: "insufficient_user_authentication", Description: "log in again", Scope: "write"},
					{Error: "invalid_token", Scope: "read"},
				},
				Header: http.Header{"Dpop-Nonce": {"n"}, "Cache-Control": {"public"}, "Www-Authenticate": {"Basic"}},
			},
		}
	}
	return nil
}

func TestCustomRequirement(t *testing.T) {
	key, clock := tokentest.NewKey(t, "ES256", "k1"), newClock()
	g := build(t, key, func(c *gate.Config) {
		c.Now, c.Cache, c.Require = clock.now, newCache(t, 1<<20), gate.Requirements{
			Scopes: []string{"read"}, Others: []gate.Requirement{fresh{}},
		}
	})
	token := key.Sign(t, says(m{"scope": "read"}))
	accepted(t, g, request(token))
	clock.advance(time.Minute + 1)
	answer := g.Answer(refused(t, g, request(token), gate.ClaimMismatch))
	if want := (http.Header{
		"Www-Authenticate": {
			`Bearer realm="api", scope="read"`,
			`Bearer realm="api", error="insufficient_user_authentication", error_description="log in again", scope="write"`,
			`Bearer realm="api", error="invalid_token", scope="read"`,
		},
		"Dpop-Nonce": {"n"}, "Cache-Control": {"no-store"},
	}); !reflect.DeepEqual(answer.Header, want) {
		t.Errorf("fields %v, want %v", answer.Header, want)
	}
	if answer.Code != "insufficient_user_authentication" || answer.Text != "log in again" || answer.Scope != "write" {
		t.Errorf("code %q, text %q and scope %q are not those of the first challenge with a code", answer.Code, answer.Text,
			answer.Scope)
	}
	f := refused(t, g, request(key.Sign(t, says())), gate.InsufficientScope) // scopes come first
	if got := challengeOf(g.Answer(f)); !strings.Contains(got, `scope="read"`) {
		t.Errorf("challenge %s", got)
	}
	for name, change := range map[string]func(*gate.Config){
		"Optional": func(c *gate.Config) { c.Optional = true },
		"Anonymous": func(c *gate.Config) {
			c.Consumers, c.Anonymous = []gate.Consumer{{Username: "guest"}}, "guest"
		},
	} {
		_, err := gate.New(config(t, key, change, func(c *gate.Config) { c.Require.Others = []gate.Requirement{fresh{}} }))
		if setting.Field(err) != name {
			t.Errorf("a requirement beside %s: error %v", name, err)
		}
	}
}

// until is a requirement that everybody meets until a time.
type until time.Time

func (u until) Check(_ *gate.Identity, now time.Time) *gate.Failure {
	if now.Before(time.Time(u)) {
		return nil
	}
	return &gate.Failure{Reason: gate.ClaimMismatch}
}

// The anonymous consumer must meet the requirements at each request, not only when the gate is made.
func TestRequirementOfTheAnonymousConsumer(t *testing.T) {
	clock := newClock()
	g := build(t, tokentest.NewKey(t, "ES256", "k1"), func(c *gate.Config) {
		c.Consumers, c.Anonymous, c.Now = []gate.Consumer{{Username: "guest"}}, "guest", clock.now
		c.Require.Others = []gate.Requirement{until(start.Add(time.Minute))}
	})
	if verdict, err := g.Check(direct(request(""))); err != nil || verdict.Outcome != gate.Anonymous {
		t.Errorf("verdict %v, error %v", verdict, err)
	}
	clock.advance(time.Minute)
	refused(t, g, request(""), gate.ClaimMismatch)
}

// never is a requirement that gives the same failure to all requests.
type never struct{ failure *gate.Failure }

func (n never) Check(*gate.Identity, time.Time) *gate.Failure { return n.failure }

// What the gate adds to a failure is about one request. It must not appear in another.
func TestFailuresOfARequirementAreNotShared(t *testing.T) {
	key, same := tokentest.NewKey(t, "ES256", "k1"), &gate.Failure{Reason: gate.ClaimMismatch}
	g := build(t, key, func(c *gate.Config) { c.Require.Others = []gate.Requirement{never{same}} })
	first := refused(t, g, request(key.Sign(t, says())), gate.ClaimMismatch)
	fingerprint := first.Token
	second := refused(t, g, request(key.Sign(t, says(m{"sub": "bob"}))), gate.ClaimMismatch)
	if fingerprint == "" || first.Token != fingerprint || second.Token == fingerprint || first.Issuer != issuerA {
		t.Errorf("failures %+v and %+v", first, second)
	}
	if !reflect.DeepEqual(*same, gate.Failure{Reason: gate.ClaimMismatch}) {
		t.Errorf("the requirement's own failure is now %+v", same)
	}
}

// A nil implementation is a mistake in the configuration, not a panic at the first request.
func TestNilImplementationIsAMistake(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for field, change := range map[string]func(*gate.Config){
		"Require.Others[1]": func(c *gate.Config) { c.Require.Others = []gate.Requirement{fresh{}, nil} },
		"Outputs[1]":        func(c *gate.Config) { c.Outputs = []gate.Output{badge{names: []string{"X-Badge"}}, nil} },
	} {
		c := config(t, key, change)
		if err := c.Validate(); setting.Field(err) != field {
			t.Errorf("%s: error %v about %q", field, err, setting.Field(err))
		}
	}
}

// badge adds a header with a name for the backend, or fails.
type badge struct {
	names []string
	err   error
}

func (b badge) Names() []string { return b.names }

func (b badge) Write(h http.Header, id *gate.Identity) error {
	h.Set(b.names[0], id.ID)
	return b.err
}

func TestCustomOutput(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	with := func(outputs ...gate.Output) func(*gate.Config) { return func(c *gate.Config) { c.Outputs = outputs } }
	g := build(t, key, with(badge{names: []string{"X-Badge", "X-Badge-Color"}}))
	r := request(key.Sign(t, says()))
	r.Header["X_badge"], r.Header["X-Badge-Color"], r.Header["X-Badges"] = []string{"root"}, []string{"red"}, []string{"x"}
	id := accepted(t, g, r)
	g.Strip(r)
	if len(r.Header["X_badge"])+len(r.Header["X-Badge-Color"]) != 0 || len(r.Header["X-Badges"]) != 1 {
		t.Errorf("headers %v", r.Header)
	}
	if err := g.Annotate(r, id); err != nil || r.Header.Get("X-Badge") != "alice" {
		t.Errorf("error %v, headers %v", err, r.Header)
	}
	g = build(t, key, with(badge{names: []string{"X-Badge"}, err: errors.New("no ink")}))
	if err := g.Annotate(r, id); gate.FailureOf(err).Reason != gate.InternalError || r.Header["X-Badge"] != nil {
		t.Errorf("error %v, headers %v", err, r.Header)
	}
	same := &gate.Failure{Reason: gate.UnsafeClaim}
	g = build(t, key, with(badge{names: []string{"X-Badge"}, err: same}))
	if f := gate.FailureOf(g.Annotate(r, id)); f.Reason != gate.UnsafeClaim || f.Issuer != issuerA || f == same {
		t.Errorf("failure %+v", f)
	}
	for name, wrong := range map[string]badge{
		"taken":    {names: []string{"X-Badge", "x-consumer-id"}},
		"the same": {names: []string{"X-Badge", "X_Badge"}},
		"reserved": {names: []string{"Host"}},
		"token":    {names: []string{"X-Token"}},
	} {
		_, err := gate.New(config(t, key, with(badge{names: []string{"X-First"}}, wrong), func(c *gate.Config) {
			c.Extractor = extractor(t, bearer.Place{Kind: bearer.Header, Name: "X-Token"})
		}))
		if setting.Field(err) != "Outputs[1]" {
			t.Errorf("%s: error %v about %q", name, err, setting.Field(err))
		}
	}
}
