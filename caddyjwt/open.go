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

// opener makes gates of a configuration, and takes from the pool what they ask.
type opener struct {
	*compiled
	shared *process.State
}

// open makes the gate. It may be called again after the configuration has ended.
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
		// Tokens of other issuers still get their verdicts. A client that is made with this source is for nobody else.
		source, id, err = lostSource{err}, hashing.Fingerprint(struct{ Lost [32]byte }{id}), nil
	}
	if err != nil {
		return err
	}
	issuer.Keys, issuer.KeysID = source, id
	if plan.introspect == nil {
		return nil
	}
	issuer.Asking, err = o.openAsking(l, plan, source, id)
	return wrap("introspect", err)
}

// openSource opens the key source of an issuer, if it has one. The second result fingerprints its settings.
func (o opener) openSource(l *pool.Lease, plan *sourcePlan) (keyset.Source, [32]byte, error) {
	if !plan.kind.verifies() {
		return nil, [32]byte{}, nil
	}
	return plan.kind.open(o, l, plan)
}

func (p *sourcePlan) timing() keyset.Timing { return keyset.Timing{MaxStale: p.maxStale} }

// discovery says how to read the issuer's metadata.
func (o opener) discovery(p *sourcePlan) keyset.DiscoveryOptions {
	return keyset.DiscoveryOptions{
		Issuer: p.issuer, URL: p.metadata, Fetch: p.fetch, Timing: p.timing(), Logger: o.shared.Log.Keys,
	}
}

// metadataAddress is the address that the operator has given for the issuer's metadata.
func (p *sourcePlan) metadataAddress() string { return cmp.Or(p.metadata, p.issuer) }

// pooledSource finds or makes a key source that is shared and outlives this configuration.
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

// openAsking finds or makes the client that asks an issuer's authorization server.
func (o opener) openAsking(
	l *pool.Lease, plan *issuerPlan, keys keyset.Source, keysID [32]byte,
) (*gate.Asking, error) {
	config := plan.introspect.config
	if config.Endpoint == "" {
		metadata, err := o.metadataSource(l, plan, keys)
		if err != nil {
			return nil, err
		}
		config.Discover = authserver.Discover(metadata, config.Mode)
	}
	if config.Signed {
		config.VerifySigned = authserver.SignedAnswers{
			Keys: keys, Issuer: plan.issuer.Name, ClientID: config.ClientID,
			Algorithms: plan.issuer.Algorithms, Leeway: plan.issuer.Leeway,
		}.Verify
	}
	config.Identity = o.askerIdentity(plan, keysID)
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

// askerIdentity stands for what makes two clients differ beside their own settings. A client keeps what it was made
// with: its connections, its key source, where it discovers, and what signed answers must be.
func (o opener) askerIdentity(p *issuerPlan, keys [32]byte) string {
	sum := hashing.Fingerprint(struct {
		Connections fetch.Options
		Keys        [32]byte
		Discovery   keyset.DiscoveryOptions
		Leeway      time.Duration
		Algorithms  jose.Algorithms
	}{p.source.fetch, keys, o.discovery(&p.source), p.issuer.Leeway, p.issuer.Algorithms})
	return string(sum[:])
}

// metadataSource is where the endpoint is discovered: the key source, when it is of that kind, or one beside it. That
// one has no keys, so neither events nor metrics of the issuer's keys come from it.
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

// ask puts a request to the gate, and holds what the gate asks until the verdict.
func (h *Handler) ask(r *http.Request) (gate.Verdict, error) {
	held, err := h.leases.Hold()
	if err != nil {
		return gate.Verdict{}, fmt.Errorf("opening again what an ended configuration had: %w", err)
	}
	defer held.LetGo()
	return held.Value.Check(gate.Request{HTTP: r, Facts: facts{r}})
}

// lostSource stands for the keys of an ended configuration that cannot be opened again: their file has gone.
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

// unopened stands for a key source while a Caddyfile is checked: nothing is asked of it.
type unopened struct{}

func (unopened) Current() *keyset.Set { return nil }
func (unopened) Close() error         { return nil }
func (unopened) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, errors.New("the configuration is only being checked")
}
