package logout_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Section 2.5.
func TestRequests(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says(), typed)
	form := "logout_token=" + token
	field := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		want   logout.Reason // empty: accepted
	}{
		"a good one":                  {form, nil, ""},
		"with other parameters":       {"a=1&a=2&" + form + "&state=x&access_token=y", nil, ""},
		"escaped":                     {"logout%5ftoken=" + strings.ReplaceAll(token, ".", "%2E"), nil, ""},
		"with a charset":              {form, field("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"), ""},
		"type in another case":        {form, field("Content-Type", "Application/X-WWW-Form-URLEncoded"), ""},
		"with a query of its own":     {form, func(r *http.Request) { r.URL.RawQuery = "tenant=1" }, ""},
		"with an Authorization field": {form, field("Authorization", "Bearer x"), ""},
		"no body":                     {"", nil, logout.MalformedRequest},
		"no token":                    {"a=b", nil, logout.MalformedRequest},
		"an empty token":              {"logout_token=", nil, logout.MalformedRequest},
		"twice":                       {form + "&" + form, nil, logout.MalformedRequest},
		"twice, once empty":           {form + "&logout_token=", nil, logout.MalformedRequest},
		"twice by an escape":          {form + "&logout%5Ftoken=x", nil, logout.MalformedRequest},
		"name in another case":        {"Logout_Token=" + token, nil, logout.MalformedRequest},
		"semicolons":                  {"a=b;" + form, nil, logout.MalformedRequest},
		"a broken escape":             {"logout_token=%zz", nil, logout.MalformedRequest},
		"in the query":                {"", func(r *http.Request) { r.URL.RawQuery = form }, logout.MalformedRequest},
		"in query and form":           {form, func(r *http.Request) { r.URL.RawQuery = form }, logout.MalformedRequest},
		"as a header field":           {"", field("Logout_token", token), logout.MalformedRequest},
		"without a type":              {form, field("Content-Type"), logout.MalformedRequest},
		"two types": {form, field("Content-Type", "application/x-www-form-urlencoded", "text/plain"),
			logout.MalformedRequest},
		"as JSON": {`{"logout_token":"` + token + `"}`, field("Content-Type", "application/json"),
			logout.MalformedRequest},
		"as text":           {form, field("Content-Type", "text/plain"), logout.MalformedRequest},
		"as the body alone": {token, field("Content-Type", "application/jwt"), logout.MalformedRequest},
		"multipart": {"--x\r\nContent-Disposition: form-data; name=\"logout_token\"\r\n\r\n" + token + "\r\n--x--",
			field("Content-Type", "multipart/form-data; boundary=x"), logout.MalformedRequest},
		"compressed":         {form, field("Content-Encoding", "gzip"), logout.MalformedRequest},
		"as large as may be": {form + "&a=" + strings.Repeat("x", 64<<10-len(form)-3), nil, ""},
		"too large":          {form + "&a=" + strings.Repeat("x", 64<<10-len(form)-2), nil, logout.BodyTooLarge},
		"too large, unannounced": {form + "&a=" + strings.Repeat("x", 1<<20),
			func(r *http.Request) { r.ContentLength = -1 }, logout.BodyTooLarge},
		"a token too long": {"logout_token=" + strings.Repeat("x", 16<<10+1), nil, logout.MalformedRequest},
		"broken off": {form, func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(form), iotest.ErrReader(io.ErrUnexpectedEOF)))
		}, logout.MalformedRequest},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			req := post(c.body)
			if c.change != nil {
				c.change(req)
			}
			outcome, err := open(t, config(t, &s, key)).Receive(req)
			if c.want == "" {
				if outcome != logout.Ended || err != nil {
					t.Fatalf("%v, %v", outcome, err)
				}
				return
			}
			if !errors.Is(err, c.want) || !s.nothing() {
				t.Fatalf("error %v, want %v; the state is %+v", err, c.want, &s)
			}
			checkRefusal(t, err, token, 400)
		})
	}
}

func TestOnlyPOST(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says(), typed)
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "post", ""} {
		var s state
		req := request(token)
		req.Method = method
		_, err := open(t, config(t, &s, key)).Receive(req)
		if !errors.Is(err, logout.MethodNotAllowed) || !s.nothing() {
			t.Fatalf("%s: error %v", method, err)
		}
		checkRefusal(t, err, token, 405)
		w := httptest.NewRecorder()
		if logout.Answer(w, err); w.Header().Get("Allow") != "POST" {
			t.Errorf("%s: the header is %v", method, w.Header())
		}
	}
}
