package bearer

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// ErrTarget: the request target is in a form whose path the parts of a server
// do not agree on. Answer 400.
var ErrTarget = errors.New("request target is not in origin form")

// ErrMethod: the request has a method that is none. Answer 400.
var ErrMethod = errors.New("request method is not a token")

// HasMethod refuses a method that is no token (RFC 9110 section 9.1). HTTP/2
// can carry spaces and line ends in it, and Go's server lets them pass: a
// backend that is asked by CGI or by a careless translation to HTTP/1.1 would
// read a request line that the client wrote.
func HasMethod(r *http.Request) error {
	if !isToken(r.Method) {
		return ErrMethod
	}
	return nil
}

// InOriginForm refuses request targets that are none of the forms of RFC 9112
// section 3.2 that name a resource here: the origin form, the absolute form of
// an HTTP URI, or "*" for OPTIONS. Others ("http:http://x/admin", which is
// opaque, or "admin") have a path that routing does not see and a backend
// does.
func InOriginForm(r *http.Request) error {
	u := r.URL
	switch {
	case u == nil, u.Opaque != "", u.User != nil:
		return ErrTarget
	case u.Path == "*":
		if r.Method != http.MethodOptions || u.Scheme != "" {
			return ErrTarget
		}
		return nil
	case !strings.HasPrefix(u.Path, "/"):
		return ErrTarget
	case u.Scheme == "":
		return nil
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return ErrTarget
	}
	return nil
}

// IsPreflight reports whether the request is a CORS preflight as the Fetch
// standard makes them: OPTIONS for a resource, one Origin, one
// Access-Control-Request-Method that is a method, no credentials, no body and
// no wish for another protocol. Any other OPTIONS request is an ordinary one:
// with Upgrade, for example, a backend could open a tunnel for it.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.URL != nil && r.URL.Path != "*" &&
		asksAboutOneMethod(r.Header) && !hasAny(r.Header, notInPreflights) && !mayHaveBody(r)
}

// notInPreflights are the fields that no preflight has: credentials, an offer
// to change the protocol (RFC 9110 section 7.8, and RFC 8441, for which Go's
// server has :protocol), and a wish to be asked for a body (section 10.1.1).
var notInPreflights = []string{"Authorization", "Cookie", "Upgrade", ":protocol", "Expect", "Transfer-Encoding"}

func hasAny(fields http.Header, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return len(fields[name]) > 0 })
}

func asksAboutOneMethod(fields http.Header) bool {
	origin, method := fields["Origin"], fields["Access-Control-Request-Method"]
	return len(origin) == 1 && origin[0] != "" && len(method) == 1 && isToken(method[0])
}

// mayHaveBody reports whether the request has announced a body. In HTTP/3 a
// request without a length may have one or not, and browsers give none: see
// DropBody.
func mayHaveBody(r *http.Request) bool {
	return r.ContentLength > 0 || r.ContentLength < 0 && r.ProtoMajor < 3
}

// DropBody leaves the request without a body and trailers.
func DropBody(r *http.Request) {
	r.Body, r.ContentLength, r.Trailer = http.NoBody, 0, nil
}
