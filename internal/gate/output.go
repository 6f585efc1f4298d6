package gate

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/setting"
)

// The headers of InterSystems API Manager and Kong from which the backend learns who is calling.
const (
	headerConsumerID       = "X-Consumer-Id"
	headerConsumerCustomID = "X-Consumer-Custom-Id"
	headerConsumerUsername = "X-Consumer-Username"
	headerConsumerGroups   = "X-Consumer-Groups"
	headerCredential       = "X-Credential-Identifier"
	headerAnonymous        = "X-Anonymous-Consumer"
)

// outputs lists the outputs and the header names that they manage. It refuses a name that cannot safely carry a claim,
// that may hold the token, or that two outputs use.
func (c *Config) outputs() ([]Output, fields.Names, error) {
	managed := fields.Of(aboutConsumers...)
	consumers, err := c.consumerHeaders()
	if err != nil {
		return nil, managed, err
	}
	list := []Output{consumers}
	for i, claim := range c.ForwardClaims {
		if err := c.checkOutputName(&managed, claim.Header); err != nil {
			return nil, managed, setting.In(setting.Element("ForwardClaims", i), claim.mistake(err))
		}
		claim.Header = textproto.CanonicalMIMEHeaderKey(claim.Header)
		managed.Add(claim.Header)
		list = append(list, &claim)
	}
	if name := c.ForwardPayload; name != "" {
		if err := c.checkOutputName(&managed, name); err != nil {
			return nil, managed, setting.Errorf("ForwardPayload", "forward_payload %s: %w", name, err)
		}
		payload := forwardPayload{textproto.CanonicalMIMEHeaderKey(name), base64.RawURLEncoding}
		if c.PadPayload {
			payload.encoding = base64.URLEncoding
		}
		managed.Add(payload.name)
		list = append(list, payload)
	} else if c.PadPayload {
		return nil, managed, setting.Errorf("PadPayload",
			"padding is for the header of forward_payload, and there is none: name one, or remove the padding")
	}
	for i, output := range c.Outputs {
		if output == nil {
			return nil, managed, setting.Errorf(setting.Element("Outputs", i), "an output is nil")
		}
		for _, name := range output.Names() {
			if err := c.checkOutputName(&managed, name); err != nil {
				return nil, managed, setting.Errorf(setting.Element("Outputs", i), "header %s: %w", name, err)
			}
			managed.Add(name)
		}
		list = append(list, output)
	}
	return list, managed, nil
}

// checkOutputName refuses a header name that an output cannot have in this configuration.
func (c *Config) checkOutputName(taken *fields.Names, name string) error {
	if err := fields.CheckName(name); err != nil {
		return err
	}
	if c.Extractor.Needs(name) {
		return errors.New("the token is taken from that header; choose another name")
	}
	if taken.Has(name) {
		return errors.New("the header is already taken; choose another name")
	}
	return nil
}

// Annotate sets the headers from which the backend learns who is calling. Call Strip first: it removes those that the
// client has sent. If a claim cannot be a header value, the error is a *Failure, and the request must not be forwarded.
func (g *Gate) Annotate(r *http.Request, identity *Identity) error {
	for _, output := range g.outputs {
		if err := output.Write(r.Header, identity); err != nil {
			g.managed.Strip(r.Header) // the backend of an error route must not take the refused caller for accepted
			f := *FailureOf(err)      // a copy: an Output may return the same failure for several requests
			f.Issuer = cmp.Or(identity.Issuer, identity.CredentialKey)
			return &f
		}
	}
	return nil
}

// aboutConsumers are the headers about a consumer.
var aboutConsumers = []string{headerConsumerID, headerConsumerCustomID, headerConsumerUsername, headerConsumerGroups,
	headerCredential, headerAnonymous}

// consumerHeaders is the output about a consumer. Bit i is set if aboutConsumers[i] is not sent.
type consumerHeaders uint8

// consumerHeaders finds out which headers are sent.
func (c *Config) consumerHeaders() (hidden consumerHeaders, err error) {
	if len(c.ConsumerHeaders) == 0 {
		return 0, nil
	}
	if len(c.Consumers) == 0 && c.Roster == nil &&
		!slices.ContainsFunc(c.Issuers, func(i Issuer) bool { return i.namesCaller() }) {
		return 0, setting.Errorf("ConsumerHeaders",
			"consumer_headers says what the backend gets about consumers, and there is none: remove it, or add a consumer")
	}
	hidden = 1<<len(aboutConsumers) - 1
	if slices.Equal(c.ConsumerHeaders, []string{"off"}) {
		return hidden, nil
	}
	for i, name := range c.ConsumerHeaders {
		known := slices.IndexFunc(aboutConsumers, func(of string) bool { return strings.EqualFold(of, name) })
		switch {
		case known < 0 && name == "off":
			return 0, setting.Errorf(setting.Element("ConsumerHeaders", i),
				"consumer_headers off sends none of them: remove it, or the names beside it")
		case known < 0:
			return 0, setting.Errorf(setting.Element("ConsumerHeaders", i), "consumer_headers %q: expected off, or some of %s",
				name, strings.Join(aboutConsumers, ", "))
		case hidden&(1<<known) == 0:
			return 0, setting.Errorf(setting.Element("ConsumerHeaders", i), "consumer_headers names %s twice: remove one", name)
		}
		hidden &^= 1 << known
	}
	return hidden, nil
}

// Names implements Output. It has the hidden ones, too: a client must not send them.
func (consumerHeaders) Names() []string { return aboutConsumers }

// Write implements Output.
func (hidden consumerHeaders) Write(h http.Header, id *Identity) error {
	if consumer := id.Consumer; consumer != nil {
		hidden.set(h, 0, consumer.ID)
		hidden.set(h, 1, consumer.CustomID)
		hidden.set(h, 2, consumer.Username)
		hidden.set(h, 3, strings.Join(consumer.Groups, ","))
		hidden.set(h, 4, id.CredentialKey)
	}
	if id.named {
		hidden.set(h, 2, id.ID)
	}
	if id.Anonymous {
		hidden.set(h, 5, "true")
	}
	return nil
}

func (hidden consumerHeaders) set(h http.Header, i int, value string) {
	if hidden&(1<<i) == 0 {
		set(h, aboutConsumers[i], value)
	}
}

// Validate refuses a header name that cannot safely carry a claim.
func (f ForwardClaim) Validate() error {
	if err := fields.CheckName(f.Header); err != nil {
		return f.mistake(err)
	}
	return nil
}

func (f ForwardClaim) mistake(err error) error {
	return setting.Errorf("Header", "forward_claims %s %v: %w", f.Header, f.Path, err)
}

// Names implements Output.
func (f *ForwardClaim) Names() []string { return []string{f.Header} }

// Write implements Output. Without the claim there is no header.
func (f *ForwardClaim) Write(h http.Header, id *Identity) error {
	if id.Claims == nil {
		return nil
	}
	value, ok := id.Claims.Lookup(f.Path)
	if !ok {
		return nil
	}
	text, err := value.Encode(f.As)
	if err == nil {
		err = fields.CheckValue(text)
	}
	if err != nil {
		return fail(UnsafeClaim, fmt.Errorf("claim %v: %w", f.Path, err))
	}
	set(h, f.Header, text)
	return nil
}

// forwardPayload is the header that has all claims.
type forwardPayload struct {
	name     string
	encoding *base64.Encoding
}

// Names implements Output.
func (p forwardPayload) Names() []string { return []string{p.name} }

// Write implements Output. The payload is encoded in base64url, as in a JWT (RFC 7515 section 2), so none of its bytes
// can break the header. Without claims there is no header.
func (p forwardPayload) Write(h http.Header, id *Identity) error {
	if id.Claims == nil {
		return nil
	}
	text := p.encoding.EncodeToString(id.Claims.Text())
	if len(text) > fields.MaxValue {
		return fail(UnsafeClaim, fmt.Errorf("the payload needs %d bytes in a header, and may have %d: "+
			"forward the claims that matter, with forward_claims", len(text), fields.MaxValue))
	}
	set(h, p.name, text)
	return nil
}

// set sets a header by its canonical name. An empty value sets none.
func set(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}
