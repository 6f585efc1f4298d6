package caddyjwt

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// around has texts with what editors and programs put around them.
var around = map[string][2]string{
	"nothing": {"", ""}, "LF": {"", "\n"}, "CR": {"", "\r"}, "CRLF": {"", "\r\n"}, "two line ends": {"", "\r\n\r\n"},
	"a byte order mark": {"\ufeff", ""}, "a byte order mark and CRLF": {"\ufeff", "\r\n"},
}

// given has the ways to give a text: by variable, by file, both inside another text, and as it stands.
func given(t *testing.T, text string) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATE_TEST_VALUE", text)
	return map[string]string{
		"{env.GATE_TEST_VALUE}": "", "{file." + path + "}": "",
		"{env.GATE_TEST_VALUE}{file." + path + "}": "twice", text: "",
	}
}

// A secret with a CR at its end would make every token bad, and nobody could see why.
func TestLineEndsAreNotPartOfAValue(t *testing.T) {
	const plain = "5a6f1c0e9d3b47a28c1e0f7d6b5a4938"
	settings := words.NewSettings()
	for name, ends := range around {
		for value, twice := range given(t, ends[0]+plain+ends[1]) {
			want := plain
			if twice != "" {
				want = plain + plain
			}
			thumbprint := must(jose.NewSecretKey("", []byte(want), 0)).Thumbprint()
			issuer := issuers.Issuer{
				Issuer: "https://as.example.com", AnyAudience: true, RequestHeaders: map[string][]string{"X-Api-Key": {value}},
				Introspect: &issuers.Introspect{
					Prefix: value, ClientID: value, ClientSecret: value, Params: []issuers.Param{{Name: "resource", Value: value}},
					TokenTypeHint: value,
				},
			}
			plan, err := issuer.Compile(settings, 0)
			if err != nil {
				t.Fatalf("%s by %q: %v", name, value, err)
			}
			asked, headerUp := plan.Asking.Client, plan.Server.Fetch.Header.Get("X-Api-Key")
			if rotating := plan.Server.Fetch.Rotating; len(rotating) > 0 { // it comes from a file
				headerUp = rotating[0].Value.First
			}
			bearer := issuers.Issuer{
				Issuer: "https://as.example.com", AnyAudience: true, Introspect: &issuers.Introspect{BearerToken: value},
			}
			bearing, err := bearer.Compile(settings, 0)
			if err != nil {
				t.Fatalf("%s by %q: %v", name, value, err)
			}
			for field, got := range map[string]string{
				"header_up": headerUp, "prefix": plan.Asking.Prefix,
				"client_id":     asked.ClientID,
				"client_secret": asked.ClientSecret, "param": asked.Params[0].Value, "token_type_hint": asked.TokenTypeHint,
				"bearer_token": bearing.Asking.Client.BearerToken,
			} {
				if got != want {
					t.Errorf("%s by %q: %s is %q", name, value, field, got)
				}
			}
			shared := issuers.Issuer{Issuer: "x", AnyAudience: true, Keys: issuers.KeySources{{Source: "secret", Secret: value}}}
			if plan, err := shared.Compile(settings, 0); err != nil || plan.Sources[0].Static[0].Thumbprint() != thumbprint {
				t.Errorf("%s by %q: keys secret is another one, error %v", name, value, err)
			}
			credential := consumers.Credential{Key: "k", Algorithm: "HS256", Secret: value}
			if c, err := credential.Compile(settings, time.Now()); err != nil || c.Verifier.Thumbprint() != thumbprint {
				t.Errorf("%s by %q: the secret of a consumer is another one, error %v", name, value, err)
			}
		}
	}
}

// What a secret in base64 decodes to is the secret, to the last byte.
func TestASecretInBase64MayEndInALineEnd(t *testing.T) {
	const secret = "5a6f1c0e9d3b47a28c1e0f7d6b5a4938\r\n"
	credential := consumers.Credential{
		Key: "k", Algorithm: "HS256",
		Secret: base64.StdEncoding.EncodeToString([]byte(secret)) + "\r\n", Base64: true,
	}
	c, err := credential.Compile(words.NewSettings(), time.Now())
	if err != nil || c.Verifier.Thumbprint() != must(jose.NewSecretKey("", []byte(secret), 0)).Thumbprint() {
		t.Errorf("another secret, error %v", err)
	}
}

// PEM may have the line ends of any system, wherever it is read.
func TestPEMMayHaveAnyLineEnds(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "pem")
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: selfSigned(t, key)}))
	for name, change := range map[string]func(string) string{
		"LF":                 func(text string) string { return text },
		"CRLF":               func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") },
		"CR":                 func(text string) string { return strings.ReplaceAll(text, "\n", "\r") },
		"CR at the very end": func(text string) string { return strings.TrimSuffix(text, "\n") + "\r" },
		"CRLF, and CR at the end": func(text string) string {
			return strings.TrimSuffix(strings.ReplaceAll(text, "\n", "\r\n"), "\n")
		},
		"no end":                    func(text string) string { return strings.TrimSuffix(text, "\n") },
		"a byte order mark, CRLF":   func(text string) string { return "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n") },
		"a byte order mark, and LF": func(text string) string { return "\ufeff" + text },
	} {
		t.Run(name, func(t *testing.T) {
			settings, dir := words.NewSettings(), t.TempDir()
			file := func(name, text string) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, []byte(change(text)), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			public, private := file("public.pem", key.PublicPEM()), file("private.pem", key.PrivatePEM())
			certificate := file("cert.pem", cert)
			for what, keys := range map[string]issuers.Keys{
				"keys file": {Source: "file", Path: public}, "keys file with a certificate": {Source: "file", Path: certificate},
				"keys pem":              {Source: "pem", PEM: "{file." + public + "}"},
				"keys pem as it stands": {Source: "pem", PEM: change(cert)},
			} {
				issuer := issuers.Issuer{Issuer: "x", AnyAudience: true, Keys: issuers.KeySources{keys}}
				if _, err := issuer.Compile(settings, 0); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			for what, text := range map[string]string{
				"a path": public, "a placeholder": "{file." + public + "}", "a text": change(key.PublicPEM()),
			} {
				credential := consumers.Credential{Key: "k", Algorithm: "ES256", PublicKey: text}
				if _, err := credential.Compile(settings, time.Now()); err != nil {
					t.Errorf("public_key, %s: %v", what, err)
				}
			}
			for what, text := range map[string]string{
				"a path": private, "a placeholder": "{file." + private + "}", "a text": change(key.PrivatePEM()),
			} {
				issuer := issuers.Issuer{
					Issuer: "https://as.example.com", AnyAudience: true,
					Introspect: &issuers.Introspect{ClientID: "c", PrivateKey: text},
				}
				if _, err := issuer.Compile(settings, 0); err != nil {
					t.Errorf("private_key, %s: %v", what, err)
				}
			}
			issuer := issuers.Issuer{
				Issuer: "https://as.example.com", AnyAudience: true,
				TLS: &clienttls.TLS{CA: []string{certificate, certificate}, ClientCert: certificate, ClientKey: private},
			}
			if _, err := issuer.Compile(settings, 0); err != nil {
				t.Errorf("tls: %v", err)
			}
		})
	}
}

// selfSigned is a certificate for the key.
func selfSigned(t *testing.T, key *tokentest.Key) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key.Private()))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
