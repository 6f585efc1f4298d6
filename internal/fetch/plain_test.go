package fetch_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Addresses by how far plain http may go. Those at the end of a range have a neighbour in the next list.
var (
	privateHosts = []string{
		"10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.255",
		"fc00::1", "fd00::2", "fdff:ffff::1", "fd00:ec3::254",
	}
	sharedHosts = []string{"100.64.0.1", "100.127.255.254"}
	publicHosts = []string{
		"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.1", "192.167.255.255", "192.169.0.1", "8.8.8.8",
		"100.63.255.255", "100.128.0.1", "198.18.0.1", "192.0.2.1", "203.0.113.7", "2001:db8::1", "2001:4860:4860::8888",
		"fbff::1", "fec0::1",
	}
	forbiddenHosts = []string{
		"0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "240.0.0.1", // this machine, all machines, none
		"169.254.169.254", "169.254.1.1", "fe80::1", // link-local
		"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "fd00:42::42", // metadata
		"64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "::ffff:0:a00:1", "::10.0.0.1", "2002:a00:1::1", // hidden
	}
	// Only as the text of an address: no name leads to them.
	forbiddenTexts = []string{
		"::ffff:10.0.0.1", "::ffff:192.168.1.1", "::ffff:8.8.8.8", "fd00::1%25eth0", "fe80::1%25eth0",
	}
)

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func TestPlainHTTPToWrittenAddresses(t *testing.T) {
	for _, group := range []struct {
		name                     string
		hosts                    []string
		loopback, private, share bool
	}{
		{"this machine", []string{"127.0.0.1", "127.255.255.254", "::1", "localhost", "LOCALHOST"}, true, true, true},
		{"private addresses", privateHosts, false, true, true},
		{"shared addresses", sharedHosts, false, false, true},
		{"public addresses", publicHosts, false, false, false},
		{"addresses that nothing may have", forbiddenHosts, false, false, false},
		{"addresses inside of others, and zones", forbiddenTexts, false, false, false},
		{"names", []string{"keycloak", "as.example.com", "10.0.0.1.example.com", "2130706433", "localhost."},
			false, true, true},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, host := range group.hosts {
				for plain, want := range map[fetch.PlainHTTP]bool{
					fetch.LoopbackHTTP: group.loopback, fetch.PrivateHTTP: group.private, fetch.SharedHTTP: group.share,
				} {
					_, err := plain.CheckURL("http://" + bracketed(host) + ":8080/")
					if (err == nil) != want || err != nil && !errors.Is(err, fetch.ErrAddress) {
						t.Errorf("%s with %d: error %v", host, plain, err)
					}
				}
				if strings.Contains(host, "%") {
					continue
				}
				if _, err := fetch.SharedHTTP.CheckURL("https://" + bracketed(host) + ":8080/"); err != nil {
					t.Errorf("https to %s: %v", host, err)
				}
			}
		})
	}
}

// What else makes a URL unfit stays as it is, whatever plain http may do.
func TestPlainHTTPChangesNothingElse(t *testing.T) {
	for _, address := range []string{
		"http://", "http:keycloak", "http:///x", "http://user:pass@keycloak/", "http://keycloak/#f", "http://{host}/",
		"http://keycloak:0/", "http://key cloak/", "ftp://keycloak/", "file:///etc/passwd",
	} {
		if _, err := fetch.SharedHTTP.CheckURL(address); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A name may lead anywhere. What counts is the address that is dialled.
func TestPlainHTTPByName(t *testing.T) {
	names := make(map[string]netip.Addr)
	named := func(host string) string {
		return strings.NewReplacer(".", "d", ":", "c").Replace("as"+host) + ".example.com"
	}
	for _, host := range slices.Concat(privateHosts, sharedHosts, publicHosts, forbiddenHosts) {
		names[named(host)] = netip.MustParseAddr(host)
	}
	tokentest.Names(t, func(name string) []netip.Addr { return []netip.Addr{names[name]} })
	for _, test := range []struct {
		name   string
		plain  fetch.PlainHTTP
		hosts  []string
		dialed bool
	}{
		{"private", fetch.PrivateHTTP, privateHosts, true},
		{"shared", fetch.PrivateHTTP, sharedHosts, false},
		{"shared, which is allowed", fetch.SharedHTTP, sharedHosts, true},
		{"public", fetch.SharedHTTP, publicHosts, false},
		{"forbidden", fetch.SharedHTTP, forbiddenHosts, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Whether somebody is there does not matter.
			c := client(t, fetch.Options{Plain: test.plain, Timeout: time.Second / 20})
			for _, host := range test.hosts {
				_, err := c.Get(t.Context(), "http://"+named(host)+":9/", "*/*", "")
				if errors.Is(err, fetch.ErrAddress) == test.dialed || err == nil && !test.dialed {
					t.Errorf("%s: %v", host, err)
				}
			}
		})
	}
}

// allow_link_local is for https: a metadata service speaks http, and gives credentials to whoever asks.
func TestPlainHTTPToLinkLocalStaysRefused(t *testing.T) {
	c := client(t, fetch.Options{Plain: fetch.SharedHTTP, AllowLinkLocal: true, Timeout: time.Second / 20})
	for _, host := range []string{"169.254.169.254", "[fd00:ec2::254]", "100.100.100.200"} {
		if _, err := c.Get(t.Context(), "http://"+host+"/", "*/*", ""); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// port serves on all addresses of this machine.
func port(tb testing.TB, handler http.HandlerFunc) string {
	tb.Helper()
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		tb.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	s.Listener = listener
	s.Start()
	tb.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// The server really is at an address of the network. Without the word it is not dialled.
func TestPlainHTTPReachesAPrivateAddress(t *testing.T) {
	own := tokentest.OwnAddress(t, netip.Addr.IsPrivate)
	at := port(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })
	tokentest.Names(t, func(string) []netip.Addr { return []netip.Addr{own} })
	for _, host := range []string{own.String(), "keycloak.example.com"} {
		address := "http://" + net.JoinHostPort(host, at)
		response, err := client(t, fetch.Options{Plain: fetch.PrivateHTTP}).Get(t.Context(), address, "*/*", "")
		if err != nil || string(response.Body) != "HTTP/1.1" {
			t.Errorf("%s: %+v, error %v", host, response, err)
		}
		if _, err := client(t, fetch.Options{}).Get(t.Context(), address, "*/*", ""); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s without the word: %v", host, err)
		}
	}
}

// notPrivate is the rest of the addresses of a machine: those that plain http must not go to.
func notPrivate(a netip.Addr) bool { return !a.IsPrivate() && !a.IsLinkLocalUnicast() }

// A name has a public address and one of this machine. Whichever is tried first, the public one is never dialled.
func TestPlainHTTPNeverUsesAPublicAddressAmongOthers(t *testing.T) {
	var reached atomic.Int64
	at := port(t, func(w http.ResponseWriter, r *http.Request) {
		local := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if !local.IP.IsLoopback() {
			reached.Add(1)
		}
		fmt.Fprint(w, "here")
	})
	public := tokentest.OwnAddress(t, notPrivate)
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, addresses := range [][]netip.Addr{{public, loopback}, {loopback, public}} {
		tokentest.Names(t, func(string) []netip.Addr { return addresses })
		c := client(t, fetch.Options{Plain: fetch.SharedHTTP})
		response, err := c.Get(t.Context(), "http://as.example.com:"+at, "*/*", "")
		if err != nil || string(response.Body) != "here" {
			t.Errorf("%v: %+v, error %v", addresses, response, err)
		}
	}
	if reached.Load() != 0 {
		t.Error("the public address was dialled")
	}
}

// A name server first gives a private address, and then, when it counts, a public one.
func TestPlainHTTPAfterRebinding(t *testing.T) {
	var now atomic.Pointer[netip.Addr]
	set := func(a netip.Addr) { now.Store(&a) }
	tokentest.Names(t, func(string) []netip.Addr { return []netip.Addr{*now.Load()} })
	var asked atomic.Int64
	at := port(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Connection", "close") // the next request needs a connection of its own
	})
	c := client(t, fetch.Options{Plain: fetch.PrivateHTTP})
	set(netip.MustParseAddr("127.0.0.1"))
	if _, err := c.Get(t.Context(), "http://as.example.com:"+at, "*/*", ""); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"203.0.113.7", "169.254.169.254", "64:ff9b::a00:1", "0.0.0.0"} {
		set(netip.MustParseAddr(host))
		if _, err := c.Get(t.Context(), "http://as.example.com:"+at, "*/*", ""); !errors.Is(err, fetch.ErrAddress) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the server was asked %d times", asked.Load())
	}
}

func TestPlainHTTPRedirects(t *testing.T) {
	tokentest.Names(t, func(name string) []netip.Addr {
		switch name {
		case "private.example.com":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		case "metadata.example.com":
			return []netip.Addr{netip.MustParseAddr("169.254.169.254")}
		}
		return []netip.Addr{netip.MustParseAddr("203.0.113.7")}
	})
	var header atomic.Pointer[http.Header]
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		header.Store(&r.Header)
		fmt.Fprint(w, "secure")
	}))
	t.Cleanup(secure.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	at := port(t, func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		fmt.Fprint(w, "plain")
	})
	home := "http://private.example.com:" + at
	for _, test := range []struct {
		name, from, to string
		body           string
		want           error
	}{
		{"to another private name", home, "http://private.example.com:" + at + "/x", "plain", nil},
		{"to TLS", home, secure.URL, "secure", nil},
		{"from TLS to a private name", secure.URL, home, "", fetch.ErrRedirect},
		{"to TLS and back", home, secure.URL + "/?to=" + home, "", fetch.ErrRedirect},
		{"to a public address", home, "http://203.0.113.7/", "", fetch.ErrAddress},
		{"to a public name", home, "http://public.example.com/", "", fetch.ErrAddress},
		{"to a link-local address", home, "http://169.254.169.254/", "", fetch.ErrAddress},
		{"to a link-local name", home, "http://metadata.example.com/", "", fetch.ErrAddress},
		{"to an unspecified address", home, "http://0.0.0.0:" + at, "", fetch.ErrAddress},
		{"to a mapped address", home, "http://[::ffff:10.0.0.1]/", "", fetch.ErrAddress},
		{"to a shared address", home, "http://100.64.0.1/", "", fetch.ErrAddress},
		{"to a file", home, "file:///etc/passwd", "", fetch.ErrRedirect},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := client(t, fetch.Options{
				Plain: fetch.PrivateHTTP, CA: ca, ServerName: "example.com", Header: http.Header{"X-Api-Key": {"secret"}},
			})
			response, err := c.Get(t.Context(), test.from+"/?to="+test.to, "*/*", "")
			if !errors.Is(err, test.want) || err == nil && string(response.Body) != test.body {
				t.Errorf("%+v, error %v; want %q and %v", response, err, test.body, test.want)
			}
		})
	}
	if h := header.Load(); h == nil || h.Get("X-Api-Key") != "" {
		t.Errorf("the other server got %v", h)
	}
}

// With a proxy in the environment, plain http goes to the server itself. The proxy would be what is dialled: nobody
// could say where it sends secrets without TLS.
func TestPlainHTTPUsesNoProxy(t *testing.T) {
	var proxied atomic.Int64
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	tokentest.Names(t, func(name string) []netip.Addr {
		if name == "as.example.com" {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		}
		return []netip.Addr{netip.MustParseAddr("203.0.113.7")}
	})
	at := port(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	c := client(t, fetch.Options{Plain: fetch.SharedHTTP})
	response, err := c.Get(t.Context(), "http://as.example.com:"+at, "*/*", "")
	if err != nil || string(response.Body) != "here" {
		t.Errorf("%+v, error %v", response, err)
	}
	if _, err := c.Get(t.Context(), "http://public.example.com/", "*/*", ""); !errors.Is(err, fetch.ErrAddress) {
		t.Errorf("a public name: %v", err)
	}
	if proxied.Load() != 0 {
		t.Error("the proxy was asked")
	}
}

// A server that takes both on one port gets a connection of its own for each scheme, and no HTTP/2 without TLS.
func TestPlainHTTPSharesNoConnectionWithTLS(t *testing.T) {
	var plainRemotes, secureRemotes atomic.Pointer[string]
	secure := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		secureRemotes.Store(&r.RemoteAddr)
	}))
	t.Cleanup(secure.Close)
	open := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.TLS != nil || r.Proto != "HTTP/1.1" || r.Header.Get("Upgrade") != "" {
			t.Errorf("%s, %v", r.Proto, r.Header)
		}
		plainRemotes.Store(&r.RemoteAddr)
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	c := client(t, fetch.Options{Plain: fetch.SharedHTTP, CA: ca})
	for range 3 {
		for _, address := range []string{open.URL, secure.URL} {
			if _, err := c.Get(t.Context(), address, "*/*", ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if *plainRemotes.Load() == *secureRemotes.Load() {
		t.Error("one connection for both")
	}
	// What listens for plain http is not asked by TLS, and the reverse, although the connections are there.
	if _, err := c.Get(t.Context(), strings.Replace(open.URL, "http:", "https:", 1), "*/*", ""); err == nil {
		t.Error("https over the connection of http")
	}
	response, err := c.Get(t.Context(), strings.Replace(secure.URL, "https:", "http:", 1), "*/*", "")
	if err != nil || response.Status != http.StatusBadRequest { // net/http says that it speaks TLS
		t.Errorf("http over the connection of https: %+v, error %v", response, err)
	}
}

// The error says what was refused, where, and what helps.
func TestPlainHTTPErrors(t *testing.T) {
	tokentest.Names(t, func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("203.0.113.7")} })
	for _, test := range []struct {
		name, address string
		plain         fetch.PlainHTTP
		want          []string
	}{
		{"without the word", "http://keycloak:8080/", fetch.LoopbackHTTP,
			[]string{"keycloak:8080", "this machine only", "use https", "allow_http", "read secrets", "replace keys"}},
		{"a public address", "http://8.8.8.8/", fetch.PrivateHTTP, []string{"8.8.8.8", "not a private address", "use https"}},
		{"a shared address", "http://100.64.0.1/", fetch.PrivateHTTP, []string{"100.64.0.1", "allow_http shared"}},
		{"a name with a public address", "http://as.example.com/", fetch.PrivateHTTP,
			[]string{"203.0.113.7", "not a private address", "use https"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client(t, fetch.Options{Plain: test.plain}).Get(t.Context(), test.address, "*/*", "")
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing: %v", want, err)
				}
			}
		})
	}
}
