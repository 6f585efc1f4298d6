package keyset_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// troubles are answers that make a fetch fail, each in its own way.
func troubles() map[string]http.HandlerFunc {
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	return map[string]http.HandlerFunc{
		"no answer":             func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"an error":              say(503, ""),
		"something else":        say(200, "<html>"),
		"nothing to use":        say(200, `{"keys":[]}`),
		"too much":              say(200, strings.Repeat(" ", 2<<20)),
		"a redirect to nowhere": say(302, ""),
		"a redirect to plain http": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://user:hunter2@example.com/hunter2", http.StatusFound)
		},
	}
}

const secretQuery = "?api_key=hunter2"

// wantAddress wants an error to name the address of the trouble, but not its query.
func wantAddress(t *testing.T, err error, address string) {
	t.Helper()
	if !errors.Is(err, keyset.ErrUnavailable) ||
		!strings.Contains(err.Error(), address) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v; want the address %s", err, address)
	}
}

func TestFetchErrorsNameTheAddress(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "ES256", "one")
	for name, trouble := range troubles() {
		t.Run("a key set: "+name, func(t *testing.T) {
			as := tokentest.NewAS(t)
			as.HandleJWKS(trouble)
			_, err := remote(t, keyset.RemoteOptions{URL: as.JWKSURL() + secretQuery}).Find(t.Context(), jose.ES256, "one")
			wantAddress(t, err, as.JWKSURL())
		})
		t.Run("a key set that metadata name: "+name, func(t *testing.T) {
			as, elsewhere := tokentest.NewAS(t), tokentest.NewAS(t)
			as.ChangeMetadata(func(document map[string]any) { document["jwks_uri"] = elsewhere.JWKSURL() + secretQuery })
			elsewhere.HandleJWKS(trouble)
			_, err := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL}).Find(t.Context(), jose.ES256, "one")
			wantAddress(t, err, elsewhere.JWKSURL())
		})
		t.Run("metadata: "+name, func(t *testing.T) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			as.HandleMetadata(trouble)
			for _, only := range []bool{false, true} {
				source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL, MetadataOnly: only})
				_, err := source.Metadata(t.Context())
				wantAddress(t, err, as.URL+"/.well-known/openid-configuration: ")
				wantAddress(t, err, as.URL+"/.well-known/oauth-authorization-server: ")
			}
		})
	}
	for name, document := range map[string]map[string]any{
		"without a key set":                     {},
		"with a key set at no address":          {"jwks_uri": "https://user:hunter2@example.com/?hunter2"},
		"with a key set that cannot be fetched": {"jwks_uri": "http://example.com/?hunter2"},
		"of another issuer":                     {"issuer": "https://other.example.com"},
	} {
		t.Run("metadata "+name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if document["issuer"] == nil {
					document["issuer"] = "https://as.example.com"
				}
				_ = json.NewEncoder(w).Encode(document)
			}))
			defer s.Close()
			source := discovery(t, keyset.DiscoveryOptions{
				Issuer: "https://as.example.com", URL: s.URL + "/metadata" + secretQuery,
			})
			_, err := source.Find(t.Context(), jose.ES256, "one")
			wantAddress(t, err, s.URL+"/metadata: ")
		})
	}
}

// The trouble is at the address that a redirect leads to, so the error names that one.
func TestFetchErrorsNameWhereARedirectLeads(t *testing.T) {
	as, to := tokentest.NewAS(t), httptest.NewServer(nil)
	to.Close()
	as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to.URL+"/hunter2"+secretQuery, http.StatusFound)
	})
	_, err := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()}).Find(t.Context(), jose.ES256, "one")
	wantAddress(t, err, as.JWKSURL())
	wantAddress(t, err, "redirected to "+strings.TrimPrefix(to.URL, "http://"))
}
