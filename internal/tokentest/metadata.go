package tokentest

import (
	"encoding/json"
	"net/http"
)

// The two kinds of metadata documents, for OnlyMetadata.
const (
	OIDC  = "openid-configuration"       // OpenID Connect Discovery 1.0 section 4
	OAuth = "oauth-authorization-server" // RFC 8414 section 3
)

// OnlyMetadata makes the server answer 404 for the other kind of metadata document; empty serves both again.
func (as *AS) OnlyMetadata(kind string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.only = kind
}

// ChangeMetadata applies change to every metadata document from now on; nil ends that.
func (as *AS) ChangeMetadata(change func(document map[string]any)) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.meta = change
}

// HandleMetadata makes handler answer the requests for metadata; nil ends that.
func (as *AS) HandleMetadata(handler http.HandlerFunc) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.metaAs = handler
}

func (as *AS) serveMetadata(w http.ResponseWriter, r *http.Request, kind string) {
	as.mu.Lock()
	only, change, handler := as.only, as.meta, as.metaAs
	as.mu.Unlock()
	if only != "" && only != kind {
		http.NotFound(w, r)
		return
	}
	if handler != nil {
		handler(w, r)
		return
	}
	document := map[string]any{
		"issuer":                 as.URL,
		"jwks_uri":               as.JWKSURL(),
		"authorization_endpoint": as.URL + "/authorize",
		"token_endpoint":         as.URL + "/token",
		"userinfo_endpoint":      as.URL + userinfoPath,
		"introspection_endpoint": as.IntrospectionURL(),
		"introspection_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"response_types_supported":                      []string{"code"},
	}
	if change != nil {
		change(document)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document)
}
