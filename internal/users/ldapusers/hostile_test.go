package ldapusers_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/ldapusers"
)

const short = 100 * time.Millisecond

func TestResultCodesOfABind(t *testing.T) {
	refused := []int{
		ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultUnwillingToPerform,
		ldap.LDAPResultConstraintViolation, ldap.LDAPResultInappropriateAuthentication,
	}
	for code := 1; code < 300; code++ {
		want := users.ErrUnavailable
		if slices.Contains(refused, code) {
			want = users.ErrRefused
		}
		f := listen(t, answering(small(code)))
		for _, d := range []users.Directory{
			searched(t, f.url, nil), byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: f.url}}),
		} {
			if err := fails(t, d, "alice", "secret", want); err != nil && strings.Contains(err.Error(), "diagnosis") {
				t.Errorf("the text of the server: %v", err)
			}
		}
	}
	err := fails(t, searched(t, listen(t, answering(small(51))).url, nil), "alice", "secret", users.ErrUnavailable)
	if !strings.Contains(err.Error(), `"Busy" (result code 51)`) {
		t.Error(err)
	}
	passes(t, searched(t, listen(t, answering(small(0))).url, nil), "alice", "secret")
}

func TestThePasswordPolicyRefuses(t *testing.T) {
	const behera, expired, change = ldap.ControlTypeBeheraPasswordPolicy, "\x30\x03\x81\x01\x00", "\x30\x03\x81\x01\x02"
	for _, c := range []*ber.Packet{
		control(behera, expired), control(behera, change), control(ldap.ControlTypeVChuPasswordMustChange, "0"),
	} {
		fails(t, searched(t, listen(t, answering(small(0, c))).url, nil), "alice", "secret", users.ErrRefused)
	}
	for _, c := range []*ber.Packet{
		control(behera, "\x30\x05\xa0\x03\x80\x01\x07"), control("1.2.3", "x"), control(behera, "\x30\x00"),
	} {
		passes(t, searched(t, listen(t, answering(small(0, c))).url, nil), "alice", "secret")
	}
	for _, value := range []string{"", "\x30", "\x30\x03\x81\x01\x63", "\x30\x84\xff\xff\xff\xff", "\x30\x80", "x"} {
		d := searched(t, listen(t, answering(small(0, control(behera, value)))).url, nil)
		fails(t, d, "alice", "secret", users.ErrUnavailable)
	}
}

// An unknown user costs the same messages as a known one with another password, and takes a bind with a password, too.
func TestAttackAnUnknownUserCostsAsManyMessages(t *testing.T) {
	var mu sync.Mutex
	var operations []ber.Tag
	var last request
	entries := map[string][]*ber.Packet{
		"alice": {entry("uid=alice,"+people, nil)}, "nobody": nil,
		"twice": {entry("uid=a,"+people, nil), entry("uid=b,"+people, nil)},
		"three": {entry("uid=a,"+people, nil), entry("uid=b,"+people, nil), entry("uid=c,"+people, nil)},
	}
	for _, code := range []int{49, 32, 34, 0} {
		var costs []int
		for name, known := range entries {
			f := listen(t, answering(func(r request) []byte {
				mu.Lock()
				operations, last = append(operations, r.operation), r
				mu.Unlock()
				switch {
				case r.operation == ldap.ApplicationSearchRequest:
					return found(r.id, known...)
				case r.dn == searcher:
					return message(r.id, result(ldap.ApplicationBindResponse, 0))
				case name == "alice":
					return message(r.id, result(ldap.ApplicationBindResponse, 49))
				}
				return message(r.id, result(ldap.ApplicationBindResponse, code))
			}))
			operations = nil
			fails(t, searched(t, f.url, nil), name, "secret", users.ErrRefused)
			if want := []ber.Tag{0, 3, 0}; !slices.Equal(operations, want) || last.password != "secret" {
				t.Errorf("%s: %v", name, operations)
			}
			costs = append(costs, len(last.text))
		}
		if slices.Max(costs)-slices.Min(costs) > 20 {
			t.Errorf("the lengths tell: %v", costs)
		}
	}
}

func TestABusyServerIsAwayForUnknownUsersToo(t *testing.T) {
	f := listen(t, answering(func(r request) []byte {
		switch {
		case r.operation == ldap.ApplicationSearchRequest:
			return found(r.id)
		case r.dn == searcher:
			return message(r.id, result(ldap.ApplicationBindResponse, 0))
		}
		return message(r.id, result(ldap.ApplicationBindResponse, ldap.LDAPResultBusy))
	}))
	fails(t, searched(t, f.url, nil), "nobody", "secret", users.ErrUnavailable)
}

// What a hostile server answers to each request, and whether that costs the whole time.
var hostile = map[string]struct {
	answer func(request) []byte
	slow   bool
	why    string // what the error says
}{
	"hangs up":          {answer: func(request) []byte { return nil }},
	"not LDAP":          {answer: func(request) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }},
	"no message":        {answer: func(request) []byte { return []byte{0x30, 0} }},
	"a number alone":    {answer: func(r request) []byte { return message(r.id) }},
	"half a message":    {slow: true, answer: func(r request) []byte { return message(r.id, result(1, 0))[:9] }},
	"indefinite length": {answer: func(request) []byte { return []byte{0x30, 0x80, 2, 1, 1, 0, 0} }},
	"2 GiB":             {answer: func(request) []byte { return []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 2, 1, 1} }},
	"4 GiB":             {answer: func(request) []byte { return []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 1} }},
	"2^64 bytes": {answer: func(request) []byte {
		return []byte{0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}},
	"more than it says": {answer: func(request) []byte { return []byte{0x30, 5, 2, 1, 1, 0x61, 0x7f} }},
	"a wrong number": {slow: true, answer: func(r request) []byte {
		return message(r.id+1, result(r.operation+1, 0))
	}},
	"a negative number": {slow: true, answer: func(r request) []byte { return message(-r.id, result(r.operation+1, 0)) }},
	"a long number": {answer: func(r request) []byte {
		return append([]byte{0x30, 19, 2, 8, 0, 0, 0, 0, 0, 0, 0, byte(r.id)}, result(r.operation+1, 0).Bytes()...)
	}},
	"another operation": {answer: func(r request) []byte {
		return message(r.id, result(ldap.ApplicationModifyResponse, 0))
	}},
	"a search for a bind": {answer: func(r request) []byte {
		return message(r.id, result(ldap.ApplicationSearchResultDone, 0))
	}},
	"a notice of disconnection": {answer: func(request) []byte {
		return message(0, result(ldap.ApplicationExtendedResponse, 52))
	}},
	"a referral": {answer: func(r request) []byte { return message(r.id, result(r.operation+1, 10)) }},
	"a result without a code": {answer: func(r request) []byte {
		return message(r.id, ber.Encode(ber.ClassApplication, ber.TypeConstructed, r.operation+1, nil, ""))
	}},
	"a real number": {why: "not LDAP", answer: func(r request) []byte { return message(r.id, wrapped(9, "\x03")) }},
	"a large tag":   {why: "not LDAP", answer: func(request) []byte { return []byte{0x30, 6, 2, 1, 1, 0x7f, 0x81, 0} }},
	"many elements": {why: "too much", answer: func(r request) []byte {
		return message(r.id, wrapped(0x30, strings.Repeat("\x04\x00", 9000)))
	}},
	"many levels": {why: "too deeply", answer: func(r request) []byte { return message(r.id, nested(900, 1000)) }},
	"a megabyte": {why: "too much", answer: func(r request) []byte {
		return message(r.id, wrapped(4, strings.Repeat("x", 1<<20)))
	}},
	"large controls": {why: "too much", answer: func(r request) []byte {
		return message(r.id, result(1, 0), control("1", strings.Repeat("x", 5000)))
	}},
	"no controls": {why: "not LDAP", answer: func(r request) []byte { return message(r.id, result(1, 0), text("x")) }},
	"four parts": {why: "not LDAP", answer: func(r request) []byte {
		return message(r.id, result(1, 0), control("1", "x"), text("x"))
	}},
	"more than nothing": {answer: func(request) []byte { return make([]byte, 10) }},
}

// wrapped is an answer to a bind with one element in it.
func wrapped(tag byte, content string) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 1, nil, "")
	length := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	p.Data.Write(append([]byte{tag, 0x84}, append(length, content...)...))
	return p
}

// nested is an element in many others.
func nested(levels, content int) *ber.Packet {
	p := text(strings.Repeat("x", content))
	for range levels {
		outer := ber.NewSequence("")
		outer.AppendChild(p)
		p = outer
	}
	return p
}

func TestAttackAHostileServerLetsNobodyIn(t *testing.T) {
	for what, h := range hostile {
		t.Run(what, func(t *testing.T) {
			f := listen(t, answering(h.answer))
			server := ldapusers.Server{URL: f.url, Timeout: 10 * time.Second}
			if h.slow {
				server.Timeout = short
			}
			for _, d := range []users.Directory{
				byDN(t, ldapusers.DNConfig{Server: server}),
				searched(t, f.url, func(c *ldapusers.SearchConfig) { c.Server = server }),
			} {
				begin := time.Now()
				err := fails(t, d, "alice", "secret", users.ErrUnavailable)
				if !strings.Contains(err.Error(), h.why) {
					t.Error(err)
				}
				if errors.Is(err, context.DeadlineExceeded) != h.slow || time.Since(begin) > 5*time.Second {
					t.Errorf("%v after %s", err, time.Since(begin))
				}
			}
		})
	}
}

// The search account can bind, and only then the server becomes hostile.
func TestAttackAHostileSearchLetsNobodyIn(t *testing.T) {
	endless := bytes.Repeat(message(2, entry("uid=x,"+people, nil)), 2)
	references := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultReference, nil, "")
	references.AppendChild(text("ldap://127.0.0.1:1/"))
	for what, answer := range map[string][]byte{
		"an entry without a DN":   found(2, entry("", nil)),
		"a bind for a search":     message(2, result(ldap.ApplicationBindResponse, 0)),
		"busy":                    message(2, result(ldap.ApplicationSearchResultDone, ldap.LDAPResultBusy)),
		"no base":                 message(2, result(ldap.ApplicationSearchResultDone, 32)),
		"49":                      message(2, result(ldap.ApplicationSearchResultDone, 49)),
		"an entry, then busy":     append(message(2, entry("uid=alice,"+people, nil)), message(2, result(5, 51))...),
		"an entry in pieces":      message(2, ber.Encode(ber.ClassApplication, ber.TypeConstructed, 4, nil, "")),
		"references without end":  bytes.Repeat(message(2, references), 50_000),
		"an entry without an end": append(endless[:len(endless)/2:len(endless)/2], 0x30),
		"a DN that is none":       found(2, entry("x", nil)),
		"two names":               found(2, entry("uid=alice+cn=x,"+people, nil)),
		"a long name":             found(2, entry("uid="+strings.Repeat("x", 257)+","+people, nil)),
		"a name with a line end":  found(2, entry("uid=alice\\0a,"+people, nil)),
	} {
		f := listen(t, answering(func(r request) []byte {
			if r.operation == ldap.ApplicationSearchRequest {
				return answer
			}
			return message(r.id, result(ldap.ApplicationBindResponse, 0))
		}))
		d := searched(t, f.url, func(c *ldapusers.SearchConfig) {
			c.Timeout = time.Minute
			if what == "an entry without an end" {
				c.Timeout = short
			}
		})
		err := fails(t, d, "alice", "secret", users.ErrUnavailable)
		if what == "references without end" && !strings.Contains(err.Error(), "too much") {
			t.Errorf("%s: %v", what, err)
		}
	}
	binary := found(2, entry("uid=alice,"+people, map[string][]string{
		"PHOTO": {"\xff\xd8"}, "mail": {strings.Repeat("x", 5000)},
	}))
	for _, attribute := range []string{"photo", "mail"} {
		f := listen(t, answering(func(r request) []byte {
			if r.operation == ldap.ApplicationSearchRequest {
				return binary
			}
			return message(r.id, result(ldap.ApplicationBindResponse, 0))
		}))
		d := searched(t, f.url, func(c *ldapusers.SearchConfig) { c.Claims = map[string]string{"x": attribute} })
		fails(t, d, "alice", "secret", users.ErrUnavailable)
	}
}
