package tokenissuer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/document"
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

// serveMetadata answers with the metadata. Nobody signs in through a page, and there is no token endpoint, so it only
// says where the keys are.
func (i *issuer) serveMetadata(w http.ResponseWriter, r *http.Request) {
	text, err := json.Marshal(struct {
		Issuer     string   `json:"issuer"`
		Keys       string   `json:"jwks_uri"`
		Responses  []string `json:"response_types_supported"`
		Grants     []string `json:"grant_types_supported"`
		Subjects   []string `json:"subject_types_supported"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}{i.name, strings.TrimSuffix(i.name, "/") + keysPath, []string{}, []string{}, []string{"public"},
		[]string{i.algorithm.String()}})
	if err != nil { // texts alone
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	document.New(text).Serve(w, r)
}
