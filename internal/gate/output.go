package gate

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"

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
func (c *Config) outputs() ([]Output, headerNames, error) {
	list := []Output{consumerHeaders{}}
	managed := namesOf(consumerHeaders{}.Names()...)
	for i, claim := range c.ForwardClaims {
		if err := c.checkOutputName(&managed, claim.Header); err != nil {
			return nil, managed, setting.In(element("ForwardClaims", i), claim.mistake(err))
		}
		claim.Header = textproto.CanonicalMIMEHeaderKey(claim.Header)
		managed.add(claim.Header)
		list = append(list, &claim)
	}
	if name := c.ForwardPayload; name != "" {
		if err := c.checkOutputName(&managed, name); err != nil {
			return nil, managed, setting.Errorf("ForwardPayload", "forward_payload %s: %w", name, err)
		}
		payload := forwardPayload(textproto.CanonicalMIMEHeaderKey(name))
		managed.add(string(payload))
		list = append(list, payload)
	}
	for i, output := range c.Outputs {
		if output == nil {
			return nil, managed, setting.Errorf(element("Outputs", i), "an output is nil")
		}
		for _, name := range output.Names() {
			if err := c.checkOutputName(&managed, name); err != nil {
				return nil, managed, setting.Errorf(element("Outputs", i), "header %s: %w", name, err)
			}
			managed.add(name)
		}
		list = append(list, output)
	}
	return list, managed, nil
}

// checkOutputName refuses a header name that an output cannot have in this configuration.
func (c *Config) checkOutputName(taken *headerNames, name string) error {
	if err := checkHeaderName(name); err != nil {
		return err
	}
	if c.Extractor.Needs(name) {
		return errors.New("the token is taken from that header; choose another name")
	}
	if taken.has(name) {
		return errors.New("the header is already taken; choose another name")
	}
	return nil
}

// Annotate sets the headers from which the backend learns who is calling. Call Strip first: it removes those that the
// client has sent. If a claim cannot be a header value, the error is a *Failure, and the request must not be forwarded.
func (g *Gate) Annotate(r *http.Request, identity *Identity) error {
	for _, output := range g.outputs {
		if err := output.Write(r.Header, identity); err != nil {
			g.managed.stripHeader(r.Header) // the backend of an error route must not take the refused caller for accepted
			f := *FailureOf(err)            // a copy: an Output may return the same failure for several requests
			f.Issuer = cmp.Or(identity.Issuer, identity.CredentialKey)
			return &f
		}
	}
	return nil
}

// consumerHeaders is the output about a consumer.
type consumerHeaders struct{}

// Names implements Output.
func (consumerHeaders) Names() []string {
	return []string{headerConsumerID, headerConsumerCustomID, headerConsumerUsername, headerConsumerGroups,
		headerCredential, headerAnonymous}
}

// Write implements Output.
func (consumerHeaders) Write(h http.Header, id *Identity) error {
	if consumer := id.Consumer; consumer != nil {
		set(h, headerConsumerID, consumer.ID)
		set(h, headerConsumerCustomID, consumer.CustomID)
		set(h, headerConsumerUsername, consumer.Username)
		set(h, headerConsumerGroups, strings.Join(consumer.Groups, ","))
		set(h, headerCredential, id.CredentialKey)
	}
	if id.Anonymous {
		set(h, headerAnonymous, "true")
	}
	return nil
}

// Validate refuses a header name that cannot safely carry a claim.
func (f ForwardClaim) Validate() error {
	if err := checkHeaderName(f.Header); err != nil {
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
	text, ok := value.Text()
	if !ok {
		return nil
	}
	if err := checkHeaderValue(text); err != nil {
		return fail(UnsafeClaim, fmt.Errorf("claim %v: %w", f.Path, err))
	}
	set(h, f.Header, text)
	return nil
}

// forwardPayload is the name of the header that has all claims.
type forwardPayload string

// Names implements Output.
func (name forwardPayload) Names() []string { return []string{string(name)} }

// Write implements Output. The payload is encoded in base64url, as in a JWT (RFC 7515 section 2), so none of its bytes
// can break the header. Without claims there is no header.
func (name forwardPayload) Write(h http.Header, id *Identity) error {
	if id.Claims == nil {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString(id.Claims.Text())
	if len(text) > maxForwarded {
		return fail(UnsafeClaim, fmt.Errorf("the payload needs %d bytes in a header, and may have %d: "+
			"forward the claims that matter, with forward_claims", len(text), maxForwarded))
	}
	set(h, string(name), text)
	return nil
}

// set sets a header by its canonical name. An empty value sets none.
func set(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}
