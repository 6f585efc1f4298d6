//go:build e2e

package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/logout"
)

const loggedIn = "http://localhost:9999/signed-in" // where a login ends; nobody listens there

// logoutReceiver is a server that receives logout requests, and what has become of them.
type logoutReceiver struct {
	*logout.Receiver
	server *httptest.Server
	client string // our client id, which the authorization server has chosen

	mu       sync.Mutex
	kept     map[string]bool
	ended    []logout.Logout
	tokens   []string // as they came
	outcomes []logout.Outcome
}

// receiveLogouts registers a client whose logout requests are received here. The server ends a session of the client
// alone if withSession is true, and leaves out sid otherwise.
func receiveLogouts(t *testing.T, as *authorizationServer, withSession bool) *logoutReceiver {
	t.Helper()
	r := &logoutReceiver{kept: make(map[string]bool)}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	r.client = as.register(t, r.server.URL+"/backchannel", withSession)
	keys, err := keyset.NewDiscovery(keyset.DiscoveryOptions{Issuer: as.Issuer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	r.Receiver, err = logout.New(logout.Config{
		Issuer: as.Issuer, Keys: keys, Algorithms: jose.MakeAlgorithms(jose.RS256), Clients: []string{r.client},
		Leeway: 5 * time.Second, WithoutSID: logout.EndAll, Seen: r.seen, Remember: r.remember, Revoke: r.revoke,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// register registers a client whose users can log in, and whose logout requests are sent to an address. It returns the
// client id, which the server has chosen.
func (as *authorizationServer) register(t *testing.T, logoutURI string, withSession bool) string {
	t.Helper()
	var registered struct {
		ID string `json:"client_id"`
	}
	answer := postJSON(t, as.Issuer+"/reg", map[string]any{
		"redirect_uris": []string{loggedIn}, "token_endpoint_auth_method": "none", "application_type": "native",
		"response_types": []string{"code"}, "grant_types": []string{"authorization_code"},
		"backchannel_logout_uri": logoutURI, "backchannel_logout_session_required": withSession,
	})
	if err := json.Unmarshal(answer, &registered); err != nil || registered.ID == "" {
		t.Fatalf("registration: %v in %s", err, answer)
	}
	return registered.ID
}

func (r *logoutReceiver) seen(_ context.Context, key string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept[key], nil
}

func (r *logoutReceiver) remember(_ context.Context, key string, _ time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept[key] = true
	return nil
}

func (r *logoutReceiver) revoke(_ context.Context, l logout.Logout) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, l)
	return nil
}

// ServeHTTP keeps the token and answers.
func (r *logoutReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	outcome, err := r.Receive(req)
	form, _ := url.ParseQuery(string(body))
	r.mu.Lock()
	r.tokens, r.outcomes = append(r.tokens, form.Get("logout_token")), append(r.outcomes, outcome)
	r.mu.Unlock()
	logout.Answer(w, err)
}

// A user logs out at the authorization server, which then tells each client at which the user had logged in.
func TestALogoutAtTheAuthorizationServerEndsTheSession(t *testing.T) {
	as := ownProvider(t)
	one, all := receiveLogouts(t, as, true), receiveLogouts(t, as, false)
	browser := newUser(t)
	tokens := browser.logIn(t, as, one.client)
	browser.logIn(t, as, all.client)
	var id struct {
		Session string `json:"sid"`
	}
	if err := json.Unmarshal(payload(t, tokens.ID), &id); err != nil || id.Session == "" {
		t.Fatalf("the ID token has no sid: %v", err)
	}
	browser.logOut(t, as) // the server answers when it has told all clients
	if len(one.ended) != 1 || one.ended[0].Session != id.Session || one.ended[0].Subject != "alice" {
		t.Errorf("with sid %q: ended %+v", id.Session, one.ended)
	}
	if len(all.ended) != 1 || all.ended[0].Session != "" || all.ended[0].Subject != "alice" {
		t.Errorf("without sid: ended %+v", all.ended)
	}

	// The same request again has no further effect, and another receiver takes no token that is not for it.
	for receiver, status := range map[*logoutReceiver]int{one: 200, all: 400} {
		res, err := http.PostForm(receiver.server.URL, url.Values{"logout_token": {one.tokens[0]}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != status || len(receiver.ended) != 1 {
			t.Errorf("the token of the first client again: %s, and ended %+v", res.Status, receiver.ended)
		}
	}
	if len(one.outcomes) != 2 || one.outcomes[1] != logout.Repeated {
		t.Errorf("outcomes %v", one.outcomes)
	}

	// Neither kind of token passes for the other.
	g := startGateway(t, "issuer "+as.Issuer+" {\naudience "+one.client+"\n}\n")
	g.refuses(t, one.tokens[0], http.StatusUnauthorized, "invalid_token")
	for name, token := range map[string]string{
		"ID token": tokens.ID, "access token": as.token(t, as.Issuer, "RS256", "read"),
	} {
		res, err := http.PostForm(one.server.URL, url.Values{"logout_token": {token}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest || len(one.ended) != 1 {
			t.Errorf("the %s as a logout token: %s", name, res.Status)
		}
	}
}

// payload is the middle part of a JWT.
func payload(t *testing.T, token string) []byte {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatal("not a JWT")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// user is a client that keeps cookies, as a browser does. It stops where a login ends.
type user struct{ http.Client }

func newUser(t *testing.T) *user {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &user{http.Client{
		Jar: jar, Timeout: 30 * time.Second,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), loggedIn) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}
}

// userTokens are what a client gets when a user has signed in.
type userTokens struct {
	ID     string `json:"id_token"`
	Access string `json:"access_token"`
}

// logIn signs alice in (OpenID Connect Core 1.0 section 3.1, RFC 7636).
func (u *user) logIn(t *testing.T, as *authorizationServer, client string) userTokens {
	t.Helper()
	return u.logInFor(t, as, client, url.Values{"scope": {"openid"}})
}

// logInFor is logIn for an access token, with more parameters in both requests.
func (u *user) logInFor(t *testing.T, as *authorizationServer, client string, more url.Values) (tokens userTokens) {
	t.Helper()
	with := func(parameters url.Values) url.Values {
		maps.Copy(parameters, more)
		return parameters
	}
	verifier := strings.Repeat("v", 43)
	challenge := sha256.Sum256([]byte(verifier))
	res, _ := u.do(t, http.MethodGet, as.Issuer+"/auth?"+with(url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {loggedIn}, "state": {"state"},
		"nonce": {"nonce"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}).Encode(), nil)
	end, err := res.Location()
	if err != nil || !end.Query().Has("code") {
		t.Fatalf("the login ended at %v: %v", end, err)
	}
	_, answer := u.do(t, http.MethodPost, as.Issuer+"/token", with(url.Values{
		"grant_type": {"authorization_code"}, "code": {end.Query().Get("code")}, "redirect_uri": {loggedIn},
		"client_id": {client}, "code_verifier": {verifier},
	}))
	if err := json.Unmarshal(answer, &tokens); err != nil || tokens.ID == "" {
		t.Fatalf("token endpoint: %v in %s", err, answer)
	}
	return tokens
}

var hiddenXSRF = regexp.MustCompile(`name="xsrf" value="([^"]+)"`)

// logOut ends the session at the server, and with it those at all clients (OpenID Connect RP-Initiated Logout 1.0).
func (u *user) logOut(t *testing.T, as *authorizationServer) {
	t.Helper()
	_, form := u.do(t, http.MethodGet, as.Issuer+"/session/end", nil)
	found := hiddenXSRF.FindSubmatch(form)
	if found == nil {
		t.Fatalf("no form in %s", form)
	}
	u.do(t, http.MethodPost, as.Issuer+"/session/end/confirm",
		url.Values{"xsrf": {string(found[1])}, "logout": {"yes"}})
}

// do sends a form, or nothing.
func (u *user) do(t *testing.T, method, address string, form url.Values) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return finish(t, &u.Client, req)
}

// postJSON sends a JSON object (RFC 7591 section 3.1).
func postJSON(t *testing.T, address string, object any) []byte {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	_, answer := finish(t, http.DefaultClient, req)
	return answer
}

// finish sends a request, and requires a good answer.
func finish(t *testing.T, client *http.Client, req *http.Request) (*http.Response, []byte) {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 400 {
		t.Fatalf("%s %s: %s, %v\n%s", req.Method, req.URL, res.Status, err, body)
	}
	return res, body
}
