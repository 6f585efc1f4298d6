package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func TestCheckURL(t *testing.T) {
	for _, good := range []string{
		"https://as.example.com", "https://as.example.com/a/b?c=d", "https://as.example.com:8443/", "https://10.0.0.1/",
		"https://[2001:db8::1]:443/", "HTTPS://as.example.com/",
		"http://localhost:8080/", "http://LOCALHOST/", "http://127.0.0.1:1/x",
		"http://127.1.2.3/", "http://[::1]:80/",
	} {
		if _, err := fetch.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", " ", "as.example.com", "/jwks", "//as.example.com/jwks",
		"https:", "https://", "https:///jwks", "https:as.example.com",
		"http://as.example.com/", "http://10.0.0.1/", "http://localhost.example.com/",
		"http://127.0.0.1.example.com/", "http://0.0.0.0/",
		"http://2130706433/", "http://[::ffff:8.8.8.8]/", "ftp://as.example.com/",
		"file:///etc/passwd", "data:application/json,{}", "unix:///run/x",
		"https://user@as.example.com/", "https://user:pass@as.example.com/",
		"https://@as.example.com/", "https://as.example.com/#", "https://as.example.com/#f",
		"https://{host}/", "https://as.example.com/{path}", "https://as.example.com:0/",
		"https://as.example.com:65536/", "https://as.example.com:x/",
		"https://as.example.com\n/", "https://as example.com/", "https://:443/", "javascript:alert(1)",
	} {
		if u, err := fetch.CheckURL(bad); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%q: %v, error %v", bad, u, err)
		}
	}
	if _, err := fetch.CheckURL("https://user:hunter2@as.example.com/"); strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error has the password: %v", err)
	}
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

func TestStatusIsNoError(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a page", http.StatusTeapot) })
	response, err := client(t, fetch.Options{}).Get(t.Context(), s.URL, "*/*", "")
	if err != nil || response.Status != http.StatusTeapot || response.Body != nil {
		t.Errorf("%+v, error %v", response, err)
	}
}

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

// The target of a redirect is not asked whether it still has the tag of another document, nor believed that it has.
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
		{"as much as may be", body(fetch.MaxBody), nil},
		{"a byte more", body(fetch.MaxBody + 1), fetch.ErrTooLarge},
		{"a length that is announced",
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

func TestAddressesThatAreNotDialled(t *testing.T) {
	for _, address := range []string{
		"https://169.254.169.254/", "https://169.254.1.1:8443/",
		"https://[fe80::1%25lo]/", "https://[fe80::1]/", "https://[fd00:ec2::254]/",
		"https://100.100.100.200/", "https://168.63.129.16/", "https://192.0.0.192/", "https://0.0.0.0/", "https://[::]/",
		"https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/",
		"https://[::169.254.169.254]/", "https://224.0.0.1/", "https://[ff02::1]/",
		"https://[fd00:ec2::23]/", "https://[fd00:ec2::253]/",
		"https://[64:ff9b:1::a9fe:a9fe]/", "https://[64:ff9b:1:a9fe:a9:fe00::]/",
		"https://[64:ff9b:1:a9:fe:a9fe::]/", "https://[64:ff9b:1:0:a9:fea9:fe00:0]/", "https://[64:ff9b:1::a83f:8110]/",
		"https://[fd20:ce::254]/", "https://[fd00:c1::a9fe:a9fe]/",
		"https://[fd00:100::100:200]/", "https://[fd00:a9fe:a9fe::1]/",
		"https://[fd00:42::42]/",
	} {
		if _, err := client(t, fetch.Options{}).Get(t.Context(), address, "*/*", ""); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	// Neither their neighbours nor what a translator leads to elsewhere are any of these.
	for _, address := range []string{
		"https://[fd00:ec3::254]/", "https://[64:ff9b:1::7f00:1]/", "https://[64:ff9b::7f00:1]/", "https://[::1]:1/",
	} {
		c := client(t, fetch.Options{Timeout: 50 * time.Millisecond})
		if _, err := c.Get(t.Context(), address, "*/*", ""); err == nil || errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	// With the word in the configuration it is dialled, whatever comes of it.
	c := client(t, fetch.Options{AllowLinkLocal: true, Timeout: 50 * time.Millisecond})
	if _, err := c.Get(t.Context(), "https://169.254.169.254/", "*/*", ""); err == nil ||
		errors.Is(err, fetch.ErrAddress) {
		t.Errorf("allowed: %v", err)
	}
}

func TestErrorsDoNotQuoteTheAddress(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := client(t, fetch.Options{}).Get(t.Context(), s.URL+"/?api_key=hunter2", "*/*", "")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}

// What is at the address does not speak HTTP, and sends back what it was sent: the errors of net/http quote it.
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

// issued is a certificate and its key in PEM form.
func issued(tb testing.TB) (cert, key []byte) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		tb.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.TLS.PeerCertificates))
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	pin := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	cert, key := issued(t)
	for _, test := range []struct {
		name    string
		options fetch.Options
		body    string
		ok      bool
	}{
		{"no CA", fetch.Options{}, "", false},
		{"the CA", fetch.Options{CA: ca}, "0", true},
		{"another CA", fetch.Options{CA: cert}, "", false},
		{"another name that the certificate has", fetch.Options{CA: ca, ServerName: "example.com"}, "0", true},
		{"another name", fetch.Options{CA: ca, ServerName: "example.org"}, "", false},
		{"the right pin", fetch.Options{CA: ca, Pins: [][32]byte{{1}, pin}}, "0", true},
		{"a wrong pin", fetch.Options{CA: ca, Pins: [][32]byte{{1}}}, "", false},
		{"a pin in place of a CA", fetch.Options{Pins: [][32]byte{pin}}, "", false},
		{"a client certificate", fetch.Options{CA: ca, ClientCert: cert, ClientKey: key}, "1", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := client(t, test.options)
			for range 2 { // the second time over the same connection or a resumed session
				response, err := c.Get(t.Context(), s.URL, "*/*", "")
				if test.ok != (err == nil) || test.ok && string(response.Body) != test.body {
					t.Errorf("%+v, error %v", response, err)
				}
				c.HTTP().CloseIdleConnections()
			}
		})
	}
	wrong := client(t, fetch.Options{CA: ca, Pins: [][32]byte{{1}}})
	if _, err := wrong.Get(t.Context(), s.URL, "*/*", ""); !errors.Is(err, fetch.ErrPin) {
		t.Errorf("a wrong pin: %v", err)
	}
}

// asking is a server with TLS that asks for a certificate, and what it has been shown.
func asking(tb testing.TB, handler http.HandlerFunc) (s *httptest.Server, ca []byte, shown *atomic.Int64) {
	tb.Helper()
	shown = new(atomic.Int64)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.Add(int64(len(r.TLS.PeerCertificates)))
		handler(w, r)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), shown
}

// The certificate says who we are. It is for the server that was asked, and for no other that this one leads to.
func TestClientCertificatesStayWithTheirOrigin(t *testing.T) {
	other, ca, there := asking(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other") })
	own, _, here := asking(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/around":
			http.Redirect(w, r, "/", http.StatusFound)
		}
	})
	cert, key := issued(t)
	c := client(t, fetch.Options{CA: ca, ClientCert: cert, ClientKey: key})
	for range 2 { // the second time over the connections of the first
		for _, test := range []struct {
			address     string
			here, there int64
		}{{own.URL, 1, 0}, {own.URL + "/around", 2, 0}, {own.URL + "/away", 1, 0}, {other.URL, 0, 1}} {
			here.Store(0)
			there.Store(0)
			_, err := c.Get(t.Context(), test.address, "*/*", "")
			if err != nil || here.Load() != test.here || there.Load() != test.there {
				t.Errorf("%s: shown %d times, to the other %d times; error %v", test.address, here.Load(), there.Load(), err)
			}
		}
	}
	for name, test := range map[string]struct {
		client *http.Client
		want   int64
	}{
		"to all":              {c.HTTP(), 1},
		"at home":             {c.HTTPAt(must(url.Parse(own.URL + "/some/path?a=b"))), 1},
		"at home in capitals": {c.HTTPAt(must(url.Parse(strings.ToUpper(own.URL[:8]) + own.URL[8:]))), 1},
		"elsewhere":           {c.HTTPAt(must(url.Parse(other.URL))), 0},
		"at another port":     {c.HTTPAt(must(url.Parse("https://127.0.0.1"))), 0},
		"nowhere":             {c.HTTPAt(new(url.URL)), 0},
	} {
		here.Store(0)
		response, err := test.client.Get(own.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if here.Load() != test.want {
			t.Errorf("%s: shown %d times", name, here.Load())
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestSameOrigin(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"https://as.example.com/a", "https://as.example.com:443/b?c", true},
		{"https://as.example.com", "https://AS.example.com", true},
		{"http://localhost", "http://localhost:80/", true},
		{"https://[::1]", "https://[::1]:443", true},
		{"https://as.example.com", "https://as.example.com:8443", false},
		{"https://as.example.com", "http://as.example.com", false},
		{"https://as.example.com:80", "http://as.example.com:80", false},
		{"https://as.example.com", "https://www.as.example.com", false},
		{"https://as.example.com", "https://as.example.com.", false},
	} {
		if got := fetch.SameOrigin(must(url.Parse(test.a)), must(url.Parse(test.b))); got != test.want {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}

// A server with TLS cannot send us to a service without, on this machine least of all.
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

func TestOptionsThatCannotBe(t *testing.T) {
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

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{
		"https://as.example.com/", "http://localhost", "http://127.0.0.1:80/#", "https://[::1%25lo]:1/",
		"https://a@b", "http://[::1%25\xff]", "https://[::1%25%3c]", "https://ex%41mple.com/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := fetch.CheckURL(raw)
		if err != nil {
			return
		}
		if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
			t.Errorf("%q is accepted as %v", raw, u)
		}
		if _, err := fetch.CheckURL(u.String()); err != nil {
			t.Errorf("%q is accepted, but not as it is written again: %v", raw, err)
		}
	})
}

func TestCloseLeavesNoConnection(t *testing.T) {
	closed := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "x")
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c := client(t, fetch.Options{})
	for range 2 {
		if _, err := c.Get(t.Context(), s.URL, "*/*", ""); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("the connection is still there")
	}
}

// relay passes bytes on to a server and back, but loses those of connections that come before it is mended: as a router
// does that has forgotten them, or the way to a machine that is no more.
type relay struct {
	net.Listener
	broken   atomic.Bool
	replaced atomic.Bool // there is a connection that came later
}

func newRelay(tb testing.TB, to string) *relay {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &relay{Listener: listener}
	var running sync.WaitGroup
	tb.Cleanup(func() { listener.Close(); running.Wait() })
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				return
			}
			late := r.broken.Load()
			r.replaced.Store(late)
			running.Go(func() { r.pass(near, far, late) })
			running.Go(func() { r.pass(far, near, late) })
		}
	})
	return r
}

func (r *relay) pass(from, to net.Conn, late bool) {
	defer to.Close()
	buffer := make([]byte, 4<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if late || !r.broken.Load() {
			to.Write(buffer[:n])
		}
	}
}

// HTTP/2 gives up a request and keeps its connection. A connection can lead nowhere any more without anybody saying so.
// It must not take all later requests along until the system stops sending again what nobody acknowledges.
func TestAConnectionThatLeadsNowhereIsGivenUp(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	relay := newRelay(t, s.Listener.Addr().String())
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	c := client(t, fetch.Options{CA: ca, Timeout: time.Second / 2})
	get := func() (response *fetch.Response, err error) {
		for range 60 { // a try that fails takes half a second; a busy machine needs more than one
			if response, err = c.Get(t.Context(), "https://"+relay.Addr().String(), "*/*", ""); err == nil {
				break
			}
		}
		return response, err
	}
	if response, err := get(); err != nil || string(response.Body) != "HTTP/2.0" {
		t.Fatalf("%+v, error %v", response, err)
	}
	relay.broken.Store(true)
	if _, err := get(); err != nil || !relay.replaced.Load() {
		t.Errorf("another connection: %v, error %v", relay.replaced.Load(), err)
	}
}

// A question may be given up at the very moment when its client is closed, and HTTP/2 keeps the connection of a
// question that was given up. None of them may stay.
func TestCloseLeavesNoConnectionOfWhatWasGivenUp(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			asked, closed := make(chan string, 1), make(chan struct{})
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				asked <- r.Proto
				<-r.Context().Done()
			}))
			s.EnableHTTP2 = protocol == "HTTP/2.0"
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateClosed {
					close(closed)
				}
			}
			s.StartTLS()
			t.Cleanup(s.Close)
			c := client(t, fetch.Options{CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})})
			ctx, giveUp := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				if _, err := c.Get(ctx, s.URL, "*/*", ""); err == nil {
					t.Error("an answer")
				}
			}()
			if got := <-asked; got != protocol {
				t.Errorf("asked by %s", got)
			}
			giveUp()
			c.Close()
			select {
			case <-closed:
			case <-time.After(10 * time.Second): // a third of what an idle connection is kept
				t.Error("the connection is still there")
			}
			<-done
			if _, err := c.Get(t.Context(), s.URL, "*/*", ""); err == nil {
				t.Error("a closed client has asked again")
			}
		})
	}
}
