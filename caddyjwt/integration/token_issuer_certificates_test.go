package integration

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// clientByCertificate is a client of a token_issuer that shows who it is with a certificate.
func clientByCertificate(id, by string, lines ...string) string {
	text := "client " + id + " {\n\t\t\ttls_client_auth " + by
	for _, line := range lines {
		text += "\n\t\t\t" + line
	}
	return text + "\n\t\t}"
}

// shows is a booth at the same site for a client with a certificate, by a protocol.
func (b *branch) shows(t *testing.T, protocol string, certificate ...*tokentest.Certificate) *booth {
	t.Helper()
	return boothOf(&office{site: b.showing(t, protocol, certificate...).site})
}

// A client shows who it is by the certificate of its connection: one that an authority has given it, which Caddy trusts
// for clients (RFC 8705 section 2.1), or one whose key is registered (section 2.2). Its tokens are bound to the
// certificate if that is registered (section 3). What stands for one client is nothing for another one.
func TestClientsShowWhoTheyAreByCertificates(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "self")
	self := &tokentest.Certificate{Key: key}
	self.Certificate, _ = x509.ParseCertificate(certificateDER(t, key))
	pin := sha256.Sum256(self.RawSubjectPublicKeyInfo)
	b := openBranchWith(t, "verify_if_given", false, issuingFor(ownIssuer, "default_audience "+audience,
		clientByCertificate("named", "subject CN=named"),
		clientByCertificate("bound", "san_dns bound.example", "proof mtls"))+"\n\t"+
		gateForAudience("proof mtls", issuerBlock(ownIssuer, "keys local")))
	named := b.certifies("named", tokentest.NewKey(t, "ES256", "named"))
	bound := b.authority.Certify(t, "x", tokentest.NewKey(t, "ES256", "bound"), func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"bound.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			asNamed, asBound, asNobody := b.shows(t, protocol, named), b.shows(t, protocol, bound), b.shows(t, protocol)
			token := asNamed.tokensIn(asNamed.form(tokenPath, asking("client_id", "named"))).Access
			asNobody.passed(asNobody.get("/", token)) // it is bound to nothing
			a := asBound.form(tokenPath, asking("client_id", "bound"))
			token = asBound.tokensIn(a).Access
			asBound.passed(asBound.get("/", token))
			asNamed.refused(asNamed.get("/", token), http.StatusUnauthorized, "other_key")
			asNobody.refused(asNobody.get("/", token), http.StatusUnauthorized, "proof_required")
			for id, other := range map[string]*booth{"named": asBound, "bound": asNamed} {
				for _, by := range []*booth{other, asNobody} {
					by.failed(by.form(tokenPath, asking("client_id", id)), http.StatusUnauthorized, "invalid_client")
				}
			}
			asNamed.failed(asNamed.form(tokenPath, asking()), http.StatusUnauthorized, "invalid_client") // section 2
		})
	}
	in := boothOf(&office{site: b.in(t)}) // by plain http, where nobody can show one
	in.base = "http://gate.test"
	in.failed(in.form(tokenPath, asking("client_id", "named"), "Client-Cert", "x"), http.StatusUnauthorized,
		"invalid_client")

	pinned := openBranchWith(t, "request", false, issuingFor(ownIssuer, "default_audience "+audience,
		clientByCertificate("pinned", "spki_sha256 "+hex.EncodeToString(pin[:])),
		clientByCertificate("named", "subject CN=named")))
	byPin := pinned.shows(t, "HTTP/1.1", self)
	byPin.tokensIn(byPin.form(tokenPath, asking("client_id", "pinned")))
	// Without a look at the authority, a name says nothing.
	byName := pinned.shows(t, "HTTP/1.1", pinned.certifies("named", tokentest.NewKey(t, "ES256", "anybody")))
	for _, id := range []string{"pinned", "named"} {
		byName.failed(byName.form(tokenPath, asking("client_id", id)), http.StatusUnauthorized, "invalid_client")
	}
}
