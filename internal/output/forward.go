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

// Forward sends a claim, or a member of the JOSE header, to the backend in a header.
type Forward struct {
	Path   claims.Path
	Header string
	As     claims.Encoding
}

// forwarded is a Forward as an output.
type forwarded struct {
	Forward
	of   func(*identity.Identity) claims.Source
	what string // for errors
}

func claimsOf(id *identity.Identity) claims.Source { return id.Claims }
func headerOf(id *identity.Identity) claims.Source { return &id.Header }

// addForwards adds the claims, and the members of the JOSE header, that have a field each.
func (s *Settings) addForwards(to *Set) error {
	for _, these := range []struct {
		field, word, what string
		list              []Forward
		of                func(*identity.Identity) claims.Source
	}{
		{"ForwardClaims", "forward_claims", "claim", s.ForwardClaims, claimsOf},
		{"ForwardHeader", "forward_header", "header member", s.ForwardHeader, headerOf},
	} {
		for i, f := range these.list {
			if err := s.checkName(to, f.Header); err != nil {
				return setting.In(setting.Element(these.field, i),
					setting.Errorf("Header", "%s %s %v: %w", these.word, f.Header, f.Path, err))
			}
			f.Header = textproto.CanonicalMIMEHeaderKey(f.Header)
			to.add(&forwarded{f, these.of, these.what})
		}
	}
	return nil
}

// Names implements Output.
func (f *forwarded) Names() []string { return []string{f.Header} }

// Write implements Output. Without the value there is no header.
func (f *forwarded) Write(h http.Header, id *identity.Identity) error {
	value, ok := f.of(id).Lookup(f.Path)
	if !ok {
		return nil
	}
	text, err := value.Encode(f.As)
	if err == nil {
		err = fields.CheckValue(text)
	}
	if err != nil {
		return &UnsafeError{fmt.Errorf("%s %v: %w", f.what, f.Path, err)}
	}
	setField(h, f.Header, text)
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
