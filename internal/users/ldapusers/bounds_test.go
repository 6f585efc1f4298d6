package ldapusers_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/caddyjwt/gateway/internal/users"
	"github.com/caddyjwt/gateway/internal/users/ldapusers"
)

// The library alone takes hundreds of megabytes for such an answer.
func TestAttackAnAnswerTakesLittleMemory(t *testing.T) {
	bomb := message(1, nested(900, 200_000))
	f := listen(t, answering(func(request) []byte { return bomb }))
	d := byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: f.url}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fails(t, d, "alice", "secret", users.ErrUnavailable)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d bytes", grown)
	}
}

func TestASlowServerCostsABoundedTime(t *testing.T) {
	d := searched(t, listen(t, silent).url, func(c *ldapusers.SearchConfig) { c.Timeout = short })
	begin := time.Now()
	if err := fails(t, d, "alice", "secret", users.ErrUnavailable); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(begin); took > 20*short {
		t.Error(took)
	}
}

// 20 ask at once, and 18 wait for a connection until they have no time left.
func TestAttackASlowServerHasFewConnections(t *testing.T) {
	connected := make(chan struct{}, 20)
	f := listen(t, func(conn net.Conn) {
		connected <- struct{}{}
		silent(conn)
	})
	d := searched(t, f.url, func(c *ldapusers.SearchConfig) { c.Timeout, c.MaxConnections = time.Minute, 2 })
	held, leave := context.WithCancel(t.Context())
	var waiting, late sync.WaitGroup
	for range 2 {
		waiting.Go(func() { _, _ = d.Check(held, "alice", "secret") })
	}
	for range 2 {
		<-connected
	}
	soon, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	for range 18 {
		late.Go(func() {
			_, err := d.Check(soon, "alice", "secret")
			if !errors.Is(err, users.ErrUnavailable) || !strings.Contains(err.Error(), "no connection is free") {
				t.Error(err)
			}
		})
	}
	late.Wait()
	if n := f.connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	leave()
	waiting.Wait()
}

func TestTheContextEndsACheck(t *testing.T) {
	asked := make(chan struct{}, 1)
	f := listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		asked <- struct{}{}
		silent(conn)
	})
	d := searched(t, f.url, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := d.Check(ctx, "alice", "secret")
	if !errors.Is(err, users.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Who stands between us and the server does not get a password without TLS.
func TestAttackNothingIsSentBeforeTLS(t *testing.T) {
	s := certificate(t, t.TempDir())
	for what, answer := range map[string]func(request) []byte{
		"refused":   func(r request) []byte { return message(r.id, result(ldap.ApplicationExtendedResponse, 2)) },
		"plaintext": func(r request) []byte { return message(r.id, result(ldap.ApplicationExtendedResponse, 0)) },
		"injected": func(r request) []byte {
			return append(message(r.id, result(ldap.ApplicationExtendedResponse, 0)), message(1, result(1, 0))...)
		},
		"another": func(r request) []byte { return message(r.id, result(ldap.ApplicationBindResponse, 0)) },
		"no code": func(r request) []byte {
			return message(r.id, ber.Encode(ber.ClassApplication, ber.TypeConstructed, 24, nil, ""))
		},
		"gone": func(request) []byte { return nil },
	} {
		var mu sync.Mutex
		var sent bytes.Buffer
		f := listen(t, func(conn net.Conn) {
			packet, err := ber.ReadPacket(conn)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			sent.Write(packet.Bytes())
			_, _ = conn.Write(answer(request{id: 1}))
			_ = conn.SetReadDeadline(time.Now().Add(3 * short))
			_, _ = io.Copy(&sent, conn)
		})
		for _, c := range []ldapusers.Server{
			{URL: f.url, StartTLS: true, TLS: s, ConnectTimeout: short},
			{URL: strings.Replace(f.url, "ldap", "ldaps", 1), TLS: s, ConnectTimeout: short},
		} {
			d := byDN(t, ldapusers.DNConfig{Server: c})
			if fails(t, d, "alice", "secret", users.ErrUnavailable) == nil {
				t.Error(what)
			}
		}
		mu.Lock()
		if strings.Contains(sent.String(), "secret") || strings.Contains(sent.String(), "alice") {
			t.Errorf("%s: %q", what, sent.String())
		}
		mu.Unlock()
	}
}

func TestAnEndedContextAsksNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := searched(t, "ldap://127.0.0.1:1", nil)
	if u, err := d.Check(ctx, "alice", "secret a"); u != nil || !errors.Is(err, users.ErrUnavailable) ||
		!errors.Is(err, context.Canceled) {
		t.Error(u, err)
	}
	named := byDN(t, ldapusers.DNConfig{Server: ldapusers.Server{URL: "ldap://[::1]"}})
	if !users.Remote(d, "alice") || !users.Remote(named, "") {
		t.Error("they are local")
	}
}
