package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

func TestAuthorization(t *testing.T) {
	e := extractor(t)
	for _, test := range []struct {
		name  string
		lines []string
		want  error
	}{
		{"the plain form", []string{"Bearer " + token}, nil},
		{"lower case", []string{"bearer " + token}, nil},
		{"upper case", []string{"BEARER " + token}, nil},
		{"mixed case", []string{"bEaReR " + token}, nil},
		{"three spaces", []string{"Bearer   " + token}, nil},
		{"blanks around the value", []string{" \tBearer " + token + "\t "}, nil},

		{"no field", nil, bearer.ErrMissing},
		{"an empty field", []string{""}, bearer.ErrMissing},
		{"Basic", []string{"Basic dTpw"}, bearer.ErrMissing},
		{"Digest with commas", []string{`Digest username="a", realm="b"`}, bearer.ErrMissing},
		{"a token without scheme", []string{token}, bearer.ErrMissing},
		{"a scheme with a suffix", []string{"Bearer" + token}, bearer.ErrMissing},
		{"a scheme with a prefix", []string{"XBearer " + token}, bearer.ErrMissing},
		{"a colon after the scheme", []string{"Bearer:" + token}, bearer.ErrMissing},
		{"an equals after the scheme", []string{"Bearer=" + token}, bearer.ErrMissing},
		{"another scheme", []string{"Token " + token}, bearer.ErrMissing},
		{"another scheme of the same length", []string{"Bezrer " + token}, bearer.ErrMissing},

		{"the scheme alone", []string{"Bearer"}, bearer.ErrMalformed},
		{"the scheme and spaces", []string{"Bearer   "}, bearer.ErrMalformed},
		{"a tab for the space", []string{"Bearer\t" + token}, bearer.ErrMalformed},
		{"a space and a tab", []string{"Bearer \t" + token}, bearer.ErrMalformed},
		{"a vertical tab", []string{"Bearer\v" + token}, bearer.ErrMalformed},
		{"a no-break space", []string{"Bearer\u00a0" + token}, bearer.ErrMalformed},
		{"a line feed", []string{"Bearer\n" + token}, bearer.ErrMalformed},
		{"two words", []string{"Bearer " + token + " extra"}, bearer.ErrMalformed},
		{"a trailing comma", []string{"Bearer " + token + ","}, bearer.ErrMalformed},
		{"a trailing parameter", []string{"Bearer " + token + ";x"}, bearer.ErrMalformed},
		{"double quotes", []string{`Bearer "` + token + `"`}, bearer.ErrMalformed},
		{"a NUL", []string{"Bearer " + token + "\x00"}, bearer.ErrMalformed},
		{"non-ASCII", []string{"Bearer " + token + "\uff0d"}, bearer.ErrMalformed},
		{"a high byte", []string{"Bearer " + token + "\x80"}, bearer.ErrMalformed},
		{"a percent escape", []string{"Bearer %41"}, bearer.ErrMalformed},
		{"padding only", []string{"Bearer =="}, bearer.ErrMalformed},
		{"padding in the middle", []string{"Bearer a=b"}, bearer.ErrMalformed},
		{"a JSON object", []string{`Bearer {"payload":"e30"}`}, bearer.ErrMalformed},
		{"two fields", []string{"Bearer " + token, "Bearer " + token}, bearer.ErrMalformed},
		{"a second field of another scheme", []string{"Bearer " + token, "Basic dTpw"}, bearer.ErrMalformed},
		{"a first field of another scheme", []string{"Basic dTpw", "Bearer " + token}, bearer.ErrMalformed},
		{"two fields, neither ours", []string{"Basic dTpw", "DPoP x"}, bearer.ErrMalformed},
		{"two empty fields", []string{"", ""}, bearer.ErrMalformed},
		{"two tokens joined by a comma", []string{"Bearer " + token + ", Bearer " + token}, bearer.ErrMalformed},
		{"ours behind another scheme", []string{"Basic dTpw, Bearer " + token}, bearer.ErrMalformed},
		{"ours behind an empty list member", []string{",Bearer " + token}, bearer.ErrMalformed},
		{"ours behind a blank one", []string{"Basic dTpw,,\t bearer " + token}, bearer.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if test.lines != nil {
				r.Header["Authorization"] = test.lines
			}
			check(t, e, r, token, test.want)
		})
	}
}

func TestCustomHeader(t *testing.T) {
	withScheme := bearer.Place{Kind: bearer.Header, Name: "x-auth", Scheme: "Token"}
	e := extractor(t, inCustom, withScheme)
	for _, test := range []struct {
		name   string
		header http.Header
		want   error
	}{
		{"the whole value", http.Header{"X-Access-Token": {token}}, nil},
		{"behind a scheme", http.Header{"X-Auth": {"token " + token}}, nil},
		{"another scheme", http.Header{"X-Auth": {"Bearer " + token}}, bearer.ErrMissing},
		{"an underscore in the name", http.Header{"X_access_token": {token}}, bearer.ErrMalformed},
		{"Authorization, which is not configured", http.Header{"Authorization": {"Bearer " + token}}, bearer.ErrMissing},
		{"Authorization twice beside it", http.Header{
			"X-Access-Token": {token}, "Authorization": {"Bearer x", "Bearer y"},
		}, nil},
		{"empty", http.Header{"X-Access-Token": {""}}, bearer.ErrMalformed},
		{"a scheme where none belongs", http.Header{"X-Access-Token": {"Bearer " + token}}, bearer.ErrMalformed},
		{"two fields", http.Header{"X-Access-Token": {token, token}}, bearer.ErrMalformed},
		{"two fields with scheme", http.Header{"X-Auth": {"Token " + token, "x"}}, bearer.ErrMalformed},
		{"two places", http.Header{"X-Access-Token": {token}, "X-Auth": {"Token " + token}}, bearer.ErrMalformed},
		{"a Kelvin sign in the scheme", http.Header{"X-Auth": {"To\u212aen " + token}}, bearer.ErrMissing},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = test.header
			check(t, e, r, token, test.want)
		})
	}
}

// Some readers make variables of header fields and cannot distinguish these names. They would read another token than
// ours.
func TestHeaderUnderAnotherSpelling(t *testing.T) {
	e := extractor(t, bearer.DefaultPlace, inCustom)
	for _, name := range []string{
		"X_Access_Token", "X.Access.Token", "X-Access_Token", "x!access~token", "X-ACCESS-TOKEN",
	} {
		for _, with := range []string{"X-Access-Token", "Authorization", ""} {
			for _, trailer := range []bool{false, true} {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				if with != "" {
					r.Header[with] = []string{map[string]string{"Authorization": "Bearer "}[with] + token}
				}
				if r.Header[name] = []string{"x"}; trailer {
					delete(r.Header, name)
					r.Trailer = http.Header{name: nil}
				}
				check(t, e, r, "", bearer.ErrMalformed)
				if e.Remove(r); len(r.Header) != 0 {
					t.Errorf("%s beside %q: %q stays", name, with, r.Header)
				}
			}
		}
	}
	for _, name := range []string{
		"X-Access-Tokens", "X-Accessxtoken", "Xaccesstoken", "Y-Access-Token", "Authorization_",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["X-Access-Token"], r.Header[name] = []string{token}, []string{"x"}
		check(t, e, r, token, nil)
		if e.Remove(r); len(r.Header) != 1 {
			t.Errorf("%s: %q stays", name, r.Header)
		}
	}
	both := extractor(t, inCustom, bearer.Place{Kind: bearer.Header, Name: "X_Access_Token"})
	for _, name := range []string{"X-Access-Token", "X_access_token"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header[name] = []string{token}
		check(t, both, r, token, nil)
	}
}

func TestTwoSchemesInOneHeader(t *testing.T) {
	e := extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Header, Name: "Authorization", Scheme: "Token"})
	for place, scheme := range []string{"Bearer", "Token"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", scheme+" "+token)
		got, err := e.Extract(r)
		if err != nil || got.Place != place {
			t.Errorf("%s: place %d, error %v", scheme, got.Place, err)
		}
	}
}

func TestTrailerAnnouncingCredentials(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Trailer = http.Header{"Authorization": nil}
	check(t, extractor(t), r, "", bearer.ErrMalformed)
}
