package caddyjwt

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

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
