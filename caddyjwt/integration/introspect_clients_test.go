package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// UserInfo as the weaker alternative.
func TestIntrospectUserInfo(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case status.Load() != http.StatusOK:
			w.WriteHeader(int(status.Load()))
		case r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer good":
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprint(w, `{"sub":"alice","email":"alice@example.com"}`)
		}
	}))
	t.Cleanup(server.Close)
	as := tokentest.NewAS(t)
	s := start(t, gateFor(issuerBlock(as.URL, "audience any",
		"introspect opaque {\nverify userinfo\nendpoint "+server.URL+"\n}"), "forward_claims X-Email email"))
	if got := s.passed(s.get("/", "good")).Header.Get("X-Email"); got != "alice@example.com" {
		t.Errorf("X-Email %q", got)
	}
	s.refused(s.get("/", "bad"), http.StatusUnauthorized, "inactive")
	status.Store(http.StatusInternalServerError)
	s.ourFaultFor(s.get("/", "third"), http.StatusServiceUnavailable, "introspection_unavailable", true)
	s.accepts("good")
}

// The aud of a UserInfo answer is the client (OpenID Connect Core 1.0 section 5.3.2), as with Ory Hydra. It contradicts
// no token, and nothing takes it for the token's audience.
func TestIntrospectUserInfoHasTheAudienceOfTheClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"sub":"alice","iss":%q,"aud":["some-client"]}`, as.URL)
	}))
	t.Cleanup(server.Close)
	userInfo := "{\nverify userinfo\nendpoint " + server.URL + "\n}"

	s := start(t, gateForAudience(issuerBlock(as.URL, "introspect always "+userInfo)))
	token := key.Sign(t, issuedBy(as.URL, "sub", "alice"))
	s.accepts(token)
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "sub", "bob"))), http.StatusUnauthorized, "contradiction")

	opaque := start(t,
		gateFor(issuerBlock(as.URL, "audience any", "introspect opaque "+userInfo), "forward_claims X-Aud aud"))
	if got := opaque.passed(opaque.get("/", "opaque")).Header.Get("X-Aud"); got != "" {
		t.Errorf("the backend gets an audience of the token: %q", got)
	}
}

// The ways to authenticate, as the server sees them.
func TestIntrospectClientAuthentication(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "client")
	path := writeFile(t, filepath.Join(t.TempDir(), "key.pem"), key.PrivatePEM())
	secret := base64.StdEncoding.EncodeToString(tokentest.NewKey(t, "HS256", "assertion").Secret())
	for method, test := range map[string]struct {
		lines []string
		want  string
	}{
		"client_secret_basic": {[]string{"client_id gate:way", "client_secret " + secret}, "client_secret_basic"},
		"client_secret_post":  {[]string{"client_id gate:way", "client_secret " + secret}, "client_secret_post"},
		"client_secret_jwt":   {[]string{"client_id gate:way", "client_secret " + secret}, "client_assertion"},
		"private_key_jwt":     {[]string{"client_id gate:way", "private_key " + path + " kid-1"}, "client_assertion"},
		"bearer":              {[]string{"bearer_token our-own-token"}, "bearer"},
		"none":                {nil, "none"},
	} {
		t.Run(method, func(t *testing.T) {
			as := tokentest.NewAS(t)
			as.Introspect(always(active()))
			s := start(t, gateForAudience(issuerBlock(as.URL, "introspect opaque {\nendpoint "+as.IntrospectionURL()+
				"\nauth_method "+method+"\n"+strings.Join(test.lines, "\n")+"\n}")))
			s.accepts("token")
			asked := as.IntrospectionRequests()
			if len(asked) != 1 || asked[0].AuthMethod != test.want || asked[0].Token != "token" {
				t.Fatalf("asked %+v", asked[0])
			}
			if strings.HasPrefix(method, "client_secret_") && test.want != "client_assertion" &&
				asked[0].ClientID != "gate:way" {
				t.Errorf("client %q", asked[0].ClientID)
			}
		})
	}
}
