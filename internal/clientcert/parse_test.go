package clientcert_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestWordsOfForms(t *testing.T) {
	if got, want := clientcert.Forms(), []string{"rfc9440", "pem", "url_pem"}; !slices.Equal(got, want) {
		t.Errorf("forms %q, want %q", got, want)
	}
	for _, word := range clientcert.Forms() {
		form, ok := clientcert.ParseForm(word)
		if !ok || form.String() != word {
			t.Errorf("%s is the form %d, %v, which is called %q", word, form, ok, form)
		}
	}
	for _, word := range []string{"", "PEM", "rfc9441", "pem ", "xfcc"} {
		if form, ok := clientcert.ParseForm(word); ok {
			t.Errorf("%q is the form %v", word, form)
		}
	}
	for _, form := range []clientcert.Form{0, clientcert.URLPEM + 1, 255} {
		if form.String() != "" {
			t.Errorf("the form %d is called %q", form, form)
		}
		if _, err := form.Parse("x"); err == nil {
			t.Errorf("the form %d reads something", form)
		}
	}
}

// writing is how a proxy writes certificates, of which the first is that of the client.
type writing struct {
	form  clientcert.Form
	write func(certificates ...*x509.Certificate) string
}

func pemOf(certificates ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range certificates {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text.String()
}

func base64Of(certificates ...*x509.Certificate) string {
	texts := make([]string, len(certificates))
	for i, c := range certificates {
		texts[i] = base64.StdEncoding.EncodeToString(c.Raw)
	}
	return strings.Join(texts, ",")
}

// component escapes all but unreserved characters, as nginx, Azure and Envoy do.
func component(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// only is for proxies that hand over no chain.
func only(write func(leaf *x509.Certificate) string) func(...*x509.Certificate) string {
	return func(certificates ...*x509.Certificate) string { return write(certificates[0]) }
}

// writings are those of proxies, by their names.
var writings = map[string]writing{
	"RFC 9440": {clientcert.RFC9440, only(func(c *x509.Certificate) string { return ":" + base64Of(c) + ":" })},
	"nginx, $ssl_client_cert": {clientcert.PEM, only(func(c *x509.Certificate) string {
		return strings.ReplaceAll(strings.TrimSuffix(pemOf(c), "\n"), "\n", "\n\t") // obsolete line folding
	})},
	"a proxy that leaves the tab": {clientcert.PEM, only(func(c *x509.Certificate) string {
		return strings.ReplaceAll(strings.TrimSuffix(pemOf(c), "\n"), "\n", " \t") // RFC 9112 section 5.2
	})},
	"Apache": {clientcert.PEM, only(func(c *x509.Certificate) string { return strings.ReplaceAll(pemOf(c), "\n", " ") })},
	"Caddy, certificate_pem": {clientcert.PEM, only(func(c *x509.Certificate) string {
		return strings.ReplaceAll(pemOf(c), "\n", " ")
	})},
	"HAProxy, ssl_c_der,base64": {clientcert.PEM, only(func(c *x509.Certificate) string { return base64Of(c) })},
	"Traefik 3":                 {clientcert.PEM, base64Of},
	"nginx, $ssl_client_escaped_cert": {clientcert.URLPEM, only(func(c *x509.Certificate) string {
		return component(pemOf(c))
	})},
	"Azure Application Gateway": {clientcert.URLPEM, only(func(c *x509.Certificate) string {
		return component(pemOf(c))
	})},
	"Envoy, %DOWNSTREAM_PEER_CERT%": {clientcert.URLPEM, only(func(c *x509.Certificate) string {
		return strings.NewReplacer("\n", "%0A", " ", "%20", "+", "%2B", "/", "%2F", "=", "%3D").Replace(pemOf(c))
	})},
	"AWS": {clientcert.URLPEM, func(certificates ...*x509.Certificate) string {
		return strings.NewReplacer("%2B", "+", "%2F", "/", "%3D", "=").Replace(component(pemOf(certificates...)))
	}},
	"AWS, as in its examples": {clientcert.URLPEM, func(certificates ...*x509.Certificate) string {
		return component(pemOf(certificates...))
	}},
	"lower case": {clientcert.URLPEM, only(func(c *x509.Certificate) string {
		return strings.NewReplacer("\n", "%0a", " ", "%20", "+", "%2b", "/", "%2f", "=", "%3d").Replace(pemOf(c))
	})},
	"Traefik 2": {clientcert.URLPEM, func(certificates ...*x509.Certificate) string {
		texts := make([]string, len(certificates))
		for i, c := range certificates {
			texts[i] = url.QueryEscape(base64Of(c))
		}
		return strings.Join(texts, ",")
	}},
}

// certificates are chains of every kind of key.
func certificates(t *testing.T) map[string][]*x509.Certificate {
	t.Helper()
	authority := tokentest.NewAuthority(t, "authority")
	all := map[string][]*x509.Certificate{"self-signed": {authority.Certificate}}
	for _, alg := range []string{"RS256", "ES256", "ES384", "EdDSA"} {
		leaf := authority.Certify(t, "client", tokentest.NewKey(t, alg, "client"))
		all[alg] = []*x509.Certificate{leaf.Certificate, authority.Certificate}
	}
	expired := authority.Certify(t, "client", tokentest.NewKey(t, "ES256", "client"),
		tokentest.Valid(-48*time.Hour, -time.Hour))
	all["expired"] = []*x509.Certificate{expired.Certificate}
	return all
}

// sent is the value as it arrives at a Go server by HTTP/1.1.
func sent(t *testing.T, value string) string {
	t.Helper()
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Values("X-Cert")
	}))
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Cert: %s\r\n\r\n",
		strings.ReplaceAll(value, "\n", "\r\n"))
	if _, err := connection.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if len(got) != 1 {
		t.Fatalf("the server got %q", got)
	}
	return got[0]
}

func TestWritingsOfProxies(t *testing.T) {
	for kind, chain := range certificates(t) {
		for proxy, w := range writings {
			value := w.write(chain...)
			for name, value := range map[string]string{"as it is": value, "over a connection": sent(t, value)} {
				if name == "as it is" && strings.ContainsAny(value, "\n") {
					continue // a server never sees the line ends
				}
				got, err := w.form.Parse(strings.TrimSpace(value))
				if err != nil || !bytes.Equal(got.Raw, chain[0].Raw) {
					t.Errorf("%s, %s, %s: %v\n%s", proxy, kind, name, err, value)
					continue
				}
				if clientcert.Thumbprint(got) != sha256.Sum256(chain[0].Raw) {
					t.Errorf("%s, %s: another thumbprint", proxy, kind)
				}
			}
		}
	}
}

// What one form reads, the others do not read as another certificate.
func TestFormsAgree(t *testing.T) {
	chain := certificates(t)["RS256"]
	for proxy, w := range writings {
		value := strings.TrimSpace(strings.ReplaceAll(w.write(chain...), "\n", ""))
		for _, form := range []clientcert.Form{clientcert.RFC9440, clientcert.PEM, clientcert.URLPEM} {
			if got, err := form.Parse(value); err == nil && !got.Equal(chain[0]) {
				t.Errorf("%s in the form %v: another certificate", proxy, form)
			}
		}
	}
}

// The example of RFC 9440 appendix A.
const example = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEk" +
	"xBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZI" +
	"zj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR" +
	"0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0R" +
	"AQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB" +
	"4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:"

func TestExampleOfRFC9440(t *testing.T) {
	certificate, err := clientcert.RFC9440.Parse(example)
	if err != nil || !slices.Equal(certificate.EmailAddresses, []string{"bdc@example.com"}) {
		t.Errorf("%+v, %v", certificate, err)
	}
}

// The certificate of RFC 8705 appendix A is of version 1, has expired, and has signed itself.
func TestExampleOfRFC8705(t *testing.T) {
	var file struct {
		Vectors []struct {
			ID, Section string
			PEM         string `json:"certificate_pem"`
			Thumbprint  string `json:"x5t_S256"`
		}
	}
	tokentest.Vectors(t, &file, "rfc", "jose-oauth-examples.json")
	for _, vector := range file.Vectors {
		if vector.ID != "rfc8705-A" {
			continue
		}
		for form, value := range map[clientcert.Form]string{
			clientcert.PEM:    strings.ReplaceAll(vector.PEM, "\n", " "),
			clientcert.URLPEM: component(vector.PEM),
		} {
			certificate, err := form.Parse(value)
			if err != nil {
				t.Fatalf("%v: %v", form, err)
			}
			sum := clientcert.Thumbprint(certificate)
			if got := base64.RawURLEncoding.EncodeToString(sum[:]); got != vector.Thumbprint || certificate.Version != 1 {
				t.Errorf("%v: version %d, thumbprint %s, want %s", form, certificate.Version, got, vector.Thumbprint)
			}
		}
		return
	}
	t.Error("the file has no vector rfc8705-A")
}

func TestParseRefuses(t *testing.T) {
	chain := certificates(t)["ES256"]
	leaf, other := chain[0], chain[1]
	text, long := base64Of(leaf), pemOf(leaf)
	line := strings.TrimSpace(strings.ReplaceAll(long, "\n", " "))
	escaped := component(long)
	begin, end := "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
	spare := spareBits(t, leaf)
	both := base64.StdEncoding.EncodeToString(append(bytes.Clone(leaf.Raw), other.Raw...))
	inPEM := func(der []byte, kind string) string {
		block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		return strings.TrimSpace(strings.ReplaceAll(string(block), "\n", " "))
	}
	key, err := x509.MarshalPKIXPublicKey(leaf.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		form   clientcert.Form
		values map[string]string
	}{
		{clientcert.RFC9440, map[string]string{
			"no colons":              text,
			"one colon":              ":" + text,
			"one colon at the end":   text + ":",
			"colons alone":           "::",
			"a colon":                ":",
			"a parameter":            ":" + text + ":;a=1",
			"a list":                 ":" + text + ":, :" + text + ":",
			"a list without a space": ":" + text + ":,:" + base64Of(other) + ":",
			"a space before":         " :" + text + ":",
			"a space inside":         ": " + text + ":",
			"a space after":          ":" + text + ": ",
			"a line end inside":      ":" + text[:64] + "\n" + text[64:] + ":",
			"a carriage return":      ":" + text[:64] + "\r" + text[64:] + ":",
			"base64url":              ":" + strings.NewReplacer("+", "-", "/", "_").Replace(text) + ":",
			"no padding":             ":" + strings.TrimRight(spare.text, "=") + ":",
			"spare bits":             ":" + spare.broken + ":",
			"padding inside":         ":" + text[:4] + "=" + text[4:] + ":",
			"quotes":                 `"` + text + `"`,
			"a token":                text[:8],
			"PEM":                    line,
			"percent-encoded":        url.QueryEscape(":" + text + ":"),
			"trailing data":          ":" + both + ":",
			"cut off":                ":" + text[:len(text)/8*4] + ":",
			"no DER":                 ":AAAA:",
			"a key":                  ":" + base64.StdEncoding.EncodeToString(key) + ":",
			"a trailing comma":       ":" + text + ":,",
			"a display string":       `%"` + text + `"`,
			"a dictionary":           "a=:" + text + ":",
		}},
		{clientcert.PEM, map[string]string{
			"line ends":                   strings.TrimSpace(long),
			"CRLF":                        strings.TrimSpace(strings.ReplaceAll(long, "\n", "\r\n")),
			"a line end at the end":       line + "\n",
			"a space before":              " " + line,
			"percent-encoded":             escaped,
			"no lines":                    begin + text + end,
			"no line at the beginning":    begin + text + " " + end,
			"no line at the end":          begin + " " + text + end,
			"nothing inside":              begin + " " + end,
			"no break":                    begin + end,
			"no end":                      begin + " " + text,
			"no beginning":                text + " " + end,
			"the beginning alone":         begin,
			"twice the beginning":         begin + " " + line,
			"twice the end":               line + " " + end,
			"text before":                 "x " + line,
			"text after":                  line + " x",
			"text right after":            line + "x",
			"base64 after":                line + " " + text,
			"a comma after":               line + ", ",
			"two with a comma":            line + ", " + line,
			"two without a space":         line + line,
			"a comma and a chain":         text + ", " + text,
			"a trailing comma":            text + ",",
			"a comma before":              "," + text,
			"commas":                      ",",
			"two commas":                  text + ",," + text,
			"rubbish in the chain":        text + ",x",
			"rubbish in the second block": line + " " + begin + " x " + end,
			"an open second block":        line + " " + begin + " " + text,
			"a key":                       inPEM(key, "PUBLIC KEY"),
			"a certificate as a key":      inPEM(leaf.Raw, "PUBLIC KEY"),
			"a key as a certificate":      inPEM(key, "CERTIFICATE"),
			"a trusted certificate":       inPEM(leaf.Raw, "TRUSTED CERTIFICATE"),
			"an X509 certificate":         inPEM(leaf.Raw, "X509 CERTIFICATE"),
			"a key after it":              line + " " + inPEM(key, "PUBLIC KEY"),
			"a key before it":             inPEM(key, "PUBLIC KEY") + " " + line,
			"a header of RFC 1421":        strings.Replace(line, begin, begin+" Proc-Type: 4,ENCRYPTED ", 1),
			"lower case":                  strings.ToLower(line),
			"four dashes":                 strings.Replace(line, begin, begin[1:], 1),
			"spare bits":                  spare.broken,
			"no padding":                  strings.TrimRight(spare.text, "="),
			"trailing data":               both,
			"trailing data in PEM":        begin + " " + both + " " + end,
			"a byte sequence":             ":" + text + ":",
			"Apache's word for none":      "(null)",
			"Envoy's word for none":       "-",
			"spaces in base64":            text[:64] + " " + text[64:],
			"escaped line ends":           strings.ReplaceAll(strings.TrimSpace(long), "\n", `\n`),
			"no-break spaces":             strings.ReplaceAll(line, " ", "\u00a0"),
			"form feeds":                  strings.ReplaceAll(strings.TrimSpace(long), "\n", "\f"),
		}},
		{clientcert.URLPEM, map[string]string{
			"PEM in one line":           line,
			"PEM":                       long,
			"spaces as plus signs":      url.QueryEscape(long),
			"a space":                   escaped + " ",
			"twice encoded":             component(escaped),
			"half an escape":            escaped + "%",
			"a bad escape":              escaped + "%zz",
			"an escaped NUL":            escaped + "%00",
			"CRLF":                      component(strings.ReplaceAll(long, "\n", "\r\n")),
			"tabs":                      component(strings.ReplaceAll(long, "\n", "\t")),
			"spaces for line ends":      component(line),
			"text after":                escaped + "x",
			"a comma after":             escaped + ",",
			"two with a comma":          escaped + "," + escaped,
			"a key after":               escaped + component(inPEM(key, "PUBLIC KEY")),
			"no line ends":              component(strings.ReplaceAll(long, "\n", "")),
			"a chain without line ends": component(strings.TrimSpace(long) + strings.TrimSpace(long)),
			"quotes":                    `"` + escaped + `"`,
			"escaped quotes":            "%22" + escaped + "%22",
			"X-Forwarded-Client-Cert":   `Hash=00;Cert="` + escaped + `"`,
			"its part":                  "Cert=" + escaped,
			"trailing data":             component(both),
			"a colon":                   ":" + text + ":",
			"non-ASCII":                 escaped + "\u00e9",
			"escaped non-ASCII":         escaped + "%C3%A9",
			"spare bits":                spare.broken,
			"a trailing comma":          component(text) + ",",
			"rubbish":                   "x",
			"an escape alone":           "%",
			"a line end":                "%0A",
		}},
	} {
		c.values["16 KiB and a byte"] = strings.Repeat("A", clientcert.MaxSize+1)
		c.values["16 KiB"] = strings.Repeat("A", clientcert.MaxSize)
		for name, value := range c.values {
			if certificate, err := c.form.Parse(value); err == nil {
				t.Errorf("%v, %s: %v\n%s", c.form, name, certificate.Subject, value)
			} else if errors.Is(err, clientcert.ErrEmpty) || !strings.HasPrefix(err.Error(), "client certificate: ") {
				t.Errorf("%v, %s: error %v", c.form, name, err)
			}
		}
		if _, err := c.form.Parse(""); !errors.Is(err, clientcert.ErrEmpty) {
			t.Errorf("%v: an empty field: %v", c.form, err)
		}
	}
}

// spared is the base64 of a certificate that needs padding, and the same with bits that stand for nothing.
type spared struct{ text, broken string }

func spareBits(t *testing.T, leaf *x509.Certificate) spared {
	t.Helper()
	for len(leaf.Raw)%3 == 0 { // its signature may be a byte shorter
		leaf = tokentest.NewAuthority(t, "padded").Certificate
	}
	text := base64.StdEncoding.EncodeToString(leaf.Raw)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := strings.IndexByte(text, '=') - 1
	next := alphabet[strings.IndexByte(alphabet, text[last])+1]
	return spared{text, text[:last] + string(next) + text[last+1:]}
}

// A certificate that fills the bound is read: the bound is one of the field, and not of what is in it.
func TestLongCertificate(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "client")
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{strings.Repeat("x", 11_000)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key.Private())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clientcert.PEM.Parse(base64.StdEncoding.EncodeToString(der)); err != nil {
		t.Errorf("%d bytes: %v", len(der), err)
	}
}
