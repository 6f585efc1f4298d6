package integration

import (
	"bufio"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// thumbprintOf is the thumbprint of a JWK (RFC 7638), as another library computes it.
func thumbprintOf(t *testing.T, jwk jose.JSONWebKey) string {
	t.Helper()
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// bindingOf is the claim cnf of a token.
func bindingOf(t *testing.T, token string) map[string]any {
	t.Helper()
	_, payload := parts(t, token)
	cnf, _ := payload["cnf"].(map[string]any)
	return cnf
}

// sentWith reads the header lines that the command has printed, as they would arrive.
func sentWith(t *testing.T, printed string) (token, proof string) {
	t.Helper()
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(printed + "\r\n\r\n"))).ReadMIMEHeader()
	token, isDPoP := strings.CutPrefix(header.Get("Authorization"), "DPoP ")
	if err != nil || !isDPoP || len(header) != 2 || strings.Count(printed, "\n") != 1 {
		t.Fatalf("%q: %v", printed, err)
	}
	return token, header.Get("DPoP")
}

// provenBy verifies a proof with the key in its header, and returns that key and the claims.
func provenBy(t *testing.T, proof string) (key jose.JSONWebKey, claims map[string]any) {
	t.Helper()
	parsed, err := jwt.Parse(proof, func(token *jwt.Token) (any, error) {
		text, err := json.Marshal(token.Header["jwk"])
		if err == nil {
			err = key.UnmarshalJSON(text)
		}
		return key.Key, err
	})
	if err != nil || parsed.Header["typ"] != "dpop+jwt" || !key.IsPublic() {
		t.Fatalf("%s: %v", proof, err)
	}
	return key, parsed.Claims.(jwt.MapClaims)
}

// The keys of clients, in every form in which a client may have them.
func clientKeys(t *testing.T) map[string]*tokentest.Key {
	t.Helper()
	keys := make(map[string]*tokentest.Key)
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256"} {
		key := tokentest.NewKey(t, alg, "client")
		jwk := asJSON(t, jose.JSONWebKey{Key: key.Private()})
		keys[newFile(t, "client.pem", key.PrivatePEM())] = key
		keys[newFile(t, "client.json", "\n"+jwk)] = key
	}
	rsa := tokentest.NewKey(t, "RS256", "client").WithAlg("PS256")
	keys[newFile(t, "client.json", asJSON(t, jose.JSONWebKey{Key: rsa.Private(), Algorithm: "PS256", KeyID: "k"}))] = rsa
	return keys
}

func TestMintBindsATokenToAKey(t *testing.T) {
	config := caddyfileFor(t, "proof dpop", "audience any", bobWithASecret, issuerOf())
	for file, key := range clientKeys(t) {
		want := thumbprintOf(t, jose.JSONWebKey{Key: key.Public()})
		for _, whose := range [][]string{{"--consumer", "bob"}, {"--issuer", issuerHere}} {
			args := append([]string{"--config", config, "--dpop-key", file}, whose...)
			token, err := mint(args...)
			if err != nil {
				t.Fatalf("%s: %v", key.Alg, err)
			}
			if cnf := bindingOf(t, token); len(cnf) != 1 || cnf["jkt"] != want {
				t.Errorf("%s, %v: cnf %v, want the jkt %s", key.Alg, whose, cnf, want)
			}
			printed, err := mint(append(args, "--dpop-proof", "GET https://api.example.com/things?a=b#c")...)
			if err != nil {
				t.Fatalf("%s: %v", key.Alg, err)
			}
			token, proof := sentWith(t, printed)
			used, claims := provenBy(t, proof)
			header, _ := parts(t, proof)
			if cnf := bindingOf(t, token); cnf["jkt"] != want || thumbprintOf(t, used) != want || header["alg"] != key.Alg {
				t.Errorf("%s: cnf %v, proof by %s with %v", key.Alg, cnf, thumbprintOf(t, used), header["alg"])
			}
			if claims["htu"] != "https://api.example.com/things" {
				t.Errorf("%s: htu %v", key.Alg, claims["htu"])
			}
		}
	}
}

// Without a key of the client's own, one is made. It is another one each time.
func TestMintMakesAProof(t *testing.T) {
	config := caddyfileFor(t, "proof dpop", bobWithASecret)
	args := []string{"--config", config, "--consumer", "bob", "--dpop-proof", "POST http://localhost:8080/a%20b",
		"--dpop-nonce", "eyJ7S_zG.eyJH0-Z.HX4w-7v"}
	var keys, ids []any
	for range 2 {
		started := time.Now().Unix()
		printed, err := mint(args...)
		if err != nil {
			t.Fatal(err)
		}
		token, proof := sentWith(t, printed)
		key, claims := provenBy(t, proof)
		sum := sha256.Sum256([]byte(token))
		for name, want := range map[string]any{
			"htm": "POST", "htu": "http://localhost:8080/a%20b", "ath": base64.RawURLEncoding.EncodeToString(sum[:]),
			"nonce": "eyJ7S_zG.eyJH0-Z.HX4w-7v",
		} {
			if claims[name] != want {
				t.Errorf("%s is %v, want %v", name, claims[name], want)
			}
		}
		if iat, _ := claims["iat"].(float64); int64(iat) < started || int64(iat) > time.Now().Unix() {
			t.Errorf("iat %v", claims["iat"])
		}
		if bindingOf(t, token)["jkt"] != thumbprintOf(t, key) {
			t.Errorf("cnf %v, proof by %s", bindingOf(t, token), thumbprintOf(t, key))
		}
		keys, ids = append(keys, thumbprintOf(t, key)), append(ids, claims["jti"])
	}
	if keys[0] == keys[1] || ids[0] == ids[1] {
		t.Errorf("keys %v, ids %v", keys, ids)
	}
}

// The proof is for the token that is sent, which is the encrypted one.
func TestMintMakesAProofForAnEncryptedToken(t *testing.T) {
	config := caddyfileFor(t, "proof dpop", bobWithASecret)
	printed, err := mint("--config", config, "--consumer", "bob", "--dpop-proof", "GET http://x/", "--encrypt-to",
		newFile(t, "to.pem", tokentest.NewKey(t, "ES256", "sealed").PublicPEM()))
	if err != nil {
		t.Fatal(err)
	}
	token, proof := sentWith(t, printed)
	sum := sha256.Sum256([]byte(token))
	if _, claims := provenBy(t, proof); strings.Count(token, ".") != 4 ||
		claims["ath"] != base64.RawURLEncoding.EncodeToString(sum[:]) {
		t.Errorf("ath %v of %s", claims["ath"], token)
	}
}

func TestMintBindsATokenToACertificate(t *testing.T) {
	config := caddyfileFor(t, "proof any", bobWithASecret)
	authority := tokentest.NewAuthority(t, "authority")
	key := tokentest.NewKey(t, "RS256", "client")
	client := authority.Certify(t, "client", key)
	sum := sha256.Sum256(client.Raw)
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	for name, text := range map[string]string{
		"a certificate":   tokentest.PEMOf(client),
		"a chain":         tokentest.PEMOf(client, authority),
		"a key before it": key.PrivatePEM() + tokentest.PEMOf(client),
		"text before it":  "my certificate\n" + tokentest.PEMOf(client),
	} {
		args := []string{"--config", config, "--consumer", "bob", "--client-cert", newFile(t, "client.pem", text)}
		token, err := mint(args...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if cnf := bindingOf(t, token); len(cnf) != 1 || cnf["x5t#S256"] != want {
			t.Errorf("%s: cnf %v, want %s", name, cnf, want)
		}
		token, err = mint(append(args, "--dpop-key", newFile(t, "key.pem", key.PrivatePEM()))...)
		if err != nil || len(bindingOf(t, token)) != 2 {
			t.Errorf("%s, and a key: %v, %v", name, token, err)
		}
	}
}

func TestMintRefusesBindingsThatItCannotMake(t *testing.T) {
	ec := tokentest.NewKey(t, "ES256", "client")
	pemFile := newFile(t, "key.pem", ec.PrivatePEM())
	noCertificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	jwk := func(key any, alg string) string {
		return newFile(t, "key.json", asJSON(t, jose.JSONWebKey{Key: key, Algorithm: alg}))
	}
	private := ec.Private()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a nonce alone":       {[]string{"--dpop-nonce", "x"}, "give the request with --dpop-proof"},
		"a nonce and a key":   {[]string{"--dpop-nonce", "x", "--dpop-key", pemFile}, "give the request with --dpop-proof"},
		"no key file":         {[]string{"--dpop-key", "/does/not/exist"}, "--dpop-key: open /does/not/exist"},
		"a public key":        {[]string{"--dpop-key", newFile(t, "k.pem", ec.PublicPEM())}, "is not a private key"},
		"a public JWK":        {[]string{"--dpop-key", jwk(ec.Public(), "")}, "the JWK is not a private key"},
		"a secret":            {[]string{"--dpop-key", jwk([]byte("secret"), "")}, "the JWK is not a private"},
		"no JWK":              {[]string{"--dpop-key", newFile(t, "k.json", "{}")}, "not a JWK"},
		"no JSON":             {[]string{"--dpop-key", newFile(t, "k.json", "{")}, "not a JWK"},
		"rubbish":             {[]string{"--dpop-key", newFile(t, "k.pem", "x")}, "no PEM block"},
		"a JWK to encrypt":    {[]string{"--dpop-key", jwk(private, "ECDH-ES")}, "ECDH-ES"},
		"a JWK for others":    {[]string{"--dpop-key", jwk(private, "RS256")}, "--dpop-key"},
		"no URL":              {[]string{"--dpop-proof", "GET"}, "expected a method and a URL"},
		"no method":           {[]string{"--dpop-proof", "https://localhost/"}, "expected a method and a URL"},
		"no method, a blank":  {[]string{"--dpop-proof", " https://localhost/"}, "expected a method and a URL"},
		"a path":              {[]string{"--dpop-proof", "GET /things"}, `"/things" is not the URL of a request`},
		"another scheme":      {[]string{"--dpop-proof", "GET ftp://localhost/"}, "is not the URL of a request"},
		"a user":              {[]string{"--dpop-proof", "GET https://me@localhost/"}, "is not the URL of a request"},
		"a version":           {[]string{"--dpop-proof", "GET https://localhost/ HTTP/1.1"}, "is not the URL of a request"},
		"a method with a dot": {[]string{"--dpop-proof", "G.T https://localhost/"}, `"G.T" is not a method`},
		"no certificate file": {[]string{"--client-cert", "/does/not/exist"}, "--client-cert /does/not/exist"},
		"no certificate":      {[]string{"--client-cert", pemFile}, "there is no certificate in it"},
		"no PEM":              {[]string{"--client-cert", newFile(t, "c.pem", "x")}, "there is no PEM block"},
		"a bad certificate":   {[]string{"--client-cert", newFile(t, "c.pem", noCertificate)}, "--client-cert"},
		"cnf by hand":         {[]string{"--dpop-key", pemFile, "--claim", `cnf={"jkt":"x"}`}, "--claim cnf: --dpop-key"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--config", caddyfileFor(t, bobWithASecret), "--consumer", "bob"}, c.args...)
			out, err := mint(args...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(out, "eyJ") {
				t.Errorf("output %q, error %v; want %q", out, err, c.want)
			}
		})
	}
}

// All else about a bound token is tried on the gate.
func TestMintTriesBoundTokens(t *testing.T) {
	dpop := []string{"--dpop-proof", "GET https://localhost/"}
	clear := []string{"--dpop-proof", "GET http://localhost/"}
	key := tokentest.NewKey(t, "RS256", "client")
	file := newFile(t, "key.pem", key.PrivatePEM())
	certificate := []string{"--client-cert",
		newFile(t, "client.pem", tokentest.PEMOf(tokentest.NewAuthority(t, "authority").Certify(t, "client", key)))}
	for name, c := range map[string]struct {
		gate []string
		args []string
		want string
	}{
		"without a scope":             {[]string{"proof dpop", "require scope read"}, dpop, "insufficient_scope"},
		"where no proof counts":       {nil, dpop, `add "proof dpop"`},
		"a key where no proof counts": {nil, []string{"--dpop-key", file}, `add "proof dpop"`},
		"where certificates count":    {[]string{"proof mtls"}, dpop, `add "proof dpop"`},
		"where no certificate counts": {[]string{"proof dpop"}, certificate, `add "proof mtls"`},
		"bound to nothing":            {[]string{"proof dpop required"}, nil, "bind the token with --dpop-proof"},
		"by hand": {[]string{"proof dpop"}, []string{"--claim", `cnf={"jkt":"x"}`},
			"leave out --claim cnf"},
		"in clear": {[]string{"proof dpop", "require_tls"}, clear, "begins with https"},
		"another algorithm": {[]string{"proof dpop {\nalgorithms ES256\n}"}, []string{"--dpop-key", file},
			"a key that the line \"proof\" allows"},
		"another address": {[]string{"proof dpop", "resource https://api.example.com"}, dpop,
			"with which clients address the gate"},
	} {
		t.Run(name, func(t *testing.T) {
			config := caddyfileFor(t, append(c.gate, bobWithASecret)...)
			out, err := mint(append([]string{"--config", config, "--consumer", "bob"}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(out, "eyJ") {
				t.Errorf("output %q, error %v; want %q", out, err, c.want)
			}
		})
	}
}

// Where a token must be bound, or must come by TLS, the command makes one that the gate accepts.
func TestMintKeepsTheRulesAboutProofs(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "client")
	file := newFile(t, "key.pem", key.PrivatePEM())
	certificate := newFile(t, "client.pem",
		tokentest.PEMOf(tokentest.NewAuthority(t, "authority").Certify(t, "client", key)))
	for name, c := range map[string]struct {
		gate []string
		args []string
	}{
		"a bearer token by TLS": {[]string{"require_tls"}, nil},
		"a proof":               {[]string{"proof dpop required"}, []string{"--dpop-proof", "POST https://x/a?b=c"}},
		"a key":                 {[]string{"proof dpop required"}, []string{"--dpop-key", file}},
		"a key, for a resource": {[]string{"proof dpop required", "resource https://api.example.com"},
			[]string{"--dpop-key", file}},
		"an expired token": {[]string{"proof dpop required"}, []string{"--dpop-key", file, "--lifetime", "-1h"}},
		"a certificate":    {[]string{"proof mtls required", "require_tls"}, []string{"--client-cert", certificate}},
		"a certificate and a key": {[]string{"proof any required"},
			[]string{"--client-cert", certificate, "--dpop-key", file}},
		"a nonce that is not known": {[]string{"proof dpop required {\nnonce 1m\n}"}, []string{"--dpop-key", file}},
		"a token in a form, a key":  {[]string{"token_from form t", "proof dpop required"}, []string{"--dpop-key", file}},
	} {
		t.Run(name, func(t *testing.T) {
			config := caddyfileFor(t, append(c.gate, bobWithASecret)...)
			if out, err := mint(append([]string{"--config", config, "--consumer", "bob"}, c.args...)...); err != nil {
				t.Errorf("output %q, error %v", out, err)
			}
		})
	}
}

// What the command prints, "curl -H @-" sends, and Caddy accepts it once.
func TestMintedProofsPass(t *testing.T) {
	for name, block := range map[string]string{"without nonces": "", "with nonces": " {\nnonce 1m\n}"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, gateFor("proof dpop required"+block, bobWithASecret))
			config := caddyfileFor(t, "proof dpop required"+block, bobWithASecret)
			make := func(more ...string) answer {
				args := append([]string{"--config", config, "--consumer", "bob", "--dpop-proof", "GET " + s.base + "/a"},
					more...)
				printed, err := mint(args...)
				if err != nil {
					t.Fatal(err)
				}
				token, proof := sentWith(t, printed)
				return s.get("/a?b=c", "", "Authorization", "DPoP "+token, "DPoP", proof)
			}
			a := make()
			if block != "" {
				s.refused(a, 401, "nonce_required")
				nonce := a.Header.Get("DPoP-Nonce")
				if nonce == "" {
					t.Fatalf("no DPoP-Nonce: %v", a.Header)
				}
				a = make("--dpop-nonce", nonce)
			}
			got := s.passed(a)
			if got.Header.Get("DPoP") != "" || got.Header.Get("Authorization") != "" {
				t.Errorf("the upstream got %v", got.Header)
			}
		})
	}
}
