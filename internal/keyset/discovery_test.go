package keyset_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func discovery(tb testing.TB, options keyset.DiscoveryOptions) *keyset.Discovery {
	tb.Helper()
	source, err := keyset.NewDiscovery(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { source.Close() })
	return source
}

func TestDiscovery(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "one")
	for _, path := range []string{"", "/realms/demo"} {
		for _, only := range []string{"", tokentest.OIDC, tokentest.OAuth} {
			t.Run(fmt.Sprintf("issuer path %q, documents %q", path, only), func(t *testing.T) {
				as := tokentest.NewAS(t, tokentest.WithPath(path), tokentest.WithKeys(key))
				as.OnlyMetadata(only)
				source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL})
				if as.MetadataFetches() != 0 {
					t.Error("it has fetched unasked")
				}
				if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
					t.Fatal(err)
				}
				metadata, err := source.Metadata(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if metadata.Issuer != as.URL || metadata.JWKSURI != as.JWKSURL() ||
					metadata.IntrospectionEndpoint != as.IntrospectionURL() ||
					!slices.Equal(metadata.IntrospectionAuthMethods, []string{"client_secret_basic", "client_secret_post"}) {
					t.Errorf("metadata %+v", metadata)
				}
			})
		}
	}
}

// The identifier of an issuer may end in a slash, as those of Auth0 do. Both standards remove the slash before they
// make the address (OpenID Connect Discovery 1.0 section 4.1, RFC 8414 section 3.1), and both want GET. The metadata
// names the issuer with the slash.
func TestDiscoveryOfAnIssuerThatEndsInASlash(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "slash")
	for _, test := range []struct{ path, served string }{
		{"/", "/.well-known/openid-configuration"},
		{"/", "/.well-known/oauth-authorization-server"},
		{"/tenant/", "/tenant/.well-known/openid-configuration"},
		{"/tenant/", "/.well-known/oauth-authorization-server/tenant"},
	} {
		t.Run(test.path+" at "+test.served, func(t *testing.T) {
			mux := http.NewServeMux()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				if strings.Contains(r.URL.Path, "//") {
					t.Errorf("asked for %s", r.URL.Path)
				}
				mux.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			issuer := server.URL + test.path
			mux.HandleFunc(test.served, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer, server.URL+"/keys")
			})
			mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tokentest.JWKS(key)) })

			source := discovery(t, keyset.DiscoveryOptions{Issuer: issuer})

			if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
				t.Fatal(err)
			}
			metadata, err := source.Metadata(t.Context())
			if err != nil || metadata.Issuer != issuer {
				t.Errorf("metadata %+v, error %v", metadata, err)
			}
		})
	}
}

func TestKeysMove(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	as := tokentest.NewAS(t, tokentest.WithKeys(one))
	elsewhere := tokentest.NewAS(t, tokentest.WithKeys(two))
	source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL})
	if _, err := verify(t, source, one.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	as.ChangeMetadata(func(document map[string]any) { document["jwks_uri"] = elsewhere.JWKSURL() })
	if _, err := verify(t, source, two.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, source, one.Sign(t, claims())); !errors.Is(err, keyset.ErrUnknownKey) {
		t.Errorf("a key of the old place: %v", err)
	}
}

// The document at the other well-known place says nothing about the metadata that was found at this one: many servers
// answer every path with the same page.
func TestAPageAtTheOtherPlaceTakesNoKeysAway(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	as := tokentest.NewAS(t, tokentest.WithKeys(one))
	source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL})
	if _, err := verify(t, source, one.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	as.HandleMetadata(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, tokentest.OIDC) {
			w.WriteHeader(http.StatusBadGateway)
		} else {
			w.Write([]byte("<!doctype html><title>Sign in</title>"))
		}
	})
	as.SetKeys(two)
	if _, err := verify(t, source, two.Sign(t, claims())); err != nil {
		t.Error(err)
	}
}

func TestDiscoveryOverTLS(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithKeys(key))
	source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL, Fetch: fetch.Options{CA: as.CA()}})
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	// An https address never leads to a service without TLS on this machine.
	local := tokentest.NewAS(t, tokentest.WithKeys(key))
	as.ChangeMetadata(func(document map[string]any) { document["jwks_uri"] = local.JWKSURL() })
	other := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL, Fetch: fetch.Options{CA: as.CA()}})
	if _, err := other.Find(t.Context(), jose.ES256, "one"); !errors.Is(err, fetch.ErrAddress) || local.JWKSFetches() > 0 {
		t.Errorf("error %v, %d fetches", err, local.JWKSFetches())
	}
	untrusting := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL})
	if _, err := untrusting.Find(t.Context(), jose.ES256, "one"); !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("without the CA: %v", err)
	}
}

func TestHeaderStaysWithTheMetadata(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as, elsewhere := tokentest.NewAS(t), tokentest.NewAS(t)
	var there, here atomic.Value
	as.HandleMetadata(func(w http.ResponseWriter, r *http.Request) {
		here.Store(r.Header.Get("X-Api-Key"))
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": as.URL, "jwks_uri": elsewhere.JWKSURL()})
	})
	elsewhere.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		there.Store(r.Header.Get("X-Api-Key"))
		fmt.Fprint(w, tokentest.JWKS(key))
	})
	source := discovery(t, keyset.DiscoveryOptions{
		Issuer: as.URL, Fetch: fetch.Options{Header: http.Header{"X-Api-Key": {"s3cret"}}},
	})
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	if here.Load() != "s3cret" || there.Load() != "" {
		t.Errorf("the metadata's host gets %q, the keys' host %q", here.Load(), there.Load())
	}
}

// A URL has the zone of an IPv6 address in encoded form (RFC 6874). The address that is dialled has it as it is.
func TestIssuerAtAnAddressWithAZone(t *testing.T) {
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	key := tokentest.NewKey(t, "ES256", "one")
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	issuer := "http://[::1%25" + loopback(t) + "]:" + port
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			fmt.Fprint(w, tokentest.JWKS(key))
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": issuer + "/jwks"})
	}))
	s.Listener.Close()
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	if _, err := discovery(t, keyset.DiscoveryOptions{Issuer: issuer}).Find(t.Context(), jose.ES256, "one"); err != nil {
		t.Error(err)
	}
}

// loopback is the name of this machine's interface to itself.
func loopback(tb testing.TB) string {
	tb.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		tb.Fatal(err)
	}
	at := slices.IndexFunc(interfaces, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if at < 0 {
		tb.Skip("there is no loopback interface")
	}
	return interfaces[at].Name
}

func TestDiscoveryOptions(t *testing.T) {
	for _, c := range []struct {
		options keyset.DiscoveryOptions
		field   string
	}{
		{keyset.DiscoveryOptions{}, "Issuer"},
		{keyset.DiscoveryOptions{Issuer: "http://as.example.com"}, "Issuer"},
		{keyset.DiscoveryOptions{Issuer: "as.example.com"}, "Issuer"},
		{keyset.DiscoveryOptions{Issuer: "https://as.example.com?tenant=1"}, "Issuer"},
		{keyset.DiscoveryOptions{Issuer: "https://as.example.com", URL: "http://as.example.com/metadata"}, "URL"},
		{keyset.DiscoveryOptions{URL: "https://as.example.com/metadata"}, "Issuer"},
		{keyset.DiscoveryOptions{Issuer: "https://as.example.com", Timing: keyset.Timing{MaxStale: -1}}, "Timing.MaxStale"},
		{keyset.DiscoveryOptions{Issuer: "https://as.example.com", Taken: keyset.Selection{Use: "enc"}}, "Taken.Use"},
		{keyset.DiscoveryOptions{Issuer: "https://as.example.com", Fetch: fetch.Options{CA: []byte("no PEM")}}, "Fetch"},
	} {
		// The errors of package fetch may name a field of theirs.
		_, err := keyset.NewDiscovery(c.options)
		if field := setting.Field(err); field != c.field && !strings.HasPrefix(field, c.field+".") {
			t.Errorf("%+v: error %v about %q, want %q", c.options, err, field, c.field)
		}
	}
	if field := setting.Field(
		keyset.CheckDiscoverable(fetch.LoopbackHTTP, "https://as.example.com?tenant=1"),
	); field != "Issuer" {
		t.Errorf("an issuer that is not discoverable is a mistake in %q", field)
	}
}

func TestIssuerWithoutAnAddress(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	as.ChangeMetadata(func(document map[string]any) { document["issuer"] = "urn:example:issuer" })
	source := discovery(t, keyset.DiscoveryOptions{
		Issuer: "urn:example:issuer", URL: as.URL + "/.well-known/openid-configuration",
	})
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Error(err)
	}
}
