// Package bearer is both ends of RFC 6750: it takes the one access token out of a request, and it writes the challenge
// that answers a missing or refused token.
//
// The rule throughout: a request carries exactly one credential, in one place, readable in only one way. A request that
// another parser could read differently is refused, never interpreted. Examples are two values, a separator that only
// some servers know, and a parameter name that only lenient parsers decode.
package bearer

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
)

// Kind says in which part of a request to look for a token.
type Kind uint8

// The parts of a request that can hold a token. The zero Kind is Header, the only one that RFC 6750 requires a resource
// server to support.
const (
	Header      Kind = iota // a header field, RFC 6750 section 2.1
	Query                   // a parameter of the URI query, RFC 6750 section 2.3
	Cookie                  // a cookie, RFC 6265
	Form                    // a parameter of a form body, RFC 6750 section 2.2
	Subprotocol             // a subprotocol of a WebSocket, RFC 6455 section 1.9
)

// String returns the word for the kind in the configuration.
func (k Kind) String() string {
	switch k {
	case Header:
		return "header"
	case Query:
		return "query"
	case Cookie:
		return "cookie"
	case Form:
		return "form"
	case Subprotocol:
		return "websocket_protocol"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Place is a part of a request in which to look for a token.
type Place struct {
	Kind Kind

	// Name is that of the header field, query parameter, cookie or form parameter. Header names match in any case, the
	// others exactly. Names that some servers take for this one, such as X_Access_Token, are refused. For a subprotocol it
	// is the marker: see Subprotocols.
	Name string

	// Scheme is the authentication scheme before the token, matched in any case. Only headers have one. Empty means that
	// the whole value is the token.
	Scheme string
}

// DefaultPlace is where RFC 6750 section 2.1 puts the token.
var DefaultPlace = Place{Kind: Header, Name: "Authorization", Scheme: "Bearer"}

// DPoPScheme is the scheme of tokens that are bound to a key (RFC 9449 section 7.1).
const DPoPScheme = "DPoP"

// dpopPlace is where a token with that scheme is.
var dpopPlace = Place{Kind: Header, Name: "Authorization", Scheme: DPoPScheme}

// String describes the place in the words of the configuration, such as "header Authorization Bearer".
func (p Place) String() string {
	text := p.Kind.String() + " " + p.Name
	if p.Scheme != "" {
		text += " " + p.Scheme
	}
	return text
}

// maxName bounds configured names. Real ones have a dozen characters.
const maxName = 128

// normalize checks a configured place and returns it with a canonical header name.
func (p Place) normalize() (Place, error) {
	if p.Name == "" {
		return p, errors.New("a name is needed")
	}
	if len(p.Name) > maxName {
		return p, fmt.Errorf("the name is longer than %d characters", maxName)
	}
	if p.Kind != Header && p.Scheme != "" {
		return p, fmt.Errorf("only a header has a scheme (%q)", p.Scheme)
	}
	//exhaustive:enforce
	switch p.Kind {
	case Header:
		return p.normalizeHeader()
	case Cookie:
		if !isToken(p.Name) {
			return p, fmt.Errorf("%q is not a cookie name", p.Name)
		}
	case Query, Form:
		if !isParamName(p.Name) {
			return p, fmt.Errorf("%q cannot be a parameter name: use letters, digits and - . _ ~", p.Name)
		}
	case Subprotocol:
		if !isToken(p.Name) || p.Name == "." {
			return p, fmt.Errorf("%q cannot be a subprotocol: use letters, digits and - . _ (RFC 6455 section 4.1)", p.Name)
		}
	default:
		return p, fmt.Errorf("unknown kind of place %d", uint8(p.Kind))
	}
	return p, nil
}

func (p Place) normalizeHeader() (Place, error) {
	if !isToken(p.Name) {
		return p, fmt.Errorf("%q is not a header name", p.Name)
	}
	if p.Scheme != "" && !isToken(p.Scheme) {
		return p, fmt.Errorf("%q is not an authentication scheme", p.Scheme)
	}
	p.Name = textproto.CanonicalMIMEHeaderKey(p.Name)
	if why := unfitHeader(p.Name); why != "" {
		return p, fmt.Errorf("the header %s cannot hold a token: %s", p.Name, why)
	}
	if why := unfitScheme(p.Scheme); why != "" {
		return p, fmt.Errorf("the scheme %s is not for bearer tokens: %s", p.Scheme, why)
	}
	return p, nil
}

// UnfitHeader says why a header cannot hold what a gate reads from it, such as "the server needs it"; empty when it
// can.
func UnfitHeader(name string) string { return unfitHeader(textproto.CanonicalMIMEHeaderKey(name)) }

// unfitHeader says why a field cannot hold a token; empty when it can. The HTTP server may consume the field, so that
// nobody sees the token. The field may control the message, so that its removal breaks the message. Or it means
// something else.
func unfitHeader(name string) string {
	switch name {
	case "Connection", "Content-Encoding", "Content-Length", "Content-Type",
		"Expect", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade":
		return "the server needs it; use Authorization, or a header of your own"
	case "Cookie":
		return "cookies have a place of their own; write \"cookie <name>\""
	case "Proxy-Authorization":
		return "it is for a proxy that the client has chosen, which answers 407 " +
			"(RFC 9110 section 11.7); use Authorization, or a header of your own"
	case "Dpop":
		return "it holds a DPoP proof (RFC 9449 section 4.1); to accept tokens with proofs, write \"proof dpop\""
	}
	switch {
	case name == protocolField:
		// A client that offers subprotocols ends the WebSocket unless the answer has one of them. So the token would have to
		// be sent back.
		return "the answer to a WebSocket request would have to repeat the token (RFC 6455 section 1.9); " +
			"write \"websocket_protocol [<marker>]\", which answers with a marker, or use \"query <name>\" or \"cookie <name>\""
	case strings.HasPrefix(name, "Sec-"):
		return "browsers set Sec-* fields themselves; for WebSockets use \"websocket_protocol [<marker>]\", " +
			"\"query <name>\" or \"cookie <name>\""
	}
	return ""
}

// unfitScheme says why credentials of a scheme are not a bearer token; empty when they may be one. DPoP and GNAP
// promise a proof of possession with the token (RFC 9449 section 7.1, RFC 9635 section 7.2). For DPoP see Options.
// GNAP's proof is not checked, so a stolen token would pass under a name that rules this out.
func unfitScheme(scheme string) string {
	switch {
	case equalFold(scheme, DPoPScheme):
		return "it asks for a proof with each request (RFC 9449 section 7.1); to accept it, write \"proof dpop\", which " +
			"needs no place of its own"
	case equalFold(scheme, "GNAP"):
		return "it asks for a proof with each request (RFC 9635 section 7.2), and such proofs " +
			"are not checked here; have bearer tokens issued, and use the scheme Bearer"
	case equalFold(scheme, "Basic"):
		return "it is followed by a user and a password (RFC 7617); use the scheme Bearer"
	}
	return ""
}

// conflict says why two places cannot be used together; empty when they can.
func (p Place) conflict(q Place) string {
	switch {
	case p.Kind == Subprotocol && q.Kind == Subprotocol:
		if holds(p.Name, q.Name) || holds(q.Name, p.Name) {
			return "is given twice, or one of two markers begins with the other"
		}
		return ""
	case p.Kind != q.Kind || p.Name != q.Name:
		return ""
	case p.Kind != Header || equalFold(p.Scheme, q.Scheme):
		return "is given twice"
	case p.Scheme == "" || q.Scheme == "":
		return "is given both with and without a scheme"
	}
	return ""
}

// isToken is the token rule of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isParamName allows the unreserved characters of RFC 3986 section 2.3: a name made of them reads the same whether or
// not it is percent-decoded.
func isParamName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("-._~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// equalFold compares in any case, in ASCII only. The Unicode folding of the standard library would read the Kelvin sign
// as a k.
func equalFold(s, t string) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != lower(t[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
