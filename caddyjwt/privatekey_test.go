package caddyjwt_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// encryptedPEM is the private key, encrypted in the form that needs the least time to open.
func encryptedPEM(tb testing.TB, key *tokentest.Key, password string) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key.Private())
	if err != nil {
		tb.Fatal(err)
	}
	block, err := x509.EncryptPEMBlock(rand.Reader, "PRIVATE KEY", der, []byte(password), x509.PEMCipherAES256)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

func TestPrivateKeysAndTheirPasswords(t *testing.T) {
	rsa, ec := tokentest.NewKey(t, "RS256", ""), tokentest.NewKey(t, "ES256", "")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"rsa": rsa.PrivatePEM(), "ec": ec.PrivatePEM(), "locked": encryptedPEM(t, rsa, "hunter2 "),
		"password": "hunter2 \r\n",
		"wrong":    "hunter3",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	const secret = "client_secret 5a6f1c0e9d3b47a28c1e0f7d6b5a49385a6f1c0e9d3b47a28c1e0f7d6b5a4938"
	for _, test := range []struct {
		name, words string
		want        string // part of the error; empty when it is good
	}{
		{"no password", "private_key ./rsa", ""},
		{"a password", "private_key ./locked k1 {\npassword \"hunter2 \"\n}", ""},
		{"a password in a file", "private_key ./locked {\npassword {file.password}\n}", ""},
		{"a password that is not there yet", "private_key ./locked {\npassword {file.later}\n}", ""},
		{"PS256", "private_key ./rsa\nassertion_alg PS256", ""},
		{"RS512", "private_key ./rsa\nassertion_alg RS512", ""},
		{"ES256", "private_key ./ec\nassertion_alg ES256", ""},
		{"ES256 for a key that is not there yet", "private_key ./later\nassertion_alg ES256", ""},
		{"HS512", secret + "\nassertion_alg HS512", ""},
		{"HS384 and the method", secret + "\nauth_method client_secret_jwt\nassertion_alg HS384", ""},
		{"HS512 for a secret that is not there yet", "client_secret {file.later}\nassertion_alg HS512", ""},

		{"a wrong password", "private_key ./locked {\npassword {file.wrong}\n}",
			"the password does not open the private key"},
		{"a password without the blank", "private_key ./locked {\npassword hunter2\n}", "the password does not open"},
		{"the key by a placeholder", "private_key {file.locked} {\npassword {file.password}\n}", ""},
		{"no password for an encrypted key", "private_key ./locked", "password {env.NAME}"},
		{"an empty block", "private_key ./locked {\n}", "password {env.NAME}"},
		{"a password for a key without", "private_key ./rsa {\npassword hunter2\n}", "not encrypted"},
		{"two passwords", "private_key ./locked {\npassword a\npassword b\n}", "already on line"},
		{"a password outside of its block", "private_key ./locked\npassword hunter2", "private_key block"},
		{"another word in the block", "private_key ./locked {\nclient_id a\n}", "introspect block"},
		{"PS256 for an EC key", "private_key ./ec\nassertion_alg PS256",
			`assertion_alg: "PS256" does not fit the private key; use ES256`},
		{"ES384 for P-256", "private_key ./ec\nassertion_alg ES384", `use ES256`},
		{"HS256 for a private key", "private_key ./rsa\nassertion_alg HS256", `does not fit the private key`},
		{"RS256 for a secret", secret + "\nassertion_alg RS256", `does not fit client_secret_jwt; use HS256, HS384 or HS512`},
		{"none", "private_key ./rsa\nassertion_alg none", `does not fit the private key`},
		{"lower case", "private_key ./rsa\nassertion_alg ps256", `does not fit the private key`},
		{"nonsense for a key that is not there yet", "private_key ./later\nassertion_alg XX", `does not fit the private key`},
		{"HS512 for a short secret", "client_secret 5a6f1c0e9d3b47a28c1e0f7d6b5a4938\nassertion_alg HS512",
			"needs at least 64"},
		{"a secret that can be guessed", "client_secret aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nassertion_alg HS256",
			"client_secret"},
		{"no assertions", secret + "\nauth_method client_secret_post\nassertion_alg HS256", "not for client_secret_post"},
		{"nothing that signs", "bearer_token abc\nassertion_alg RS256", "not for bearer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			words := strings.ReplaceAll(test.words, "{file.", "{file."+dir+"/")
			text := adapted(t, inIssuer("introspect {\nclient_id gateway\n"+words+"\n}"))
			message, failed := strings.CutPrefix(text, "error: ")
			if failed != (test.want != "") || !strings.Contains(message, test.want) {
				t.Errorf("%s\nwant %q", message, test.want)
			}
			for _, hidden := range []string{"hunter", "MII"} {
				if failed && strings.Contains(message, hidden) {
					t.Errorf("the error has %q: %s", hidden, message)
				}
			}
		})
	}
}
