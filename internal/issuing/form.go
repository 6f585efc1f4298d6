package issuing

import (
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"
)

// MaxForm bounds the body of a request of an OAuth client, in bytes: it may have two tokens.
const MaxForm = 64 << 10

// maxParameters bounds how many parameters a form has, whatever their names are.
const maxParameters = 64

// Form is the parameters of a request of an OAuth client.
type Form struct{ values url.Values }

// ReadForm reads a request of an OAuth client: POST, with a form as its body (RFC 6749 appendix B), and nothing in the
// query. No parameter is there twice (section 3.2), whether anybody reads it or not, but for those that may be
// repeated. Errors are Failures.
func ReadForm(r *http.Request, repeatable ...string) (f Form, err error) {
	if err := checkForm(r); err != nil {
		return f, err
	}
	text, err := readAll(r, MaxForm)
	if err != nil {
		return f, err
	}
	if kind, err := kindOf(r.Header); err != nil || kind != formBody {
		return f, unsupported("send a form: Content-Type: application/x-www-form-urlencoded (RFC 6749 appendix B)")
	}
	if f.values, err = url.ParseQuery(string(text)); err != nil || len(f.values) > maxParameters {
		return f, invalid("the body is not a well-formed form (application/x-www-form-urlencoded)")
	}
	for name, values := range f.values {
		if len(values) > 1 && !slices.Contains(repeatable, name) || len(values) > maxParameters {
			return f, invalid("a parameter is there more than once (RFC 6749 section 3.2)")
		}
		for _, value := range append(values, name) {
			if !utf8.ValidString(value) {
				return f, invalid("a parameter is not UTF-8")
			}
		}
	}
	return f, nil
}

// Get is the value of a parameter. One without a value counts as left out (RFC 6749 section 3.1).
func (f Form) Get(name string) string { return f.values.Get(name) }

// All are the values of a parameter that may be repeated.
func (f Form) All(name string) []string {
	return slices.DeleteFunc(slices.Clone(f.values[name]), func(value string) bool { return value == "" })
}
