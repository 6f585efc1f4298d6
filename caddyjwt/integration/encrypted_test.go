package integration

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// encrypted is a token that is encrypted for the key, with more members in its header.
func encrypted(t testing.TB, token string, to *tokentest.Key, header ...any) string {
	t.Helper()
	options := (&jose.EncrypterOptions{}).WithContentType("JWT")
	for i := 0; i < len(header); i += 2 {
		options.WithHeader(jose.HeaderKey(header[i].(string)), header[i+1])
	}
	e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: to.Public(), KeyID: to.KID},
		options)
	if err != nil {
		t.Fatal(err)
	}
	object, err := e.Encrypt([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// privateJWKS is a set of private keys for encryption.
func privateJWKS(t testing.TB, keys ...*tokentest.Key) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Private(), KeyID: key.KID, Use: "enc"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An encrypted token is what is inside of it: for the backend, in the log, in memory and for who may not pass.
func TestEncryptedTokens(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	as := tokentest.NewAS(t, tokentest.WithKeys(sign))
	file := writeFile(t, filepath.Join(t.TempDir(), "gate.key"), enc.PrivatePEM())
	s := start(t, gateFor(issuerByJWKS(as, "decrypt {\nkey "+file+" enc\n}"), "require scope read",
		"require header prod bazbar",
		"forward_claims X-User sub", "forward_header X-Company co")+
		"\nrequest_header X-Enc {http.auth.bearer.enc}\nrequest_header X-Alg {http.auth.bearer.alg}\n"+
		"request_header X-Kid {http.auth.bearer.kid}")
	custom := map[string]any{"co": "intersystems", "prod": "bazbar"}
	good := encrypted(t, sign.Sign(t, issuedBy(as.URL, "sub", "zoe", "scope", "read"), custom), enc)
	for range 3 { // the third time it is remembered
		header := s.passed(s.get("/", good)).Header
		for name, want := range map[string]string{
			"X-User": "zoe", "X-Company": "intersystems", "X-Enc": "A256GCM", "X-Alg": "ES256", "X-Kid": "k1",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("the backend sees %q in %s", got, name)
			}
		}
	}
	s.refused(s.get("/", encrypted(t, sign.Sign(t, issuedBy(as.URL, "scope", "read")), enc)), http.StatusForbidden,
		"claim_mismatch")
	s.refused(s.get("/", encrypted(t, sign.Sign(t, issuedBy(as.URL), custom), enc)), http.StatusForbidden,
		"insufficient_scope")
	for _, name := range []string{"other", "enc"} {
		other := tokentest.NewKey(t, "ES256", "other").WithKID(name)
		s.refused(s.get("/", encrypted(t, sign.Sign(t, issuedBy(as.URL, "scope", "read")), other)),
			http.StatusUnauthorized, "decryption_failed")
	}
	if log := s.log(); strings.Contains(log, good[len(good)-40:]) || strings.Contains(log, "PRIVATE") {
		t.Error("the log has a token or a key")
	}
}

// While tokens flow, the key is replaced: nobody is refused who has a token of the server.
func TestEncryptionKeyIsReplaced(t *testing.T) {
	sign := tokentest.NewKey(t, "ES256", "k1")
	before, after := tokentest.NewKey(t, "ES256", "before"), tokentest.NewKey(t, "ES256", "after")
	as := tokentest.NewAS(t, tokentest.WithKeys(sign))
	path := writeFile(t, filepath.Join(t.TempDir(), "keys.json"), privateJWKS(t, before))
	s := start(t, gateFor(issuerByJWKS(as, "decrypt {\nkey "+path+"\n}")))

	var used atomic.Pointer[tokentest.Key] // for which the server encrypts
	used.Store(before)
	var sent, refused atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				token := encrypted(t, sign.Sign(t, issuedBy(as.URL, "jti", strconv.FormatInt(sent.Add(1), 10))), used.Load())
				for range 3 {
					if status, err := s.status(token); err != nil || status != http.StatusOK {
						refused.Add(1)
					}
				}
			}
		})
	}
	progress := func() {
		now := sent.Load()
		eventually(t, "tokens flow", func() bool { return sent.Load() > now+8 })
	}
	passes := func(key *tokentest.Key) bool {
		status, err := s.status(encrypted(t, sign.Sign(t, issuedBy(as.URL)), key))
		return err == nil && status == http.StatusOK
	}
	progress()
	writeFile(t, path, privateJWKS(t, before, after))
	eventually(t, "the new key opens tokens", func() bool { return passes(after) })
	used.Store(after)
	progress()
	old := encrypted(t, sign.Sign(t, issuedBy(as.URL)), before)
	for range 2 { // it is remembered
		if status, err := s.status(old); err != nil || status != http.StatusOK {
			t.Errorf("an old token: %d, %v", status, err)
		}
	}
	writeFile(t, path, privateJWKS(t, after))
	eventually(t, "the old key opens nothing any more", func() bool { return !passes(before) })
	progress()
	close(stop)
	clients.Wait()
	if n := refused.Load(); n != 0 || sent.Load() < 24 {
		t.Errorf("%d of %d requests were refused", n, 3*sent.Load())
	}
	s.drain()
	s.refused(s.get("/", old), http.StatusUnauthorized, "decryption_failed")
}

// Answers of authorization servers may be encrypted, too, if what is inside is signed (RFC 9701 section 5, OpenID
// Connect Core 1.0 section 5.3.2).
func TestEncryptedAnswers(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", "signed"), tokentest.NewKey(t, "ES256", "enc")
	mallory := tokentest.NewKey(t, "ES256", "mallory").WithKID("signed")
	decrypt := "decrypt {\nkey " + writeFile(t, filepath.Join(t.TempDir(), "key"), enc.PrivatePEM()) + " enc\n}"
	as := introspector(t, tokentest.WithKeys(sign))
	answer := func(by, to *tokentest.Key, header ...any) string {
		payload := map[string]any{"iss": as.URL, "aud": "gateway", "iat": time.Now().Unix(),
			"token_introspection": active().Claims}
		return encrypted(t, by.Sign(t, payload, map[string]any{"typ": "token-introspection+jwt"}), to, header...)
	}
	says := func(text string) {
		as.Introspect(always(tokentest.IntrospectionAnswer{Body: text, ContentType: "application/token-introspection+jwt"}))
	}
	s := start(t, gateForAudience(introspecting(as, "opaque", "signed", "negative_ttl 0s"), ""))
	says(answer(sign, enc))
	if a := s.get("/", "without-a-key"); a.StatusCode != http.StatusBadGateway {
		t.Errorf("without decrypt: %d", a.StatusCode)
	}
	s = start(t, gateForAudience(strings.Replace(introspecting(as, "opaque", "signed", "negative_ttl 0s"), "{\n",
		"{\n"+decrypt+"\n", 1)))
	says(answer(sign, enc))
	s.accepts("good")
	for name, text := range map[string]string{
		"for-another-key": answer(sign, mallory.WithKID("enc")), "of-another": answer(mallory, enc),
		"unsigned": encrypted(t, `{"active":true}`, enc), "twice": encrypted(t, answer(sign, enc), enc),
		"repeating": answer(sign, enc, "iss", "https://other.example"),
	} {
		says(text)
		if a := s.get("/", name); a.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}

	users := newUserInfoServer(t)
	s = start(t, gateFor(strings.Replace(users.asked(as, "signed", "client_id portal"), "{\n", "{\n"+decrypt+"\n", 1)))
	user := func(by, to *tokentest.Key) string { return encrypted(t, by.Sign(t, signedUser(as)), to) }
	users.says.Store(&userInfoAnswer{user(sign, enc), asJWT})
	s.accepts("user")
	for name, text := range map[string]string{"a": user(mallory, enc), "b": user(sign, mallory)} {
		users.says.Store(&userInfoAnswer{text, asJWT})
		if a := s.get("/", "user-"+name); a.StatusCode != http.StatusBadGateway {
			t.Errorf("UserInfo %s: %d", name, a.StatusCode)
		}
	}
}

// mint tries what it prints, if the gate opens it.
func TestMintTriesTheEncryptedToken(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", ""), tokentest.NewKey(t, "ES256", "enc")
	private := newFile(t, "private.pem", sign.PrivatePEM())
	config := caddyfileFor(t, "audience any", "issuer "+issuerHere+" {",
		"keys file "+newFile(t, "public.pem", sign.PublicPEM()),
		"decrypt {", "key "+newFile(t, "enc.pem", enc.PrivatePEM())+" enc", "required", "}", "}")
	args := []string{"--config", config, "--issuer", issuerHere, "--private-key", private}
	if _, err := mint(args...); err == nil || !strings.Contains(err.Error(), "not_encrypted") ||
		!strings.Contains(err.Error(), "--encrypt-to") {
		t.Error(err)
	}
	other := newFile(t, "other.pem", tokentest.NewKey(t, "ES256", "other").PublicPEM())
	_, err := mint(append(args, "--encrypt-to", other)...)
	if err == nil || !strings.Contains(err.Error(), "decryption_failed") {
		t.Error(err)
	}
	token, err := mint(append(args, "--encrypt-to", newFile(t, "to.pem", enc.PublicPEM()), "--encrypt-kid", "enc",
		"--header", "co=intersystems")...)
	if err != nil || strings.Count(token, ".") != 4 {
		t.Fatalf("%q, %v", token, err)
	}
	out, status := explain(t, token, "--config", config, "-")
	for _, want := range []string{
		"alg ECDH-ES", "enc A256GCM", "kid enc", `algorithm: "ES256"`, "intersystems", "decryption",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("explain does not show %q (%d):\n%s", want, status, out)
		}
	}
	if strings.Contains(out, "PRIVATE") {
		t.Error("explain shows a private key")
	}
}
