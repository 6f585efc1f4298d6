package expiry

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
)

// errEnded is what a handler gets that writes to an ended response.
var errEnded = errors.New("the response has ended: its token is no longer in force")

// WriteHeader notes the kind of the response. An informational answer is not the response yet.
func (p *response) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if informational && !p.ended.Load() || !informational && p.begin(status) {
		p.ResponseWriterWrapper.WriteHeader(status)
	}
}

// Write is needed because a handler may write without calling WriteHeader.
func (p *response) Write(b []byte) (int, error) {
	if !p.begin(http.StatusOK) {
		return 0, errEnded
	}
	return p.ResponseWriterWrapper.Write(b)
}

// FlushError is needed for the same reason. http.ResponseController looks for a method of this name.
func (p *response) FlushError() error {
	if !p.begin(http.StatusOK) {
		return errEnded
	}
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// pieceSize is how much is copied at a time. It bounds what an ended response may still send when the writer below sets
// deadlines of its own.
const pieceSize = 1 << 20

// ReadFrom keeps the short way for files open (sendfile). A response that may end is copied in pieces.
func (p *response) ReadFrom(r io.Reader) (total int64, err error) {
	if !p.begin(http.StatusOK) {
		return 0, errEnded
	}
	all, limited := r.(*io.LimitedReader)
	if !limited {
		all = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	for {
		piece := io.LimitedReader{R: all.R, N: min(all.N, pieceSize)} // not nested: sendfile looks only one level deep
		size := piece.N
		n, err := p.ResponseWriterWrapper.ReadFrom(&piece)
		all.N -= n
		total += n
		switch {
		case err != nil, n < size, all.N <= 0:
			return total, err
		case p.ended.Load():
			return total, errEnded
		}
	}
}

// Hijack hands over the connection, which ends with the token like any other tunnel.
func (p *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(p.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	opened := &tunnel{Conn: conn, response: p}
	p.mu.Lock()
	p.begun.Store(true)
	p.kind, p.tunnel = Upgrade, opened
	ended := p.ended.Load()
	p.mu.Unlock()
	if ended {
		_ = conn.Close()
	}
	p.arm()
	if half, ok := conn.(halfCloser); ok {
		return halfTunnel{opened, half}, buffered, nil
	}
	return opened, buffered, nil
}

// tunnel is a connection that was handed over. It may outlive its handler, so closing it is the end of the response.
type tunnel struct {
	net.Conn
	response *response
}

type halfCloser interface{ CloseWrite() error }

// halfTunnel can also end one direction alone, as a proxy does when the other side has nothing more to send.
type halfTunnel struct {
	*tunnel
	halfCloser
}

// Close closes the connection, and stops the timer.
func (t *tunnel) Close() error {
	t.response.finish()
	return t.Conn.Close()
}

// ReadFrom keeps the short way between connections open (splice).
func (t *tunnel) ReadFrom(r io.Reader) (int64, error) { return io.Copy(t.Conn, r) }

// WriteTo keeps it open in the other direction.
func (t *tunnel) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, t.Conn) }
