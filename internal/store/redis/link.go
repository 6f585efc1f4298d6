package redis

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// pingEvery is when an idle connection is tried.
const pingEvery = 5 * time.Second

// link is the connections to one server. When one of them breaks, or when the server says that it is no longer the
// right one, the link is left: those who use it finish, and the next ones connect anew.
type link struct {
	client   rueidis.Client
	address  string
	network  string
	tls      *tls.Config
	patience time.Duration // for one step of connecting
	leave    func(*link)   // called when a connection breaks

	open context.Context // ends when there may be no further connections
	cut  context.CancelFunc

	mu     sync.Mutex
	guards map[*guard]struct{}

	// Those below belong to the server, and are under its lock.
	users     int
	left      bool
	sentinels bool          // it was found by them
	over      chan struct{} // closed when the server leaves it
}

// credentials are what a server wants to know of its client.
type credentials struct {
	user, password string
	database       int
}

// newLink connects to one address. It ends when the context does. The error is that of rueidis.
func newLink(ctx context.Context, s *settings, address string, c credentials, timeout time.Duration,
	leave func(*link),
) (*link, error) {
	l := &link{
		address: address, network: s.network, tls: s.tls, patience: timeout / 2, leave: leave,
		guards: make(map[*guard]struct{}), over: make(chan struct{}),
	}
	l.open, l.cut = context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, l.cutOff)
	defer stop()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{address},
		Username:    c.user,
		Password:    c.password,
		SelectDB:    c.database,

		ForceSingleClient: true, // sentinels and clusters are for find.go
		DisableRetry:      true, // a write may have happened
		DisableCache:      true,
		AlwaysRESP2:       true, // a small language, which guard understands
		AlwaysPipelining:  true, // so that the end of a context is noticed at once
		PipelineMultiplex: -1,   // one connection
		ClientSetInfo:     []string{},

		DialCtxFn:           l.dial,
		Dialer:              net.Dialer{Timeout: l.patience, KeepAlive: pingEvery},
		ConnWriteTimeout:    timeout,
		RingScaleEachConn:   8,
		ReadBufferEachConn:  32 << 10,
		WriteBufferEachConn: 32 << 10,
	})
	if err != nil {
		l.cutOff()
		if client != nil {
			client.Close()
		}
		return nil, err
	}
	l.client = client
	return l, nil
}

// dial makes a guarded connection. TLS verifies that the certificate is for the host of the address.
func (l *link) dial(ctx context.Context, address string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	defer context.AfterFunc(l.open, cancel)()
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	conn, err := dialer.DialContext(ctx, l.network, address)
	if err != nil {
		return nil, err
	}
	g := &guard{Conn: conn, raw: conn, link: l}
	if !l.keep(g) {
		return nil, net.ErrClosed
	}
	if l.tls != nil {
		secured, err := handshake(ctx, conn, l.tls, address)
		if err != nil {
			_ = g.Close()
			return nil, err
		}
		g.Conn = secured
	}
	return g, nil
}

func handshake(ctx context.Context, conn net.Conn, config *tls.Config, address string) (net.Conn, error) {
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address) // it was dialed, so it is one
	}
	secured := tls.Client(conn, config)
	return secured, secured.HandshakeContext(ctx)
}

// keep notes a new connection, or closes it if there may be no more of them.
func (l *link) keep(g *guard) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open.Err() != nil {
		_ = g.raw.Close()
		return false
	}
	l.guards[g] = struct{}{}
	return true
}

// lost forgets a connection. If the server has ended it, the link is left.
func (l *link) lost(g *guard, byServer bool) {
	l.mu.Lock()
	delete(l.guards, g)
	l.mu.Unlock()
	if byServer {
		l.leave(l)
	}
}

// cutOff closes all connections. Whoever waits for an answer gets an error.
func (l *link) cutOff() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
	for g := range l.guards {
		g.closedHere.Store(true)
		_ = g.raw.Close()
	}
	clear(l.guards)
}

// end closes the client. With the connections closed before, it waits for nobody.
func (l *link) end() {
	l.cutOff()
	l.client.Close()
}
