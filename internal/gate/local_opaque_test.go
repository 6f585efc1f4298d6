package gate_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// opens opens tokens that have their claims in clear, for a Local issuer.
type opens struct {
	t       testing.TB
	asked   int
	reading *claims.Reading
	fails   error // what it says about every token; nil to open it
}

const sealedPrefix = "oat_abcdefgh_"

func (o *opens) Introspect(_ context.Context, token string, _ ...introspect.Option) (introspect.Result, error) {
	o.asked++
	text, is := strings.CutPrefix(token, sealedPrefix)
	if o.fails != nil {
		return introspect.Result{}, o.fails
	}
	payload, err := hex.DecodeString(text)
	if !is || err != nil {
		return introspect.Result{}, introspect.ErrToken
	}
	value, err := gate.DecodeOwn(issuerA, o.reading, payload)
	if err != nil {
		return introspect.Result{}, introspect.ErrToken
	}
	return introspect.Result{Active: true, Value: value}, nil
}

// seal makes a token that opens opens.
func (o *opens) seal(claims m) string {
	text, err := json.Marshal(claims)
	if err != nil {
		o.t.Fatal(err)
	}
	return sealedPrefix + hex.EncodeToString(text)
}

// opening makes the issuer one of this process that opens opaque tokens.
func (o *opens) opening(c *gate.Config) {
	local(c)
	c.Issuers[0].Asking = &gate.Asking{Mode: gate.AskOpaque, Prefix: sealedPrefix, Client: o}
}

// Every rule for tokens of this process holds for opaque ones.
func TestOpaqueTokensOfThisProcess(t *testing.T) {
	key, o, known, revoked := tokentest.NewKey(t, "ES256", "k1"), &opens{t: t}, &apps{client: "batch"}, newRevocations(t)
	g := build(t, key, o.opening, withClients(known), func(c *gate.Config) { c.Revocations = revoked.List() })
	at := m{"iat": start.Unix(), "jti": "1"}
	token := o.seal(ofClient(at))
	if v := accepted(t, g, get("/x", token)); v.ID != "batch" || v.Claims.ClientID != "batch" {
		t.Errorf("%+v", v)
	}
	for name, c := range map[string]struct {
		claims m
		want   gate.Reason
	}{
		"another audience": {m{"aud": "https://x.example"}, gate.InvalidAudience},
		"another client":   {m{"client_id": "other", "sub": "other"}, gate.InvalidAudience},
		"no application":   {m{"sub": "alice"}, gate.MissingClaim},
		"expired":          {m{"exp": 1}, gate.Expired},
		"bound":            {m{"cnf": m{"jkt": strings.Repeat("x", 43)}}, gate.ProofRequired},
		"another issuer":   {m{"iss": issuerB}, gate.InvalidIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, g, get("/x", o.seal(ofClient(at, c.claims))), c.want)
		})
	}
	refused(t, g, get("/x", sealedPrefix+"zz"), gate.MalformedToken)
	revoked.revoke(revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "1"})
	refused(t, g, get("/x", token), gate.Revoked)
	revoked.revoke(revoke.Target{Issuer: issuerA, Kind: revoke.Client, Value: "batch"})
	refused(t, g, get("/x", o.seal(ofClient(at, m{"jti": "2"}))), gate.Revoked)
}

// A token that does not open is refused as a JWT that does not verify. What strangers can cause is no trouble.
func TestOpaqueTokensOfThisProcessThatDoNotOpen(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		err     error
		want    gate.Reason
		status  int
		trouble bool
		step    gate.Result
	}{
		"not whole":         {introspect.ErrToken, gate.MalformedToken, 401, false, gate.Failed},
		"changed":           {jose.ErrSignature, gate.InvalidSignature, 401, false, gate.Failed},
		"of an unknown key": {keyset.ErrUnknownKey, gate.UnknownKey, 401, false, gate.Failed},
		"among too many":    {&keyset.UnavailableError{Err: keyset.ErrPending}, gate.KeyPending, 503, false, gate.Failed},
		"in a doubt": {&keyset.UnavailableError{RetryAfter: time.Second}, gate.KeysUnavailable, 503, true,
			gate.Failed},
		"nobody has the key": {gate.ErrOffline, gate.KeysUnavailable, 503, true, gate.NotChecked},
	} {
		t.Run(name, func(t *testing.T) {
			o := &opens{t: t, fails: c.err}
			g, token := build(t, key, o.opening), o.seal(ofClient())
			f := refused(t, g, get("/x", token), c.want)
			if f.Issuer != issuerA || f.Reason.IsTrouble() != c.trouble || g.Answer(f).Status != c.status {
				t.Errorf("%+v, %+v", f, g.Answer(f))
			}
			if unavailable, is := errors.AsType[*keyset.UnavailableError](c.err); is && f.RetryAfter != unavailable.RetryAfter {
				t.Errorf("it may come again after %v", f.RetryAfter)
			}
			steps := g.Explain(direct(get("/x", token))).Steps
			at := slices.IndexFunc(steps, func(s gate.Step) bool { return s.Rule == "signature" })
			if at < 0 || steps[at].Result != c.step {
				t.Errorf("%+v", steps)
			}
		})
	}
	o := &opens{t: t}
	e := build(t, key, o.opening).Explain(direct(get("/x", o.seal(ofClient()))))
	if e.Failure != nil || e.Unverified || !slices.ContainsFunc(e.Steps, func(s gate.Step) bool {
		return s.Rule == "signature" && s.Result == gate.Passed
	}) {
		t.Errorf("%+v", e)
	}
}

// Opening asks nobody: so no other token is asked about, and a route cannot refine how.
func TestOpeningIsNoIntrospection(t *testing.T) {
	key, o := tokentest.NewKey(t, "ES256", "k1"), &opens{t: t}
	g := build(t, key, o.opening)
	accepted(t, g, get("/x", key.Sign(t, ofClient())))
	for _, token := range []string{
		"opaque", key.Sign(t, ofClient(m{"iss": issuerB})), "a.b.c.d.e", "oat_other123_" + hex.EncodeToString([]byte("{}")),
	} {
		if _, err := g.Check(direct(get("/x", token))); err == nil {
			t.Errorf("%q passes", token)
		}
	}
	if o.asked != 0 {
		t.Errorf("it was asked %d times", o.asked)
	}
	for _, asking := range []gate.RouteAsking{{Mode: gate.RouteForce}, {Mode: gate.RouteSkip}} {
		c := config(t, key, o.opening)
		c.Asking = asking
		if _, err := gate.New(c); err == nil || !strings.Contains(err.Error(), "introspect") {
			t.Errorf("%+v: %v", asking, err)
		}
	}
}

// What is required of JWTs of the issuer, and what they say, is so for its opaque tokens.
func TestOpaqueTokensAreReadAsJWTsAre(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	roles, _ := claims.ParsePath("roles")
	tier, _ := claims.ParsePath("tier")
	for name, change := range map[string]func(*gate.Config){
		"a group by a claim": func(c *gate.Config) {
			c.Issuers[0].GroupClaims, c.Require.Groups = []claims.Path{roles}, []string{"admin"}
		},
		"its type":        func(c *gate.Config) { c.Issuers[0].Types = []string{"at+jwt"} },
		"another type":    func(c *gate.Config) { c.Issuers[0].Types = []string{"jwt"} },
		"the profile":     func(c *gate.Config) { c.Issuers[0].AccessTokenProfile = true },
		"required claims": func(c *gate.Config) { c.Issuers[0].RequiredClaims = []claims.Path{tier} },
	} {
		t.Run(name, func(t *testing.T) {
			o := &opens{t: t}
			g := build(t, key, o.opening, withClients(&apps{client: "batch"}), change, func(c *gate.Config) {
				o.reading = c.Issuers[0].Reading(0)
			})
			for _, set := range []m{
				{}, {"roles": []string{"admin"}}, {"groups": []string{"admin"}}, {"tier": "gold"}, {"iat": start.Unix(),
					"jti": "1"},
			} {
				_, ofJWT := g.Check(direct(get("/x", key.Sign(t, ofClient(set), m{"typ": "at+jwt"}))))
				_, ofOpaque := g.Check(direct(get("/x", o.seal(ofClient(set)))))
				if (ofJWT == nil) != (ofOpaque == nil) {
					t.Errorf("%v: JWT %v, opaque %v", set, ofJWT, ofOpaque)
				}
			}
		})
	}
}
