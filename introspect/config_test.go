package introspect_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
	"github.com/caddyjwt/gateway/introspect"
)

// mutations that must be errors, with a word that the error must tell.
func TestMistakesInTheConfiguration(t *testing.T) {
	type config = introspect.Config
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var nilKey *rsa.PrivateKey
	p224 := ecKey(t, elliptic.P224())
	p256 := ecKey(t, elliptic.P256())
	discover := func(context.Context) (introspect.Endpoint, error) { return introspect.Endpoint{}, nil }
	verify := func(context.Context, string) ([]byte, error) { return nil, nil }
	jwtAuth := func(c *config) { c.AuthMethod, c.ClientSecret = introspect.ClientSecretJWT, secret32 }
	for _, test := range []struct {
		name   string
		change func(*config)
		word   string
	}{
		{"no endpoint", func(c *config) { c.Endpoint = "" }, "Endpoint"},
		{"endpoint and discovery", func(c *config) { c.Discover = discover }, "Discover"},
		{"discovery without an issuer", func(c *config) { c.Endpoint, c.Discover = "", discover }, "Issuer"},
		{"http", func(c *config) { c.Endpoint = "http://as.example.com/i" }, "https"},
		{"http to a name like localhost", func(c *config) { c.Endpoint = "http://localhost.example.com/i" }, "https"},
		{"http to a private address", func(c *config) { c.Endpoint = "http://10.0.0.1/i" }, "https"},
		{"another scheme", func(c *config) { c.Endpoint = "ftp://as.example.com/i" }, "https"},
		{"no scheme", func(c *config) { c.Endpoint = "as.example.com/i" }, "scheme"},
		{"no host", func(c *config) { c.Endpoint = "https:///i" }, "host"},
		{"a password in the URL", func(c *config) { c.Endpoint = "https://u:hunter2@as.example.com/i" }, "user information"},
		{"a fragment", func(c *config) { c.Endpoint = "https://as.example.com/i#x" }, "fragment"},
		{"an empty fragment", func(c *config) { c.Endpoint = "https://as.example.com/i#" }, "fragment"},
		{"a placeholder", func(c *config) { c.Endpoint = "https://as.example.com/{tenant}/i" }, "braces"},
		{"not a URL", func(c *config) { c.Endpoint = "https://[" }, "URL"},
		{"no authentication", func(c *config) { c.ClientSecret = "" }, "authentication"},
		{"an unknown method", func(c *config) { c.AuthMethod = "basic" }, "unknown"},
		{"no client id", func(c *config) { c.ClientID = "" }, "ClientID"},
		{"none with a secret", func(c *config) { c.AuthMethod = introspect.None }, "ClientSecret"},
		{"a secret and a key", func(c *config) { c.PrivateKey = p256 }, "ClientSecret"},
		{"a secret and a bearer token", func(c *config) { c.BearerToken = "x" }, "BearerToken"},
		{"post without a secret", func(c *config) { c.AuthMethod, c.ClientSecret = introspect.ClientSecretPost, "" }, "ClientSecret"},
		{"a key method without a key", func(c *config) { c.AuthMethod, c.ClientSecret = introspect.PrivateKeyJWT, "" }, "PrivateKey"},
		{"an EC key with a curve alone", func(c *config) {
			c.ClientSecret, c.PrivateKey = "", &ecdsa.PrivateKey{PublicKey: ecdsa.PublicKey{Curve: elliptic.P256()}}
		}, "incomplete"},
		{"an EC key without a private part", func(c *config) {
			c.ClientSecret, c.PrivateKey = "", &ecdsa.PrivateKey{PublicKey: p256.PublicKey}
		}, "incomplete"},
		{"an RSA key without a private part", func(c *config) {
			c.ClientSecret, c.PrivateKey = "", &rsa.PrivateKey{PublicKey: strong.PublicKey}
		}, "incomplete"},
		{"an Ed25519 key that is too short", func(c *config) { c.ClientSecret, c.PrivateKey = "", ed25519.PrivateKey("x") }, "PrivateKey"},
		{"a password in a URL of another form", func(c *config) { c.Endpoint = "https:u:hunter2@as.example.com/i" }, "host"},
		{"a key in the query of a URL that is refused", func(c *config) { c.Endpoint = "http://as.example.com/i?key=hunter2" }, "https"},
		{"a key in the query of no URL", func(c *config) { c.Endpoint = "as.example.com/i?key=hunter2" }, "scheme"},
		{"bearer without a token", func(c *config) { c.AuthMethod, c.ClientSecret = introspect.Bearer, "" }, "BearerToken"},
		{"a bearer token of two words", func(c *config) { c.ClientSecret, c.BearerToken = "", "a b" }, "BearerToken"},
		{"a certificate without a client", func(c *config) { c.AuthMethod, c.ClientSecret = introspect.TLSClientAuth, "" }, "HTTPClient"},
		{"a certificate over http", func(c *config) {
			c.AuthMethod, c.ClientSecret, c.HTTPClient, c.Endpoint = introspect.TLSClientAuth, "", http.DefaultClient, "http://localhost/i"
		}, "TLS"},
		{"a short secret for HS256", func(c *config) { c.AuthMethod = introspect.ClientSecretJWT }, "32"},
		{"a short secret for HS512", func(c *config) { jwtAuth(c); c.AssertionAlg = "HS512" }, "64"},
		{"a signature with a secret", func(c *config) { jwtAuth(c); c.AssertionAlg = "RS256" }, "HS256"},
		{"alg none", func(c *config) { jwtAuth(c); c.AssertionAlg = "none" }, "none"},
		{"an HMAC with a key", func(c *config) { c.ClientSecret, c.PrivateKey, c.AssertionAlg = "", p256, "HS256" }, "ES256"},
		{"another curve", func(c *config) { c.ClientSecret, c.PrivateKey, c.AssertionAlg = "", p256, "ES384" }, "ES256"},
		{"a weak key", func(c *config) { c.ClientSecret, c.PrivateKey = "", weak }, "2048"},
		{"an unsupported curve", func(c *config) { c.ClientSecret, c.PrivateKey = "", p224 }, "P-256"},
		{"a key that is nil", func(c *config) { c.ClientSecret, c.PrivateKey = "", nilKey }, "PrivateKey"},
		{"kid without assertions", func(c *config) { c.AuthMethod, c.KeyID = introspect.ClientSecretBasic, "k" }, "KeyID"},
		{"raw post", func(c *config) { c.AuthMethod, c.RawBasic = introspect.ClientSecretPost, true }, "RawBasic"},
		{"raw with a colon", func(c *config) { c.ClientID, c.RawBasic = "a:b", true }, "colon"},
		{"raw with a control character", func(c *config) { c.ClientSecret, c.RawBasic = "a\nb", true }, "control"},
		{"signed without a verifier", func(c *config) { c.Signed = true }, "VerifySigned"},
		{"a verifier without signed", func(c *config) { c.VerifySigned = verify }, "Signed"},
		{"the token as a parameter", func(c *config) { c.Params = []introspect.Param{{Name: "token", Value: "x"}} }, "token"},
		{"a second secret", func(c *config) { c.Params = []introspect.Param{{Name: "client_secret", Value: "x"}} }, "client_secret"},
		{"a parameter without a name", func(c *config) { c.Params = []introspect.Param{{Value: "x"}} }, "Params"},
		{"a parameter twice", func(c *config) { c.Params = []introspect.Param{{Name: "a"}, {Name: "a"}} }, "twice"},
		{"a hint with a space", func(c *config) { c.TokenTypeHint = "access token" }, "TokenTypeHint"},
		{"a long time to live", func(c *config) { c.CacheTTL = 5*time.Minute + 1 }, "CacheTTL"},
		{"a negative time to live", func(c *config) { c.CacheTTL = -time.Second }, "CacheTTL"},
		{"a long negative time to live", func(c *config) { c.NegativeTTL = time.Hour }, "NegativeTTL"},
		{"a long timeout", func(c *config) { c.Timeout = time.Minute }, "Timeout"},
		{"a negative timeout", func(c *config) { c.Timeout = -1 }, "Timeout"},
		{"negative calls in flight", func(c *config) { c.MaxInFlight = -1 }, "MaxInFlight"},
		{"too many calls in flight", func(c *config) { c.MaxInFlight = 1 << 20 }, "MaxInFlight"},
		{"negative bytes", func(c *config) { c.CacheBytes = -1 }, "CacheBytes"},
		{"negative entries", func(c *config) { c.NegativeEntries = -1 }, "NegativeEntries"},
		{"negative failures", func(c *config) { c.BreakerFailures = -1 }, "BreakerFailures"},
		{"a long wait", func(c *config) { c.BreakerWait = time.Hour }, "BreakerWait"},
		{"an unknown mode", func(c *config) { c.Mode = 7 }, "Mode"},
		{"userinfo with credentials", func(c *config) { c.Mode = introspect.UserInfo }, "UserInfo"},
		{"userinfo with a hint", func(c *config) { userInfo(c); c.TokenTypeHint = "x" }, "UserInfo"},
		{"userinfo with parameters", func(c *config) { userInfo(c); c.Params = []introspect.Param{{Name: "a"}} }, "UserInfo"},
		{"signed userinfo", func(c *config) { userInfo(c); c.Signed, c.VerifySigned = true, verify }, "UserInfo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := basicConfig("https://as.example.com/introspect")
			test.change(&cfg)
			cfg.Fingerprint() // must not panic on what New refuses
			_, err := introspect.New(cfg)
			if !errors.Is(err, introspect.ErrConfig) {
				t.Fatalf("the error is %v", err)
			}
			if !strings.Contains(err.Error(), test.word) {
				t.Errorf("the error %q does not tell %q", err, test.word)
			}
			wantSilent(t, err, "s3cret", "hunter2")
		})
	}
}

func TestGoodConfigurations(t *testing.T) {
	for _, endpoint := range []string{
		"https://as.example.com/i", "https://as.example.com:8443/i?tenant=a", "http://localhost:8080/i", "http://127.0.0.2/i", "http://[::1]:80/i",
	} {
		if c, err := introspect.New(basicConfig(endpoint)); err != nil {
			t.Errorf("%s: %v", endpoint, err)
		} else {
			c.Close()
		}
	}
}

func TestEveryFieldIsPartOfTheFingerprint(t *testing.T) {
	base := basicConfig("https://as.example.com/i")
	hashingtest.EveryField(t, base, introspect.Config.Fingerprint)
	explicit := base
	explicit.CacheTTL, explicit.TokenTypeHint = introspect.DefaultCacheTTL, "access_token"
	if explicit.Fingerprint() != base.Fingerprint() {
		t.Error("a default that is written out changes the fingerprint")
	}
	one, two := base, base
	one.PrivateKey, two.PrivateKey = ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	if one.Fingerprint() == base.Fingerprint() || one.Fingerprint() == two.Fingerprint() {
		t.Error("the private key is not part of the fingerprint")
	}
	c := newClient(t, base)
	if c.Fingerprint() != base.Fingerprint() {
		t.Error("the client has another fingerprint than its configuration")
	}
}

// A configuration that New would refuse has a fingerprint, too: a pool may ask for it first.
func TestTheFingerprintOfABadConfiguration(t *testing.T) {
	for _, cfg := range []introspect.Config{
		{},
		{PrivateKey: &ecdsa.PrivateKey{}},
		{PrivateKey: &ecdsa.PrivateKey{PublicKey: ecdsa.PublicKey{Curve: elliptic.P256()}}},
		{PrivateKey: &rsa.PrivateKey{}},
		{PrivateKey: (*rsa.PrivateKey)(nil)},
		{PrivateKey: ed25519.PrivateKey{}},
		{AuthMethod: introspect.PrivateKeyJWT, CacheTTL: -5, MaxInFlight: -1, Mode: 200},
	} {
		if cfg.Fingerprint() == [32]byte{} {
			t.Errorf("%T has no fingerprint", cfg.PrivateKey)
		}
		if _, err := introspect.New(cfg); !errors.Is(err, introspect.ErrConfig) {
			t.Errorf("New with %T: %v", cfg.PrivateKey, err)
		}
	}
}

func TestPrintingTellsNoSecrets(t *testing.T) {
	cfg := basicConfig("https://as.example.com/i?key=s3cret")
	c := newClient(t, cfg)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, value := range []any{cfg, &cfg, c} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, "s3cret") || strings.Contains(text, "733363726574") {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
}

func TestCausesHaveNamesAndClasses(t *testing.T) {
	names := map[string]bool{}
	for cause := introspect.CauseUnavailable; cause <= introspect.CauseCanceled; cause++ {
		name := cause.String()
		if name == "unknown" || names[name] || !strings.Contains(cause.Error(), name) {
			t.Errorf("cause %d is called %q", cause, name)
		}
		names[name] = true
	}
	if name := introspect.Cause(200).String() + introspect.Cause(0).String(); name != "unknownunknown" {
		t.Errorf("no cause is called %q", name)
	}
	if (&introspect.NoVerdictError{Cause: introspect.CauseTimeout}).Error() != "introspect: no verdict: timeout" {
		t.Error("an error without details says nothing")
	}
}
