//go:build e2e && e2eall

package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const (
	// jwtClient and opaqueClient are clients of each server, named after the access tokens they get.
	jwtClient    = "jwt"
	opaqueClient = "opaque"
	clientSecret = "secret"

	// callback is where a login ends. Nobody listens there.
	callback = "http://localhost:9999/auth/callback"
)

// granted is what a token endpoint gives.
type granted struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
}

// buildServer builds a server in a directory that is a module of its own. Without the module registry, the test fails.
func buildServer(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), dir)
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", binary}, flags...)...)
	build.Dir = dir
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the server in %s cannot be built: %v\n%s", dir, err, output)
	}
	return binary
}

// startAnnounced builds and runs a server that says in its first line, in JSON, who its issuer is.
func startAnnounced(t *testing.T, dir string) (issuer string) {
	t.Helper()
	cmd := exec.Command(buildServer(t, dir))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, cmd)

	// Its RSA key takes a moment to make; never as long as this.
	giveUp := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer giveUp.Stop()
	var description struct{ Issuer string }
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &description)
	}
	if err != nil {
		t.Fatalf("the server does not say where it is: %v", err)
	}
	return description.Issuer
}

// subject is the sub of a JWT.
func subject(t *testing.T, token string) string {
	t.Helper()
	var claims struct{ Sub string }
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil || claims.Sub == "" {
		t.Fatalf("a token without a sub: %v", err)
	}
	return claims.Sub
}

// run starts a server that ends when its input is closed.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
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
}

// newBrowser is a client that keeps cookies and stops at the callback.
func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{
		Jar:     jar,
		Timeout: 30 * time.Second,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), callback) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// authorization is the address at which a client's login begins (RFC 6749 section 4.1.1).
func authorization(endpoint, client, scope string) string {
	return endpoint + "?" + url.Values{
		"response_type": {"code"},
		"client_id":     {client},
		"redirect_uri":  {callback},
		"scope":         {scope},
		"state":         {"some-state"},
		"nonce":         {"some-nonce"},
	}.Encode()
}

// redeem takes the code with which a login has ended to the token endpoint, as a client.
func redeem(t *testing.T, login *http.Response, endpoint, client string) granted {
	t.Helper()
	location, err := login.Location()
	if err != nil {
		t.Fatalf("the login ended at %s: %v", login.Request.URL, err)
	}
	if !strings.HasPrefix(location.String(), callback+"?") || !location.Query().Has("code") {
		t.Fatalf("the login led to %s", location)
	}
	tokens := obtain(t, endpoint, client, url.Values{
		"grant_type":   {"authorization_code"},
		"code":         {location.Query().Get("code")},
		"redirect_uri": {callback},
	})
	if tokens.RefreshToken == "" || tokens.IDToken == "" {
		t.Fatal("no refresh token or no ID token")
	}
	return tokens
}

// obtain asks a token endpoint as a client. Its access token must be of the client's kind.
func obtain(t *testing.T, endpoint, client string, form url.Values) (tokens granted) {
	t.Helper()
	_, answer := send(t, http.DefaultClient, http.MethodPost, endpoint, form, client)
	if err := json.Unmarshal(answer, &tokens); err != nil || tokens.AccessToken == "" {
		t.Fatalf("token endpoint: %v in %s", err, answer)
	}
	if isJWT := strings.Count(tokens.AccessToken, ".") == 2; isJWT != (client == jwtClient) {
		t.Fatalf("the access token of client %q is a JWT: %t", client, isJWT)
	}
	return tokens
}

// send sends a form, or nothing, and as a client if one is named.
func send(
	t *testing.T, with *http.Client, method, address string, form url.Values, client ...string,
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
		req.SetBasicAuth(id, clientSecret)
	}
	res, err := with.Do(req)
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

// refusesForgeries sends a good JWT, then what others may make of it.
func (g *gate) refusesForgeries(t *testing.T, token string) {
	t.Helper()
	g.accepts(t, token) // also so that a cache cannot mistake one for the other
	parts := strings.Split(token, ".")
	for i, part := range []string{"header", "payload", "signature"} {
		t.Run(part+" changed", func(t *testing.T) {
			changed := append([]string(nil), parts...)
			changed[i] = flip(changed[i])
			g.refuses(t, strings.Join(changed, "."), http.StatusUnauthorized, "invalid_token")
		})
	}
	t.Run("signed by a stranger", func(t *testing.T) {
		text := make([]string, 2)
		for i := range text {
			decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err != nil {
				t.Fatal(err)
			}
			text[i] = string(decoded)
		}
		stranger := tokentest.NewKey(t, "RS256", "stranger") // the header names the server's key all the same
		g.refuses(t, stranger.SignRaw(text[0], text[1]), http.StatusUnauthorized, "invalid_token")
	})
	g.accepts(t, token)
}
