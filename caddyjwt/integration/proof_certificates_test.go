package integration

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// branch is a site that asks for client certificates, and the authority that certifies clients and the site.
type branch struct {
	*site
	authority *tokentest.Certificate
	issuer    *tokentest.Key
}

// openBranch runs one with this mode of client_auth, and a gate with these lines. What the server gets from 127.0.0.1
// counts as coming from a proxy that Caddy trusts, if trusting is set.
//
// With the race detector there is no TLS: see startEverywhere.
func openBranch(t *testing.T, mode string, trusting bool, lines ...string) *branch {
	t.Helper()
	issuer := tokentest.NewKey(t, "ES256", "k1")
	b := openBranchWith(t, mode, trusting, proofGate(t, issuer, lines...))
	b.issuer = issuer
	return b
}

// openBranchWith runs one with these directives where the gate is.
func openBranchWith(t *testing.T, mode string, trusting bool, gate string) *branch {
	t.Helper()
	if raced {
		t.Skip("no TLS with the race detector")
	}
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	b := &branch{site: prepare(t), authority: tokentest.NewAuthority(t, "authority")}
	server := b.authority.Certify(t, "localhost", tokentest.NewKey(t, "ES256", "server"),
		func(c *x509.Certificate) { c.DNSNames = []string{"localhost", "written.test"} })
	dir := t.TempDir()
	certified := "tls " + writeFile(t, filepath.Join(dir, "server.pem"), tokentest.PEMOf(server)) + " " +
		writeFile(t, filepath.Join(dir, "server.key"), server.Key.PrivatePEM())
	asks := certified + " {\n\t\tclient_auth {\n\t\t\tmode " + mode
	if strings.Contains(mode, "verify") {
		asks += "\n\t\t\ttrust_pool file " + writeFile(t, filepath.Join(dir, "ca.pem"), tokentest.PEMOf(b.authority))
	}
	asks += "\n\t\t}\n\t}"
	servers := []string{"protocols h1 h2 h2c h3"}
	if trusting {
		servers = append(servers, "trusted_proxies static 127.0.0.1/32")
	}
	b.secure = b.loadOnAPort(func(port string) string {
		return serving(b.caddyfile(gate), servers...) + fmt.Sprintf("https://localhost:%s {\n\tbind 127.0.0.1\n\t%s\n\tlog\n"+
			"\t%s\n\treverse_proxy %s\n}\nhttps://written.test:%[1]s {\n\tbind 127.0.0.1\n\t%[5]s\n"+
			"\trespond \"number %[6]d\"\n}\n", port, asks, gate, b.upstream.addr(), certified, *b.written)
	})
	_, port, _ := net.SplitHostPort(b.secure)
	b.base = "https://localhost:" + port
	return b
}

// certifies makes a certificate of a client.
func (b *branch) certifies(name string, key *tokentest.Key) *tokentest.Certificate {
	return b.authority.Certify(b.t, name, key, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
}

// config is what a client with these certificates needs for TLS.
func (b *branch) config(certificates ...*tokentest.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(b.authority.Certificate)
	config := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	// Whatever authorities the server names: an attacker would send the certificate all the same.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		sent := new(tls.Certificate)
		for _, c := range certificates {
			sent.Certificate, sent.PrivateKey = append(sent.Certificate, c.Raw), certificates[0].Key.Private()
		}
		return sent, nil
	}
	return config
}

// showing is the same site for clients that show these certificates by a protocol.
func (b *branch) showing(t *testing.T, protocol string, certificates ...*tokentest.Certificate) *branch {
	t.Helper()
	other := *b
	other.site = b.in(t)
	var transport http.RoundTripper
	switch config := b.config(certificates...); protocol {
	case "HTTP/3.0":
		h3 := &http3.Transport{TLSClientConfig: config}
		t.Cleanup(func() { _ = h3.Close() })
		transport = h3
	default:
		h := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: protocol == "HTTP/2.0"}
		t.Cleanup(h.CloseIdleConnections)
		transport = h
	}
	other.client = &http.Client{Transport: transport, Timeout: patience}
	return &other
}

// bound is a token that is bound to a certificate.
func (b *branch) bound(c *x509.Certificate, changes ...any) string {
	return b.issuer.Sign(b.t, issuedBy(keptIssuer, append([]any{"cnf", x5t(c)}, changes...)...))
}

var protocols = []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"}

// A token that is bound to a certificate passes with that certificate, and with no other (RFC 8705 section 3). Who has
// certified it, and whether the server looks at that, makes no difference to the binding.
func TestProofByClientCertificate(t *testing.T) {
	for _, mode := range []string{"request", "require", "require_and_verify"} {
		t.Run(mode, func(t *testing.T) {
			b := openBranch(t, mode, false, "proof mtls")
			own := tokentest.NewKey(t, "ES256", "client").WithKID("")
			mine, other := b.certifies("mine", own), b.certifies("other", tokentest.NewKey(t, "ES256", "other client"))
			renewed := b.certifies("mine", own)
			self := &tokentest.Certificate{Key: tokentest.NewKey(t, "ES256", "self")}
			self.Certificate, _ = x509.ParseCertificate(certificateDER(t, self.Key))
			for _, protocol := range protocols {
				t.Run(protocol, func(t *testing.T) {
					unbound := b.issuer.Sign(t, issuedBy(keptIssuer))
					shows := b.showing(t, protocol, mine)
					for range 2 { // the second time, the token is remembered
						a := shows.get("/x?a=b", b.bound(mine.Certificate))
						if shows.passed(a); a.Proto != protocol {
							t.Errorf("by %s", a.Proto)
						}
						shows.refused(shows.get("/", b.bound(other.Certificate)), 401, "other_key")
						shows.refused(shows.get("/", b.bound(self.Certificate)), 401, "other_key")
						// The same key, and another certificate.
						shows.refused(shows.get("/", b.bound(renewed.Certificate)), 401, "other_key")
						shows.accepts(unbound)
					}
					shows = b.showing(t, protocol, renewed)
					shows.refused(shows.get("/", b.bound(mine.Certificate)), 401, "other_key")
					shows.accepts(b.bound(renewed.Certificate))
					if mode == "require_and_verify" {
						return
					}
					shows = b.showing(t, protocol, self)
					shows.accepts(b.bound(self.Certificate))
					shows.refused(shows.get("/", b.bound(mine.Certificate)), 401, "other_key")
					// The first certificate of a chain is the client's. The client need not have the keys of the others.
					shows = b.showing(t, protocol, self, mine)
					shows.refused(shows.get("/", b.bound(mine.Certificate)), 401, "other_key")
				})
			}
			if mode == "request" {
				none := b.showing(t, "HTTP/1.1")
				none.refused(none.get("/", b.bound(mine.Certificate)), 401, "proof_required")
				none.accepts(b.issuer.Sign(t, issuedBy(keptIssuer)))
			}
			in := b.in(t) // by plain http, where nobody can show one
			in.base = "http://gate.test"
			in.refused(in.get("/", b.bound(mine.Certificate)), 401, "proof_required")
		})
	}
}

// A client that resumes a session need not show its certificate again. Caddy 2.11.9 gives out no tickets where it asks
// for certificates. Whatever it does, a token passes only with its certificate.
func TestProofByClientCertificateOfAnEarlierSession(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b := openBranch(t, "request", false, "proof mtls required")
		mine, other := b.certifies("mine", tokentest.NewKey(t, "ES256", "client")), b.certifies("other",
			tokentest.NewKey(t, "ES256", "other client"))
		sessions := tls.NewLRUClientSessionCache(8)
		for _, shown := range []*tokentest.Certificate{mine, other, mine} {
			config := b.config(shown)
			config.ClientSessionCache, config.MaxVersion = sessions, version
			b.connectsAnew(config)
			for range 2 {
				a := b.get("/", b.bound(shown.Certificate))
				if a.StatusCode == http.StatusUnauthorized && a.TLS.DidResume {
					continue // as the client of the first handshake
				}
				b.passed(a)
				if shown == other {
					b.refused(b.get("/", b.bound(mine.Certificate)), 401, "other_key")
				}
			}
		}
		config := b.config() // without a certificate in the first handshake, there is none after it
		config.ClientSessionCache, config.MaxVersion = tls.NewLRUClientSessionCache(8), version
		b.connectsAnew(config)
		for range 3 {
			b.refused(b.get("/", b.bound(mine.Certificate)), 401, "proof_required")
		}
	}
}

// connectsAnew makes each request by a connection of its own.
func (b *branch) connectsAnew(config *tls.Config) {
	b.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
		Timeout: patience}
}

// A token that is bound to a key and to a certificate needs both, and so does a route without one of the words.
func TestProofByBothBindings(t *testing.T) {
	b := openBranch(t, "request", false, "proof any")
	mine := b.certifies("mine", tokentest.NewKey(t, "ES256", "client"))
	other := b.certifies("other", tokentest.NewKey(t, "ES256", "other client"))
	cnf := x5t(mine.Certificate)
	client := &keyholder{Prover: tokentest.NewProver(t, "ES256")}
	cnf["jkt"] = client.Thumbprint()
	client.token = b.issuer.Sign(t, issuedBy(keptIssuer, "cnf", cnf))
	for _, protocol := range protocols {
		shows := b.showing(t, protocol, mine)
		shows.provenPass(shows.proves(client, "/"))
		shows.refused(shows.get("/", client.token), 401, "proof_required")
		shows.blames(shows.proves(&keyholder{tokentest.NewProver(t, "ES256"), client.token}, "/"), "invalid_token",
			"other_key")
		shows = b.showing(t, protocol, other)
		shows.blames(shows.proves(client, "/"), "invalid_token", "other_key")
		shows = b.showing(t, protocol)
		shows.blames(shows.proves(client, "/"), "invalid_token", "proof_required")
		for _, unknown := range []map[string]any{{"jwk": map[string]any{}}, {"kid": "x"}, {}, {"x5t": "a"}} {
			shows.refused(shows.get("/", b.issuer.Sign(t, issuedBy(keptIssuer, "cnf", unknown))), 401, "proof_required")
		}
	}
}

// certificateForms are the ways in which proxies write a certificate.
func certificateForms(c *x509.Certificate) map[string]string {
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	der := base64.StdEncoding.EncodeToString(c.Raw)
	return map[string]string{
		"rfc9440": ":" + der + ":", "pem": strings.ReplaceAll(strings.TrimSpace(text), "\n", " "),
		"url_pem": url.PathEscape(text),
	}
}
