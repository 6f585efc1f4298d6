package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"slices"
	"strings"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framed sends requests in frames of its protocol.
type framed struct {
	name   string
	scheme string
	host   string
	frames func(a *attempt, body string, head [][2]string, trailers [][][2]string) (status string)
}

// send sends one request, with these fields as they are and then, after a body, those of trailers. It gives the status
// of the answer; empty when the stream or the connection was ended instead.
func (f framed) send(a *attempt, head [][2]string, trailers ...[][2]string) (status string) {
	a.t.Helper()
	return f.frames(a, "a", head, trailers)
}

// sendBody is send with a body, and trailers if there are any.
func (f framed) sendBody(a *attempt, body string, head [][2]string, trailers ...[2]string) (status string) {
	a.t.Helper()
	return f.frames(a, body, head, [][][2]string{trailers})
}

// framers send frames of HTTP/2 and HTTP/3 as they are. A client would correct or refuse some of them.
func framers(s *site, ways []way) []framed {
	all := []framed{{"HTTP/2", "http", "gate.test", (*attempt).framesOfHTTP2}}
	if len(ways) < 3 {
		return all
	}
	h3 := strings.TrimSuffix(strings.TrimPrefix(ways[2].url, "https://"), "/")
	roots := &tls.Config{RootCAs: s.internalRoots(), NextProtos: []string{"h3"}, ServerName: "localhost"}
	address := strings.Replace(h3, "localhost", "127.0.0.1", 1)
	return append(all, framed{"HTTP/3", "https", h3,
		func(a *attempt, body string, head [][2]string, trailers [][][2]string) string {
			return a.framesOfHTTP3(address, roots, body, head, trailers)
		}})
}

// to gives the pseudo-headers of a request, and its other fields.
func (f framed) to(method, path string, fields ...[2]string) [][2]string {
	return append([][2]string{{":method", method}, {":scheme", f.scheme}, {":authority", f.host}, {":path", path}},
		fields...)
}

func (a *attempt) framesOfHTTP2(body string, head [][2]string, trailers [][][2]string) (status string) {
	a.t.Helper()
	conn, err := a.dial(a.t.Context(), "", "")
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline())
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		a.t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: hpacked(head), EndHeaders: true,
		EndStream: len(trailers) == 0})
	for _, t := range trailers {
		for part := range slices.Chunk([]byte(body), 16<<10) { // RFC 9113 section 4.2
			_ = framer.WriteData(1, false, part)
		}
		if len(t) == 0 {
			_ = framer.WriteData(1, true, nil)
		} else {
			_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: hpacked(t), EndHeaders: true,
				EndStream: true})
		}
	}
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return ""
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

func hpacked(fields [][2]string) []byte {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for _, f := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return b.Bytes()
}

// The frames of RFC 9114 section 7.2 that are needed here.
const (
	frameData     = 0
	frameHeaders  = 1
	frameSettings = 4
)

func (a *attempt) framesOfHTTP3(address string, config *tls.Config, body string, head [][2]string,
	trailers [][][2]string) (status string) {
	a.t.Helper()
	ctx, cancel := context.WithDeadline(a.t.Context(), deadline())
	defer cancel()
	conn, err := quic.DialAddr(ctx, address, config, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.CloseWithError(0x100, "") }()
	frame := func(kind uint64, payload []byte) []byte {
		return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
	}
	control, err := conn.OpenUniStream()
	if err != nil {
		a.t.Fatal(err)
	}
	_, _ = control.Write(append([]byte{0}, frame(frameSettings, nil)...)) // RFC 9114 section 6.2.1
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	_ = stream.SetDeadline(deadline())
	_, _ = stream.Write(frame(frameHeaders, qpacked(head)))
	for _, t := range trailers {
		_, _ = stream.Write(frame(frameData, []byte(body)))
		if len(t) > 0 {
			_, _ = stream.Write(frame(frameHeaders, qpacked(t)))
		}
	}
	_ = stream.Close()
	reader := quicvarint.NewReader(stream)
	for {
		kind, err := quicvarint.Read(reader)
		if err != nil {
			return ""
		}
		length, err := quicvarint.Read(reader)
		if err != nil || length > 1<<20 {
			return ""
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(reader, payload); err != nil {
			return ""
		}
		if kind != frameHeaders {
			continue
		}
		next := qpack.NewDecoder().Decode(payload)
		for field, err := next(); err == nil; field, err = next() {
			if field.Name == ":status" {
				return field.Value
			}
		}
	}
}

func qpacked(fields [][2]string) []byte {
	var b bytes.Buffer
	encoder := qpack.NewEncoder(&b)
	for _, f := range fields {
		_ = encoder.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = encoder.Close()
	return b.Bytes()
}
