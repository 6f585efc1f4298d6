package gate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// agrees requires that Explain and Check come to the same verdict about a request, and that the first rule which fails
// is the one that decides. It returns the explanation.
func agrees(tb testing.TB, g *gate.Gate, r *http.Request) *gate.Explanation {
	tb.Helper()
	verdict, err := g.Check(direct(r))
	e := g.Explain(direct(r))
	first := firstFailure(e)
	switch {
	case err == nil && (e.Failure != nil || e.Open || first != nil || e.Outcome != verdict.Outcome):
		tb.Fatalf("Check lets it pass as %d, and Explain says %+v", verdict.Outcome, e)
	case err == nil:
		return e
	case e.Failure == nil || e.Outcome != 0 || e.Open:
		tb.Fatalf("Check refuses it: %v; and Explain says %+v", explain(err), e)
	case e.Failure.Reason != gate.FailureOf(err).Reason:
		tb.Fatalf("Check refuses it for %v, and Explain for %v", explain(err), e.Failure.Reason)
	case first == nil || first.Reason != e.Failure.Reason:
		tb.Fatalf("Check refuses it for %v, and the steps are %+v", explain(err), e.Steps)
	case first.Detail != causeOf(gate.FailureOf(err)):
		tb.Fatalf("Check says %v, and the first rule that fails says %q", explain(err), first.Detail)
	case e.Forwarded != nil:
		tb.Fatalf("refused, and the backend gets %v", e.Forwarded)
	}
	return e
}

func firstFailure(e *gate.Explanation) *gate.Step {
	i := slices.IndexFunc(e.Steps, func(s gate.Step) bool { return s.Result == gate.Failed })
	if i < 0 {
		return nil
	}
	return &e.Steps[i]
}

func causeOf(f *gate.Failure) string {
	if f.Cause == nil {
		return ""
	}
	return f.Cause.Error()
}

// results are the steps in short, such as "time fail".
func results(e *gate.Explanation) (list []string) {
	for _, s := range e.Steps {
		list = append(list, s.Rule+" "+string(s.Result))
	}
	return list
}

func TestExplainAgreesWithCheckAboutRequests(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	good := key.Sign(t, says(m{"scope": "read", "groups": []string{"staff"}, "email": "a@x.example"}))
	scopes := func(scopes ...string) func(*gate.Config) {
		return func(c *gate.Config) { c.Require.Scopes = scopes }
	}
	groups := func(groups ...string) func(*gate.Config) {
		return func(c *gate.Config) { c.Require.Groups = groups }
	}
	profile := func(c *gate.Config) { c.Issuers[0].AccessTokenProfile = true }
	places := func(c *gate.Config) {
		c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Query, Name: "jwt"},
			bearer.Place{Kind: bearer.Form, Name: "jwt"})
	}
	form := func(body string) *http.Request {
		r := request("")
		r.Method, r.Body, r.ContentLength = http.MethodPost, http.NoBody, 0
		if body != "" {
			r, _ = http.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(body))
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	twice := request(good)
	twice.Header.Add("Authorization", "Bearer "+good)
	preflight := request("")
	preflight.Method = http.MethodOptions
	preflight.Header.Set("Origin", "https://app.example")
	preflight.Header.Set("Access-Control-Request-Method", "PUT")
	opaqueTarget := request(good)
	opaqueTarget.URL.Path = "orders"
	public := func(path string) func(*gate.Config) { return func(c *gate.Config) { c.Public = []string{path} } }
	guest := func(c *gate.Config) {
		c.Consumers, c.Anonymous = []gate.Consumer{{Username: "guest"}}, "guest"
	}
	for name, c := range map[string]struct {
		change  func(*gate.Config)
		request *http.Request
	}{
		"a good token":                          {places, request(good)},
		"no token":                              {places, request("")},
		"no token where it is optional":         {func(c *gate.Config) { c.Optional = true }, request("")},
		"no token where there is an anonymous":  {guest, request("")},
		"a preflight":                           {func(c *gate.Config) { c.AllowPreflight = true }, preflight},
		"a preflight where it needs a token":    {places, preflight},
		"a public path":                         {public("/orders"), request(good)},
		"beside a public path":                  {public("/order"), request("")},
		"two fields":                            {places, twice},
		"a target that is not in origin form":   {places, opaqueTarget},
		"a token in a form":                     {places, form("jwt=" + good)},
		"a form that is too long":               {places, form("jwt=" + strings.Repeat("a", 1<<20))},
		"a form without a token":                {places, form("a=b")},
		"an opaque token":                       {places, request("opaque")},
		"an encrypted token":                    {places, request(b64(`{"alg":"dir","enc":"A256GCM"}`) + "..a.b.c")},
		"scopes that the token has":             {scopes("read"), request(good)},
		"scopes that the token lacks":           {scopes("write"), request(good)},
		"groups that the token has":             {groups("staff"), request(good)},
		"groups that the token lacks":           {groups("boss"), request(good)},
		"two requirements, and the second one":  {both, request(good)},
		"a lifetime that is too long":           {func(c *gate.Config) { c.MaxLifetime = time.Minute }, request(good)},
		"a profile that the token does not fit": {profile, request(good)},
		"a type that the token does not have":   {func(c *gate.Config) { c.Issuers[0].Types = []string{"x"} }, request(good)},
		"a claim that is missing": {func(c *gate.Config) {
			c.Issuers[0].RequiredClaims = append(c.Issuers[0].RequiredClaims, path(t, "azp"))
		}, request(good)},
		"the route's audience":        {func(c *gate.Config) { c.Audience = accept("x") }, request(good)},
		"an audience that is missing": {places, request(key.Sign(t, says(m{"aud": nil})))},
		"any audience":                {anyAudience, request(key.Sign(t, says(m{"aud": nil, "sub": nil})))},
		"a claim for the backend":     {forward(t, "email", "X-Email"), request(good)},
		"a consumer whose certificate has expired": {func(c *gate.Config) {
			c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
			c.Consumers[0].Credentials[0].NotAfter = start.Add(-time.Hour)
		}, request(key.Sign(t, says(m{"iss": "shop-key"})))},
		"keys that are unavailable": {func(c *gate.Config) {
			keys := newKeys(t, key)
			keys.gone()
			c.Issuers[0].Keys = keys
		}, request(good)},
		"a token that was revoked":                {revokes(t, alices), request(good)},
		"an expired cookie that counts as none":   {forgiving, withCookies("t=" + key.Sign(t, expired()))},
		"an expired cookie for another audience":  {forgiving, withCookies("t=" + key.Sign(t, expired(m{"aud": "x"})))},
		"an expired token that is not a cookie's": {forgiving, request(key.Sign(t, expired()))},
	} {
		t.Run(name, func(t *testing.T) {
			agrees(t, build(t, key, c.change), c.request)
		})
	}
}

// Check leaves the rules about fields for the backend to Annotate.
func TestExplainRefusesUnsafeClaims(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forward(t, "email", "X-Email"))
	e := g.Explain(direct(request(key.Sign(t, says(m{"email": "a\nb"})))))
	if e.Failure == nil || e.Failure.Reason != gate.UnsafeClaim || firstFailure(e).Rule != "forward" || e.Outcome != 0 {
		t.Errorf("%+v", e)
	}
}

func both(c *gate.Config) {
	c.Require.Scopes, c.Require.Groups = []string{"read"}, []string{"boss"}
}

// Explain goes on behind the first rule that fails, and does not say that a bad signature was verified.
func TestExplainGoesOnBehindTheFirstFailure(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) {
		c.Require.Scopes = []string{"read"}
		c.MaxLifetime = time.Minute
	})
	old := says(m{"aud": "x", "exp": start.Unix() - 60, "iat": start.Unix() - 600})
	token := tokentest.FlipSignature(t, key.Sign(t, old))
	e := agrees(t, g, request(token))
	want := []string{
		"request pass", "token pass", "format pass", "kind pass", "issuer pass", "algorithm pass", "signature fail",
		"time fail", "lifetime fail", "issuer_audience fail", "proof pass", "require_scope fail",
	}
	if got := results(e); !slices.Equal(got, want) || !e.Unverified {
		t.Errorf("unverified %t, steps %q\nwant %q", e.Unverified, got, want)
	}
}

// A slash too many in iss is the most frequent mistake. It must not hide the others.
func TestExplainAssumesTheOnlyIssuer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key)
	e := agrees(t, g, request(key.Sign(t, says(m{"iss": issuerA + "/", "aud": "x"}))))
	if !e.Assumed || e.Issuer != issuerA || e.Unverified || !slices.Contains(results(e), "signature pass") ||
		!slices.Contains(results(e), "issuer_audience fail") {
		t.Errorf("%+v", e)
	}
	g = build(t, key, func(c *gate.Config) { c.Issuers = append(c.Issuers, issuer(t, issuerB, key)) })
	e = agrees(t, g, request(key.Sign(t, says(m{"iss": issuerA + "/"}))))
	if e.Assumed || e.Issuer != "" || !slices.Contains(results(e), "signature not_checked") {
		t.Errorf("%+v", e)
	}
}

// offlineKeys stands in for keys that would have to be fetched.
type offlineKeys struct{ keyset.Source }

func (offlineKeys) Current() *keyset.Set { return nil }
func (offlineKeys) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, fmt.Errorf("no network: %w", gate.ErrOffline)
}

type offlineAsker struct{}

func (offlineAsker) Introspect(context.Context, string, ...introspect.Option) (introspect.Result, error) {
	return introspect.Result{}, gate.ErrOffline
}

func TestExplainWithoutServers(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	offline := func(c *gate.Config) {
		c.Issuers[0].Keys = offlineKeys{}
		c.Issuers[0].Asking = &gate.Asking{Mode: gate.AskAlways, Client: offlineAsker{}}
		c.ForwardClaims = []gate.Forward{{Path: path(t, "sub"), Header: "X-User"}}
	}
	for name, c := range map[string]struct {
		token  string
		want   gate.Reason
		sees   []string
		fields int
	}{
		"a token that may be good": {key.Sign(t, says()), "",
			[]string{"signature not_checked", "introspection not_checked", "time pass"}, 1},
		"a token that is expired, whoever signed it": {key.Sign(t, says(m{"exp": start.Unix() - 60})), gate.Expired,
			[]string{"signature not_checked", "time fail"}, 0},
		"an opaque token": {"opaque", "", []string{"introspection not_checked", "all_others not_checked"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := build(t, key, offline).Explain(direct(request(c.token)))
			if !e.Unverified || e.Outcome != 0 || e.Open != (c.want == "") || len(e.Forwarded) != c.fields {
				t.Errorf("%+v", e)
			}
			if c.want != "" && (e.Failure == nil || e.Failure.Reason != c.want) {
				t.Errorf("refused: %v, want %v", e.Failure, c.want)
			}
			for _, step := range c.sees {
				if !slices.Contains(results(e), step) {
					t.Errorf("steps %q, want %q", results(e), step)
				}
			}
		})
	}
}

// A gate that cannot ask its servers lets nothing through.
func TestCheckRefusesWhatIsOffline(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) { c.Issuers[0].Keys = offlineKeys{} })
	f := refused(t, g, request(key.Sign(t, says())), gate.KeysUnavailable)
	if !errors.Is(f, gate.ErrOffline) {
		t.Errorf("%v", explain(f))
	}
}

// Explain sends a server no token that Check would not send it.
func TestExplainAsksOnlyAboutGoodTokens(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		claims m
		forge  bool
		asked  bool
	}{
		"a good token":                 {m{}, false, true},
		"an expired token":             {m{"exp": start.Unix() - 60}, false, false},
		"a token with a bad signature": {m{}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			token := key.Sign(t, says(c.claims))
			as.says[token] = active()
			if c.forge {
				token = tokentest.FlipSignature(t, token)
				as.says[token] = active()
			}
			g := as.gate(gate.AskAlways, key)
			e := agrees(t, g, request(token))
			if asked := slices.Contains(results(e), "introspection pass"); asked != c.asked || (as.asked() > 0) != c.asked {
				t.Errorf("asked %d times, steps %q", as.asked(), results(e))
			}
		})
	}
}

// The payload is a part of the token, so it is described and not shown.
func TestExplainDoesNotShowThePayload(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	e := agrees(t, build(t, key, func(c *gate.Config) { c.ForwardPayload = "X-Claims" }), request(token))
	if len(e.Forwarded) != 1 || !strings.Contains(e.Forwarded[0].Value, "bytes in base64url") {
		t.Errorf("%+v", e.Forwarded)
	}
}

// Whatever a token is, Explain and Check agree about it, and no explanation has any of its signature.
func FuzzExplain(f *testing.F) {
	good := `{"iss":"` + issuerA + `","sub":"alice","aud":"` + api + `","exp":1795435500,"scope":"read"}`
	for _, header := range []string{
		`{"alg":"EdDSA","kid":"k1"}`, `{"alg":"EdDSA","typ":"at+jwt"}`, `{"alg":"none"}`, `{"alg":"HS256"}`,
		`{"alg":"EdDSA","typ":"dpop+jwt"}`, `{"alg":"EdDSA","kid":"\u001b[2J"}`, `{"alg":"EdDSA","enc":"x"}`,
	} {
		f.Add(header, good, "")
	}
	f.Add("", "", "opaque")
	f.Add("", "", b64(`{"alg":"dir","enc":"A256GCM"}`)+"..a.b.c")
	f.Add(`{"alg":"EdDSA"}`, strings.Replace(good, "{", `{"typ":"ID","cnf":{"jkt":"x"},`, 1), "")
	f.Add(`{"alg":"EdDSA"}`, strings.Replace(good, issuerA, issuerA+"/", 1), "")
	key := tokentest.NewKey(f, "EdDSA", "k1")
	gates := []*gate.Gate{
		build(f, key, both),
		build(f, key, func(c *gate.Config) {
			c.Issuers = append(c.Issuers, issuer(f, issuerB, key))
			c.Issuers[0].AccessTokenProfile, c.Issuers[0].Types = true, []string{"at+jwt"}
			c.Consumers, c.KeyClaim = []gate.Consumer{consumer(f, "shop", "k1", key)}, "kid"
			c.MaxLifetime = time.Hour
		}),
	}
	f.Fuzz(func(t *testing.T, header, payload, raw string) {
		token := raw
		if raw == "" {
			token = key.SignRaw(header, payload)
		}
		for _, g := range gates {
			e := agrees(t, g, request(token))
			if raw != "" {
				continue
			}
			signature := token[strings.LastIndexByte(token, '.')+1:]
			if text := fmt.Sprintf("%+v", *e); strings.Contains(text, signature) {
				t.Fatalf("the signature is in %s", text)
			}
		}
	})
}
