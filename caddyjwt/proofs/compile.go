package proofs

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/resource"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Values of Config.Accept and Config.Replay.
const (
	acceptDPoP        = "dpop"
	acceptCertificate = "mtls"
	acceptAny         = "any"

	replayLocal  = "local"
	replayShared = "shared"
)

// Plan is a configuration whose settings have been checked. Open makes what judges proofs of it.
type Plan struct {
	policy *possession.Policy
	shared bool
	nonces bool
}

// Policy judges proofs as far as that needs nothing which must be opened: it does not look for proofs that were used,
// nor at nonces.
func (p *Plan) Policy() *possession.Policy {
	if p == nil {
		return nil
	}
	return p.policy
}

// TakesDPoP reports whether clients may send DPoP proofs.
func (p *Plan) TakesDPoP() bool { return p != nil && p.policy.DPoP != nil }

// Shared reports whether the proofs that were used are in the store of the configuration.
func (p *Plan) Shared() bool { return p != nil && p.shared }

// Compile checks the settings, of which both may be nil. An error names a field of Config.
func (c *Config) Compile() (*Plan, error) {
	if c == nil {
		return nil, nil
	}
	plan := &Plan{policy: &possession.Policy{Required: c.Required}}
	switch c.Accept {
	case acceptDPoP, acceptAny:
		dpop, err := c.compileDPoP()
		if err != nil {
			return nil, err
		}
		plan.policy.DPoP, plan.shared, plan.nonces = dpop, c.Replay == replayShared, c.Nonce != 0
	case acceptCertificate:
		if err := c.onlyForDPoP(); err != nil {
			return nil, err
		}
	default:
		return nil, setting.Errorf("Accept", "proof %q: expected %s", c.Accept,
			words.Alternatives([]string{acceptDPoP, acceptCertificate, acceptAny}))
	}
	if c.Accept != acceptDPoP {
		plan.policy.Certificates = possession.FromConnection()
	}
	return plan, nil
}

// onlyForDPoP refuses settings that would have no effect.
func (c *Config) onlyForDPoP() error {
	for _, s := range []struct {
		field, word string
		set         bool
	}{
		{"Replay", "replay", c.Replay != ""}, {"Algorithms", "algorithms", c.Algorithms != nil},
		{"Nonce", "nonce", c.Nonce != 0}, {"MaxAge", "max_age", c.MaxAge != 0},
	} {
		if s.set {
			return setting.Errorf(s.field, "proof mtls: %s is about DPoP proofs, and has no effect here: remove it, or write "+
				"\"proof any\"", s.word)
		}
	}
	return nil
}

func (c *Config) compileDPoP() (*possession.DPoP, error) {
	if c.Replay != "" && c.Replay != replayLocal && c.Replay != replayShared {
		return nil, setting.Errorf("Replay", "proof replay %q: expected local or shared", c.Replay)
	}
	algorithms, err := c.compileAlgorithms()
	if err != nil {
		return nil, setting.In("Algorithms", err)
	}
	dpop := &possession.DPoP{
		Algorithms: algorithms, MaxAge: cmp.Or(time.Duration(c.MaxAge), possession.DefaultMaxAge),
		NonceLifetime: time.Duration(c.Nonce),
	}
	if err := (&possession.Policy{DPoP: dpop}).Validate(); err != nil {
		return nil, &setting.Error{Field: ofConfig(setting.Field(err)), Err: err}
	}
	return dpop, nil
}

// ofConfig is a field of possession.Policy as a field of Config.
func ofConfig(field string) string {
	return map[string]string{
		"DPoP.Algorithms": "Algorithms", "DPoP.MaxAge": "MaxAge", "DPoP.NonceLifetime": "Nonce",
	}[field]
}

func (c *Config) compileAlgorithms() (jose.Algorithms, error) {
	if c.Algorithms == nil {
		return possession.Algorithms(), nil
	}
	if err := words.NotEmpty("proof algorithms", c.Algorithms); err != nil {
		return 0, err
	}
	var set jose.Algorithms
	for i, name := range c.Algorithms {
		algorithm, known := jose.ParseAlgorithm(name)
		if !known || !possession.Algorithms().Has(algorithm) {
			return 0, setting.Errorf(setting.Element("", i), "proof algorithms %q: expected some of %v", name,
				possession.Algorithms())
		}
		set = set.With(algorithm)
	}
	return set, nil
}

// Behind adds the header of a trusted proxy to the plan. An error names a field of CertificateHeader.
func (h *CertificateHeader) Behind(p *Plan) error {
	if h == nil {
		return nil
	}
	if p == nil || p.policy.Certificates == nil {
		return errors.New("client_cert_header has no effect without \"proof mtls\" or \"proof any\": add one of them")
	}
	if err := words.Literal("client_cert_header", h.Name); err != nil {
		return setting.In("Name", err)
	}
	if !httpguts.ValidHeaderFieldName(h.Name) {
		return setting.Errorf("Name", "client_cert_header %q is not the name of a header", h.Name)
	}
	if len(h.Name) > possession.LongestHeader {
		return setting.Errorf("Name", "client_cert_header has at most %d characters", possession.LongestHeader)
	}
	if why := bearer.UnfitHeader(h.Name); why != "" {
		return setting.Errorf("Name", "client_cert_header %s cannot hold a certificate: %s", h.Name, why)
	}
	form, known := clientcert.ParseForm(h.Form)
	if !known {
		return setting.Errorf("Form", "client_cert_header %s %q: expected %s", h.Name, h.Form,
			words.Alternatives(clientcert.Forms()))
	}
	p.policy.Certificates = possession.FromHeader(h.Name, form)
	return nil
}

// Binding is what the metadata of a resource say about it.
func (p *Plan) Binding() (b resource.Binding) {
	if p == nil {
		return b
	}
	b.Certificates = p.policy.Certificates != nil
	if p.policy.DPoP != nil {
		b.DPoP, b.DPoPRequired = strings.Fields(p.policy.DPoP.Algorithms.String()), p.policy.OnlyDPoP()
	}
	return b
}

// At says how clients address what the gate guards, if the configuration does: then that counts for DPoP proofs,
// whatever the request says.
func (p *Plan) At(id resource.Identifier) {
	if p.TakesDPoP() {
		p.policy.DPoP.Scheme, p.policy.DPoP.Host, _ = strings.Cut(id.Origin(), "://")
	}
}
