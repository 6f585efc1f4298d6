package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load sends requests to one gateway over a fixed number of connections, the next one of a connection when the last one
// has been answered (a closed loop).
type load struct {
	conns    []*connection
	requests [][]byte
	once     bool // every request is sent once at most
	want     int  // the status that every answer must have
	next     atomic.Int64
}

// outcome is what one run of a load saw.
type outcome struct {
	requests  int
	elapsed   time.Duration
	latencies []uint32 // sorted, in nanoseconds
	reconnect int      // connections that the gateway closed
}

// newLoad connects.
func newLoad(addr string, conns int, requests [][]byte, once bool, want int) (*load, error) {
	l := &load{requests: requests, once: once, want: want}
	for range conns {
		c, err := dial(addr)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, c)
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		c.conn.Close()
	}
}

// run sends requests for a time, or until there are no more, and at most so many.
func (l *load) run(duration time.Duration, most int) (outcome, error) {
	var wg sync.WaitGroup
	errs := make([]error, len(l.conns))
	var left atomic.Int64
	left.Store(int64(most))
	for _, c := range l.conns {
		c.latencies, c.reconnects = c.latencies[:0], 0
	}
	start := time.Now()
	for i, c := range l.conns {
		wg.Go(func() { errs[i] = l.drive(c, start, duration, &left) })
	}
	wg.Wait()
	out := outcome{elapsed: time.Since(start)}
	for _, c := range l.conns {
		out.latencies = append(out.latencies, c.latencies...)
		out.reconnect += c.reconnects
	}
	slices.Sort(out.latencies)
	out.requests = len(out.latencies)
	return out, errors.Join(errs...)
}

// drive is the loop of one connection.
func (l *load) drive(c *connection, start time.Time, duration time.Duration, left *atomic.Int64) error {
	sent := time.Since(start)
	for sent < duration && left.Add(-1) >= 0 {
		n := l.next.Add(1) - 1
		if l.once && n >= int64(len(l.requests)) {
			return nil
		}
		status, err := c.exchange(l.requests[n%int64(len(l.requests))])
		if err != nil {
			return err
		}
		if status != l.want {
			return fmt.Errorf("status %d instead of %d: this is not the work that was to be measured", status, l.want)
		}
		answered := time.Since(start)
		c.latencies = append(c.latencies, uint32(answered-sent))
		sent = answered
	}
	return nil
}

// connection is a keep-alive connection of HTTP/1.1, with just enough of a client for gateways under test: net/http's
// would need more processor time than the gateway.
type connection struct {
	addr       string
	conn       net.Conn
	buf        []byte
	latencies  []uint32
	reconnects int
}

func dial(addr string) (*connection, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{addr: addr, conn: conn, buf: make([]byte, 16<<10), latencies: make([]uint32, 0, 1<<16)}, nil
}

// exchange sends a request and reads the whole answer. A gateway may close a connection between two requests; the
// request is sent again then, on a new one.
func (c *connection) exchange(request []byte) (status int, err error) {
	status, closing, err := c.try(request)
	if err == nil && !closing {
		return status, nil
	}
	if err != nil && !errors.Is(err, errGone) {
		return 0, err
	}
	c.conn.Close()
	c.reconnects++
	if c.conn, err = net.DialTimeout("tcp", c.addr, 5*time.Second); err != nil {
		return 0, err
	}
	if closing {
		return status, nil
	}
	status, _, err = c.try(request)
	return status, err
}

var errGone = errors.New("the gateway closed the connection")

func (c *connection) try(request []byte) (status int, closing bool, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, false, fmt.Errorf("%w: %w", errGone, err)
	}
	n := 0
	for {
		read, err := c.conn.Read(c.buf[n:])
		if err != nil {
			if n == 0 {
				err = fmt.Errorf("%w: %w", errGone, err)
			}
			return 0, false, err
		}
		n += read
		if end := bytes.Index(c.buf[:n], []byte("\r\n\r\n")); end >= 0 {
			return c.finish(c.buf[:end+2], n-end-4)
		}
		if n == len(c.buf) {
			return 0, false, errors.New("an answer with a head of more than 16 KiB")
		}
	}
}

// finish reads the rest of the body, of which some bytes have come with the head.
func (c *connection) finish(head []byte, have int) (status int, closing bool, err error) {
	status, length, closing, err := parseHead(head)
	if err != nil {
		return 0, false, err
	}
	for have < length {
		n, err := c.conn.Read(c.buf)
		if err != nil {
			return 0, false, err
		}
		have += n
	}
	if have > length {
		return 0, false, fmt.Errorf("an answer %d bytes longer than it says", have-length)
	}
	return status, closing, nil
}

// parseHead reads the head of an answer, up to and with the last header's line end.
func parseHead(head []byte) (status, length int, closing bool, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, false, fmt.Errorf("not an answer of HTTP/1.1: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, false, fmt.Errorf("not a status: %q", line)
	}
	length = -1
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, false, fmt.Errorf("not a length: %q", line)
			}
		case bytes.EqualFold(name, []byte("Connection")):
			closing = bytes.EqualFold(value, []byte("close"))
		}
	}
	if length < 0 {
		return 0, 0, false, fmt.Errorf("an answer without Content-Length, status %d", status)
	}
	return status, length, closing, nil
}
