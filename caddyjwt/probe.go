package caddyjwt

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/protected"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/diagnose"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/introspect"
)

// Probe is what package diagnose needs to check the servers of gates: their issuers, opened as for a gate but sharing
// nothing with one. Make it with NewProbe, and close it.
type Probe struct {
	// Issuers are the issuers of all gates. Those with the same settings are there once.
	Issuers []diagnose.Issuer
	// Certificates are those of consumers' credentials.
	Certificates []diagnose.Certificate

	// UncheckedTenants is how many tenants with keys of their own are not among the Issuers.
	UncheckedTenants int

	known     map[[32]byte]int // place in Issuers, by what makes two of them the same
	resources protected.Registry
	ends      []func() error
}

// mostTenants is how many tenants of an issuer with "*" are checked when each has keys of its own: the first ones in
// the order of the alphabet.
const mostTenants = 10

// NewProbe compiles the handlers and opens what their issuers need. It does not touch the network. An error is the one
// that Caddy would report when it loads the configuration.
func NewProbe(handlers []*Handler) (*Probe, error) {
	p := &Probe{known: make(map[[32]byte]int)}
	for _, h := range handlers {
		if err := p.add(h); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// Close closes sources and clients.
func (p *Probe) Close() error {
	var errs []error
	for _, end := range p.ends {
		errs = append(errs, end())
	}
	p.ends = nil
	return errors.Join(errs...)
}

func (p *Probe) add(h *Handler) error {
	built, err := h.compile(words.NewSettings())
	if err != nil {
		return err
	}
	for i := range built.plans {
		if built.plans[i].Local() { // its keys are in the Caddy that runs
			continue
		}
		p.UncheckedTenants += built.plans[i].TenantsBehind(mostTenants)
		for _, plan := range built.plans[i].Split(mostTenants) {
			if err := p.open(built, &plan); err != nil {
				return fmt.Errorf("issuer %q: %w", plan.Issuer.Name, err)
			}
		}
	}
	built.stub()
	if err := h.readRoster(words.NewSettings(), built); err != nil {
		return err
	}
	if err := built.config.Validate(); err != nil {
		return err
	}
	if built.resource != nil {
		// The gates of one resource must agree, and so must those of one host about its authorization server.
		if err := cmp.Or(built.addTo(&p.resources, ""), h.addServerTo(&p.resources, built)); err != nil {
			return err
		}
	}
	p.addRoster(built.config.Roster)
	for i := range h.Consumers {
		for n := range h.Consumers[i].Credentials {
			if err := p.addCredential(&h.Consumers[i], &h.Consumers[i].Credentials[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxCertificates is how many certificates of a file are named.
const maxCertificates = 10

// addRoster adds the certificates of a file of consumers that expire first.
func (p *Probe) addRoster(r gate.Roster) {
	set, ok := r.(*roster.Set)
	if !ok {
		return
	}
	all := set.Certificates()
	for _, c := range all[:min(len(all), maxCertificates)] {
		p.Certificates = append(p.Certificates, diagnose.Certificate{
			What:     fmt.Sprintf("certificate of consumer %q, credential %q, in the file of consumers", c.Username, c.Key),
			NotAfter: c.NotAfter,
		})
	}
}

func (p *Probe) addCredential(consumer *consumers.Consumer, credential *consumers.Credential) error {
	compiled, err := credential.Compile(words.NewSettings(), time.Now())
	if err != nil || compiled.NotAfter.IsZero() {
		return err
	}
	username, err := consumer.ResolveUsername()
	if err != nil {
		return err
	}
	p.Certificates = append(p.Certificates, diagnose.Certificate{
		What:     fmt.Sprintf("certificate of consumer %q, credential %q", username, compiled.Key),
		NotAfter: compiled.NotAfter,
	})
	return nil
}

// open opens an issuer, unless the probe has it already. Each issuer has a pool of its own, so that no exchange counts
// for two of them.
func (p *Probe) open(built *compiled, plan *issuers.Plan) error {
	seen := new(diagnose.Exchanges)
	plan.Server.Fetch.Observe = seen.Add
	o := opener{built, issuers.Opener{Shared: process.New()}}
	o.Shared.Log.Keys = slog.New(slog.DiscardHandler) // the report has it all
	var id [32]byte
	leases, err := pool.Begin(o.Shared.Pool, func(l *pool.Lease) (issuer diagnose.Issuer, err error) {
		issuer, id, err = o.probe(l, plan)
		issuer.Exchanges = seen
		return issuer, err
	}, func(error) {})
	if err != nil {
		return err
	}
	if at, twice := p.known[id]; twice {
		p.Issuers[at].Gates++
		return leases.End()
	}
	p.known[id] = len(p.Issuers)
	p.Issuers = append(p.Issuers, leases.Ours().Value)
	p.ends = append(p.ends, leases.End)
	return nil
}

// probe opens one issuer. The second result is the same for issuers whose checks would have the same result.
func (o opener) probe(l *pool.Lease, plan *issuers.Plan) (diagnose.Issuer, [32]byte, error) {
	opened := plan.Issuer
	if err := o.Open(l, plan, &opened); err != nil {
		return diagnose.Issuer{}, [32]byte{}, err
	}
	issuer := diagnose.Issuer{
		Name: opened.Name, Gates: 1, KeysFrom: plan.KeysFrom(), KeySet: plan.Sources[0].URL,
		Algorithms: opened.Algorithms, Leeway: opened.Leeway, Keys: opened.Keys, PlainHTTP: plan.PlainHTTPWarning(),
		Files: append(diagnose.Certificates("client_cert", plan.Server.Fetch.ClientCert),
			diagnose.Certificates("a certificate in \"ca\"", plan.Server.Fetch.CA)...),
	}
	identity := struct {
		Name         string
		Keys, Client [32]byte
		Algorithms   jose.Algorithms
		Leeway       time.Duration
	}{Name: opened.Name, Keys: opened.KeysID, Algorithms: opened.Algorithms, Leeway: opened.Leeway}
	if plan.KeysFrom() == "discovery" || plan.Asking != nil && plan.Asking.Client.Endpoint == "" {
		metadata, err := o.MetadataSource(l, plan, opened.Keys)
		if err != nil {
			return diagnose.Issuer{}, [32]byte{}, err
		}
		issuer.Metadata = metadata
	}
	if client, asks := askingClient(opened.Asking); asks {
		identity.Client = client.Fingerprint()
		issuer.Asking = &diagnose.Asking{
			Client: client, Endpoint: plan.Asking.Client.Endpoint, Prefix: opened.Asking.Prefix,
			UserInfo: plan.Asking.Client.Mode == introspect.UserInfo, Signed: plan.Asking.Client.Signed,
		}
	}
	return issuer, hashing.Fingerprint(identity), nil
}

func askingClient(asking *gate.Asking) (*introspect.Client, bool) {
	if asking == nil {
		return nil, false
	}
	client, is := asking.Client.(*introspect.Client)
	return client, is
}
