package integration

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// flaws are the reasons, in metrics and logs, for what is wrong with a hostile token.
var flaws = map[tokentest.Flaw]string{
	tokentest.Malformed: "malformed_token", tokentest.NoAlgorithm: "unsupported_algorithm",
	tokentest.KeyAlgorithm: "unsupported_algorithm", tokentest.Critical: "malformed_token",
	tokentest.Nested: "malformed_token", tokentest.Encrypted: "malformed_token", tokentest.OtherType: "invalid_type",
	tokentest.OtherKind: "invalid_type", tokentest.UnknownKey: "unknown_key", tokentest.Forged: "invalid_signature",
	tokentest.OtherIssuer: "unknown_issuer", tokentest.OtherAudience: "invalid_audience", tokentest.Expired: "expired",
	tokentest.NotYetValid: "not_yet_valid", tokentest.NoExpiry: "missing_claim", tokentest.Bound: "proof_required",
}

// withstands wants each token of a list to be refused for its flaw, at little cost. With -short it sends every fifth
// one: the packages try all of them.
func (s *site) withstands(t *testing.T, of string, attacks []tokentest.Hostile) {
	t.Helper()
	step := 1
	if testing.Short() {
		step = 5
	}
	for i := 0; i < len(attacks); i += step {
		attack := attacks[i]
		s.attack(t, attack.Name+", "+of, func(t *testing.T, a *attempt) {
			a.cheaply(func() { a.refusedFor(a.present(attack.Token), flaws[attack.Flaw]) })
		})
	}
}

// present sends a token in the header, or in a form when Caddy would refuse a header of its size.
func (a *attempt) present(token string) answer {
	a.t.Helper()
	if len(token) <= 16<<10 {
		return a.send(token)
	}
	a.secret(token)
	return a.form("/", "jwt="+token)
}

// targetSite is a site under attack: an issuer with one key behind a key set, no leeway, and long tokens. Nothing may
// connect to its trap.
func targetSite(t *testing.T) (*site, *tokentest.Target) {
	t.Helper()
	target := &tokentest.Target{
		Key: tokentest.NewKey(t, "ES256", "e1"), Stranger: tokentest.NewKey(t, "ES256", "stranger"),
		Audience: audience, Now: time.Now(),
	}
	as := tokentest.NewAS(t, tokentest.WithKeys(target.Key))
	url, connections := trap(t)
	target.Issuer, target.Trap = as.URL, url
	s := start(t, gateFor(issuerWithKeys(as.URL, "discovery"), "leeway 0s", "max_token_size 900KB",
		"token_from header Authorization", "token_from form jwt"))
	s.attack(t, "control: a good token passes", func(t *testing.T, a *attempt) { a.passed(a.send(target.Good())) })
	t.Cleanup(func() {
		if n := connections.Load(); n != 0 {
			t.Errorf("%d connections to an address that only tokens name", n)
		}
	})
	return s, target
}

// The header is no strict JSON object, has extensions that change what is signed, says that the token is another kind
// of token, or brings its own key. The list is the one that the packages withstand.
func TestAttackHeaderOfTheToken(t *testing.T) {
	s, target := targetSite(t)
	s.withstands(t, "header", target.HeaderAttacks())
}

// The issuer's key has signed all of these, so that only the reading of the claims can refuse them. The list is the one
// that the packages withstand.
func TestAttackClaimsOfTheToken(t *testing.T) {
	s, target := targetSite(t)
	s.withstands(t, "claims", target.ClaimAttacks())
}
