package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

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

// PHP makes variables of names, so a name with an underscore has many spellings.
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

// Most frameworks delete a cookie by emptying it. A user who signs in again has a token in another place and is let in.
func TestAnEmptiedCookieDoesNotCount(t *testing.T) {
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
	// Only cookies are deleted by emptying them. In other places an empty token is a mistake of the client.
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
