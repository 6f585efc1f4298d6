package diagnose_test

import (
	"context"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/diagnose"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// patience is far longer than any check here takes.
const patience = time.Minute

// setup is an issuer's configuration, and the server that it is for.
type setup struct {
	as *tokentest.AS

	name       string // of the issuer
	metadata   string // configured address of the metadata
	jwks       string // configured address of the key set; then the metadata is read only for the endpoint
	algorithms jose.Algorithms
	leeway     time.Duration
	fetch      fetch.Options
	taken      keyset.Selection
	timeout    time.Duration      // of one fetch
	asking     *introspect.Config // nil: the server is not asked about tokens
	files      []diagnose.Certificate
}

// newSetup is a configuration that is right for a server with a key "a" for ES256 and a client "gate".
func newSetup(t *testing.T, options ...tokentest.Option) *setup {
	t.Helper()
	as := tokentest.NewAS(t, append([]tokentest.Option{
		tokentest.WithKeys(tokentest.NewKey(t, "ES256", "a")), tokentest.WithClient("gate", "secret"),
	}, options...)...)
	return &setup{as: as, name: as.URL, algorithms: jose.AsymmetricAlgorithms(), leeway: 5 * time.Second}
}

// askedAbout makes the gate ask with the right credentials.
func (s *setup) askedAbout() *introspect.Config {
	s.asking = &introspect.Config{Issuer: s.name, ClientID: "gate", ClientSecret: "secret"}
	return s.asking
}

// open makes the issuer's sources and client, as a gate would.
func (s *setup) open(t testing.TB) diagnose.Issuer {
	t.Helper()
	issuer := diagnose.Issuer{
		Name: s.name, Gates: 1, KeysFrom: "discovery", Algorithms: s.algorithms, Leeway: s.leeway,
		Exchanges: new(diagnose.Exchanges), Files: s.files, KeySet: s.jwks,
	}
	s.fetch.Observe = issuer.Exchanges.Add
	timing := keyset.Timing{Timeout: s.timeout}
	discovery, err := keyset.NewDiscovery(keyset.DiscoveryOptions{
		Issuer: s.name, URL: s.metadata, Fetch: s.fetch, Taken: s.taken, Timing: timing, MetadataOnly: s.jwks != "",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { discovery.Close() })
	issuer.Metadata, issuer.Keys = discovery, discovery
	if s.jwks != "" {
		issuer.KeysFrom = "jwks"
		remote, err := keyset.NewRemote(keyset.RemoteOptions{URL: s.jwks, Fetch: s.fetch, Taken: s.taken, Timing: timing})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { remote.Close() })
		if issuer.Keys = remote; s.asking == nil || s.asking.Endpoint != "" {
			issuer.Metadata = nil
		}
	}
	if s.asking != nil {
		issuer.Asking = s.client(t, discovery)
	}
	return issuer
}

func (s *setup) client(t testing.TB, discovery *keyset.Discovery) *diagnose.Asking {
	t.Helper()
	config := *s.asking
	if config.Endpoint == "" {
		config.Discover = authserver.Discover(discovery, config.Mode)
	}
	transport, err := fetch.NewClient(s.fetch)
	if err != nil {
		t.Fatal(err)
	}
	config.HTTPClient = transport.HTTP()
	client, err := introspect.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); transport.Close() })
	return &diagnose.Asking{
		Client: client, Endpoint: config.Endpoint, UserInfo: config.Mode == introspect.UserInfo, Signed: config.Signed,
	}
}

// check checks one issuer.
func (s *setup) check(t testing.TB) diagnose.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return diagnose.Run(ctx, []diagnose.Issuer{s.open(t)}, func(int) {})[0]
}
