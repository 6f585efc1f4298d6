//go:build e2e && e2eall

package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The clients of the server, and the secret of each.
const (
	zitadelJWT    = "jwt"    // its access tokens are JWTs
	zitadelOpaque = "opaque" // its access tokens are opaque
	zitadelSecret = "secret"
)

// openIDProvider is a running zitadel/main.go.
type openIDProvider struct {
	Issuer string

	endpoints struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Revocation    string `json:"revocation_endpoint"`
	}
}

// granted is what the token endpoint gives for one login.
type granted struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
}

// startZitadel builds the server from its own module and starts it. Without the module registry, the test fails.
func startZitadel(t *testing.T) *openIDProvider {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "zitadel")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Dir = "zitadel"
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the server cannot be built: %v\n%s", err, output)
	}

	cmd := exec.Command(binary)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		giveUp := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer giveUp.Stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the server's log:\n%s", stderr.Bytes())
		}
	})

	// Its RSA key takes a moment to make; never as long as this.
	giveUp := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer giveUp.Stop()
	op := new(openIDProvider)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, op)
	}
	if err != nil {
		t.Fatalf("the server does not say where it is: %v", err)
	}
	_, document := op.send(t, http.MethodGet, op.Issuer+".well-known/openid-configuration", nil)
	if err := json.Unmarshal(document, &op.endpoints); err != nil {
		t.Fatal(err)
	}
	return op
}

// login does what a browser does: the authorization code flow (RFC 6749 section 4.1), with the login form in between.
func (op *openIDProvider) login(t *testing.T, client string) granted {
	t.Helper()
	const redirect = "http://localhost:9999/auth/callback" // as the example registers it; nobody listens there
	query := url.Values{
		"response_type": {"code"},
		"client_id":     {client},
		"redirect_uri":  {redirect},
		"scope":         {"openid email offline_access custom_scope"},
		"state":         {"state"},
		"nonce":         {"nonce"},
	}
	form, _ := op.send(t, http.MethodGet, op.endpoints.Authorization+"?"+query.Encode(), nil)
	done, page := op.send(t, http.MethodPost, op.Issuer+"login/username", url.Values{
		"id":       {form.Request.URL.Query().Get("authRequestID")},
		"username": {"test-user2"},
		"password": {"verysecure"},
	})
	location, err := done.Location()
	if err != nil {
		t.Fatalf("the login did not lead back to the client: %v\n%s", err, page)
	}
	code := location.Query().Get("code")
	if !strings.HasPrefix(location.String(), redirect+"?") || code == "" {
		t.Fatalf("the login led to %s", location)
	}
	_, answer := op.send(t, http.MethodPost, op.endpoints.Token, url.Values{
		"grant_type":   {"authorization_code"},
		"code":         {code},
		"redirect_uri": {redirect},
	}, client)
	var tokens granted
	if err := json.Unmarshal(answer, &tokens); err != nil {
		t.Fatal(err)
	}
	if tokens.AccessToken == "" || tokens.RefreshToken == "" || tokens.IDToken == "" {
		t.Fatalf("a token is missing in %s", answer)
	}
	if isJWT := strings.Count(tokens.AccessToken, ".") == 2; isJWT != (client == zitadelJWT) {
		t.Fatalf("the access token of client %q is a JWT: %t", client, isJWT)
	}
	return tokens
}

// revoke withdraws a token (RFC 7009) of a client.
func (op *openIDProvider) revoke(t *testing.T, client, token string) {
	t.Helper()
	op.send(t, http.MethodPost, op.endpoints.Revocation, url.Values{"token": {token}}, client)
}

// send sends a form, or nothing, and as a client if one is named. It follows redirects within the server.
func (op *openIDProvider) send(
	t *testing.T, method, address string, form url.Values, client ...string,
) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, id := range client {
		req.SetBasicAuth(id, zitadelSecret)
	}
	browser := &http.Client{
		Timeout: 30 * time.Second,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if !strings.HasPrefix(r.URL.String(), op.Issuer) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	res, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 400 {
		err = errors.New(res.Status)
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", method, address, err, body)
	}
	return res, body
}

// trust is an issuer block for this server, which makes a client the audience of its tokens.
func (op *openIDProvider) trust(audience string, more ...string) string {
	return fmt.Sprintf("issuer %s {\n audience %s\n %s\n}\n", op.Issuer, audience, strings.Join(more, "\n"))
}

// introspection is an introspect block with these modes. The server tells only the audience of a token about it, so the
// gateway is that client.
func (op *openIDProvider) introspection(modes, client string, more ...string) string {
	return fmt.Sprintf("introspect %s {\n client_id %s\n client_secret %s\n %s\n}",
		modes, client, zitadelSecret, strings.Join(more, "\n"))
}
