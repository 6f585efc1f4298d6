package introspect_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/introspect"
)

const (
	oddID     = "gate:way&1=ü%+ /"
	oddSecret = `p:ss "w+rd&%25=§`
)

func TestBasicCredentialsAreFormEncoded(t *testing.T) {
	got := ask(t, testToken, func(c *introspect.Config) { c.ClientID, c.ClientSecret = oddID, oddSecret })
	text, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(got.header.Get("Authorization"), "Basic "))
	if err != nil {
		t.Fatal(err)
	}
	id, secret, ok := strings.Cut(string(text), ":")
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	if !ok || err1 != nil || err2 != nil || id != oddID || secret != oddSecret {
		t.Errorf("credentials arrived as %q and %q", id, secret)
	}
}

func TestRawBasicCredentialsAreNotEncoded(t *testing.T) {
	got := ask(t, testToken, func(c *introspect.Config) {
		c.ClientID, c.ClientSecret, c.RawBasic = "gate&way", oddSecret, true
	})
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("gate&way:"+oddSecret))
	if auth := got.header.Get("Authorization"); auth != want {
		t.Errorf("Authorization is %q, want %q", auth, want)
	}
}

// TestOneMethodIsUsed pins what each method puts into a request, and what it does not.
func TestOneMethodIsUsed(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	for method, test := range map[introspect.AuthMethod]struct {
		set    func(*introspect.Config)
		header string   // prefix of Authorization
		fields []string // in the body beside token and token_type_hint
	}{
		introspect.ClientSecretBasic: {func(c *introspect.Config) { c.ClientSecret = oddSecret }, "Basic ", nil},
		introspect.ClientSecretPost: {func(c *introspect.Config) { c.ClientSecret = oddSecret },
			"", []string{"client_id", "client_secret"}},
		introspect.ClientSecretJWT: {func(c *introspect.Config) { c.ClientSecret = secret32 }, "",
			[]string{"client_id", "client_assertion", "client_assertion_type"}},
		introspect.PrivateKeyJWT: {func(c *introspect.Config) { c.ClientSecret, c.PrivateKey = "", key }, "",
			[]string{"client_id", "client_assertion", "client_assertion_type"}},
		introspect.Bearer: {func(c *introspect.Config) { c.ClientSecret, c.BearerToken = "", "mF_9.B5f-4.1JqM" },
			"Bearer mF_9.B5f-4.1JqM", nil},
		introspect.None: {func(c *introspect.Config) { c.ClientID, c.ClientSecret = "", "" }, "", nil},
	} {
		t.Run(string(method), func(t *testing.T) {
			got := ask(t, testToken, func(c *introspect.Config) { c.ClientID, c.AuthMethod = oddID, method; test.set(c) })
			auth := got.header.Get("Authorization")
			if !strings.HasPrefix(auth, test.header) || test.header == "" && auth != "" {
				t.Errorf("Authorization is %q, want %q", auth, test.header)
			}
			if len(got.form) != 2+len(test.fields) {
				t.Errorf("the body has %v", got.form)
			}
			for _, field := range test.fields {
				if len(got.form[field]) != 1 {
					t.Errorf("%s is there %d times", field, len(got.form[field]))
				}
			}
			if id := got.form.Get("client_id"); got.form.Has("client_id") && id != oddID {
				t.Errorf("client_id arrived as %q", id)
			}
			if method == introspect.ClientSecretPost && got.form.Get("client_secret") != oddSecret {
				t.Errorf("client_secret arrived as %q", got.form.Get("client_secret"))
			}
		})
	}
}

func TestAssertionsProveTheClient(t *testing.T) {
	rsaKey := tokentest.NewRSA()
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	ec256, ec384, ec521 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P521())
	for _, test := range []struct {
		name   string
		key    crypto.Signer // nil: the secret
		secret string
		alg    string // configured
		want   string
	}{
		{name: "secret", secret: secret32, want: "HS256"},
		{name: "secret with HS512", secret: secret32 + secret32, alg: "HS512", want: "HS512"},
		{name: "RSA", key: rsaKey, want: "RS256"},
		{name: "RSA with PS384", key: rsaKey, alg: "PS384", want: "PS384"},
		{name: "P-256", key: ec256, want: "ES256"},
		{name: "P-384", key: ec384, want: "ES384"},
		{name: "P-521", key: ec521, want: "ES512"},
		{name: "Ed25519", key: edKey, want: "EdDSA"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ask(t, testToken, func(c *introspect.Config) {
				c.Issuer, c.ClientSecret, c.PrivateKey, c.AssertionAlg = "https://as.example.com", test.secret, test.key, test.alg
				c.AuthMethod, c.KeyID = introspect.ClientSecretJWT, "key-1"
				if test.key != nil {
					c.AuthMethod = introspect.PrivateKeyJWT
				}
			})
			if kind := got.form.Get("client_assertion_type"); kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				t.Errorf("client_assertion_type is %q", kind)
			}
			var claims jwt.RegisteredClaims
			token, err := jwt.ParseWithClaims(got.form.Get("client_assertion"), &claims, func(*jwt.Token) (any, error) {
				if test.key != nil {
					return test.key.Public(), nil
				}
				return []byte(test.secret), nil
			}, jwt.WithValidMethods([]string{test.want}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
				jwt.WithIssuer("gateway"), jwt.WithSubject("gateway"), jwt.WithAudience("https://as.example.com"))
			if err != nil {
				t.Fatal(err)
			}
			if token.Header["kid"] != "key-1" {
				t.Errorf("kid is %v", token.Header["kid"])
			}
			if life := claims.ExpiresAt.Sub(claims.IssuedAt.Time); life > time.Minute {
				t.Errorf("the assertion lives %v", life)
			}
		})
	}
}

func TestTheAudienceOfAssertionsCanBeSet(t *testing.T) {
	for _, test := range []struct {
		name, issuer, audience, want string // want "" is the endpoint
	}{
		{"the issuer by default", "https://as.example.com", "", "https://as.example.com"},
		{"the one configured", "https://as.example.com", "https://as.example.com/token", "https://as.example.com/token"},
		{"the endpoint without an issuer", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var endpoint string
			got := ask(t, testToken, func(c *introspect.Config) {
				c.AuthMethod, c.ClientSecret = introspect.ClientSecretJWT, secret32
				c.Issuer, c.AssertionAudience, endpoint = test.issuer, test.audience, c.Endpoint
			})
			var claims jwt.MapClaims
			if _, _, err := jwt.NewParser().ParseUnverified(got.form.Get("client_assertion"), &claims); err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want == "" {
				want = endpoint
			}
			if claims["aud"] != want {
				t.Errorf("aud is %v, want %q", claims["aud"], want)
			}
		})
	}
}

func TestEveryRequestHasAnAssertionOfItsOwn(t *testing.T) {
	seen := make(map[string]bool)
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		var claims jwt.RegisteredClaims
		if _, _, err := jwt.NewParser().ParseUnverified(r.FormValue("client_assertion"), &claims); err != nil {
			t.Error(err)
		}
		if claims.ID == "" || seen[claims.ID] {
			t.Errorf("jti %q is empty or was used before", claims.ID)
		}
		seen[claims.ID] = true
		if len(seen) == 1 {
			w.WriteHeader(http.StatusBadGateway) // the second attempt needs a new one as well
			return
		}
		answer(`{"active":true}`)(w, r)
	})
	cfg := basicConfig(s.URL)
	cfg.AuthMethod, cfg.ClientSecret = introspect.ClientSecretJWT, secret32
	c := newClient(t, cfg)
	for range 3 {
		r, err := c.Introspect(t.Context(), testToken, introspect.MaxAge(0))
		wantActive(t, true, r, err)
	}
	if len(seen) != 4 {
		t.Errorf("the server saw %d assertions, want 4", len(seen))
	}
}

func TestTheClientCertificateIsPresented(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 || string(r.TLS.PeerCertificates[0].Raw) != string(der) {
			t.Error("the certificate did not arrive")
		}
		if r.FormValue("client_id") != "gateway" || r.Header.Get("Authorization") != "" || r.Form.Has("client_secret") {
			t.Errorf("the request has %v", r.Form)
		}
		answer(`{"active":true}`)(w, r)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)

	client := s.Client()
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{
		{Certificate: [][]byte{der}, PrivateKey: key},
	}
	cfg := introspect.Config{
		Endpoint:   s.URL,
		ClientID:   "gateway",
		AuthMethod: introspect.TLSClientAuth,
		HTTPClient: client,
	}
	r, err := newClient(t, cfg).Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)
}

func ecKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestAnOpenEndpointMayGetTheClientID(t *testing.T) {
	got := ask(t, testToken, func(c *introspect.Config) { c.AuthMethod, c.ClientSecret = introspect.None, "" })
	if got.form.Get("client_id") != "gateway" || len(got.form) != 3 || got.header.Get("Authorization") != "" {
		t.Errorf("the request has %v", got.form)
	}
}

func TestTheMethodFollowsTheCredentials(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	for name, set := range map[string]func(*introspect.Config){
		"Basic ":           func(c *introspect.Config) {},
		"Bearer own":       func(c *introspect.Config) { c.ClientSecret, c.BearerToken = "", "own" },
		"client_assertion": func(c *introspect.Config) { c.ClientSecret, c.PrivateKey = "", key },
	} {
		got := ask(t, testToken, set)
		if _, there := got.form[name]; !there && !strings.HasPrefix(got.header.Get("Authorization"), name) {
			t.Errorf("%s: the request has %v and %v", name, got.header, got.form)
		}
	}
}
