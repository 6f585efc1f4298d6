package fetch

import (
	"context"
	"errors"
	"net"
	"sync"
)

// errClosed: the client dials no more.
var errClosed = errors.New("the client is closed")

// connections are all open connections of a client, so that none is left when it is closed. Closing the idle ones is
// not enough: in HTTP/2 a connection is busy for a moment after its last request was given up, and is then kept as long
// as any other.
type connections struct {
	mu     sync.Mutex
	open   map[*connection]struct{}
	closed bool
}

// connection is one of them, until it is closed.
type connection struct {
	net.Conn
	among *connections
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// keep makes a dial function that records what it opens.
func (c *connections) keep(open dial) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if c.ended() {
			return nil, errClosed
		}
		conn, err := open(ctx, network, address)
		if err != nil {
			return nil, err
		}
		kept := &connection{conn, c}
		if !c.add(kept) { // the client was closed in the meantime
			_ = conn.Close()
			return nil, errClosed
		}
		return kept, nil
	}
}

func (c *connections) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// add reports whether the connection may be used.
func (c *connections) add(conn *connection) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.open == nil {
		c.open = make(map[*connection]struct{})
	}
	c.open[conn] = struct{}{}
	return true
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.among.mu.Lock()
	delete(c.among.open, c)
	c.among.mu.Unlock()
	return c.Conn.Close()
}

// close closes them all, and lets no new one begin.
func (c *connections) close() {
	c.mu.Lock()
	open := c.open
	c.open, c.closed = nil, true
	c.mu.Unlock()
	for conn := range open {
		_ = conn.Conn.Close()
	}
}
