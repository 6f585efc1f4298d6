package introspect_test

import (
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/introspect"
)

func TestTheMethodIsChosenFromWhatTheServerSupports(t *testing.T) {
	type methods = []introspect.AuthMethod
	key := ecKey(t, elliptic.P256())
	withKey := func(c *introspect.Config) { c.ClientSecret, c.PrivateKey = "", key }
	longSecret := func(c *introspect.Config) { c.ClientSecret = secret32 }
	shortSecret := func(c *introspect.Config) {}
	for _, test := range []struct {
		name      string
		set       func(*introspect.Config)
		supported methods
		want      string
	}{
		{"nothing said", shortSecret, nil, "client_secret_basic"},
		{"basic first", longSecret,
			methods{"client_secret_jwt", "client_secret_post", "client_secret_basic"}, "client_secret_basic"},
		{"post only", shortSecret, methods{"private_key_jwt", "client_secret_post"}, "client_secret_post"},
		{"assertions only", longSecret, methods{"private_key_jwt", "client_secret_jwt"}, "client_secret_jwt"},
		{"assertions only, but the secret is too short", shortSecret, methods{"client_secret_jwt"}, "refused"},
		{"a key", withKey, methods{"client_secret_basic", "private_key_jwt"}, "private_key_jwt"},
		{"a key that the server does not want", withKey, methods{"client_secret_basic"}, "refused"},
		{"a secret that the server does not want", longSecret, methods{"private_key_jwt", "tls_client_auth"}, "refused"},
		{"none is never chosen", shortSecret, methods{"none"}, "refused"},
		{"the operator's word counts", func(c *introspect.Config) { c.AuthMethod = introspect.ClientSecretPost },
			methods{"client_secret_basic"}, "client_secret_post"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			cfg := fakeConfig(func(r *http.Request) (*http.Response, error) {
				r.ParseForm()
				switch {
				case r.Header.Get("Authorization") != "":
					got = "client_secret_basic"
				case r.PostForm.Has("client_secret"):
					got = "client_secret_post"
				case isES256(r):
					got = "private_key_jwt"
				default:
					got = "client_secret_jwt"
				}
				return response(200, `{"active":true}`), nil
			})
			cfg.Issuer, cfg.Endpoint = "https://as.example.com", ""
			cfg.Discover = func(context.Context) (introspect.Endpoint, error) {
				return introspect.Endpoint{URL: "https://as.example.com/introspect", AuthMethods: test.supported}, nil
			}
			test.set(&cfg)
			r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
			if test.want == "refused" {
				wantCause(t, introspect.CauseRefused, r, err)
				test.want = ""
			}
			if got != test.want {
				t.Errorf("the method is %q, want %q", got, test.want)
			}
		})
	}
}

// isES256 reports whether the request has an assertion whose header begins with {"alg":"ES256".
func isES256(r *http.Request) bool {
	return strings.HasPrefix(r.PostForm.Get("client_assertion"), "eyJhbGciOiJFUzI1NiIs")
}

func TestDiscoveredEndpoints(t *testing.T) {
	for _, test := range []struct {
		name  string
		found introspect.Endpoint
		err   error
		cause introspect.Cause // zero: active
		asked string
	}{
		{"https", introspect.Endpoint{URL: "https://as.example.com/i"}, nil, 0, "https://as.example.com/i"},
		{"the alias is for certificates only",
			introspect.Endpoint{URL: "https://as.example.com/i", MTLSURL: "https://mtls.example.com/i"}, nil,
			0, "https://as.example.com/i"},
		{"http", introspect.Endpoint{URL: "http://as.example.com/i"}, nil, introspect.CauseProtocol, ""},
		{"no endpoint", introspect.Endpoint{}, nil, introspect.CauseProtocol, ""},
		{"another scheme", introspect.Endpoint{URL: "file:///etc/passwd"}, nil, introspect.CauseProtocol, ""},
		{"not discovered", introspect.Endpoint{}, errors.New("down"), introspect.CauseUnavailable, ""},
		{"not discovered in time", introspect.Endpoint{},
			fmt.Errorf("metadata: %w", context.DeadlineExceeded), introspect.CauseUnavailable, ""},
		{"the metadata is wrong", introspect.Endpoint{},
			&introspect.NoVerdictError{Cause: introspect.CauseProtocol}, introspect.CauseProtocol, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := ""
			cfg := fakeConfig(func(r *http.Request) (*http.Response, error) {
				asked = r.URL.String()
				return response(200, `{"active":true}`), nil
			})
			cfg.Issuer, cfg.Endpoint = "https://as.example.com", ""
			cfg.Discover = func(context.Context) (introspect.Endpoint, error) { return test.found, test.err }
			r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
			if test.cause == 0 {
				wantActive(t, true, r, err)
			} else {
				wantCause(t, test.cause, r, err)
			}
			if asked != test.asked {
				t.Errorf("asked %q, want %q", asked, test.asked)
			}
		})
	}
}

func TestTheAliasIsAskedWithACertificate(t *testing.T) {
	asked := ""
	cfg := fakeConfig(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		return response(200, `{"active":true}`), nil
	})
	cfg.Issuer, cfg.Endpoint, cfg.ClientSecret, cfg.AuthMethod = "https://as.example.com", "", "", introspect.TLSClientAuth
	cfg.Discover = func(context.Context) (introspect.Endpoint, error) {
		return introspect.Endpoint{URL: "https://as.example.com/i", MTLSURL: "https://mtls.example.com/i"}, nil
	}
	r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)
	if asked != "https://mtls.example.com/i" {
		t.Errorf("asked %q", asked)
	}
}

// TestAServerThatIsDownAtFirstIsFoundLater: New never fails because of the network.
func TestAServerThatIsDownAtFirstIsFoundLater(t *testing.T) {
	s := newServer(t, answer(`{"active":true}`))
	up := false
	cfg := basicConfig("")
	cfg.Issuer = "https://as.example.com"
	cfg.Discover = func(context.Context) (introspect.Endpoint, error) {
		if !up {
			return introspect.Endpoint{}, errors.New("down")
		}
		return introspect.Endpoint{URL: s.URL}, nil
	}
	c := newClient(t, cfg)
	r, err := c.Introspect(t.Context(), testToken)
	wantCause(t, introspect.CauseUnavailable, r, err)
	up = true
	r, err = c.Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)
}
