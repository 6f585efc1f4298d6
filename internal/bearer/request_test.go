package bearer_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

func TestInOriginForm(t *testing.T) {
	for _, test := range []struct {
		method, target string
		want           error
	}{
		{"GET", "/", nil},
		{"GET", "/a%2fb?x=http:y#z", nil},
		{"GET", "//h/p", nil},
		{"GET", "http://h/p", nil},
		{"GET", "HTTPS://h/p", nil},
		{"OPTIONS", "*", nil},
		{"GET", "*", bearer.ErrTarget},
		{"GET", "http:http://x/admin", bearer.ErrTarget},
		{"GET", "http:admin", bearer.ErrTarget},
		{"GET", "http:/admin", bearer.ErrTarget},
		{"GET", "http:///admin", bearer.ErrTarget},
		{"GET", "http://h", bearer.ErrTarget},
		{"GET", "http://u:p@h/p", bearer.ErrTarget},
		{"GET", "ftp://h/p", bearer.ErrTarget},
		{"OPTIONS", "http://h*", bearer.ErrTarget},
	} {
		u, err := url.ParseRequestURI(test.target)
		if err != nil {
			t.Fatal(err)
		}
		if err := bearer.InOriginForm(&http.Request{Method: test.method, URL: u}); !errors.Is(err, test.want) {
			t.Errorf("%s %s: error %v, want %v", test.method, test.target, err, test.want)
		}
	}
	for name, r := range map[string]*http.Request{
		"no URL":                {Method: "GET"},
		"authority of CONNECT":  {Method: "CONNECT", URL: &url.URL{Host: "h:443"}},
		"path without slash":    {Method: "GET", URL: &url.URL{Path: "admin"}},
		"asterisk with a host":  {Method: "OPTIONS", URL: &url.URL{Scheme: "http", Host: "h", Path: "*"}},
		"opaque without scheme": {Method: "GET", URL: &url.URL{Opaque: "//h/p", Path: "/"}},
	} {
		if err := bearer.InOriginForm(r); !errors.Is(err, bearer.ErrTarget) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestHasMethod(t *testing.T) {
	for _, method := range []string{"GET", "M-SEARCH", "get", "X", "$"} {
		if err := bearer.HasMethod(&http.Request{Method: method}); err != nil {
			t.Errorf("%q: error %v", method, err)
		}
	}
	for _, method := range []string{"", " ", "GET ", "GET /admin HTTP/1.1\r\nX: y", "GET\x00", "GET/", "GÉT", "GET:"} {
		if err := bearer.HasMethod(&http.Request{Method: method}); !errors.Is(err, bearer.ErrMethod) {
			t.Errorf("%q: error %v", method, err)
		}
	}
}

func TestIsPreflight(t *testing.T) {
	genuine := func() *http.Request {
		r := &http.Request{Method: http.MethodOptions, ProtoMajor: 1, ProtoMinor: 1, URL: &url.URL{Path: "/"}}
		r.Header = http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}}
		return r
	}
	if !bearer.IsPreflight(genuine()) {
		t.Fatal("a genuine preflight is not known")
	}
	for name, change := range map[string]func(*http.Request){
		"another method":           func(r *http.Request) { r.Method = "GET" },
		"lower case":               func(r *http.Request) { r.Method = "options" },
		"no origin":                func(r *http.Request) { r.Header.Del("Origin") },
		"an empty origin":          func(r *http.Request) { r.Header.Set("Origin", "") },
		"two origins":              func(r *http.Request) { r.Header.Add("Origin", "null") },
		"no requested method":      func(r *http.Request) { r.Header.Del("Access-Control-Request-Method") },
		"an empty one":             func(r *http.Request) { r.Header.Set("Access-Control-Request-Method", "") },
		"one that is not a method": func(r *http.Request) { r.Header.Set("Access-Control-Request-Method", "GET /") },
		"two of them":              func(r *http.Request) { r.Header.Add("Access-Control-Request-Method", "GET") },
		"with a token":             func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
		"with another scheme":      func(r *http.Request) { r.Header.Set("Authorization", "Basic x") },
		"with a cookie":            func(r *http.Request) { r.Header.Set("Cookie", "a=1") },
		"with an empty cookie":     func(r *http.Request) { r.Header.Set("Cookie", "") },
		"for the server":           func(r *http.Request) { r.URL.Path = "*" },
		"for nothing":              func(r *http.Request) { r.URL = nil },
		"an upgrade":               func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
		"an empty upgrade":         func(r *http.Request) { r.Header.Set("Upgrade", "") },
		"an extended CONNECT":      func(r *http.Request) { r.Header[":protocol"] = []string{"websocket"} },
		"a body":                   func(r *http.Request) { r.ContentLength = 1 },
		"a chunked body":           func(r *http.Request) { r.ContentLength = -1 },
		"an HTTP/2 body":           func(r *http.Request) { r.ContentLength, r.ProtoMajor = -1, 2 },
		"an HTTP/3 body":           func(r *http.Request) { r.ContentLength, r.ProtoMajor = 1, 3 },
		"a wait for 100":           func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"a list of methods":        func(r *http.Request) { r.Header.Set("Access-Control-Request-Method", "GET, PUT") },
	} {
		r := genuine()
		if change(r); bearer.IsPreflight(r) {
			t.Errorf("%s: taken for a preflight", name)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"HTTP/1.0":                     func(r *http.Request) { r.ProtoMinor = 0 },
		"HTTP/3 without a length":      func(r *http.Request) { r.ContentLength, r.ProtoMajor = -1, 3 },
		"a length of nothing":          func(r *http.Request) { r.Header.Set("Content-Length", "0") },
		"the absolute form":            func(r *http.Request) { r.URL.Scheme, r.URL.Host = "http", "h" },
		"a method of one's own":        func(r *http.Request) { r.Header.Set("Access-Control-Request-Method", "purge") },
		"an origin that is hidden":     func(r *http.Request) { r.Header.Set("Origin", "null") },
		"headers that are asked about": func(r *http.Request) { r.Header.Set("Access-Control-Request-Headers", "x-a") },
	} {
		r := genuine()
		if change(r); !bearer.IsPreflight(r) {
			t.Errorf("%s: not taken for a preflight", name)
		}
	}
}
