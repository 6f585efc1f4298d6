//go:build e2e

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// authorizationServer is a running as/server.js.
type authorizationServer struct {
	*nodeServer
	description
	identity identities
}

// description is the line that the server prints about itself.
type description struct {
	Issuer      string            // both discovery documents
	OAuthTenant string            // only RFC 8414's
	OIDCTenant  string            // only OpenID Connect's
	MTLS        string            // the same as Issuer over TLS with client certificates
	Resources   map[string]string // resource indicators by name
	Decryption  map[string]string // private keys of the API in PEM, by kid
	Clients     map[string]struct {
		ID, Secret, Method, PrivateKey string
	}
}

func startProvider(identity identities) (*authorizationServer, error) {
	as := &authorizationServer{identity: identity}
	var err error
	as.nodeServer, err = startNode(&as.description, "as/server.js",
		"--tls-cert", identity.serverCert, "--tls-key", identity.serverKey, "--client-ca", identity.ca)
	return as, err
}

// ownProvider is a server of the test's own, whose keys it may change.
func ownProvider(t *testing.T) *authorizationServer {
	t.Helper()
	as, err := startProvider(provider.identity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(as.stop)
	return as
}

// token gets an access token for a resource (RFC 6749 section 4.4, RFC 8707).
func (as *authorizationServer) token(t *testing.T, issuer, resource, scope string) string {
	t.Helper()
	answer := as.post(t, issuer+"/token", url.Values{
		"grant_type": {"client_credentials"},
		"resource":   {as.resource(t, resource)},
		"scope":      {scope},
	})
	var granted struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
	}
	if err := json.Unmarshal(answer, &granted); err != nil || granted.AccessToken == "" || granted.TokenType != "Bearer" {
		t.Fatalf("token endpoint: %v in %s", err, answer)
	}
	return granted.AccessToken
}

func (as *authorizationServer) resource(t *testing.T, name string) string {
	t.Helper()
	resource, ok := as.Resources[name]
	if !ok {
		t.Fatalf("the authorization server knows no resource called %q", name)
	}
	return resource
}

// protect makes the server give tokens for a resource at an address that the test has chosen.
func (as *authorizationServer) protect(t *testing.T, resource string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, as.Issuer+"/__protect",
		strings.NewReader(fmt.Sprintf(`{"resource": %q}`, resource)))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		t.Fatalf("the authorization server does not take the resource %s: %s", resource, res.Status)
	}
}

// revoke withdraws a token (RFC 7009).
func (as *authorizationServer) revoke(t *testing.T, token string) {
	t.Helper()
	as.post(t, as.Issuer+"/token/revocation", url.Values{"token": {token}})
}

// refreshToken gets a refresh token of the client called "caller".
func (as *authorizationServer) refreshToken(t *testing.T) string {
	t.Helper()
	return string(as.post(t, as.Issuer+"/__refresh", nil))
}

// rotate makes the server sign with new keys and publish the present ones too.
func (as *authorizationServer) rotate(t *testing.T) {
	t.Helper()
	as.post(t, as.Issuer+"/__rotate", nil)
}

// retire withdraws all keys but the newest.
func (as *authorizationServer) retire(t *testing.T) {
	t.Helper()
	as.post(t, as.Issuer+"/__retire", nil)
}

// post sends a form as the client called "caller".
func (as *authorizationServer) post(t *testing.T, address string, form url.Values) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	caller := as.Clients["caller"]
	req.SetBasicAuth(url.QueryEscape(caller.ID), url.QueryEscape(caller.Secret))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = errors.New(answer.Status)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", address, err, body)
	}
	return body
}
