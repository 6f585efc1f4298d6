package integration

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// audience is what the issuers of these tests issue tokens for.
const audience = "https://api.example.com"

// claims are good claims for a consumer whose credential key is "alice-key", with changes: name, value pairs; a nil
// value removes.
func claims(changes ...any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{"iss": "alice-key", "sub": "alice", "iat": now, "exp": now + 300}
	for i := 0; i < len(changes); i += 2 {
		name := changes[i].(string)
		if changes[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = changes[i+1]
		}
	}
	return c
}

// issuedBy are good claims of an issuer's token, with changes as in claims.
func issuedBy(issuer string, changes ...any) map[string]any {
	return claims(append([]any{"iss", issuer, "aud", audience}, changes...)...)
}

// hmacKey signs with the secret of the credential in consumerAlice.
func hmacKey(t testing.TB) *tokentest.Key { return tokentest.NewKey(t, "HS256", "") }

// consumerAlice is the block of a consumer whose tokens hmacKey signs.
func consumerAlice(t testing.TB) string {
	return `consumer alice {
			id 42
			custom_id c-42
			groups staff editors
			credential alice-key {
				algorithm HS256
				secret ` + base64.StdEncoding.EncodeToString(hmacKey(t).Secret()) + ` base64
			}
		}`
}

// gateFor wraps lines in a bearer_auth block.
func gateFor(lines ...string) string {
	return "bearer_auth {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}"
}

// gateForAudience is a gate with these blocks for tokens of audience.
func gateForAudience(blocks ...string) string {
	return gateFor(append([]string{"audience " + audience}, blocks...)...)
}

// issuerBlock is an issuer with these lines. Its gate must say the audience (gateForAudience), or one of the lines.
func issuerBlock(issuer string, lines ...string) string {
	return "issuer " + issuer + " {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}"
}

// issuerWithKeys is an issuer of tokens for audience, with a key source and more lines.
func issuerWithKeys(issuer, keys string, lines ...string) string {
	return issuerBlock(issuer, append([]string{"audience " + audience, "keys " + keys}, lines...)...)
}

// issuerByJWKS is an issuer of tokens for audience whose keys are at the server's JWKS URL, with more lines.
func issuerByJWKS(as *tokentest.AS, lines ...string) string {
	return issuerWithKeys(as.URL, "jwks "+as.JWKSURL(), lines...)
}

// issuerByDiscovery is an issuer of tokens for audience whose keys are found by discovery, with more lines.
func issuerByDiscovery(as *tokentest.AS, lines ...string) string {
	return issuerWithKeys(as.URL, "discovery", lines...)
}

// certified is a server with a certificate: an authorization server, or one of package httptest.
type certified interface{ Certificate() *x509.Certificate }

// tlsBlock is the block that makes the gate trust the certificate of a server.
func tlsBlock(t testing.TB, server certified) string {
	return "tls {\nca " + caFile(t, server) + "\n}"
}

// caFile is the path of a file with the certificate of a server.
func caFile(t testing.TB, server certified) string {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), string(text))
}

// gatewaySecret is the secret of the client "gateway". It has characters that client authentication must encode.
const gatewaySecret = "s3cr3t-with-odd-characters:%+&"

// introspecting is an issuer of tokens for audience that is asked about them, with more lines in its introspect block.
// The mode is "opaque" or "always".
func introspecting(as *tokentest.AS, mode string, lines ...string) string {
	return issuerBlock(as.URL, "audience "+audience, "introspect "+mode+" {\n"+strings.Join(append([]string{
		"client_id gateway", "client_secret " + gatewaySecret,
	}, lines...), "\n")+"\n}")
}

// introspector is a server that knows the client of introspecting.
func introspector(t testing.TB, options ...tokentest.Option) *tokentest.AS {
	return tokentest.NewAS(t, append(options, tokentest.WithClient("gateway", gatewaySecret))...)
}

// active is an active answer about a token for audience, with changes as in claims.
func active(changes ...any) tokentest.IntrospectionAnswer {
	members := claims(append([]any{"active", true, "aud", audience, "iss", nil, "iat", nil}, changes...)...)
	return tokentest.IntrospectionAnswer{Claims: members}
}

// always gives the same answer to everything.
func always(answer tokentest.IntrospectionAnswer) func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
	return func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer { return answer }
}

// answering makes a server give the same answer to everything.
func answering(answer tokentest.IntrospectionAnswer) func(*testing.T, *tokentest.AS) {
	return func(_ *testing.T, as *tokentest.AS) { as.Introspect(always(answer)) }
}

// certificate is a self-signed certificate of a key, in PEM, after changes to its template.
func certificate(t testing.TB, key *tokentest.Key, changes ...func(*x509.Certificate)) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificateDER(t, key, changes...)}))
}

// certificateDER is the same in DER.
func certificateDER(t testing.TB, key *tokentest.Key, changes ...func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, change := range changes {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key.Private())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// writeFile writes a file of the test and gives its path.
func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// forged makes a token of three texts of which the last is the signature's bytes.
func forged(header, payload string, signature []byte) string {
	return b64(header) + "." + b64(payload) + "." + b64(string(signature))
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	out, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// splitToken is the signing input and the signature's bytes.
func splitToken(t testing.TB, token string) (input string, signature []byte) {
	t.Helper()
	dot := strings.LastIndexByte(token, '.')
	return token[:dot], unb64(t, token[dot+1:])
}
