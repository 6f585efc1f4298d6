package authserver

import (
	"context"
	"errors"

	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// Metadata returns an issuer's metadata. *keyset.Discovery implements it.
type Metadata interface {
	Metadata(ctx context.Context) (*keyset.Metadata, error)
}

// Discover returns a function for introspect.Config.Discover. It reads from an issuer's metadata where a client asks
// about tokens, and how the client may authenticate. An error of the metadata is passed on.
func Discover(from Metadata, mode introspect.Mode) func(context.Context) (introspect.Endpoint, error) {
	return func(ctx context.Context) (introspect.Endpoint, error) {
		metadata, err := from.Metadata(ctx)
		if err != nil {
			return introspect.Endpoint{}, err
		}
		endpoint := endpointOf(metadata, mode)
		if endpoint.URL == "" {
			return endpoint, &introspect.NoVerdictError{
				Cause: introspect.CauseProtocol,
				Err:   errors.New("the metadata names no such endpoint; give it with \"endpoint\""),
			}
		}
		return endpoint, nil
	}
}

func endpointOf(metadata *keyset.Metadata, mode introspect.Mode) introspect.Endpoint {
	if mode == introspect.UserInfo {
		return introspect.Endpoint{
			URL: metadata.UserinfoEndpoint, MTLSURL: metadata.MTLSEndpointAliases["userinfo_endpoint"],
		}
	}
	endpoint := introspect.Endpoint{
		URL: metadata.IntrospectionEndpoint, MTLSURL: metadata.MTLSEndpointAliases["introspection_endpoint"],
	}
	for _, method := range metadata.IntrospectionAuthMethods {
		endpoint.AuthMethods = append(endpoint.AuthMethods, introspect.AuthMethod(method))
	}
	return endpoint
}
