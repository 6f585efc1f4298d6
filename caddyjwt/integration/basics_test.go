package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestTokenOpensTheGateAndTheBackendLearnsWhoCalls(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "forward_claims X-Email email"))
	token := hmacKey(t).Sign(t, claims("email", "alice@example.com"))

	got := s.passed(s.get("/orders?a=1", token))

	want := map[string]string{
		"X-Consumer-Id": "42", "X-Consumer-Custom-Id": "c-42", "X-Consumer-Username": "alice",
		"X-Consumer-Groups": "staff,editors", "X-Credential-Identifier": "alice-key", "X-Email": "alice@example.com",
	}
	for name, value := range want {
		if values := got.Header.Values(name); len(values) != 1 || values[0] != value {
			t.Errorf("%s: %q at the upstream, want %q", name, values, value)
		}
	}
	if got.Header.Get("Authorization") != "" {
		t.Error("the token reached the upstream")
	}
	if got.URI != "/orders?a=1" {
		t.Errorf("URI %q at the upstream", got.URI)
	}
}

// Tokens of an issuer that is on the line of bearer_auth open the gate, those for another audience do not.
func TestIssuerAndAudienceOnTheLine(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, "bearer_auth /api/* "+as.URL+" "+audience+" {\n\t\tforward_claims X-User sub\n\t}")
	good := key.Sign(t, issuedBy(as.URL, "aud", audience, "sub", "zoe"))

	if got := s.passed(s.get("/api/orders", good)).Header.Get("X-User"); got != "zoe" {
		t.Errorf("the backend got the user %q", got)
	}
	s.refused(s.get("/api/orders", ""), http.StatusUnauthorized, "missing_token")
	s.refused(s.get("/api/orders", key.Sign(t, issuedBy(as.URL, "aud", "https://else.example", "sub", "zoe"))),
		http.StatusUnauthorized, "invalid_audience")
	s.passed(s.get("/elsewhere", ""))
}

func TestRequestWithoutTokenIsChallenged(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "realm orders", "require scope orders:read orders:write"))

	a := s.get("/", "")

	s.refused(a, http.StatusUnauthorized, "missing_token")
	if got := a.Header.Get("WWW-Authenticate"); got != `Bearer realm="orders", scope="orders:read orders:write"` {
		t.Errorf("challenge %q", got)
	}
}

// The table of what is refused, each through a real Caddy: status, challenge, nothing at the upstream, no part of the
// token in the log.
func TestRefusals(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "audience https://api.example.com", "token_from header Authorization",
		"token_from query jwt", "require scope read", "require group staff"))
	key := hmacKey(t)
	good := func(changes ...any) map[string]any {
		return claims(append([]any{"aud", "https://api.example.com", "scope", "read"}, changes...)...)
	}
	now := time.Now().Unix()
	valid := key.Sign(t, good())
	flipped := valid[:len(valid)-10] + "AAAAAAAAAA"
	for name, test := range map[string]struct {
		path, token string
		header      []string
		status      int
		reason, err string
	}{
		"two places": {path: "/?jwt=" + valid, token: valid, status: 400, reason: "malformed_request",
			err: "invalid_request"},
		"same query twice": {path: "/?jwt=" + valid + "&jwt=" + valid, status: 400, reason: "malformed_request",
			err: "invalid_request"},
		"comma joined": {token: valid + ", Bearer " + valid, status: 400, reason: "malformed_request",
			err: "invalid_request"},
		"too long": {token: strings.Repeat("a", 17000), status: 400, reason: "malformed_request",
			err: "invalid_request"},
		"not a JWT": {token: "opaque", status: 401, reason: "malformed_token", err: "invalid_token"},
		"thousands of dots": {token: strings.Repeat(".", 10000), status: 401, reason: "malformed_token",
			err: "invalid_token"},
		"unknown algorithm": {token: key.SignRaw(`{"alg":"none"}`, `{}`), status: 401, reason: "unsupported_algorithm",
			err: "invalid_token"},
		"other algorithm": {token: key.WithAlg("HS512").Sign(t, good()), status: 401, reason: "unsupported_algorithm",
			err: "invalid_token"},
		"unknown issuer": {token: key.Sign(t, good("iss", "mallory")), status: 401, reason: "unknown_issuer",
			err: "invalid_token"},
		"numeric issuer": {token: key.Sign(t, good("iss", 7)), status: 401, reason: "malformed_token",
			err: "invalid_token"},
		"bad signature": {token: flipped, status: 401, reason: "invalid_signature", err: "invalid_token"},
		"expired": {token: key.Sign(t, good("exp", now-60)), status: 401, reason: "expired",
			err: "invalid_token"},
		"no exp": {token: key.Sign(t, good("exp", nil)), status: 401, reason: "missing_claim",
			err: "invalid_token"},
		"exp 1e300": {token: key.Sign(t, good("exp", 1e300)), status: 401, reason: "malformed_token",
			err: "invalid_token"},
		"not yet valid": {token: key.Sign(t, good("nbf", now+60)), status: 401, reason: "not_yet_valid",
			err: "invalid_token"},
		"issued later": {token: key.Sign(t, good("iat", now+60)), status: 401, reason: "not_yet_valid",
			err: "invalid_token"},
		"wrong audience": {token: key.Sign(t, good("aud", "https://other.example.com")), status: 401,
			reason: "invalid_audience", err: "invalid_token"},
		"no audience": {token: key.Sign(t, good("aud", nil)), status: 401, reason: "invalid_audience",
			err: "invalid_token"},
		"foreign type": {token: key.Sign(t, good(), map[string]any{"typ": "dpop+jwt"}), status: 401,
			reason: "invalid_type", err: "invalid_token"},
		"crit": {token: key.Sign(t, good(), map[string]any{"crit": []string{"exp"}}), status: 401,
			reason: "malformed_token", err: "invalid_token"},
		"bound to a key": {token: key.Sign(t, good("cnf", map[string]any{"jkt": "x"})), status: 401,
			reason: "proof_required", err: "invalid_token"},
		"too little scope": {token: key.Sign(t, good("scope", "write")), status: 403, reason: "insufficient_scope",
			err: "insufficient_scope"},
		"payload not an object": {token: key.SignRaw(`{"alg":"HS256"}`, `[]`), status: 401, reason: "malformed_token",
			err: "invalid_token"},
		"header not an object": {token: key.SignRaw(`["alg"]`, `{}`), status: 401, reason: "malformed_token",
			err: "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			path := test.path
			if path == "" {
				path = "/"
			}
			s := s.in(t)
			a := s.get(path, test.token, test.header...)
			s.refused(a, test.status, test.reason)
			if got := a.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="api", error="`+test.err+`"`) {
				t.Errorf("challenge %q, want error %q", got, test.err)
			}
			for line := range strings.Lines(s.log()) {
				// Caddy logs the query of a request as the client sent it (docs/configuration.md); ours must have nothing.
				if token := test.token; len(token) > 40 && strings.Contains(line, token[len(token)-40:]) &&
					!strings.Contains(line, `"logger":"http.log.`) {
					t.Errorf("a part of the token is in the log: %s", line)
				}
			}
		})
	}
}
