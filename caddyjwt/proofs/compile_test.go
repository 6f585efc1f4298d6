package proofs_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/resource"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/store"
)

func TestCompile(t *testing.T) {
	usual := possession.DPoP{Algorithms: possession.Algorithms(), MaxAge: time.Minute}
	for name, row := range map[string]struct {
		config *proofs.Config
		want   *possession.Policy
		shared bool
	}{
		"nothing": {nil, nil, false},
		"dpop":    {&proofs.Config{Accept: "dpop"}, &possession.Policy{DPoP: &usual}, false},
		"mtls": {&proofs.Config{Accept: "mtls", Required: true},
			&possession.Policy{Certificates: possession.FromConnection(), Required: true}, false},
		"any": {&proofs.Config{
			Accept: "any", Replay: "shared", Algorithms: []string{"ES256", "EdDSA"}, Nonce: caddy.Duration(time.Hour),
			MaxAge: caddy.Duration(10 * time.Second),
		}, &possession.Policy{Certificates: possession.FromConnection(), DPoP: &possession.DPoP{
			Algorithms: jose.MakeAlgorithms(jose.ES256, jose.EdDSA), MaxAge: 10 * time.Second, NonceLifetime: time.Hour,
		}}, true},
	} {
		plan, err := row.config.Compile()
		if err != nil || !reflect.DeepEqual(plan.Policy(), row.want) || plan.Shared() != row.shared ||
			plan.TakesDPoP() != (row.want != nil && row.want.DPoP != nil) {
			t.Errorf("%s: %+v, %v", name, plan.Policy(), err)
		}
	}
}

func TestMistakes(t *testing.T) {
	for field, row := range map[string]struct {
		config proofs.Config
		says   string
	}{
		"Accept": {proofs.Config{Accept: "DPoP"}, "expected dpop, mtls or any"},
		"Replay": {proofs.Config{Accept: "dpop", Replay: "redis"}, "expected local or shared"},
		"Algorithms[1]": {proofs.Config{Accept: "any", Algorithms: []string{"ES256", "HS256"}},
			`"HS256": expected some of RS256`},
		"Algorithms": {proofs.Config{Accept: "any", Algorithms: []string{}}, "empty list"},
		"MaxAge":     {proofs.Config{Accept: "dpop", MaxAge: caddy.Duration(time.Hour)}, "from 1s to 5m0s"},
		"Nonce":      {proofs.Config{Accept: "mtls", Nonce: 1}, "nonce is about DPoP proofs"},
	} {
		_, err := row.config.Compile()
		if err == nil || setting.Field(err) != field || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: field %q, error %v", field, setting.Field(err), err)
		}
	}
	short := proofs.Config{Accept: "dpop", Nonce: caddy.Duration(time.Second)}
	if _, err := short.Compile(); err == nil || setting.Field(err) != "Nonce" {
		t.Error("a short lifetime of nonces:", err)
	}
}

func TestCertificateHeader(t *testing.T) {
	for name, row := range map[string]struct {
		accept string
		header *proofs.CertificateHeader
		field  string
		says   string
	}{
		"none":         {"dpop", nil, "", ""},
		"good":         {"any", &proofs.CertificateHeader{Name: "client-cert", Form: "rfc9440"}, "", ""},
		"without mtls": {"dpop", &proofs.CertificateHeader{Name: "Client-Cert", Form: "pem"}, "", "has no effect"},
		"no name":      {"mtls", &proofs.CertificateHeader{Form: "pem"}, "Name", "not the name of a header"},
		"no header": {"mtls", &proofs.CertificateHeader{Name: "Client Cert", Form: "pem"}, "Name",
			"not the name of a header"},
		"another header": {"mtls", &proofs.CertificateHeader{Name: "Host", Form: "pem"}, "Name",
			"cannot hold a certificate"},
		"a placeholder": {"mtls", &proofs.CertificateHeader{Name: "{env.X}", Form: "pem"}, "Name", "placeholder"},
		"a form": {"mtls", &proofs.CertificateHeader{Name: "Client-Cert", Form: "xfcc"}, "Form",
			"expected rfc9440, pem or url_pem"},
	} {
		plan, err := (&proofs.Config{Accept: row.accept}).Compile()
		if err != nil {
			t.Fatal(err)
		}
		err = row.header.Behind(plan)
		if (err == nil) != (row.says == "") || err != nil && (!strings.Contains(err.Error(), row.says) ||
			setting.Field(err) != row.field) {
			t.Errorf("%s: field %q, error %v", name, setting.Field(err), err)
		}
		if name == "good" && plan.Policy().Certificates.Header != "Client-Cert" {
			t.Errorf("%+v", plan.Policy().Certificates)
		}
	}
}

func TestMetadataSayWhatIsTaken(t *testing.T) {
	all := strings.Fields(possession.Algorithms().String())
	for name, row := range map[string]struct {
		config *proofs.Config
		want   resource.Binding
	}{
		"nothing":       {nil, resource.Binding{}},
		"dpop":          {&proofs.Config{Accept: "dpop"}, resource.Binding{DPoP: all}},
		"dpop required": {&proofs.Config{Accept: "dpop", Required: true}, resource.Binding{DPoP: all, DPoPRequired: true}},
		"mtls":          {&proofs.Config{Accept: "mtls", Required: true}, resource.Binding{Certificates: true}},
		"any required":  {&proofs.Config{Accept: "any", Required: true}, resource.Binding{DPoP: all, Certificates: true}},
		"one algorithm": {&proofs.Config{Accept: "dpop", Algorithms: []string{"ES256"}},
			resource.Binding{DPoP: []string{"ES256"}}},
		"for the profile": {new(proofs.Config).ForFAPI2(), resource.Binding{
			DPoP: []string{"PS256", "ES256", "EdDSA", "Ed25519"}, Certificates: true}},
	} {
		if row.config != nil && row.config.Accept == "" {
			row.config.Accept = "any"
		}
		plan, err := row.config.Compile()
		if err != nil {
			t.Fatal(name, err)
		}
		if got := plan.Binding(); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// lender lends a store, or fails.
type lender struct {
	in    store.Store
	fails error
}

func (l lender) HasStore() bool   { return l.in != nil || l.fails != nil }
func (l lender) KeepsStore() bool { return l.in != nil }
func (l lender) Lend(context.Context) (store.Store, func(), error) {
	return l.in, func() {}, l.fails
}

// Tools use up nothing, and know no nonce. Those that explain want one all the same.
func TestForTools(t *testing.T) {
	c := proofs.Config{Accept: "dpop", Nonce: caddy.Duration(time.Minute)}
	plan, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(*proofs.State, *proofs.Plan) (*possession.Policy, error){
		"mint": (*proofs.State).ForTools, "explain": (*proofs.State).ForExplaining,
	} {
		p, err := open(proofs.NewState(), plan)
		if err != nil || p.DPoP.Verifier == nil || p.DPoP.Replays != nil || p.DPoP.Nonces != nil ||
			p.DPoP.AnyNonce != (name == "explain") || plan.Policy().DPoP.AnyNonce {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if p, err := open(proofs.NewState(), nil); p != nil || err != nil {
			t.Errorf("%s, nothing: %+v, %v", name, p, err)
		}
	}
}

func TestOpen(t *testing.T) {
	plan := func(c proofs.Config) *proofs.Plan {
		t.Helper()
		p, err := c.Compile()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	nonces := proofs.Config{Accept: "dpop", Nonce: caddy.Duration(time.Minute)}
	shared := proofs.Config{Accept: "dpop", Replay: "shared"}
	if _, err := new(proofs.Common).Open(plan(shared), proofs.NewState(), lender{}); !errors.Is(err, proofs.ErrNoStore) {
		t.Error("shared without a store:", err)
	}
	if p, err := new(proofs.Common).Open(nil, proofs.NewState(), lender{}); p != nil || err != nil {
		t.Error("nothing:", p, err)
	}
	mtls := plan(proofs.Config{Accept: "mtls"})
	if p, err := new(proofs.Common).Open(mtls, proofs.NewState(), lender{}); p != mtls.Policy() || err != nil {
		t.Error("mtls:", p, err)
	}
	// Two gates of a process have one memory, and two nodes of a store one secret. Without a store, a process has one.
	one, two, kept := proofs.NewState(), proofs.NewState(), store.NewMemory()
	open := func(s *proofs.State, c proofs.Config, from lender) *possession.DPoP {
		t.Helper()
		p, err := new(proofs.Common).Open(plan(c), s, from)
		if err != nil || p.Validate() != nil {
			t.Fatal(err, p.Validate())
		}
		return p.DPoP
	}
	issue := func(d *possession.DPoP) string {
		t.Helper()
		text, err := d.Nonces.Issue(t.Context(), time.Unix(1_800_000_000, 0), d.NonceLifetime)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	a, b, c := open(one, nonces, lender{}), open(one, nonces, lender{in: kept}), open(two, nonces, lender{in: kept})
	if a.Replays != b.Replays || a.Replays == c.Replays || a.Window == nil || a.Window != b.Window {
		t.Error("the memories of proofs are not those of the processes")
	}
	if issue(b) != issue(c) || issue(a) == issue(b) {
		t.Error("the nonces are not those of the stores")
	}
	if d := open(one, shared, lender{in: kept}); d.Nonces != nil || d.Window != nil {
		t.Errorf("%+v", d)
	} else if _, ok := d.Replays.(*replay.Shared); !ok {
		t.Errorf("%T", d.Replays)
	}
	failing := open(one, nonces, lender{fails: errors.New("away")})
	if _, err := failing.Nonces.Issue(t.Context(), time.Unix(1_800_000_000, 0), time.Minute); err == nil {
		t.Error("a nonce without the store's secret")
	}
}
