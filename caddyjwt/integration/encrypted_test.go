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

	"github.com/go-jose/go-jose/v4"

	"github.com/caddyjwt/gateway/internal/sealing"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// encrypted is a token that is encrypted for the key.
func encrypted(t testing.TB, token string, to *tokentest.Key) string {
	t.Helper()
	text, err := sealing.Seal(token, sealing.Recipient{Key: to.Public(), KeyID: to.KID})
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
	s := start(t, gateFor(issuerByJWKS(as, "decrypt {\nkey "+file+" enc\n}"), "require scope read", "forward_claims X-User sub"))
	good := encrypted(t, sign.Sign(t, issuedBy(as.URL, "sub", "zoe", "scope", "read")), enc)
	for range 3 {
		if got := s.passed(s.get("/", good)).Header.Get("X-User"); got != "zoe" {
			t.Errorf("the backend sees %q", got)
		}
	}
	s.refused(s.get("/", encrypted(t, sign.Sign(t, issuedBy(as.URL)), enc)), http.StatusForbidden, "insufficient_scope")
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
