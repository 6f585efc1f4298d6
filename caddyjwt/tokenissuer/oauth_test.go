package tokenissuer

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A client may name these as the aud of an assertion. What two issuers could have in common is not among them.
func TestTheAddressesForClients(t *testing.T) {
	for name, want := range map[string][]string{
		"https://gate.test":  {"https://gate.test/t", "https://gate.test/i", "https://gate.test/r"},
		"https://gate.test/": {"https://gate.test/t", "https://gate.test/i", "https://gate.test/r"},
		"http://gate.test:8080/tenant": {
			"http://gate.test:8080/t", "http://gate.test:8080/i", "http://gate.test:8080/r",
		},
		"https://gate.test/a%20b": {"https://gate.test/t", "https://gate.test/i", "https://gate.test/r"},
		"gate":                    {"gate"},
	} {
		i := &issuer{compiled: &compiled{name: name, oauth: OAuthEndpoints{"/t", "/i", "/r"}}}
		if got := i.oauthAddresses(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// While the keys of a client cannot be fetched, strangers who say that they are the client fill no log.
func TestAttackNoStrangerFillsTheLogWhileKeysAreAway(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "client batch {\njwks http://127.0.0.1:1/keys\naudience https://gate.test\n}")
	stranger := tokentest.NewKey(t, "ES256", "k1")
	for range 3 {
		assertion := stranger.Sign(t, map[string]any{
			"iss": "batch", "sub": "batch", "aud": "https://gate.test", "jti": "a", "exp": time.Now().Add(time.Minute).Unix(),
		})
		s.asClient(503, url.Values{
			"grant_type": {"client_credentials"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "could not be answered") { // it would be there before the client has its answer
		t.Errorf("%s", text)
	}
}

// A token of a client that gates would not take is not given out, and the log says why.
func TestATokenOfAClientIsNotLongerThanGatesTake(t *testing.T) {
	s := newServer(t)
	var scopes []string
	for i := range 40 {
		scopes = append(scopes, fmt.Sprint(i, strings.Repeat("x", 400)))
	}
	for i, kind := range []string{"jwt", "opaque"} {
		s.runs("https://gate.test", "client batch {\nsecret_hash "+hash+"\naudience https://gate.test\nscopes "+
			strings.Join(scopes, " ")+"\ntoken "+kind+"\nclaim a b\n}")
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"batch"}, "client_secret": {"secret"}}
		s.asClient(503, form)
		if log, err := os.ReadFile(filepath.Join(s.dir, "log")); err != nil ||
			strings.Count(string(log), "and gates take 16384") != i+1 {
			t.Errorf("%s: the log does not say why: %v", kind, err)
		}
		form.Set("scope", scopes[0])
		if token := s.asClient(200, form); token["access_token"] == nil {
			t.Errorf("%s: %v", kind, token)
		}
	}
}
