package mcp

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/causes"
)

// The fields that repeat a part of the message (MCP 2026-07-28, Streamable HTTP, "Standard Request Headers").
const (
	methodField = "Mcp-Method"
	nameField   = "Mcp-Name"
)

// decisive are the fields that decide how a server reads the body. A client may send each of them once, in this
// spelling, and never as a trailer. CGI and its descendants take Mcp_Name for Mcp-Name.
var decisive = []string{
	"Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", methodField, nameField,
}

// Carries reports whether the body of a request is a message. A request with POST must carry one. GET opens a stream,
// DELETE ends a session, and neither they nor HEAD and OPTIONS have a body. There is no other method (MCP 2025-11-25,
// Streamable HTTP). Carries takes the body away where HTTP/3 leaves open whether there is one. An error wraps
// ErrMalformed.
func Carries(r *http.Request) (bool, error) {
	if len(r.Header["Upgrade"]) > 0 {
		return false, malformed("the request has the field Upgrade: nobody could judge what comes after an upgrade")
	}
	if err := checkFields(r.Header); err != nil {
		return false, err
	}
	if err := noTrailers(r.Trailer); err != nil {
		return false, err
	}
	switch r.Method {
	case http.MethodPost:
		err := checkContent(r.Header)
		return err == nil, err
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		return false, checkBodyless(r)
	default:
		return false, malformed("the method of HTTP is %s: MCP has POST, GET and DELETE", causes.Quote(r.Method))
	}
}

func checkFields(h http.Header) error {
	for name, lines := range h {
		for _, ours := range decisive {
			switch {
			case !bearer.SameField(name, ours):
			case name != ours:
				return malformed("the field %s could be taken for %s", causes.Quote(name), ours)
			case len(lines) > 1:
				return malformed("the field %s comes %d times", ours, len(lines))
			}
		}
	}
	return nil
}

func noTrailers(trailers http.Header) error {
	for name := range trailers {
		for _, ours := range decisive {
			if bearer.SameField(name, ours) {
				return malformed("the field %s comes as a trailer", ours)
			}
		}
	}
	return nil
}

// checkContent wants plain JSON in UTF-8 (RFC 8259 section 8.1), which is what we judge.
func checkContent(h http.Header) error {
	content, coding := first(h, "Content-Type"), first(h, "Content-Encoding")
	if !isJSON(content) {
		return malformed("the content type is %s, and not application/json", causes.Quote(content))
	}
	if coding != "" && !equalFold(trim(coding), "identity") {
		return malformed("the body has the content coding %s", causes.Quote(coding))
	}
	return nil
}

func checkBodyless(r *http.Request) error {
	if len(r.Header[methodField]) > 0 || len(r.Header[nameField]) > 0 {
		return malformed("the fields %s and %s belong to a message, and there is no body", methodField, nameField)
	}
	if r.ContentLength > 0 || r.ContentLength < 0 && r.ProtoMajor < 3 {
		return malformed("a request with %s has a body", r.Method)
	}
	bearer.DropBody(r)
	return nil
}

// isJSON reports whether a content type is that of JSON. The only parameter may be the charset, which must be UTF-8.
func isJSON(content string) bool {
	media, parameter, more := strings.Cut(content, ";")
	if !equalFold(trim(media), "application/json") {
		return false
	}
	name, charset, _ := strings.Cut(trim(parameter), "=")
	return !more || equalFold(name, "charset") && (equalFold(charset, "utf-8") || equalFold(charset, `"utf-8"`))
}

// Agrees checks that the fields of a request say the same as its message. Whoever routes by them must see what the
// server runs (MCP 2026-07-28, Streamable HTTP, "Server Validation"). Call it when the body has been read: trailers are
// known only then. An error wraps ErrMalformed.
func (m Message) Agrees(r *http.Request) error {
	if err := noTrailers(r.Trailer); err != nil {
		return err
	}
	if lines, sent := r.Header[methodField]; sent && (len(lines) != 1 || lines[0] != m.Method || m.Method == "") {
		return malformed("the field %s is %s, and the method of the message is %s", methodField,
			causes.List(lines), causes.Quote(m.Method))
	}
	lines, sent := r.Header[nameField]
	if !sent {
		return nil
	}
	subject, named := m.subject()
	value, ok := decode(first(r.Header, nameField))
	if !ok || !named || value != subject {
		return malformed("the field %s is %s, and the message is about %s", nameField, causes.List(lines),
			causes.Quote(subject))
	}
	return nil
}

// decode reads a value of Mcp-Name. What cannot be in a field as it stands is in base64 (MCP 2026-07-28, Streamable
// HTTP, "Value Encoding").
func decode(value string) (text string, ok bool) {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return "", false
		}
	}
	encoded, begins := strings.CutPrefix(value, "=?base64?")
	encoded, ends := strings.CutSuffix(encoded, "?=")
	if !begins || !ends {
		return value, true
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(encoded)
	return string(decoded), err == nil
}

func first(h http.Header, name string) string {
	if lines := h[name]; len(lines) > 0 {
		return lines[0]
	}
	return ""
}

func trim(value string) string { return strings.Trim(value, " \t") }

// equalFold compares without regard to the case of ASCII letters only: strings.EqualFold takes "ſ" for "s".
func equalFold(value, want string) bool {
	if len(value) != len(want) {
		return false
	}
	for i := range len(value) {
		c := value[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}
