package caddyjwt

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// pool holds what outlives a configuration: key sources, introspection clients with their caches and breakers, and
// the caches of verified tokens. Each is found by a hash of its own settings, so that a reload that does not change
// them finds everything as it was, and one that does cannot reach it.
var pool = caddy.NewUsagePool()

// Each kind of pooled object says how it ends.
type (
	pooledSource struct {
		keyset.Source
		listeners *listeners
	}
	pooledClient struct {
		*introspect.Client
		transport *fetch.Client
		issuer    string
	}
	pooledCache struct {
		*gate.Cache
		seen *gate.CacheStats // what metrics have of them
	}
)

func (s pooledSource) Destruct() error { return s.Close() }
func (c pooledClient) Destruct() error { return errors.Join(c.Client.Close(), c.transport.Close()) }
func (c pooledCache) Destruct() error {
	metrics.addCache(c.Cache, c.seen)
	c.Close()
	return nil
}

// take finds a pooled object or makes it, and has the lease give it back. The maker must not touch the network.
func take[T caddy.Destructor](l *lease, key string, open func() (T, error)) (T, error) {
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return open() })
	if err != nil {
		var none T
		return none, err
	}
	l.release = append(l.release, func() error {
		_, err := pool.Delete(key)
		return err
	})
	return value.(T), nil
}

// open makes the gate, and takes from the pool what it asks. It may be called again after the configuration has ended.
func (c *compiled) open(l *lease) (err error) {
	config := c.config
	config.Issuers = slices.Clone(config.Issuers)
	for i := range c.plans {
		if err := l.openIssuer(&c.plans[i], &config.Issuers[i]); err != nil {
			return fmt.Errorf("issuer %q: %w", config.Issuers[i].Name, err)
		}
	}
	if c.cache != 0 {
		cache, err := take(l, "cache "+strconv.FormatInt(c.cache, 10), func() (pooledCache, error) {
			cache, err := gate.NewCache(c.cache)
			return pooledCache{cache, new(gate.CacheStats)}, err
		})
		if err != nil {
			return err
		}
		config.Cache = cache.Cache
	}
	l.gate, err = gate.New(config)
	return err
}

func (l *lease) openIssuer(plan *issuerPlan, issuer *gate.Issuer) error {
	source, id, err := l.openSource(&plan.source)
	if err != nil && l.late {
		// Tokens of other issuers still get their verdicts. A client that is made with this source is for nobody else.
		source, id, err = lostSource{err}, sha256.Sum256(id[:]), nil
	}
	if err != nil {
		return err
	}
	issuer.Keys, issuer.KeysID = source, id
	if plan.introspect == nil {
		return nil
	}
	issuer.Introspection, err = l.openIntrospection(plan, source, id)
	return wrap("introspect", err)
}

// openSource opens the key source of an issuer. The second result fingerprints its settings.
func (l *lease) openSource(plan *sourcePlan) (keyset.Source, [32]byte, error) {
	switch plan.kind {
	case "none":
		return nil, [32]byte{}, nil
	case "pem":
		source, err := keyset.NewPEM([]byte(plan.pem))
		return source, sha256.Sum256([]byte(plan.pem)), err
	case "secret":
		source, err := keyset.NewStatic(plan.static...)
		return source, fingerprintKeys(plan.static), err
	case "file":
		return l.pooledSource(plan, plan.taken.Fingerprint(), func() (keyset.Source, error) {
			return keyset.NewFile(plan.path, plan.taken, sourceLog)
		})
	case "jwks":
		options := keyset.RemoteOptions{
			URL: plan.url, Taken: plan.taken, Fetch: plan.fetch, Timing: plan.timing(), Logger: sourceLog,
		}
		return l.pooledSource(plan, options.Fingerprint(), func() (keyset.Source, error) {
			return keyset.NewRemote(options)
		})
	default:
		options := plan.discovery()
		return l.pooledSource(plan, options.Fingerprint(), func() (keyset.Source, error) {
			return keyset.NewDiscovery(options)
		})
	}
}

func (p *sourcePlan) timing() keyset.Timing { return keyset.Timing{MaxStale: p.maxStale} }

func (p *sourcePlan) discovery() keyset.DiscoveryOptions {
	options := keyset.DiscoveryOptions{
		Issuer: p.issuer, Fetch: p.fetch, Timing: p.timing(), Logger: sourceLog,
	}
	if p.kind == "discovery" {
		options.URL, options.Taken = p.url, p.taken
	}
	return options
}

// metadataAddress is the address that the operator has given for the issuer's metadata.
func (p *sourcePlan) metadataAddress() string {
	if p.kind == "discovery" && p.url != "" {
		return p.url
	}
	return p.issuer
}

// pooledSource finds or makes a key source that is shared and outlives this configuration.
func (l *lease) pooledSource(
	plan *sourcePlan, settings [32]byte, open func() (keyset.Source, error),
) (keyset.Source, [32]byte, error) {
	id := sha256.Sum256(fmt.Appendf(settings[:], "%s\x00%s", plan.kind, plan.path))
	source, err := l.takeSource(id, open)
	if err != nil {
		return nil, id, err
	}
	l.sources = append(l.sources, usedSource{source, plan.issuer})
	source.listeners.use(plan.issuer)
	l.release = append(l.release, func() error { source.listeners.used(plan.issuer); return nil })
	return source.Source, id, nil
}

func (l *lease) takeSource(id [32]byte, open func() (keyset.Source, error)) (pooledSource, error) {
	return take(l, "keys "+string(id[:]), func() (pooledSource, error) {
		source, err := open()
		if err != nil {
			return pooledSource{}, err
		}
		opened := pooledSource{source, &listeners{source: source}}
		if from, ok := source.(observable); ok {
			from.SetObserver(opened.listeners.tell)
		}
		return opened, nil
	})
}

// fingerprintKeys identifies keys that are in the configuration.
func fingerprintKeys(keys []*jose.Key) [32]byte {
	h := sha256.New()
	for _, key := range keys {
		thumbprint := key.Thumbprint()
		h.Write(thumbprint[:])
		_ = binary.Write(h, binary.BigEndian, uint32(key.Algorithms()))
	}
	return [32]byte(h.Sum(nil))
}

// unopened stands for a key source while a Caddyfile is checked: nothing is asked of it.
type unopened struct{}

func (unopened) Current() *keyset.Set { return nil }
func (unopened) Close() error         { return nil }
func (unopened) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, errors.New("the configuration is only being checked")
}
