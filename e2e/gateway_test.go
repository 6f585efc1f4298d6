//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const api = "https://api.example.com"

// trust is an issuer block with the audience that the tokens of all resources
// but "elsewhere" have.
func trust(issuer string, more ...string) string {
	return fmt.Sprintf("issuer %s {\n audience %s\n %s\n}\n", issuer, api, strings.Join(more, "\n"))
}

func TestTokensOfEveryAlgorithmAndKindOfDiscoveryPass(t *testing.T) {
	issuers := map[string]string{
		"both documents":      provider.Issuer,
		"RFC 8414 only":       provider.OAuthTenant,
		"OpenID Connect only": provider.OIDCTenant,
	}
	var all string
	for _, issuer := range issuers {
		all += trust(issuer, "profile rfc9068")
	}
	g := startGateway(t, all)
	for name, issuer := range issuers {
		for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
			t.Run(name+"/"+algorithm, func(t *testing.T) {
				g.accepts(t, provider.token(t, issuer, algorithm, "read"))
			})
		}
	}
}

func TestTheKeySetMayBeNamedInsteadOfDiscovered(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer, "keys jwks "+provider.Issuer+"/jwks", "algorithms ES256"))
	g.accepts(t, provider.token(t, provider.Issuer, "ES256", "read"))
	g.refuses(t, provider.token(t, provider.Issuer, "RS256", "read"), http.StatusUnauthorized, "invalid_token")
}

func TestTheBackendLearnsTheIdentityFromTheGatewayAlone(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer)+`
		forward_claims X-Client client_id
		forward_claims X-Roles realm_access.roles
		forward_claims X-Department https://example.com/department`)
	token := provider.token(t, provider.Issuer, "ES256", "read")

	_, seen := g.get(t, token, func(r *http.Request) {
		r.Header["X-Client"] = []string{"root", "admin"}
		r.Header["x_client"] = []string{"root"}
		r.Header.Set("X-Consumer-Username", "root")
		r.Header.Set("Connection", "X-Client, X-Department")
	})
	if seen == nil {
		t.Fatal("the request did not reach the backend")
	}
	for name, want := range map[string]string{
		"X-Client":            "caller",
		"X-Roles":             "reader,writer",
		"X-Department":        "logistics",
		"X-Consumer-Username": "",
		"X_client":            "",
		"Authorization":       "",
	} {
		if got := strings.Join(seen.Header.Values(name), " | "); got != want {
			t.Errorf("%s: %q at the backend, want %q", name, got, want)
		}
	}
	for name, values := range seen.Header {
		if strings.Contains(strings.Join(values, ""), token) {
			t.Errorf("the backend got the token, in %s", name)
		}
	}
}

func TestARequestWithoutATokenIsChallenged(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer))
	res := g.refuses(t, "", http.StatusUnauthorized, "")
	if challenge := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") {
		t.Errorf("challenge %q, want Bearer", challenge)
	}
}

func TestTokensThatAreNotForThisGatewayAreRefused(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer))
	t.Run("another audience", func(t *testing.T) {
		g.refuses(t, provider.token(t, provider.Issuer, "elsewhere", "read"), http.StatusUnauthorized, "invalid_token")
	})
	// The same server and the same keys, but not the issuer that we trust.
	t.Run("another issuer", func(t *testing.T) {
		g.refuses(t, provider.token(t, provider.OIDCTenant, "ES256", "read"), http.StatusUnauthorized, "invalid_token")
	})
	t.Run("opaque, without introspection", func(t *testing.T) {
		g.refuses(t, provider.token(t, provider.Issuer, "opaque", "read"), http.StatusUnauthorized, "invalid_token")
	})
}

func TestATamperedTokenIsRefused(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer))
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		token := provider.token(t, provider.Issuer, algorithm, "read")
		g.accepts(t, token) // also so that a cache cannot mistake one for the other
		parts := strings.Split(token, ".")
		for i, part := range []string{"header", "payload", "signature"} {
			t.Run(algorithm+"/"+part, func(t *testing.T) {
				changed := append([]string(nil), parts...)
				changed[i] = flip(changed[i])
				g.refuses(t, strings.Join(changed, "."), http.StatusUnauthorized, "invalid_token")
			})
		}
	}
}

// flip changes one character in the middle of a part, keeping to the alphabet.
func flip(part string) string {
	text := []byte(part)
	if i := len(text) / 2; text[i] == 'A' {
		text[i] = 'B'
	} else {
		text[i] = 'A'
	}
	return string(text)
}

func TestATokenIsRefusedOnceItHasExpired(t *testing.T) {
	t.Parallel()
	g := startGateway(t, trust(provider.Issuer, "leeway 0s"))
	long := provider.token(t, provider.Issuer, "ES256", "read")
	g.accepts(t, long) // has the keys fetched, which could take longer than the short token lives
	short := provider.token(t, provider.Issuer, "short", "read")
	g.accepts(t, short)
	eventually(t, "the token, seen and accepted before, is refused", func() bool {
		res, _ := g.get(t, short)
		return res.StatusCode == http.StatusUnauthorized
	})
	g.refuses(t, short, http.StatusUnauthorized, "invalid_token")
	g.accepts(t, long)
}

func TestARouteAsksForItsScope(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer)+"require scope write\n")
	res := g.refuses(t, provider.token(t, provider.Issuer, "ES256", "read"), http.StatusForbidden, "insufficient_scope")
	if challenge := res.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `scope="write"`) {
		t.Errorf("challenge %q, want it to name the scope", challenge)
	}
	g.accepts(t, provider.token(t, provider.Issuer, "ES256", "read write"))
}

func TestKeysRotateWithoutARestart(t *testing.T) {
	t.Parallel()
	as := ownProvider(t)
	g := startGateway(t, trust(as.Issuer))
	old := as.token(t, as.Issuer, "ES256", "read")
	g.accepts(t, old)

	// A token with an unknown key makes the gateway fetch the key set again, at most every few seconds.
	as.rotate(t)
	renewed := as.token(t, as.Issuer, "ES256", "read")
	eventually(t, "a token of the new key passes", func() bool {
		res, _ := g.get(t, renewed)
		return res.StatusCode == http.StatusOK
	})
	g.accepts(t, old) // its key is still published

	// The old keys are withdrawn. The gateway learns that with the next fetch, for which a third key is the reason.
	as.rotate(t)
	as.retire(t)
	newest := as.token(t, as.Issuer, "ES256", "read")
	eventually(t, "a token of the newest key passes", func() bool {
		res, _ := g.get(t, newest)
		return res.StatusCode == http.StatusOK
	})
	for _, token := range []string{old, renewed} {
		g.refuses(t, token, http.StatusUnauthorized, "invalid_token")
	}
}

func TestWithoutKeysTheGatewaySaysThatItIsNotTheTokensFault(t *testing.T) {
	as := ownProvider(t)
	token := as.token(t, as.Issuer, "ES256", "read")
	as.stop()
	g := startGateway(t, trust(as.Issuer))
	if res := g.refuses(t, token, http.StatusServiceUnavailable, ""); res.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
