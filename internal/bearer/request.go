package bearer

import (
	"errors"
	"net/http"
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

// IsPreflight says whether the request is a CORS preflight as the Fetch
// standard makes them: OPTIONS, one Origin, one Access-Control-Request-Method
// that is a method, and no credentials. Any other OPTIONS request is an
// ordinary one.
func IsPreflight(r *http.Request) bool {
	if r.Method != http.MethodOptions {
		return false
	}
	origin := r.Header["Origin"]
	method := r.Header["Access-Control-Request-Method"]
	return len(origin) == 1 && origin[0] != "" &&
		len(method) == 1 && isToken(method[0]) &&
		len(r.Header["Authorization"]) == 0 && len(r.Header["Cookie"]) == 0
}
