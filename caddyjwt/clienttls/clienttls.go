// Package clienttls has the TLS settings of a client: which servers it trusts, and how it shows itself. Every part of a
// configuration that names a server has them in one form.
package clienttls

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
)

// TLS says how to talk to a server. The oldest version is TLS 1.2, and verification cannot be switched off.
type TLS struct {
	// Files of certificate authorities in PEM, which replace the system's. Default: the system's. Placeholders are
	// resolved.
	CA []string `json:"ca,omitempty"`
	// File of the client certificate in PEM, for servers that ask for one. Needs client_key. It is shown only to the
	// configured server (scheme, host and port), not to where a redirect or the metadata of an issuer leads. Exception:
	// with tls_client_auth, also to the introspection endpoint that the metadata names. Default: none. Placeholders are
	// resolved.
	ClientCert string `json:"client_cert,omitempty"`
	// File of the client certificate's private key in PEM. Placeholders are resolved.
	ClientKey string `json:"client_key,omitempty"`
	// Name that the server's certificate must have. Default: the host of the URL. Placeholders are resolved.
	ServerName string `json:"server_name,omitempty"`
	// Pins: base64 SHA-256 hashes of public keys (SubjectPublicKeyInfo). Beside the usual verification, the server's
	// verified certificate chain must have one of these keys. A server that changes its key is out of reach until its new
	// pin is here. Default: none.
	Pins []string `json:"pin,omitempty"`
}

// Table has the words of the block tls.
var Table = words.Table[TLS]{Name: "tls", Words: []words.Word[TLS]{
	{Name: "ca", Usage: []string{"<file...>"}, Reader: words.Texts(func(t *TLS) *[]string { return &t.CA })},
	{Name: "client_cert", Usage: []string{"<file>"}, Reader: words.Text(func(t *TLS) *string { return &t.ClientCert })},
	{Name: "client_key", Usage: []string{"<file>"}, Reader: words.Text(func(t *TLS) *string { return &t.ClientKey })},
	{Name: "server_name", Usage: []string{"<name>"}, Reader: words.Text(func(t *TLS) *string { return &t.ServerName })},
	{Name: "pin", Usage: []string{"<sha256...>"}, Reader: words.Texts(func(t *TLS) *[]string { return &t.Pins })},
}}

// Compile checks the settings, reads their files, and sets the options. A file that does not exist yet is left out, if
// s defers that.
func (t *TLS) Compile(s *words.Settings, options *fetch.Options) error {
	if len(t.CA) == 0 && t.ClientCert == "" && t.ClientKey == "" && t.ServerName == "" && len(t.Pins) == 0 {
		return errors.New("it has no settings: leave it out, or add one")
	}
	if err := t.authorities(s, options); err != nil {
		return setting.In("CA", err)
	}
	if err := t.clientCertificate(s, options); err != nil {
		return err
	}
	name, known, err := s.Text("server_name", t.ServerName)
	if err != nil {
		return setting.In("ServerName", err)
	}
	if known {
		options.ServerName = name
	}
	if err := words.NotEmpty("pin", t.Pins); err != nil {
		return setting.In("Pins", err)
	}
	for n, text := range t.Pins {
		pin, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(pin) != sha256.Size {
			return setting.Errorf(setting.Element("Pins", n), "pin %q is not the base64 of a SHA-256 hash", text)
		}
		options.Pins = append(options.Pins, [sha256.Size]byte(pin))
	}
	return tryTLS(options)
}

// tryTLS checks that the certificates can be read, and that the private key is that of the client certificate. It tries
// each setting alone, so that an error names its field.
func tryTLS(options *fetch.Options) error {
	for _, part := range []struct {
		field   string
		options fetch.Options
	}{
		{"CA", fetch.Options{CA: options.CA}},
		{"ClientCert", fetch.Options{ClientCert: options.ClientCert, ClientKey: options.ClientKey}},
		{"ServerName", fetch.Options{ServerName: options.ServerName}},
	} {
		client, err := fetch.NewClient(part.options)
		if err == nil {
			err = client.Close()
		}
		if err != nil {
			return setting.In(part.field, err)
		}
	}
	return nil
}

func (t *TLS) authorities(s *words.Settings, options *fetch.Options) error {
	if err := words.NotEmpty("ca", t.CA); err != nil {
		return err
	}
	for n, file := range t.CA {
		content, known, err := s.File("ca", file)
		if err != nil {
			return setting.In(setting.Element("", n), err)
		}
		if known {
			options.CA = append(append(options.CA, jose.PlainText(content)...), '\n')
		}
	}
	return nil
}

// clientCertificate reads certificate and key. While one of them is not known, neither is used.
func (t *TLS) clientCertificate(s *words.Settings, options *fetch.Options) error {
	if (t.ClientCert == "") != (t.ClientKey == "") {
		field := "ClientKey"
		if t.ClientCert != "" {
			field = "ClientCert"
		}
		return setting.Errorf(field, "client_cert and client_key go together: one of them is missing")
	}
	if t.ClientCert == "" {
		return nil
	}
	cert, certKnown, err := s.File("client_cert", t.ClientCert)
	if err != nil {
		return setting.In("ClientCert", err)
	}
	key, keyKnown, err := s.File("client_key", t.ClientKey)
	if err != nil {
		return setting.In("ClientKey", err)
	}
	if certKnown && keyKnown {
		options.ClientCert, options.ClientKey = jose.PlainText(cert), jose.PlainText(key)
	}
	return nil
}

// Client is what these settings come to for a connection that is not HTTP. The fingerprint identifies them within this
// process, with the content of their files.
func (t *TLS) Client(s *words.Settings) (config *tls.Config, fingerprint [32]byte, err error) {
	var options fetch.Options
	if err := t.Compile(s, &options); err != nil {
		return nil, fingerprint, err
	}
	config, err = fetch.TLSConfig(options)
	return config, options.Fingerprint(), err
}
