package ldapusers_test

import (
	"io"
	"net"
	"sync"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// fake is a server that answers what a test wants it to. It ends with the test.
type fake struct {
	url      string
	listener net.Listener
	converse func(net.Conn)
	all      sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func listen(t testing.TB, converse func(net.Conn)) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{url: "ldap://" + listener.Addr().String(), listener: listener, converse: converse}
	f.all.Go(f.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		f.mu.Lock()
		for _, conn := range f.conns {
			_ = conn.Close()
		}
		f.mu.Unlock()
		f.all.Wait()
	})
	return f
}

func (f *fake) serve() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, conn)
		f.mu.Unlock()
		f.all.Go(func() {
			defer conn.Close()
			f.converse(conn)
		})
	}
}

// connections is how many there have been.
func (f *fake) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

// request is what a client has sent.
type request struct {
	id        int64
	operation ber.Tag
	dn        string // of a bind
	password  string
	text      []byte // all of it
}

// answering is a server that answers each request with some bytes. No bytes mean that it hangs up.
func answering(answer func(request) []byte) func(net.Conn) {
	return func(conn net.Conn) {
		for {
			packet, err := ber.ReadPacket(conn)
			if err != nil || len(packet.Children) < 2 {
				return
			}
			r := request{id: packet.Children[0].Value.(int64), operation: packet.Children[1].Tag, text: packet.Bytes()}
			if r.operation == ldap.ApplicationBindRequest {
				r.dn = packet.Children[1].Children[1].Data.String()
				r.password = packet.Children[1].Children[2].Data.String()
			}
			text := answer(r)
			if text == nil {
				return
			}
			if _, err := conn.Write(text); err != nil {
				return
			}
		}
	}
}

// silent is a server that reads, and never answers.
func silent(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func message(id int64, parts ...*ber.Packet) []byte {
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	for _, part := range parts {
		m.AppendChild(part)
	}
	return m.Bytes()
}

func text(value string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, value, "")
}

// result is an operation with a result code.
func result(operation ber.Tag, code int) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, operation, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	p.AppendChild(text(""))
	p.AppendChild(text("secret diagnosis"))
	return p
}

func entry(dn string, attributes map[string][]string) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
	p.AppendChild(text(dn))
	list := ber.NewSequence("")
	for name, values := range attributes {
		attribute := ber.NewSequence("")
		attribute.AppendChild(text(name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, value := range values {
			set.AppendChild(text(value))
		}
		attribute.AppendChild(set)
		list.AppendChild(attribute)
	}
	p.AppendChild(list)
	return p
}

// found is the answer to a search that finds entries.
func found(id int64, entries ...*ber.Packet) (answer []byte) {
	for _, e := range entries {
		answer = append(answer, message(id, e)...)
	}
	return append(answer, message(id, result(ldap.ApplicationSearchResultDone, 0))...)
}

// small is a server with alice, and a search account. Binds of alice have a result code, and may have controls.
func small(code int, controls ...*ber.Packet) func(request) []byte {
	return func(r request) []byte {
		switch {
		case r.operation == ldap.ApplicationSearchRequest:
			return found(r.id, entry("uid=alice,"+people, map[string][]string{"uid": {"alice"}}))
		case r.dn == searcher:
			return message(r.id, result(ldap.ApplicationBindResponse, 0))
		}
		return message(r.id, append([]*ber.Packet{result(ldap.ApplicationBindResponse, code)}, controls...)...)
	}
}

// control is a list with one control.
func control(kind, value string) *ber.Packet {
	list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
	one := ber.NewSequence("")
	one.AppendChild(text(kind))
	one.AppendChild(text(value))
	list.AppendChild(one)
	return list
}
