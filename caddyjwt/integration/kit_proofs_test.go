package integration

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// asymmetric are the algorithms of proofs.
var asymmetric = []string{
	"ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
}

// keyholder is a client with a key, and a token that is bound to it.
type keyholder struct {
	*tokentest.Prover
	token string
}

// jkt binds a token to the key of a client (RFC 9449 section 6.1).
func jkt(p *tokentest.Prover) map[string]any { return map[string]any{"jkt": p.Thumbprint()} }

// newKeyholder is a client with a new key for ES256, and with a token of keptIssuer that the key of the issuer signs.
// The token has changes as in claims.
func newKeyholder(t testing.TB, issuer *tokentest.Key, changes ...any) *keyholder {
	t.Helper()
	p := tokentest.NewProver(t, "ES256")
	return &keyholder{p, issuer.Sign(t, issuedBy(keptIssuer, append([]any{"cnf", jkt(p)}, changes...)...))}
}

// proofGate is a gate for tokens of keptIssuer with these lines.
func proofGate(t testing.TB, issuer *tokentest.Key, lines ...string) string {
	t.Helper()
	return gateForAudience(append([]string{issuerBlock(keptIssuer, pemOf(t, issuer))}, lines...)...)
}

// serving is a Caddyfile with these lines in the global option servers.
func serving(caddyfile string, lines ...string) string {
	return strings.Replace(caddyfile, "persist_config off",
		"persist_config off\n\tservers {\n\t\t"+strings.Join(lines, "\n\t\t")+"\n\t}", 1)
}

// startBehindProxy runs a site whose clients all come through a proxy that Caddy trusts.
func startBehindProxy(t testing.TB, gate string) *site {
	t.Helper()
	s := prepare(t)
	s.loadFile(serving(s.caddyfile(gate), "trusted_proxies_unix"))
	return s
}

// with sends a request with the token of a client and this proof, and with header fields given as name, value pairs.
func (s *site) with(h *keyholder, method, path, proof string, header ...string) answer {
	s.t.Helper()
	return s.do(s.request(method, path, nil, append([]string{
		"Authorization", "DPoP " + h.token, "Dpop", proof,
	}, header...)...))
}

// proves sends GET with the token of a client and a proof for that request. Nonces and other members go into edits.
func (s *site) proves(h *keyholder, path string, edits ...map[string]any) answer {
	s.t.Helper()
	return s.with(h, http.MethodGet, path, h.Proof(s.t, http.MethodGet, s.base+path, h.token, edits...))
}

// provesFor is proves with a proof for another address.
func (s *site) provesFor(h *keyholder, path, address string, header ...string) answer {
	s.t.Helper()
	return s.with(h, http.MethodGet, path, h.Proof(s.t, http.MethodGet, address, h.token), header...)
}

// challengesOf are the parameters of each challenge of an answer, by scheme.
func (s *site) challengesOf(a answer) map[string]map[string]string {
	s.t.Helper()
	found := make(map[string]map[string]string)
	for _, line := range a.Header["Www-Authenticate"] {
		scheme, rest, _ := strings.Cut(line, " ")
		params, err := parseChallenge("Bearer " + rest)
		if err != nil || found[scheme] != nil {
			s.t.Errorf("challenge %q: %v", line, err)
		}
		found[scheme] = params
	}
	return found
}

// blames wants an answer that refuses the proof, or the token that came with it: status 401, this error in the
// challenge of DPoP and none in another, and this reason in the log (RFC 9449 section 7.1).
func (s *site) blames(a answer, code, reason string) {
	s.t.Helper()
	s.refused(a, http.StatusUnauthorized, reason)
	for scheme, params := range s.challengesOf(a) {
		if want := map[string]string{"DPoP": code}[scheme]; params["error"] != want || params["realm"] == "" {
			s.t.Errorf("challenge of %s: %v, want error %q", scheme, params, want)
		}
	}
	if s.challengesOf(a)["DPoP"]["algs"] == "" {
		s.t.Errorf("challenges %q", a.Header["Www-Authenticate"])
	}
}

// provenPass wants a request to have reached the backend, without token and proof.
func (s *site) provenPass(a answer) seen {
	s.t.Helper()
	got := s.passed(a)
	for _, name := range []string{"Authorization", "Dpop"} {
		if values := got.Header[name]; values != nil {
			s.t.Errorf("the backend got %s: %q", name, values)
		}
	}
	return got
}

// x5t binds a token to a certificate (RFC 8705 section 3.1).
func x5t(c *x509.Certificate) map[string]any {
	sum := sha256.Sum256(c.Raw)
	return map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
}
