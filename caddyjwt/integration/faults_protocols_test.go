package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// way is a protocol by which to ask a site.
type way struct {
	name   string
	url    string
	client *http.Client
}

// startEverywhere runs a site that is reached by HTTP/1.1, by HTTP/2 with prior knowledge and by HTTP/3, with the same
// gate.
//
// With the race detector there is neither HTTP/3 nor TLS. Caddy 2.11.9 races with itself there, rarely: its TLS app may
// still be starting when the first certificate or handshake comes, and its reverse proxy reads a body that net/http has
// not done with. What the gate does to requests of HTTP/3 is tested without Caddy, and with the race detector, in
// internal/gate.
func startEverywhere(t *testing.T, gate string) (*site, []way) {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	s := prepare(t)
	s.loadEverywhere(gate)
	return s, s.ways()
}

// loadEverywhere makes Caddy run a site that is reached by all protocols, with the same gate.
func (s *site) loadEverywhere(gate string) {
	s.t.Helper()
	s.secure = s.loadOnAPort(func(port string) string { return s.onPort(port, gate) })
}

// everywhere is the Caddyfile of the site after loadEverywhere, with another gate.
func (s *site) everywhere(gate string) string {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.secure)
	return s.onPort(port, gate)
}

func (s *site) onPort(port, gate string) string {
	if raced {
		return strings.Replace(s.caddyfile(gate), "auto_https off",
			"auto_https off\n\tservers {\n\t\tprotocols h1 h2c\n\t}", 1)
	}
	caddyfile := strings.Replace(s.caddyfile(gate), "auto_https off",
		"auto_https disable_redirects\n\tskip_install_trust\n\tservers {\n\t\tprotocols h1 h2 h2c h3\n\t}", 1)
	return caddyfile +
		fmt.Sprintf("https://localhost:%s {\n\tbind 127.0.0.1\n\ttls internal\n\tlog\n\t%s\n\treverse_proxy %s\n}\n"+
			"https://written.test:%[1]s {\n\tbind 127.0.0.1\n\ttls internal\n\trespond \"number %[4]d\"\n}\n",
			port, gate, s.upstream.addr(), *s.written)
}

// reloadEverywhere makes Caddy run with another gate in the site of loadEverywhere, and waits until each way leads
// there.
func (s *site) reloadEverywhere(gate string, ways ...way) {
	s.t.Helper()
	s.loadFile(s.everywhere(gate))
	s.inForce(ways...)
}

// ways are clients for each protocol, which reach the last configuration.
func (s *site) ways() []way {
	t := s.t
	t.Helper()
	_, port, _ := net.SplitHostPort(s.secure)
	h2c := &http.Transport{DialContext: s.dial, Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(h2c.CloseIdleConnections)
	ways := []way{
		{"HTTP/1.1", "http://gate.test/", s.client},
		{"HTTP/2.0", "http://gate.test/", &http.Client{Transport: h2c, Timeout: 30 * time.Second}},
	}
	if !raced {
		h3 := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: s.internalRoots()}}
		t.Cleanup(func() { _ = h3.Close() })
		ways = append(ways, way{"HTTP/3.0", "https://localhost:" + port + "/",
			&http.Client{Transport: h3, Timeout: 30 * time.Second}})
	}
	s.inForce(ways...)
	return ways
}

// loadOnAPort makes Caddy run with a Caddyfile that uses a free port of 127.0.0.1, and gives the address. Another
// process can take the port before Caddy does, so that it takes several attempts.
func (s *site) loadOnAPort(caddyfile func(port string) string) (address string) {
	s.t.Helper()
	for range 20 {
		address = freeAddress(s.t)
		_, port, _ := net.SplitHostPort(address)
		switch err := s.tryLoad(caddyfile(port)); {
		case err == nil:
			s.inForce()
			return address
		case !strings.Contains(err.Error(), "address already in use"):
			s.t.Fatal(err)
		}
	}
	s.t.Fatal("every port was taken by somebody else")
	return ""
}

// freeAddress is an address of loopback where nobody listens, by TCP or by UDP.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 20 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		packets, err := net.ListenPacket("udp", address)
		_ = listener.Close()
		if err == nil {
			_ = packets.Close()
			return address
		}
	}
	t.Fatal("no port is free for TCP and UDP")
	return ""
}

// internalRoots is Caddy's own authority.
func (s *site) internalRoots() *x509.CertPool {
	s.t.Helper()
	roots := x509.NewCertPool()
	path := filepath.Join(filepath.Dir(s.socket), "pki", "authorities", "local", "root.crt")
	eventually(s.t, "Caddy has an authority of its own", func() bool {
		text, err := os.ReadFile(path)
		return err == nil && roots.AppendCertsFromPEM(text)
	})
	return roots
}

// Good and bad tokens come by all protocols at once, each protocol's over few connections, while other clients give up
// their requests half-way and the authorization server is killed and comes back.
func TestFaultEveryProtocolWithClientsThatLeave(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "fault-protocols")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s, ways := startEverywhere(t, gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	visitors := jwts(t, key, as.URL, http.StatusServiceUnavailable)
	s.fault(visitors, func(c *crowd) {
		crowds := []*crowd{c}
		for _, way := range ways[1:] {
			crowds = append(crowds, gatherAt(t, way.client, way.url, visitors))
		}
		ctx, stop := context.WithCancel(t.Context())
		var rude sync.WaitGroup
		// Connections of their own in HTTP/1.1: Go's client may give one back just when its request is given up, and then
		// close it under the next request, which gets the error of the other (Go 1.26).
		own := &http.Transport{DialContext: s.dial, MaxIdleConnsPerHost: 64}
		defer own.CloseIdleConnections()
		for i, way := range ways {
			if i == 0 {
				way.client = &http.Client{Transport: own}
			}
			for range 4 {
				rude.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						v := visitors[i%len(visitors)]
						patience, cancel := context.WithTimeout(ctx, rand.N(2*time.Millisecond))
						status, _ := ask(patience, way.client, way.url, v.token(), markField, v.mark())
						cancel()
						if status == http.StatusOK && !v.good() {
							t.Errorf("%s: a bad token was accepted: %s", way.name, v.name)
						}
					}
				})
			}
		}
		for _, c := range crowds {
			c.last(200 * time.Millisecond)
		}
		as.Down()
		for _, c := range crowds {
			c.last(100 * time.Millisecond)
		}
		as.Up()
		for _, c := range crowds {
			c.last(100 * time.Millisecond)
		}
		stop()
		rude.Wait()
		for i, c := range crowds[1:] {
			t.Log(ways[i+1].name)
			c.home()
			if transport, ok := ways[i+1].client.Transport.(interface{ CloseIdleConnections() }); ok {
				transport.CloseIdleConnections()
			}
		}
	})
}
