package caddyjwt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// opener makes the gate of a configuration, and takes the key sources, clients and cache for it from the pool.
type opener struct {
	*compiled
	shared *process.State
}

// open makes the gate. It may be called again after the configuration has ended: see pool.Leases.
func (o opener) open(l *pool.Lease) (*gate.Gate, error) {
	config := o.config
	config.Issuers = slices.Clone(config.Issuers)
	for i := range o.plans {
		if err := o.openIssuer(l, &o.plans[i], &config.Issuers[i]); err != nil {
			return nil, fmt.Errorf("issuer %q: %w", config.Issuers[i].Name, err)
		}
	}
	if o.cache != 0 {
		var err error
		if config.Cache, err = l.Cache(o.cache); err != nil {
			return nil, err
		}
	}
	return gate.New(config)
}

func (o opener) openIssuer(l *pool.Lease, plan *issuerPlan, issuer *gate.Issuer) error {
	source, id, err := o.openSource(l, &plan.source)
	if err != nil && l.Late() {
		// Tokens of other issuers must still get their verdicts. The id keeps others from sharing a client with this source.
		source, id, err = lostSource{err}, hashing.Fingerprint(struct{ Lost [32]byte }{id}), nil
	}
	if err != nil {
		return err
	}
	issuer.Keys, issuer.KeysID = source, id
	if o.prefetches(plan) {
		l.Prefetch(source)
	}
	if plan.introspect == nil {
		return nil
	}
	issuer.Asking, err = o.openAsking(l, plan, source, id)
	return wrap("introspect", err)
}

func (o opener) prefetches(plan *issuerPlan) bool { return o.prefetchAll || plan.prefetch }

// openSource opens the key source of an issuer, if it has one. The second result fingerprints its settings.
func (o opener) openSource(l *pool.Lease, plan *sourcePlan) (keyset.Source, [32]byte, error) {
	if !plan.kind.verifies() {
		return nil, [32]byte{}, nil
	}
	return plan.kind.open(o, l, plan)
}

func (p *sourcePlan) timing() keyset.Timing { return keyset.Timing{MaxStale: p.maxStale} }

// discovery is the options for reading the issuer's metadata.
func (o opener) discovery(p *sourcePlan) keyset.DiscoveryOptions {
	return keyset.DiscoveryOptions{
		Issuer: p.issuer, URL: p.metadata, Fetch: p.fetch, Timing: p.timing(), Logger: o.shared.Log.Keys,
	}
}

// metadataAddress has the origin of the issuer's metadata: it is their configured address, or else the issuer, from
// which the address is derived.
func (p *sourcePlan) metadataAddress() string { return cmp.Or(p.metadata, p.issuer) }

// pooledSource takes a key source from the pool, where it is shared and may outlive this configuration, or opens it.
func pooledSource(
	l *pool.Lease, plan *sourcePlan, settings [32]byte, open func() (keyset.Source, error),
) (keyset.Source, [32]byte, error) {
	id := hashing.Fingerprint(struct {
		Kind, Path string
		Settings   [32]byte
	}{plan.kind.name, plan.path, settings})
	source, err := l.Source(plan.issuer, plan.kind.name, id, open)
	return source, id, err
}

// openAsking takes the client that asks an issuer's authorization server from the pool, or makes it.
func (o opener) openAsking(
	l *pool.Lease, plan *issuerPlan, keys keyset.Source, keysID [32]byte,
) (*gate.Asking, error) {
	config := plan.introspect.config
	if config.Endpoint == "" {
		metadata, err := o.metadataSource(l, plan, keys)
		if err != nil {
			return nil, err
		}
		if o.prefetches(plan) {
			l.Prefetch(metadata)
		}
		config.Discover = authserver.Discover(metadata, config.Mode)
	}
	settings := o.askerSettings(plan, keys, keysID)
	if config.Signed {
		config.VerifySigned = settings.signed.Verify
	}
	config.Identity = settings.id()
	client, err := l.Client(plan.issuer.Name, config.Fingerprint(), func() (*introspect.Client, io.Closer, error) {
		transport, err := fetch.NewClient(plan.source.fetch)
		if err != nil {
			return nil, nil, err
		}
		config.HTTPClient = plan.questioner(transport)
		config.Observer = o.shared.Metrics.Observer(plan.issuer.Name)
		client, err := introspect.New(config)
		if err != nil {
			return nil, nil, errors.Join(err, transport.Close())
		}
		return client, transport, nil
	})
	if err != nil {
		return nil, err
	}
	return &gate.Asking{
		Mode: plan.introspect.mode, Prefix: plan.introspect.prefix, Client: client,
	}, nil
}

// askerSettings are what a client was made with beside its own settings, and keeps. Clients that differ in these must
// not be shared.
type askerSettings struct {
	connections fetch.Options
	keys        [32]byte // the fingerprint of the key source
	discovery   keyset.DiscoveryOptions
	signed      authserver.SignedAnswers
}

func (o opener) askerSettings(plan *issuerPlan, keys keyset.Source, keysID [32]byte) askerSettings {
	return askerSettings{
		connections: plan.source.fetch, keys: keysID, discovery: o.discovery(&plan.source),
		signed: authserver.SignedAnswers{
			Keys: keys, Issuer: plan.issuer.Name, ClientID: plan.introspect.config.ClientID,
			Algorithms: plan.issuer.Algorithms, Leeway: plan.issuer.Leeway,
		},
	}
}

// id is the fingerprint of the settings, which a client's own settings contain.
func (s askerSettings) id() string {
	sum := hashing.Fingerprint(s)
	return string(sum[:])
}

// metadataSource is where the endpoint is discovered: the key source if it reads metadata, or else a source of its own.
// That one has no keys, so it causes no events and no metrics about the issuer's keys.
func (o opener) metadataSource(l *pool.Lease, plan *issuerPlan, keys keyset.Source) (*keyset.Discovery, error) {
	if discovery, ok := keys.(*keyset.Discovery); ok {
		return discovery, nil
	}
	options := o.discovery(&plan.source)
	options.MetadataOnly = true
	source, err := l.Source("", "metadata", options.Fingerprint(), func() (keyset.Source, error) {
		return keyset.NewDiscovery(options)
	})
	if err != nil {
		return nil, fmt.Errorf("discovering the endpoint: %w", err)
	}
	return source.(*keyset.Discovery), nil
}

// ask has the gate check a request. Until the verdict it holds the lease, so that key sources and clients stay open.
func (h *Handler) ask(r *http.Request) (gate.Verdict, error) {
	held, err := h.leases.Hold()
	if err != nil {
		return gate.Verdict{}, fmt.Errorf("opening again what an ended configuration had: %w", err)
	}
	defer held.LetGo()
	return held.Value.Check(gate.Request{HTTP: r, Facts: facts{r}})
}

// lostSource stands in for keys of an ended configuration that cannot be opened again, for example because their file
// is gone.
type lostSource struct{ err error }

func (lostSource) Current() *keyset.Set { return nil }
func (lostSource) Close() error         { return nil }
func (s lostSource) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, &keyset.UnavailableError{RetryAfter: time.Second, Err: s.err}
}

// fingerprintKeys identifies keys that are in the configuration.
func fingerprintKeys(keys []*jose.Key) [32]byte {
	type identity struct {
		Thumbprint [32]byte
		Algorithms jose.Algorithms
	}
	var identities []identity
	for _, key := range keys {
		identities = append(identities, identity{key.Thumbprint(), key.Algorithms()})
	}
	return hashing.Fingerprint(struct{ Keys []identity }{identities})
}

// unopened stands in for a key source while a configuration is only checked.
type unopened struct{}

func (unopened) Current() *keyset.Set { return nil }
func (unopened) Close() error         { return nil }
func (unopened) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, errors.New("the configuration is only being checked")
}
