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
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

// Each change makes a mistake in the named field. The error text must not name the field, since programs have their own
// names for them.
func TestMistakesInTheConfiguration(t *testing.T) {
	type config = introspect.Config
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	strong := tokentest.NewRSA()
	var nilKey *rsa.PrivateKey
	p224 := ecKey(t, elliptic.P224())
	p256 := ecKey(t, elliptic.P256())
	discover := func(context.Context) (introspect.Endpoint, error) { return introspect.Endpoint{}, nil }
	verify := func(context.Context, string) ([]byte, error) { return nil, nil }
	var names []string
	for field := range reflect.TypeFor[config]().Fields() {
		names = append(names, field.Name)
	}
	fields := regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\b`)
	jwtAuth := func(c *config) { c.AuthMethod, c.ClientSecret = introspect.ClientSecretJWT, secret32 }
	for _, test := range []struct {
		name   string
		change func(*config)
		field  string
		word   string // in its text
	}{
		{"no endpoint", func(c *config) { c.Endpoint = "" }, "Endpoint", "missing"},
		{"endpoint and discovery", func(c *config) { c.Discover = discover }, "Endpoint", "discovered"},
		{"discovery without an issuer", func(c *config) {
			c.Endpoint, c.Discover = "", discover
		}, "Issuer", "discovery"},
		{"http", func(c *config) { c.Endpoint = "http://as.example.com/i" }, "Endpoint", "https"},
		{"http to a name like localhost", func(c *config) {
			c.Endpoint = "http://localhost.example.com/i"
		}, "Endpoint", "https"},
		{"http to a private address", func(c *config) { c.Endpoint = "http://10.0.0.1/i" }, "Endpoint", "https"},
		{"another scheme", func(c *config) { c.Endpoint = "ftp://as.example.com/i" }, "Endpoint", "https"},
		{"no scheme", func(c *config) { c.Endpoint = "as.example.com/i" }, "Endpoint", "scheme"},
		{"no host", func(c *config) { c.Endpoint = "https:///i" }, "Endpoint", "host"},
		{"a password in the URL", func(c *config) {
			c.Endpoint = "https://u:hunter2@as.example.com/i"
		}, "Endpoint", "user information"},
		{"a fragment", func(c *config) { c.Endpoint = "https://as.example.com/i#x" }, "Endpoint", "fragment"},
		{"an empty fragment", func(c *config) { c.Endpoint = "https://as.example.com/i#" }, "Endpoint", "fragment"},
		{"a placeholder", func(c *config) { c.Endpoint = "https://as.example.com/{tenant}/i" }, "Endpoint", "braces"},
		{"not a URL", func(c *config) { c.Endpoint = "https://[" }, "Endpoint", "URL"},
		{"no authentication", func(c *config) { c.ClientSecret = "" }, "AuthMethod", "authentication"},
		{"an unknown method", func(c *config) { c.AuthMethod = "basic" }, "AuthMethod", "unknown"},
		{"no client id", func(c *config) { c.ClientID = "" }, "ClientID", "needs it"},
		{"none with a secret", func(c *config) {
			c.AuthMethod = introspect.None
		}, "ClientSecret", "none does not use it"},
		{"a secret and a key", func(c *config) {
			c.PrivateKey = p256
		}, "ClientSecret", "private_key_jwt does not use it"},
		{"a secret and a bearer token", func(c *config) {
			c.BearerToken = "x"
		}, "BearerToken", "client_secret_basic does not use it"},
		{"post without a secret", func(c *config) {
			c.AuthMethod, c.ClientSecret = introspect.ClientSecretPost, ""
		}, "ClientSecret", "needs it"},
		{"a key method without a key", func(c *config) {
			c.AuthMethod, c.ClientSecret = introspect.PrivateKeyJWT, ""
		}, "PrivateKey", "needs it"},
		{"an EC key with a curve alone", func(c *config) {
			c.ClientSecret, c.PrivateKey = "", &ecdsa.PrivateKey{PublicKey: ecdsa.PublicKey{Curve: elliptic.P256()}}
		}, "PrivateKey", "incomplete"},
		{"an EC key without a private part", func(c *config) {
			c.ClientSecret, c.PrivateKey = "", &ecdsa.PrivateKey{PublicKey: p256.PublicKey}
		}, "PrivateKey", "incomplete"},
		{"an RSA key without a private part", func(c *config) {
			c.ClientSecret, c.PrivateKey = "", &rsa.PrivateKey{PublicKey: strong.PublicKey}
		}, "PrivateKey", "incomplete"},
		{"an Ed25519 key that is too short", func(c *config) {
			c.ClientSecret, c.PrivateKey = "", ed25519.PrivateKey("x")
		}, "PrivateKey", "Ed25519"},
		{"a password in a URL of another form", func(c *config) {
			c.Endpoint = "https:u:hunter2@as.example.com/i"
		}, "Endpoint", "host"},
		{"a key in the query of a URL that is refused", func(c *config) {
			c.Endpoint = "http://as.example.com/i?key=hunter2"
		}, "Endpoint", "https"},
		{"a key in the query of no URL", func(c *config) {
			c.Endpoint = "as.example.com/i?key=hunter2"
		}, "Endpoint", "scheme"},
		{"bearer without a token", func(c *config) {
			c.AuthMethod, c.ClientSecret = introspect.Bearer, ""
		}, "BearerToken", "needs it"},
		{"a bearer token of two words", func(c *config) {
			c.ClientSecret, c.BearerToken = "", "a b"
		}, "BearerToken", "one word"},
		{"a certificate without a client", func(c *config) {
			c.AuthMethod, c.ClientSecret = introspect.TLSClientAuth, ""
		}, "HTTPClient", "certificate"},
		{"a certificate over http", func(c *config) {
			c.AuthMethod, c.ClientSecret = introspect.TLSClientAuth, ""
			c.HTTPClient, c.Endpoint = http.DefaultClient, "http://localhost/i"
		}, "Endpoint", "TLS"},
		{"a short secret for HS256", func(c *config) {
			c.AuthMethod = introspect.ClientSecretJWT
		}, "ClientSecret", "32"},
		{"a short secret for HS512", func(c *config) { jwtAuth(c); c.AssertionAlg = "HS512" }, "ClientSecret", "64"},
		{"a signature with a secret", func(c *config) {
			jwtAuth(c)
			c.AssertionAlg = "RS256"
		}, "AssertionAlg", "HS256"},
		{"alg none", func(c *config) { jwtAuth(c); c.AssertionAlg = "none" }, "AssertionAlg", "none"},
		{"an HMAC with a key", func(c *config) {
			c.ClientSecret, c.PrivateKey, c.AssertionAlg = "", p256, "HS256"
		}, "AssertionAlg", "ES256"},
		{"another curve", func(c *config) {
			c.ClientSecret, c.PrivateKey, c.AssertionAlg = "", p256, "ES384"
		}, "AssertionAlg", "ES256"},
		{"a weak key", func(c *config) { c.ClientSecret, c.PrivateKey = "", weak }, "PrivateKey", "2048"},
		{"an unsupported curve", func(c *config) { c.ClientSecret, c.PrivateKey = "", p224 }, "PrivateKey", "P-256"},
		{"a key that is nil", func(c *config) {
			c.ClientSecret, c.PrivateKey = "", nilKey
		}, "PrivateKey", "cannot be used"},
		{"kid without assertions", func(c *config) {
			c.AuthMethod, c.KeyID = introspect.ClientSecretBasic, "k"
		}, "KeyID", "private_key_jwt"},
		{"raw post", func(c *config) {
			c.AuthMethod, c.RawBasic = introspect.ClientSecretPost, true
		}, "RawBasic", "client_secret_post"},
		{"raw with a colon", func(c *config) { c.ClientID, c.RawBasic = "a:b", true }, "RawBasic", "colon"},
		{"raw with a control character", func(c *config) {
			c.ClientSecret, c.RawBasic = "a\nb", true
		}, "RawBasic", "control"},
		{"signed without a verifier", func(c *config) { c.Signed = true }, "VerifySigned", "missing"},
		{"a verifier without signed", func(c *config) { c.VerifySigned = verify }, "VerifySigned", "remove it"},
		{"the token as a parameter", func(c *config) {
			c.Params = []introspect.Param{{Name: "token", Value: "x"}}
		}, "Params[0].Name", "token"},
		{"a second secret", func(c *config) {
			c.Params = []introspect.Param{{Name: "client_secret", Value: "x"}}
		}, "Params[0].Name", "client_secret"},
		{"a parameter without a name", func(c *config) {
			c.Params = []introspect.Param{{Value: "x"}}
		}, "Params[0].Name", "empty"},
		{"a parameter twice", func(c *config) {
			c.Params = []introspect.Param{{Name: "a"}, {Name: "a"}}
		}, "Params[1].Name", "twice"},
		{"a hint with a space", func(c *config) { c.TokenTypeHint = "access token" }, "TokenTypeHint", "one word"},
		{"a long time to live", func(c *config) { c.CacheTTL = 5*time.Minute + 1 }, "CacheTTL", "5m"},
		{"a negative time to live", func(c *config) { c.CacheTTL = -time.Second }, "CacheTTL", "5m"},
		{"a long negative time to live", func(c *config) { c.NegativeTTL = time.Hour }, "NegativeTTL", "5m"},
		{"a long timeout", func(c *config) { c.Timeout = time.Minute }, "Timeout", "30s"},
		{"a negative timeout", func(c *config) { c.Timeout = -1 }, "Timeout", "30s"},
		{"negative calls in flight", func(c *config) { c.MaxInFlight = -1 }, "MaxInFlight", "16384"},
		{"too many calls in flight", func(c *config) { c.MaxInFlight = 1 << 20 }, "MaxInFlight", "16384"},
		{"negative bytes", func(c *config) { c.CacheBytes = -1 }, "CacheBytes", "from 1"},
		{"negative entries", func(c *config) { c.NegativeEntries = -1 }, "NegativeEntries", "from 1"},
		{"negative failures", func(c *config) { c.BreakerFailures = -1 }, "BreakerFailures", "from 1"},
		{"a long wait", func(c *config) { c.BreakerWait = time.Hour }, "BreakerWait", "5m"},
		{"an unknown mode", func(c *config) { c.Mode = 7 }, "Mode", "neither"},
		{"userinfo with credentials", func(c *config) { c.Mode = introspect.UserInfo }, "ClientID", "UserInfo"},
		{"userinfo with a hint", func(c *config) { userInfo(c); c.TokenTypeHint = "x" }, "TokenTypeHint", "UserInfo"},
		{"userinfo with parameters", func(c *config) {
			userInfo(c)
			c.Params = []introspect.Param{{Name: "a"}}
		}, "Params", "UserInfo"},
		{"signed userinfo without a verifier", func(c *config) { userInfo(c); c.Signed = true }, "VerifySigned", "missing"},
		{"userinfo with a verifier only", func(c *config) {
			userInfo(c)
			c.VerifySigned = verify
		}, "VerifySigned", "remove it"},
		{"userinfo with an audience of unsigned answers", func(c *config) {
			userInfo(c)
			c.ClientID = "gateway"
		}, "ClientID", "ask for signed answers"},
		{"signed userinfo with a secret", func(c *config) {
			c.Mode, c.Signed, c.VerifySigned = introspect.UserInfo, true, verify
		}, "ClientSecret", "UserInfo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := basicConfig("https://as.example.com/introspect")
			test.change(&cfg)
			cfg.Fingerprint() // must not panic on what New refuses
			_, err := introspect.New(cfg)
			var mistake *introspect.ConfigError
			if !errors.As(err, &mistake) || !errors.Is(err, introspect.ErrConfig) {
				t.Fatalf("the error is %v", err)
			}
			if mistake.Field != test.field || setting.Field(err) != test.field {
				t.Errorf("the error is about %q, want %q", mistake.Field, test.field)
			}
			if text := mistake.Err.Error(); !strings.Contains(text, test.word) || fields.MatchString(text) {
				t.Errorf("the error %q does not say %q, or names a field", text, test.word)
			}
			if !strings.Contains(err.Error(), test.field) {
				t.Errorf("the error %q does not name %q", err, test.field)
			}
			wantSilent(t, err, "s3cret", "hunter2")
		})
	}
}

func TestGoodConfigurations(t *testing.T) {
	for _, endpoint := range []string{
		"https://as.example.com/i", "https://as.example.com:8443/i?tenant=a", "http://localhost:8080/i",
		"http://127.0.0.2/i", "http://[::1]:80/i",
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

// A configuration that New would refuse has a fingerprint, too: a pool may compute it first.
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

func TestPrintingShowsNoSecrets(t *testing.T) {
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
