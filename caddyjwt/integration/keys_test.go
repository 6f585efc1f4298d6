package integration

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Every key source through a whole Caddy, all issuers in one gate. The good token of each passes. The same token with
// one changed bit in its signature does not, nor does one of another issuer's key.
func TestKeysOfEverySourceVerify(t *testing.T) {
	long(t)
	dir := t.TempDir()
	type source struct {
		name, issuer string
		key          *tokentest.Key
		lines        []string
		reason       string // when another key of the algorithm signs
	}
	var sources []source
	add := func(name, issuer string, key *tokentest.Key, reason string, lines ...string) {
		sources = append(sources, source{name, issuer, key, lines, reason})
	}
	discovered := func(name, alg, kind string, options ...tokentest.Option) {
		key := tokentest.NewKey(t, alg, "keys-"+strings.ReplaceAll(name, " ", "-"))
		as := tokentest.NewAS(t, append(options, tokentest.WithKeys(key))...)
		as.OnlyMetadata(kind)
		add(name, as.URL, key, "unknown_key")
	}
	discovered("OpenID Connect Discovery", "RS256", tokentest.OIDC)
	discovered("OpenID Connect Discovery, issuer with a path", "ES256", tokentest.OIDC, tokentest.WithPath("/realms/demo"))
	discovered("RFC 8414", "PS256", tokentest.OAuth)
	discovered("RFC 8414, issuer with a path", "EdDSA", tokentest.OAuth, tokentest.WithPath("/realms/demo"))

	named := tokentest.NewKey(t, "ES256", "keys-named")
	as := tokentest.NewAS(t, tokentest.WithKeys(named))
	as.ChangeMetadata(func(document map[string]any) { document["issuer"] = "https://named.example.com" })
	add("discovery at a URL of its own", "https://named.example.com", named, "unknown_key",
		"keys discovery "+as.URL+"/.well-known/openid-configuration")

	jwks := tokentest.NewKey(t, "ES384", "keys-jwks")
	add("jwks", "https://jwks.example.com", jwks, "unknown_key",
		"keys jwks "+tokentest.NewAS(t, tokentest.WithKeys(jwks)).JWKSURL())

	secure := tokentest.NewKey(t, "Ed25519", "keys-tls")
	tlsAS := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithKeys(secure))
	add("discovery over https with a CA of its own", tlsAS.URL, secure, "unknown_key", tlsBlock(t, tlsAS))

	file := tokentest.NewKey(t, "RS512", "keys-file")
	add("file with a JWK set", "https://file.example.com", file, "unknown_key",
		"keys file "+writeFile(t, filepath.Join(dir, "jwks.json"), tokentest.JWKS(file)))
	pemFile := tokentest.NewKey(t, "ES256", "").WithKID("any")
	add("file with PEM", "https://pemfile.example.com", pemFile, "invalid_signature",
		"keys file "+writeFile(t, filepath.Join(dir, "key.pem"), pemFile.PublicPEM()))
	certified := tokentest.NewKey(t, "RS256", "keys-certified").WithKID("")
	add("file with a certificate", "https://certfile.example.com", certified, "invalid_signature",
		"keys file "+writeFile(t, filepath.Join(dir, "cert.pem"), certificate(t, certified)))
	inline := tokentest.NewKey(t, "ES512", "keys-inline").WithKID("")
	add("pem", "https://pem.example.com", inline, "invalid_signature", "keys pem `"+inline.PublicPEM()+"`")
	placed := tokentest.NewKey(t, "ES384", "keys-placed").WithKID("")
	add("pem of a certificate in a placeholder", "https://placed.example.com", placed, "invalid_signature",
		"keys pem {file."+writeFile(t, filepath.Join(dir, "placed.pem"), certificate(t, placed))+"}")
	secret := tokentest.NewKey(t, "HS384", "keys-secret")
	add("secret", "https://secret.example.com", secret, "invalid_signature",
		"keys secret "+base64.StdEncoding.EncodeToString(secret.Secret())+" base64")

	var blocks []string
	for _, source := range sources {
		blocks = append(blocks, issuerBlock(source.issuer, append(source.lines, "leeway 5s")...))
	}
	s := start(t, gateForAudience(blocks...))
	for _, source := range sources {
		t.Run(source.name, func(t *testing.T) {
			s := s.in(t)
			token := source.key.Sign(t, issuedBy(source.issuer))
			flipped := tokentest.FlipSignature(t, token)
			s.refused(s.get("/", flipped), http.StatusUnauthorized, "invalid_signature")
			s.accepts(token)
			s.accepts(token)
			s.refused(s.get("/", flipped), http.StatusUnauthorized, "invalid_signature")
			stranger := tokentest.NewKey(t, source.key.Alg, "keys-stranger")
			s.refusedOrPending(s.get("/", stranger.Sign(t, issuedBy(source.issuer))), source.reason)
			// The issuer's own key, in another issuer's name.
			for _, other := range sources {
				if other.issuer != source.issuer {
					if status, err := s.status(source.key.Sign(t, issuedBy(other.issuer))); err != nil || !unknownKeyStatus(status) {
						t.Errorf("a token of %q signed by %q: status %d, %v", other.name, source.name, status, err)
					}
				}
			}
		})
	}
}

// A certificate authority that is not configured, and a pin of another key: nobody is trusted, and it is not the
// client's fault.
func TestKeysFromAnUnverifiedServerAreNotTaken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "unproven")
	for name, lines := range map[string][]string{
		"unknown authority": nil,
		"wrong pin":         {"tls {", "ca CA", "pin " + base64.StdEncoding.EncodeToString(make([]byte, 32)), "}"},
		"wrong name":        {"tls {", "ca CA", "server_name other.example.net", "}"},
	} {
		t.Run(name, func(t *testing.T) {
			as := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithKeys(key))
			lines := strings.ReplaceAll(strings.Join(append(lines, "leeway 1s"), "\n"), "ca CA", "ca "+caFile(t, as))
			s := start(t, gateForAudience(issuerBlock(as.URL, lines)))
			a := s.get("/", key.Sign(t, issuedBy(as.URL)))
			s.refused(a, http.StatusServiceUnavailable, "keys_unavailable")
			if as.JWKSFetches() != 0 {
				t.Error("the keys of an unproven server were fetched")
			}
		})
	}
}

// A key file replaced while Caddy runs, in each form it may have. A half-written file changes nothing; the whole one
// takes over, and takes back what was accepted, and cached, by the old one.
func TestKeysFileIsReplacedWhileRunning(t *testing.T) {
	long(t)
	dir := t.TempDir()
	type file struct {
		name, issuer, path string
		old, new           *tokentest.Key
		text               func(*tokentest.Key) string
		token              string // of the old key, accepted and cached
	}
	files := []*file{
		{name: "JWK set", text: func(k *tokentest.Key) string { return tokentest.JWKS(k) }},
		{name: "PEM", text: (*tokentest.Key).PublicPEM},
		{name: "certificate", text: func(k *tokentest.Key) string { return certificate(t, k) }},
	}
	var blocks []string
	for i, f := range files {
		f.issuer = fmt.Sprintf("https://file%d.example.com", i)
		f.path = filepath.Join(dir, strconv.Itoa(i))
		f.old, f.new = tokentest.NewKey(t, "ES256", f.name+"-old"), tokentest.NewKey(t, "ES256", f.name+"-new")
		writeFile(t, f.path, f.text(f.old))
		blocks = append(blocks, issuerBlock(f.issuer, "keys file "+f.path))
	}
	s := start(t, gateForAudience(blocks...))
	for _, f := range files {
		f.token = f.old.Sign(t, issuedBy(f.issuer))
		s.accepts(f.token)
		s.accepts(f.token)
		writeFile(t, f.path, f.text(f.new)[:len(f.text(f.new))/2])
	}
	for _, f := range files {
		eventually(t, f.name+": the half-written file is noticed", func() bool {
			return s.logged("refreshing keys is failing", f.path)
		})
		s.accepts(f.token)
		s.accepts(f.old.Sign(t, issuedBy(f.issuer, "jti", "2")))
		if status, err := s.status(f.new.Sign(t, issuedBy(f.issuer))); err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: a token of the half-written key: status %d, %v", f.name, status, err)
		}
	}
	for i, f := range files {
		if i == 0 {
			if err := os.Rename(writeFile(t, f.path+"~", f.text(f.new)), f.path); err != nil {
				t.Fatal(err)
			}
		} else {
			writeFile(t, f.path, f.text(f.new))
		}
	}
	for _, f := range files {
		token := f.new.Sign(t, issuedBy(f.issuer, "jti", "3"))
		eventually(t, f.name+": the new key is used", func() bool {
			status, err := s.status(token)
			return err == nil && status == http.StatusOK
		})
		if status, err := s.status(f.token); err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: the cached token of the removed key: status %d, %v", f.name, status, err)
		}
		if err := os.Remove(f.path); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		eventually(t, f.name+": the loss of the file is noticed", func() bool {
			return s.logged("refreshing keys is failing", f.path, `"no such file or directory"`)
		})
		s.drain()
		s.accepts(f.new.Sign(t, issuedBy(f.issuer, "jti", "4")))
	}
}

// Nothing in a token's header leads the gate to a key: not even a URL of the very server that it trusts.
func TestKeysAreNeverNamedByTheToken(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "trusted"), tokentest.NewKey(t, "ES256", "mallory")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	evil := tokentest.NewAS(t, tokentest.WithKeys(mallory))
	s := start(t, gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	for _, header := range []map[string]any{
		{"jku": evil.JWKSURL()},
		{"jku": evil.JWKSURL(), "kid": "trusted"},
		{"x5u": evil.URL + "/cert"},
		{"jwk": mallory.JWK()},
		{"jwk": mallory.JWK(), "kid": nil},
		{"iss": evil.URL},
	} {
		a := s.get("/", mallory.Sign(t, issuedBy(as.URL), header))
		if !unknownKeyStatus(a.StatusCode) {
			t.Errorf("header %v: status %d", maps.Clone(header), a.StatusCode)
		}
	}
	if evil.JWKSFetches()+evil.MetadataFetches() != 0 {
		t.Error("a server named by a token was asked")
	}
}

// docs/errors.md has a log for refusals, which takes what it includes out of the default log. The messages of key
// sources belong in it, too. A source that outlives reloads writes to the log of the configuration in force.
func TestKeysAreLoggedWhereTheLogIncludesThem(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "told")
	dir := t.TempDir()
	path := writeFile(t, filepath.Join(dir, "key.pem"), key.PublicPEM())
	down, up := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.StartDown()),
		tokentest.NewAS(t, tokentest.WithKeys(key))
	gate := gateForAudience(issuerBlock("https://file.example.com", "keys file "+path), issuerBlock(down.URL),
		issuerBlock(up.URL))
	s := prepare(t)
	load := func(file string) {
		s.loadFile(strings.Replace(s.caddyfile(gate), "storage ",
			"log gate {\n include http.handlers.bearer_auth\n level DEBUG\n output file "+file+"\n}\nstorage ", 1))
	}
	lines := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first, second := filepath.Join(dir, "first.log"), filepath.Join(dir, "second.log")
	load(first)
	if s.get("/", key.Sign(t, issuedBy(down.URL))).StatusCode != http.StatusServiceUnavailable {
		t.Error("the server is not down")
	}
	eventually(t, "the log of the first configuration has it", func() bool {
		return strings.Contains(lines(first), "keys are ready") &&
			strings.Contains(lines(first), "refreshing keys is failing")
	})
	load(second)
	s.passed(s.get("/", key.Sign(t, issuedBy(up.URL))))
	eventually(t, "the log of the second configuration has it", func() bool {
		return strings.Contains(lines(second), "keys are ready")
	})
	if text := s.log(); strings.Contains(text, "keys are ready") {
		t.Errorf("the default log has it, too: %s", text)
	}
}
