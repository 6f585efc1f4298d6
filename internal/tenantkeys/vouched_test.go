package tenantkeys_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tenant"
	"github.com/caddyjwt/gateway/internal/tenantkeys"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const acmeIssuer, globexIssuer = "https://login.example/acme/v2.0", "https://login.example/globex/v2.0"

// naming is the key as a JWK with this member "issuer".
func naming(key *tokentest.Key, issuer any) map[string]any {
	jwk := key.JWK()
	if issuer != nil {
		jwk["issuer"] = issuer
	}
	return jwk
}

// A key that names an issuer vouches for that one only.
func TestKeysVouchForTheIssuerTheyName(t *testing.T) {
	p, err := tenant.Parse("https://login.example/*/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		issuer       any
		acme, globex bool
		skipped      bool
	}{
		"none":                     {issuer: nil, acme: true, globex: true},
		"the template":             {issuer: "https://login.example/{tenantid}/v2.0", acme: true, globex: true},
		"one tenant":               {issuer: acmeIssuer, acme: true},
		"the other tenant":         {issuer: globexIssuer, globex: true},
		"null":                     {issuer: json.RawMessage("null"), acme: true, globex: true},
		"empty":                    {issuer: "", acme: true, globex: true},
		"another server":           {issuer: "https://evil.example/acme/v2.0"},
		"another template":         {issuer: "https://evil.example/{tenantid}/v2.0"},
		"a template of other name": {issuer: "https://login.example/{tenant}/v2.0"},
		"the pattern":              {issuer: "https://login.example/*/v2.0"},
		"upper case":               {issuer: "https://login.example/ACME/v2.0"},
		"a slash at the end":       {issuer: acmeIssuer + "/"},
		"a list":                   {issuer: []string{acmeIssuer}, skipped: true},
		"a number":                 {issuer: 1, skipped: true},
	} {
		t.Run(name, func(t *testing.T) {
			key, other := tokentest.NewKey(t, "ES256", "k"), tokentest.NewKey(t, "ES256", "other")
			document := tokentest.JWKSOf(naming(key, c.issuer), other.JWK())
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(document))
			}))
			defer web.Close()
			path := filepath.Join(t.TempDir(), "keys")
			if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
				t.Fatal(err)
			}
			taken := keyset.Selection{ByIssuer: true}
			file, err := keyset.NewFile(path, taken, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			remote, err := keyset.NewRemote(keyset.RemoteOptions{URL: web.URL, Taken: taken})
			if err != nil {
				t.Fatal(err)
			}
			defer remote.Close()
			for kind, source := range map[string]keyset.Source{"file": file, "remote": remote} {
				for tenant, want := range map[string]bool{"acme": c.acme, "globex": c.globex} {
					_, err := verify(t, source, &p, tenant, signed(t, key))
					if (err == nil) != want {
						t.Errorf("%s: a token of %s: %v", kind, tenant, err)
					}
					text := ""
					if err != nil {
						text = err.Error()
					}
					if !want && !c.skipped &&
						(!errors.Is(err, keyset.ErrUnknownKey) || !strings.Contains(text, `its member "issuer"`)) {
						t.Errorf("%s: the error does not say why: %v", kind, err)
					}
					if _, err := verify(t, source, &p, tenant, signed(t, other)); err != nil {
						t.Errorf("%s: the key beside it: %v", kind, err)
					}
				}
			}
		})
	}
}

// Several keys can have the same id, each for another issuer. A key that is published later under a known id is found.
func TestKeysWithTheSameID(t *testing.T) {
	p, err := tenant.Parse("https://login.example/*/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	acme, globex := tokentest.NewKey(t, "ES256", "acme").WithKID("k"), tokentest.NewKey(t, "ES256", "globex").WithKID("k")
	var document atomic.Value
	document.Store(tokentest.JWKSOf(naming(acme, acmeIssuer)))
	fetches := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches++
		_, _ = w.Write([]byte(document.Load().(string)))
	}))
	defer web.Close()
	remote, err := keyset.NewRemote(keyset.RemoteOptions{URL: web.URL, Taken: keyset.Selection{ByIssuer: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	used, err := verify(t, remote, &p, "acme", signed(t, acme))
	if err != nil {
		t.Fatal(err)
	}
	document.Store(tokentest.JWKSOf(naming(acme, acmeIssuer), naming(globex, globexIssuer)))
	if _, err := verify(t, remote, &p, "globex", signed(t, globex)); err != nil {
		t.Errorf("a key that was published under a known id: %v", err)
	}
	for tenant, key := range map[string]*tokentest.Key{"acme": globex, "globex": acme} {
		if _, err := verify(t, remote, &p, tenant, signed(t, key)); err == nil {
			t.Errorf("%s: the key of the other tenant verifies", tenant)
		}
	}
	if !tenantkeys.InForce(remote, "acme", used) {
		t.Error("the key is not in force")
	}
	if fetches > 4 {
		t.Errorf("%d fetches", fetches)
	}
	// The same material for another issuer is another key.
	other := *used
	other.Issuer = globexIssuer
	if tenantkeys.InForce(remote, "globex", &other) {
		t.Error("a key counts although the set has it for another issuer")
	}
}

// Without the selection, the member "issuer" does not count.
func TestIssuersOfKeysCountOnlyWhereTheyAreAskedFor(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k")
	keys, _, _, err := keyset.ParseKeys([]byte(tokentest.JWKSOf(naming(key, 1))), keyset.Selection{}, time.Now())
	if err != nil || len(keys) != 1 || keys[0].Issuer != "" {
		t.Errorf("%v, %v", keys, err)
	}
	if _, _, _, err := keyset.ParseKeys([]byte(tokentest.JWKSOf(naming(key, 1))), keyset.Selection{ByIssuer: true},
		time.Now()); !errors.Is(err, keyset.ErrNoKeys) {
		t.Error(err)
	}
	if issuer, ok := jose.IssuerOf([]byte(`{`)); ok || issuer != "" {
		t.Error("an issuer of what is no key")
	}
}
