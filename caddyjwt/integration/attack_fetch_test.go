package integration

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Metadata, or an operator by mistake, names an address of another scheme, and the fetcher reads a local file, or takes
// the keys out of the address itself: CVE-2026-48522. Only https is fetched, and http on this machine.
func TestAttackFetchOtherSchemes(t *testing.T) {
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	set := tokentest.JWKS(mallory)
	url, connections := trap(t)
	elsewhere := tokentest.NewAS(t, tokentest.WithKeys(mallory))
	s := prepare(t)
	for name, address := range map[string]string{
		"a file":                 "file://" + writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), set),
		"a file of the system":   "file:///etc/passwd",
		"data":                   "data:application/json;base64," + base64.StdEncoding.EncodeToString([]byte(set)),
		"ftp":                    strings.Replace(url, "http:", "ftp:", 1) + "/jwks",
		"gopher":                 strings.Replace(url, "http:", "gopher:", 1) + "/_GET",
		"a socket":               "unix:///run/as.sock",
		"http elsewhere":         "http://192.0.2.1/jwks",
		"no scheme":              strings.TrimPrefix(elsewhere.JWKSURL(), "http:"),
		"with a password":        strings.Replace(elsewhere.JWKSURL(), "http://", "http://user:password@", 1),
		"with a fragment":        elsewhere.JWKSURL() + "#x",
		"a name like this one's": "http://127.0.0.1.example.com/jwks",
	} {
		s.attack(t, "jwks_uri: "+name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t)
			as.ChangeMetadata(func(document map[string]any) { document["jwks_uri"] = address })
			a.restart(gateFor(issuerByDiscovery(as)))
			a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
			a.logSays("address not allowed")
		})
		s.attack(t, "introspection_endpoint: "+name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t)
			as.ChangeMetadata(func(document map[string]any) { document["introspection_endpoint"] = address })
			a.restart(gateFor(issuerWithKeys(as.URL, "discovery", "introspect opaque {", "auth_method none", "}")))
			a.ourFaultFor(a.send("opaque"), http.StatusBadGateway, "introspection_failed", false)
			a.logSays("the metadata names no such endpoint")
		})
		s.refusedAtLoad(t, "keys jwks: "+name, "address not allowed", func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("https://as.example.com", "jwks "+address))))
		})
	}
	// Metadata that came over https leads to a service of this machine that has no TLS.
	s.attack(t, "http on this machine, named by metadata over https", func(t *testing.T, a *attempt) {
		as := tokentest.NewAS(t, tokentest.WithTLS())
		as.ChangeMetadata(func(document map[string]any) { document["jwks_uri"] = elsewhere.JWKSURL() })
		a.restart(gateFor(issuerByDiscovery(as, tlsBlock(t, as))))
		a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
		a.logSays("address not allowed")
	})
	if n := connections.Load() + int64(elsewhere.JWKSFetches()); n != 0 {
		t.Errorf("%d connections to an address that must not be used", n)
	}
}

// redirecting answers everything with a redirect.
func redirecting(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(status)
	}
}

// The server of the keys redirects the fetcher to where only the gate can go, a metadata service of the cloud for
// example, or to a server without TLS: CVE-2026-102267, CVE-2026-49478. Few redirects are followed, each checked like
// the first address and to the same scheme.
func TestAttackFetchRedirect(t *testing.T) {
	long(t)
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	url, connections := trap(t)
	plain := tokentest.NewAS(t, tokentest.WithKeys(mallory))
	s := prepare(t)
	for name, location := range map[string]string{
		"a metadata service":              "http://169.254.169.254/latest/meta-data/",
		"a metadata service over https":   "https://169.254.169.254/latest/meta-data/",
		"the same as IPv6":                "https://[::ffff:169.254.169.254]/",
		"the same behind NAT64":           "https://[64:ff9b::a9fe:a9fe]/",
		"a metadata service of Azure's":   "https://168.63.129.16/",
		"a link-local address":            "https://[fe80::1]/",
		"this machine by no name":         "https://0.0.0.0/",
		"a server without TLS":            plain.JWKSURL(),
		"a trap without TLS":              url,
		"http elsewhere":                  "http://192.0.2.1/jwks",
		"a file":                          "file:///etc/passwd",
		"data":                            "data:application/json," + tokentest.JWKS(mallory),
		"nowhere":                         "",
		"an address that cannot be read":  "https://[::1",
		"a server whose URL has password": strings.Replace(plain.JWKSURL(), "http://", "https://user:password@", 1),
	} {
		for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
			s.attack(t, fmt.Sprintf("keys: %d to %s", status, name), func(t *testing.T, a *attempt) {
				as := tokentest.NewAS(t, tokentest.WithTLS())
				as.HandleJWKS(redirecting(status, location))
				a.restart(gateFor(issuerByDiscovery(as, tlsBlock(t, as))))
				a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
				a.logSays("not followed", "address not allowed", "failed to parse Location")
			})
			s.attack(t, fmt.Sprintf("metadata: %d to %s", status, name), func(t *testing.T, a *attempt) {
				as := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithKeys(mallory))
				as.HandleMetadata(redirecting(status, location))
				a.restart(gateFor(issuerByDiscovery(as, tlsBlock(t, as))))
				a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
				a.logSays("not followed", "address not allowed", "failed to parse Location")
			})
		}
	}
	if n := connections.Load() + int64(plain.JWKSFetches()); n != 0 {
		t.Errorf("%d connections to an address that must not be used", n)
	}
	s.attack(t, "twenty hops", func(t *testing.T, a *attempt) {
		key := tokentest.NewKey(t, "ES256", "twenty")
		as := tokentest.NewAS(t)
		var hops atomic.Int64
		as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
			if hops.Add(1) == 20 {
				_, _ = io.WriteString(w, tokentest.JWKS(key))
				return
			}
			http.Redirect(w, r, as.JWKSURL(), http.StatusFound)
		})
		a.restart(gateFor(issuerByDiscovery(as)))
		a.ourFaultFor(a.send(key.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
		if n := hops.Load(); n > 4 {
			t.Errorf("%d hops", n)
		}
	})
}

// A server that is asked with credentials sends the asker to another one, and the credentials go along: CVE-2024-45336,
// CVE-2025-4673, CVE-2023-45289. Whoever asks with credentials follows nobody, and a header field for the server of the
// keys goes to that server only.
func TestAttackFetchCredentialsAlongARedirect(t *testing.T) {
	var reached atomic.Int64
	var leaked atomic.Pointer[http.Header]
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		header := r.Header.Clone()
		leaked.Store(&header)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true,"sub":"mallory","aud":"`+audience+`"}`)
	}))
	t.Cleanup(other.Close)
	s := prepare(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, lines := range map[string][]string{
			"client_secret_basic": {"client_id gateway", "client_secret s3cr3t", "auth_method client_secret_basic"},
			"client_secret_post":  {"client_id gateway", "client_secret s3cr3t", "auth_method client_secret_post"},
			"bearer":              {"bearer_token our-own-token", "auth_method bearer"},
			"userinfo":            {"verify userinfo"},
		} {
			s.attack(t, fmt.Sprintf("%s: %d", name, status), func(t *testing.T, a *attempt) {
				as := tokentest.NewAS(t)
				from := httptest.NewServer(redirecting(status, other.URL+"/introspect"))
				defer from.Close()
				a.restart(gateFor("issuer " + as.URL + " {\naudience any\nkeys none\nintrospect opaque {\ntimeout 30s\nendpoint " +
					from.URL + "\n" +
					strings.Join(lines, "\n") + "\n}\n}"))
				a.ourFaultFor(a.send("opaque"), http.StatusBadGateway, "introspection_failed", false)
			})
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d redirects with credentials were followed", n)
	}
	s.attack(t, "a header field for the server of the keys", func(t *testing.T, a *attempt) {
		key := tokentest.NewKey(t, "ES256", "header")
		as, to := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t)
		to.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
			header := r.Header.Clone()
			leaked.Store(&header)
			_, _ = io.WriteString(w, tokentest.JWKS(key))
		})
		var own atomic.Pointer[http.Header]
		as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
			header := r.Header.Clone()
			own.Store(&header)
			http.Redirect(w, r, to.JWKSURL(), http.StatusFound)
		})
		a.restart(gateFor(issuerByJWKS(as, "request_header X-Api-Key k3y", "request_header Authorization t0ken")))
		token := key.Sign(t, issuedBy(as.URL))
		eventually(t, "the keys are there", func() bool { status, _ := a.status(token); return status == http.StatusOK })
		a.drain()
		a.passed(a.send(token))
		if h := *own.Load(); h.Get("X-Api-Key") != "k3y" {
			t.Errorf("the server itself got %v", h)
		}
		if h := *leaked.Load(); h.Get("X-Api-Key") != "" || h.Get("Authorization") != "" {
			t.Errorf("the other server got %v", h)
		}
	})
}

// A server answers a byte at a time, or never, and everything that waits for it piles up (slowloris, the other way
// round). A fetch has one deadline, requests wait for less, and tokens whose key is known do not wait.
func TestAttackFetchSlowServer(t *testing.T) {
	long(t)
	key, next := tokentest.NewKey(t, "ES256", "slow"), tokentest.NewKey(t, "ES256", "slow-next")
	drip := func(write func(text string) error, gone <-chan struct{}) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if write("x") != nil {
					return
				}
			case <-gone:
				return
			}
		}
	}
	s := prepare(t)
	for name, slow := range map[string]func(t *testing.T, as *tokentest.AS){
		"no answer": func(_ *testing.T, as *tokentest.AS) { as.Stall() },
		"a body, byte by byte": func(_ *testing.T, as *tokentest.AS) {
			as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, `{"keys":[],"x":"`)
				drip(func(text string) error {
					_, err := io.WriteString(w, text)
					if err == nil {
						err = http.NewResponseController(w).Flush()
					}
					return err
				}, r.Context().Done())
			})
		},
		"a header, byte by byte": func(t *testing.T, as *tokentest.AS) {
			as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Slow: ")
				drip(func(text string) error { _, err := io.WriteString(conn, text); return err }, t.Context().Done())
			})
		},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			a.restart(gateFor(issuerByJWKS(as)))
			a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
			slow(t, as)
			var waited sync.WaitGroup
			var over atomic.Bool
			statuses := make([]int, 16)
			for i := range statuses {
				token := next.Sign(t, issuedBy(as.URL, "jti", strconv.Itoa(i)))
				waited.Go(func() { statuses[i], _ = a.status(token) })
			}
			go func() { waited.Wait(); over.Store(true) }()
			a.until(&over, func(i int) {
				token := key.Sign(t, issuedBy(as.URL, "jti", "known-"+strconv.Itoa(i)))
				a.passed(a.send(token))
			})
			for _, status := range statuses {
				if status != http.StatusServiceUnavailable {
					t.Errorf("status %d for a key that may or may not exist", status)
				}
			}
		})
	}
}

// What answers in place of the server is a login page, an error page or a script, and the fetcher takes it for a set
// without keys, or finds keys in it. Whatever is no key set is a failed fetch: the keys stay, and the log says why.
func TestAttackFetchAnswerThatIsNoKeySet(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "fetched"), tokentest.NewKey(t, "ES256", "mallory")
	set := tokentest.JWKS(mallory)
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write(make([]byte, 4<<20))
	_ = zip.Close()
	s := prepare(t)
	for name, wrong := range map[string]struct {
		status     int
		kind, body string
	}{
		"a login page":                  {200, "text/html", "<html><form action=/login></form></html>"},
		"a login page called JSON":      {200, "application/json", "<!doctype html><title>Sign in</title>"},
		"a page with a set in it":       {200, "text/html", "<html><script>" + set + "</script></html>"},
		"a script":                      {200, "application/javascript", "callback(" + set + ");"},
		"a guard against scripts":       {200, "application/json", ")]}',\n" + set},
		"two byte order marks":          {200, "application/json", "\xef\xbb\xbf\xef\xbb\xbf" + set},
		"UTF-16":                        {200, "application/json", "\xff\xfe{\x00}\x00"},
		"nothing":                       {200, "application/json", ""},
		"blanks":                        {200, "application/json", " \n"},
		"null":                          {200, "application/json", "null"},
		"a list of keys":                {200, "application/json", "[" + asJSON(t, mallory.JWK()) + "]"},
		"a text":                        {200, "application/json", strconv.Quote(set)},
		"an error as JSON":              {200, "application/json", `{"error":"temporarily_unavailable"}`},
		"keys are null":                 {200, "application/json", `{"keys":null}`},
		"keys are an object":            {200, "application/json", `{"keys":{"0":` + asJSON(t, mallory.JWK()) + `}}`},
		"keys twice":                    {200, "application/json", `{"keys":[],"keys":[` + asJSON(t, mallory.JWK()) + `]}`},
		"a set and more":                {200, "application/json", set + set},
		"half a set":                    {200, "application/json", set[:len(set)/2]},
		"a set, but not found":          {404, "application/json", set},
		"a set, but an error":           {500, "application/json", set},
		"a set, but only a part":        {206, "application/json", set},
		"a set, but not the server's":   {203, "application/json", set},
		"no content":                    {204, "application/json", ""},
		"not modified, but never asked": {304, "application/json", ""},
		"compressed twice over":         {200, "application/json", zipped.String()},
		"too long":                      {200, "application/json", `{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			a.restart(gateFor(issuerByJWKS(as)))
			as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, tokentest.JWKS(key)) // without ETag
			})
			a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
			as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", wrong.kind)
				if wrong.body == zipped.String() {
					w.Header().Set("Content-Encoding", "gzip")
				}
				w.WriteHeader(wrong.status)
				_, _ = io.WriteString(w, wrong.body)
			})
			a.ourFaultFor(a.send(mallory.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
			a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
			eventually(t, "the log names the source and the cause", func() bool {
				return a.logged("refreshing keys is failing", as.JWKSURL(), `"error":"key set `)
			})
		})
	}
}

// authority is a certificate authority.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func (ca *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.certificate.Raw}))
}

// issue makes a certificate for a server on this machine, with a change.
func (ca *authority) issue(t testing.TB, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, ca.certificate.Raw}, PrivateKey: key}
}

// Somebody between the gate and the authorization server has a certificate, but not a good one; a client that does not
// look (CVE-2022-31105, CVE-2025-66001) takes its keys, and shows it tokens and credentials. Certificates are always
// verified, and there is no word that ends that.
func TestAttackFetchFromAServerThatIsNotProven(t *testing.T) {
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	ca, other := newAuthority(t, "authority"), newAuthority(t, "authority")
	file := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), ca.pem())
	selfSigned := newAuthority(t, "127.0.0.1")
	leaf := ca.issue(t, nil)
	leafCert, err := x509.ParseCertificate(leaf.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	notCA := &authority{leafCert, leaf.PrivateKey.(*ecdsa.PrivateKey)}
	s := prepare(t)
	for name, server := range map[string]struct {
		certificate tls.Certificate
		good        bool
		newest      uint16
	}{
		"control: a good one": {ca.issue(t, nil), true, 0},
		"expired": {ca.issue(t, func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		}), false, 0},
		"not yet valid": {ca.issue(t, func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Minute)
		}), false, 0},
		"for another address": {ca.issue(t, func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)}
		}), false, 0},
		"for another name": {ca.issue(t, func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"as.example.com"}
		}), false, 0},
		"a common name only": {ca.issue(t, func(c *x509.Certificate) { c.IPAddresses = nil }), false, 0},
		"for clients": {ca.issue(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), false, 0},
		"of another authority": {other.issue(t, nil), false, 0},
		"self-signed": {tls.Certificate{Certificate: [][]byte{selfSigned.certificate.Raw},
			PrivateKey: selfSigned.key}, false, 0},
		"issued by no authority": {notCA.issue(t, nil), false, 0},
		"an old protocol":        {ca.issue(t, nil), false, tls.VersionTLS11},
	} {
		var requests atomic.Int64
		handler := http.NewServeMux()
		handler.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			_, _ = io.WriteString(w, tokentest.JWKS(mallory))
		})
		handler.HandleFunc("/introspect", func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"active":true,"sub":"mallory","aud":"`+audience+`"}`)
		})
		between := httptest.NewUnstartedServer(handler)
		between.Config.ErrorLog = log.New(io.Discard, "", 0)
		between.TLS = &tls.Config{Certificates: []tls.Certificate{server.certificate}, MinVersion: tls.VersionTLS10,
			MaxVersion: server.newest}
		between.StartTLS()
		t.Cleanup(between.Close)
		const issuer = "https://as.example.com"
		proven := "tls {\nca " + file + "\n}"
		check := func(t *testing.T, a *attempt, token, reason string) {
			got := a.send(token)
			if server.good {
				a.passed(got)
				return
			}
			a.ourFaultFor(got, http.StatusServiceUnavailable, reason, true)
			if n := requests.Load(); n != 0 {
				t.Errorf("%d requests to a server that is not proven", n)
			}
		}
		s.attack(t, "keys: "+name, func(t *testing.T, a *attempt) {
			a.restart(gateFor(issuerWithKeys(issuer, "jwks "+between.URL+"/jwks", proven)))
			check(t, a, mallory.Sign(t, issuedBy(issuer)), "keys_unavailable")
		})
		s.attack(t, "introspection: "+name, func(t *testing.T, a *attempt) {
			a.restart(gateFor(issuerWithKeys(issuer, "none", proven, "introspect opaque {",
				"endpoint "+between.URL+"/introspect",
				"client_id gateway", "client_secret s3cr3t", "}")))
			check(t, a, "opaque", "introspection_unavailable")
		})
	}
	for _, word := range []string{"insecure", "insecure_skip_verify", "skip_verify", "verify off"} {
		s.refusedAtLoad(t, "the word "+word, strings.Fields(word)[0], func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("https://as.example.com", "discovery", "tls {", word, "}"))))
		})
	}
}

// Tokens with made-up key ids make the gate fetch the keys for each of them, and so attack the authorization server for
// the attacker, or use up what may be fetched: CVE-2026-48524 and its incomplete fix CVE-2026-101917. There are a few
// fetches at once and some in a minute for a source, and everybody else is refused at once.
func TestAttackFetchUnknownKeyStorm(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "storm")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as)))
	s.attack(t, "thousands of made-up key ids", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		before, began := as.JWKSFetches(), time.Now()
		payload := issuedBy(as.URL)
		var clients sync.WaitGroup
		var wrong atomic.Int64
		for client := range 16 {
			clients.Go(func() {
				for i := range 100 {
					bogus := key.Sign(t, payload, map[string]any{"kid": fmt.Sprintf("storm-%d-%d", client, i)})
					if status, err := a.status(bogus); err != nil || !unknownKeyStatus(status) {
						wrong.Add(1)
					}
				}
			})
		}
		clients.Wait()
		if n := wrong.Load(); n != 0 {
			t.Errorf("%d of 1600 were not refused", n)
		}
		// Three and one at once, and then one in ten and one in five seconds.
		took := time.Since(began)
		if n, most := as.JWKSFetches()-before, 3+1+int(took/(10*time.Second))+int(took/(5*time.Second)); n > most {
			t.Errorf("%d fetches, want at most %d", n, most)
		}
		if n := len(a.upstream.take()); n != 0 {
			t.Errorf("%d requests reached the upstream", n)
		}
		a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
	})
}

// The same storm while the server of the keys takes its time: each request waits, and tokens that are good wait behind
// them (the same CVEs). There is one fetch, whose waiters are bounded in number and time, and known keys wait for none.
// That no more than 1024 wait is TestWaitingIsBounded in internal/keyset, where the clock can be held.
func TestAttackFetchUnknownKeyStormAtASlowServer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "slow-storm")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as)))
	s.attack(t, "hundreds wait for one fetch", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		before, began := as.JWKSFetches(), time.Now()
		as.Stall()
		payload := issuedBy(as.URL)
		var clients sync.WaitGroup
		var over atomic.Bool
		var passed atomic.Int64
		for i := range 300 {
			bogus := key.Sign(t, payload, map[string]any{"kid": "slow-storm-" + strconv.Itoa(i)})
			clients.Go(func() {
				if status, err := a.status(bogus); err != nil || status < 400 {
					passed.Add(1)
				}
			})
		}
		go func() { clients.Wait(); over.Store(true) }()
		a.until(&over, func(i int) { a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", strconv.Itoa(i))))) })
		if n := passed.Load(); n != 0 {
			t.Errorf("%d of 300 were not refused", n)
		}
		// A fetch ends after five seconds at the latest.
		if n, most := as.JWKSFetches()-before, 1+int(time.Since(began)/(5*time.Second)); n > most {
			t.Errorf("%d fetches, want at most %d", n, most)
		}
	})
}

// A server that is broken for a moment answers with a set without keys; a client that believes it refuses everybody,
// and one that keeps keys for ever accepts what was withdrawn. The last good set stays, and a smaller good one takes
// its place.
func TestAttackFetchEmptySetDeletesKeys(t *testing.T) {
	first, second := tokentest.NewKey(t, "ES256", "first"), tokentest.NewKey(t, "ES256", "second")
	third := tokentest.NewKey(t, "ES256", "third")
	s := prepare(t)
	for name, body := range map[string]string{
		"no keys":                `{"keys":[]}`,
		"keys that are unusable": tokentest.JWKSOf(tokentest.NewKey(t, "HS256", "first").JWK()),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithKeys(first, second))
			a.restart(gateFor(issuerByJWKS(as)))
			kept, withdrawn := first.Sign(t, issuedBy(as.URL)), second.Sign(t, issuedBy(as.URL))
			for range 3 { // remembered, too
				a.passed(a.send(kept))
				a.passed(a.send(withdrawn))
			}
			as.AnswerJWKS(http.StatusOK, body)
			a.ourFaultFor(a.send(third.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
			a.passed(a.send(withdrawn))
			a.passed(a.send(second.Sign(t, issuedBy(as.URL, "jti", "2"))))
			as.SetKeys(first)
			as.AnswerJWKS(0, "")
			eventually(t, "the smaller set is in force", func() bool {
				status, err := a.status(withdrawn)
				return err == nil && status == http.StatusUnauthorized
			})
			a.drain()
			a.refusedFor(a.send(withdrawn), "unknown_key")
			a.refusedFor(a.send(second.Sign(t, issuedBy(as.URL, "jti", "3"))), "unknown_key")
			a.passed(a.send(kept))
		})
	}
}

// Whoever keeps the gate from fetching keeps a key in use that was withdrawn, for as long as he likes. Keys have a
// greatest age, which cannot be turned off, and an unknown key is not called the token's fault meanwhile. That nothing
// passes once that age is reached, and that it does again when the server is back, is TestKeysLastUntilTheyAreTooOld in
// internal/keyset, where the clock can be moved: the age is a minute at least.
func TestAttackFetchKeptFromNewKeysForEver(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "stale"), tokentest.NewKey(t, "ES256", "stale-next")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as, "max_stale 1m")))
	s.attack(t, "the server cannot be reached any more", func(t *testing.T, a *attempt) {
		token := key.Sign(t, issuedBy(as.URL))
		began := time.Now()
		a.passed(a.send(token))
		as.SetKeys(next)
		as.Down()
		for i := range 3 {
			a.ourFault(a.send(next.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable)
			for _, known := range []string{token, key.Sign(t, issuedBy(as.URL, "jti", strconv.Itoa(i)))} {
				if got := a.send(known); time.Since(began) < time.Minute {
					a.passed(got)
				}
			}
		}
		as.Up()
		eventually(t, "the new key is in force when the server is back", func() bool {
			status, err := a.status(next.Sign(t, issuedBy(as.URL)))
			return err == nil && status == http.StatusOK
		})
		a.drain()
		a.refusedFor(a.send(token), "unknown_key")
	})
	for _, age := range []string{"-1s", "off", "never", "1s"} {
		s.refusedAtLoad(t, "max_stale "+age, "max_stale", func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor(issuerByJWKS(as, "max_stale "+age))))
		})
	}
}

// A gate that has just started gets a thousand requests at once, and each of them fetches the keys. They share one
// fetch.
func TestAttackFetchThousandFirstRequests(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "thousand")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
			_, _ = io.WriteString(w, tokentest.JWKS(key))
		case <-r.Context().Done():
		}
	})
	s := start(t, gateFor(issuerByDiscovery(as)))
	s.attack(t, "a thousand at once", func(t *testing.T, a *attempt) {
		tokens := make([]string, 1000)
		for i := range tokens {
			tokens[i] = key.Sign(t, issuedBy(as.URL, "jti", strconv.Itoa(i)))
		}
		began := time.Now()
		outcomes := a.together(len(tokens), func(i int) string { return tokens[i] }, func() {
			<-arrived
			close(release)
		})
		// Nobody waits for more than two seconds, which may be too little when the machine is busy.
		answered := outcomes["200"]
		if time.Since(began) > 2*time.Second && answered > 0 {
			answered += outcomes["503"]
		}
		if answered != 1000 {
			t.Errorf("%v, want 1000 times 200", outcomes)
		}
		if keys, metadata := as.JWKSFetches(), as.MetadataFetches(); keys != 1 || metadata != 1 {
			t.Errorf("%d fetches of the keys and %d of the metadata", keys, metadata)
		}
	})
}

// The fetch runs on the request that needed it first, so that a client who hangs up ends it for all that wait. It runs
// on its own.
func TestAttackFetchFirstClientHangsUp(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "hangs-up")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	arrived, release, left := make(chan struct{}, 8), make(chan struct{}), make(chan struct{}, 8)
	as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
			_, _ = io.WriteString(w, tokentest.JWKS(key))
		case <-r.Context().Done():
			left <- struct{}{}
		}
	})
	s := start(t, gateFor(issuerByJWKS(as)))
	s.attack(t, "during the fetch", func(t *testing.T, a *attempt) {
		conn, err := a.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer %s\r\n\r\n",
			key.Sign(t, issuedBy(as.URL)))
		<-arrived
		_ = conn.Close()
		eventually(t, "the gate has noticed that the client has gone", func() bool {
			return strings.Contains(a.since(), `"status":499`)
		})
		close(release)
		a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
		if n := as.JWKSFetches(); n != 1 || len(left) != 0 {
			t.Errorf("%d fetches, %d of them broken off", n, len(left))
		}
	})
}

// A set with a key that the parser does not expect brings down the goroutine that refreshes, and with it the process:
// CVE-2025-64527. Nothing that a server sends stops the gate, and the good keys beside the bad one stay in use.
func TestAttackFetchMalformedSetInTheBackground(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "background"), tokentest.NewKey(t, "ES256", "background-next")
	rsaKey := tokentest.NewKey(t, "RS256", "r1")
	with := func(of *tokentest.Key, member string, value any) string {
		jwk := of.WithKID("bad").JWK()
		if jwk[member] = value; value == nil {
			delete(jwk, member)
		}
		return asJSON(t, jwk)
	}
	s := prepare(t)
	for name, bad := range map[string]string{
		"a key that is null":              `null`,
		"a key that is a list":            `[[]]`,
		"a key that is a number":          `1e999`,
		"an empty key":                    `{}`,
		"kty is null":                     with(key, "kty", nil),
		"kty is a list":                   with(key, "kty", []string{"EC"}),
		"kid is a number":                 with(key, "kid", 7),
		"a coordinate is missing":         with(key, "y", nil),
		"a coordinate is empty":           with(key, "x", ""),
		"a coordinate is too long":        with(key, "x", strings.Repeat("A", 4096)),
		"a point off the curve":           with(key, "x", strings.Repeat("A", 43)),
		"a curve of another key's":        with(key, "crv", "P-521"),
		"a modulus of nothing":            with(rsaKey, "n", ""),
		"a modulus of one":                with(rsaKey, "n", "AQ"),
		"an exponent of nothing":          with(rsaKey, "e", ""),
		"an exponent of zero":             with(rsaKey, "e", "AA"),
		"an exponent without end":         with(rsaKey, "e", strings.Repeat("_", 10000)),
		"an Edwards point of one byte":    `{"kty":"OKP","crv":"Ed25519","kid":"bad","x":"AA"}`,
		"certificates that are none":      with(rsaKey, "x5c", []any{"AAAA", nil, 7}),
		"certificates that are an object": with(rsaKey, "x5c", map[string]any{}),
		"key_ops that are a number":       with(key, "key_ops", 7),
		"use that is an object":           with(key, "use", map[string]any{"sig": true}),
		"an odd algorithm":                with(key, "alg", "\x00"),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			a.restart(gateFor(issuerByJWKS(as)))
			a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
			as.AnswerJWKS(http.StatusOK, `{"keys":[`+bad+`,`+asJSON(t, key.JWK())+`,`+asJSON(t, next.JWK())+`]}`)
			a.passed(a.send(next.Sign(t, issuedBy(as.URL))))
			a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
		})
	}
	s.attack(t, "objects without end", func(t *testing.T, a *attempt) {
		as := tokentest.NewAS(t, tokentest.WithKeys(key))
		a.restart(gateFor(issuerByJWKS(as)))
		a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		as.AnswerJWKS(http.StatusOK, `{"keys":[`+strings.Repeat(`{"x":`, 100_000)+`1`+strings.Repeat(`}`, 100_000)+`]}`)
		a.ourFaultFor(a.send(next.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable", true)
		a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
	})
}

// Two routes fetch the same key set, one with strict rules and one with lax ones, and what the lax one has let in opens
// the strict one, since they share what was fetched. Keys are shared, rules are not, and neither is what one route
// trusts to bring keys.
func TestAttackFetchSharedSetWithOtherRules(t *testing.T) {
	rsaKey, ecKey := tokentest.NewKey(t, "RS256", "r1"), tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithKeys(rsaKey, ecKey))
	proven := tlsBlock(t, as)
	gate := func(path, issuer, audience string, lines ...string) string {
		return strings.Replace(gateFor("issuer "+issuer+" {\naudience "+audience+"\nkeys jwks "+as.JWKSURL()+"\n"+
			strings.Join(lines, "\n")+"\n}"), "bearer_auth", "bearer_auth "+path, 1)
	}
	const issuer = "https://as.example.com"
	s := start(t, strings.Join([]string{
		gate("/lax", issuer, audience, proven),
		gate("/algorithm", issuer, audience, proven, "algorithms ES256"),
		gate("/type", issuer, audience, proven, "type at+jwt"),
		gate("/profile", issuer, audience, proven, "profile rfc9068"),
		gate("/lifetime", issuer, audience, proven, "max_lifetime 1m"),
		gate("/audience", issuer, "https://other.example.com", proven),
		gate("/issuer", "https://other.example.com", audience, proven),
		gate("/pinned", issuer, audience,
			strings.Replace(proven, "\n}", "\npin "+base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))+"\n}", 1)),
		gate("/unproven", issuer, audience),
	}, "\n"))
	token := rsaKey.Sign(t, issuedBy(issuer))
	for range 2 { // the second time with everything remembered
		for path, reason := range map[string]string{
			"/algorithm": "unsupported_algorithm", "/type": "invalid_type", "/profile": "invalid_type",
			"/lifetime": "lifetime_too_long",
			"/audience": "invalid_audience", "/issuer": "unknown_issuer", "/pinned": "", "/unproven": "",
		} {
			s.attack(t, path, func(t *testing.T, a *attempt) {
				for range 3 {
					a.passed(a.get("/lax", token))
				}
				a.secret(token)
				got := a.get(path, token)
				if reason == "" {
					a.ourFault(got, http.StatusServiceUnavailable)
					return
				}
				a.refusedFor(got, reason)
			})
		}
	}
}

// proxied is set, to the file of a certificate authority, in the process that TestAttackFetchThroughAProxy starts.
const proxied = "TEST_ATTACK_FETCH_PROXY_CA"

// Requests to authorization servers go through a proxy of the environment, which logs what it sees, or is somebody's:
// the tokens and the credentials in them are theirs then. A proxy sees the name of the server, as all else is inside of
// TLS, and requests on this machine never get there. Go reads these settings once for a process, so this is one of its
// own.
func TestAttackFetchThroughAProxy(t *testing.T) {
	if os.Getenv(proxied) != "" {
		throughAProxy(t)
		return
	}
	attacks.tried.Add(1)
	ca := newAuthority(t, "authority")
	handler := http.NewServeMux()
	handler.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, tokentest.JWKS(tokentest.NewKey(t, "ES256", "published")))
	})
	handler.HandleFunc("/introspect", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true,"sub":"alice","aud":"`+audience+`"}`)
	})
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = nil, []string{"as.example.com"}
	})}}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := newConnectProxy(t, server.Listener.Addr().String())
	command := testProcess(t, "^TestAttackFetchThroughAProxy$",
		proxied+"="+writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), ca.pem()), "HTTPS_PROXY="+proxy.url,
		"HTTP_PROXY="+proxy.url,
		"https_proxy=", "http_proxy=", "NO_PROXY=", "no_proxy=")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	text := proxy.seen()
	if n := strings.Count(text, "CONNECT as.example.com:443 "); n < 2 {
		t.Errorf("%d connections for keys and introspection went through the proxy", n)
	}
	for _, line := range []string{"CONNECT 127.", "CONNECT localhost", "GET ", "POST "} {
		if strings.Contains(text, line) {
			t.Errorf("the proxy has seen %q", line)
		}
	}
	for _, secret := range []string{
		"opaque-token-of-a-user", "s3cr3t-of-the-gateway", "Authorization", "k3y-for-the-keys",
		base64.StdEncoding.EncodeToString([]byte("gateway:s3cr3t-of-the-gateway")), "token=",
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the proxy has seen %q", secret)
		}
	}
	if !t.Failed() {
		attacks.refused.Add(1)
	}
}

// testProcess is one test of this binary in a process of its own, with more environment.
func testProcess(t *testing.T, run string, env ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), binary, "-test.run="+run, "-test.count=1", "-test.timeout=2m")
	command.Env = append(os.Environ(), env...)
	return command
}

// throughAProxy runs in the process that has a proxy in its environment.
func throughAProxy(t *testing.T) {
	local := tokentest.NewAS(t)
	local.Introspect(always(tokentest.IntrospectionAnswer{Claims: map[string]any{"active": true, "sub": "bob",
		"aud": audience}}))
	credentials := []string{"client_id gateway", "client_secret s3cr3t-of-the-gateway", "auth_method client_secret_basic"}
	s := start(t, gateFor(
		issuerWithKeys("https://as.example.com", "jwks https://as.example.com/jwks", append(append([]string{
			"tls {", "ca " + os.Getenv(proxied), "}", "request_header X-Api-Key k3y-for-the-keys",
			"introspect opaque {", "endpoint https://as.example.com/introspect",
		}, credentials...), "}")...),
		issuerWithKeys(local.URL, "discovery",
			append(append([]string{"introspect opaque {", "prefix local_"}, credentials...), "}")...),
	))
	s.accepts("opaque-token-of-a-user")
	s.accepts("local_opaque-token-of-a-user")
	// That the key is not in the set can be told only with the set at hand.
	s.refused(s.get("/", tokentest.NewKey(t, "ES256", "unpublished").Sign(t, issuedBy("https://as.example.com"))),
		http.StatusUnauthorized, "unknown_key")
}

// connectProxy is an HTTP proxy that keeps all that goes through it.
type connectProxy struct {
	url  string
	mu   sync.Mutex
	text bytes.Buffer
}

// newConnectProxy starts a proxy that leads to a server, whatever it is asked for.
func newConnectProxy(t *testing.T, server string) *connectProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &connectProxy{url: "http://" + listener.Addr().String()}
	var tunnels sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); tunnels.Wait() })
	tunnels.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tunnels.Go(func() { proxy.serve(conn, server) })
		}
	})
	return proxy
}

// Write implements io.Writer for what is to be kept.
func (p *connectProxy) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *connectProxy) seen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func (p *connectProxy) serve(conn net.Conn, server string) {
	defer conn.Close()
	reader := bufio.NewReader(io.TeeReader(conn, p))
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		_, _ = io.WriteString(conn, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	to, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(io.MultiWriter(conn, p), to); _ = conn.Close() })
	_, _ = io.Copy(to, reader)
	_ = to.Close()
	back.Wait()
}

// Somebody who may write where the key file is, or a program that is replacing it, puts something else in its place: a
// link to a device that never ends, a pipe that nobody writes, a part of a file. Only a regular file that is whole is
// taken, and the keys that were there stay; a link to another good file is a change as any other.
func TestAttackFetchKeyFileSwapped(t *testing.T) {
	long(t)
	key, mallory, next := tokentest.NewKey(t, "ES256", "file"), tokentest.NewKey(t, "ES256", "mallory"),
		tokentest.NewKey(t, "ES256", "file-next")
	dir := t.TempDir()
	set := tokentest.JWKS(mallory)
	swaps := map[string]func(path string) error{
		"a link to a device without end": func(path string) error { return os.Symlink("/dev/zero", path) },
		"a link to itself":               func(path string) error { return os.Symlink(path, path) },
		"a link to nothing":              func(path string) error { return os.Symlink(path+".gone", path) },
		"a pipe that nobody writes":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":                    func(path string) error { return os.Mkdir(path, 0o700) },
		"nothing":                        func(string) error { return nil },
		"an empty file":                  func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"half a file": func(path string) error {
			return os.WriteFile(path, []byte(set[:len(set)/2]), 0o600)
		},
		"a file without end": func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat(set, 1<<20/len(set)+1)), 0o600)
		},
		"a set without keys": func(path string) error { return os.WriteFile(path, []byte(`{"keys":[]}`), 0o600) },
	}
	var blocks []string
	paths := make(map[string]string)
	issuer := func(name string) string { return "https://" + strings.ReplaceAll(name, " ", "-") + ".example.com" }
	for name := range swaps {
		paths[name] = writeFile(t, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".json"), tokentest.JWKS(key))
		blocks = append(blocks, issuerWithKeys(issuer(name), "file "+paths[name]))
	}
	s := start(t, gateFor(blocks...))
	for name, swap := range swaps {
		s.passed(s.get("/", key.Sign(t, issuedBy(issuer(name)))))
		if err := os.Remove(paths[name]); err != nil {
			t.Fatal(err)
		}
		if err := swap(paths[name]); err != nil {
			t.Fatal(err)
		}
	}
	for name := range swaps {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			eventually(t, "it is noticed", func() bool { return a.logged("refreshing keys is failing", paths[name]) })
			a.passed(a.send(key.Sign(t, issuedBy(issuer(name), "jti", "2"))))
			a.refusedFor(a.send(mallory.Sign(t, issuedBy(issuer(name)))), "unknown_key")
		})
	}
	for name := range swaps {
		other := writeFile(t, paths[name]+".next", tokentest.JWKS(next))
		if err := os.RemoveAll(paths[name]); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(other, paths[name]); err != nil {
			t.Fatal(err)
		}
	}
	for name := range swaps {
		s.attack(t, "control: a link to a good file in place of "+name, func(t *testing.T, a *attempt) {
			token := next.Sign(t, issuedBy(issuer(name)))
			eventually(t, "the new key is in force", func() bool {
				status, err := a.status(token)
				return err == nil && status == http.StatusOK
			})
			a.drain()
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer(name), "jti", "3"))), "unknown_key")
		})
	}
}

// Each reload of the configuration leaves behind what fetched for the one before, until there are no connections or no
// memory left; all the more when the server hangs just then. What a configuration no longer needs ends with it.
// TestReloadHundredTimesUnderTraffic is about reloads that change nothing.
func TestAttackFetchReloadsLeakNothing(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "leak")
	as, stalled := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t, tokentest.WithKeys(key))
	as.Introspect(always(active("aud", audience)))
	gate := func(i int) string { // other settings each time, and so other sources and clients
		ask := []string{"introspect opaque {", "auth_method none", "param n " + strconv.Itoa(i), "prefix p", "}"}
		return gateFor("realm r"+strconv.Itoa(i), issuerByDiscovery(as, append(ask, "max_stale "+strconv.Itoa(i+1)+"h")...),
			issuerByDiscovery(stalled, "max_stale "+strconv.Itoa(i+1)+"h"))
	}
	s := start(t, gate(0)).patient()
	s.attack(t, "a hundred reloads with other settings", func(t *testing.T, a *attempt) {
		token := key.Sign(t, issuedBy(as.URL))
		a.passed(a.send(token))
		before := a.goroutines()
		stalled.Stall()
		var waiting sync.WaitGroup
		for i := range 100 {
			a.load(gate(i + 1))
			a.passed(a.get("/", token))
			a.passed(a.get("/", "p-opaque"))
			lost := key.Sign(t, issuedBy(stalled.URL, "jti", strconv.Itoa(i)))
			waiting.Go(func() { // a fetch that is under way when the next configuration comes
				if status, err := a.status(lost); err == nil && status != http.StatusServiceUnavailable {
					t.Errorf("status %d", status)
				}
			})
			if i%10 == 0 {
				if err := a.tryLoad(a.caddyfile(gateFor(issuerByDiscovery(as),
					"issuer https://x.example.com {\naudience x\nkeys file /nowhere\n}"))); err == nil {
					t.Error("a bad configuration was loaded")
				}
			}
		}
		waiting.Wait()
		a.goroutinesBackTo(before, 15)
	})
}
