package integration

import (
	"strconv"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// claimSite is an issuer with one key behind a key set, with more lines for the handler.
func claimSite(t *testing.T, lines ...string) (s *site, issuer string, key *tokentest.Key) {
	key = tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	return start(t, gateFor(append([]string{issuerByJWKS(as)}, lines...)...)), as.URL, key
}

// Tokens are used at the second in which they expire, or later, in the hope of the leeway. A token is good before exp
// plus leeway, and no longer at that moment (RFC 7519 section 4.1.4).
func TestAttackClaimsAtTheEdgeOfExpiry(t *testing.T) {
	for leeway, seconds := range map[string]int64{"0s": 0, "30s": 30} {
		s, issuer, key := claimSite(t, "leeway "+leeway)
		for name, ago := range map[string]int64{"a second ago": seconds + 1, "now": seconds, "an hour ago": 3600} {
			s.attack(t, name+" with leeway "+leeway, func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "exp", time.Now().Unix()-ago))), "expired")
			})
		}
		s.attack(t, "control: before, with leeway "+leeway, func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(issuer, "exp", time.Now().Unix()-seconds+3))))
		})
	}
}

// The gate remembers a verified token, and might answer from memory after the token has expired (class of
// CVE-2026-33496). It judges exp on every request.
func TestAttackClaimsExpiryOfARememberedToken(t *testing.T) {
	long(t)
	s, issuer, key := claimSite(t, "leeway 0s")
	s.attack(t, "used until it ends", func(t *testing.T, a *attempt) {
		end := time.Now().Truncate(time.Second).Add(3 * time.Second)
		token := key.Sign(t, issuedBy(issuer, "exp", end.Unix()))
		for range 3 { // from the second time on it is remembered
			a.passed(a.send(token))
		}
		a.refusedFrom(end, token)
		a.refusedFor(a.send(token), "expired")
	})
}

// A gate without an audience takes tokens for any other service: CVE-2026-55689, CVE-2026-30223, CVE-2026-40946,
// CVE-2023-22482. A missing audience is an error. To accept every audience, the configuration must say "any".
func TestAttackClaimsGateWithoutAudience(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	block := func(lines string) string {
		return "issuer " + as.URL + " {\n keys jwks " + as.JWKSURL() + "\n" + lines + "\n}"
	}
	s.refusedAtLoad(t, "an issuer without audience", "audience", func(s *site) error {
		return s.tryLoad(s.caddyfile(gateFor(block(""))))
	})
	s.refusedAtLoad(t, "any and another", "any", func(s *site) error {
		return s.tryLoad(s.caddyfile(gateFor(block("audience any https://a.example"))))
	})
	s.load(gateFor(block("audience any")))
	s.attack(t, "control: any was written out", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(as.URL, "aud", "https://other.example.com"))))
		a.passed(a.send(key.Sign(t, issuedBy(as.URL, "aud", nil))))
	})
	s = start(t, gateFor("audience https://api.example.com", block("audience any")))
	s.attack(t, "any of the issuer does not widen the route's", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		a.refusedFor(a.send(key.Sign(t, issuedBy(as.URL, "aud", "https://other.example.com"))), "invalid_audience")
	})
}

// A token that one route has verified and remembered is presented on a route with another audience. A cache that keeps
// verdicts instead of facts would carry the first verdict over (class of CVE-2026-33496).
func TestAttackClaimsAudienceOfARememberedToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	block := "issuer " + as.URL + " {\n keys jwks " + as.JWKSURL() + "\n}"
	s := start(t,
		"handle /a/* {\n"+gateFor("audience https://a.example", block)+"\n}\nhandle /b/* {\n"+
			gateFor("audience https://b.example", block)+"\n}\n"+
			"handle /c/* {\n"+gateFor("audience https://a.example", "require scope admin", block)+"\n}")
	token := key.Sign(t, issuedBy(as.URL, "aud", "https://a.example"))
	for range 3 {
		s.attack(t, "control: its own route", func(t *testing.T, a *attempt) {
			if got := a.get("/a/", token); got.StatusCode != 200 {
				t.Errorf("status %d", got.StatusCode)
			}
		})
		s.attack(t, "the other route", func(t *testing.T, a *attempt) {
			a.secret(token)
			a.refusedFor(a.get("/b/", token), "invalid_audience")
		})
		s.attack(t, "a route that wants more scope", func(t *testing.T, a *attempt) {
			a.secret(token)
			a.refusedFor(a.get("/c/", token), "insufficient_scope")
		})
	}
}

// An issuer makes tokens that live for years, and so does a stolen one. max_lifetime bounds the lifetime. It requires
// iat, so that a token cannot avoid the check.
func TestAttackClaimsLifetime(t *testing.T) {
	s, issuer, key := claimSite(t, "max_lifetime 10m")
	now := time.Now().Unix()
	for name, changes := range map[string][]any{
		"too long":          {"exp", now + 3600},
		"ten years":         {"exp", now + 315360000},
		"without iat":       {"iat", nil},
		"old iat":           {"iat", now - 3600},
		"iat in 1970":       {"iat", 0},
		"iat after exp":     {"iat", now + 600},
		"iat as text":       {"iat", strconv.FormatInt(now, 10)},
		"negative lifetime": {"iat", now + 1e6, "exp", now + 300},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, changes...))), "lifetime_too_long", "missing_claim",
				"not_yet_valid", "malformed_token")
		})
	}
}
