// Package wellknown has what a token issuer tells other verifiers and clients about itself: where its documents are,
// and what is in its metadata (RFC 8414, OpenID Connect Discovery 1.0). It does not know how an issuer works.
package wellknown

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/caddyjwt/gateway/internal/clients"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/possession"
)

// Paths of the documents for other verifiers, below the path of the issuer or, for RFC 8414, before it.
const (
	keysPath   = "/.well-known/jwks.json"
	oidcPath   = "/.well-known/openid-configuration"
	serverPath = "/.well-known/oauth-authorization-server"
)

// PlaceOf is the path of an issuer whose name is an address. Only then others can find its documents.
func PlaceOf(name string) (path string, is bool) {
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	return strings.TrimSuffix(u.Path, "/"), true
}

// OriginOf is the scheme and the host of an issuer whose name is an address; empty for others.
func OriginOf(name string) string {
	u, err := url.Parse(name)
	if _, is := PlaceOf(name); !is || err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host // not what is before the path in the name: that may be encoded
}

// Paths are the paths of the documents of an issuer.
func Paths(name string) []string {
	path, is := PlaceOf(name)
	if !is {
		return []string{keysPath}
	}
	// OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3.1
	return []string{path + keysPath, path + oidcPath, serverPath + path}
}

// Issuer is what the metadata are about.
type Issuer struct {
	Name string
	// Token, Introspection and Revocation are the paths of the endpoints.
	Token, Introspection, Revocation string
	// Algorithm is the one with which it signs.
	Algorithm jose.Algorithm
	// Grants are those that clients can use now.
	Grants []clients.Grant
}

// metadata is what RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3 want to know. Nobody signs in through
// a page, so there are no response types.
type metadata struct {
	Issuer        string   `json:"issuer"`
	Token         string   `json:"token_endpoint"`
	Introspection string   `json:"introspection_endpoint"`
	Revocation    string   `json:"revocation_endpoint"`
	Keys          string   `json:"jwks_uri"`
	Responses     []string `json:"response_types_supported"`
	Grants        []string `json:"grant_types_supported"`
	Subjects      []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	Answers       []string `json:"introspection_signing_alg_values_supported"`
	Proofs        []string `json:"dpop_signing_alg_values_supported"`
	Certificates  bool     `json:"tls_client_certificate_bound_access_tokens"`
	authentication
}

// authentication is how clients show who they are.
type authentication struct {
	Token                   []string `json:"token_endpoint_auth_methods_supported"`
	TokenAlgorithms         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Introspection           []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgorithms []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	Revocation              []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgorithms    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
}

// Metadata are those of an issuer, as JSON.
func (i *Issuer) Metadata() ([]byte, error) {
	origin := OriginOf(i.Name)
	m := metadata{
		Issuer: i.Name, Token: origin + i.Token, Introspection: origin + i.Introspection,
		Revocation: origin + i.Revocation, Keys: strings.TrimSuffix(i.Name, "/") + keysPath,
		Responses: []string{}, Subjects: []string{"public"}, Algorithms: []string{i.Algorithm.String()},
		Answers: []string{i.Algorithm.String()}, Certificates: true,
	}
	for algorithm := range possession.Algorithms().All() {
		m.Proofs = append(m.Proofs, algorithm.String())
	}
	for _, grant := range i.Grants {
		m.Grants = append(m.Grants, string(grant))
	}
	methods := []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth",
		"self_signed_tls_client_auth"}
	var algorithms []string
	for algorithm := range jose.AsymmetricAlgorithms().All() {
		algorithms = append(algorithms, algorithm.String())
	}
	m.authentication = authentication{
		Token: append(methods, "none"), TokenAlgorithms: algorithms, Introspection: methods,
		IntrospectionAlgorithms: algorithms, Revocation: append(methods, "none"), RevocationAlgorithms: algorithms,
	}
	return json.Marshal(m)
}
