package tokentest_test

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestTokensVerifyElsewhere(t *testing.T) {
	for _, alg := range []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
		"ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512",
	} {
		key := tokentest.NewKey(t, alg, "k")
		if key != tokentest.NewKey(t, alg, "k") || key == tokentest.NewKey(t, alg, "") {
			t.Errorf("%s: the names do not distinguish the keys", alg)
		}
		token := key.Sign(t, map[string]any{"sub": "alice"}, map[string]any{"typ": nil, "x": 1})
		parsed, err := jwt.Parse(token, func(*jwt.Token) (any, error) {
			if public := key.Public(); public != nil {
				return public, nil
			}
			return key.Secret(), nil
		})
		if err != nil || parsed.Header["kid"] != "k" || parsed.Header["x"] != 1.0 || parsed.Header["typ"] != nil {
			t.Errorf("%s: %v, header %v", alg, err, parsed.Header)
		}
		if _, err := jwt.Parse(tokentest.FlipSignature(t, token), func(*jwt.Token) (any, error) {
			if public := key.Public(); public != nil {
				return public, nil
			}
			return key.Secret(), nil
		}); err == nil {
			t.Errorf("%s: a broken signature verifies", alg)
		}
	}
}

func get(t *testing.T, address string, into any) int {
	t.Helper()
	response, err := http.Get(address)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil && json.Unmarshal(body, into) != nil {
		t.Errorf("%s: %s", address, body)
	}
	return response.StatusCode
}

func TestServerComesAndGoes(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithPath("/realms/demo"), tokentest.StartDown())
	if status := get(t, as.JWKSURL(), nil); status != 0 {
		t.Errorf("while down: %d", status)
	}
	as.Up()
	as.SetKeys(tokentest.NewKey(t, "ES256", "k"))
	for _, address := range []string{
		as.URL + "/.well-known/openid-configuration",
		strings.TrimSuffix(as.URL, "/realms/demo") + "/.well-known/oauth-authorization-server/realms/demo",
	} {
		var document struct {
			Issuer  string
			JWKSURI string `json:"jwks_uri"`
		}
		if status := get(t, address, &document); status != 200 ||
			document.Issuer != as.URL || document.JWKSURI != as.JWKSURL() {
			t.Errorf("%s: %d, %+v", address, status, document)
		}
	}
	var set struct{ Keys []map[string]any }
	if status := get(t, as.JWKSURL(), &set); status != 200 || len(set.Keys) != 1 || as.JWKSFetches() != 1 {
		t.Errorf("%d, %v", status, set)
	}
	as.Down()
	as.Up()
	if status := get(t, as.JWKSURL(), nil); status != 200 {
		t.Errorf("up again: %d", status)
	}
}

func TestIntrospection(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithClient("gateway", "s3cret:&"))
	as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{Claims: map[string]any{"active": r.Token == "good"}}
	})
	ask := func(token, secret string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			as.IntrospectionURL(), strings.NewReader(url.Values{"token": {token}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth("gateway", url.QueryEscape(secret))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}
	if status, body := ask("good", "s3cret:&"); status != 200 || body != `{"active":true}` {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask("bad", "s3cret:&"); status != 200 || body != `{"active":false}` {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := ask("good", "wrong"); status != 401 {
		t.Errorf("a wrong secret: %d", status)
	}
	asked := as.IntrospectionRequests()
	if len(asked) != 3 || asked[0].AuthMethod != "client_secret_basic" ||
		asked[0].ClientID != "gateway" || asked[2].Authenticated {
		t.Errorf("%+v", asked)
	}
}

func TestTLS(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithTLS())
	if !strings.HasPrefix(as.URL, "https://127.0.0.1:") || len(as.CA()) == 0 || len(tokentest.NewAS(t).CA()) != 0 {
		t.Errorf("%s", as.URL)
	}
	if sum := sha256.Sum256(as.Certificate().RawSubjectPublicKeyInfo); sum == [32]byte{} {
		t.Error("no certificate")
	}
}

// A case that has the name of another one may be the same case, and hides it in the output.
func TestNamesOfAttacksAreUnique(t *testing.T) {
	rs, es := tokentest.NewKey(t, "RS256", "r"), tokentest.NewKey(t, "ES256", "e")
	target := tokentest.Target{
		Key: es, Stranger: tokentest.NewKey(t, "ES256", "stranger"), Issuer: "https://as.example",
		Audience: "https://api.example", Now: time.Now(), Trap: "http://127.0.0.1:1",
	}
	for list, attacks := range map[string][]tokentest.Hostile{
		"algorithms": tokentest.AlgorithmAttacks(rs, `{}`), "headers": target.HeaderAttacks(),
		"claims": target.ClaimAttacks(),
	} {
		names := make(map[string]bool)
		for _, attack := range attacks {
			if names[attack.Name] || attack.Flaw == 0 {
				t.Errorf("%s: %q, flaw %d, is there twice or has no flaw", list, attack.Name, attack.Flaw)
			}
			names[attack.Name] = true
		}
		t.Logf("%s: %d attacks", list, len(attacks))
	}
}
