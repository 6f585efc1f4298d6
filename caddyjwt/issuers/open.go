package issuers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/decryption"
	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// Opener takes the key sources and clients of issuers from the pool, or opens them.
type Opener struct {
	Shared *process.State
	// PrefetchAll has everything fetched before the first request, whatever the issuers say.
	PrefetchAll bool
	// Local has the token issuers of the configuration. Nil for tools: then nobody knows their keys.
	Local *localissuer.Registry
}

// Open gives an issuer the keys and the client that its plan describes.
func (o Opener) Open(l *pool.Lease, plan *Plan, issuer *gate.Issuer) error {
	keys, id, err := o.OpenKeys(l, plan)
	if err != nil {
		return err
	}
	issuer.Keys, issuer.KeysID = keys, id
	if err := o.openTenants(l, &plan.Server, issuer); err != nil {
		return err
	}
	if plan.Decryption != nil {
		issuer.Decrypt = plan.Decryption.Open(o.Shared.Log.Keys.With("issuer", plan.Issuer.Name))
	}
	if plan.Local() {
		issuer.Asking = plan.AskingOf(plan.openerOf(keys))
	}
	if plan.Asking == nil {
		return nil
	}
	issuer.Asking, err = o.openAsking(l, plan, keys, id)
	return setting.Wrap("introspect", err)
}

// OpenKeys takes the sources of an issuer's keys from the pool, or opens them. The second result fingerprints their
// settings.
func (o Opener) OpenKeys(l *pool.Lease, plan *Plan) (keyset.Source, [32]byte, error) {
	return plan.JoinKeys(func(source *Source) (keyset.Source, [32]byte, error) {
		keys, id, err := o.OpenSource(l, plan, source)
		if err != nil && l.Late() {
			// Tokens of other sources must still get their verdicts. The id keeps others from sharing a client with this one.
			return lostSource{err}, hashing.Fingerprint(struct{ Lost [32]byte }{id}), nil
		}
		if err == nil && o.Prefetches(plan) {
			l.Prefetch(keys)
		}
		return keys, id, err
	})
}

// Prefetches reports whether the issuer's keys and metadata are fetched before the first request.
func (o Opener) Prefetches(plan *Plan) bool { return o.PrefetchAll || plan.Prefetch }

// OpenSource opens one source of an issuer's keys. The second result fingerprints its settings.
func (o Opener) OpenSource(l *pool.Lease, plan *Plan, source *Source) (keyset.Source, [32]byte, error) {
	return source.kind.open(o, l, &plan.Server, source)
}

// JoinKeys opens the sources of an issuer, and makes one of them. The second result fingerprints their settings. The
// source is nil for an issuer without keys.
func (p *Plan) JoinKeys(
	open func(*Source) (keyset.Source, [32]byte, error),
) (keys keyset.Source, id [32]byte, err error) {
	if !p.Verifies() {
		return nil, id, nil
	}
	if len(p.Sources) == 1 {
		return open(&p.Sources[0])
	}
	parts, ids := make([]keyset.Part, len(p.Sources)), make([][32]byte, len(p.Sources))
	for i := range p.Sources {
		source := &p.Sources[i]
		parts[i].Algorithms = source.algorithms
		if parts[i].Source, ids[i], err = open(source); err != nil {
			return nil, id, err
		}
	}
	keys, err = keyset.NewJoint(parts...)
	return keys, hashing.Fingerprint(struct{ Parts [][32]byte }{ids}), err
}

func (p *Server) timing() keyset.Timing { return keyset.Timing{MaxStale: p.MaxStale} }

// discovery is the options for reading the issuer's metadata.
func (o Opener) discovery(p *Server) keyset.DiscoveryOptions {
	return keyset.DiscoveryOptions{
		Issuer: p.issuerInMetadata(), URL: p.Metadata, Fetch: p.FetchOptions(o.Shared.Log.Keys), Timing: p.timing(),
		Logger: o.Shared.Log.Keys, Kept: o.Shared.LastGood,
	}
}

// metadataAddress has the origin of the issuer's metadata: it is their configured address, or else the issuer, from
// which the address is derived.
func (p *Server) metadataAddress() string { return cmp.Or(p.Metadata, p.Issuer) }

// pooledSource takes a key source from the pool, where it is shared and may outlive this configuration, or opens it.
func pooledSource(
	l *pool.Lease, server *Server, plan *Source, settings [32]byte, open func() (keyset.Source, error),
) (keyset.Source, [32]byte, error) {
	id := hashing.Fingerprint(struct {
		Kind, Path string
		Settings   [32]byte
	}{plan.kind.name, plan.path, settings})
	source, err := l.Source(server.Issuer, plan.kind.name, id, open)
	return source, id, err
}

// openAsking takes the client that asks an issuer's authorization server from the pool, or makes it.
func (o Opener) openAsking(
	l *pool.Lease, plan *Plan, keys keyset.Source, keysID [32]byte,
) (*gate.Asking, error) {
	config := plan.Asking.Client
	if config.Endpoint == "" {
		metadata, err := o.MetadataSource(l, plan, keys)
		if err != nil {
			return nil, err
		}
		if o.Prefetches(plan) {
			l.Prefetch(metadata)
		}
		config.Discover = authserver.Discover(metadata, config.Mode)
	}
	settings := o.askerSettings(plan, keys, keysID)
	if config.Signed {
		config.VerifySigned = plan.Decryption.Answers(o.Shared.AnswerTurns, authserver.AnswerType,
			o.Shared.Log.Keys.With("issuer", plan.Issuer.Name), settings.signed.Verify)
	}
	config.Identity = settings.id()
	config.Renew = plan.Asking.renewer(o.Shared.Log.Keys.With("issuer", plan.Issuer.Name))
	client, err := l.Client(plan.Issuer.Name, config.Fingerprint(), func() (*introspect.Client, io.Closer, error) {
		transport, err := fetch.NewClient(plan.Server.Fetch)
		if err != nil {
			return nil, nil, err
		}
		config.HTTPClient = plan.questioner(transport)
		config.Observer = o.Shared.Metrics.Observer(plan.Issuer.Name)
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
		Mode: plan.Asking.Mode, Prefix: plan.Asking.Prefix, Client: client,
	}, nil
}

// askerSettings are what a client was made with beside its own settings, and keeps. Clients that differ in these must
// not be shared.
type askerSettings struct {
	connections fetch.Options
	keys        [32]byte // the fingerprint of the key source
	discovery   keyset.DiscoveryOptions
	signed      authserver.SignedAnswers
	reading     *claims.Reading // by which it decodes answers
	credential  credential
	decryption  *decryption.Plan // of answers
}

func (o Opener) askerSettings(plan *Plan, keys keyset.Source, keysID [32]byte) askerSettings {
	return askerSettings{
		connections: plan.Server.Fetch, keys: keysID, discovery: o.discovery(&plan.Server),
		reading: plan.Issuer.Reading(0), credential: plan.Asking.credential,
		decryption: plan.Decryption,
		signed: authserver.SignedAnswers{
			Keys: keys, Issuer: plan.Issuer.Name, ClientID: plan.Asking.Client.ClientID,
			Algorithms: plan.Issuer.Algorithms, Leeway: plan.Issuer.Leeway,
			Mode: plan.Asking.Client.Mode, Reading: plan.Issuer.Reading(0),
		},
	}
}

// id is the fingerprint of the settings, which a client's own settings contain.
func (s askerSettings) id() string {
	sum := hashing.Fingerprint(s)
	return string(sum[:])
}

// MetadataSource is where the endpoint is discovered: the key source if it reads metadata, or else a source of its own.
// That one has no keys, so it causes no events and no metrics about the issuer's keys.
func (o Opener) MetadataSource(l *pool.Lease, plan *Plan, keys keyset.Source) (*keyset.Discovery, error) {
	if discovery := keyset.DiscoveryIn(keys); discovery != nil {
		return discovery, nil
	}
	options := o.discovery(&plan.Server)
	options.MetadataOnly = true
	source, err := l.Source("", "metadata", options.Fingerprint(), func() (keyset.Source, error) {
		return keyset.NewDiscovery(options)
	})
	if err != nil {
		return nil, fmt.Errorf("discovering the endpoint: %w", err)
	}
	return source.(*keyset.Discovery), nil
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

// Unopened stands in for a key source while a configuration is only checked.
func Unopened() keyset.Source { return unopened{} }

type unopened struct{}

func (unopened) Current() *keyset.Set { return nil }
func (unopened) Close() error         { return nil }
func (unopened) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, fmt.Errorf("the configuration is only being checked: %w", gate.ErrOffline)
}
