//go:build e2e

package e2e_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The secrets of these clients have characters that need encoding.
const (
	oddClient    = "odd:client%+/ &id"
	oddSecret    = "secret: 100%+/& ä"
	alicesSecret = "the password of alice"
	otherAPI     = "https://other.example.com"
)

// oauthClient is a client of the issuer. Its members are those of clients/speaks.js.
type oauthClient struct {
	ID          string            `json:"id"`
	Method      string            `json:"method"`
	Secret      string            `json:"secret,omitempty"`
	Key         string            `json:"key,omitempty"`
	Algorithm   string            `json:"algorithm,omitempty"`
	Certificate *certificateFiles `json:"certificate,omitempty"`
}

// issuer is a Caddy process with a token_issuer, which clients reach over TLS.
type issuer struct {
	*gate
	name    string // its address, too
	clients map[string]*oauthClient
	http    *http.Client
	idp     *tokentest.Key // of another issuer, whose tokens clients hand in
}

// otherIssuer is the name of that one.
const otherIssuer = "https://idp.example.com"

// ofOtherIssuer is a token of it for an audience. It is good for a quarter of an hour.
func (i *issuer) ofOtherIssuer(t *testing.T, audience string) string {
	t.Helper()
	now := time.Now().Unix()
	token := i.idp.Sign(t, map[string]any{
		"iss": otherIssuer, "sub": "carol", "aud": audience, "iat": now, "exp": now + 900, "jti": rand.Text(),
	})
	i.hides(token)
	return token
}

// startIssuer runs one that asks clients for certificates in one of Caddy's modes. Its user is alice, and the path of
// its application is /orders/.
func startIssuer(t *testing.T, mode string) *issuer {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	// With client_auth, Caddy takes requests only for the name that the handshake had, and an address is no name.
	i := &issuer{name: "https://localhost:" + port, clients: map[string]*oauthClient{
		"basic": {ID: "basic", Method: "client_secret_basic", Secret: oddSecret},
		"post":  {ID: "post", Method: "client_secret_post", Secret: oddSecret},
		"odd":   {ID: oddClient, Method: "client_secret_basic", Secret: oddSecret},
		"app":   {ID: "/orders/", Method: "none"},
		"asker": {ID: "asker", Method: "client_secret_basic", Secret: oddSecret},

		"sealed": {ID: "sealed", Method: "client_secret_basic", Secret: oddSecret},
		"trader": {ID: "trader", Method: "client_secret_post", Secret: oddSecret},

		"wrong secret":        {ID: "basic", Method: "client_secret_basic", Secret: "wrong"},
		"wrong posted secret": {ID: "basic", Method: "client_secret_post", Secret: "wrong"},
		"nobody":              {ID: "nobody", Method: "client_secret_basic", Secret: oddSecret},
		"no application":      {ID: "/invoices/", Method: "none"},
	}}
	server := certificateFiles{filepath.Join(t.TempDir(), "server.pem"), filepath.Join(t.TempDir(), "server.key")}
	template := &x509.Certificate{
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if err := provider.identity.sign(template, server.Cert, server.Key); err != nil {
		t.Fatal(err)
	}
	blocks := i.withExchange(t) + i.withSecrets(t) + i.withKeys(t) + i.withCertificates(t)
	store := "bearer_auth {\n store file " + filepath.Join(t.TempDir(), "store") + "\n}"
	i.gate = startSitesWith(t, store, func(socket, backend string) string {
		return fmt.Sprintf(`http:// {
	bind unix/%s
}
%s {
	bind 127.0.0.1
	tls %s %s {
		client_auth {
			mode %s
			%s
		}
	}
	log
	token_issuer %[2]s {
		user alice %[7]s
		app /orders/ {
			audience %[8]s
		}
		default_audience %[8]s
		%[9]s
	}
	bearer_auth {
		issuer %[2]s {
			keys local
		}
		audience %[8]s
		forward_claims X-Client client_id
	}
	reverse_proxy %[10]s
}
`, socket, i.name, server.Cert, server.Key, mode, trustedIn(mode), hashed(t, alicesSecret),
			api, blocks, backend)
	})
	eventually(t, "the issuer has started", func() bool { // soon after Caddy listens
		return strings.Contains(i.log.String(), "token issuer has started")
	})
	i.http = overAuthority(t)
	return i
}

// trustedIn names the authority of clients in the modes that need one.
func trustedIn(mode string) string {
	if mode == "request" {
		return ""
	}
	return "trust_pool file " + provider.identity.ca
}

// overAuthority is a client that trusts the authority of these tests.
func overAuthority(t *testing.T) *http.Client {
	t.Helper()
	authority, err := os.ReadFile(provider.identity.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// clientBlock is a client of the configuration.
func clientBlock(id string, lines ...string) string {
	return "client `" + id + "` {\n" + strings.Join(lines, "\n") + "\n}\n"
}

// mayHave is what all clients may have.
const mayHave = "scopes read write\naudience " + api + " " + otherAPI

func (i *issuer) withSecrets(t *testing.T) (blocks string) {
	t.Helper()
	secret := "secret_hash " + hashed(t, oddSecret)
	for _, name := range []string{"basic", "post", "odd"} {
		blocks += clientBlock(i.clients[name].ID, secret, mayHave)
	}
	return blocks + clientBlock("asker", secret, "introspect "+api) +
		clientBlock("stranger", secret, "introspect "+otherAPI)
}

// withExchange adds a client that exchanges tokens, and one with opaque tokens.
func (i *issuer) withExchange(t *testing.T) string {
	t.Helper()
	i.idp = tokentest.NewKey(t, "ES256", "idp")
	file := filepath.Join(t.TempDir(), "idp.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(i.idp)), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := "secret_hash " + hashed(t, oddSecret)
	return fmt.Sprintf("issuer %s {\nkeys file %s\nmax_lifetime 1h\n}\n", otherIssuer, file) +
		clientBlock("sealed", secret, mayHave, "token opaque") +
		clientBlock("trader", secret, "audience "+api,
			"exchange from "+i.name+" {\nsubject_audience "+api+"\nscopes read\n}",
			"exchange from "+otherIssuer+" {\nsubject_audience "+api+"\nscopes read write\nsubject_prefix idp:\n}",
			"exchange from "+otherIssuer+" {\ngrant jwt_bearer\nscopes read\nsubject_prefix idp:\n}")
}

// withKeys adds clients that sign with keys of tokentest, and one that signs with the key of another client.
func (i *issuer) withKeys(t *testing.T) (blocks string) {
	t.Helper()
	for _, algorithm := range []string{"ES256", "RS256", "PS256"} {
		key := tokentest.NewKey(t, algorithm, "client")
		file := filepath.Join(t.TempDir(), "client.pem")
		if err := os.WriteFile(file, []byte(key.PublicPEM()), 0o600); err != nil {
			t.Fatal(err)
		}
		i.clients[algorithm] = &oauthClient{
			ID: "signs-" + algorithm, Method: "private_key_jwt", Key: key.PrivatePEM(), Algorithm: algorithm,
		}
		blocks += clientBlock("signs-"+algorithm, "public_key "+file, mayHave)
	}
	wrong := *i.clients["ES256"]
	wrong.Key = tokentest.NewKey(t, "ES256", "another").PrivatePEM()
	i.clients["wrong key"] = &wrong
	return blocks
}

// withCertificates adds a client of the authority, and one whose certificate it has signed itself.
func (i *issuer) withCertificates(t *testing.T) string {
	t.Helper()
	signed, own := newCertificates(t, false), newCertificates(t, true)
	add := func(name, id, method string, files certificateFiles) {
		i.clients[name] = &oauthClient{ID: id, Method: method, Certificate: &files}
	}
	add("certificate", "certificate", signedByCA, signed["own"])
	add("renewed certificate", "certificate", signedByCA, signed["renewed"])
	add("self-signed", "self-signed", selfSigned, own["own"])
	add("self-signed anew", "self-signed", selfSigned, own["renewed"])
	add("another self-signed", "self-signed", selfSigned, own["other"])
	add("self-signed for the name", "certificate", signedByCA, own["own"])
	i.clients["no certificate"] = &oauthClient{ID: "certificate", Method: signedByCA}
	i.clients["no pinned certificate"] = &oauthClient{ID: "self-signed", Method: selfSigned}
	return clientBlock("certificate", "tls_client_auth san_dns caller.example.com", mayHave) +
		clientBlock("self-signed", "tls_client_auth spki_sha256 "+pinOf(t, own["own"].Cert), mayHave)
}

// pinOf is the SHA-256 of the public key of a certificate.
func pinOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// clientStep is what a client does, and what its library must report. Its members are those of clients/speaks.js.
type clientStep struct {
	Do         string            `json:"do"`
	Client     string            `json:"client"`
	Discovery  string            `json:"discovery,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Token      string            `json:"token,omitempty"`
	Save       string            `json:"save,omitempty"`

	want string
}

// speaks has a library do one step after the other.
func (i *issuer) speaks(t *testing.T, library string, tokens map[string]string, steps []clientStep) {
	t.Helper()
	if tokens == nil {
		tokens = make(map[string]string)
	}
	input, err := json.Marshal(map[string]any{
		"library": library, "issuer": i.name, "ca": provider.identity.ca, "clients": i.clients, "steps": steps,
		"tokens": tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	report := slices.DeleteFunc(play(t, "clients/client.js", "speaks", string(input)), func(line string) bool {
		secret, is := strings.CutPrefix(line, "secret ")
		if is {
			i.hides(secret)
		}
		return is
	})
	if len(report) != len(steps) {
		t.Fatalf("%d answers to %d steps:\n%s", len(report), len(steps), strings.Join(report, "\n"))
	}
	for n, s := range steps {
		if report[n] != s.want {
			t.Errorf("step %d, %s of %q with %v %q: %s, want %s", n+1, s.Do, s.Client, s.Parameters, s.Token, report[n], s.want)
		}
	}
}

// hides says that a token must not be in the log.
func (g *gate) hides(tokens ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent = append(g.sent, tokens...)
}

// login has alice sign in.
func (i *issuer) login(t *testing.T) (access, refresh string) {
	t.Helper()
	body := fmt.Sprintf(`{"user": "alice", "password": %q}`, alicesSecret)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.name+"/orders/login", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := i.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var pair ldapPair
	if err := json.NewDecoder(res.Body).Decode(&pair); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", res.StatusCode, err)
	}
	i.hides(pair.Access, pair.Refresh)
	return pair.Access, pair.Refresh
}

// status is that of a request with a token to the issuer's own site.
func (i *issuer) status(t *testing.T, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.name+"/orders/7", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := i.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}
