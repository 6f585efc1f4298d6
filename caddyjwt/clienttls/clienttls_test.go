package clienttls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
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

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

// files are the paths of a certificate that signs itself, and of its key.
func files(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, DNSNames: []string{"a.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// holder is a struct with a block tls.
type holder struct {
	TLS *TLS `json:"tls"`
}

var directive = words.Directive[holder]{Table: &words.Table[holder]{Name: "holder", Words: []words.Word[holder]{
	{Name: "tls", Reader: words.Only(func(h *holder) **TLS { return &h.TLS }, &Table)},
}}}

func TestWordsFillTheFields(t *testing.T) {
	d := caddyfile.NewTestDispenser("holder {\n\ttls {\n\t\tca a b\n\t\tclient_cert c\n\t\tclient_key k\n" +
		"\t\tserver_name n\n\t\tpin p q\n\t}\n}\n")
	d.Next()
	var h holder
	if _, err := directive.Read(d, &h); err != nil {
		t.Fatal(err)
	}
	got := h.TLS
	if strings.Join(got.CA, " ") != "a b" || got.ClientCert != "c" || got.ClientKey != "k" || got.ServerName != "n" ||
		strings.Join(got.Pins, " ") != "p q" {
		t.Errorf("%+v", got)
	}
}

func TestClient(t *testing.T) {
	cert, key := files(t)
	settings := &TLS{CA: []string{cert}, ClientCert: cert, ClientKey: key, ServerName: "a.example",
		Pins: []string{base64.StdEncoding.EncodeToString(make([]byte, 32))}}
	config, id, err := settings.Client(words.NewSettings())
	if err != nil || config.ServerName != "a.example" || config.RootCAs == nil || len(config.Certificates) != 1 ||
		config.VerifyConnection == nil {
		t.Fatalf("%+v, %v", config, err)
	}
	if _, same, err := settings.Client(words.NewSettings()); err != nil || same != id {
		t.Errorf("the same settings have another fingerprint, %v", err)
	}
	settings.ServerName = "b.example"
	if _, other, err := settings.Client(words.NewSettings()); err != nil || other == id {
		t.Errorf("other settings have the same fingerprint, %v", err)
	}
}

func TestMistakes(t *testing.T) {
	cert, key := files(t)
	for name, c := range map[string]struct {
		settings TLS
		field    string
	}{
		"nothing":                  {TLS{}, ""},
		"an empty list of CAs":     {TLS{CA: []string{}, ServerName: "a"}, "CA"},
		"a CA that is a key":       {TLS{CA: []string{key}}, "CA"},
		"a CA that is missing":     {TLS{CA: []string{"/does/not/exist"}}, "CA[0]"},
		"a certificate alone":      {TLS{ClientCert: cert}, "ClientCert"},
		"a key alone":              {TLS{ClientKey: key}, "ClientKey"},
		"a certificate as a key":   {TLS{ClientCert: cert, ClientKey: cert}, "ClientCert"},
		"no certificate":           {TLS{ClientCert: "/does/not/exist", ClientKey: key}, "ClientCert"},
		"no key":                   {TLS{ClientCert: cert, ClientKey: "/does/not/exist"}, "ClientKey"},
		"a variable without value": {TLS{ServerName: "{env.CLIENTTLS_NOT_SET}"}, "ServerName"},
		"a name with a port":       {TLS{ServerName: "a:1"}, "ServerName"},
		"an empty list of pins":    {TLS{Pins: []string{}, ServerName: "a"}, "Pins"},
		"a pin that is no hash":    {TLS{Pins: []string{"x"}}, "Pins[0]"},
	} {
		if _, _, err := c.settings.Client(words.NewSettings()); err == nil || setting.Field(err) != c.field {
			t.Errorf("%s: %v, about %q, want %q", name, err, setting.Field(err), c.field)
		}
	}
}

// What is missing on this machine may be there where the configuration loads.
func TestMissingFilesAreLeftOut(t *testing.T) {
	settings := words.NewDeferringSettings()
	tls := &TLS{CA: []string{"/does/not/exist.pem"}, ClientCert: "/does/not/exist.crt", ClientKey: "/does/not/exist.key",
		ServerName: "{env.CLIENTTLS_NOT_SET}"}
	if _, _, err := tls.Client(settings); err != nil || len(settings.Missing()) != 4 {
		t.Errorf("%v, missing: %v", err, settings.Missing())
	}
}
