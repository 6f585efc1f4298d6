package bearer_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// longToken has the length of a usual RS256 access token.
var longToken = strings.Repeat("eyJhbGciOi", 40) + "." + strings.Repeat("abcdefghij", 40) + ".c2ln"

func TestAllocations(t *testing.T) {
	every := extractor(t, bearer.DefaultPlace, inQuery, inCookie, inForm)
	for _, test := range []struct {
		name    string
		e       *bearer.Extractor
		request func() *http.Request
		want    error
	}{
		{"the header", extractor(t), headerRequest, nil},
		{"the header, with every place configured", every, headerRequest, nil},
		{"the query", every, queryRequest, nil},
		{"a cookie", every, cookieRequest, nil},
		{"nothing", every, func() *http.Request { return httptest.NewRequest("GET", "/?a=1", nil) }, bearer.ErrMissing},
		{"15,000 dots and a space", every, func() *http.Request {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+strings.Repeat(".", 15000)+" x")
			return r
		}, bearer.ErrMalformed},
		{"two places", every, func() *http.Request {
			r := queryRequest()
			r.Header.Set("Authorization", "Bearer x")
			return r
		}, bearer.ErrMalformed},
	} {
		r := test.request()
		got := testing.AllocsPerRun(100, func() {
			if _, err := test.e.Extract(r); !errors.Is(err, test.want) {
				t.Errorf("%s: error %v", test.name, err)
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", test.name, got)
		}
	}
}

func TestRemovalOfTheHeaderAllocatesNothing(t *testing.T) {
	e := extractor(t, bearer.DefaultPlace, inQuery, inCookie, inForm)
	r := headerRequest()
	lines := r.Header["Authorization"]
	got := testing.AllocsPerRun(100, func() {
		r.Header["Authorization"] = lines
		e.Remove(r)
	})
	if got != 0 || len(r.Header) != 0 {
		t.Errorf("%v allocations, %d fields left", got, len(r.Header))
	}
}

func headerRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders?page=2&sort=date", nil)
	r.Header.Set("Authorization", "Bearer "+longToken)
	return r
}

func queryRequest() *http.Request {
	return httptest.NewRequest(http.MethodGet, "/orders?page=2&jwt="+longToken, nil)
}

func cookieRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("Cookie", "theme=dark; jwt="+longToken+"; lang=en")
	return r
}

func formRequest() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/orders", nil)
	setForm(r, "page=2&access_token="+longToken)
	return r
}

func BenchmarkExtract(b *testing.B) {
	for _, bench := range []struct {
		name string
		e    *bearer.Extractor
		r    *http.Request
	}{
		{"header", extractor(b), headerRequest()},
		{"header/every_place", extractor(b, bearer.DefaultPlace, inQuery, inCookie, inForm), headerRequest()},
		{"query", extractor(b, inQuery), queryRequest()},
		{"cookie", extractor(b, inCookie), cookieRequest()},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.e.Extract(bench.r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("form", func(b *testing.B) {
		e := extractor(b, inForm)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.Extract(formRequest()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRemove(b *testing.B) {
	e := extractor(b, bearer.DefaultPlace, inQuery, inCookie)
	for name, request := range map[string]func() *http.Request{
		"header": headerRequest, "query": queryRequest, "cookie": cookieRequest,
	} {
		b.Run(name, func(b *testing.B) {
			original := request()
			r := original.Clone(b.Context())
			b.ReportAllocs()
			for b.Loop() {
				r.RequestURI, r.URL.RawQuery = original.RequestURI, original.URL.RawQuery
				for field, lines := range original.Header {
					r.Header[field] = lines
				}
				e.Remove(r)
			}
		})
	}
}

func BenchmarkChallenge(b *testing.B) {
	c := bearer.Challenge{Realm: "api", Error: "invalid_token", Description: "the access token has expired"}
	b.ReportAllocs()
	for b.Loop() {
		_ = c.String()
	}
}
