package caddyjwt

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// fetchOptions says how to talk to the issuer's server.
func (i *Issuer) fetchOptions(repl *caddy.Replacer) (fetch.Options, error) {
	options := fetch.Options{AllowLinkLocal: i.AllowLinkLocal}
	for _, name := range slices.Sorted(maps.Keys(i.RequestHeaders)) { // in order: two spellings of one name share a field
		values, err := resolveAll(repl, "request_header "+name, append([]string{}, i.RequestHeaders[name]...))
		if err != nil {
			return options, err
		}
		if err := checkRequestHeader(name, values); err != nil {
			return options, fmt.Errorf("request_header %q: %w", name, err)
		}
		if options.Header == nil {
			options.Header = make(http.Header)
		}
		for _, value := range values {
			options.Header.Add(name, value)
		}
	}
	if i.TLS == nil {
		return options, nil
	}
	return options, wrap("tls", i.TLS.compile(repl, &options))
}

// checkRequestHeader refuses what would make every request fail, and what the client sets itself.
func checkRequestHeader(name string, values []string) error {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Te", "Accept", "If-None-Match":
		return errors.New("this field is not for the configuration to set")
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

func (t *TLS) compile(repl *caddy.Replacer, options *fetch.Options) error {
	if len(t.CA) == 0 && t.ClientCert == "" && t.ClientKey == "" && t.ServerName == "" && len(t.Pins) == 0 {
		return errors.New("it is empty: leave it out, or say what is different from the system's settings")
	}
	err := errors.Join(notEmpty("ca", t.CA), notEmpty("pin", t.Pins))
	if err != nil {
		return err
	}
	for _, file := range t.CA {
		content, err := readSetting(repl, "ca", file)
		if err != nil {
			return err
		}
		options.CA = append(append(options.CA, content...), 0x0a)
	}
	if (t.ClientCert == "") != (t.ClientKey == "") {
		return errors.New("client_cert and client_key go together: one of them is missing")
	}
	if t.ClientCert != "" {
		if options.ClientCert, err = readSetting(repl, "client_cert", t.ClientCert); err != nil {
			return err
		}
		if options.ClientKey, err = readSetting(repl, "client_key", t.ClientKey); err != nil {
			return err
		}
	}
	if options.ServerName, err = resolve(repl, "server_name", t.ServerName); err != nil {
		return err
	}
	for _, text := range t.Pins {
		pin, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(pin) != sha256.Size {
			return fmt.Errorf("pin %q is not the base64 of a SHA-256 hash", text)
		}
		options.Pins = append(options.Pins, [sha256.Size]byte(pin))
	}
	client, err := fetch.NewClient(*options) // are the certificates, and is the private key one of theirs?
	if err != nil {
		return err
	}
	return client.Close()
}
