// Package paste makes an HTTP request of what an operator has at hand: a token, a header line, a curl command, or a
// request as a browser's tools show it. Errors never quote what was pasted, since it may hold a token.
package paste

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// MaxInput is the greatest length of an input in bytes. It leaves room for the longest token that a gate can allow.
const MaxInput = 2 << 20

// Input is what was pasted: either a token or a request.
type Input struct {
	// Token is a token alone. The caller decides in which place a request has it.
	Token string
	// Request is the request as a server receives it. Its Host is empty if what was pasted does not name it.
	Request *http.Request
	// Scheme is "http" or "https", as the client of the request uses it. It is empty if what was pasted does not say it.
	Scheme string
}

var (
	errTooLong = errors.New("the input is longer than 2 MiB")
	errEmpty   = errors.New("the input is empty: give a token, a header line, a curl command or an HTTP request")
	errSpace   = errors.New("the token has white space inside: put it on one line; " +
		"a curl command begins with curl, a header line with its name and a colon")
	errRaw      = errors.New("the input looks like an HTTP request, but its first line or a header line is malformed")
	errNoAccess = errors.New("the input is JSON without a text \"access_token\"")
	errTarget   = errors.New("the address of the request is malformed")
)

// Read reads one text of any kind.
func Read(text string) (Input, error) {
	if len(text) > MaxInput {
		return Input{}, errTooLong
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "\ufeff"), "$ ")
	text = strings.TrimSpace(text)
	first, _, _ := strings.Cut(text, "\n")
	switch {
	case text == "":
		return Input{}, errEmpty
	case isCurl(text):
		words, err := split(text)
		if err != nil {
			return Input{}, err
		}
		return curl(words)
	case isRequestLine(first):
		r, err := raw(text)
		return Input{Request: r}, err
	case isHeaderLine(first):
		return headerLines(text)
	case text[0] == '{':
		return tokenResponse(text)
	}
	return bare(text)
}

// bare reads a token alone, or a scheme and a token.
func bare(text string) (Input, error) {
	if n := len(text); n > 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		text = text[1 : n-1]
	}
	words := strings.Fields(text)
	switch {
	case len(words) == 1:
		return Input{Token: words[0]}, nil
	case len(words) == 2 && len(words[0]) <= 20 && !strings.ContainsFunc(words[0], isNotLetter):
		return headerLines("Authorization: " + words[0] + " " + words[1])
	}
	return Input{}, errSpace
}

func isNotLetter(c rune) bool { return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') }

// tokenResponse reads the answer of a token endpoint (RFC 6749 section 5.1).
func tokenResponse(text string) (Input, error) {
	var response struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal([]byte(text), &response) != nil || response.AccessToken == "" {
		return Input{}, errNoAccess
	}
	return Input{Token: response.AccessToken}, nil
}

// isRequestLine reports whether a line is the first one of an HTTP request (RFC 9112 section 3).
func isRequestLine(line string) bool {
	words := strings.Fields(line)
	return len(words) == 3 && strings.HasPrefix(words[2], "HTTP/")
}

// isHeaderLine reports whether a line has a field name and a colon. Browsers also show ":path: /", as HTTP/2 has it.
func isHeaderLine(line string) bool {
	name, _, colon := strings.Cut(strings.TrimPrefix(line, ":"), ":")
	return colon && isToken(name)
}

// isToken reports whether a text can be a field name (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return isNotLetter(c) && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

// raw reads an HTTP request. The length of its body is what was pasted, whatever a field says: an editor may have
// changed the line ends.
func raw(text string) (*http.Request, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	head, body, _ := strings.Cut(text, "\n\n")
	line, fields, _ := strings.Cut(head, "\n")
	words := strings.Fields(line)
	var b strings.Builder
	b.WriteString(words[0] + " " + words[1] + " HTTP/1.1\r\n") // browsers write HTTP/2, which ReadRequest does not know
	for field := range strings.SplitSeq(fields, "\n") {
		name, _, _ := strings.Cut(field, ":")
		if field != "" && !strings.EqualFold(name, "Content-Length") && !strings.EqualFold(name, "Transfer-Encoding") {
			b.WriteString(field + "\r\n")
		}
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(b.String() + "\r\n")))
	if err != nil {
		return nil, errRaw
	}
	setBody(r, body)
	return r, nil
}

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = http.NoBody, int64(len(body))
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
}

// headerLines reads the fields of a request. Its method and target are those of the HTTP/2 fields, or GET and "/".
func headerLines(text string) (Input, error) {
	method, target, host, scheme := http.MethodGet, "/", "", ""
	var fields strings.Builder
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r", ""), "\n") {
		name, value, _ := strings.Cut(strings.TrimPrefix(line, ":"), ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.TrimSpace(line) == "":
		case !isHeaderLine(line):
			return Input{}, errRaw
		case line[0] != ':':
			fields.WriteString(line + "\n")
		case name == "method":
			method = value
		case name == "path":
			target = value
		case name == "authority":
			host = "Host: " + value + "\n"
		case name == "scheme":
			scheme = schemeOf(value)
		}
	}
	line := method + " " + target + " HTTP/1.1"
	if !isRequestLine(line) {
		return Input{}, errRaw
	}
	r, err := raw(line + "\n" + host + fields.String())
	if err != nil {
		return Input{}, err
	}
	return Input{Request: r, Scheme: scheme}, nil
}

// schemeOf is a scheme that a server of HTTP may have, or empty for any other.
func schemeOf(scheme string) string {
	if scheme == "http" || scheme == "https" {
		return scheme
	}
	return ""
}

// request makes the request that a server receives for an address. A curl command without a scheme means http.
func request(method, address string) (Input, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return Input{}, errTarget
	}
	target, err := url.ParseRequestURI(u.RequestURI())
	if err != nil {
		return Input{}, errTarget
	}
	return Input{Scheme: schemeOf(u.Scheme), Request: &http.Request{
		Method: method, URL: target, RequestURI: u.RequestURI(), Host: u.Host, Header: make(http.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}}, nil
}
