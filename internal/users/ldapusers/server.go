package ldapusers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

const (
	// DefaultConnectTimeout bounds the time until there is a connection, TLS included.
	DefaultConnectTimeout = 3 * time.Second
	// DefaultTimeout bounds one question from beginning to end.
	DefaultTimeout = 5 * time.Second
	// DefaultConnections is how many connections there are at once.
	DefaultConnections = 16

	maxTimeout     = time.Minute
	maxConnections = 1 << 10
)

// Server says where the server is, and how to talk to it.
type Server struct {
	// URL is ldaps://<host>:<port> or ldap://<host>:<port>. Without a port it is 636 or 389.
	URL string
	// StartTLS begins TLS on a connection of ldap:// before anything else is sent (RFC 4511 section 4.14). A server that
	// cannot do so gets no password.
	StartTLS bool
	// TLS has the settings for ldaps:// and StartTLS. Nil means the authorities of the system. The server's name is the
	// host of the URL unless it is set here.
	TLS *tls.Config
	// Plain says how far passwords may go without TLS.
	Plain fetch.PlainHTTP
	// ConnectTimeout bounds the time until there is a connection, TLS included. 0 means DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// Timeout bounds one Check, Find or Knows from beginning to end. 0 means DefaultTimeout.
	Timeout time.Duration
	// MaxConnections is how many connections there are at once. Who finds none free waits. 0 means DefaultConnections.
	MaxConnections int
}

// server opens connections. Each question has one of its own. So nobody can get a connection that still acts for
// somebody else, and none is idle long enough for a firewall to forget it.
type server struct {
	config  Server
	address string
	tls     *tls.Config // nil for none
	slots   chan struct{}
}

func newServer(c Server) (*server, error) {
	u, err := c.parseURL()
	if err != nil {
		return nil, setting.In("URL", err)
	}
	switch {
	case c.StartTLS && u.Scheme == "ldaps":
		return nil, setting.Errorf("StartTLS", "ldaps:// has TLS from the beginning: write ldap://, or leave out StartTLS")
	case c.TLS != nil && u.Scheme == "ldap" && !c.StartTLS:
		return nil, setting.Errorf("TLS", "there are settings for TLS, but none is used: write ldaps://, or add StartTLS")
	case c.TLS != nil && c.TLS.InsecureSkipVerify:
		return nil, setting.Errorf("TLS", "without a look at the certificate, passwords go to whoever answers: name the "+
			"authority that has issued it")
	case c.ConnectTimeout < 0 || c.ConnectTimeout > maxTimeout:
		return nil, setting.Errorf("ConnectTimeout", "the time for a connection is up to %s", maxTimeout)
	case c.Timeout < 0 || c.Timeout > maxTimeout:
		return nil, setting.Errorf("Timeout", "the time for a question is up to %s", maxTimeout)
	case c.MaxConnections < 0 || c.MaxConnections > maxConnections:
		return nil, setting.Errorf("MaxConnections", "the connections at once are from 1 to %d", maxConnections)
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultConnections
	}
	s := &server{config: c, slots: make(chan struct{}, c.MaxConnections)}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	s.address = net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "ldaps" || c.StartTLS {
		s.tls = secured(c.TLS, u.Hostname())
	}
	return s, nil
}

func secured(c *tls.Config, host string) *tls.Config {
	if c == nil {
		c = new(tls.Config)
	}
	c = c.Clone()
	if c.ServerName == "" {
		c.ServerName = host
	}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

const urlForm = "write ldaps://<host>, or ldap://<host> with StartTLS"

// parseURL takes only a host and a port: what else a URL can have (RFC 4516 section 2) has settings of its own.
func (c *Server) parseURL() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || strings.ContainsAny(c.URL, "{}") {
		return nil, errors.New("the URL cannot be read: " + urlForm)
	}
	switch {
	case u.Scheme != "ldap" && u.Scheme != "ldaps":
		return nil, errors.New("the URL has an unknown scheme: " + urlForm)
	case u.User != nil || u.Opaque != "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery ||
		strings.Contains(c.URL, "#"):
		return nil, errors.New("the URL has more than a host and a port: " + urlForm)
	}
	likeHTTP := url.URL{Scheme: "https", Host: u.Host}
	if u.Scheme == "ldap" && !c.StartTLS {
		likeHTTP.Scheme = "http"
	}
	if _, err := c.Plain.CheckURL(likeHTTP.String()); err != nil {
		if likeHTTP.Scheme == "http" {
			return nil, fmt.Errorf("%w: passwords must not go there without TLS: %s", fetch.ErrAddress, urlForm)
		}
		return nil, err
	}
	return u, nil
}

// mayDial checks the address that a name leads to. Without TLS, a password must not go to any other network.
func (s *server) mayDial(address string) error {
	if s.tls != nil {
		return nil
	}
	if _, err := s.config.Plain.CheckURL("http://" + address); err != nil {
		return fmt.Errorf("%w: passwords must not go to %s without TLS", fetch.ErrAddress, address)
	}
	return nil
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { return s.mayDial(address) }}
	return d.DialContext(ctx, "tcp", s.address)
}

// connect opens a connection that passwords may be sent on.
func (s *server) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.ConnectTimeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil || s.tls == nil {
		return conn, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if s.config.StartTLS {
		if err := startTLS(conn); err != nil {
			_ = conn.Close()
			return nil, whyEnded(ctx, err)
		}
	}
	encrypted := tls.Client(conn, s.tls)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS: %w", whyEnded(ctx, err))
	}
	return encrypted, nil
}

// whyEnded is the error of the context if that has ended: what comes then is only a consequence.
func whyEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// ask opens a session for one question. All trouble is an ErrUnavailable, unless use says otherwise.
func (s *server) ask(ctx context.Context, use func(*session) (*users.User, error)) (user *users.User, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, s.unavailable(fmt.Errorf("no connection is free: %w", ctx.Err()))
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, s.unavailable(err)
	}
	opened := open(conn)
	defer opened.close()
	// A deadline, and not Close: in TLS, that says goodbye first, and waits for it.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer func() {
		if recover() != nil { // what the library makes of an odd answer
			user, err = nil, s.unavailable(errMalformed)
		}
	}()
	user, err = use(opened)
	if err != nil && !errors.Is(err, users.ErrRefused) {
		user, err = nil, s.unavailable(whyEnded(ctx, err))
	}
	return user, err
}

// unavailable says that a server cannot be asked, or that its answer is of no use.
func (s *server) unavailable(err error) error {
	return fmt.Errorf("%w: the LDAP server %s: %w", users.ErrUnavailable, s.address, err)
}
