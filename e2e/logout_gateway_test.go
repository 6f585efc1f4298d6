//go:build e2e

package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"
)

// front is a server in front of a gateway, at an address that is known before the gateway runs. The authorization
// server sends its logout requests there.
type front struct {
	*httptest.Server
	gate *gate
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := new(front)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(&httputil.ReverseProxy{
			Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: "gate"}) },
			Transport: f.gate.client.Transport,
		}).ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// Alice signs in with two browsers, and signs out in one of them. From then on the gateway refuses the access tokens of
// that session, which it has accepted before, and goes on accepting those of the other. Then she signs out with a third
// browser, of a client whose logout tokens name the user alone. That ends the other session, too.
func TestASignOutEndsAccessTokensAtTheGateway(t *testing.T) {
	as := ownProvider(t)
	at := newFront(t)
	client, whole := as.register(t, at.URL+"/backchannel", true), as.register(t, at.URL+"/backchannel", false)
	store := filepath.Join(t.TempDir(), "store.db")
	at.gate = startSiteWith(t, "bearer_auth {\nstore file "+store+"\n}", func(backend string) string {
		return "bearer_auth {\nissuer " + as.Issuer + " {\naudience https://api.example.com\nmax_lifetime 10m\n" +
			"backchannel_logout /backchannel {\nclient_id " + client + " " + whole + "\nwithout_sid sub\n}\n}\n}\n" +
			"reverse_proxy " + backend
	})
	forAPI := url.Values{"scope": {"openid read"}, "resource": {as.resource(t, "RS256")}}
	first, second, third := newUser(t), newUser(t), newUser(t)
	one, other := first.logInFor(t, as, client, forAPI), second.logInFor(t, as, client, forAPI)
	var session struct {
		ID string `json:"sid"`
	}
	if err := json.Unmarshal(payload(t, one.Access), &session); err != nil || session.ID == "" {
		t.Fatalf("the access token names no session: %v", err)
	}
	for range 3 {
		at.gate.accepts(t, one.Access)
		at.gate.accepts(t, other.Access)
	}
	first.logOut(t, as) // the server answers when it has told all clients
	at.gate.refuses(t, one.Access, http.StatusUnauthorized, "invalid_token")
	at.gate.accepts(t, other.Access)

	third.logInFor(t, as, whole, forAPI)
	third.logOut(t, as)
	at.gate.refuses(t, other.Access, http.StatusUnauthorized, "invalid_token")
}
