//go:build e2e && e2eall

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hydra is a running hydra/main.go. The two addresses lead to its Unix sockets: another process could take a port
// before it does, and it must know its issuer before it starts.
type hydra struct {
	issuer, admin string
}

func TestHydra(t *testing.T) {
	h := startHydra(t)
	t.Run("JWTs pass by discovery", h.jwtsPass)
	t.Run("other tokens are refused", h.othersAreRefused)
	t.Run("forged tokens are refused", func(t *testing.T) {
		startGateway(t, trust(h.issuer)).refusesForgeries(t, h.token(t, jwtClient, api))
	})
	t.Run("opaque tokens pass until revoked", h.opaquePassUntilRevoked)
	t.Run("JWTs pass until revoked, if the server is asked", h.jwtsPassUntilRevoked)
	t.Run("the documented blocks", h.documentedBlocks)
}

func startHydra(t *testing.T) *hydra {
	t.Helper()
	binary := buildServer(t, "hydra", "-tags", "sqlite") // for its database in memory
	dir, err := os.MkdirTemp("", "hydra-")               // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	public, admin := filepath.Join(dir, "public"), filepath.Join(dir, "admin")
	h := &hydra{issuer: forward(t, public), admin: forward(t, admin)}
	login := httptest.NewServer(http.HandlerFunc(h.acceptLogin))
	t.Cleanup(login.Close)

	cmd := exec.Command(binary, "serve", "all", "--dev", "--sqa-opt-out") // --dev: http, too
	cmd.Env = append(os.Environ(), "DSN=memory", "LOG_LEVEL=warn", "SECRETS_SYSTEM=only-for-tests-on-loopback",
		"URLS_SELF_ISSUER="+h.issuer, "URLS_LOGIN="+login.URL+"/login", "URLS_CONSENT="+login.URL+"/consent",
		"SERVE_PUBLIC_HOST=unix:"+public, "SERVE_ADMIN_HOST=unix:"+admin)
	run(t, cmd)
	eventually(t, "Hydra is ready", func() bool {
		status, err := h.ask(t.Context(), http.MethodGet, "/health/ready", nil, nil)
		return err == nil && status == http.StatusOK
	})
	// Hydra makes its RSA keys of 4096 bits when somebody first asks for them. The gateway may not wait for that long.
	send(t, http.DefaultClient, http.MethodGet, h.issuer+"/.well-known/jwks.json", nil)
	for client, strategy := range map[string]string{jwtClient: "jwt", opaqueClient: "opaque"} {
		status, err := h.ask(t.Context(), http.MethodPost, "/admin/clients", map[string]any{
			"client_id": client, "client_secret": clientSecret, "access_token_strategy": strategy,
			"grant_types": []string{"client_credentials", "authorization_code", "refresh_token"},
			"audience":    []string{api, "https://elsewhere.example.com"}, "scope": "openid offline_access read",
			"redirect_uris": []string{callback},
		}, nil)
		if err != nil || status != http.StatusCreated {
			t.Fatalf("a client cannot be registered: %d, %v", status, err)
		}
	}
	return h
}

// forward leads to a Unix socket.
func forward(t *testing.T, socket string) string {
	t.Helper()
	dialer := new(net.Dialer)
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket)
			},
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { // not ready yet
			w.WriteHeader(http.StatusBadGateway)
		},
	})
	t.Cleanup(server.Close)
	return server.URL
}

// ask sends JSON to the admin API.
func (h *hydra) ask(ctx context.Context, method, path string, question, answer any) (status int, err error) {
	text, err := json.Marshal(question)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, h.admin+path, strings.NewReader(string(text)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if answer != nil {
		err = json.NewDecoder(res.Body).Decode(answer)
	}
	return res.StatusCode, err
}

// acceptLogin is the login page and the consent page, which Hydra leaves to others. It says yes to everything.
func (h *hydra) acceptLogin(w http.ResponseWriter, r *http.Request) {
	kind := strings.TrimPrefix(r.URL.Path, "/") // login or consent
	challenge := kind + "_challenge"
	path := "/admin/oauth2/auth/requests/" + kind + "/accept?" +
		url.Values{challenge: {r.URL.Query().Get(challenge)}}.Encode()
	question := map[string]any{"subject": "alice"}
	if kind == "consent" {
		question = map[string]any{
			"grant_scope": []string{"openid", "offline_access", "read"}, "grant_access_token_audience": []string{api},
		}
	}
	var answer struct {
		RedirectTo string `json:"redirect_to"`
	}
	status, err := h.ask(r.Context(), http.MethodPut, path, question, &answer)
	if err != nil || status != http.StatusOK {
		http.Error(w, fmt.Sprintf("%d, %v", status, err), http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, answer.RedirectTo, http.StatusFound)
}

// login does what a user with a browser does.
func (h *hydra) login(t *testing.T, client string) granted {
	t.Helper()
	address := authorization(h.issuer+"/oauth2/auth", client, "openid offline_access read")
	done, _ := send(t, newBrowser(t), http.MethodGet, address, nil)
	return redeem(t, done, h.issuer+"/oauth2/token", client)
}

// token gets a token for an audience, if there is one (RFC 6749 section 4.4). The parameter "audience" is Hydra's own.
func (h *hydra) token(t *testing.T, client, audience string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}
	if audience != "" {
		form.Set("audience", audience)
	}
	return obtain(t, h.issuer+"/oauth2/token", client, form).AccessToken
}

// revoke withdraws a token (RFC 7009) of a client.
func (h *hydra) revoke(t *testing.T, client, token string) {
	t.Helper()
	send(t, http.DefaultClient, http.MethodPost, h.issuer+"/oauth2/revoke", url.Values{"token": {token}}, client)
}

// introspection is an introspect block that remembers nothing, for an endpoint as docs/providers.md names it.
func (h *hydra) introspection(mode string) string {
	return fmt.Sprintf("introspect %s {\n endpoint %s/admin/oauth2/introspect\n auth_method none\n cache_ttl 0s\n}",
		mode, h.admin)
}

func (h *hydra) jwtsPass(t *testing.T) {
	g := startGateway(t, trust(h.issuer)+"require scope read\n"+
		"forward_claims X-Client client_id\nforward_claims X-User sub")
	seen := g.accepts(t, h.token(t, jwtClient, api))
	hasHeaders(t, seen, map[string]string{"X-Client": jwtClient, "X-User": jwtClient, "Authorization": ""})
	seen = g.accepts(t, h.login(t, jwtClient).AccessToken)
	hasHeaders(t, seen, map[string]string{"X-Client": jwtClient, "X-User": "alice", "Authorization": ""})
}

func (h *hydra) othersAreRefused(t *testing.T) {
	tokens := h.login(t, jwtClient)
	g := startGateway(t, trust(h.issuer))
	g.accepts(t, tokens.AccessToken)
	for name, token := range map[string]string{
		"ID token":                            tokens.IDToken, // its audience is the client
		"refresh token":                       tokens.RefreshToken,
		"another audience":                    h.token(t, jwtClient, "https://elsewhere.example.com"),
		"no audience":                         h.token(t, jwtClient, ""),
		"opaque token, without introspection": h.token(t, opaqueClient, api),
	} {
		t.Run(name, func(t *testing.T) { g.refuses(t, token, http.StatusUnauthorized, "invalid_token") })
	}
}

func (h *hydra) opaquePassUntilRevoked(t *testing.T) {
	g := startGateway(t, trust(h.issuer, "keys none", h.introspection("opaque"))+
		"require scope read\nforward_claims X-Client client_id\nforward_claims X-User sub")
	tokens := h.login(t, opaqueClient)
	seen := g.accepts(t, tokens.AccessToken)
	hasHeaders(t, seen, map[string]string{"X-Client": opaqueClient, "X-User": "alice", "Authorization": ""})
	g.refuses(t, tokens.RefreshToken, http.StatusUnauthorized, "invalid_token")
	g.refuses(t, flip(tokens.AccessToken), http.StatusUnauthorized, "invalid_token")
	g.refuses(t, h.token(t, opaqueClient, "https://elsewhere.example.com"), http.StatusUnauthorized, "invalid_token")

	h.revoke(t, opaqueClient, tokens.AccessToken)
	g.refuses(t, tokens.AccessToken, http.StatusUnauthorized, "invalid_token")
	g.accepts(t, h.token(t, opaqueClient, api))
}

func (h *hydra) jwtsPassUntilRevoked(t *testing.T) {
	g := startGateway(t, trust(h.issuer, h.introspection("always")))
	token := h.token(t, jwtClient, api)
	g.accepts(t, token)
	h.revoke(t, jwtClient, token)
	g.refuses(t, token, http.StatusUnauthorized, "invalid_token")
	g.accepts(t, h.token(t, opaqueClient, api))
	startGateway(t, trust(h.issuer)).accepts(t, token) // nobody asks the server, and the token has not expired
}

func (h *hydra) documentedBlocks(t *testing.T) {
	const issuer, endpoint, scope = "https://hydra.example.com", "http://127.0.0.1:4445", "orders.read"
	for n, client := range []string{jwtClient, opaqueClient} {
		t.Run(client, func(t *testing.T) {
			changes := []string{issuer, h.issuer, scope, "read"}
			if client == opaqueClient {
				changes = append(changes, endpoint, h.admin)
			}
			g := documented(t, "Ory Hydra", n+1, changes...)
			tokens := h.login(t, client)
			hasHeaders(t, g.accepts(t, tokens.AccessToken), map[string]string{"X-User": "alice", "Authorization": ""})
			for name, token := range map[string]string{
				"ID token":         tokens.IDToken,
				"refresh token":    tokens.RefreshToken,
				"no audience":      h.token(t, client, ""),
				"another audience": h.token(t, client, "https://elsewhere.example.com"),
			} {
				t.Run(name, func(t *testing.T) { g.refuses(t, token, http.StatusUnauthorized, "invalid_token") })
			}
		})
	}
}
