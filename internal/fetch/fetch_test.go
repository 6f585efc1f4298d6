package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestMain(m *testing.M) {
	tokentest.AllowNames()
	goleak.VerifyTestMain(m)
}

func client(tb testing.TB, options fetch.Options) *fetch.Client {
	tb.Helper()
	c, err := fetch.NewClient(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// serve starts a server that stops when the test ends.
func serve(tb testing.TB, handler http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewServer(handler)
	tb.Cleanup(s.Close)
	return s
}

func TestGet(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "hello")
	})
	c := client(t, fetch.Options{Header: http.Header{"X-Tenant": {"one"}, "Accept": {"text/html"}}})
	response, err := c.Get(t.Context(), s.URL, "application/json", "")
	if err != nil || response.Status != 200 || string(response.Body) != "hello" ||
		response.NotModified || response.Header.Get("ETag") != `"v1"` {
		t.Fatalf("%+v, error %v", response, err)
	}
	if h := asked.Load().Header; h.Get("Accept") != "application/json" ||
		h.Get("X-Tenant") != "one" || h.Get("If-None-Match") != "" {
		t.Errorf("header %v", h)
	}
	response, err = c.Get(t.Context(), s.URL, "application/json", `"v1"`)
	if err != nil || !response.NotModified || response.Body != nil {
		t.Errorf("%+v, error %v", response, err)
	}
}

func TestAStatusIsNotAnError(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a page", http.StatusTeapot) })
	response, err := client(t, fetch.Options{}).Get(t.Context(), s.URL, "*/*", "")
	if err != nil || response.Status != http.StatusTeapot || response.Body != nil {
		t.Errorf("%+v, error %v", response, err)
	}
}

func TestBodyIsBounded(t *testing.T) {
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	chunk := make([]byte, 1<<20)
	for range 4 {
		if _, err := zip.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	zip.Close()
	body := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, n)) }
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    error
	}{
		{"the largest", body(fetch.MaxBody), nil},
		{"a byte more", body(fetch.MaxBody + 1), fetch.ErrTooLarge},
		{"an announced length",
			func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "99999999999") }, fetch.ErrTooLarge},
		{"a gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		}, fetch.ErrTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, test.handler)
			if response, err := client(t, fetch.Options{}).Get(t.Context(), s.URL, "*/*", ""); !errors.Is(err, test.want) {
				t.Errorf("%d bytes, error %v; want %v", len(response.Body), err, test.want)
			}
		})
	}
}

func TestTimeIsBounded(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	_, err := client(t, fetch.Options{Timeout: 100 * time.Millisecond}).Get(t.Context(), s.URL, "*/*", "")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client(t, fetch.Options{}).Get(ctx, s.URL, "*/*", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestErrorsDoNotQuoteTheAddress(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := client(t, fetch.Options{}).Get(t.Context(), s.URL+"/?api_key=hunter2", "*/*", "")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}

// The server at the address does not speak HTTP and echoes what it got. The errors of net/http quote it.
func TestErrorsDoNotQuoteWhatIsNotHTTP(t *testing.T) {
	for _, before := range []string{
		"", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n ",
		"HTTP/1.1 200 OK\r\nContent-Length: ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: ",
	} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "%s%s \"%[2]s\"\r\n\r\n", before, r.Header.Get("X-Api-Key"))
		})
		_, err := client(t, fetch.Options{Header: http.Header{"X-Api-Key": {"hunter2"}}}).Get(t.Context(), s.URL, "*/*", "")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %v", before, err)
		}
	}
}

func TestInvalidOptions(t *testing.T) {
	cert, key := issued(t)
	other, _ := issued(t)
	for _, options := range []fetch.Options{
		{CA: []byte("words")}, {CA: key}, {ClientCert: cert}, {ClientKey: key},
		{ClientCert: other, ClientKey: key}, {ServerName: "https://as.example.com"},
	} {
		if _, err := fetch.NewClient(options); err == nil {
			t.Errorf("%+v is accepted", options)
		}
	}
}

func TestFingerprint(t *testing.T) {
	hashingtest.EveryField(t, fetch.Options{}, fetch.Options.Fingerprint)
	one, two := fetch.Options{Pins: [][32]byte{{1}, {2}}}, fetch.Options{Pins: [][32]byte{{2}, {1}}}
	if one.Fingerprint() != two.Fingerprint() {
		t.Error("the order of pins matters")
	}
	if one.Pins[0] != [32]byte{1} || two.Pins[0] != [32]byte{2} {
		t.Error("the pins themselves are sorted")
	}
}
