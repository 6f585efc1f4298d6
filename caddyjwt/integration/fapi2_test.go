package integration

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// overTLS is what the proxy of these tests adds to requests that came to it over TLS.
var overTLS = []string{"X-Forwarded-Proto", "https"}

// startFAPI2 runs a site that keeps the FAPI 2.0 Security Profile, behind a proxy that ends TLS.
func startFAPI2(t *testing.T, issuer *tokentest.Key, lines ...string) *site {
	t.Helper()
	return startBehindProxy(t, proofGate(t, issuer, append([]string{"profile fapi2"}, lines...)...))
}

// secured sends GET with the token of a client and a proof for https.
func (s *site) secured(h *keyholder, path string, header ...string) answer {
	s.t.Helper()
	address, _, _ := strings.Cut("https://gate.test"+path, "?")
	return s.provesFor(h, path, address, append(overTLS[:2:2], header...)...)
}

// FAPI 2.0 Security Profile, section 5.3.4 item 1: access tokens come in the header field Authorization.
func TestFAPI2TakesTokensInTheHeader(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s, client := startFAPI2(t, key), newKeyholder(t, key)
	s.provenPass(s.secured(client, "/"))
	for name, header := range map[string][]string{
		"cookie": {"Cookie", "access_token=" + client.token}, "header": {"X-Access-Token", client.token},
		"Proxy-Authorization": {"Proxy-Authorization", "DPoP " + client.token},
	} {
		a := s.get("/", "", append(header, overTLS...)...)
		if s.refused(a, http.StatusUnauthorized, "missing_token"); t.Failed() {
			t.Fatal(name)
		}
	}
	form := s.request("POST", "/", strings.NewReader("access_token="+client.token), "Content-Type", formType,
		"X-Forwarded-Proto", "https")
	s.refused(s.do(form), http.StatusUnauthorized, "missing_token")
}

// Section 5.3.4 item 2: access tokens do not come in the query.
func TestFAPI2TakesNoTokenInTheQuery(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s, client := startFAPI2(t, key), newKeyholder(t, key)
	proof := client.Proof(t, "GET", "https://gate.test/", client.token)
	for _, header := range [][]string{overTLS, append(overTLS[:2:2], "Dpop", proof)} {
		s.refused(s.get("/?access_token="+client.token, "", header...), http.StatusUnauthorized, "missing_token")
	}
}

// Section 5.3.4 item 3: validity, integrity, expiration and revocation of the token.
func TestFAPI2ChecksTheToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s, client := startFAPI2(t, key, "require scope read"), newKeyholder(t, key, "scope", "read")
	s.provenPass(s.secured(client, "/"))
	with := func(token string) answer { return s.secured(&keyholder{client.Prover, token}, "/") }
	signed := func(changes ...any) string {
		return key.Sign(t, issuedBy(keptIssuer, append([]any{"cnf", jkt(client.Prover), "scope", "read"}, changes...)...))
	}
	s.blames(with(tokentest.FlipSignature(t, client.token)), "invalid_token", "invalid_signature")
	s.blames(with(signed("exp", time.Now().Unix()-60)), "invalid_token", "expired")
	s.blames(with(signed("aud", "https://other.example.com")), "invalid_token", "invalid_audience")
	// Item 4: whether the authorization suffices for the request.
	s.refused(with(signed("scope", "write")), http.StatusForbidden, "insufficient_scope")

	o := newOffice(t)
	o.loadFile(serving(o.kept(o.caddyfile(proofGate(t, key, "profile fapi2", "max_lifetime 1h"))), "trusted_proxies_unix"))
	o.provenPass(o.secured(client, "/"))
	o.revoke("issuer", keptIssuer, "sub", "alice")
	o.blames(o.secured(client, "/"), "invalid_token", "revoked")
}

// Section 5.3.4 item 5: only sender-constrained access tokens, by DPoP or by mutual TLS.
func TestFAPI2TakesOnlySenderConstrainedTokens(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	mine, other := clientsOf(t)
	s := startFAPI2(t, key, "client_cert_header Client-Cert rfc9440")
	client, unbound := newKeyholder(t, key), key.Sign(t, issuedBy(keptIssuer))
	certified := key.Sign(t, issuedBy(keptIssuer, "cnf", x5t(mine.Certificate)))
	shown := func(c *tokentest.Certificate) []string {
		return append(overTLS[:2:2], "Client-Cert", certificateForms(c.Certificate)["rfc9440"])
	}
	s.provenPass(s.secured(client, "/"))
	s.passed(s.get("/", certified, shown(mine)...))
	s.refused(s.get("/", unbound, overTLS...), http.StatusUnauthorized, "proof_required")
	s.refused(s.get("/", unbound, shown(mine)...), http.StatusUnauthorized, "proof_required")
	s.blames(s.secured(&keyholder{client.Prover, unbound}, "/"), "invalid_token", "proof_required")
	s.refused(s.get("/", client.token, overTLS...), http.StatusUnauthorized, "proof_required")
	s.refused(s.get("/", certified, overTLS...), http.StatusUnauthorized, "proof_required")
	s.refused(s.get("/", certified, shown(other)...), http.StatusUnauthorized, "other_key")
	thief := newKeyholder(t, key)
	s.blames(s.secured(&keyholder{thief.Prover, client.token}, "/"), "invalid_token", "other_key")

	s = startFAPI2(t, key, "proof dpop") // one of the two words is enough, and stays required
	s.provenPass(s.secured(client, "/"))
	s.refused(s.get("/", unbound, overTLS...), http.StatusUnauthorized, "proof_required")
	s.refused(s.get("/", certified, shown(mine)...), http.StatusUnauthorized, "proof_required")
}

// Section 5.4.1: JWTs are signed with PS256, ES256 or EdDSA: tokens, and proofs.
func TestFAPI2TakesThreeAlgorithms(t *testing.T) {
	for _, alg := range []string{"PS256", "ES256", "EdDSA", "RS256", "RS512", "PS384", "PS512", "ES384", "ES512"} {
		t.Run(alg, func(t *testing.T) {
			good := alg == "PS256" || alg == "ES256" || alg == "EdDSA"
			key, other := tokentest.NewKey(t, alg, "k1"), tokentest.NewKey(t, "ES256", "k2")
			if other.Alg == alg {
				other = tokentest.NewKey(t, "PS256", "k2")
			}
			as := tokentest.NewAS(t, tokentest.WithTLS(), tokentest.WithKeys(key, other))
			s := startBehindProxy(t, gateFor("profile fapi2", issuerByJWKS(as, tlsBlock(t, as))))
			bound := func(k *tokentest.Key, p *tokentest.Prover) *keyholder {
				return &keyholder{p, k.Sign(t, issuedBy(as.URL, "cnf", jkt(p)))}
			}
			s.provenPass(s.secured(bound(other, tokentest.NewProver(t, "ES256")), "/"))
			token := s.secured(bound(key, tokentest.NewProver(t, "ES256")), "/")
			if good {
				s.provenPass(token)
			} else {
				s.blames(token, "invalid_token", "unsupported_algorithm")
			}
			proof := s.secured(bound(other, tokentest.NewProver(t, alg)), "/")
			if good {
				s.provenPass(proof)
			} else {
				s.blames(proof, "invalid_dpop_proof", "invalid_proof")
			}
			if algs := s.challengesOf(s.get("/", "", overTLS...))["DPoP"]["algs"]; algs != "PS256 ES256 EdDSA Ed25519" {
				t.Errorf("algs %q", algs)
			}
		})
	}
}

// Section 5.2: TLS on the way to the resource.
func TestFAPI2TakesTokensOnlyOverTLS(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s, client := startFAPI2(t, key), newKeyholder(t, key)
	s.provenPass(s.secured(client, "/"))
	for _, header := range [][]string{nil, {"X-Forwarded-Proto", "http"}} {
		s.inClear(s.provesFor(client, "/", "http://gate.test/", header...))
	}
	s = start(t, proofGate(t, key, "profile fapi2"))
	s.inClear(s.provesFor(client, "/", "http://gate.test/"))
}

// Section 5.2, for what the gate asks of servers: TLS as well. What contradicts the profile is an error when the
// configuration loads, and names the line.
func TestFAPI2Contradictions(t *testing.T) {
	names(t)
	key := tokentest.NewKey(t, "ES256", "k1")
	keys := pemOf(t, key)
	as := tokentest.NewAS(t, tokentest.WithHost(keycloakHost), tokentest.WithKeys(key))
	s := prepare(t)
	issuer := issuerBlock(keptIssuer, keys)
	alice := strings.Replace(consumerAlice(t), "groups staff editors", "", 1)
	for name, test := range map[string]struct {
		lines []string
		want  string
		word  string // on the line that the error names
	}{
		"a cookie": {[]string{issuer, "token_from cookie jwt"}, "only from the header Authorization", "token_from"},
		"the query": {[]string{issuer, "token_from query access_token"}, "only from the header Authorization",
			"token_from"},
		"a form":     {[]string{issuer, "token_from form access_token"}, "only from the header Authorization", "token_from"},
		"own header": {[]string{issuer, "token_from header X-Token"}, "only from the header Authorization", "token_from"},
		"a WebSocket": {[]string{issuer, "token_from websocket_protocol"}, "only from the header Authorization",
			"token_from"},
		"one of two": {[]string{issuer, "token_from header Authorization Bearer", "token_from cookie jwt"},
			"only from the header Authorization", "token_from cookie"},
		"proofs by RS256": {[]string{issuer, "proof dpop {\nalgorithms ES256 RS256\n}"}, "remove RS256", "algorithms"},
		"tokens by RS256": {[]string{issuerBlock(keptIssuer, keys, "algorithms ES256 RS256")}, "remove RS256", "algorithms"},
		"a secret":        {[]string{issuer, alice}, "a credential is for HS256", "algorithm HS256"},
		"plain http":      {[]string{issuerByDiscovery(as, "allow_http")}, "remove allow_http", "allow_http"},
		"consumers":       {[]string{issuer, "consumers file /x"}, "write consumer blocks", "consumers file"},
	} {
		t.Run(name, func(t *testing.T) {
			caddyfile := s.caddyfile(gateForAudience(append([]string{"profile fapi2"}, test.lines...)...))
			err := s.in(t).tryLoad(caddyfile)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("loading it: %v, want %q", err, test.want)
			}
			named := regexp.MustCompile(`at Caddyfile:(\d+)$`).FindStringSubmatch(err.Error())
			line := 1 + strings.Count(caddyfile[:strings.Index(caddyfile, test.word)], "\n")
			if named == nil || named[1] != strconv.Itoa(line) {
				t.Errorf("%v names another line than %d", err, line)
			}
		})
	}
	s.load(gateForAudience("profile fapi2", issuer, "proof dpop {\nalgorithms ES256\n}",
		"token_from header Authorization"))
}
