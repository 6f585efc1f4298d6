package issuers

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/setting"
)

// fetchOptions compiles the settings for requests to the issuer's server.
func (i *Issuer) fetchOptions(s *words.Settings) (fetch.Options, error) {
	options := fetch.Options{AllowLinkLocal: i.AllowLinkLocal}
	var err error
	if options.Plain, err = i.plainHTTP(); err != nil {
		return options, err
	}
	for _, name := range slices.Sorted(maps.Keys(i.RequestHeaders)) { // sorted: two spellings of one name share a field
		if options.Header == nil {
			options.Header = make(http.Header)
		}
		if err := requestHeader(s, name, i.RequestHeaders[name], &options); err != nil {
			return options, setting.In("RequestHeaders["+name+"]", err)
		}
	}
	if i.TLS == nil {
		return options, nil
	}
	return options, setting.In("TLS", setting.Wrap("tls", i.TLS.compile(s, &options)))
}

// requestHeader compiles the values of a header field. If one of them follows a file, they all count as rotating, so
// that their order stays.
func requestHeader(s *words.Settings, name string, values []string, options *fetch.Options) error {
	what := "header_up " + name
	if err := words.NotEmpty(what, append([]string{}, values...)); err != nil {
		return err
	}
	var fields []rotating.Field
	var texts []string
	rotates := false
	for n, value := range values {
		template, _, err := s.Rotating(what, value)
		if err == nil && template.First == "" {
			err = fmt.Errorf("a value of %s is empty", what)
		}
		if err != nil {
			return setting.In(setting.Element("", n), err)
		}
		rotates = rotates || template.Rotates()
		fields, texts = append(fields, rotating.Field{Name: name, Value: template}), append(texts, template.First)
	}
	if err := checkRequestHeader(name, texts); err != nil {
		return fmt.Errorf("header_up %q: %w", name, err)
	}
	if rotates {
		options.Rotating = append(options.Rotating, fields...)
		return nil
	}
	for _, text := range texts {
		options.Header.Add(name, text)
	}
	return nil
}

// checkRequestHeader refuses fields that would make every request fail, and those that the client sets itself.
func checkRequestHeader(name string, values []string) error {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Te", "Accept",
		"If-None-Match":
		return errors.New("the gate sets this field itself: remove it")
	}
	if !httpguts.ValidHeaderFieldName(name) {
		return errors.New("this is not the name of a header field")
	}
	for _, value := range values {
		if !httpguts.ValidHeaderFieldValue(value) {
			return errors.New("the value has a character that header fields cannot have")
		}
	}
	return nil
}

func (t *TLS) compile(s *words.Settings, options *fetch.Options) error {
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
		return setting.Errorf(firstThere(field{"ClientCert", t.ClientCert != ""}, field{"ClientKey", true}),
			"client_cert and client_key go together: one of them is missing")
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
