package output

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/textproto"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Claim sends a claim to the backend in a header.
type Claim struct {
	Path   claims.Path
	Header string
	As     claims.Encoding
}

// output is the claim as an output.
func (c Claim) output() Output {
	c.Header = textproto.CanonicalMIMEHeaderKey(c.Header)
	return &c
}

// Names implements Output.
func (c *Claim) Names() []string { return []string{c.Header} }

// Write implements Output. Without the claim there is no header.
func (c *Claim) Write(h http.Header, id *identity.Identity) error {
	if id.Claims == nil {
		return nil
	}
	value, ok := id.Claims.Lookup(c.Path)
	if !ok {
		return nil
	}
	text, err := value.Encode(c.As)
	if err == nil {
		err = fields.CheckValue(text)
	}
	if err != nil {
		return &UnsafeError{fmt.Errorf("claim %v: %w", c.Path, err)}
	}
	setField(h, c.Header, text)
	return nil
}

// payload is the header that has all claims.
type payload struct {
	name     string
	encoding *base64.Encoding
}

// addPayload adds the header with all claims, if there is one.
func (s *Settings) addPayload(to *Set) error {
	name, encoding := s.ForwardPayload, base64.RawURLEncoding
	switch {
	case name == "" && s.PadPayload:
		return setting.Errorf("PadPayload",
			"padding is for the header of forward_payload, and there is none: name one, or remove the padding")
	case name == "":
		return nil
	case s.PadPayload:
		encoding = base64.URLEncoding
	}
	if err := s.checkName(to, name); err != nil {
		return setting.Errorf("ForwardPayload", "forward_payload %s: %w", name, err)
	}
	to.add(payload{textproto.CanonicalMIMEHeaderKey(name), encoding})
	return nil
}

// Names implements Output.
func (p payload) Names() []string { return []string{p.name} }

// Write implements Output. The payload is encoded in base64url, as in a JWT (RFC 7515 section 2), so none of its bytes
// can break the header. Without claims there is no header.
func (p payload) Write(h http.Header, id *identity.Identity) error {
	if id.Claims == nil {
		return nil
	}
	text := p.encoding.EncodeToString(id.Claims.Text())
	if len(text) > fields.MaxValue {
		return &UnsafeError{fmt.Errorf("the payload needs %d bytes in a header, and may have %d: "+
			"forward the claims that matter, with forward_claims", len(text), fields.MaxValue)}
	}
	setField(h, p.name, text)
	return nil
}
