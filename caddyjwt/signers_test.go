package caddyjwt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestAuthoritiesOfSigners(t *testing.T) {
	root := tokentest.NewAuthority(t, "root")
	signer := root.Certify(t, "signer", tokentest.NewKey(t, "ES256", ""))
	dir := t.TempDir()
	for name, text := range map[string]string{
		"signer": tokentest.PEMOf(signer), "root": tokentest.PEMOf(root), "empty": " \n",
		"other": tokentest.PEMOf(tokentest.NewAuthority(t, "other")), "words": "words", "public": signer.Key.PublicPEM(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("SIGNERS_CA", "./root")
	for _, test := range []struct {
		name, words string
		want        string // part of the error; empty when it is good
	}{
		{"a file", "keys file ./signer {\nca ./root\n}", ""},
		{"two authorities", "keys file ./signer {\nca ./other ./root\n}", ""},
		{"a placeholder", "keys file ./signer {\nca {env.SIGNERS_CA}\n}", ""},
		{"a key set behind a URL", "keys jwks https://auth.example.com/jwks {\nca ./root\n}", ""},
		{"discovery", "keys discovery {\nca ./root\n}", ""},
		{"discovery with an address", "keys discovery https://auth.example.com/metadata {\nca ./root\n}", ""},
		{"beside another source", "keys secret {env.GATE_TEST_UNSET}\nkeys file ./signer {\nca ./root\n}", ""},
		{"an empty block", "keys file ./signer {\n}", ""},
		{"authorities that are not there yet", "keys file ./signer {\nca ./later\n}", ""},
		{"an unknown variable", "keys file ./signer {\nca {env.GATE_TEST_UNSET}\n}", ""},
		{"keys that are not there yet", "keys file ./later {\nca ./root\n}", ""},

		{"another authority", "keys file ./signer {\nca ./other\n}", "none of the authorities"},
		{"a public key", "keys file ./public {\nca ./root\n}", "is no certificate"},
		{"the authority as key", "keys file ./root {\nca ./other\n}", "is a certificate authority, not a signer"},
		{"a signer as authority", "keys file ./other {\nca ./signer\n}", "./signer: unusable key: certificate: " +
			`"CN=signer" is not a certificate authority`},
		{"an empty file", "keys file ./signer {\nca ./empty\n}", "it is empty"},
		{"words", "keys file ./signer {\nca ./words\n}", "no PEM block"},
		{"a bad file behind a good one", "keys file ./signer {\nca ./root ./words\n}", "no PEM block"},
		{"the file of the keys", "keys file ./root {\nca ./root\n}", "this is also the file of the keys"},
		{"the same file twice", "keys file ./signer {\nca ./root root\n}", "is there twice"},
		{"no value", "keys file ./signer {\nca\n}", `"ca" needs at least one value`},
		{"another word", "keys file ./signer {\ncertificate ./root\n}", "keys"},
		{"the same source twice", "keys file ./signer {\nca ./root\n}\nkeys file ./signer", "this source is there twice"},
		{"a secret", "keys secret {env.GATE_TEST_UNSET} {\nca ./root\n}", "ca is about certificates of signers"},
		{"local keys", "keys local {\nca ./root\n}", "ca is about certificates of signers"},
		{"no keys", "keys none {\nca ./root\n}\nintrospect opaque {\nclient_id a\nclient_secret {env.GATE_TEST_UNSET}\n}",
			"ca is about certificates of signers"},
		{"PEM text", "keys pem {env.GATE_TEST_UNSET} {\nca ./root\n}", "ca is about certificates of signers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.ReplaceAll(adapted(t, inIssuer(test.words)), dir+"/", "./")
			message, failed := strings.CutPrefix(text, "error: ")
			if failed != (test.want != "") || !strings.Contains(message, test.want) {
				t.Errorf("%s\nwant %q", message, test.want)
			}
			if failed && strings.Contains(test.want, "no PEM") && !strings.Contains(message, ":6") {
				t.Errorf("the error does not have the line of ca: %s", message)
			}
		})
	}
}

func TestAuthoritiesDoNotGoWithKeysOfEachTenant(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(root, []byte(tokentest.PEMOf(tokentest.NewAuthority(t, "root"))), 0o600); err != nil {
		t.Fatal(err)
	}
	site := func(keys string) string {
		return "example.com {\n\tbearer_auth {\n\t\taudience https://api.example.com\n\t\t" +
			"issuer https://auth.example.com/* {\n\t\t\ttenants a b\n\t\t\t" +
			keys + " {\n\t\t\t\tca " + root + "\n\t\t\t}\n\t\t}\n\t}\n}\n"
	}
	if got := adapted(t, site("keys discovery")); !strings.Contains(got, "ca does not go with the keys of each tenant") {
		t.Errorf("%s", got)
	}
	if got := adapted(t, site("keys jwks https://auth.example.com/keys")); strings.HasPrefix(got, "error") {
		t.Errorf("%s", got)
	}
}
