package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// clientsOf are two certificates of clients.
func clientsOf(t *testing.T) (mine, other *tokentest.Certificate) {
	t.Helper()
	authority := tokentest.NewAuthority(t, "authority")
	return authority.Certify(t, "mine", tokentest.NewKey(t, "ES256", "client")),
		authority.Certify(t, "other", tokentest.NewKey(t, "ES256", "other client"))
}

// A proxy that ends TLS hands the certificate over, in every form. Only a trusted one is believed.
func TestProofByCertificateHeader(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	mine, other := clientsOf(t)
	token := key.Sign(t, issuedBy(keptIssuer, "cnf", x5t(mine.Certificate)))
	unbound := key.Sign(t, issuedBy(keptIssuer))
	for form, value := range certificateForms(mine.Certificate) {
		t.Run(form, func(t *testing.T) {
			gate := proofGate(t, key, "proof mtls", "client_cert_header Client-Cert "+form)
			s := startBehindProxy(t, gate)
			for range 2 { // the second time, the token is remembered
				if got := s.passed(s.get("/", token, "Client-Cert", value)); got.Header.Get("Client-Cert") != value {
					t.Errorf("the backend got %v, and not what the proxy said", got.Header)
				}
				s.passed(s.get("/", token, "client-cert", value))
				for name, header := range map[string][]string{
					"another":          {"Client-Cert", certificateForms(other.Certificate)[form]},
					"none":             nil,
					"an empty one":     {"Client-Cert", ""},
					"the same twice":   {"Client-Cert", value, "Client-Cert", value},
					"two":              {"Client-Cert", value, "Client-Cert", certificateForms(other.Certificate)[form]},
					"two in one line":  {"Client-Cert", value + "," + value},
					"cut":              {"Client-Cert", value[:len(value)/2]},
					"rubbish":          {"Client-Cert", "x"},
					"more after it":    {"Client-Cert", value + "x"},
					"with underscores": {"Client_Cert", value},
					"another header":   {"X-Client-Cert", value},
				} {
					a := s.get("/", token, header...)
					want := "proof_required"
					if name == "another" {
						want = "other_key"
					}
					if s.refused(a, http.StatusUnauthorized, want); t.Failed() {
						t.Fatalf("with %s", name)
					}
				}
				s.passed(s.get("/", unbound, "Client-Cert", value))
				s.passed(s.get("/", unbound))
			}
			for other, text := range certificateForms(mine.Certificate) {
				if other != form {
					s.refused(s.get("/", token, "Client-Cert", text), http.StatusUnauthorized, "proof_required")
				}
			}
		})
	}
}

// startCalling runs a site with a header of this name for certificates. Caddy drops names with "_", and with "." as
// well, unless an option has them. Then it drops the same name with "-". Further lines are for the server.
func startCalling(t *testing.T, called, gate string, lines ...string) *site {
	t.Helper()
	if strings.Contains(called, "_") {
		lines = append(lines, "expected_underscore_headers "+strings.ToLower(called))
	}
	s := prepare(t)
	s.loadFile(serving(s.caddyfile(gate), append(lines, "protocols h1")...))
	return s
}

// A stranger writes the header itself, in all spellings. It proves nothing, and does not reach the backend.
func TestAttackProofByCertificateHeader(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	mine, _ := clientsOf(t)
	token := key.Sign(t, issuedBy(keptIssuer, "cnf", x5t(mine.Certificate)))
	unbound := key.Sign(t, issuedBy(keptIssuer))
	named := []string{
		"Client-Cert", "client-cert", "CLIENT-CERT", "Client_Cert", "client_cert", "Client.Cert", "Client!Cert",
		"cLIENT~cERT",
	}
	for form, value := range certificateForms(mine.Certificate) {
		called := map[string]string{"pem": "CLIENT_CERT"}[form] // as some proxies call it
		if called == "" {
			called = "Client-Cert"
		}
		s := startCalling(t, called, proofGate(t, key, "proof mtls", "public /open", "optional",
			"client_cert_header "+called+" "+form))
		arrived := func(t *testing.T, got seen) {
			t.Helper()
			for name := range got.Header {
				if strings.Contains(strings.ToLower(name), "cert") {
					t.Errorf("the backend got %s", name)
				}
			}
		}
		for _, name := range named {
			s.attack(t, form+" "+name, func(t *testing.T, a *attempt) {
				a.secret(token)
				line := name + ": " + value + "\r\n"
				head := " HTTP/1.1\r\nHost: gate.test\r\n"
				a.refused(a.raw("GET /"+head+line+"Authorization: Bearer "+token+"\r\n\r\n"), 401, "proof_required")
				a.refused(a.raw("GET /"+head+line+line+"Authorization: Bearer "+token+"\r\n\r\n"), 401, "proof_required")
				a.refused(a.raw("GET /"+head+line+"X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1;proto=https\r\n"+
					"X-Forwarded-Proto: https\r\nAuthorization: Bearer "+token+"\r\n\r\n"), 401, "proof_required")
				arrived(t, a.passed(a.raw("GET /"+head+line+"Authorization: Bearer "+unbound+"\r\n\r\n")))
				arrived(t, a.passed(a.raw("GET /"+head+line+"Connection: "+name+"\r\nAuthorization: Bearer "+unbound+"\r\n\r\n")))
				arrived(t, a.passed(a.raw("GET /"+head+line+"\r\n")))     // optional
				arrived(t, a.passed(a.raw("GET /open"+head+line+"\r\n"))) // public
				trailer := a.passed(a.raw("POST /" + head + "Authorization: Bearer " + unbound +
					"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, " + name + "\r\n\r\n1\r\na\r\n0\r\n" + line +
					"X-Sum: 1\r\n\r\n"))
				arrived(t, trailer)
				arrived(t, seen{Header: trailer.Trailer})
			})
		}
	}
}

// A trusted proxy sets the header, and knows nothing of other spellings that its client has sent. Backends that take
// them for the same do not get them.
func TestAttackProofByCertificateHeaderThroughAProxy(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	mine, other := clientsOf(t)
	token := key.Sign(t, issuedBy(keptIssuer, "cnf", x5t(mine.Certificate)))
	value, forged := certificateForms(mine.Certificate)["rfc9440"], certificateForms(other.Certificate)["rfc9440"]
	for _, called := range []string{"Client-Cert", "Client_Cert"} {
		s := startCalling(t, called, proofGate(t, key, "proof mtls", "client_cert_header "+called+" rfc9440"),
			"trusted_proxies_unix")
		for _, name := range []string{"Client-Cert", "Client_Cert", "client.cert", "CLIENT~CERT"} {
			if strings.EqualFold(name, called) {
				continue
			}
			s.attack(t, name+" beside "+called, func(t *testing.T, a *attempt) {
				got := a.passed(a.send(token, name, forged, called, value))
				for field, values := range got.Header {
					if !strings.EqualFold(field, called) && strings.Contains(strings.ToLower(field), "cert") ||
						strings.EqualFold(field, called) && strings.Join(values, "") != value {
						t.Errorf("the backend got %s", field)
					}
				}
				a.refused(a.send(token, name, value), 401, "proof_required")
			})
		}
	}
}

// Behind a trusted proxy, the certificate of the connection is that of the proxy. Whatever the proxy shows, a token of
// its clients is not bound to it.
func TestAttackProofByTheCertificateOfAProxy(t *testing.T) {
	b := openBranch(t, "request", true, "proof mtls", "client_cert_header Client-Cert rfc9440")
	proxy := b.certifies("proxy", tokentest.NewKey(t, "ES256", "proxy"))
	mine := b.certifies("mine", tokentest.NewKey(t, "ES256", "client"))
	form := certificateForms(mine.Certificate)["rfc9440"]
	for _, protocol := range protocols {
		b := b.showing(t, protocol, proxy)
		b.attack(t, protocol, func(_ *testing.T, a *attempt) {
			a.passed(a.send(b.bound(mine.Certificate), "Client-Cert", form))
			for _, header := range [][]string{nil, {"Client-Cert", ""}, {"Client-Cert", "x"}} {
				a.refused(a.send(b.bound(proxy.Certificate), header...), 401, "proof_required")
				a.refused(a.send(b.bound(mine.Certificate), header...), 401, "proof_required")
			}
			a.refused(a.send(b.bound(proxy.Certificate), "Client-Cert", form), 401, "other_key")
		})
	}
	t.Run("without the header", func(t *testing.T) {
		b := openBranch(t, "request", true, "proof mtls").showing(t, "HTTP/1.1", proxy)
		b.refused(b.get("/", b.bound(proxy.Certificate)), 401, "proof_required")
	})
}

// Caddy drops some names. That a certificate never arrives in such a header is a warning.
func TestProofByCertificateHeaderThatIsDropped(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	gate := proofGate(t, key, "proof mtls", "client_cert_header Client_Cert pem")
	warns := []string{`"level":"warn"`, "client certificates in this header never arrive", "expected_underscore_headers"}
	if s := start(t, gate); !s.logged(warns...) {
		t.Error("no warning")
	}
	if s := startCalling(t, "Client_Cert", gate); s.logged(warns...) {
		t.Error("a warning for a header that arrives")
	}
	if s := start(t, proofGate(t, key, "proof mtls", "client_cert_header Client-Cert pem")); s.logged(warns...) {
		t.Error("a warning for a header that Caddy lets through")
	}
}

// What has no effect, or cannot work, is an error that says so.
func TestProofMistakes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s, issuer := prepare(t), issuerBlock(keptIssuer, pemOf(t, key))
	for lines, want := range map[string]string{
		"proof x":                                          "expected dpop, mtls or any",
		"proof":                                            "dpop|mtls|any",
		"proof dpop x":                                     "dpop|mtls|any",
		"proof dpop {\nreplay x\n}":                        "expected local or shared",
		"proof dpop {\nalgorithms HS256\n}":                "expected some of",
		"proof dpop {\nnonce 1s\n}":                        "from 10s to 1h",
		"proof dpop {\nnonce 2h\n}":                        "from 10s to 1h",
		"proof dpop {\nmax_age 6m\n}":                      "from 1s to 5m",
		"proof mtls {\nnonce 5m\n}":                        "no effect here",
		"proof mtls {\nreplay local\n}":                    "no effect here",
		"client_cert_header Client-Cert pem":               "no effect without",
		"proof dpop\nclient_cert_header Client-Cert pem":   "no effect without",
		"proof mtls\nclient_cert_header Client-Cert x":     "expected",
		"proof mtls\nclient_cert_header Authorization pem": "cannot hold a certificate",
		"proof mtls\nclient_cert_header X-Token pem\ntoken_from header X-Token": "the token may be in it",
		"proof mtls\nclient_cert_header " + strings.Repeat("x", 64) + " pem":    "at most 63",
		"proof mtls\nclient_cert_header Cookie pem":                             "cannot hold a certificate",
		"proof mtls\nclient_cert_header DPoP pem":                               "cannot hold a certificate",
		"proof mtls\nclient_cert_header \"a b\" pem":                            "not the name of a header",
		"proof mtls\nclient_cert_header Client-Cert":                            "rfc9440|pem|url_pem",
		"proof dpop {\nreplay shared\n}":                                        "store redis",
		"proof dpop\nproof mtls":                                                "already on line",
		"profile x":                                                             "unknown profile",
		"proof dpop\ntoken_from header Authorization DPoP":                      "",
	} {
		t.Run(lines, func(t *testing.T) {
			err := s.in(t).tryLoad(s.caddyfile(gateForAudience(issuer, lines)))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("loading it: %v, want %q", err, want)
			}
			if err != nil && strings.Contains(lines, "replay shared") && !strings.Contains(err.Error(), "bearer_auth") {
				t.Errorf("%v does not say where to add it", err)
			}
		})
	}
}
