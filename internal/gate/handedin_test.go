package gate_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// handsIn makes a gate one for tokens that are handed in.
func handsIn(c *gate.Config) {
	c.HandedIn, c.Audience, c.Issuers[0].Audience = true, gate.Audience{}, gate.Audience{}
}

// goodFor says which audiences are good for tokens of issuerA.
func goodFor(audiences ...string) func(string) []string {
	return func(issuer string) []string {
		if issuer == issuerA {
			return audiences
		}
		return nil
	}
}

// A token that is handed in is judged like any other, by the audiences that go with it.
func TestTokensThatAreHandedIn(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, handsIn)
	r := direct(get("/oauth2/token", ""))
	id, err := g.Judge(r, key.Sign(t, says()), goodFor("https://x.example", api))
	if err != nil || id.Identity.Issuer != issuerA {
		t.Fatalf("%+v, %v", id, err)
	}
	for name, c := range map[string]struct {
		token    string
		accepted func(string) []string
		want     gate.Reason
	}{
		"another audience": {key.Sign(t, says()), goodFor("https://x.example"), gate.InvalidAudience},
		"no audience":      {key.Sign(t, says(m{"aud": nil})), goodFor(api), gate.InvalidAudience},
		"no issuer":        {key.Sign(t, says()), goodFor(), gate.InvalidIssuer},
		"expired":          {key.Sign(t, says(m{"exp": 1})), goodFor(api), gate.Expired},
		"bound": {key.Sign(t, says(m{"cnf": m{"jkt": strings.Repeat("x", 43)}})), goodFor(api),
			gate.ProofRequired},
		"an ID token":        {key.Sign(t, says(m{"typ": "ID"})), goodFor(api), gate.InvalidType},
		"forged":             {tokentest.FlipSignature(t, key.Sign(t, says())), goodFor(api), gate.InvalidSignature},
		"none":               {"", goodFor(api), gate.MalformedToken},
		"a long one":         {strings.Repeat("x", bearer.DefaultMaxToken+1), goodFor(api), gate.MalformedToken},
		"nobody says":        {key.Sign(t, says()), nil, gate.InternalError},
		"of somebody else's": {key.Sign(t, says(m{"iss": issuerB})), goodFor(api), gate.UnknownIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := g.Judge(r, c.token, c.accepted)
			if f := gate.FailureOf(err); id != nil || f == nil || f.Reason != c.want {
				t.Errorf("%+v, %v; want %s", id, err, c.want)
			}
		})
	}
}

// Such a gate lets no request pass, and no other gate judges what is handed in.
func TestOnlyAGateForItJudgesWhatIsHandedIn(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	refused(t, build(t, key, handsIn), request(token), gate.InvalidIssuer)
	if _, err := build(t, key).Judge(direct(request("")), token, goodFor(api)); gate.FailureOf(err).Reason !=
		gate.InternalError {
		t.Errorf("%v", err)
	}
	c := config(t, key)
	c.HandedIn, c.Audience = true, gate.Audience{Any: true}
	if _, err := gate.New(c); err == nil || !strings.Contains(err.Error(), "brings its audiences") {
		t.Errorf("%v", err)
	}
}

// The path of the request says nothing about a token of a session that is handed in. Its application must be there.
func TestSessionsThatAreHandedIn(t *testing.T) {
	key, known := tokentest.NewKey(t, "ES256", "k1"), &apps{has: "/api/"}
	g := build(t, key, local, withClients(known), handsIn)
	token := key.Sign(t, says(m{"app": "/api/", "sid": "s"}))
	if _, err := g.Judge(direct(get("/oauth2/token", "")), token, goodFor(api)); err != nil {
		t.Error(err)
	}
	known.has = "/other/"
	_, err := g.Judge(direct(get("/oauth2/token", "")), token, goodFor(api))
	if gate.FailureOf(err).Reason != gate.InvalidAudience {
		t.Errorf("%v", err)
	}
}
