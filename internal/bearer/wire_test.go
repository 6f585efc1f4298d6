package bearer_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// reached is what a backend saw of a request.
type reached struct {
	uri, authorization, cookie, body, trailer string
	length                                    int64
}

// wire is a gate in front of a backend, both real servers.
type wire struct {
	*httptest.Server
	backend chan reached // what reached the backend
}

func newWire(t *testing.T, e *bearer.Extractor) *wire {
	t.Helper()
	w := &wire{backend: make(chan reached, 1)}
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.backend <- reached{
			uri: r.RequestURI, authorization: strings.Join(r.Header["Authorization"], "|"),
			cookie: strings.Join(r.Header["Cookie"], "|"), body: string(body),
			trailer: r.Trailer.Get("X-Sum"), length: r.ContentLength,
		}
	}))
	t.Cleanup(backend.Close)
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.RawQuery = p.In.URL.RawQuery
		p.SetURL(target)
	}}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := bearer.InOriginForm(r); err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		if e.ReadsBody(r) {
			patience := time.Minute
			if r.Header.Get("X-Stalls") != "" {
				patience = 50 * time.Millisecond
			}
			_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(patience))
		}
		c, err := e.Extract(r)
		if err != nil {
			http.Error(rw, err.Error(), statusOf(err))
			return
		}
		_ = http.NewResponseController(rw).SetReadDeadline(time.Time{})
		rw.Header().Set("X-Token", c.Token)
		e.Remove(r)
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, bearer.ErrMissing):
		return http.StatusUnauthorized
	case errors.Is(err, bearer.ErrBodyTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, bearer.ErrMalformed), errors.Is(err, bearer.ErrBodyRead):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// send writes the bytes to the server and reads one answer. The number is that of the interim answers before it.
func (w *wire) send(t *testing.T, raw string) (*http.Response, int) {
	t.Helper()
	conn, err := net.Dial("tcp", w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for interim := 0; ; interim++ {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode >= 200 {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			return response, interim
		}
		if _, err := io.WriteString(conn, "access_token="+token); err != nil {
			t.Fatal(err)
		}
	}
}

// seen returns what the backend saw, or fails the test.
func (w *wire) seen(t *testing.T) reached {
	t.Helper()
	select {
	case got := <-w.backend:
		return got
	default:
		t.Fatal("nothing reached the backend")
	}
	return reached{}
}

func (w *wire) nothingSeen(t *testing.T) {
	t.Helper()
	select {
	case got := <-w.backend:
		t.Errorf("%+v reached the backend", got)
	default:
	}
}

func TestRefusedOnTheWire(t *testing.T) {
	w := newWire(t, extractor(t, bearer.DefaultPlace, inQuery, inCookie, inForm))
	w.Start()
	auth := "Authorization: Bearer " + token + "\r\n"
	form := "Content-Type: " + formType + "\r\n"
	for _, test := range []struct {
		name, raw string
		want      int
	}{
		{"no credentials", "GET / HTTP/1.1\r\n", 401},
		{"a folded field", "GET / HTTP/1.1\r\nAuthorization: Bearer ab\r\n cd\r\n", 400},
		{"a fold after the scheme and another word", "GET / HTTP/1.1\r\nAuthorization: Bearer\r\n\tab cd\r\n", 400},
		{"a tab", "GET / HTTP/1.1\r\nAuthorization: Bearer\t" + token + "\r\n", 400},
		{"a NUL", "GET / HTTP/1.1\r\nAuthorization: Bearer a\x00b\r\n", 400},
		{"a bare carriage return", "GET / HTTP/1.1\r\nAuthorization: Bearer a\rb\r\n", 400},
		{"two fields", "GET / HTTP/1.1\r\n" + auth + auth, 400},
		{"two fields in different case", "GET / HTTP/1.1\r\n" + auth + strings.ToLower(auth), 400},
		{"a space before the colon", "GET / HTTP/1.1\r\nAuthorization : Bearer " + token + "\r\n", 400},
		{"an underscore in the name", "GET / HTTP/1.1\r\nAuthorization_: Bearer " + token + "\r\n", 401},
		{"two cookie fields", "GET / HTTP/1.1\r\nCookie: jwt=" + token + "\r\nCookie: jwt=" + token + "\r\n", 400},
		{"header and query", "GET /?jwt=" + token + " HTTP/1.1\r\n" + auth, 400},
		{"an opaque target", "GET http:http://x/admin HTTP/1.1\r\n" + auth, 400},
		{"a target without slash", "GET admin HTTP/1.1\r\n" + auth, 400},
		{"a target with user information", "GET http://u@h/admin HTTP/1.1\r\n" + auth, 400},
		{"an absolute target of another scheme", "GET ftp://h/admin HTTP/1.1\r\n" + auth, 400},
		{"credentials in the trailers", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: authorization\r\n" +
			auth + "\r\n0\r\nAuthorization: Bearer x\r\n", 400},
		{"GET with a form", "GET / HTTP/1.1\r\nContent-Length: 14\r\n" + form + "\r\naccess_token=t", 401},
		{"a form shorter than announced",
			"POST / HTTP/1.1\r\nX-Stalls: yes\r\nContent-Length: 99\r\n" + form + "\r\naccess_token=t", 400},
		{"a chunked form that never ends",
			"POST / HTTP/1.1\r\nX-Stalls: yes\r\nTransfer-Encoding: chunked\r\n" + form + "\r\ne\r\naccess_token=t\r\n", 400},
		{"a form with a broken chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + form + "\r\nzz\r\n", 400},
		{"a chunked form over the bound", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + form + "\r\n" +
			strings.Repeat("20000\r\n"+strings.Repeat("a", 0x20000)+"\r\n", 9) + "0\r\n", 413},
		{"two content types", "POST / HTTP/1.1\r\nContent-Length: 0\r\n" + form + form, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := strings.Replace(test.raw, "HTTP/1.1\r\n", "HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", 1) + "\r\n"
			if response, _ := w.send(t, raw); response.StatusCode != test.want {
				t.Errorf("status %d, want %d", response.StatusCode, test.want)
			}
			w.nothingSeen(t)
		})
	}
}

func TestAcceptedOnTheWire(t *testing.T) {
	w := newWire(t, extractor(t, bearer.DefaultPlace, inQuery, inCookie, inForm))
	w.Start()
	form := "Content-Type: " + formType + "\r\n"
	chunks := "e\r\na=%zz&access_t\r\n3d\r\noken=" + token + "\r\n4\r\n&b=;\r\n0\r\nX-Sum: 42\r\n"
	if len("oken="+token) != 0x3d {
		chunks = strings.Replace(chunks, "3d", fmt.Sprintf("%x", len("oken="+token)), 1)
	}
	for _, test := range []struct {
		name, raw string
		want      reached
	}{
		{"the header", "GET /p?a=1 HTTP/1.1\r\nauthorization:bearer  " + token + " \t\r\n", reached{uri: "/p?a=1"}},
		{"a fold between scheme and token",
			"GET / HTTP/1.1\r\nAuthorization: Bearer\r\n " + token + "\r\n", reached{uri: "/"}},
		{"the query", "GET /p%2f?b=%zz&jwt=" + token + "&&a=+ HTTP/1.1\r\n", reached{uri: "/p%2f?b=%zz&&a=+"}},
		{"the query alone", "GET /p?jwt=" + token + " HTTP/1.1\r\n", reached{uri: "/p"}},
		{"the query with Basic beside it", "GET /?jwt=" + token + " HTTP/1.1\r\nAuthorization: Basic dTpw\r\n",
			reached{uri: "/", authorization: "Basic dTpw"}},
		{"an absolute target", "GET http://h/p?jwt=" + token + "&a HTTP/1.1\r\n", reached{uri: "/p?a"}},
		{"a cookie in two fields", "GET / HTTP/1.1\r\nCookie: a=1; b=2\r\nCookie: jwt=" + token + ";c=3\r\n",
			reached{uri: "/", cookie: "a=1; b=2|c=3"}},
		{"a form", "POST / HTTP/1.1\r\n" + fmt.Sprintf("Content-Length: %d\r\n", 17+len(token)) + form +
			"\r\naccess_token=" + token + "&b=;", reached{uri: "/", body: "b=;", length: 3}},
		{"a form of nothing else", "POST / HTTP/1.1\r\n" + fmt.Sprintf("Content-Length: %d\r\n", 13+len(token)) + form +
			"\r\naccess_token=" + token, reached{uri: "/"}},
		{"a chunked form with trailer", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n" + form +
			"\r\n" + chunks, reached{uri: "/", body: "a=%zz&b=;", trailer: "42", length: -1}},
		{"a form left alone", "POST /?jwt=" + token + " HTTP/1.1\r\nContent-Length: 7\r\n" + form + "\r\na=%zz;;",
			reached{uri: "/", body: "a=%zz;;", length: 7}},
		{"a body of another type", "POST /?jwt=" + token + " HTTP/1.1\r\nContent-Length: 14\r\n\r\naccess_token=t",
			reached{uri: "/", body: "access_token=t", length: 14}},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := strings.Replace(test.raw, "HTTP/1.1\r\n", "HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", 1)
			if !strings.Contains(raw, "Content-Length") {
				raw += "\r\n"
			}
			response, _ := w.send(t, raw)
			if response.StatusCode != 200 || response.Header.Get("X-Token") != token {
				t.Fatalf("status %d", response.StatusCode)
			}
			if got := w.seen(t); got != test.want {
				t.Errorf("the backend saw %+v, want %+v", got, test.want)
			}
		})
	}
}

// A client that waits for 100 Continue gets it if its form will be read. Otherwise it is refused at once.
func TestExpectContinue(t *testing.T) {
	w := newWire(t, extractor(t, bearer.DefaultPlace, inForm))
	w.Start()
	head := "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Type: " + formType + "\r\n"
	for _, test := range []struct {
		name, head            string
		wantStatus, wantAsked int
	}{
		{"a form", fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, 13+len(token)), 200, 1},
		{"a form over the bound", fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, bearer.DefaultMaxForm+1), 413, 0},
		{"a malformed header", head + "Authorization: Bearer\r\nContent-Length: 5\r\n\r\n", 400, 0},
		{"another type", strings.Replace(head, "x-www-form", "x", 1) + "Content-Length: 5\r\n\r\n", 401, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, asked := w.send(t, test.head)
			if response.StatusCode != test.wantStatus || asked != test.wantAsked {
				t.Errorf("status %d after %d interim answers", response.StatusCode, asked)
			}
		})
	}
}

func TestHTTP2(t *testing.T) {
	w := newWire(t, extractor(t, bearer.DefaultPlace, inQuery, inCookie, inForm))
	w.EnableHTTP2 = true
	w.StartTLS()
	do := func(t *testing.T, r *http.Request) int {
		t.Helper()
		response, err := w.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.ProtoMajor != 2 {
			t.Fatal("not HTTP/2")
		}
		return response.StatusCode
	}
	request := func(body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/p?a=1", body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	t.Run("split cookie fields", func(t *testing.T) {
		r := request(nil) // the client splits the field at every semicolon
		r.Header.Set("Cookie", "a=1; jwt="+token+"; b=2")
		if got := do(t, r); got != 200 {
			t.Fatalf("status %d", got)
		}
		if got := w.seen(t); got.cookie != "a=1; b=2" {
			t.Errorf("cookie %q", got.cookie)
		}
	})
	t.Run("a cookie twice in split fields", func(t *testing.T) {
		r := request(nil)
		r.Header.Set("Cookie", "jwt="+token+"; b=2; jwt="+token)
		if got := do(t, r); got != 400 {
			t.Errorf("status %d", got)
		}
		w.nothingSeen(t)
	})
	t.Run("two fields", func(t *testing.T) {
		r := request(nil)
		r.Header["Authorization"] = []string{"Bearer " + token, "Bearer " + token}
		if got := do(t, r); got != 400 {
			t.Errorf("status %d", got)
		}
		w.nothingSeen(t)
	})
	t.Run("a form without length, with a trailer", func(t *testing.T) {
		r := request(io.MultiReader(strings.NewReader("access_token=" + token + "&a=%zz")))
		r.Header.Set("Content-Type", formType)
		r.Trailer = http.Header{"X-Sum": {"42"}}
		if got := do(t, r); got != 200 {
			t.Fatalf("status %d", got)
		}
		want := reached{uri: "/p?a=1", body: "a=%zz", trailer: "42", length: -1}
		if got := w.seen(t); got != want {
			t.Errorf("the backend saw %+v, want %+v", got, want)
		}
	})
	t.Run("a form that stalls", func(t *testing.T) {
		reader, writer := io.Pipe()
		defer func() { _ = writer.Close() }()
		go func() { _, _ = io.WriteString(writer, "access_token=") }()
		r := request(reader)
		r.Header.Set("Content-Type", formType)
		r.Header.Set("X-Stalls", "yes")
		if got := do(t, r); got != 400 {
			t.Errorf("status %d", got)
		}
		w.nothingSeen(t)
	})
	t.Run("a form over the bound", func(t *testing.T) {
		r := request(io.LimitReader(&endless{}, 3<<20))
		r.Header.Set("Content-Type", formType)
		if got := do(t, r); got != 413 {
			t.Errorf("status %d", got)
		}
		w.nothingSeen(t)
	})
}
