package proofs_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Each row is a demand of the FAPI 2.0 Security Profile that a setting contradicts.
func TestFAPI2(t *testing.T) {
	const fapi = "PS256 ES256 EdDSA Ed25519"
	none := func(*gate.Config) {}
	for name, row := range map[string]struct {
		proof  *proofs.Config
		places []bearer.Place
		change func(*gate.Config)
		about  proofs.Issuer // the first
		field  string        // of the mistake; empty for none
	}{
		"nothing else":       {nil, nil, none, proofs.Issuer{}, ""},
		"DPoP alone":         {&proofs.Config{Accept: "dpop"}, nil, none, proofs.Issuer{}, ""},
		"certificates alone": {&proofs.Config{Accept: "mtls"}, nil, none, proofs.Issuer{}, ""},
		"an algorithm of the profile": {nil, nil,
			func(c *gate.Config) { c.Issuers[0].Algorithms = jose.MakeAlgorithms(jose.PS256) }, proofs.Issuer{}, ""},
		"another algorithm": {nil, nil,
			func(c *gate.Config) { c.Issuers[0].Algorithms = jose.MakeAlgorithms(jose.PS256, jose.RS256) }, proofs.Issuer{},
			"Issuers[0].Algorithms"},
		"a shared secret": {nil, nil,
			func(c *gate.Config) { c.Issuers[0].Algorithms = jose.HMACAlgorithms() }, proofs.Issuer{},
			"Issuers[0].Algorithms"},
		"another one for proofs": {&proofs.Config{Accept: "dpop", Algorithms: []string{"ES256", "RS256"}}, nil, none,
			proofs.Issuer{}, "Proof.Algorithms"},
		"the query": {nil, []bearer.Place{bearer.DefaultPlace, {Kind: bearer.Query, Name: "access_token"}}, none,
			proofs.Issuer{},
			"TokenFrom[1]"},
		"a cookie": {nil, []bearer.Place{{Kind: bearer.Cookie, Name: "t"}}, none, proofs.Issuer{},
			"TokenFrom[0]"},
		"another header": {nil, []bearer.Place{{Kind: bearer.Header, Name: "X-Token"}}, none, proofs.Issuer{},
			"TokenFrom[0]"},
		"all algorithms by name": {nil, nil, none, proofs.Issuer{NamesAlgorithms: true}, "Issuers[0].Algorithms"},
		"tokens that never end": {nil, nil, func(c *gate.Config) { c.Issuers[0].Tolerate = claims.MissingExp },
			proofs.Issuer{},
			"Issuers[0].Tolerate"},
		"without TLS": {nil, nil, none, proofs.Issuer{PlainHTTP: true}, "Issuers[0].AllowHTTP"},
		"a consumer": {nil, nil, func(c *gate.Config) {
			c.Consumers = []gate.Consumer{{Username: "a", Credentials: []gate.Credential{{Algorithm: jose.ES256}}}}
		}, proofs.Issuer{}, ""},
		"a consumer with a secret": {nil, nil, func(c *gate.Config) {
			c.Consumers = []gate.Consumer{{},
				{Credentials: []gate.Credential{{Algorithm: jose.ES256}, {Algorithm: jose.HS256}}}}
		}, proofs.Issuer{}, "Consumers[1].Credentials[1].Algorithm"},
		"a file of consumers": {nil, nil, func(c *gate.Config) { c.Roster = new(roster.Set) }, proofs.Issuer{},
			"ConsumersFrom"},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := row.proof.ForFAPI2().Compile()
			if err != nil {
				t.Fatal(err)
			}
			extractor, err := bearer.NewExtractor(bearer.Options{Places: row.places, DPoP: plan.TakesDPoP()})
			if err != nil {
				t.Fatal(err)
			}
			c := &gate.Config{Extractor: extractor, Proof: plan.Policy(), Issuers: []gate.Issuer{
				{Name: "a", Algorithms: jose.AsymmetricAlgorithms()}, {Name: "b"}, // nothing of b is verified here
			}}
			row.change(c)
			err = proofs.RestrictToFAPI2(c, []proofs.Issuer{row.about, {}})
			if row.field != "" {
				if err == nil || setting.Field(err) != row.field || !strings.Contains(err.Error(), "profile fapi2") {
					t.Errorf("field %q, error %v", setting.Field(err), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !c.RequireTLS || !c.Proof.Required || !strings.Contains(fapi, c.Issuers[0].Algorithms.String()) ||
				c.Proof.DPoP != nil && c.Proof.DPoP.Algorithms.String() != fapi {
				t.Errorf("%+v", c)
			}
		})
	}
}

// Where every token must be bound, an issuer whose tokens never are is a mistake.
func TestIssuersWhoseTokensAreNeverBound(t *testing.T) {
	for name, row := range map[string]struct {
		required, local, userInfo bool
		says                      string // empty for no mistake
	}{
		"others":                 {true, false, false, ""},
		"our own":                {true, true, false, "token_issuer gives out bearer tokens"},
		"our own, not required":  {false, true, false, ""},
		"UserInfo":               {true, false, true, "use verify introspection"},
		"UserInfo, not required": {false, false, true, ""},
	} {
		plan, err := (&proofs.Config{Accept: "any", Required: row.required}).Compile()
		if err != nil {
			t.Fatal(err)
		}
		c := &gate.Config{Proof: plan.Policy(), Issuers: []gate.Issuer{{Name: "a"}, {Name: "b", Local: row.local}}}
		err = proofs.CheckRequired(c, []proofs.Issuer{{}, {OnlyUserInfo: row.userInfo}})
		if (err == nil) != (row.says == "") || err != nil && (setting.Field(err) != "Issuers[1]" ||
			!strings.Contains(err.Error(), row.says)) {
			t.Errorf("%s: field %q, error %v", name, setting.Field(err), err)
		}
	}
	if err := proofs.CheckRequired(new(gate.Config), nil); err != nil {
		t.Error(err)
	}
}
