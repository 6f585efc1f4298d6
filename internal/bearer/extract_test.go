package bearer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

const token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl"

var (
	inQuery  = bearer.Place{Kind: bearer.Query, Name: "jwt"}
	inCookie = bearer.Place{Kind: bearer.Cookie, Name: "jwt"}
	inForm   = bearer.Place{Kind: bearer.Form, Name: "access_token"}
	inCustom = bearer.Place{Kind: bearer.Header, Name: "X-Access-Token"}
)

func extractor(tb testing.TB, places ...bearer.Place) *bearer.Extractor {
	tb.Helper()
	forms := bearer.NewFormMemory(bearer.DefaultFormMemory) // of its own: requests of tests are never over
	e, err := bearer.NewExtractor(bearer.Options{Places: places, Forms: forms})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// check extracts and compares; want is a sentinel, or nil for the token.
func check(t *testing.T, e *bearer.Extractor, r *http.Request, wantToken string, want error) {
	t.Helper()
	got, err := e.Extract(r)
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if err == nil && got.Token != wantToken {
		t.Errorf("token %q, want %q", got.Token, wantToken)
	}
	if err != nil && got != (bearer.Credential{}) {
		t.Error("a credential came with the error")
	}
}

func TestNewExtractorRefuses(t *testing.T) {
	for name, o := range map[string]bearer.Options{
		"a header without name":           {Places: []bearer.Place{{Kind: bearer.Header}}},
		"a header name with a space":      {Places: []bearer.Place{{Kind: bearer.Header, Name: "X Token"}}},
		"a header name with a colon":      {Places: []bearer.Place{{Kind: bearer.Header, Name: "X-Token:"}}},
		"a scheme that is no token":       {Places: []bearer.Place{{Kind: bearer.Header, Name: "X", Scheme: "Bearer,"}}},
		"the Host header":                 {Places: []bearer.Place{{Kind: bearer.Header, Name: "host"}}},
		"the Cookie header":               {Places: []bearer.Place{{Kind: bearer.Header, Name: "cookie"}}},
		"a hop-by-hop header":             {Places: []bearer.Place{{Kind: bearer.Header, Name: "connection"}}},
		"a query parameter with a scheme": {Places: []bearer.Place{{Kind: bearer.Query, Name: "jwt", Scheme: "Bearer"}}},
		"a parameter name with a percent": {Places: []bearer.Place{{Kind: bearer.Query, Name: "j%77t"}}},
		"a parameter name with a plus":    {Places: []bearer.Place{{Kind: bearer.Form, Name: "a+b"}}},
		"a parameter name with brackets":  {Places: []bearer.Place{{Kind: bearer.Query, Name: "jwt[]"}}},
		"a cookie name with an equals":    {Places: []bearer.Place{{Kind: bearer.Cookie, Name: "a=b"}}},
		"a very long name":                {Places: []bearer.Place{{Kind: bearer.Query, Name: strings.Repeat("a", 129)}}},
		"an unknown kind":                 {Places: []bearer.Place{{Kind: 9, Name: "jwt"}}},
		"the same query parameter twice":  {Places: []bearer.Place{inQuery, inQuery}},
		"the same header in another case": {Places: []bearer.Place{inCustom, {Kind: bearer.Header, Name: "x-access-token"}}},
		"the same scheme in another case": {
			Places: []bearer.Place{bearer.DefaultPlace, {Kind: bearer.Header, Name: "authorization", Scheme: "bearer"}},
		},
		"a header with a scheme and without": {Places: []bearer.Place{
			bearer.DefaultPlace, {Kind: bearer.Header, Name: "authorization"},
		}},
		"a negative token length": {MaxToken: -1},
		"a negative form size":    {MaxForm: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := bearer.NewExtractor(o); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	e := extractor(t)
	if got := e.Places(); len(got) != 1 || got[0] != bearer.DefaultPlace {
		t.Errorf("places %v, want the default one", got)
	}
	e = extractor(t, bearer.Place{Kind: bearer.Header, Name: "x-access-token", Scheme: "Token"}, inQuery, inCookie, inForm)
	want := "[header X-Access-Token Token query jwt cookie jwt form access_token]"
	if got := fmt.Sprint(e.Places()); got != want {
		t.Errorf("places %s, want %s", got, want)
	}
}

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

func TestOpaqueTokenAlphabet(t *testing.T) {
	e := extractor(t)
	for c := range 256 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer a"+string([]byte{byte(c)})+"b")
		_, err := e.Extract(r)
		legal := strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/", rune(c))
		if legal != (err == nil) || !legal && !errors.Is(err, bearer.ErrMalformed) {
			t.Errorf("byte %#x: error %v", c, err)
		}
	}
}

func TestTokenLength(t *testing.T) {
	for _, place := range []bearer.Place{bearer.DefaultPlace, inQuery, inCookie} {
		e, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{place}, MaxToken: 100})
		if err != nil {
			t.Fatal(err)
		}
		for length, want := range map[int]error{100: nil, 101: bearer.ErrTooLong, 1 << 20: bearer.ErrTooLong} {
			text := strings.Repeat("a", length)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+text)
			r.Header.Set("Cookie", "jwt="+text)
			r.URL.RawQuery = "jwt=" + text
			check(t, e, r, text, want)
			r.URL.RawQuery = "jwt=" + strings.Repeat("%61", length)
			check(t, e, r, text, want)
		}
	}
	if !errors.Is(bearer.ErrTooLong, bearer.ErrMalformed) {
		t.Error("a token that is too long is not malformed")
	}
}

func TestQuery(t *testing.T) {
	e := extractor(t, bearer.DefaultPlace, inQuery)
	for _, test := range []struct {
		name, query string
		want        error
	}{
		{"alone", "jwt=" + token, nil},
		{"first", "jwt=" + token + "&a=1", nil},
		{"last", "a=1&b&=&&jwt=" + token, nil},
		{"an escaped name", "%6awt=" + token, nil},
		{"a wholly escaped name", "%6A%77%74=" + token, nil},
		{"an escaped value", "jwt=" + strings.ReplaceAll(token, ".", "%2E"), nil},
		{"invalid escapes elsewhere", "q=100%&%zz=1&50%off&jwt=" + token, nil},
		{"a semicolon elsewhere", "a=1;b=2&jwt=" + token, nil},
		{"a NUL elsewhere", "a%00=1&jwt=" + token, nil},
		{"last of 5,000", strings.Repeat("a=1&", 5000) + "jwt=" + token, nil},

		{"nothing", "", bearer.ErrMissing},
		{"another name", "xjwt=" + token, bearer.ErrMissing},
		{"a longer name", "jwtx=" + token, bearer.ErrMissing},
		{"a shorter name", "jw=" + token, bearer.ErrMissing},
		{"a shorter name, escaped", "%6aw=" + token, bearer.ErrMissing},
		{"a longer name, escaped", "%6awtx=" + token, bearer.ErrMissing},
		{"an array", "jwt[]=" + token, bearer.ErrMissing},
		{"an array, escaped", "jwt%5B%5D=" + token, bearer.ErrMissing},
		{"an element", "jwt[0]=" + token, bearer.ErrMissing},
		{"a longer name behind a space", "jwt+x=" + token, bearer.ErrMissing},
		{"spaces alone", "+++=" + token, bearer.ErrMissing},
		{"a doubly escaped name", "%256awt=" + token, bearer.ErrMissing},
		{"an escaped separator", "a%26jwt=" + token, bearer.ErrMissing},
		{"an escaped semicolon", "a=1%3Bjwt=" + token, bearer.ErrMissing},
		{"an escaped equals", "jwt%3D=" + token, bearer.ErrMissing},
		{"overlong UTF-8", "%c1%aawt=" + token, bearer.ErrMissing},

		{"twice", "jwt=" + token + "&jwt=" + token, bearer.ErrMalformed},
		{"twice under different encodings", "jwt=" + token + "&%6awt=" + token, bearer.ErrMalformed},
		{"a second one behind 5,000", "jwt=" + token + strings.Repeat("&a=1", 5000) + "&jwt=x", bearer.ErrMalformed},
		{"empty", "jwt=", bearer.ErrMalformed},
		{"without value", "jwt", bearer.ErrMalformed},
		{"empty and a token", "jwt=&jwt=" + token, bearer.ErrMalformed},
		{"a plus", "jwt=a+b", bearer.ErrMalformed},
		{"an escaped space", "jwt=" + token + "%20", bearer.ErrMalformed},
		{"an invalid escape", "jwt=" + token + "%", bearer.ErrMalformed},
		{"a half escape", "jwt=" + token + "%4", bearer.ErrMalformed},
		{"a wrong escape", "jwt=" + token + "%4g", bearer.ErrMalformed},
		{"a doubly escaped value", "jwt=eyJ%252E", bearer.ErrMalformed},
		{"an escaped NUL", "jwt=" + token + "%00", bearer.ErrMalformed},
		{"a fragment", "jwt=" + token + "#x", bearer.ErrMalformed},
		{"a semicolon in the value", "jwt=" + token + ";a=1", bearer.ErrMalformed},
		{"ours behind a semicolon", "a=1;jwt=" + token, bearer.ErrMalformed},
		{"ours alone behind a semicolon", ";jwt=" + token, bearer.ErrMalformed},
		{"ours escaped behind a semicolon", "a;b;%6awt=" + token, bearer.ErrMalformed},
		{"a second one behind a semicolon", "jwt=" + token + "&a=1;jwt=x", bearer.ErrMalformed},
		{"ours in another case", "JWT=" + token, bearer.ErrMalformed},
		{"ours in another case, escaped", "%4Awt=" + token, bearer.ErrMalformed},
		{"ours behind a plus", "+jwt=" + token, bearer.ErrMalformed},
		{"ours behind escaped spaces", "%20%20jwt=" + token, bearer.ErrMalformed},
		{"ours before a space", "jwt%20=" + token, bearer.ErrMalformed},
		{"ours behind a byte order mark", "%EF%BB%BFjwt=" + token, bearer.ErrMalformed},
		{"ours in brackets", "[jwt]=" + token, bearer.ErrMalformed},
		{"a second one behind a plus", "jwt=" + token + "&+jwt=x", bearer.ErrMalformed},
		{"a second one in another case", "Jwt=x&jwt=" + token, bearer.ErrMalformed},
		{"ours with an invalid escape inside", "j%wt=" + token, bearer.ErrMalformed},
		{"ours with an invalid escape behind", "jwt%=" + token, bearer.ErrMalformed},
		{"ours with an invalid escape before", "%zzjwt=" + token, bearer.ErrMalformed},
		{"ours with an escaped NUL", "jwt%00=" + token, bearer.ErrMalformed},
		{"ours cut by an escaped NUL", "jwt%00.png=" + token, bearer.ErrMalformed},
		{"ours with a raw NUL", "jwt\x00=" + token, bearer.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL.RawQuery = test.query
			check(t, e, r, token, test.want)
		})
	}
}

// PHP has variables in mind: a name with an underscore has many spellings.
func TestNamesWithAnUnderscore(t *testing.T) {
	place := func(kind bearer.Kind) *bearer.Extractor {
		return extractor(t, bearer.Place{Kind: kind, Name: "access_token"})
	}
	for _, other := range []string{
		"access.token", "access%2Etoken", "access+token", "access%20token", "access[token", "access%5btoken",
		"%20access_token", "++access.token", "Access_Token", "ACCESS%20TOKEN",
	} {
		for _, pairs := range []string{
			"access_token=" + token + "&" + other + "=x", other + "=x&access_token=" + token, other + "=" + token,
		} {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			setForm(r, pairs)
			r.URL.RawQuery = pairs
			r.Header["Cookie"] = []string{strings.ReplaceAll(pairs, "&", "; ")}
			for _, kind := range []bearer.Kind{bearer.Query, bearer.Cookie, bearer.Form} {
				check(t, place(kind), r, "", bearer.ErrMalformed)
				place(kind).Remove(r)
			}
			if r.URL.RawQuery != "" || r.Header["Cookie"] != nil || readAll(t, r.Body) != "" {
				t.Errorf("%s: query %q and %q stay", pairs, r.URL.RawQuery, r.Header)
			}
		}
	}
	for _, other := range []string{
		"access-token", "accesstoken", "access__token", "access_token_",
		"access_token.x", "access_token[x]", "accessxtoken",
	} {
		for _, kind := range []bearer.Kind{bearer.Query, bearer.Cookie, bearer.Form} {
			r := httptest.NewRequest(http.MethodPost, "/?access_token="+token+"&"+other+"=x", nil)
			setForm(r, r.URL.RawQuery)
			r.Header["Cookie"] = []string{strings.ReplaceAll(r.URL.RawQuery, "&", "; ")}
			check(t, place(kind), r, token, nil)
		}
	}
}

func TestCookie(t *testing.T) {
	e := extractor(t, inCookie)
	for _, test := range []struct {
		name  string
		lines []string
		want  error
	}{
		{"alone", []string{"jwt=" + token}, nil},
		{"among others", []string{"a=1; jwt=" + token + "; b=2"}, nil},
		{"without spaces", []string{"a=1;jwt=" + token + ";b=2"}, nil},
		{"with blanks around the pair", []string{"a=1;\t jwt=" + token + " \t;b=2"}, nil},
		{"in the second field", []string{"a=1", "jwt=" + token}, nil},
		{"behind a closed quote", []string{`a="1"; jwt=` + token}, nil},
		{"an open quote in another field", []string{`a="1`, "jwt=" + token}, nil},

		{"no field", nil, bearer.ErrMissing},
		{"another name", []string{"xjwt=" + token}, bearer.ErrMissing},
		{"an array", []string{"jwt[]=" + token}, bearer.ErrMissing},
		{"a longer name behind a blank", []string{"jwt x=" + token}, bearer.ErrMissing},
		{"inside another value", []string{"a=jwt=" + token}, bearer.ErrMissing},

		{"twice", []string{"jwt=" + token + "; jwt=" + token}, bearer.ErrMalformed},
		{"twice in two fields", []string{"jwt=" + token, "jwt=" + token}, bearer.ErrMalformed},
		{"empty", []string{"jwt="}, bearer.ErrMissing},
		{"empty among others", []string{"a=1; jwt=; b=2"}, bearer.ErrMissing},
		{"empty with blanks around", []string{"a=1; jwt=\t ;b=2"}, bearer.ErrMissing},
		{"empty in quotes", []string{`jwt=""`}, bearer.ErrMissing},
		{"emptied for two paths", []string{`jwt=; jwt=""`, "jwt="}, bearer.ErrMissing},
		{"an empty one before a full one", []string{"jwt=; jwt=" + token}, bearer.ErrMalformed},
		{"an empty one behind a full one", []string{"jwt=" + token, `jwt=""`}, bearer.ErrMalformed},
		{"an empty one inside the quotes of another", []string{`a="1; jwt=; b=2"`}, bearer.ErrMalformed},
		{"an empty one in another case", []string{"JWT="}, bearer.ErrMalformed},
		{"one quote", []string{`jwt="`}, bearer.ErrMalformed},
		{"a blank in quotes", []string{`jwt=" "`}, bearer.ErrMalformed},
		{"an empty one with a blank before the equals", []string{"jwt ="}, bearer.ErrMalformed},
		{"without value", []string{"jwt"}, bearer.ErrMalformed},
		{"a blank before the equals", []string{"jwt =" + token}, bearer.ErrMalformed},
		{"a tab after the equals", []string{"jwt=\t" + token}, bearer.ErrMalformed},
		{"a blank inside the value", []string{"jwt=" + token + " x"}, bearer.ErrMalformed},
		{"double quotes", []string{`jwt="` + token + `"`}, bearer.ErrMalformed},
		{"an escape", []string{"jwt=eyJ%2E"}, bearer.ErrMalformed},
		{"ours behind a comma", []string{"a=1, jwt=" + token}, bearer.ErrMalformed},
		{"a second one behind a comma", []string{"jwt=" + token + ",jwt=x"}, bearer.ErrMalformed},
		{"ours in another case", []string{"Jwt=" + token}, bearer.ErrMalformed},
		{"ours with an escape", []string{"%6awt=" + token}, bearer.ErrMalformed},
		{"a second one in another case", []string{"jwt=" + token + "; JWT=x"}, bearer.ErrMalformed},
		{"a second one with an escape", []string{"%6Awt=x; jwt=" + token}, bearer.ErrMalformed},
		{"a second one behind a no-break space", []string{"\u00a0jwt=x; jwt=" + token}, bearer.ErrMalformed},
		{"a second one behind a Latin-1 space", []string{"\xa0jwt=x; jwt=" + token}, bearer.ErrMalformed},
		{"a second one in another case behind a comma", []string{"jwt=" + token + "; a=1,JWT=x"}, bearer.ErrMalformed},
		{"ours inside the quotes of another", []string{`a="1; jwt=` + token + `; b=2"`}, bearer.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if test.lines != nil {
				r.Header["Cookie"] = test.lines
			}
			check(t, e, r, token, test.want)
		})
	}
}

// Most frameworks delete a cookie by emptying it. Whoever signs in again brings the token somewhere else, and is let
// in.
func TestEmptiedCookieIsNoToken(t *testing.T) {
	e := extractor(t, bearer.DefaultPlace, inQuery, inCookie, inForm)
	for _, emptied := range []string{"jwt=", `jwt=""`} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Cookie", emptied+"; a=1")
		check(t, e, r, token, nil)
		if e.Remove(r); r.Header.Get("Cookie") != "a=1" {
			t.Errorf("%s: left %q", emptied, r.Header["Cookie"])
		}
	}
	// Nobody else deletes by emptying: elsewhere an empty token is the client's mistake.
	for name, empty := range map[string]func(*http.Request){
		"header": func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") },
		"query":  func(r *http.Request) { r.URL.RawQuery = "jwt=" },
		"form":   func(r *http.Request) { setForm(r, "access_token=") },
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			empty(r)
			check(t, e, r, "", bearer.ErrMalformed)
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

// Readers that make variables of header fields cannot tell these names apart,
// and would read another token than ours.
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

func TestOneCredentialPerRequest(t *testing.T) {
	e := extractor(t, bearer.DefaultPlace, inQuery, inCookie, inForm)
	put := map[bearer.Kind]func(*http.Request){
		bearer.Header: func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
		bearer.Query:  func(r *http.Request) { r.URL.RawQuery = "jwt=" + token },
		bearer.Cookie: func(r *http.Request) { r.Header.Set("Cookie", "jwt="+token) },
		bearer.Form:   func(r *http.Request) { setForm(r, "access_token="+token) },
	}
	for first, one := range put {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		one(r)
		got, err := e.Extract(r)
		if err != nil || got.Token != token || got.Kind != first || e.Places()[got.Place].Kind != first {
			t.Errorf("%s alone: place %d, error %v", first, got.Place, err)
		}
		for second, another := range put {
			if first == second {
				continue
			}
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			one(r)
			another(r)
			if _, err := e.Extract(r); !errors.Is(err, bearer.ErrMalformed) {
				t.Errorf("%s and %s: error %v", first, second, err)
			}
		}
	}
}

func TestPlacesNotConfiguredAreIgnored(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/?jwt="+token+"&access_token=x", nil)
	r.Header.Set("Cookie", "jwt="+token)
	setForm(r, "access_token="+token)
	check(t, extractor(t), r, "", bearer.ErrMissing)
	r.Header.Set("Authorization", "Bearer good")
	check(t, extractor(t), r, "good", nil)
}

func TestTrailerAnnouncingCredentials(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Trailer = http.Header{"Authorization": nil}
	check(t, extractor(t), r, "", bearer.ErrMalformed)
}

func TestCredentialIsNeverPrinted(t *testing.T) {
	c := bearer.Credential{Token: token, Kind: bearer.Query}
	text := fmt.Sprintf("%v %+v %#v %s %q %x %d", c, c, c, c, c, c, &c)
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if all := text + string(encoded); strings.Contains(all, token[:10]) ||
		strings.Contains(all, fmt.Sprintf("%x", token[:10])) {
		t.Error("the token was printed: " + all)
	}
}

func TestErrorsHoldNothingOfTheToken(t *testing.T) {
	e := extractor(t, bearer.DefaultPlace, inQuery, inCookie, inForm)
	r := httptest.NewRequest(http.MethodPost, "/?jwt=SECRET%zz", nil)
	for _, breakIt := range []func(){
		func() {},
		func() { r.URL.RawQuery = "jwt=SECRET SECRET" },
		func() { r.Header.Set("Authorization", "Bearer SECRET SECRET") },
		func() { r.Header.Set("Authorization", "Basic SECRET, Bearer SECRET") },
	} {
		breakIt()
		if _, err := e.Extract(r); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("error %v", err)
		}
	}
}
