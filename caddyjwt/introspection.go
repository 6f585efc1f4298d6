package caddyjwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// openIntrospection finds or makes the client that asks an issuer's authorization server.
func (l *lease) openIntrospection(plan *issuerPlan, keys keyset.Source, keysID [32]byte) (*gate.Introspection, error) {
	config := plan.introspect.config
	if config.Endpoint == "" {
		metadata, err := l.metadataSource(plan, keys)
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
	config.Identity = plan.askerIdentity(keysID)
	key := config.Fingerprint()
	client, err := take(l, "introspect "+string(key[:]), func() (pooledClient, error) {
		transport, err := fetch.NewClient(plan.source.fetch)
		if err != nil {
			return pooledClient{}, err
		}
		config.HTTPClient = plan.questioner(transport)
		config.Observer = metrics.observer(plan.issuer.Name)
		client, err := introspect.New(config)
		return pooledClient{client, transport, plan.issuer.Name}, err
	})
	if err != nil {
		return nil, err
	}
	return &gate.Introspection{
		Mode: plan.introspect.mode, Prefix: plan.introspect.prefix, Client: client.Client,
	}, nil
}

// askerIdentity stands for what makes two clients differ beside their own settings. A client keeps what it was made
// with: its connections, its key source, where it discovers, and what signed answers must be.
func (p *issuerPlan) askerIdentity(keys [32]byte) string {
	sum := hashing.Fingerprint(struct {
		Connections fetch.Options
		Keys        [32]byte
		Discovery   keyset.DiscoveryOptions
		Leeway      time.Duration
		Algorithms  jose.Algorithms
	}{p.source.fetch, keys, p.source.discovery(), p.issuer.Leeway, p.issuer.Algorithms})
	return string(sum[:])
}

// questioner is what asks, and shows the client certificate of "tls": to the configured endpoint, or to the origin of
// the metadata. To an endpoint elsewhere that metadata name it is shown only if it is how we authenticate. Then it has
// to be, since an alias for mutual TLS may well be another host (RFC 8705 section 5), and the issuer's own metadata
// vouch for it.
func (p *issuerPlan) questioner(transport *fetch.Client) *http.Client {
	config := &p.introspect.config
	if config.Endpoint != "" || config.AuthMethod == introspect.TLSClientAuth {
		return transport.HTTP()
	}
	home, err := url.Parse(p.source.metadataAddress())
	if err != nil { // which checking the settings has ruled out
		home = new(url.URL)
	}
	return transport.HTTPAt(home)
}

// check tries the settings without opening anything that lasts.
func (p *introspectPlan) check() error {
	config := p.config
	config.HTTPClient = http.DefaultClient
	if config.Endpoint == "" {
		config.Discover = func(context.Context) (introspect.Endpoint, error) { return introspect.Endpoint{}, nil }
	}
	if config.Signed {
		config.VerifySigned = func(context.Context, string) ([]byte, error) { return nil, nil }
	}
	client, err := introspect.New(config)
	if err != nil {
		return err
	}
	return client.Close()
}

// metadataSource is where the endpoint is discovered: the key source, when it is of that kind, or one beside it. That one has
// no keys, so neither events nor metrics of the issuer's keys come from it.
func (l *lease) metadataSource(plan *issuerPlan, keys keyset.Source) (*keyset.Discovery, error) {
	if discovery, ok := keys.(*keyset.Discovery); ok {
		return discovery, nil
	}
	options := plan.source.discovery()
	options.MetadataOnly = true
	source, err := l.takeSource(options.Fingerprint(), func() (keyset.Source, error) { return keyset.NewDiscovery(options) })
	if err != nil {
		return nil, fmt.Errorf("discovering the endpoint: %w", err)
	}
	return source.Source.(*keyset.Discovery), nil
}

// introspectWord is what an introspect block has for a field of introspect.Config: the word, and its field in
// Introspect.
type introspectWord struct{ word, field string }

var introspectWords = map[string]introspectWord{
	"Mode":          {"verify", "Verify"},
	"Endpoint":      {"endpoint", "Endpoint"},
	"Discover":      {"endpoint", "Endpoint"},
	"ClientID":      {"client_id", "ClientID"},
	"ClientSecret":  {"client_secret", "ClientSecret"},
	"AuthMethod":    {"auth_method", "AuthMethod"},
	"PrivateKey":    {"private_key", "PrivateKey"},
	"KeyID":         {"key_id", "KeyID"},
	"BearerToken":   {"bearer_token", "BearerToken"},
	"RawBasic":      {"raw_basic", "RawBasic"},
	"Params":        {"param", "Params"},
	"TokenTypeHint": {"token_type_hint", "TokenTypeHint"},
	"Signed":        {"signed", "Signed"},
	"VerifySigned":  {"signed", "Signed"},
	"CacheTTL":      {"cache_ttl", "CacheTTL"},
	"NegativeTTL":   {"negative_ttl", "NegativeTTL"},
	"Timeout":       {"timeout", "Timeout"},
	"MaxInFlight":   {"max_in_flight", "MaxInFlight"},
}

// inOurWords makes an error of the client's speak of the configuration that the user has written. What the user wrote
// stays as it is.
func inOurWords(err error) error {
	mistake, ok := errors.AsType[*introspect.ConfigError](err)
	if !ok {
		return err
	}
	name, below := mistake.Field, ""
	if at := strings.IndexAny(name, "[."); at >= 0 {
		name, below = name[:at], name[at:]
	}
	known, ok := introspectWords[name]
	if !ok {
		return err
	}
	return setting.Errorf(known.field+below, "%s: %w", known.word, mistake.Err)
}
