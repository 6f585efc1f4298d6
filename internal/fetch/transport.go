package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/rotating"
)

// Options are the settings towards one server. The zero value suits a server with a public certificate.
type Options struct {
	// CA is PEM text with the certificates of the authorities to trust, in place of the system's.
	CA []byte
	// ClientCert and ClientKey are PEM text: a certificate with its chain, and its private key. A server that asks for a
	// certificate is shown it: see Get, HTTP and HTTPAt. Set both or neither.
	ClientCert, ClientKey []byte
	// ServerName is the name that the server's certificate must be for. Empty means the host of the URL.
	ServerName string
	// Pins are SHA-256 hashes of SubjectPublicKeyInfos, as in RFC 7469 section 2.4. If there are any, a certificate in the
	// verified chain must have one of these keys, in addition to the usual verification.
	Pins [][sha256.Size]byte
	// Header is sent with every Get. Fields that the client sets itself (Accept, If-None-Match) win.
	Header http.Header
	// Rotating are more fields of that kind, with values that may come from files. They are read again when they change.
	// After an answer with status 401 they are read at once and, if they have changed, sent again.
	Rotating []rotating.Field
	// AllowLinkLocal permits link-local addresses and those of cloud metadata services.
	AllowLinkLocal bool
	// Plain says how far requests without TLS may go. It changes nothing about https.
	Plain PlainHTTP
	// Timeout bounds one Get. Zero means DefaultTimeout.
	Timeout time.Duration
	// Observe is called after each exchange, redirects included. It must be safe for concurrent use. Nil for none.
	Observe func(Exchange) `fingerprint:"-"` // it changes no answer
	// Logger hears of the files of Rotating. It must outlive the client. Nil for none.
	Logger *slog.Logger `fingerprint:"-"` // what it writes changes no answer
}

// ForStrangers returns the options for servers that somebody else has chosen, such as metadata. It leaves out the
// header fields and the client certificate, which are for the configured server. differs reports whether there were
// any.
func (o Options) ForStrangers() (stranger Options, differs bool) {
	differs = len(o.Header) > 0 || len(o.Rotating) > 0 || len(o.ClientCert) > 0
	o.Header, o.Rotating, o.ClientCert, o.ClientKey = nil, nil, nil, nil
	return o, differs
}

// Fingerprint identifies all settings, within this process. Clients whose options have the same fingerprint are
// interchangeable. The order of pins does not count.
func (o Options) Fingerprint() [sha256.Size]byte {
	byBytes := func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) }
	o.Pins = slices.SortedFunc(slices.Values(o.Pins), byBytes)
	return hashing.Fingerprint(o)
}

// transport checks the address of each request, and sends it over the part that may carry it.
type transport struct {
	secure         *http.Transport // https, with the client certificate
	strange        *http.Transport // https to other servers, without the certificate; without one, it is secure
	open           *http.Transport // http without TLS, as far as plain allows it and never through a proxy
	plain          PlainHTTP
	allowLinkLocal bool
	connections    *connections // of all parts
	observe        func(Exchange)
}

func newTransport(o Options) (*transport, error) {
	config, err := TLSConfig(o)
	if err != nil {
		return nil, err
	}
	opened := new(connections)
	t := &transport{
		secure:         secure(o, config, opened),
		open:           unencrypted(o, opened),
		plain:          o.Plain,
		allowLinkLocal: o.AllowLinkLocal,
		connections:    opened,
		observe:        o.Observe,
	}
	t.strange = t.secure
	if len(config.Certificates) > 0 {
		anonymous := config.Clone()
		anonymous.Certificates = nil
		t.strange = secure(o, anonymous, opened)
	}
	return t, nil
}

// secure is a transport for https. Its connections show the configured certificate to any server that asks.
func secure(o Options, config *tls.Config, opened *connections) *http.Transport {
	silence := timeout(o)
	return base(&http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       opened.keep(dialer(allowRemote(o.AllowLinkLocal))),
		TLSClientConfig:   config,
		ForceAttemptHTTP2: true,
		// In HTTP/2 a request that is given up leaves its connection open. If the connection leads nowhere any more, it fails
		// one request after another, until the system gives it up after a quarter of an hour. Only a missing answer to a ping
		// (RFC 9113 section 6.7) distinguishes it from a slow server.
		HTTP2: &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: silence},
	})
}

// unencrypted is a transport for http without TLS. It has no proxy: the proxy would be what is dialled, and nobody
// could check where the request goes from there. It speaks HTTP/1.1 only.
func unencrypted(o Options, opened *connections) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return base(&http.Transport{DialContext: opened.keep(dialer(o.Plain.allow)), Protocols: &protocols})
}

// timeout is how long one Get may last.
func timeout(o Options) time.Duration {
	if o.Timeout <= 0 {
		return DefaultTimeout
	}
	return o.Timeout
}

func base(t *http.Transport) *http.Transport {
	t.TLSHandshakeTimeout = 4 * time.Second
	t.MaxResponseHeaderBytes = maxHeader
	t.MaxIdleConnsPerHost = 64
	t.MaxIdleConns = 64
	t.IdleConnTimeout = 30 * time.Second
	return t
}

// homebound is a transport that shows its client certificate to one origin only.
type homebound struct {
	*transport
	home *url.URL
}

// RoundTrip implements http.RoundTripper.
func (h homebound) RoundTrip(r *http.Request) (*http.Response, error) {
	if SameOrigin(r.URL, h.home) {
		return h.send(r, h.secure)
	}
	return h.send(r, h.strange)
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.send(r, t.secure) }

// send checks the address, and uses the given transport for https.
func (t *transport) send(r *http.Request, secure *http.Transport) (*http.Response, error) {
	if t.observe == nil {
		return t.exchange(r, secure)
	}
	sent := time.Now()
	response, err := t.exchange(r, secure)
	t.observe(exchangeOf(r, response, err, sent))
	return response, err
}

func (t *transport) exchange(r *http.Request, secure *http.Transport) (*http.Response, error) {
	u, err := t.plain.CheckURL(r.URL.String())
	if err == nil && !t.allowLinkLocal {
		// What a proxy dials is invisible here, but an address written out is not.
		if address, parseErr := netip.ParseAddr(u.Hostname()); parseErr == nil && isMetadata(address) {
			err = fmt.Errorf("%w: %s is link-local or a metadata service", ErrAddress, address)
		}
	}
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	if u.Scheme == "http" {
		return t.open.RoundTrip(r)
	}
	return secure.RoundTrip(r)
}

func (t *transport) closeIdle() {
	t.secure.CloseIdleConnections()
	t.strange.CloseIdleConnections()
	t.open.CloseIdleConnections()
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work.
func (t *transport) CloseIdleConnections() { t.closeIdle() }

// dialer checks each address after it is resolved and before it is dialled, so that no name can lead elsewhere.
func dialer(allow func(netip.Addr) error) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout: 3 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %s", ErrAddress, address)
			}
			return allow(target.Addr())
		},
	}
	return d.DialContext
}

func allowRemote(linkLocal bool) func(netip.Addr) error {
	return func(address netip.Addr) error {
		if !linkLocal && isMetadata(address) {
			return fmt.Errorf("%w: %s is link-local or a metadata service", ErrAddress, address)
		}
		return nil
	}
}

// TLSConfig is the TLS settings of the options, also for connections that are not HTTP. An error says which of them
// cannot be used.
func TLSConfig(o Options) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if strings.ContainsAny(o.ServerName, "{}/: ") {
		return nil, fmt.Errorf("server name %q is not a host name", o.ServerName)
	}
	if len(o.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("the CA has no certificate in PEM form")
		}
	}
	if len(o.ClientCert) > 0 || len(o.ClientKey) > 0 {
		pair, err := tls.X509KeyPair(o.ClientCert, o.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("client certificate and key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if pins := slices.Clone(o.Pins); len(pins) > 0 {
		// Unlike VerifyPeerCertificate, this is called for resumed sessions, too.
		config.VerifyConnection = func(state tls.ConnectionState) error { return checkPins(state, pins) }
	}
	return config, nil
}

// checkPins looks for a pinned key in the verified chains. Certificates that the server merely sent along prove
// nothing.
func checkPins(state tls.ConnectionState, pins [][sha256.Size]byte) error {
	for _, chain := range state.VerifiedChains {
		for _, cert := range chain {
			if slices.Contains(pins, sha256.Sum256(cert.RawSubjectPublicKeyInfo)) {
				return nil
			}
		}
	}
	return ErrPin
}
