package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

func TestRemoveQuery(t *testing.T) {
	e := extractor(t, inQuery, bearer.Place{Kind: bearer.Query, Name: "access_token"})
	for before, after := range map[string]string{
		"/p?jwt=x&a=1":                        "/p?a=1",
		"/p?a=1&jwt=x":                        "/p?a=1",
		"/p?a=1&jwt=x&b=2":                    "/p?a=1&b=2",
		"/p?jwt=x":                            "/p",
		"/p?%6awt=x":                          "/p",
		"/p?jwt":                              "/p",
		"/p?jwt=x&jwt=y&access_token=z":       "/p",
		"/p?a=%zz&&b=+%20;c&=&jwt=x":          "/p?a=%zz&&b=+%20;c&=",
		"/p?z=1&jwt=x&a=%C3%A9&a=%c3%a9&":     "/p?z=1&a=%C3%A9&a=%c3%a9&",
		"/p?JWT=x&jwt[]=y&+jwt=z":             "/p?jwt[]=y",
		"/p?":                                 "/p?",
		"/p":                                  "/p",
		"/p?a=1":                              "/p?a=1",
		"/jwt=x?a=1":                          "/jwt=x?a=1",
		"http://h.example/p%2f?jwt=x&b=?&c=/": "http://h.example/p%2f?b=?&c=/",
	} {
		r := httptest.NewRequest(http.MethodGet, before, nil)
		e.Remove(r)
		if r.RequestURI != after {
			t.Errorf("%s: request URI %s, want %s", before, r.RequestURI, after)
		}
		if got := r.URL.RequestURI(); !strings.HasSuffix(after, got) ||
			strings.Contains(got, "?") != strings.Contains(after, "?") {
			t.Errorf("%s: URL %s, want %s", before, got, after)
		}
	}
}

func TestRemoveQueryAfterARewrite(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/old?jwt=x&a=1", nil)
	r.URL.Path, r.URL.RawQuery = "/new", "b=2&jwt=x"
	extractor(t, inQuery).Remove(r)
	if r.RequestURI != "/old?a=1" || r.URL.String() != "/new?b=2" {
		t.Errorf("request URI %s, URL %s", r.RequestURI, r.URL)
	}
}

func TestRemoveQueryLeavesNoQuestionMark(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/p?jwt=x", nil)
	r.URL.ForceQuery = true // as a handler before may have left it
	extractor(t, inQuery).Remove(r)
	if got := r.URL.String(); got != "/p" {
		t.Errorf("URL %s", got)
	}
}

func TestRemoveCookie(t *testing.T) {
	e := extractor(t, inCookie)
	for _, test := range []struct{ before, after []string }{
		{[]string{"jwt=x"}, nil},
		{[]string{"jwt=x;"}, nil},
		{[]string{"jwt=x; a=1"}, []string{"a=1"}},
		{[]string{"a=1; jwt=x"}, []string{"a=1"}},
		{[]string{"a=1; jwt=x; b=2"}, []string{"a=1; b=2"}},
		{[]string{"a=1;jwt=x;b=2"}, []string{"a=1;b=2"}},
		{[]string{`a="q,1" ;  jwt=x;;b`}, []string{`a="q,1" ;;b`}},
		{[]string{"jwt=x; jwt=y"}, nil},
		{[]string{`jwt=; a=1; jwt=""`}, []string{"a=1"}},
		{[]string{"a=1", "jwt=x", "b=2; jwt=y"}, []string{"a=1", "b=2"}},
		{[]string{"a=jwt=x; Jwt=y; %6awt=z; b=1,jwt=x"}, []string{"a=jwt=x"}},
		{nil, nil},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if test.before != nil {
			r.Header["Cookie"] = test.before
		}
		shared := strings.Join(test.before, "|")
		e.Remove(r)
		if got := r.Header["Cookie"]; !reflect.DeepEqual(got, test.after) {
			t.Errorf("%q: %q, want %q", test.before, got, test.after)
		}
		if _, there := r.Header["Cookie"]; there && test.after == nil {
			t.Errorf("%q: an empty field stays", test.before)
		}
		if strings.Join(test.before, "|") != shared {
			t.Errorf("%q: the slice itself was changed", shared)
		}
	}
}

func TestRemoveHeader(t *testing.T) {
	e := extractor(t, bearer.DefaultPlace, inCustom)
	for _, test := range []struct{ before, after []string }{
		{[]string{"Bearer x"}, nil},
		{[]string{"bearer   x y"}, nil},
		{[]string{"Bearer\tx"}, nil},
		{[]string{"Bearer"}, nil},
		{[]string{"Basic x"}, []string{"Basic x"}},
		{[]string{"Basic x, Bearer y"}, nil},
		{[]string{"Basic x", "Bearer y", "Digest z"}, []string{"Basic x", "Digest z"}},
		{[]string{"Bearer x", "Bearer y"}, nil},
		{[]string{"Bearerx"}, []string{"Bearerx"}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = test.before
		r.Header["X-Access-Token"] = []string{"x", "y"}
		r.Header["X-Other"] = []string{"Bearer z"}
		shared := strings.Join(test.before, "|")
		e.Remove(r)
		if strings.Join(test.before, "|") != shared {
			t.Errorf("%q: the slice itself was changed", shared)
		}
		want := http.Header{"X-Other": {"Bearer z"}}
		if test.after != nil {
			want["Authorization"] = test.after
		}
		if !reflect.DeepEqual(r.Header, want) {
			t.Errorf("%q: %q, want %q", test.before, r.Header, want)
		}
	}
}

func TestRemoveForm(t *testing.T) {
	e := extractor(t, inForm)
	for before, after := range map[string]string{
		"access_token=x":             "",
		"access_token=x&a=1":         "a=1",
		"a=%zz&access%5ftoken=x&b=+": "a=%zz&b=+",
		"a=1&b=2":                    "a=1&b=2",
	} {
		for _, chunked := range []bool{false, true} {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			setForm(r, before)
			r.Header.Set("Content-Length", "99")
			length := int64(len(after))
			if chunked {
				r.ContentLength, length = -1, -1
				r.Header.Del("Content-Length")
			}
			_, _ = e.Extract(r)
			e.Remove(r)
			if got := readAll(t, r.Body); got != after || r.ContentLength != length {
				t.Errorf("%q: body %q of length %d, want %q of %d", before, got, r.ContentLength, after, length)
			}
			field := strconv.FormatInt(length, 10)
			switch {
			case chunked:
				field = ""
			case after == before:
				field = "99" // nothing removed, nothing touched
			}
			if got := r.Header.Get("Content-Length"); got != field {
				t.Errorf("%q: Content-Length %q, want %q", before, got, field)
			}
		}
	}
}

func TestRemoveFromFormsAlreadyParsed(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/?jwt=x&a=1", nil)
	if r.FormValue("jwt") != "x" {
		t.Fatal("not parsed")
	}
	extractor(t, inQuery).Remove(r)
	if r.Form.Has("jwt") || !r.Form.Has("a") {
		t.Errorf("form %v", r.Form)
	}
}

func TestRemoveLeavesOtherPlacesAlone(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/?jwt=x", nil)
	r.Header.Set("Cookie", "jwt=x")
	setForm(r, "access_token=x")
	r.Header.Set("Authorization", "Bearer "+token)
	extractor(t).Remove(r)
	if r.RequestURI != "/?jwt=x" || r.Header.Get("Cookie") != "jwt=x" || readAll(t, r.Body) != "access_token=x" {
		t.Error("something else was removed")
	}
	if r.Header.Get("Authorization") != "" {
		t.Error("the token stays")
	}
}
