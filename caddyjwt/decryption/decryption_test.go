package decryption_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/decryption"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCompile(t *testing.T) {
	ec, rsa := tokentest.NewKey(t, "ES256", "a").PrivatePEM(), tokentest.NewKey(t, "RS256", "b").PrivatePEM()
	path := file(t, ec)
	const locked = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAA==\n" +
		"-----END EC PRIVATE KEY-----\n"
	t.Setenv("DECRYPTION_TEST_KEY", rsa)
	key := func(text, id, password string) []decryption.Key {
		return []decryption.Key{{Key: text, KeyID: id, Password: password}}
	}
	five := []decryption.Key{{Key: ec}, {Key: ec}, {Key: ec}, {Key: ec}, {Key: ec}}
	for _, test := range []struct {
		name        string
		config      decryption.Config
		field, says string // of the error; empty for none
	}{
		{"a file", decryption.Config{Keys: key(path, "one", "")}, "", ""},
		{"PEM text", decryption.Config{Keys: key(ec, "", "")}, "", ""},
		{"a placeholder", decryption.Config{Keys: key("{env.DECRYPTION_TEST_KEY}", "", "")}, "", ""},
		{"two keys", decryption.Config{Keys: append(key(ec, "a", ""), key(rsa, "b", "")...)}, "", ""},
		{"algorithms", decryption.Config{Keys: key(ec, "", ""), Algorithms: []string{"RSA-OAEP"},
			Encryptions: []string{"A192GCM"}}, "", ""},
		{"no key", decryption.Config{}, "", "add \"key <file>\""},
		{"too many keys", decryption.Config{Keys: five}, "Keys", "at most 4"},
		{"the same key twice", decryption.Config{Keys: append(key(ec, "a", ""), key(path, "a", "")...)}, "Keys[1]", "twice"},
		{"the same kid twice", decryption.Config{Keys: append(key(ec, "a", ""), key(rsa, "a", "")...)}, "Keys[1]", "twice"},
		{"no file", decryption.Config{Keys: key("/does/not/exist", "", "")}, "Keys[0].Key", "/does/not/exist"},
		{"an empty variable", decryption.Config{Keys: key("{env.DECRYPTION_TEST_UNSET}", "", "")}, "Keys[0].Key",
			"DECRYPTION_TEST_UNSET"},
		{"a public key", decryption.Config{Keys: key(tokentest.NewKey(t, "ES256", "a").PublicPEM(), "", "")}, "Keys[0].Key",
			"not a private key"},
		{"a key that signs", decryption.Config{Keys: key(tokentest.NewKey(t, "EdDSA", "a").PrivatePEM(), "", "")},
			"Keys[0].Key", "cannot decrypt"},
		{"a password too many", decryption.Config{Keys: key(ec, "", "x")}, "Keys[0].Password", "not encrypted"},
		{"no password", decryption.Config{Keys: key(locked, "", "")}, "Keys[0].Key", "password {env.NAME}"},
		{"no algorithms", decryption.Config{Keys: key(ec, "", ""), Algorithms: []string{}}, "Algorithms", "algorithms"},
		{"no encryptions", decryption.Config{Keys: key(ec, "", ""), Encryptions: []string{}}, "Encryptions", "encryptions"},
		{"RSA1_5", decryption.Config{Keys: key(rsa, "", ""), Algorithms: []string{"RSA1_5"}}, "Algorithms", "padding"},
		{"another encryption", decryption.Config{Keys: key(ec, "", ""), Encryptions: []string{"A128CBC"}}, "Encryptions",
			"unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan, err := test.config.Compile(words.NewSettings())
			if test.says == "" {
				if err != nil || len(plan.Open(nil).Keys.Present()) != len(test.config.Keys) {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || setting.Field(err) != test.field {
				t.Errorf("%v of %s; want %q of %s", err, setting.Field(err), test.says, test.field)
			}
			if err != nil && strings.Contains(err.Error(), "MIG") {
				t.Errorf("it quotes the key: %v", err)
			}
		})
	}
}

// A key that is not there yet has a stand-in when a configuration is adapted.
func TestCompileWithoutTheKey(t *testing.T) {
	for _, text := range []string{"/does/not/exist/yet", "{env.DECRYPTION_TEST_UNSET}", "{file./does/not/exist}"} {
		config := decryption.Config{Keys: []decryption.Key{{Key: text, Password: "{env.DECRYPTION_TEST_UNSET}"}}}
		plan, err := config.Compile(words.NewDeferringSettings())
		if err != nil || len(plan.Open(nil).Keys.Present()) != 1 {
			t.Errorf("%s: %v", text, err)
		}
	}
}
