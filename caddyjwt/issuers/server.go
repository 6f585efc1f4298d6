package issuers

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/fetch"
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
	return options, setting.In("TLS", setting.Wrap("tls", i.TLS.Compile(s, &options)))
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
