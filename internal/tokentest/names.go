package tokentest

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is the address of the name server that Names has started, or nil.
var nameServer atomic.Pointer[string]

// resolver asks the name server of Names if there is one, and otherwise those of the system.
var resolver = &net.Resolver{PreferGo: true, Dial: func(
	ctx context.Context, network, address string,
) (net.Conn, error) {
	if server := nameServer.Load(); server != nil {
		network, address = "udp", *server
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}}

// AllowNames lets tests use Names. Call it in TestMain, before anything resolves names.
func AllowNames() { net.DefaultResolver = resolver }

// Names resolves names for the whole process until the test ends, or until Names is called again. resolve gives the
// addresses of a name, which has no dot at its end. It gets one call for each question, so it can change its mind. The
// test must not run in parallel with others that resolve names.
func Names(tb testing.TB, resolve func(name string) []netip.Addr) {
	tb.Helper()
	if net.DefaultResolver != resolver {
		tb.Fatal("TestMain has not called AllowNames")
	}
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := answerTo(buffer[:n], resolve); answer != nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	address := server.LocalAddr().String()
	nameServer.Store(&address)
	tb.Cleanup(func() {
		nameServer.Store(nil)
		server.Close()
		<-done
	})
}

// answerTo answers a question for the addresses of one kind, or returns nil for what is no such question.
func answerTo(question []byte, resolve func(string) []netip.Addr) []byte {
	var asked dnsmessage.Message
	if asked.Unpack(question) != nil || len(asked.Questions) != 1 {
		return nil
	}
	q := asked.Questions[0]
	answer := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: asked.ID, Response: true, RecursionAvailable: true},
		Questions: asked.Questions,
	}
	for _, address := range resolve(strings.TrimSuffix(q.Name.String(), ".")) {
		header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
		switch {
		case q.Type == dnsmessage.TypeA && address.Is4():
			answer.Answers = append(answer.Answers,
				dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
		case q.Type == dnsmessage.TypeAAAA && !address.Is4():
			answer.Answers = append(answer.Answers,
				dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
		}
	}
	packed, err := answer.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// OwnAddress is an address of this machine other than loopback for which is says yes. It skips the test if there is
// none, unless another address is given that will do.
func OwnAddress(tb testing.TB, is func(netip.Addr) bool, otherwise ...netip.Addr) netip.Addr {
	tb.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		tb.Fatal(err)
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && !prefix.Addr().IsLoopback() && is(prefix.Addr()) {
			return prefix.Addr()
		}
	}
	if len(otherwise) > 0 {
		return otherwise[0]
	}
	tb.Skip("this machine has no such address")
	return netip.Addr{}
}
