package issuing

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// MaxBody bounds the body of a request in bytes.
const MaxBody = 16 << 10

// Credentials are what somebody signs in with.
type Credentials struct {
	Name, Password string
	// Basic says that they were in the Authorization field.
	Basic bool
}

// ReadLogin reads the credentials of a request to sign in: Basic (RFC 7617), or a JSON object with the members user and
// password. Both together are refused: two readers could take two different users from them. Fields with other schemes
// count for nothing, because pages add their old token to every request. Errors are Failures.
func ReadLogin(r *http.Request) (c Credentials, err error) {
	if err := checkForm(r); err != nil {
		return c, err
	}
	basic, err := BasicOf(r)
	if err != nil {
		return c, err
	}
	values, kind, err := readBody(r, "user", "password")
	if err != nil {
		return c, err
	}
	name, named := values["user"]
	password, given := values["password"]
	switch {
	case basic != nil && (named || given):
		return c, invalid("there are credentials in Authorization and in the body: send one of the two")
	case basic != nil:
		return *basic, nil
	case kind == formBody:
		return c, unsupported("sign in with a JSON object, not with a form: send Content-Type: application/json")
	case !named || !given:
		return c, invalid("send a JSON object with the members user and password, or Authorization: Basic")
	}
	return Credentials{Name: name, Password: password}, nil
}

// ReadRefresh reads the refresh token of a request for a new pair: a JSON object or a form (RFC 6749 section 6) with
// grant_type and refresh_token. Errors are Failures.
func ReadRefresh(r *http.Request) (token string, err error) {
	if err := checkForm(r); err != nil {
		return "", err
	}
	values, _, err := readBody(r, "grant_type", "refresh_token")
	if err != nil {
		return "", err
	}
	grant, there := values["grant_type"]
	switch {
	case !there:
		return "", invalid("grant_type is missing: send refresh_token as grant_type, and the token as refresh_token")
	case grant != "refresh_token":
		return "", &Failure{
			Status: http.StatusBadRequest, Code: UnsupportedGrantType, Text: "grant_type must be refresh_token here",
		}
	case values["refresh_token"] == "":
		return "", invalid("refresh_token is missing: send the last refresh token")
	}
	return values["refresh_token"], nil
}

// ReadEmpty checks a request whose body means nothing.
func ReadEmpty(r *http.Request) error { return checkForm(r) }

// checkForm checks what all requests have in common. The query is in logs and in the history of browsers, so nothing of
// a request may be there.
func checkForm(r *http.Request) error {
	switch {
	case r.Method != http.MethodPost:
		return &Failure{
			Status: http.StatusMethodNotAllowed, Code: InvalidRequest, Text: "this address takes POST requests alone",
		}
	case r.URL.RawQuery != "" || r.URL.ForceQuery:
		return invalid("send nothing in the query of the address, because logs keep it: send a body")
	}
	return nil
}

// BasicOf are the credentials in a Basic field (RFC 7617); nil if there is none. The error is a Failure.
func BasicOf(r *http.Request) (found *Credentials, err error) {
	for _, field := range r.Header["Authorization"] {
		scheme, encoded, _ := strings.Cut(field, " ")
		if !strings.EqualFold(scheme, "Basic") {
			continue
		}
		if found != nil {
			return nil, invalid("there are two Authorization fields with credentials: send one")
		}
		text, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(encoded, " "))
		name, password, ok := strings.Cut(string(text), ":")
		if err != nil || !ok || !utf8.Valid(text) { // RFC 7617 section 2.1: the challenge says UTF-8
			return nil, invalid("the credentials in Authorization are not user:password in UTF-8 and base64 (RFC 7617)")
		}
		found = &Credentials{Name: name, Password: password, Basic: true}
	}
	return found, nil
}

// body is the form of a body.
type body int

const (
	noBody body = iota
	jsonBody
	formBody
)

// readBody reads the wanted values of a body, each of which is text and there once at most. Others are ignored (RFC
// 6749 section 3.2).
func readBody(r *http.Request, wanted ...string) (map[string]string, body, error) {
	text, err := readAll(r, MaxBody)
	if err != nil || len(text) == 0 {
		return nil, noBody, err
	}
	kind, err := kindOf(r.Header)
	if err != nil {
		return nil, kind, err
	}
	values := make(map[string]string)
	if kind == formBody {
		err = readForm(string(text), wanted, values)
	} else {
		err = readJSON(text, wanted, values)
	}
	return values, kind, err
}

// readAll reads a body of at most so many bytes, which are whole KiB.
func readAll(r *http.Request, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	switch {
	case int64(len(text)) > most:
		return nil, &Failure{Status: http.StatusRequestEntityTooLarge, Code: InvalidRequest,
			Text: "the body has more than " + strconv.FormatInt(most>>10, 10) + " KiB"}
	case err != nil:
		return nil, Bad(InvalidRequest, "the body did not come whole, or came too late",
			errors.New("reading the body")) // the error of net may have more than the log needs
	}
	return text, nil
}

func unsupported(text string) *Failure {
	return &Failure{Status: http.StatusUnsupportedMediaType, Code: InvalidRequest, Text: text}
}

// kindOf is the form that a request says its body has.
func kindOf(header http.Header) (body, error) {
	for _, coding := range header["Content-Encoding"] {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return noBody, unsupported("the body is encoded: send it without Content-Encoding")
		}
	}
	types := header["Content-Type"]
	if len(types) != 1 {
		return noBody, unsupported("send one field Content-Type: application/json")
	}
	media, params, err := mime.ParseMediaType(types[0])
	charset, there := params["charset"]
	switch {
	case err != nil || there && !strings.EqualFold(charset, "utf-8"):
	case media == "application/json":
		return jsonBody, nil
	case media == "application/x-www-form-urlencoded":
		return formBody, nil
	}
	return noBody, unsupported("send the body as JSON in UTF-8, with Content-Type: application/json")
}

// bodyLimits bound a JSON body. It has a few members with texts.
var bodyLimits = strictjson.Limits{Depth: 4, Members: 64}

func readJSON(text []byte, wanted []string, into map[string]string) error {
	object, err := strictjson.ParseObject(text, bodyLimits)
	if err != nil {
		return &Failure{
			Status: http.StatusBadRequest, Code: InvalidRequest, Cause: errors.New("not a strict JSON object"),
			Text: "the body is not one JSON object whose members have different names (RFC 8259)",
		}
	}
	for _, name := range wanted {
		value, there := object.Member(name)
		if !there {
			continue
		}
		text, isText := value.Str()
		if !isText {
			return invalid("the member " + name + " is not a text")
		}
		into[name] = text
	}
	return nil
}

func readForm(text string, wanted []string, into map[string]string) error {
	form, err := url.ParseQuery(text)
	if err != nil {
		return invalid("the body is not a well-formed form (application/x-www-form-urlencoded)")
	}
	for _, name := range wanted {
		switch values := form[name]; {
		case len(values) > 1: // RFC 6749 section 3.2
			return invalid("the parameter " + name + " is there more than once")
		case len(values) == 1 && !utf8.ValidString(values[0]):
			return invalid("the parameter " + name + " is not UTF-8")
		case len(values) == 1:
			into[name] = values[0]
		}
	}
	return nil
}
