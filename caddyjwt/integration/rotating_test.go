package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mounted is a directory with a file, as Kubernetes mounts a secret: the file is a link into a directory that is
// replaced as a whole.
type mounted struct {
	t   testing.TB
	dir string
	n   int
}

func mount(t testing.TB, text string) *mounted {
	t.Helper()
	m := &mounted{t: t, dir: t.TempDir()}
	m.replace(text)
	if err := os.Symlink("..data/token", m.path()); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mounted) path() string { return filepath.Join(m.dir, "token") }

// replace swaps the content. The new file was written long enough ago to count at once.
func (m *mounted) replace(text string) {
	m.t.Helper()
	m.n++
	version := "..version" + strings.Repeat("x", m.n)
	old := time.Now().Add(-time.Minute)
	if err := errors.Join(
		os.Mkdir(filepath.Join(m.dir, version), 0o700),
		os.WriteFile(filepath.Join(m.dir, version, "token"), []byte(text), 0o600),
		os.Chtimes(filepath.Join(m.dir, version, "token"), old, old),
		os.Symlink(version, filepath.Join(m.dir, "..data_tmp")),
		os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")),
	); err != nil {
		m.t.Fatal(err)
	}
}

// A key server wants the token of a service account, which is replaced while the gate runs.
func TestHeaderOfAKeyServerFollowsItsFile(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	file := mount(t, "first\n")
	as := tokentest.NewAS(t, tokentest.WithKeys(one))
	var accepted atomic.Pointer[string]
	accept := func(token string) { accepted.Store(&token) }
	keys := atomic.Pointer[string]{}
	publish := func(set string) { keys.Store(&set) }
	as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+*accepted.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(*keys.Load()))
	})
	accept("first")
	publish(tokentest.JWKS(one))
	s := start(t, gateFor(issuerByJWKS(as, `header_up Authorization "Bearer {file.`+file.path()+`}"`)))
	s.passed(s.get("/", one.Sign(t, issuedBy(as.URL))))

	accept("second")
	publish(tokentest.JWKS(one, two))
	file.replace("second\r\n")
	s.passed(s.get("/", two.Sign(t, issuedBy(as.URL))))
	if !s.logged("a credential has changed", "header_up Authorization", file.path()) {
		t.Error("the log does not say that the file has changed")
	}
	if text := s.log(); strings.Contains(text, "Bearer second") || strings.Contains(text, "Bearer first") {
		t.Error("the log has the token")
	}
}

func TestClientCredentialsFollowTheirFiles(t *testing.T) {
	rsa, ec := tokentest.NewKey(t, "RS256", ""), tokentest.NewKey(t, "ES256", "")
	const first, second = "the-first-secret:%+", "the-second-secret&"
	for _, test := range []struct {
		name, words string
		before      string
		after       string
		is          func(r *tokentest.IntrospectionRequest, text string) bool // the credential is the one in this file
	}{
		{"client_secret", "client_id gateway\nclient_secret {file.FILE}", first, second,
			func(r *tokentest.IntrospectionRequest, text string) bool { return basicPassword(r) == text }},
		{"client_secret with a text before", "client_id gateway\nclient_secret v1-{file.FILE}", first, second,
			func(r *tokentest.IntrospectionRequest, text string) bool { return basicPassword(r) == "v1-"+text }},
		{"bearer_token", "auth_method bearer\nbearer_token {file.FILE}", "abc.def", "ghi.jkl",
			func(r *tokentest.IntrospectionRequest, text string) bool {
				return r.Header.Get("Authorization") == "Bearer "+text
			}},
		{"private_key, a path", "client_id gateway\nauth_method private_key_jwt\nprivate_key FILE",
			rsa.PrivatePEM(), ec.PrivatePEM(),
			func(r *tokentest.IntrospectionRequest, text string) bool { return signedBy(r, rsa, ec) == text }},
		{"private_key, a placeholder", "client_id gateway\nauth_method private_key_jwt\nprivate_key {file.FILE}",
			ec.PrivatePEM(), rsa.PrivatePEM(),
			func(r *tokentest.IntrospectionRequest, text string) bool { return signedBy(r, rsa, ec) == text }},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := mount(t, test.before+"\n")
			as := tokentest.NewAS(t)
			var want atomic.Pointer[string]
			want.Store(&test.before)
			var wrong atomic.Int64
			as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
				if !test.is(r, *want.Load()) {
					wrong.Add(1)
				}
				return active()
			})
			gate := gateFor(issuerBlock(as.URL, "audience "+audience, "introspect {",
				strings.ReplaceAll(test.words, "FILE", file.path()), "cache_ttl 0s", "}"))
			s := start(t, gate)
			s.passed(s.get("/", "opaque-1"))

			bad := []string{"", "\n"}
			switch {
			case strings.HasPrefix(test.name, "private_key"):
				bad = append(bad, "words", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", p224(t))
			case test.name == "bearer_token":
				bad = append(bad, "two words", "a line\nand another")
			}
			for _, text := range bad {
				file.replace(text)
				s.passed(s.get("/", "opaque-2"))
			}
			if !s.logged("the one from before stays in use", file.path()) {
				t.Error("the log does not name the bad file")
			}

			file.replace(test.after)
			want.Store(&test.after)
			s.passed(s.get("/", "opaque-3"))
			s.load(gate) // another configuration with the same words
			s.passed(s.get("/", "opaque-4"))
			if err := os.Remove(file.path()); err != nil {
				t.Fatal(err)
			}
			s.passed(s.get("/", "opaque-5"))
			if n := wrong.Load(); n != 0 {
				t.Errorf("%d questions with another credential", n)
			}
			for _, secret := range []string{first, second, "abc.def", "ghi.jkl", "BEGIN"} {
				if strings.Contains(s.log(), secret) {
					t.Errorf("the log has %q", secret)
				}
			}
		})
	}
}

// The server has the new secret before the file has it. Once it is there, one question is enough.
func TestRefusedClientSecretIsReadAgain(t *testing.T) {
	file := mount(t, "first")
	as := tokentest.NewAS(t, tokentest.WithClient("gateway", "first"))
	as.Introspect(always(active()))
	s := start(t, gateFor(issuerBlock(as.URL, "audience "+audience, "introspect {", "client_id gateway",
		"client_secret {file."+file.path()+"}", "cache_ttl 0s", "negative_ttl 0s", "}")))
	s.passed(s.get("/", "opaque-1"))
	as.SetClient("gateway", "second")
	s.ourFaultFor(s.get("/", "opaque-2"), http.StatusBadGateway, "introspection_failed", false)
	if err := os.WriteFile(file.path(), []byte("second"), 0o600); err != nil { // just now, so it has not settled
		t.Fatal(err)
	}
	s.passed(s.get("/", "opaque-3"))
}

func basicPassword(r *tokentest.IntrospectionRequest) string {
	request := http.Request{Header: r.Header}
	_, password, _ := request.BasicAuth()
	password, _ = url.QueryUnescape(password)
	return password
}

// p224 is a private key that no algorithm of assertions fits.
func p224(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// signedBy is the PEM text of the key that has signed the assertion of a request; empty for none.
func signedBy(r *tokentest.IntrospectionRequest, keys ...*tokentest.Key) string {
	for _, key := range keys {
		_, err := jwt.Parse(r.Form.Get("client_assertion"), func(*jwt.Token) (any, error) { return key.Public(), nil })
		if err == nil {
			return key.PrivatePEM()
		}
	}
	return ""
}
