package integration

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// jwkWith is the JWK of a key with other members.
func jwkWith(t *testing.T, key *tokentest.Key, members map[string]any) string {
	t.Helper()
	jwk := maps.Clone(key.JWK())
	maps.Copy(jwk, members)
	return asJSON(t, jwk)
}

// The forms in which servers publish their keys, from the network and from a file.
func TestKeysInTheFormsThatServersPublish(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "published")
	bundle := `{"spiffe_sequence":1,"keys":[` +
		jwkWith(t, tokentest.NewKey(t, "ES256", "x509"), map[string]any{"use": "x509-svid"}) + `,` +
		jwkWith(t, key, map[string]any{"use": "jwt-svid"}) + `]}`
	for name, test := range map[string]struct {
		text  string
		lines []string
	}{
		"as .NET writes them": {`{"keys":[` + jwkWith(t, key, map[string]any{
			"oth": []any{}, "key_ops": []any{}, "x5c": []any{}, "d": nil, "k": "",
		}) + `]}`, nil},
		"one key that is no set": {asJSON(t, key.JWK()), nil},
		"a byte order mark":      {"\ufeff" + tokentest.JWKS(key), nil},
		"a SPIFFE bundle":        {bundle, []string{"key_use jwt-svid"}},
	} {
		t.Run(name, func(t *testing.T) {
			as := tokentest.NewAS(t)
			as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, test.text) })
			path := writeFile(t, filepath.Join(t.TempDir(), "keys.json"), test.text)
			block := func(issuer, keys string) string {
				return issuerBlock(issuer, append([]string{"keys " + keys}, test.lines...)...)
			}
			s := start(t, gateForAudience(block(as.URL, "discovery"), block("https://url.example.com", "jwks "+as.JWKSURL()),
				block("https://file.example.com", "file "+path)))
			for _, issuer := range []string{as.URL, "https://url.example.com", "https://file.example.com"} {
				s.accepts(key.Sign(t, issuedBy(issuer)))
			}
		})
	}
}

// Another use is another source: what was accepted before a reload is not any more.
func TestKeyUseCountsAfterAReload(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "use")
	path := writeFile(t, filepath.Join(t.TempDir(), "keys.json"), `{"keys":[`+
		jwkWith(t, key, map[string]any{"use": "jwt-svid"})+`,`+asJSON(t, tokentest.NewKey(t, "ES256", "other").JWK())+`]}`)
	as := tokentest.NewAS(t)
	as.AnswerJWKS(http.StatusOK, `{"keys":[`+jwkWith(t, key, map[string]any{"use": "jwt-svid"})+`,`+
		asJSON(t, tokentest.NewKey(t, "ES256", "other").JWK())+`]}`)
	for name, keys := range map[string]string{"file": "keys file " + path, "jwks": "keys jwks " + as.JWKSURL()} {
		t.Run(name, func(t *testing.T) {
			token := key.Sign(t, issuedBy("https://as.example.com"))
			s := start(t, gateForAudience(issuerBlock("https://as.example.com", keys, "key_use jwt-svid")))
			s.accepts(token)
			s.accepts(token)
			s.load(gateForAudience(issuerBlock("https://as.example.com", keys)))
			s.refused(s.get("/", token), http.StatusUnauthorized, "unknown_key")
			s.load(gateForAudience(issuerBlock("https://as.example.com", keys, "key_use jwt-svid")))
			s.accepts(token)
		})
	}
}

// The 140th key of a set is not taken, and whoever looks for the reason finds it.
func TestWarningForAKeyBeyondTheBound(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "bound")
	jwks := make([]string, 140)
	for i := range jwks {
		jwks[i] = jwkWith(t, key, map[string]any{"kid": fmt.Sprint(i)})
	}
	as := tokentest.NewAS(t)
	as.AnswerJWKS(http.StatusOK, `{"keys":[`+strings.Join(jwks, ",")+`]}`)
	token := key.WithKID("139").Sign(t, issuedBy(as.URL))
	s := start(t, gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	s.refused(s.get("/", token), http.StatusUnauthorized, "unknown_key")
	for _, texts := range [][]string{{`"level":"warn"`, "more keys than max_keys takes", `"keys":100`},
		{"request refused", `"cause":"unknown key: `, "max_keys"}} {
		eventually(t, "the log names the bound", func() bool { return s.logged(texts...) })
	}
	s.load(gateForAudience(issuerBlock(as.URL, "leeway 5s", "max_keys 140")))
	s.accepts(token)
}

// There is one warning about a doubtful secret, without a byte of it.
func TestWarningForDoubtfulSecrets(t *testing.T) {
	const doubtful = "production-9d1f8a3c5e7b42604f8e1a2b"
	s := start(t, gateFor(`issuer https://as.example.com {
			keys secret `+doubtful+`
			audience any
		}
		consumer bob {
			credential bob-key {
				algorithm HS256
				secret `+doubtful+`
			}
		}
		issuer https://asked.example.com {
			audience any
			introspect opaque {
				client_id gateway
				client_secret `+doubtful+`
				auth_method client_secret_jwt
			}
		}
		`+consumerAlice(t)))
	for _, where := range []string{`"issuer":"https://as.example.com"`, `"consumer":"bob"`, `"setting":"client_secret"`} {
		if !s.logged(`"level":"warn"`, "may not be random", "openssl rand -hex 32", where) {
			t.Errorf("no warning about %s", where)
		}
	}
	if log := s.log(); strings.Count(log, "may not be random") != 3 || strings.Contains(log, "9d1f8a3c") {
		t.Errorf("log: %s", log)
	}
}
