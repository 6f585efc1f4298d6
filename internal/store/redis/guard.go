package redis

import (
	"fmt"
	"net"
	"sync/atomic"
)

// guard is a connection that gives rueidis nothing with which a server could harm this process. A server that answers
// what nobody has asked would end the process, too: rueidis panics in a goroutine of its own.
type guard struct {
	net.Conn                   // with TLS, if there is TLS
	raw               net.Conn // without
	link              *link
	in, out           scanner
	asked, answered   atomic.Int64
	closedHere, ended atomic.Bool
}

// Read gives what the server has sent, if it is good.
func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	answered, bad := g.in.feed(p[:n])
	if g.answered.Add(int64(answered)) > g.asked.Load() && bad == nil {
		bad = fmt.Errorf("an answer that nobody has asked for")
	}
	if bad != nil {
		n, err = 0, &nonsense{fmt.Errorf("the server has sent %w", bad)}
		_ = g.Conn.Close()
	}
	if err != nil && g.ended.CompareAndSwap(false, true) {
		g.link.lost(g, !g.closedHere.Load())
	}
	return n, err
}

// Write counts what is asked before the server can know of it.
func (g *guard) Write(p []byte) (int, error) {
	asked, err := g.out.feed(p)
	if err != nil {
		return 0, &nonsense{fmt.Errorf("we would have sent %w", err)}
	}
	g.asked.Add(int64(asked))
	return g.Conn.Write(p)
}

// Close ends the connection.
func (g *guard) Close() error {
	g.closedHere.Store(true)
	g.link.lost(g, false)
	return g.Conn.Close()
}
