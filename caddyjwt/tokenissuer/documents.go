package tokenissuer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/document"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/oauth"
	"github.com/caddyjwt/gateway/internal/possession"
)

// Paths of the documents for other verifiers, below the path of the issuer or, for RFC 8414, before it.
const (
	keysPath   = "/.well-known/jwks.json"
	oidcPath   = "/.well-known/openid-configuration"
	serverPath = "/.well-known/oauth-authorization-server"
)

// placeOf is the path of an issuer whose name is an address. Only then others can find its documents.
func placeOf(name string) (path string, is bool) {
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	return strings.TrimSuffix(u.Path, "/"), true
}

// originOf is the scheme and the host of an issuer whose name is an address; empty for others.
func originOf(name string) string {
	u, err := url.Parse(name)
	if _, is := placeOf(name); !is || err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host // not what is before the path in the name: that may be encoded
}

// documentPaths are the paths of the documents of an issuer.
func documentPaths(name string) []string {
	path, is := placeOf(name)
	if !is {
		return []string{keysPath}
	}
	// OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3.1
	return []string{path + keysPath, path + oidcPath, serverPath + path}
}

// documentAt finds the document at a path; nil for none. Each request of the site comes here.
func (i *issuer) documentAt(path string) http.HandlerFunc {
	for n, at := range i.documents {
		switch {
		case path != at:
		case n == 0:
			return i.serveKeys
		default:
			return i.serveMetadata
		}
	}
	return nil
}

// serveKeys answers with the public keys (RFC 7517 section 5).
func (i *issuer) serveKeys(w http.ResponseWriter, r *http.Request) {
	running := i.running.Load()
	if running == nil {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	document.New(running.ring.JWKS()).Serve(w, r)
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

// serveMetadata answers with the metadata.
func (i *issuer) serveMetadata(w http.ResponseWriter, r *http.Request) {
	origin := originOf(i.name)
	m := metadata{
		Issuer: i.name, Token: origin + i.oauth.Token, Introspection: origin + i.oauth.Introspection,
		Revocation: origin + i.oauth.Revocation, Keys: strings.TrimSuffix(i.name, "/") + keysPath,
		Responses: []string{}, Subjects: []string{"public"}, Algorithms: []string{i.algorithm.String()},
		Answers: []string{i.algorithm.String()}, Certificates: true,
	}
	for algorithm := range possession.Algorithms().All() {
		m.Proofs = append(m.Proofs, algorithm.String())
	}
	for _, grant := range oauth.Grants() {
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
	text, err := json.Marshal(m)
	if err != nil { // texts alone
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	document.New(text).Serve(w, r)
}
