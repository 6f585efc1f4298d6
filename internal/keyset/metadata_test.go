package keyset_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestMetadataAlone(t *testing.T) {
	as := tokentest.NewAS(t)
	as.ChangeMetadata(func(document map[string]any) {
		delete(document, "jwks_uri")
		document["mtls_endpoint_aliases"] = map[string]any{
			"introspection_endpoint": "https://mtls.example.com/introspect",
			"token_endpoint":         7,
			"userinfo_endpoint":      "http://mtls.example.com/",
		}
	})
	source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL})
	metadata, err := source.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"introspection_endpoint": "https://mtls.example.com/introspect"}
	if !maps.Equal(metadata.MTLSEndpointAliases, want) {
		t.Errorf("aliases %v", metadata.MTLSEndpointAliases)
	}
	if _, err := source.Find(t.Context(), jose.ES256, "one"); !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("keys without jwks_uri: %v", err)
	}
}

func TestMetadataWithoutAServer(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.StartDown())
	source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL})
	for range 2 {
		if m, err := source.Metadata(t.Context()); m != nil || !errors.Is(err, keyset.ErrUnavailable) {
			t.Errorf("%v, error %v", m, err)
		}
	}
	source.Close()
	if _, err := source.Metadata(t.Context()); !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

func TestWrongMetadata(t *testing.T) {
	set := func(name string, value any) func(map[string]any) {
		return func(document map[string]any) { document[name] = value }
	}
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		want   error
	}{
		{"another issuer", set("issuer", "https://evil.example.com"), keyset.ErrFormat},
		{"no issuer", func(d map[string]any) { delete(d, "issuer") }, keyset.ErrFormat},
		{"an issuer that is a list", set("issuer", []string{"x"}), keyset.ErrFormat},
		{"the issuer with a slash more",
			func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "/" }, keyset.ErrFormat},
		{"the issuer in capitals",
			func(d map[string]any) { d["issuer"] = strings.ToUpper(d["issuer"].(string)) }, keyset.ErrFormat},
		{"keys over plain http", set("jwks_uri", "http://as.example.com/jwks"), fetch.ErrAddress},
		{"keys in a file", set("jwks_uri", "file:///etc/passwd"), fetch.ErrAddress},
		{"keys in a data URL", set("jwks_uri", `data:application/json,{"keys":[]}`), fetch.ErrAddress},
		{"keys at a link-local address", set("jwks_uri", "https://169.254.169.254/jwks"), fetch.ErrAddress},
		{"keys at a number", set("jwks_uri", 7), fetch.ErrAddress},
	} {
		t.Run(test.name, func(t *testing.T) {
			as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "one")))
			as.ChangeMetadata(test.change)
			source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL})
			if _, err := source.Find(t.Context(), jose.ES256, "one"); !errors.Is(err, keyset.ErrUnavailable) ||
				!errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if as.JWKSFetches() > 0 {
				t.Error("it has fetched keys")
			}
		})
	}
}

func TestUnusableMetadata(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	for _, body := range []string{
		``, `null`, `[]`, `<html>`, `{"issuer":`, `{"issuer":"%s","issuer":"%s","jwks_uri":"%[1]s/jwks"}`,
	} {
		as := tokentest.NewAS(t, tokentest.WithKeys(key))
		as.HandleMetadata(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.ReplaceAll(strings.ReplaceAll(body, "%s", as.URL), "%[1]s", as.URL))
		})
		source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL})
		if _, err := source.Find(t.Context(), jose.ES256, "one"); !errors.Is(err, keyset.ErrFormat) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Metadata that is unavailable does not matter as long as the keys are where they were. Metadata that lies does matter.
func TestMetadataFailsLater(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	as := tokentest.NewAS(t, tokentest.WithKeys(one))
	source := discovery(t, keyset.DiscoveryOptions{Issuer: as.URL, Timing: keyset.Timing{Cooldown: time.Millisecond}})
	if _, err := verify(t, source, one.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	as.HandleMetadata(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	as.SetKeys(two)
	if _, err := verify(t, source, two.Sign(t, claims())); err != nil {
		t.Errorf("with the metadata down: %v", err)
	}
	as.HandleMetadata(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": "https://evil.example.com", "jwks_uri": as.JWKSURL()})
	})
	as.SetKeys(one)
	if _, err := verify(t, source, one.Sign(t, claims())); !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("with the metadata lying: %v", err)
	}
	if _, err := verify(t, source, two.Sign(t, claims())); err != nil {
		t.Errorf("keys from before: %v", err)
	}
}

// A server that accepts the request for metadata and does not answer must not use up the time for the keys.
func TestStalledMetadataTakesNoKeysAway(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	const issuer = "https://as.example.com"
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool // where the metadata is; and there are new keys
		get := func(ctx context.Context, url, _, _ string) (*fetch.Response, error) {
			body := fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, issuer+"/jwks")
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Second):
			}
			switch {
			case url == issuer+"/jwks" && silent.Load():
				body = tokentest.JWKS(two)
			case url == issuer+"/jwks":
				body = tokentest.JWKS(one)
			case silent.Load():
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &fetch.Response{Status: http.StatusOK, Body: []byte(body)}, nil
		}
		source := discovery(t, keyset.DiscoveryOptions{Issuer: issuer, Timing: keyset.Timing{Wait: time.Minute}}.With(get))
		defer source.Close()
		if _, err := verify(t, source, one.Sign(t, claims())); err != nil {
			t.Fatal(err)
		}
		silent.Store(true)
		if _, err := verify(t, source, two.Sign(t, claims())); err != nil {
			t.Error(err)
		}
	})
}

// Whatever a document says, it is accepted only from the right issuer, and leads only to allowed addresses.
func FuzzMetadata(f *testing.F) {
	const issuer = "https://as.example.com"
	for _, seed := range []string{
		`{"issuer":"https://as.example.com","jwks_uri":"https://as.example.com/jwks",` +
			`"introspection_endpoint":"http://localhost/"}`,
		`{"issuer":"https://as.example.com","mtls_endpoint_aliases":{"introspection_endpoint":"https://m/","x":1}}`,
		`{"issuer":["https://as.example.com"],"introspection_endpoint_auth_methods_supported":["a",1,null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		metadata, err := keyset.ParseMetadata(data, issuer, issuer+"/.well-known/openid-configuration")
		if err != nil {
			return
		}
		addresses := []string{metadata.JWKSURI, metadata.IntrospectionEndpoint, metadata.UserinfoEndpoint}
		addresses = append(addresses, slices.Collect(maps.Values(metadata.MTLSEndpointAliases))...)
		for _, address := range addresses {
			if u, err := fetch.CheckURL(address); address != "" && (err != nil || u.Scheme != "https") {
				t.Errorf("%q: %v", address, err)
			}
		}
		if metadata.Issuer != issuer {
			t.Errorf("issuer %q", metadata.Issuer)
		}
	})
}
