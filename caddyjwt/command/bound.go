package command

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/jose"
)

// boundFlags are the flags about the key or the certificate of the client, to which the token is bound, and about a
// proof that the client has that key.
type boundFlags struct {
	keyFile, request, nonce string
	certificateFile         string

	// What the files and the flags say, after read.
	confirmation map[string]string // cnf (RFC 7800 section 3.1); nil for a bearer token
	signer       crypto.Signer     // the key of the client; nil for none
	key          *jose.Key         // its public half
	method       string            // of the request for which there is a proof; empty for none
	address      *url.URL          // of that request
	certificate  *x509.Certificate // of the client; nil for none
}

func (b *boundFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&b.keyFile, "dpop-key", "",
		"File of the client's private key to which the token is bound by DPoP (RFC 9449), RSA, EC or Ed25519: PEM or a JWK")
	flags.StringVar(&b.request, "dpop-proof", "",
		"Prints the header lines of this request, such as \"GET https://localhost/\", with a proof for it; without "+
			"--dpop-key, the key is made for this one proof")
	flags.StringVar(&b.nonce, "dpop-nonce", "", "The nonce of the proof, from the server's field DPoP-Nonce")
	flags.StringVar(&b.certificateFile, "client-cert", "",
		"PEM file of the client's certificate to which the token is bound by mutual TLS (RFC 8705)")
}

// read reads the files, so that their mistakes are found before anything is signed.
func (b *boundFlags) read() error {
	if b.nonce != "" && b.request == "" {
		return errors.New("--dpop-nonce is for a proof: give the request with --dpop-proof \"<METHOD> <URL>\"")
	}
	confirmation := make(map[string]string)
	if b.keyFile != "" || b.request != "" {
		if err := b.readKey(); err != nil {
			return err
		}
		confirmation["jkt"] = thumbprint(b.key.Thumbprint()) // RFC 9449 section 6.1
	}
	if b.request != "" {
		if err := b.readRequest(); err != nil {
			return err
		}
	}
	if b.certificateFile != "" {
		certificate, err := readCertificate(b.certificateFile)
		if err != nil {
			return fmt.Errorf("--client-cert %s: %w", b.certificateFile, err)
		}
		b.certificate = certificate
		confirmation["x5t#S256"] = thumbprint(clientcert.Thumbprint(certificate)) // RFC 8705 section 3.1
	}
	if len(confirmation) > 0 {
		b.confirmation = confirmation
	}
	return nil
}

// readKey reads the client's key, or makes one.
func (b *boundFlags) readKey() error {
	if b.keyFile == "" {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		b.signer = private
		b.key, err = jose.NewPublicKey("", private.Public(), 0)
		return err
	}
	signer, algorithms, err := readClientKey(b.keyFile)
	if err != nil {
		return fmt.Errorf("--dpop-key: %w", err)
	}
	b.signer = signer
	if b.key, err = jose.NewPublicKey("", signer.Public(), algorithms); err != nil {
		return fmt.Errorf("--dpop-key %s: %w", b.keyFile, err)
	}
	return nil
}

// readClientKey reads a private key in PEM, or a JWK. The key is for these algorithms, or, if there are none, for all
// that fit it.
func readClientKey(path string) (crypto.Signer, jose.Algorithms, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		signer, err := readPrivateKey(path)
		return signer, 0, err
	}
	var jwk gojose.JSONWebKey
	if err := json.Unmarshal(text, &jwk); err != nil {
		return nil, 0, fmt.Errorf("%s: not a JWK: %w", path, err)
	}
	signer, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return nil, 0, fmt.Errorf("%s: the JWK is not a private key of an asymmetric kind", path)
	}
	if jwk.Algorithm == "" {
		return signer, 0, nil
	}
	algorithm, ok := jose.ParseAlgorithm(jwk.Algorithm)
	if !ok {
		return nil, 0, fmt.Errorf("%s: %w", path, jose.UnknownAlgorithm(jwk.Algorithm))
	}
	return signer, jose.MakeAlgorithms(algorithm), nil
}

// readRequest reads the method and the URL of the request for which there is a proof.
func (b *boundFlags) readRequest() error {
	method, target, ok := strings.Cut(b.request, " ")
	if !ok || method == "" {
		return fmt.Errorf("--dpop-proof %q: expected a method and a URL, such as \"GET https://localhost/\"", b.request)
	}
	u, err := url.Parse(target)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil,
		strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("--dpop-proof %q: %q is not the URL of a request, such as https://localhost/", b.request, target)
	case strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return fmt.Errorf("--dpop-proof %q: %q is not a method, such as GET", b.request, method)
	}
	b.method, b.address = method, u
	return nil
}

// readCertificate reads the first certificate in a file, which is that of the client.
func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	blocks, err := jose.PEMBlocks(text)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		if block.Type == "CERTIFICATE" { // the private key may be in the same file
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, errors.New("there is no certificate in it")
}

// countsAt refuses a binding that the gate would not let anybody prove.
func (b *boundFlags) countsAt(offline *caddyjwt.Offline) error {
	switch {
	case b.key != nil && !offline.TakesDPoP():
		return errors.New("the gate refuses tokens that are bound by --dpop-key or --dpop-proof, because it takes no DPoP " +
			"proofs: add \"proof dpop\" to its bearer_auth block")
	case b.certificate != nil && !offline.TakesCertificates():
		return errors.New("the gate refuses tokens that are bound by --client-cert, because it looks at no client " +
			"certificates: add \"proof mtls\" to its bearer_auth block, or \"proof any\" for DPoP, too")
	}
	return nil
}

// sent is a request with a token as the client would send it: with a proof, and by a connection with the certificate.
// Without --dpop-proof, it is a GET to the gate.
func (b *boundFlags) sent(offline *caddyjwt.Offline, token string) (*http.Request, error) {
	r := offline.Request(token)
	if b.key != nil {
		var err error
		if r, err = b.withProof(offline, token); err != nil {
			return nil, err
		}
	}
	if b.certificate != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{b.certificate}}
	}
	return r, nil
}

// withProof is a request as a server gets it, with a token and a proof for it.
func (b *boundFlags) withProof(offline *caddyjwt.Offline, token string) (*http.Request, error) {
	method, address := b.method, b.address
	if address == nil {
		base, err := url.Parse(offline.Base())
		if err != nil {
			return nil, err
		}
		method, address = http.MethodGet, base
	}
	target, err := url.ParseRequestURI(address.RequestURI())
	if err != nil {
		return nil, err
	}
	proof, err := b.proof(method, address, token, offline.Now())
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: method, Host: address.Host, URL: target, RequestURI: address.RequestURI(), Body: http.NoBody,
		Header: http.Header{"Authorization": {"DPoP " + token}, "Dpop": {proof}},
	}
	if address.Scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	return r, nil
}

// printed is what the command prints: the token, or the header lines of a request with the token and a proof, in the
// form that "curl -H @-" reads.
func (b *boundFlags) printed(token string, now time.Time) (string, error) {
	if b.method == "" {
		return token, nil
	}
	proof, err := b.proof(b.method, b.address, token, now)
	if err != nil {
		return "", err
	}
	return "Authorization: DPoP " + token + "\nDPoP: " + proof, nil
}

// proof makes a proof for a request with a token (RFC 9449 section 4.2).
func (b *boundFlags) proof(method string, address *url.URL, token string, now time.Time) (string, error) {
	sum := sha256.Sum256([]byte(token))
	claims := jwt.MapClaims{
		"jti": rand.Text(), "htm": method, "htu": withoutQuery(address), "iat": now.Unix(), "ath": thumbprint(sum),
	}
	if b.nonce != "" {
		claims["nonce"] = b.nonce
	}
	algorithm, _, _ := strings.Cut(b.key.Algorithms().String(), " ")
	unsigned, err := unsigned(algorithm, claims)
	if err != nil {
		return "", err
	}
	jwk, err := b.key.JWK()
	if err != nil {
		return "", err
	}
	unsigned.Header["typ"], unsigned.Header["jwk"] = "dpop+jwt", json.RawMessage(jwk)
	return unsigned.SignedString(b.signer)
}

// withoutQuery is a URL without query and fragment: htu has neither (RFC 9449 section 4.2).
func withoutQuery(u *url.URL) string {
	plain := *u
	plain.RawQuery, plain.ForceQuery, plain.Fragment, plain.RawFragment = "", false, "", ""
	return plain.String()
}
