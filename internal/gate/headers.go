package gate

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/setting"
)

// The headers of InterSystems API Manager and Kong by which the backend learns who is calling.
const (
	headerConsumerID       = "X-Consumer-Id"
	headerConsumerCustomID = "X-Consumer-Custom-Id"
	headerConsumerUsername = "X-Consumer-Username"
	headerConsumerGroups   = "X-Consumer-Groups"
	headerCredential       = "X-Credential-Identifier"
	headerAnonymous        = "X-Anonymous-Consumer"
)

// headerNames is a set of names of fields, normalised: lower case, with whatever is neither letter nor digit read as
// "-", because CGI-like backends cannot tell those characters apart.
type headerNames struct {
	names   map[string]struct{}
	lengths uint64 // bit n is set when a name has length n: most headers need no further look
}

func namesOf(names ...string) headerNames {
	m := headerNames{names: make(map[string]struct{})}
	for _, name := range names {
		m.add(name)
	}
	return m
}

// manage lists the managed headers, by which we tell the backend who is calling, and refuses names that cannot carry a
// claim safely, or hold the token. Whatever a client sends under one of them is removed on every outcome (RFC 9700
// section 4.13).
func manage(forward []ForwardClaim, extractor *bearer.Extractor) (headerNames, error) {
	m := namesOf(headerConsumerID, headerConsumerCustomID, headerConsumerUsername, headerConsumerGroups, headerCredential,
		headerAnonymous)
	for i, f := range forward {
		if err := m.admits(f, extractor); err != nil {
			return headerNames{}, setting.In(element("ForwardClaims", i), err)
		}
		forward[i].Header = textproto.CanonicalMIMEHeaderKey(f.Header)
		m.add(f.Header)
	}
	return m, nil
}

// admits refuses a header name that cannot carry a claim here.
func (m *headerNames) admits(f ForwardClaim, extractor *bearer.Extractor) error {
	if err := f.Validate(); err != nil {
		return err
	}
	if extractor.Needs(f.Header) {
		return setting.Errorf("Header", "forward_claim %v %s: the token is taken from that header; choose another name",
			f.Path, f.Header)
	}
	if m.has(f.Header) {
		return setting.Errorf("Header", "forward_claim %v %s: the header is already taken; choose another name",
			f.Path, f.Header)
	}
	return nil
}

// Validate refuses header names that cannot carry a claim safely.
func (f ForwardClaim) Validate() error {
	if err := forwardable(f.Header); err != nil {
		return setting.Errorf("Header", "forward_claim %v %s: %w", f.Path, f.Header, err)
	}
	return nil
}

func forwardable(name string) error {
	if name == "" || strings.ContainsFunc(name, notHeaderName) {
		return errors.New("a header name has only letters, digits and hyphens here")
	}
	if len(name) > maxManagedName {
		return fmt.Errorf("a header name has at most %d characters here", maxManagedName)
	}
	return reservedFor(name)
}

// notHeaderName allows the part of RFC 9110's token that every backend reads the same: "_" and "." have aliases.
func notHeaderName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
}

const maxManagedName = 63 // so that lengths fits a word

func (m *headerNames) add(name string) {
	m.names[strings.ToLower(name)] = struct{}{}
	m.lengths |= 1 << len(name)
}

// has reports whether a header name, in whatever spelling, is in the set.
func (m *headerNames) has(name string) bool {
	if len(name) > maxManagedName || m.lengths&(1<<len(name)) == 0 {
		return false
	}
	var buf [maxManagedName]byte
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			buf[i] = c + ('a' - 'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			buf[i] = c
		default:
			buf[i] = '-'
		}
	}
	_, found := m.names[string(buf[:len(name)])]
	return found
}

// Annotate tells the backend who is calling, after Strip has removed what the client claimed. It refuses a claim that
// cannot be a header value; the request must not travel on then.
func (g *Gate) Annotate(r *http.Request, identity *Identity) error {
	if consumer := identity.Consumer; consumer != nil {
		set(r.Header, headerConsumerID, consumer.ID)
		set(r.Header, headerConsumerCustomID, consumer.CustomID)
		set(r.Header, headerConsumerUsername, consumer.Username)
		set(r.Header, headerConsumerGroups, strings.Join(consumer.Groups, ","))
		set(r.Header, headerCredential, identity.CredentialKey)
	}
	if identity.Anonymous {
		set(r.Header, headerAnonymous, "true")
	}
	if identity.Claims == nil {
		return nil
	}
	for _, f := range g.forward {
		value, ok := identity.Claims.Lookup(f.Path)
		if !ok {
			continue // no claim, no header
		}
		text, ok := value.Text()
		if !ok {
			continue
		}
		if err := headerSafe(text); err != nil {
			g.managed.stripHeader(r.Header) // an error route must not learn who was refused
			return fail(UnsafeClaim, fmt.Errorf("claim %v: %w", f.Path, err))
		}
		set(r.Header, f.Header, text)
	}
	return nil
}

// set writes a header under its canonical name; nothing is no header.
func set(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}

// maxForwarded bounds the header of one claim: a token may be longer than what backends accept in one line, and they
// would refuse the whole request, each in its own way.
const maxForwarded = 8 << 10

// headerSafe refuses what would not arrive as it was sent: control characters could end the header and begin another
// (RFC 9110 section 5.5), and C1 controls do so for lenient readers.
func headerSafe(s string) error {
	if len(s) > maxForwarded {
		return fmt.Errorf("it needs %d bytes in a header, and may have %d: forward a smaller claim", len(s), maxForwarded)
	}
	if !utf8.ValidString(s) {
		return errors.New("it is not UTF-8")
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == '\u2028' || r == '\u2029' {
			return errors.New("it has a control character")
		}
	}
	return nil
}
