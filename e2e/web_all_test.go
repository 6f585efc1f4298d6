//go:build e2e && e2eall

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// What is what to the page of another origin. The last two labels of a name make a site, as with a bought domain.
const (
	protected = "https://api.example.test"
	listed    = "https://inspector.test"    // another site, which cors names
	sibling   = "https://app.example.test"  // the same site, another origin, which cors names
	neighbour = "https://blog.example.test" // the same site, another origin, which cors does not name
	stranger  = "https://evil.test"         // another site, which cors does not name
)

const byCookie = `
	token_from cookie access_token
	public /login`

// web is a gateway over TLS that a browser reaches under its names, and pages on other names.
type web struct {
	browser *chromium
	gate    *gate
	key     *tokentest.Key
	issuer  string

	mu     sync.Mutex
	cookie string   // what the login page sets
	seen   []string // method and path of each request at the backend
}

// newWeb runs a gateway with this text inside of bearer_auth { … }.
func newWeb(t *testing.T, directive string, backend http.HandlerFunc) *web {
	t.Helper()
	w := &web{key: tokentest.NewKey(t, "ES256", "e1")}
	w.issuer = tokentest.NewAS(t, tokentest.WithKeys(w.key)).URL
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note(rw, r)
		backend(rw, r)
	}))
	t.Cleanup(upstream.Close)

	names := []string{protected, listed, sibling, neighbour, stranger}
	certificate, key, hash := ownCertificate(t, names)
	w.gate = &gate{log: new(tokentest.Buffer)}
	w.gate.start(t, func(socket string) string {
		return fmt.Sprintf(`
%[1]s {
	bind unix/%[3]s
	tls %[4]s %[5]s
	bearer_auth {
		issuer %[6]s {
			audience %[1]s
		}
		%[7]s
	}
	reverse_proxy %[8]s {
		flush_interval -1
	}
}
%[2]s {
	bind unix/%[3]s
	tls %[4]s %[5]s
	header Content-Type text/html
	respond "<!doctype html><title>a page</title>"
}
`, protected, strings.Join(names[1:], ", "), socket, certificate, key, w.issuer, directive, upstream.Listener.Addr())
	})
	w.browser = startChromium(t, relay(t, w.gate.socket), hash)
	return w
}

// note writes down what the backend sees. On the login page, it adds a cookie that browsers send from everywhere: only
// the gate is left to stop them.
func (w *web) note(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch r.URL.Path {
	case "/favicon.ico": // a browser's own idea
		return
	case "/login":
		http.SetCookie(rw, &http.Cookie{Name: "access_token", Value: w.cookie, Path: "/", Secure: true, HttpOnly: true,
			SameSite: http.SameSiteNoneMode})
	}
	w.seen = append(w.seen, r.Method+" "+r.URL.Path)
}

// ownCertificate writes a certificate for these addresses, and returns the hash of its public key as Chromium wants it.
func ownCertificate(t *testing.T, addresses []string) (certificate, key, hash string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	template := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, address := range addresses {
		template.DNSNames = append(template.DNSNames, strings.TrimPrefix(address, "https://"))
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := issue(template, template, nil, signer, certificate, key); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(parsed.RawSubjectPublicKeyInfo)
	return certificate, key, base64.StdEncoding.EncodeToString(sum[:])
}

// relay listens on a free port, and passes all bytes to a socket and back.
func relay(t *testing.T, socket string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(client, socket)
		}
	}()
	return listener.Addr().String()
}

// pass ends when either side does.
func pass(client net.Conn, socket string) {
	defer client.Close()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// token is good for the protected origin, with a scope and for a time.
func (w *web) token(t *testing.T, scope string, life time.Duration) string {
	t.Helper()
	now := time.Now()
	token := w.key.Sign(t, map[string]any{"iss": w.issuer, "sub": "zoe", "aud": protected, "scope": scope,
		"iat": now.Unix(), "exp": now.Add(life).Unix()})
	w.gate.sent = append(w.gate.sent, token) // it must not be in the log
	return token
}

// signedIn opens a tab that has got a cookie with this token from the login page.
func (w *web) signedIn(t *testing.T, token string) *page {
	t.Helper()
	p := w.browser.open(t)
	w.mu.Lock()
	w.cookie = token
	w.mu.Unlock()
	if status := p.visit(t, protected+"/login"); status != http.StatusOK {
		t.Fatalf("the login page: status %d", status)
	}
	w.reached()
	return p
}

// reached returns what the backend has seen since the last call.
func (w *web) reached() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := strings.Join(w.seen, ", ")
	w.seen = nil
	return seen
}

// fetched is what a page learns of an answer.
type fetched struct {
	Failed    string // fetch itself has failed, as it does when the browser hides the answer
	Status    int
	Challenge string
	Body      string
}

// fetch calls fetch in a page.
func (p *page) fetch(t *testing.T, address string, init map[string]any) (got fetched) {
	t.Helper()
	arguments, err := json.Marshal([]any{address, init})
	if err != nil {
		t.Fatal(err)
	}
	p.run(t, `
		try {
			const answer = await fetch(...`+string(arguments)+`)
			return { status: answer.status, challenge: answer.headers.get("WWW-Authenticate") ?? "hidden",
				body: await answer.text() }
		} catch (e) {
			return { failed: String(e) }
		}`, &got)
	return got
}

// bearing is what fetch needs for a request with a token, if there is one.
func bearing(method, token string) map[string]any {
	headers := map[string]any{"Content-Type": "application/json"} // no simple request, even without a token
	if token != "" {
		headers["Authorization"] = "Bearer " + token
	}
	init := map[string]any{"method": method, "headers": headers}
	if method == http.MethodPost {
		init["body"] = "{}"
	}
	return init
}
