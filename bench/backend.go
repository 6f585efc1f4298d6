package main

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
)

// backendAnswer is what every request gets.
const backendAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"

// backend is what all gateways proxy to. It answers every request, with as little work as possible because it shares a
// processor with the load: it takes anything up to an empty line for a request without a body, which is all that is
// sent here.
type backend struct {
	addr    string
	answers atomic.Int64 // so far: a gateway that answers by itself must not pass for a quick one
}

func startBackend() (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(conn)
		}
	}()
	return b, nil
}

func (b *backend) serve(conn io.ReadWriteCloser) {
	defer conn.Close()
	buf := make([]byte, 64<<10)
	n := 0
	for {
		read, err := conn.Read(buf[n:])
		if err != nil {
			return
		}
		n += read
		for {
			end := bytes.Index(buf[:n], []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			b.answers.Add(1)
			if _, err := io.WriteString(conn, backendAnswer); err != nil {
				return
			}
			n = copy(buf, buf[end+4:n])
		}
		if n == len(buf) {
			return // no end in sight
		}
	}
}
