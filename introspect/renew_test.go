package introspect_test

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/introspect"
)

// rotation is credentials that a test replaces.
type rotation struct {
	mu      sync.Mutex
	present introspect.Credentials
	later   *introspect.Credentials // what comes once the present ones are refused
	refused int
}

func (r *rotation) renew(refused bool) introspect.Credentials {
	r.mu.Lock()
	defer r.mu.Unlock()
	if refused {
		r.refused++
		if r.later != nil {
			r.present, r.later = *r.later, nil
		}
	}
	return r.present
}

// passwords is a server that accepts one password, and notes all that it gets.
type passwords struct {
	mu    sync.Mutex
	good  string
	shown []string
}

func (p *passwords) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, password, _ := r.BasicAuth()
	p.shown = append(p.shown, password)
	if password != p.good {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer(`{"active":true}`)(w, r)
}

func TestEachQuestionHasTheCredentialsOfItsMoment(t *testing.T) {
	r := &rotation{present: introspect.Credentials{ClientSecret: "one", Version: 1}}
	p := &passwords{good: "one"}
	cfg := basicConfig(newServer(t, p.ServeHTTP).URL)
	cfg.Renew = r.renew
	c := newClient(t, cfg)
	for i, step := range []struct {
		good           string
		present, later string
		shown          []string
		cause          introspect.Cause
	}{
		{"one", "one", "", []string{"one"}, 0},
		{"two", "two", "", []string{"two"}, 0},
		{"three", "two", "", []string{"two"}, introspect.CauseRefused},                  // nothing new
		{"three", "two", "three", []string{"two", "three"}, 0},                          // new at the second look
		{"good", "three", "wrong", []string{"three", "wrong"}, introspect.CauseRefused}, // once is enough
		{"good", "good", "", []string{"good"}, 0},                                       // and it recovers
		{"other", "good", "good", []string{"good"}, introspect.CauseRefused},            // the same again
		{"good", "good", "", []string{"good"}, 0},
	} {
		r.mu.Lock()
		set := func(secret string) introspect.Credentials {
			return introspect.Credentials{ClientSecret: secret, Version: uint64(len(secret))<<8 + uint64(secret[0])}
		}
		r.present, r.later = set(step.present), nil
		if step.later != "" {
			later := set(step.later)
			r.later = &later
		}
		r.mu.Unlock()
		p.mu.Lock()
		p.good, p.shown = step.good, nil
		p.mu.Unlock()
		result, err := c.Introspect(t.Context(), "token-"+strings.Repeat("x", i))
		if step.cause != 0 {
			wantSilent(t, wantCause(t, step.cause, result, err), step.present)
		} else {
			wantActive(t, true, result, err)
		}
		if !slices.Equal(p.shown, step.shown) {
			t.Errorf("step %d: the server was shown %q, want %q", i, p.shown, step.shown)
		}
	}
}

// Only 401 says that it is about our credentials.
func TestOtherAnswersAskForNoOtherCredentials(t *testing.T) {
	for _, status := range []int{400, 403, 404, 429, 500, 503} {
		r := &rotation{present: introspect.Credentials{ClientSecret: "one", Version: 1}}
		cfg := basicConfig(newServer(t, reply(status, "application/json", `{"error":"invalid_token"}`)).URL)
		cfg.Renew = r.renew
		_, _ = newClient(t, cfg).Introspect(t.Context(), testToken)
		if r.refused != 0 {
			t.Errorf("status %d: the credentials are taken as refused", status)
		}
	}
}

func TestRenewedKeysAndTokens(t *testing.T) {
	one, two := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	var last http.Header
	var form map[string][]string
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		last = r.Header
		if r.ParseForm() == nil {
			form = r.PostForm
		}
		answer(`{"active":true}`)(w, r)
	})
	t.Run("private_key_jwt", func(t *testing.T) {
		r := &rotation{present: introspect.Credentials{PrivateKey: one, Version: 1}}
		c := newClient(t, introspect.Config{Endpoint: s.URL, ClientID: "gateway", PrivateKey: one, Renew: r.renew})
		for i, key := range []crypto.Signer{one, two} { // the algorithm follows the key
			r.present = introspect.Credentials{PrivateKey: key, Version: uint64(i)}
			result, err := c.Introspect(t.Context(), testToken+strings.Repeat("x", i))
			wantActive(t, true, result, err)
			_, err = jwt.Parse(form["client_assertion"][0], func(*jwt.Token) (any, error) { return key.Public(), nil })
			if err != nil {
				t.Errorf("key %d: %v", i, err)
			}
		}
	})
	t.Run("bearer", func(t *testing.T) {
		r := &rotation{}
		c := newClient(t, introspect.Config{Endpoint: s.URL, BearerToken: "first", Renew: r.renew})
		for i, token := range []string{"second", "third"} {
			r.present = introspect.Credentials{BearerToken: token, Version: uint64(i)}
			result, err := c.Introspect(t.Context(), testToken+strings.Repeat("x", i))
			wantActive(t, true, result, err)
			if got := last.Get("Authorization"); got != "Bearer "+token {
				t.Errorf("Authorization is %q", got)
			}
		}
	})
}

// What changes cannot identify a client: a reload with another secret must find the client from before.
func TestRenewedSecretsAreNotPartOfTheFingerprint(t *testing.T) {
	base := basicConfig("https://as.example.com/i")
	base.Renew = func(bool) introspect.Credentials { return introspect.Credentials{} }
	for name, change := range map[string]func(*introspect.Config){
		"ClientSecret": func(c *introspect.Config) { c.ClientSecret = "other" },
		"BearerToken":  func(c *introspect.Config) { c.BearerToken = "other" },
		"PrivateKey":   func(c *introspect.Config) { c.PrivateKey = ecKey(t, elliptic.P256()) },
	} {
		other := base
		if change(&other); other.Fingerprint() != base.Fingerprint() {
			t.Errorf("%s counts", name)
		}
		other.Renew = nil
		if fixed := base; fixed.Renew == nil || other.Fingerprint() == base.Fingerprint() {
			t.Errorf("%s does not count even if it never changes", name)
		}
	}
}

func TestPlainHTTPIsAllowedExplicitly(t *testing.T) {
	for _, test := range []struct {
		name  string
		cfg   introspect.Config
		field string // that the error is about; empty when it is good
	}{
		{"a name", introspect.Config{Endpoint: "http://keycloak:8080/i"}, "Endpoint"},
		{"a name, allowed", introspect.Config{Endpoint: "http://keycloak:8080/i", PlainHTTP: introspect.PrivateHTTP}, ""},
		{"a shared address",
			introspect.Config{Endpoint: "http://100.64.0.1/i", PlainHTTP: introspect.PrivateHTTP}, "Endpoint"},
		{"a shared address, allowed",
			introspect.Config{Endpoint: "http://100.64.0.1/i", PlainHTTP: introspect.SharedHTTP}, ""},
		{"a public address", introspect.Config{Endpoint: "http://8.8.8.8/i", PlainHTTP: introspect.SharedHTTP}, "Endpoint"},
		{"an unknown value", introspect.Config{Endpoint: "https://as.example.com/i", PlainHTTP: 3}, "PlainHTTP"},
	} {
		test.cfg.ClientID, test.cfg.ClientSecret = "gateway", "s3cret"
		c, err := introspect.New(test.cfg)
		if c != nil {
			c.Close()
		}
		field := ""
		if mistake, is := errors.AsType[*introspect.ConfigError](err); is {
			field = mistake.Field
		}
		if field != test.field {
			t.Errorf("%s: error about %q, want %q: %v", test.name, field, test.field, err)
		}
	}
}

// What the metadata names is judged like what the configuration has.
func TestDiscoveredPlainHTTP(t *testing.T) {
	for _, test := range []struct {
		name, url string
		plain     introspect.PlainHTTP
		asked     bool
	}{
		{"not allowed", "http://keycloak:8080/i", introspect.LoopbackHTTP, false},
		{"allowed", "http://keycloak:8080/i", introspect.PrivateHTTP, true},
		{"public", "http://8.8.8.8/i", introspect.SharedHTTP, false},
		{"with a password", "http://a:b@keycloak/i", introspect.SharedHTTP, false},
	} {
		asked := false
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			asked = true
			return response(200, `{"active":true}`), nil
		})
		cfg.Endpoint, cfg.Issuer, cfg.PlainHTTP = "", "http://keycloak:8080", test.plain
		cfg.Discover = func(context.Context) (introspect.Endpoint, error) { return introspect.Endpoint{URL: test.url}, nil }
		result, err := newClient(t, cfg).Introspect(t.Context(), testToken)
		if test.asked {
			wantActive(t, true, result, err)
		} else {
			wantCause(t, introspect.CauseProtocol, result, err)
		}
		if asked != test.asked {
			t.Errorf("%s: asked %v", test.name, asked)
		}
	}
}
