package tokenissuer

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// handlerOf is a handler with an issuer that has not started, whose application has these names.
func handlerOf(t *testing.T, endpoints *applications.Endpoints) *Handler {
	t.Helper()
	h := &Handler{Issuer: "https://gate.test", Users: []people.User{{Name: "alice", Hash: hash}},
		Apps: []applications.App{{Path: "/b/"}, {Path: "/a/", Endpoints: endpoints}}}
	var err error
	if h.built, err = h.compile(words.NewSettings()); err != nil {
		t.Fatal(err)
	}
	h.issuer = &issuer{compiled: h.built, logger: zap.NewNop(), near: h.built.nearby()}
	h.issuer.running.Store(new(running))
	return h
}

// asSent is a request with a target as it was on the wire, as Caddy gives it to handlers.
func asSent(t testing.TB, method, target, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
	r.RequestURI = target
	return r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, http.Request{RequestURI: target}))
}

// Whoever almost sends a password or a token to an address hears which one it is, and nobody else gets the request.
func TestAnAddressInAnotherSpelling(t *testing.T) {
	h := handlerOf(t, &applications.Endpoints{Login: "sign.in"})
	for _, test := range []struct {
		method, target, body string
		major                int
		want                 string // the address in the answer; empty if the request goes on
		left                 string // of the body, if the request goes on
	}{
		{"POST", "/a/Sign.In", alice, 1, "/a/sign.in", ""},
		{"POST", "/b//login", alice, 1, "/b/login", ""},
		{"POST", "/a/refresh/", alice, 2, "/a/refresh", ""},
		{"POST", "/a/%6cogout", "", 2, "/a/logout", ""}, // the token is in a field
		{"PUT", "/A/revoke", alice, 1, "/a/revoke", ""},
		{"PROPFIND", "/a/revoke;x", "", 1, "/a/revoke", ""},
		{"CONNECT", "/a/./revoke", "", 2, "/a/revoke", ""},
		{"GET", "/a/Sign.In", alice, 1, "/a/sign.in", ""},
		{"GET", "/a/Sign.In", "", 1, "", ""}, // it may be a page
		{"HEAD", "/a/refresh/", "", 2, "", ""},
		{"OPTIONS", "/a/refresh/", "", 1, "", ""},
		{"OPTIONS", "/a/refresh/", "x", 1, "/a/refresh", ""},
		{"POST", "http://gate.test/A/refresh", "", 1, "/a/refresh", ""},
		{"POST", "http://gate.test/a/refresh", "", 2, "/a/refresh", ""}, // there is no absolute form
		{"POST", "http://gate.test/a/refresh", "", 3, "/a/refresh", ""},
		{"POST", "/oauth2/introspect", "token=x", 1, "/oauth2/introspection", ""}, // as other servers call it
		{"POST", "/OAuth2/Revoke/", "token=x", 2, "/oauth2/revocation", ""},
		{"GET", "/oauth2/revoke", "", 1, "", ""},
		{"POST", "/a/introspect", "token=x", 1, "", "token=x"},
		{"POST", "/a/login", alice, 1, "", alice}, // it has another name here
		{"POST", "/a/x", alice, 1, "", alice},
		{"POST", "", alice, 1, "", alice},
	} {
		w, left := httptest.NewRecorder(), "not called"
		r := asSent(t, test.method, test.target, test.body)
		r.ProtoMajor = test.major
		err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			left = ""
			if r.ContentLength != 0 {
				left = test.body
			}
			return nil
		}))
		if err != nil {
			t.Error(err)
		}
		text := w.Body.String()
		switch name := test.method + " " + test.target; {
		case test.want == "" && left != test.left:
			t.Errorf("%s: status %d, %s; next gets %q", name, w.Code, text, left)
		case test.want != "" && (left != "not called" || w.Code != http.StatusNotFound ||
			!strings.Contains(text, `"invalid_request"`) || !strings.Contains(text, " "+test.want+" ") ||
			w.Header().Get("Cache-Control") != "no-store"):
			t.Errorf("%s: status %d, %s; next gets %q", name, w.Code, text, left)
		}
	}
}

// Browsers do not say in HTTP/3 that a request has no body. Whatever it is, it does not go on.
func TestARequestForAPageOfAlmostThatNameHasNoBody(t *testing.T) {
	h := handlerOf(t, nil)
	r := asSent(t, http.MethodGet, "/a/login/", alice)
	r.ProtoMajor, r.ContentLength = 3, -1
	kept := func(r *http.Request) (body io.ReadCloser) {
		next := func(_ http.ResponseWriter, r *http.Request) error {
			body = r.Body
			return nil
		}
		if err := h.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(next)); err != nil {
			t.Error(err)
		}
		return body
	}
	if kept(r) != http.NoBody {
		t.Error("the body went on, or nothing did")
	}
	r = asSent(t, http.MethodGet, "/a/x/", alice)
	r.ProtoMajor, r.ContentLength = 3, -1
	if kept(r) == http.NoBody {
		t.Error("another request lost its body")
	}
}

// Every request of a site comes through the handler.
func TestOtherRequestsCostNoAllocation(t *testing.T) {
	h := handlerOf(t, nil)
	w := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	for _, target := range []string{"/", "/a/x?y=%20", "/assets/app.js", "/a/login/x", "/b/a b"} {
		r := asSent(t, http.MethodPost, target, "")
		if n := testing.AllocsPerRun(100, func() { _ = h.ServeHTTP(w, r, next) }); n != 0 {
			t.Errorf("%s: %v allocations", target, n)
		}
	}
}
