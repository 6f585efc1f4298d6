package keyset_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/lastgood/lastgoodtest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// found makes a source by discovery, as a new process does.
func found(tb testing.TB, box *lastgoodtest.Box, options keyset.DiscoveryOptions) *keyset.Discovery {
	tb.Helper()
	options.Kept = box.Shelf()
	source, err := keyset.NewDiscovery(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { source.Close() })
	return source
}

func TestMetadataOutlivesARestart(t *testing.T) {
	for _, kind := range []string{tokentest.OIDC, tokentest.OAuth} {
		t.Run(kind, func(t *testing.T) {
			box := lastgoodtest.Memory(t)
			key := tokentest.NewKey(t, "ES256", "one")
			as := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.WithPath("/realm"))
			as.OnlyMetadata(kind)
			first := found(t, box, keyset.DiscoveryOptions{Issuer: as.URL})
			fetched(t, box, first, 2)
			first.Close()
			as.Down()
			source := found(t, box, keyset.DiscoveryOptions{Issuer: as.URL})
			if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
				t.Error(err)
			}
			if m, err := source.Metadata(t.Context()); err != nil || m.JWKSURI != as.JWKSURL() {
				t.Errorf("metadata %+v, %v", m, err)
			}
			source.Close()

			only := found(t, box, keyset.DiscoveryOptions{Issuer: as.URL, MetadataOnly: true})
			if m, err := only.Metadata(t.Context()); err == nil {
				t.Errorf("metadata alone: %+v", m)
			}
		})
	}
}

// Kept keys count only while the last metadata leads to them.
func TestKeptKeysAreThoseOfTheLastMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(as *tokentest.AS)
		ok   bool
	}{
		"metadata fails": {func(as *tokentest.AS) {
			as.HandleMetadata(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		}, true},
		"metadata of another issuer": {func(as *tokentest.AS) {
			as.ChangeMetadata(func(d map[string]any) { d["issuer"] = "https://evil.example" })
			as.AnswerJWKS(500, "")
		}, true}, // as when the keys are in memory
		"keys fail": {func(as *tokentest.AS) { as.AnswerJWKS(500, "") }, true},
		"keys are elsewhere now, and fail": {func(as *tokentest.AS) {
			as.ChangeMetadata(func(d map[string]any) { d["jwks_uri"] = as.JWKSURL() + "?new" })
			as.AnswerJWKS(500, "")
		}, false},
		"there are none any more": {func(as *tokentest.AS) {
			as.ChangeMetadata(func(d map[string]any) { delete(d, "jwks_uri") })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			box := lastgoodtest.Memory(t)
			key := tokentest.NewKey(t, "ES256", "one")
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			first := found(t, box, keyset.DiscoveryOptions{Issuer: as.URL})
			fetched(t, box, first, 2)
			first.Close()
			c.harm(as)
			source := found(t, box, keyset.DiscoveryOptions{Issuer: as.URL})
			if _, err := verify(t, source, key.Sign(t, claims())); (err == nil) != c.ok {
				t.Errorf("a token of the kept key: %v", err)
			}
		})
	}
}

// An issuer that shares its address with another one does not find the other's documents.
func TestKeptDocumentsAreThoseOfTheirIssuer(t *testing.T) {
	box := lastgoodtest.Memory(t)
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "one")))
	address := as.URL + "/.well-known/openid-configuration"
	first := found(t, box, keyset.DiscoveryOptions{Issuer: as.URL, URL: address})
	fetched(t, box, first, 2)
	first.Close()
	as.Down()
	for issuer, want := range map[string]int{as.URL: 1, as.URL + "/": 0, "https://other.example": 0} {
		source := found(t, box, keyset.DiscoveryOptions{Issuer: issuer, URL: address})
		_, _ = source.Find(t.Context(), jose.ES256, "one")
		if n := source.Current().Len(); n != want {
			t.Errorf("%s: %d keys, want %d", issuer, n, want)
		}
	}
}

// The server answers that nothing has changed. The kept answers stay, with the new time, for metadata and keys.
func TestUnchangedAnswersAreKeptOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := lastgoodtest.Memory(t)
		metadata, _ := json.Marshal(map[string]string{
			"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/jwks",
		})
		keys := tokentest.JWKS(tokentest.NewKey(t, "ES256", "one"))
		away, unchanged := false, 0
		get := func(ctx context.Context, url, _, etag string) (*fetch.Response, error) {
			switch {
			case away:
				return nil, errDown
			case etag != "":
				unchanged++
				return &fetch.Response{Status: 304, NotModified: true}, nil
			case strings.HasSuffix(url, "/jwks"):
				return &fetch.Response{Status: 200, Header: http.Header{"Etag": {`"k"`}}, Body: []byte(keys)}, nil
			}
			return &fetch.Response{Status: 200, Header: http.Header{"Etag": {`"m"`}}, Body: metadata}, nil
		}
		options := keyset.DiscoveryOptions{
			Issuer: "https://as.example.com", Timing: keyset.Timing{MaxStale: time.Hour},
		}.With(get)
		first := found(t, box, options)
		first.Start()
		time.Sleep(24*time.Hour + 5*time.Minute)
		synctest.Wait()
		first.Close()
		away = true
		source := found(t, box, options)
		if err := find(t, source, "one"); err != nil || unchanged < 100 {
			t.Errorf("after a day, and %d answers that nothing has changed: %v", unchanged, err)
		}
		if age := time.Since(source.Stats().Fetched); age > 15*time.Minute {
			t.Errorf("fetched %v ago", age)
		}
	})
}
