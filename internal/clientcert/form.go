// Package clientcert reads the certificate of a client from the header field in which a proxy hands it over, after the
// proxy has ended the client's TLS connection. A token is bound to the certificate itself (RFC 8705 section 3), so
// nothing here asks who has signed it, or whether it has expired (RFC 8705 section 6.2).
//
// Whoever can send the field can claim any certificate. The caller must know that the proxy has sent it, and that the
// proxy replaces the field that a client sends (RFC 9440 section 4).
package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
)

// Form is how a proxy writes a certificate into a header field. The zero Form reads nothing.
type Form uint8

const (
	// RFC9440 is a byte sequence of structured fields, base64 between colons (RFC 9440 section 2.2, RFC 9651 section
	// 3.3.5), without parameters. It is the field Client-Cert of any proxy that follows the RFC, Google's load balancers
	// with {client_cert_leaf}, Cloudflare with cf.tls_client_auth.cert_rfc9440, and HAProxy with
	// ":%[ssl_c_der,base64]:".
	RFC9440 Form = iota + 1

	// PEM is PEM (RFC 7468) with spaces or tabs in the place of line ends: nginx with $ssl_client_cert, Apache with
	// %{SSL_CLIENT_CERT}s, Caddy with {http.request.tls.client.certificate_pem}. Or it is the base64 of the certificate
	// alone: HAProxy with ssl_c_der,base64, Cloudflare's Cf-Client-Cert-Der-Base64, Azure App Service's X-ARR-ClientCert,
	// Caddy with {http.request.tls.client.certificate_der_base64}, and Traefik 3, which puts commas between the
	// certificates of a chain.
	PEM

	// URLPEM is the same with percent-encoding (RFC 3986 section 2.1), in which line ends need not be replaced: nginx
	// with $ssl_client_escaped_cert, so also ingress-nginx, Apache with %{escape:%{SSL_CLIENT_CERT}}, AWS load balancers
	// with X-Amzn-Mtls-Clientcert and X-Amzn-Mtls-Clientcert-Leaf, in which + and / and = may be as they are, CloudFront
	// with CloudFront-Viewer-Cert-Pem, Azure Application Gateway with {var_client_certificate}, Envoy with
	// %DOWNSTREAM_PEER_CERT%, and Traefik 2. Envoy's X-Forwarded-Client-Cert is a list of other things, too, and is not
	// read.
	URLPEM
)

// words are the forms in a configuration, in the order of their constants.
var words = [...]string{"rfc9440", "pem", "url_pem"}

// ParseForm is the form with this word: "rfc9440", "pem" or "url_pem". It is not ok for any other word.
func ParseForm(word string) (form Form, ok bool) {
	for i, known := range words {
		if word == known {
			return Form(i + 1), true
		}
	}
	return 0, false
}

// Forms are the words of all forms. The caller may change the list.
func Forms() []string { return append([]string(nil), words[:]...) }

// String is the word of the form, and "" for the zero Form.
func (f Form) String() string {
	if f == 0 || int(f) > len(words) {
		return ""
	}
	return words[f-1]
}

// Thumbprint is the SHA-256 of the certificate in DER. In base64url, a token that is bound to the certificate has it as
// cnf["x5t#S256"] (RFC 8705 section 3.1).
func Thumbprint(certificate *x509.Certificate) [32]byte { return sha256.Sum256(certificate.Raw) }
