package issuing_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/issuing"
)

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

// post is a request with a body of a type, and further fields in pairs.
func post(body, contentType string, fields ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/login", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// refused requires a failure with a status and a part of its text.
func refused(t *testing.T, err error, status int, text string) {
	t.Helper()
	failure, is := errors.AsType[*issuing.Failure](err)
	if !is || failure.Status != status || !strings.Contains(failure.Text, text) {
		t.Errorf("error %v, want status %d and %q", err, status, text)
	}
}

func TestCredentialsAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		r    *http.Request
		want issuing.Credentials
	}{
		"JSON": {
			post(`{"user":"alice","password":"secret"}`, asJSON), issuing.Credentials{Name: "alice", Password: "secret"},
		},
		"JSON with a charset, escapes and more members": {
			post(`{"password":"\u00fc\"","x":{"user":"eve"},"user":"J\u00f6rg"}`, "Application/JSON; charset=UTF-8"),
			issuing.Credentials{Name: "Jörg", Password: `ü"`},
		},
		"JSON beside an old token": {
			post(`{"user":"alice","password":"secret"}`, asJSON, "Authorization", "Bearer x"),
			issuing.Credentials{Name: "alice", Password: "secret"},
		},
		"empty texts": {post(`{"user":"","password":""}`, asJSON), issuing.Credentials{}},
		"Basic": {
			post("", "", "Authorization", "basic YWxpY2U6c2U6Y3JldA=="),
			issuing.Credentials{Name: "alice", Password: "se:cret", Basic: true},
		},
		"Basic with an empty object": {
			post("{}", asJSON, "Authorization", "Basic  YWxpY2U6c2VjcmV0"),
			issuing.Credentials{Name: "alice", Password: "secret", Basic: true},
		},
		"Basic with an empty form, as curl sends it": {
			post("", asForm, "Authorization", "Basic YWxpY2U6c2VjcmV0"),
			issuing.Credentials{Name: "alice", Password: "secret", Basic: true},
		},
		"not encoded": {
			post(`{"user":"a","password":"b"}`, asJSON, "Content-Encoding", "identity"),
			issuing.Credentials{Name: "a", Password: "b"},
		},
	} {
		if got, err := issuing.ReadLogin(test.r); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Whatever two readers could take for different credentials is refused, and says why.
func TestAttackAmbiguousSignIns(t *testing.T) {
	const good, basic = `{"user":"alice","password":"secret"}`, "Basic YWxpY2U6c2VjcmV0"
	get := post(good, asJSON)
	get.Method = http.MethodGet
	query := post(good, asJSON)
	query.URL.RawQuery = "user=eve"
	emptyQuery := post(good, asJSON)
	emptyQuery.URL.ForceQuery = true
	for name, test := range map[string]struct {
		r      *http.Request
		status int
		text   string
	}{
		"GET":                          {get, 405, "POST"},
		"a query":                      {query, 400, "query"},
		"an empty query":               {emptyQuery, 400, "query"},
		"nothing":                      {post("", ""), 400, "user and password"},
		"a form":                       {post("user=alice&password=secret", asForm), 415, "JSON"},
		"no type":                      {post(good, ""), 415, "Content-Type"},
		"two types":                    {post(good, asJSON, "Content-Type", asForm), 415, "one field"},
		"a type of pages":              {post(good, "text/plain"), 415, "application/json"},
		"another JSON type":            {post(good, "application/vnd.api+json"), 415, "application/json"},
		"another charset":              {post(good, asJSON+"; charset=utf-16"), 415, "UTF-8"},
		"a type that cannot be read":   {post(good, asJSON+"; x"), 415, "application/json"},
		"compressed":                   {post(good, asJSON, "Content-Encoding", "gzip"), 415, "Content-Encoding"},
		"a member twice":               {post(`{"user":"a","password":"b","user":"c"}`, asJSON), 400, "different names"},
		"a member twice, once escaped": {post(`{"user":"a","password":"b","us\u0065r":"c"}`, asJSON), 400, "different names"},
		"two objects":                  {post(good+good, asJSON), 400, "one JSON object"},
		"an array":                     {post(`["alice","secret"]`, asJSON), 400, "one JSON object"},
		"a byte order mark":            {post("\ufeff"+good, asJSON), 400, "one JSON object"},
		"not UTF-8":                    {post("{\"user\":\"\xff\",\"password\":\"b\"}", asJSON), 400, "one JSON object"},
		"half a surrogate":             {post(`{"user":"\ud800","password":"b"}`, asJSON), 400, "one JSON object"},
		"comments":                     {post(`{"user":"a",/**/"password":"b"}`, asJSON), 400, "one JSON object"},
		"other letters":                {post(`{"User":"a","Password":"b"}`, asJSON), 400, "user and password"},
		"a number":                     {post(`{"user":1,"password":"b"}`, asJSON), 400, "user is not a text"},
		"null":                         {post(`{"user":"a","password":null}`, asJSON), 400, "password is not a text"},
		"no password":                  {post(`{"user":"a"}`, asJSON), 400, "user and password"},
		"deep":                         {post(`{"x":[[[[[[]]]]]],"user":"a"}`, asJSON), 400, "one JSON object"},
		"too long":                     {post(good+strings.Repeat(" ", issuing.MaxBody), asJSON), 413, "16 KiB"},
		"Basic and a body":             {post(good, asJSON, "Authorization", basic), 400, "one of the two"},
		"Basic and half a body":        {post(`{"user":"eve"}`, asJSON, "Authorization", basic), 400, "one of the two"},
		"Basic twice":                  {post("", "", "Authorization", basic, "Authorization", basic), 400, "two"},
		"Basic and Basic in another case": {
			post("", "", "Authorization", basic, "Authorization", "bAsIc ZXZlOmV2ZQ=="), 400, "two Authorization"},
		"Basic without a colon":      {post("", "", "Authorization", "Basic YWxpY2U="), 400, "user:password"},
		"Basic that is not base64":   {post("", "", "Authorization", "Basic alice:secret"), 400, "user:password"},
		"Basic with spare bits":      {post("", "", "Authorization", "Basic YTpi"+"Yx=="), 400, "user:password"},
		"Basic that is not UTF-8":    {post("", "", "Authorization", "Basic /zpi"), 400, "user:password"},
		"Basic alone":                {post("", "", "Authorization", "Basic"), 400, "user:password"},
		"Basic and a list in a body": {post("[]", asJSON, "Authorization", basic), 400, "one JSON object"},
	} {
		_, err := issuing.ReadLogin(test.r)
		t.Run(name, func(t *testing.T) { refused(t, err, test.status, test.text) })
	}
}

func TestRefreshTokensAreRead(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"JSON":                  post(`{"refresh_token":"abc","grant_type":"refresh_token"}`, asJSON),
		"a form":                post("grant_type=refresh_token&refresh_token=abc", asForm),
		"a form with an escape": post("grant%5ftype=refresh_token&refresh_token=%61bc&x=y&x=z", asForm),
		"beside an old token":   post("grant_type=refresh_token&refresh_token=abc", asForm, "Authorization", "Bearer x"),
	} {
		if token, err := issuing.ReadRefresh(r); err != nil || token != "abc" {
			t.Errorf("%s: %q, %v", name, token, err)
		}
	}
	for name, test := range map[string]struct {
		body, contentType string
		status            int
		text              string
	}{
		"nothing":               {"", "", 400, "grant_type is missing"},
		"no grant_type":         {`{"refresh_token":"abc"}`, asJSON, 400, "grant_type is missing"},
		"another grant":         {`{"refresh_token":"abc","grant_type":"password"}`, asJSON, 400, "must be refresh_token"},
		"no token":              {`{"grant_type":"refresh_token"}`, asJSON, 400, "refresh_token is missing"},
		"an empty token":        {"grant_type=refresh_token&refresh_token=", asForm, 400, "refresh_token is missing"},
		"two tokens in a form":  {"grant_type=refresh_token&refresh_token=a&refresh_token=b", asForm, 400, "more than once"},
		"two grants in a form":  {"grant_type=refresh_token&grant_type=x&refresh_token=a", asForm, 400, "more than once"},
		"a semicolon in a form": {"grant_type=refresh_token;refresh_token=a", asForm, 400, "well-formed form"},
		"half an escape":        {"grant_type=refresh_token&refresh_token=%6", asForm, 400, "well-formed form"},
		"a form without UTF-8":  {"grant_type=refresh_token&refresh_token=%ff", asForm, 400, "not UTF-8"},
		"JSON as a form":        {`{"refresh_token":"abc","grant_type":"refresh_token"}`, asForm, 400, "is missing"},
		"a list":                {`{"refresh_token":["abc"],"grant_type":"refresh_token"}`, asJSON, 400, "not a text"},
	} {
		_, err := issuing.ReadRefresh(post(test.body, test.contentType))
		t.Run(name, func(t *testing.T) { refused(t, err, test.status, test.text) })
	}
	get := post("", "")
	get.Method = http.MethodGet
	_, err := issuing.ReadRefresh(get)
	refused(t, err, 405, "POST")
	refused(t, issuing.ReadEmpty(get), 405, "POST")
	if err := issuing.ReadEmpty(post("{}", asJSON)); err != nil {
		t.Error(err)
	}
}

// A body that does not come whole is refused, and what came is not in the error.
func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	r := post("", asJSON)
	r.Body = brokenBody{}
	_, err := issuing.ReadLogin(r)
	refused(t, err, 400, "did not come whole")
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error has what came: %v", err)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("after s3cret") }
func (brokenBody) Close() error             { return nil }

func FuzzReadLogin(f *testing.F) {
	f.Add(`{"user":"a","password":"b"}`, asJSON, "Basic YTpi")
	f.Add("grant_type=refresh_token&refresh_token=a", asForm, "")
	f.Fuzz(func(t *testing.T, body, contentType, authorization string) {
		r := post(body, contentType, "Authorization", authorization)
		if c, err := issuing.ReadLogin(r); err == nil && c.Basic && strings.Contains(body, `"user":"`) &&
			strings.HasPrefix(body, `{"user"`) && !strings.Contains(body, `\`) {
			t.Fatalf("%q beside Basic is %+v", body, c)
		}
		_, _ = issuing.ReadRefresh(post(body, contentType))
	})
}
