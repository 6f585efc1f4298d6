package ldapusers

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/caddyjwt/gateway/internal/users"
)

var (
	goodBind   = []byte("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00")
	goodPolicy = []byte("\x30\x30\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x22\x30\x20\x04\x19" +
		"1.3.6.1.4.1.42.2.27.8.5.1\x04\x03\x30\x01\x00")
	goodEntry = []byte("\x30\x21\x02\x01\x02\x64\x1c\x04\x05uid=a" +
		"\x30\x13\x30\x11\x04\x03uid\x31\x0a\x04\x01a\x04\x05alice")
	goodDone = []byte("\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\x00\x04\x00\x04\x00")
)

// sends is the end of a connection at which a server sends a text for each request, and then hangs up.
func sends(texts ...[]byte) net.Conn {
	here, there := net.Pipe()
	_ = here.SetDeadline(time.Now().Add(300 * time.Millisecond)) // for half a message
	go func() {
		defer there.Close()
		for _, text := range texts {
			if _, err := ber.ReadPacket(there); err != nil {
				return
			}
			if _, err := there.Write(text); err != nil {
				return
			}
		}
	}()
	return here
}

// The seeds of the fuzz tests reach the end.
func TestAGoodAnswerIsAUser(t *testing.T) {
	s := open(sends(goodBind, append(goodEntry[:len(goodEntry):len(goodEntry)], goodDone...)))
	defer s.close()
	for _, missing := range [][2]string{{"", "secret"}, {"cn=x", ""}} {
		if err := s.bindAs(missing[0], missing[1]); !errors.Is(err, errNoCredentials) {
			t.Error(err)
		}
	}
	if err := s.bindAs("cn=x", "secret"); err != nil {
		t.Fatal(err)
	}
	entry, err := s.search("dc=x", 2, "(uid=x)", []string{"1.1"})
	if err != nil || nameOf(entry) != "a" {
		t.Error(entry, err)
	}
}

// FuzzAServerThatSendsAnything has a session end, without a panic, whatever the server sends.
func FuzzAServerThatSendsAnything(f *testing.F) {
	f.Add(goodBind, append(goodEntry[:len(goodEntry):len(goodEntry)], goodDone...))
	f.Add(goodPolicy, goodDone)
	f.Add([]byte("\x30\x84\xff\xff\xff\xff"), []byte{})
	record := Record{RoleAttribute: "uid", Claims: map[string]string{"x": "uid"}}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := open(sends(first, second))
		defer s.close()
		if err := s.bindAs("cn=x", "secret"); err != nil {
			return
		}
		entry, err := s.search("dc=x", 2, "(uid=x)", []string{"1.1"})
		if (entry == nil) == (err == nil) {
			t.Fatalf("%v, %v", entry, err)
		}
		if err == nil {
			if u, err := record.user(nameOf(entry), entry); err == nil && users.CheckUser(u) != nil {
				t.Fatalf("%+v", u)
			}
		}
	})
}

// FuzzMessages checks that what passes is what the decoder reads, with few elements.
func FuzzMessages(f *testing.F) {
	for _, text := range [][]byte{goodBind, goodPolicy, goodEntry, goodDone} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		here, there := net.Pipe()
		defer here.Close()
		go func() {
			_, _ = there.Write(text)
			_ = there.Close()
		}()
		m := newMessages(here)
		m.want(bindResponse, searchEntry, searchDone, searchReference)
		whole, err := m.next()
		if err != nil {
			return
		}
		packet, err := ber.DecodePacketErr(whole)
		if err != nil {
			t.Skip() // such as an empty integer: the decoder says so itself
		}
		if !bytes.Equal(packet.Bytes(), whole) && len(packet.Bytes()) > len(whole) {
			t.Fatalf("%x is read as %x", whole, packet.Bytes())
		}
		_ = ldap.GetLDAPError(packet)
	})
}

// FuzzNames checks that a name never is more than a value of a DN and of a filter.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"alice", " a ", "#1", "a,b=c", `\`, "*)(a=*", "\x00", "+", "é", `a\ `, `"`, "\\2c"} {
		f.Add(name)
	}
	byDN, err := NewByDN(DNConfig{Server: Server{URL: "ldaps://x"}, UserDN: "uid={user},ou=people,dc=x"})
	if err != nil {
		f.Fatal(err)
	}
	searched, err := NewSearched(SearchConfig{
		Server: Server{URL: "ldaps://x"}, BindDN: "cn=a", BindPassword: func() string { return "" }, BaseDN: "dc=x",
		Filter: "(&(uid={user})(!(title=gone)))",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if users.Acceptable(name, "x") != nil {
			t.Skip()
		}
		text, err := byDN.dn(name)
		if err != nil {
			t.Fatalf("%q cannot be in a DN: %v", name, err)
		}
		dn, err := ldap.ParseDN(text)
		if err != nil || len(dn.RDNs) != 3 || valueOf(dn) != name {
			t.Fatalf("%q: %s", name, text)
		}
		filter, err := ldap.CompileFilter(searched.filter(name))
		if err != nil || len(filter.Children) != 2 || filter.Children[0].Tag != ldap.FilterEqualityMatch ||
			filter.Children[0].Children[1].Data.String() != name {
			t.Fatalf("%q: %s", name, searched.filter(name))
		}
	})
}
