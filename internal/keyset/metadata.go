package keyset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Metadata is what an issuer says about itself (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2), as far as
// a resource server needs it. Endpoints whose addresses must not be used are left out. It is immutable.
type Metadata struct {
	Issuer                   string
	JWKSURI                  string
	IntrospectionEndpoint    string
	IntrospectionAuthMethods []string // introspection_endpoint_auth_methods_supported
	UserinfoEndpoint         string
	MTLSEndpointAliases      map[string]string // mtls_endpoint_aliases (RFC 8705 section 5): endpoint to address

	// IDTokenAlgorithms is id_token_signing_alg_values_supported. No member names the algorithms of access tokens, but
	// most servers sign both kinds alike.
	IDTokenAlgorithms []string
	// LeftOut names the endpoints that the document has and that must not be used, such as "introspection_endpoint".
	LeftOut []string
}

// IssuerError says that a metadata document belongs to another issuer. It is an ErrFormat.
type IssuerError struct {
	Found string // what the document has as its issuer; empty when it has none
	Want  string
}

// Error quotes both issuers.
func (e *IssuerError) Error() string {
	return fmt.Sprintf("%v: the document is that of the issuer %.200q, not of %q", ErrFormat, e.Found, e.Want)
}

// Unwrap returns ErrFormat.
func (e *IssuerError) Unwrap() error { return ErrFormat }

// Bounds on a metadata document. Real ones have some sixty members.
var metadataLimits = strictjson.Limits{Depth: 16, Members: 4096}

// parseMetadata reads a metadata document. It must be that of this issuer: the same text, byte for byte (RFC 8414
// section 3.3, OpenID Connect Discovery 1.0 section 4.3). A document that came over https must not lead to plain http:
// only one that came without TLS may, as far as plain allows it.
func parseMetadata(text []byte, issuer, address string, plain fetch.PlainHTTP) (*Metadata, error) {
	document, err := strictjson.ParseObject(jose.WithoutMark(text), metadataLimits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	name, has := document.Member("issuer")
	if !has || !name.Equal(issuer) {
		found, _ := name.Str()
		return nil, &IssuerError{found, issuer}
	}
	may := addressRule{plain, strings.HasPrefix(strings.ToLower(address), "https:")}
	m := &Metadata{
		Issuer:                issuer,
		IntrospectionEndpoint: may.endpoint(document, "introspection_endpoint"),
		UserinfoEndpoint:      may.endpoint(document, "userinfo_endpoint"),
		MTLSEndpointAliases:   may.aliases(document),
	}
	// A server without a key set may say so by an empty member.
	if value, has := document.Member("jwks_uri"); has && !isBlank(value) {
		if m.JWKSURI = may.endpoint(document, "jwks_uri"); m.JWKSURI == "" {
			text, _ := value.Str()
			return nil, fmt.Errorf(`"jwks_uri": %w`, may.check(text))
		}
	}
	m.IntrospectionAuthMethods = texts(document, "introspection_endpoint_auth_methods_supported")
	m.IDTokenAlgorithms = texts(document, "id_token_signing_alg_values_supported")
	for name, address := range map[string]string{
		"introspection_endpoint": m.IntrospectionEndpoint, "userinfo_endpoint": m.UserinfoEndpoint,
	} {
		if value, has := document.Member(name); has && !isBlank(value) && address == "" {
			m.LeftOut = append(m.LeftOut, name)
		}
	}
	slices.Sort(m.LeftOut)
	return m, nil
}

// texts is the texts in a list; nil when the document has no such list.
func texts(document strictjson.Value, name string) (found []string) {
	list, has := document.Member(name)
	if !has {
		return nil
	}
	for element := range list.Elements() {
		if text, ok := element.Str(); ok {
			found = append(found, text)
		}
	}
	return found
}

// isBlank reports whether a value is null, an empty text or an empty list.
func isBlank(value strictjson.Value) bool {
	return value.Kind() == strictjson.Null || value.Kind() != strictjson.Object && value.Empty()
}

// addressRule says which addresses a document may name.
type addressRule struct {
	plain  fetch.PlainHTTP
	secure bool // the document came over https
}

// check says why an address must not be used.
func (r addressRule) check(address string) error {
	u, err := r.plain.CheckURL(address)
	if err == nil && r.secure && u.Scheme != "https" {
		return fmt.Errorf("%w: the metadata came over https, and this leads to http", fetch.ErrAddress)
	}
	return err
}

// endpoint is an address in a document; empty when it is absent or must not be used.
func (r addressRule) endpoint(document strictjson.Value, name string) string {
	value, _ := document.Member(name)
	text, ok := value.Str()
	if !ok || r.check(text) != nil {
		return ""
	}
	return text
}

func (r addressRule) aliases(document strictjson.Value) map[string]string {
	value, has := document.Member("mtls_endpoint_aliases")
	if !has {
		return nil
	}
	found := make(map[string]string)
	for name := range value.Members() {
		key, ok := name.Str()
		if !ok {
			continue
		}
		if address := r.endpoint(value, key); address != "" {
			found[key] = address
		}
	}
	return found
}
