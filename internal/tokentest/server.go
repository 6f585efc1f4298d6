package tokentest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Paths of the endpoints, after the issuer's own path.
const (
	jwksPath       = "/jwks"
	introspectPath = "/introspect"
	userinfoPath   = "/userinfo"
)

// AS is an authorization server on loopback. All methods may be called while it serves.
type AS struct {
	// URL is the issuer identifier: scheme, host, port and the path given with WithPath, without a slash at the end.
	URL string

	tb      testing.TB
	path    string
	useTLS  bool
	address string
	host    string // name in the URL; empty for the address

	mu      sync.Mutex
	server  *httptest.Server // nil while down
	keys    []*Key
	headers http.Header                   // added to the JWKS answer
	jwks    http.HandlerFunc              // instead of the JWKS answer
	meta    func(document map[string]any) // changes the metadata document
	metaAs  http.HandlerFunc              // instead of the metadata answer
	only    string                        // the only well-known suffix served
	answer  func(*IntrospectionRequest) IntrospectionAnswer
	asked   []*IntrospectionRequest
	client  client
	gate    chan struct{} // requests wait until it is closed; nil: they do not wait

	jwksFetches, notModified, metaFetches atomic.Int64
}

// Option is an option of NewAS.
type Option func(*AS)

// WithPath puts the issuer below a path, such as "/realms/demo".
func WithPath(path string) Option { return func(as *AS) { as.path = strings.TrimSuffix(path, "/") } }

// WithTLS makes the server speak https. Its certificate is the one that CA returns.
func WithTLS() Option { return func(as *AS) { as.useTLS = true } }

// WithHost makes the server listen on all addresses of this machine, and be known by a name: see Names.
func WithHost(name string) Option { return func(as *AS) { as.host = name } }

// WithKeys is SetKeys before the server starts.
func WithKeys(keys ...*Key) Option { return func(as *AS) { as.keys = keys } }

// WithClient is SetClient before the server starts.
func WithClient(id, secret string) Option {
	return func(as *AS) { as.client = client{id, secret} }
}

// StartDown makes a server that has an address, but does not listen there until Up.
func StartDown() Option { return func(as *AS) { as.gate = downMark } }

var downMark = make(chan struct{})

// NewAS starts an authorization server. It stops when the test ends.
func NewAS(tb testing.TB, options ...Option) *AS {
	tb.Helper()
	as := &AS{tb: tb, headers: http.Header{}}
	for _, option := range options {
		option(as)
	}
	down := as.gate == downMark
	if down {
		as.gate = nil
	}
	tb.Cleanup(as.Down)
	as.Up()
	scheme := "http://"
	if as.useTLS {
		scheme = "https://"
	}
	as.URL = scheme + as.address + as.path
	if as.host != "" {
		_, port, _ := net.SplitHostPort(as.address)
		as.URL = scheme + net.JoinHostPort(as.host, port) + as.path
	}
	if down {
		as.Down()
	}
	return as
}

// Up starts the server at its former address, if it is down.
func (as *AS) Up() {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.server != nil {
		return
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(as.serve))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // tests make clients fail on purpose
	if address := as.address; address != "" || as.host != "" {
		if address == "" {
			address = ":0"
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			as.tb.Errorf("tokentest: %v", err)
			return
		}
		server.Listener.Close()
		server.Listener = listener
	}
	as.address = server.Listener.Addr().String()
	if as.useTLS {
		server.StartTLS()
	} else {
		server.Start()
	}
	as.server = server
}

// Down stops the server. It cuts connections and refuses new ones.
func (as *AS) Down() {
	as.mu.Lock()
	server := as.server
	as.server = nil
	if as.gate != nil {
		close(as.gate)
		as.gate = nil
	}
	as.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// Certificate is the server's own certificate; nil without WithTLS or while it is down.
func (as *AS) Certificate() *x509.Certificate {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.server == nil {
		return nil
	}
	return as.server.Certificate()
}

// CA is PEM text with the certificate of a server made with WithTLS; nil without it or while it is down.
func (as *AS) CA() []byte {
	cert := as.Certificate()
	if cert == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// JWKSURL is where the keys are.
func (as *AS) JWKSURL() string { return as.URL + jwksPath }

// IntrospectionURL is the introspection endpoint.
func (as *AS) IntrospectionURL() string { return as.URL + introspectPath }

// SetKeys replaces the published keys.
func (as *AS) SetKeys(keys ...*Key) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.keys = keys
}

// SetJWKSHeader sets a field of the JWKS answer, such as Cache-Control; an empty value removes it.
func (as *AS) SetJWKSHeader(name, value string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if value == "" {
		as.headers.Del(name)
		return
	}
	as.headers.Set(name, value)
}

// AnswerJWKS makes the JWKS endpoint give this answer in place of the keys; status 0 ends that.
func (as *AS) AnswerJWKS(status int, body string, header ...string) {
	if status == 0 {
		as.HandleJWKS(nil)
		return
	}
	as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// HandleJWKS makes handler answer the requests for keys; nil ends that.
func (as *AS) HandleJWKS(handler http.HandlerFunc) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.jwks = handler
}

// Stall makes all requests from now on wait until release is called, the server goes down, or the client leaves.
func (as *AS) Stall() (release func()) {
	as.mu.Lock()
	defer as.mu.Unlock()
	gate := make(chan struct{})
	as.gate = gate
	return func() {
		as.mu.Lock()
		defer as.mu.Unlock()
		if as.gate == gate {
			as.gate = nil
			close(gate)
		}
	}
}

// JWKSFetches is how many requests for the keys have arrived.
func (as *AS) JWKSFetches() int { return int(as.jwksFetches.Load()) }

// NotModified is how many of them were answered with 304.
func (as *AS) NotModified() int { return int(as.notModified.Load()) }

// MetadataFetches is how many requests for metadata have arrived.
func (as *AS) MetadataFetches() int { return int(as.metaFetches.Load()) }

func (as *AS) serve(w http.ResponseWriter, r *http.Request) {
	endpoint, known := as.endpoint(r.URL.Path)
	if !known {
		http.NotFound(w, r)
		return
	}
	as.mu.Lock()
	gate := as.gate
	as.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	endpoint(w, r)
}

// endpoint finds what serves a path, and counts the request.
func (as *AS) endpoint(path string) (http.HandlerFunc, bool) {
	switch path {
	case as.path + jwksPath:
		as.jwksFetches.Add(1)
		return as.serveJWKS, true
	case as.path + "/.well-known/openid-configuration":
		as.metaFetches.Add(1)
		return func(w http.ResponseWriter, r *http.Request) { as.serveMetadata(w, r, OIDC) }, true
	case "/.well-known/oauth-authorization-server" + as.path:
		as.metaFetches.Add(1)
		return func(w http.ResponseWriter, r *http.Request) { as.serveMetadata(w, r, OAuth) }, true
	case as.path + introspectPath:
		return as.serveIntrospection, true
	}
	return nil, false
}

func (as *AS) serveJWKS(w http.ResponseWriter, r *http.Request) {
	as.mu.Lock()
	keys, handler, headers := as.keys, as.jwks, as.headers.Clone()
	as.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	body := JWKS(keys...)
	sum := sha256.Sum256([]byte(body))
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("ETag", etag)
	for name, values := range headers {
		w.Header()[name] = values
	}
	if r.Header.Get("If-None-Match") == etag {
		as.notModified.Add(1)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write([]byte(body))
}
