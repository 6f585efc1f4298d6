//go:build e2e

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// certificateFiles are a certificate and its key.
type certificateFiles struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// newCertificates makes those of a client, which its authorization server knows, another client's, and one that the
// client gets when its first one ends: for the same name and key.
func newCertificates(t *testing.T, selfSigned bool) map[string]certificateFiles {
	t.Helper()
	dir := t.TempDir()
	files := make(map[string]certificateFiles)
	key := newKey(t)
	for name, key := range map[string]*ecdsa.PrivateKey{"own": key, "renewed": key, "other": newKey(t)} {
		files[name] = certificateFiles{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")}
		template := &x509.Certificate{
			DNSNames: []string{"caller.example.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		authority, signer := provider.identity.authority, provider.identity.signer
		if selfSigned {
			authority, signer = template, key
		}
		if err := issue(template, authority, key, signer, files[name].Cert, files[name].Key); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const tlsHost = "orders.example.com"

// serverCertificate is one for tlsHost.
func serverCertificate(t *testing.T) certificateFiles {
	t.Helper()
	dir := t.TempDir()
	files := certificateFiles{filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")}
	template := &x509.Certificate{DNSNames: []string{tlsHost}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if err := provider.identity.sign(template, files.Cert, files.Key); err != nil {
		t.Fatal(err)
	}
	return files
}

// overTLS is a gate that asks clients for certificates.
func overTLS(t *testing.T, proof string) *gate {
	t.Helper()
	server := serverCertificate(t)
	return startSitesWith(t, withoutProofs, func(socket, backend string) string {
		return fmt.Sprintf(`https://%s {
	bind unix/%s
	tls %s %s {
		client_auth {
			mode request
		}
	}
	log
	bearer_auth {
		%s
		%s
	}
	reverse_proxy %s
}
`, tlsHost, socket, server.Cert, server.Key, trust(provider.Issuer, introspection(t, "basic")), proof, backend)
	})
}

// certified is a request and what it must be answered with.
type certified struct {
	name        string
	certificate string // which one is shown, or empty
	forged      string // which one is in the header that only a proxy may write, or empty
	proof       bool   // whether it has a DPoP proof
	want        string
}

// shows sends requests with a token that is bound to the certificate "own", and compares the answers. With prove, it is
// bound to a key instead. It gives the requests that reached the backend.
func (g *gate) shows(t *testing.T, method, resource string, prove bool, cases []certified) []*http.Request {
	t.Helper()
	var requests []map[string]any
	var names, wanted []string
	for _, c := range cases {
		names, wanted = append(names, c.name), append(wanted, c.want)
		requests = append(requests, map[string]any{"certificate": c.certificate, "forged": c.forged, "proof": c.proof})
	}
	report := g.prove(t, "certificates", map[string]any{
		"mtls": provider.MTLS, "method": method, "prove": prove,
		"certificates": newCertificates(t, method == selfSigned), "resource": provider.resource(t, resource),
		"url": "https://" + tlsHost + "/orders", "requests": requests,
	})
	answered(t, report, names, wanted)
	return g.onlyPassed(t, report)
}

const (
	signedByCA = "tls_client_auth"
	selfSigned = "self_signed_tls_client_auth"
)

// eachKind runs a test with certificates and tokens of each kind.
func eachKind(t *testing.T, test func(t *testing.T, method, resource string)) {
	t.Helper()
	for _, method := range []string{signedByCA, selfSigned} {
		for _, resource := range []string{"ES256", "opaque"} {
			t.Run(method+"/"+resource, func(t *testing.T) { test(t, method, resource) })
		}
	}
}

func TestTokensThatAreBoundToACertificatePassWithIt(t *testing.T) {
	t.Parallel()
	const refused = "401 bearer:invalid_token"
	g := overTLS(t, "proof mtls")
	required := overTLS(t, "proof mtls required\nrequire_tls")
	without := overTLS(t, "")
	eachKind(t, func(t *testing.T, method, resource string) {
		for _, g := range []*gate{g, required} {
			g.shows(t, method, resource, false, []certified{
				{"its certificate", "own", "", false, passed},
				{"another certificate", "other", "", false, refused},
				{"a new certificate for the same key", "renewed", "", false, refused},
				{"no certificate", "", "", false, refused},
				{"its certificate again", "own", "", false, passed},
			})
		}
		without.shows(t, method, resource, false, []certified{
			{"a gate that takes no certificates", "own", "", false, refused},
			{"the same, without one", "", "", false, refused},
		})
	})
}

func TestBearerTokensPassWithoutACertificateUnlessItIsRequired(t *testing.T) {
	t.Parallel()
	token := provider.token(t, provider.Issuer, "ES256", "read")
	authority, err := os.ReadFile(provider.identity.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	for _, test := range []struct {
		proof  string
		status int
	}{{"proof mtls", http.StatusOK}, {"proof mtls required", http.StatusUnauthorized}} {
		t.Run(test.proof, func(t *testing.T) {
			g := overTLS(t, test.proof)
			g.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
			res, _ := g.get(t, token, func(r *http.Request) {
				r.URL.Scheme, r.URL.Host, r.Host = "https", tlsHost, tlsHost
			})
			if res.StatusCode != test.status {
				t.Errorf("status %d, want %d", res.StatusCode, test.status)
			}
		})
	}
}

func TestAGateMayTakeProofsAndCertificates(t *testing.T) {
	t.Parallel()
	g := overTLS(t, "proof any required {\n nonce 1m\n}")
	onlyDPoP, onlyCertificates := overTLS(t, "proof dpop"), overTLS(t, "proof mtls")
	eachKind(t, func(t *testing.T, method, resource string) {
		g.shows(t, method, resource, false, []certified{
			{"bound to a certificate", "own", "", false, passed},
			{"bound to another certificate", "other", "", false, badBearerToken + " nonce"},
			{"bound to a certificate, none shown", "", "", false, badBearerToken + " nonce"},
		})
		g.shows(t, method, resource, true, []certified{
			{"bound to a key, first without a nonce", "own", "", true, needsNonce + ", " + passed},
			{"bound to a key, another certificate", "other", "", true, passed},
			{"bound to a key, no certificate", "", "", true, passed},
			{"bound to a key, no proof", "own", "", false, badBearerToken + " nonce"},
		})
		onlyDPoP.shows(t, method, resource, false, []certified{{"only proofs", "own", "", false, badBearerToken}})
		onlyCertificates.shows(t, method, resource, true, []certified{
			{"only certificates", "own", "", true, "401 bearer:-"},
			{"only certificates, as bearer token", "own", "", false, "401 bearer:invalid_token"},
		})
	})
}

// behindNginx is a gate whose clients send requests to nginx, which ends TLS and hands certificates over.
func behindNginx(t *testing.T, options, proof string) *gate {
	t.Helper()
	g := startSiteWith(t, options, func(backend string) string {
		return "log\nbearer_auth {\n" + trust(provider.Issuer, introspection(t, "basic")) + proof +
			"\nclient_cert_header X-Client-Cert url_pem\n}\nreverse_proxy " + backend
	})
	server, front := serverCertificate(t), filepath.Join(filepath.Dir(g.socket), "n")
	startNginx(t, fmt.Sprintf(`server {
		listen unix:%s ssl;
		ssl_certificate %s;
		ssl_certificate_key %s;
		ssl_verify_client optional_no_ca;
		location / {
			proxy_pass http://unix:%s:;
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
		}
	}`, front, server.Cert, server.Key, g.socket), front)
	g.socket = front // for clients
	return g
}

// The gateway believes a header that nginx sets on every request, and only where nginx is a trusted proxy.
func TestCertificatesPassThroughNginx(t *testing.T) {
	t.Parallel()
	const trusted = withoutProofs + "\nservers {\ntrusted_proxies_unix\n}"
	g := behindNginx(t, trusted, "proof any {\n nonce 1m\n}")
	suspicious := behindNginx(t, withoutProofs, "proof mtls")
	direct := overTLS(t, "proof mtls\nclient_cert_header X-Client-Cert url_pem")
	const refused = "401 bearer:invalid_token"
	eachKind(t, func(t *testing.T, method, resource string) {
		g.shows(t, method, resource, false, []certified{
			{"its certificate", "own", "", false, passed},
			{"another certificate", "other", "", false, badBearerToken + " nonce"},
			{"no certificate", "", "", false, badBearerToken + " nonce"},
			{"no certificate, and the header", "", "own", false, badBearerToken + " nonce"},
			{"another certificate, and the header", "other", "own", false, badBearerToken + " nonce"},
			{"its certificate, and another in the header", "own", "other", false, passed},
		})
		g.shows(t, method, resource, true, []certified{
			{"a proof, first without a nonce", "", "", true, needsNonce + ", " + passed},
			{"a proof, and a certificate", "other", "", true, passed},
		})
		suspicious.shows(t, method, resource, false, []certified{
			{"from a proxy that is not trusted", "own", "", false, refused},
		})
		seen := direct.shows(t, method, resource, false, []certified{
			{"without a proxy", "own", "other", false, passed},
			{"without a proxy, only the header", "", "own", false, refused},
			{"without a proxy, another certificate and the header", "other", "own", false, refused},
		})
		for _, request := range seen {
			hasHeaders(t, request, map[string]string{"X-Client-Cert": ""})
		}
	})
}
