package logout

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// maxBody bounds the body of a request in bytes. A logout token has less than two thousand, and the other parameters
// are ignored.
const maxBody = 64 << 10

// parameter is the name of the token in the form (section 2.5).
const parameter = "logout_token"

// places are where a token is looked for. The query is one of them so that a token there is noticed and refused.
var places = []bearer.Place{{Kind: bearer.Form, Name: parameter}, {Kind: bearer.Query, Name: parameter}}

var (
	errMethod  = errors.New("a logout request has the method POST")
	errNoToken = errors.New("the body is not a form with the parameter logout_token")
	errInQuery = errors.New("logout_token is in the query, where logs and proxies keep it; it belongs in the form")
)

// tokenOf finds the token in the form of a request (section 2.5). There must be exactly one.
func (r *Receiver) tokenOf(req *http.Request) (string, error) {
	if req.Method != http.MethodPost {
		return "", fail(MethodNotAllowed, errMethod)
	}
	found, err := r.form.Extract(req)
	switch {
	case err == nil && found.Kind == bearer.Query:
		return "", fail(MalformedRequest, errInQuery)
	case err == nil:
		return found.Token, nil
	case errors.Is(err, bearer.ErrMissing):
		return "", fail(MalformedRequest, errNoToken)
	case errors.Is(err, bearer.ErrBodyTooLarge):
		return "", fail(BodyTooLarge, err)
	case errors.Is(err, bearer.ErrOverloaded):
		return "", fail(Overloaded, err)
	}
	return "", fail(MalformedRequest, fmt.Errorf("parameter %s: %w", parameter, err))
}
