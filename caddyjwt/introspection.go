package caddyjwt

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyset"
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
	// The client keeps what it was made with: it is another client when its key source, or where it discovers, is another,
	// or what signed answers must be.
	settings, discovery := plan.source.fetch.Fingerprint(), plan.source.discovery().Fingerprint()
	config.Identity = fmt.Sprintf("%x %x %x %v %v", settings, keysID, discovery, plan.issuer.Leeway, plan.issuer.Algorithms)
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

// fieldWords are the words of the configuration for the fields of the client's.
var fieldWords = strings.NewReplacer(
	"the mode UserInfo", "verify userinfo", "Signed and VerifySigned", "signed",
	"CacheTTL", "cache_ttl", "NegativeTTL", "negative_ttl", "MaxInFlight", "max_in_flight", "Timeout", "timeout",
	"ClientSecret", "client_secret", "ClientID", "client_id", "AuthMethod", "auth_method", "PrivateKey", "private_key",
	"BearerToken", "bearer_token", "KeyID", "key_id", "TokenTypeHint", "token_type_hint", "RawBasic", "raw_basic",
	"Params", "param", "Endpoint", "endpoint", "Signed", "signed", "None", "auth_method none", "Off", "0s",
)

// inOurWords makes an error of the client's speak of the configuration that the user has written.
func inOurWords(err error) string {
	return fieldWords.Replace(strings.TrimPrefix(err.Error(), introspect.ErrConfig.Error()+": "))
}
