package fetch_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/fetch"
)

func TestRedirects(t *testing.T) {
	var elsewhere atomic.Pointer[http.Header]
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Store(&r.Header)
		fmt.Fprint(w, "other")
	})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Query().Get("to")
		switch {
		case r.URL.Path == "/end":
			fmt.Fprint(w, "end")
		case strings.HasPrefix(r.URL.Path, "/hop/"):
			n := len(r.URL.Path) - len("/hop/")
			if n == 1 {
				to = "/end"
			} else {
				to = r.URL.Path[:len(r.URL.Path)-1]
			}
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusPermanentRedirect)
		case to == "":
			w.WriteHeader(http.StatusFound)
		default:
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	})
	for _, test := range []struct {
		name, path string
		body       string
		want       error
	}{
		{"a relative one", "/?to=end", "end", nil},
		{"three", "/hop/xxx", "end", nil},
		{"four", "/hop/xxxx", "", fetch.ErrRedirect},
		{"to another host on this machine", "/?to=" + other.URL, "other", nil},
		{"to another scheme", "/?to=https://127.0.0.1/", "", fetch.ErrRedirect},
		{"to plain http elsewhere", "/?to=http://example.com/", "", fetch.ErrAddress},
		{"to a link-local address", "/?to=http://169.254.169.254/latest/meta-data/", "", fetch.ErrAddress},
		{"to a file", "/?to=file:///etc/passwd", "", fetch.ErrRedirect},
		{"with a password", "/?to=http://a:b@127.0.0.1/", "", fetch.ErrAddress},
		{"to nowhere", "/?x", "", fetch.ErrRedirect},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{"Authorization": {"secret"}, "X-Api-Key": {"secret"}}
			response, err := client(t, fetch.Options{Header: header}).Get(t.Context(), s.URL+test.path, "*/*", "")
			if !errors.Is(err, test.want) || err == nil && string(response.Body) != test.body {
				t.Errorf("%+v, error %v; want %q and %v", response, err, test.body, test.want)
			}
		})
	}
	if h := *elsewhere.Load(); h.Get("X-Api-Key") != "" || h.Get("Authorization") != "" {
		t.Errorf("the other host got %v", h)
	}
}

// The target of a redirect does not get the tag of another document. If it answers that the document still has that
// tag, it is not believed.
func TestAnEntityTagStaysWithItsAddress(t *testing.T) {
	var asked atomic.Pointer[[]string]
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		tags := r.Header["If-None-Match"]
		asked.Store(&tags)
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
	})
	response, err := client(t, fetch.Options{}).Get(t.Context(), s.URL, "*/*", `"1"`)
	if err != nil {
		t.Fatal(err)
	}
	if len(*asked.Load()) > 0 || response.NotModified || response.Header.Get("ETag") != "" {
		t.Errorf("asked with %q, not modified: %v, tag %q", *asked.Load(), response.NotModified, response.Header.Get("ETag"))
	}
}

func TestHTTPFollowsNoRedirects(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) })
	response, err := client(t, fetch.Options{}).HTTP().Post(s.URL, "text/plain", strings.NewReader("secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusFound {
		t.Errorf("status %d", response.StatusCode)
	}
	if response, err := client(t, fetch.Options{}).HTTP().Get("http://example.com/"); !errors.Is(err, fetch.ErrAddress) {
		response.Body.Close()
		t.Errorf("plain http: %v", err)
	}
}

// A server with TLS cannot redirect to one without, not even on this machine.
func TestRedirectFromTLSToPlainHTTP(t *testing.T) {
	var reached atomic.Int64
	local := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	s := httptest.NewTLSServer(http.RedirectHandler(local.URL, http.StatusFound))
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if _, err := client(t, fetch.Options{CA: ca}).Get(t.Context(), s.URL, "*/*", ""); !errors.Is(err, fetch.ErrRedirect) {
		t.Errorf("error %v, want %v", err, fetch.ErrRedirect)
	}
	if reached.Load() != 0 {
		t.Error("the service without TLS was reached")
	}
}
