package caddyjwt

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
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

// take finds a pooled object or makes it, and remembers to give it back. The maker must not touch the network.
func take[T caddy.Destructor](h *Handler, key string, open func() (T, error)) (T, error) {
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return open() })
	if err != nil {
		var none T
		return none, err
	}
	h.holding = append(h.holding, key)
	return value.(T), nil
}

// open gives the compiled configuration what outlives it.
func (h *Handler) open(ctx caddy.Context, built *compiled) error {
	for i := range built.plans {
		plan := &built.plans[i]
		issuer := &built.config.Issuers[i]
		source, id, err := h.openSource(ctx, &plan.source)
		if err != nil {
			return fmt.Errorf("issuer %q: %w", issuer.Name, err)
		}
		issuer.Keys, issuer.KeysID = source, id
		if plan.introspect == nil {
			continue
		}
		if issuer.Introspection, err = h.openIntrospection(plan, source, id); err != nil {
			return fmt.Errorf("issuer %q: introspect: %w", issuer.Name, err)
		}
	}
	if built.cache == 0 {
		return nil
	}
	cache, err := take(h, "cache "+strconv.FormatInt(built.cache, 10), func() (pooledCache, error) {
		cache, err := gate.NewCache(built.cache)
		return pooledCache{cache, new(gate.CacheStats)}, err
	})
	built.config.Cache = cache.Cache
	return err
}

// openSource opens the key source of an issuer. The second result fingerprints its settings.
func (h *Handler) openSource(ctx caddy.Context, plan *sourcePlan) (keyset.Source, [32]byte, error) {
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
		return h.pooledSource(ctx, plan, plan.taken.Fingerprint(), func() (keyset.Source, error) {
			return keyset.NewFile(plan.path, plan.taken, sourceLog)
		})
	case "jwks":
		options := keyset.RemoteOptions{
			URL: plan.url, Taken: plan.taken, Fetch: plan.fetch, Timing: plan.timing(), Logger: sourceLog,
		}
		return h.pooledSource(ctx, plan, options.Fingerprint(), func() (keyset.Source, error) {
			return keyset.NewRemote(options)
		})
	default:
		options := plan.discovery()
		return h.pooledSource(ctx, plan, options.Fingerprint(), func() (keyset.Source, error) {
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

// pooledSource finds or makes a key source that is shared and outlives this configuration, and listens to it.
func (h *Handler) pooledSource(
	ctx caddy.Context, plan *sourcePlan, settings [32]byte, open func() (keyset.Source, error),
) (keyset.Source, [32]byte, error) {
	id := sha256.Sum256(fmt.Appendf(settings[:], "%s\x00%s", plan.kind, plan.path))
	source, err := h.takeSource(id, open)
	if err != nil {
		return nil, id, err
	}
	remove, err := source.listeners.add(ctx, plan.issuer)
	if err != nil {
		return nil, id, err
	}
	h.listening = append(h.listening, remove)
	return source.Source, id, nil
}

func (h *Handler) takeSource(id [32]byte, open func() (keyset.Source, error)) (pooledSource, error) {
	return take(h, "keys "+string(id[:]), func() (pooledSource, error) {
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
