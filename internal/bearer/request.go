package bearer

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// ErrTarget: the parts of a server disagree about the path of such a request target. Answer 400.
var ErrTarget = errors.New("request target is not in origin form")

// ErrMethod: the method of the request is not a token. Answer 400.
var ErrMethod = errors.New("request method is not a token")

// HasMethod refuses a method that is not a token (RFC 9110 section 9.1). In HTTP/2 a method may contain spaces and line
// ends, and Go's server lets them pass. A backend behind CGI, or behind a careless translation to HTTP/1.1, would then
// read a request line that the client wrote.
func HasMethod(r *http.Request) error {
	if !isToken(r.Method) {
		return ErrMethod
	}
	return nil
}

// InOriginForm refuses request targets that name no resource here. RFC 9112 section 3.2 leaves three forms that do: the
// origin form, the absolute form of an HTTP URI, and "*" for OPTIONS. In others, such as "http:http://x/admin" (which
// is opaque) or "admin", a backend sees a path that routing does not see.
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

// IsPreflight reports whether the request is a CORS preflight as the Fetch standard makes them: OPTIONS for a resource,
// with one Origin and one Access-Control-Request-Method that is a method, and without credentials, body or Upgrade. Any
// other OPTIONS request is an ordinary one: with Upgrade, for example, a backend could open a tunnel for it.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.URL != nil && r.URL.Path != "*" &&
		asksAboutOneMethod(r.Header) && !hasAny(r.Header, notInPreflights) && !mayHaveBody(r)
}

// notInPreflights are the fields that no preflight has: credentials, an offer to change the protocol (RFC 9110 section
// 7.8; RFC 8441, for which Go's server has :protocol), and Expect, which announces a body (section 10.1.1).
var notInPreflights = []string{"Authorization", "Cookie", "Upgrade", ":protocol", "Expect", "Transfer-Encoding"}

func hasAny(fields http.Header, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return len(fields[name]) > 0 })
}

func asksAboutOneMethod(fields http.Header) bool {
	origin, method := fields["Origin"], fields["Access-Control-Request-Method"]
	return len(origin) == 1 && origin[0] != "" && len(method) == 1 && isToken(method[0])
}

// mayHaveBody reports whether the request has announced a body. In HTTP/3 a request without a length may or may not
// have a body, and browsers send no length: see DropBody.
func mayHaveBody(r *http.Request) bool {
	return r.ContentLength > 0 || r.ContentLength < 0 && r.ProtoMajor < 3
}

// DropBody leaves the request without a body and trailers.
func DropBody(r *http.Request) {
	r.Body, r.ContentLength, r.Trailer = http.NoBody, 0, nil
}
