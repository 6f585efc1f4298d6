package caddyjwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/introspect"
)

// openIntrospection finds or makes the client that asks an issuer's authorization server.
func (l *lease) openIntrospection(plan *issuerPlan, keys keyset.Source, keysID [32]byte) (*gate.Introspection, error) {
	config := plan.introspect.config
	if config.Endpoint == "" {
		metadata, err := l.metadataSource(plan, keys)
		if err != nil {
			return nil, err
		}
		config.Discover = discoverEndpoint(metadata, config.Mode)
	}
	if config.Signed {
		config.VerifySigned = signedAnswers(keys, &plan.issuer, config.ClientID)
	}
	// The client keeps what it was made with: it is another client when its key source, or where it discovers, is another,
	// or what signed answers must be.
	settings, discovery := plan.source.fetch.Fingerprint(), plan.source.discovery().Fingerprint()
	config.Identity = fmt.Sprintf("%x %x %x %v %v", settings, keysID, discovery, plan.issuer.Leeway, plan.issuer.Algorithms)
	key := config.Fingerprint()
	client, err := take(l, "introspect "+string(key[:]), func() (pooledClient, error) {
		transport, err := fetch.NewClient(plan.source.fetch)
		if err != nil {
			return pooledClient{}, err
		}
		config.HTTPClient = plan.questioner(transport)
		config.Observer = metrics.observer(plan.issuer.Name)
		client, err := introspect.New(config)
		return pooledClient{client, transport, plan.issuer.Name}, err
	})
	if err != nil {
		return nil, err
	}
	return &gate.Introspection{
		Mode: plan.introspect.mode, Prefix: plan.introspect.prefix, Client: client.Client,
	}, nil
}

// questioner is what asks, and shows the client certificate of "tls": to the configured endpoint, or to the origin of
// the metadata. To an endpoint elsewhere that metadata name it is shown only if it is how we authenticate. Then it has
// to be, since an alias for mutual TLS may well be another host (RFC 8705 section 5), and the issuer's own metadata
// vouch for it.
func (p *issuerPlan) questioner(transport *fetch.Client) *http.Client {
	config := &p.introspect.config
	if config.Endpoint != "" || config.AuthMethod == introspect.TLSClientAuth {
		return transport.HTTP()
	}
	home, err := url.Parse(p.source.metadataAddress())
	if err != nil { // which checking the settings has ruled out
		home = new(url.URL)
	}
	return transport.HTTPAt(home)
}

// check tries the settings without opening anything that lasts.
func (p *introspectPlan) check() error {
	config := p.config
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

// metadataSource is where the endpoint is discovered: the key source, when it is of that kind, or one beside it. That one has
// no keys, so neither events nor metrics of the issuer's keys come from it.
func (l *lease) metadataSource(plan *issuerPlan, keys keyset.Source) (*keyset.Discovery, error) {
	if discovery, ok := keys.(*keyset.Discovery); ok {
		return discovery, nil
	}
	options := plan.source.discovery()
	options.MetadataOnly = true
	source, err := l.takeSource(options.Fingerprint(), func() (keyset.Source, error) { return keyset.NewDiscovery(options) })
	if err != nil {
		return nil, fmt.Errorf("discovering the endpoint: %w", err)
	}
	return source.Source.(*keyset.Discovery), nil
}

// discoverEndpoint reads from an issuer's metadata where and how to ask.
func discoverEndpoint(from *keyset.Discovery, mode introspect.Mode) func(context.Context) (introspect.Endpoint, error) {
	return func(ctx context.Context) (introspect.Endpoint, error) {
		metadata, err := from.Metadata(ctx)
		if err != nil {
			return introspect.Endpoint{}, err
		}
		endpoint := introspect.Endpoint{URL: metadata.UserinfoEndpoint, MTLSURL: metadata.MTLSAliases["userinfo_endpoint"]}
		if mode == introspect.Introspection {
			endpoint.URL = metadata.IntrospectionEndpoint
			endpoint.MTLSURL = metadata.MTLSAliases["introspection_endpoint"]
			for _, method := range metadata.IntrospectionAuthMethods {
				endpoint.AuthMethods = append(endpoint.AuthMethods, introspect.AuthMethod(method))
			}
		}
		if endpoint.URL == "" {
			return endpoint, &introspect.NoVerdictError{
				Cause: introspect.CauseProtocol,
				Err:   errors.New("the metadata names no such endpoint; give it with \"endpoint\""),
			}
		}
		return endpoint, nil
	}
}

// maxAnswerAge is how old a signed answer may be: it was made for this very question. An old "active" replayed would
// undo a revocation.
const maxAnswerAge = time.Minute

// signedAnswers verifies answers by RFC 9701 section 5: the type, the signature with the issuer's keys, iss, aud and a
// recent iat. Top-level claims decide nothing else; the client reads token_introspection only. The algorithm is one
// that the issuer's tokens may have: who allows ES256 alone must not be given an answer that is signed with less (RFC
// 8725 section 3.1).
func signedAnswers(keys keyset.Source, of *gate.Issuer, clientID string) func(context.Context, string) ([]byte, error) {
	issuer, leeway := of.Name, of.Leeway
	allowed := of.Algorithms.Intersect(jose.AsymmetricAlgorithms())
	return func(ctx context.Context, answer string) ([]byte, error) {
		token, err := jose.ParseTyped(answer, nil, "token-introspection+jwt")
		if err != nil {
			return nil, err
		}
		if !allowed.Has(token.Header.Algorithm) {
			return nil, fmt.Errorf("%w: %v is not allowed for this issuer; add it to \"algorithms\", or have the server "+
				"sign its answers to this client with one of %v", jose.ErrAlgorithm, token.Header.Algorithm, allowed)
		}
		if _, err := keyset.Verify(ctx, keys, &token); err != nil {
			if errors.Is(err, keyset.ErrUnavailable) {
				return nil, &introspect.NoVerdictError{Cause: introspect.CauseUnavailable, Err: err}
			}
			return nil, err
		}
		return token.Payload, checkSigned(token.Payload, issuer, clientID, leeway)
	}
}

func checkSigned(payload []byte, issuer, clientID string, leeway time.Duration) error {
	set, err := claims.Decode(payload)
	if err != nil {
		return err
	}
	if err := claims.CheckIssuer(set, issuer); err != nil {
		return err
	}
	if err := claims.CheckAudience(set, []string{clientID}); err != nil {
		return err
	}
	now := time.Now()
	switch {
	case set.IssuedAt.IsZero():
		return fmt.Errorf("%w: iat", claims.ErrMissing)
	case set.IssuedAt.After(now.Add(leeway)):
		return claims.ErrNotYetValid
	case set.IssuedAt.Before(now.Add(-maxAnswerAge - leeway)):
		return claims.ErrExpired
	}
	return nil
}

// fieldWords are the words of the configuration for the fields of the client's.
var fieldWords = strings.NewReplacer(
	"the mode UserInfo", "verify userinfo", "Signed and VerifySigned", "signed",
	"CacheTTL", "cache_ttl", "NegativeTTL", "negative_ttl", "MaxInFlight", "max_in_flight", "Timeout", "timeout",
	"ClientSecret", "client_secret", "ClientID", "client_id", "AuthMethod", "auth_method", "PrivateKey", "private_key",
	"BearerToken", "bearer_token", "KeyID", "key_id", "TokenTypeHint", "token_type_hint", "RawBasic", "raw_basic",
	"Params", "param", "Endpoint", "endpoint", "Signed", "signed", "None", "auth_method none", "Off", "0s",
)

// inOurWords makes an error of the client's speak of the configuration that the user has written.
func inOurWords(err error) string {
	return fieldWords.Replace(strings.TrimPrefix(err.Error(), introspect.ErrConfig.Error()+": "))
}
