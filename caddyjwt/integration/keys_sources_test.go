package integration

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// secretWord is "keys secret" with the secret of a key.
func secretWord(key *tokentest.Key) string {
	return "keys secret " + base64.StdEncoding.EncodeToString(key.Secret()) + " base64"
}

// An issuer moves from a shared secret to a key set. Tokens of both are good, until the secret is removed.
func TestAnIssuerMovesFromASecretToAKeySet(t *testing.T) {
	secret, key := tokentest.NewKey(t, "HS256", ""), tokentest.NewKey(t, "ES256", "new")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateForAudience(issuerBlock(as.URL, secretWord(secret), "keys jwks "+as.JWKSURL())))
	old, young := secret.Sign(t, issuedBy(as.URL)), key.Sign(t, issuedBy(as.URL))
	for range 3 { // also from the cache
		s.accepts(old)
		s.accepts(young)
	}
	s.load(gateForAudience(issuerBlock(as.URL, "keys jwks "+as.JWKSURL())))
	s.inForce()
	s.refused(s.get("/", old), http.StatusUnauthorized, "unsupported_algorithm")
	s.accepts(young)
}

// The server of one source is away. That is no reason to refuse tokens of another, nor to call any token bad.
func TestASourceOfKeysThatIsAwayHurtsNoOther(t *testing.T) {
	here, away := tokentest.NewKey(t, "ES256", "here"), tokentest.NewKey(t, "RS256", "away")
	as := tokentest.NewAS(t, tokentest.StartDown(), tokentest.WithKeys(away))
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(here)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, gateForAudience(issuerBlock(as.URL, "keys file "+file, "keys discovery")))
	for range 3 {
		s.accepts(here.Sign(t, issuedBy(as.URL, "jti", "one of many")))
	}
	s.refused(s.get("/", away.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable, "keys_unavailable")
	as.Up()
	eventually(t, "tokens of the server's key pass", func() bool {
		status, err := s.status(away.Sign(t, issuedBy(as.URL)))
		return err == nil && status == http.StatusOK
	})
	s.drain()
	s.accepts(here.Sign(t, issuedBy(as.URL)))
}

// With a secret and public keys for one issuer, nobody can sign with a public key by HMAC, and no key set can bring a
// secret (CVE-2016-5431, RFC 8725 section 3.1).
func TestAttackTwoSourcesOfKeys(t *testing.T) {
	secret, key := tokentest.NewKey(t, "HS256", ""), tokentest.NewKey(t, "RS256", "r1")
	planted := tokentest.NewKey(t, "HS256", "planted")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	as.AnswerJWKS(http.StatusOK, tokentest.JWKSOf(key.JWK(), planted.JWK()))
	s := start(t, gateForAudience(issuerBlock(
		as.URL, secretWord(secret), "keys jwks "+as.JWKSURL(), "algorithms HS256 RS256")))
	for name, good := range map[string]*tokentest.Key{"secret": secret, "key set": key} {
		s.attack(t, "control: a token of the "+name+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(good.Sign(t, issuedBy(as.URL))))
		})
	}
	for _, attack := range tokentest.AlgorithmAttacks(key, asJSON(t, issuedBy(as.URL))) {
		s.attack(t, attack.Name+", with two sources", func(t *testing.T, a *attempt) {
			// HMAC with the public key is not made with the secret. The algorithm itself is allowed here.
			a.cheaply(func() { a.refusedFor(a.present(attack.Token), flaws[attack.Flaw], "invalid_signature") })
		})
	}
	for name, kid := range map[string]string{"its own id": "planted", "no id": "", "the id of a good key": "r1"} {
		s.attack(t, "a secret that the key set brings, under "+name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(planted.WithKID(kid).Sign(t, issuedBy(as.URL))), "invalid_signature")
		})
	}
}

// Sources that cannot stand together do not load.
func TestSourcesOfKeysThatContradictEachOther(t *testing.T) {
	secret := secretWord(tokentest.NewKey(t, "HS256", ""))
	for name, c := range map[string]struct{ lines, want string }{
		"keys none beside others": {"keys none\nintrospect {\nendpoint https://a.example/i\n}\n" + secret,
			"remove one of the two"},
		"the same source twice": {secret + "\n" + secret, "twice"},
		"two documents": {"keys discovery\nkeys discovery https://a.example/.well-known/openid-configuration",
			"keys jwks <url>"},
		"five sources": {strings.Repeat(secret+"\n", 5), "at most 4"},
		"algorithms that leave a source none": {secret + "\nkeys discovery\nalgorithms ES256",
			"none of them is for keys secret"},
		"a public key where the secret belongs": {
			"keys discovery\nkeys secret `" + tokentest.NewKey(t, "RS256", "r").PublicPEM() + "`", "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			gate := gateForAudience(issuerBlock("https://a.example", strings.Split(c.lines, "\n")...))
			_, err := adapt("a.example {\n" + gate + "\n}")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}
