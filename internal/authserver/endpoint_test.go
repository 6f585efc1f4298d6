package authserver_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/authserver"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// fixed is metadata, or the error in its place.
type fixed struct {
	metadata *keyset.Metadata
	err      error
}

func (f fixed) Metadata(context.Context) (*keyset.Metadata, error) { return f.metadata, f.err }

func TestEndpointInMetadata(t *testing.T) {
	full := &keyset.Metadata{
		IntrospectionEndpoint:    "https://as.example/introspect",
		IntrospectionAuthMethods: []string{"client_secret_post", "private_key_jwt"},
		UserinfoEndpoint:         "https://as.example/userinfo",
		MTLSEndpointAliases: map[string]string{
			"introspection_endpoint": "https://mtls.as.example/introspect",
			"userinfo_endpoint":      "https://mtls.as.example/userinfo",
		},
	}
	for name, c := range map[string]struct {
		metadata *keyset.Metadata
		mode     introspect.Mode
		want     introspect.Endpoint
	}{
		"introspection": {full, introspect.Introspection, introspect.Endpoint{
			URL: "https://as.example/introspect", MTLSURL: "https://mtls.as.example/introspect",
			AuthMethods: []introspect.AuthMethod{introspect.ClientSecretPost, introspect.PrivateKeyJWT},
		}},
		"userinfo": {full, introspect.UserInfo, introspect.Endpoint{
			URL: "https://as.example/userinfo", MTLSURL: "https://mtls.as.example/userinfo",
		}},
		"without aliases": {
			&keyset.Metadata{IntrospectionEndpoint: "https://as.example/i"}, introspect.Introspection,
			introspect.Endpoint{URL: "https://as.example/i"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := authserver.Discover(fixed{metadata: c.metadata}, c.mode)(t.Context())
			if err != nil || got.URL != c.want.URL || got.MTLSURL != c.want.MTLSURL ||
				!slices.Equal(got.AuthMethods, c.want.AuthMethods) {
				t.Errorf("endpoint %+v, error %v; want %+v", got, err, c.want)
			}
		})
	}
}

// If the metadata names no endpoint, the server is at fault. If there is no metadata, its own error says why.
func TestNoEndpointInMetadata(t *testing.T) {
	onlyAlias := &keyset.Metadata{
		MTLSEndpointAliases: map[string]string{"introspection_endpoint": "https://mtls.as.example/i"},
	}
	for _, mode := range []introspect.Mode{introspect.Introspection, introspect.UserInfo} {
		_, err := authserver.Discover(fixed{metadata: onlyAlias}, mode)(t.Context())
		trouble, ok := errors.AsType[*introspect.NoVerdictError](err)
		if !ok || trouble.Cause != introspect.CauseProtocol {
			t.Errorf("error %v, want one of cause %v", err, introspect.CauseProtocol)
		}
	}
	down := &keyset.UnavailableError{}
	_, err := authserver.Discover(fixed{err: down}, introspect.Introspection)(t.Context())
	if !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("error %v, want that of the metadata", err)
	}
}
