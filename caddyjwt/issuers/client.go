package issuers

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// questioner is the client that asks. It shows the client certificate of "tls" only to the configured endpoint, or to
// the origin of the metadata. An endpoint elsewhere that the metadata name sees it only if the certificate is how we
// authenticate. It must then: an alias for mutual TLS may be on another host (RFC 8705 section 5), and the issuer's own
// metadata vouch for it.
func (p *Plan) questioner(transport *fetch.Client) *http.Client {
	config := &p.Asking.Client
	if config.Endpoint != "" || config.AuthMethod == introspect.TLSClientAuth {
		return transport.HTTP()
	}
	home, err := url.Parse(p.Server.metadataAddress())
	if err != nil { // ruled out when the settings were checked
		home = new(url.URL)
	}
	return transport.HTTPAt(home)
}

// check tries the settings without opening anything that lasts.
func (p *Asking) check() error {
	config := p.Client
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

// clientFields are the fields of Introspect for those of introspect.Config.
var clientFields = map[string]string{
	"Mode":          "Verify",
	"Endpoint":      "Endpoint",
	"Discover":      "Endpoint",
	"ClientID":      "ClientID",
	"ClientSecret":  "ClientSecret",
	"AuthMethod":    "AuthMethod",
	"PrivateKey":    "PrivateKey",
	"KeyID":         "KeyID",
	"AssertionAlg":  "AssertionAlg",
	"BearerToken":   "BearerToken",
	"RawBasic":      "RawBasic",
	"Params":        "Params",
	"TokenTypeHint": "TokenTypeHint",
	"Signed":        "Signed",
	"VerifySigned":  "Signed",
	"CacheTTL":      "CacheTTL",
	"NegativeTTL":   "NegativeTTL",
	"Timeout":       "Timeout",
	"MaxInFlight":   "MaxInFlight",
}

// byOurField turns an error about a field of introspect.Config into one about the field and the word of Introspect.
// What the user wrote stays as it is.
func byOurField(err error) error {
	mistake, ok := errors.AsType[*introspect.ConfigError](err)
	if !ok {
		return err
	}
	name, below := mistake.Field, ""
	if at := strings.IndexAny(name, "[."); at >= 0 {
		name, below = name[:at], name[at:]
	}
	field, ok := clientFields[name]
	if !ok {
		return err
	}
	return setting.Errorf(field+below, "%s: %w", cmp.Or(introspectTable.WordFor(field), field), mistake.Err)
}
