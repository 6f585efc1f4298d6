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

func TestErrorsContainNothingOfTheToken(t *testing.T) {
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
