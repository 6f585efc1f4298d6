package integration

import (
	"maps"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A client writes the fields itself that the gate makes of the JOSE header, in any spelling, with a good token that has
// no such member, and as trailers of Connection.
func TestAttackHeaderFieldFromTheClient(t *testing.T) {
	s, issuer, key := claimSite(t, "forward_header X-Company co")
	token := key.Sign(t, issuedBy(issuer))
	for _, name := range []string{"X-Company", "x-company", "X_Company", "X.Company", "X-COMPANY"} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.passed(a.send(token, name, "intersystems", "Connection", "X-Company"))
			for field, values := range got.Header {
				if strings.Contains(strings.Join(values, " "), "intersystems") {
					t.Errorf("the backend got %s: %q", field, values)
				}
			}
		})
	}
	s.attack(t, "control: of the token", func(t *testing.T, a *attempt) {
		got := a.passed(a.send(key.Sign(t, issuedBy(issuer), custom()), "X-Company", "evil", "Connection", "X-Company"))
		if values := got.Header["X-Company"]; len(values) != 1 || values[0] != "intersystems" {
			t.Errorf("the backend got %q", values)
		}
	})
}

// Values of the JOSE header try to become more than one field, or another value.
func TestAttackHeaderValues(t *testing.T) {
	s, issuer, key := claimSite(t, "forward_header X-Company co", "forward_header X-Deep a.b.c json")
	for name, test := range map[string]struct {
		header map[string]any
		want   string // "!" for a refusal as an unsafe value
	}{
		"CR and LF":             {custom("co", "a\r\nX-Admin: 1"), "!"},
		"NUL":                   {custom("co", "a\x00b"), "!"},
		"a C1 control":          {custom("co", "a\u0085b"), "!"},
		"CR and LF in an array": {custom("co", []string{"a", "b\r\nX-Admin: 1"}), "!"},
		"not ASCII":             {custom("co", "Jürgen"), "Jürgen"},
		"a comma":               {custom("co", "a,intersystems"), "a%2Cintersystems"},
		"a placeholder":         {custom("co", "{env.HOME}"), "%7Benv.HOME}"},
		"an object":             {custom("co", map[string]any{"co": "a"}), `{"co":"a"}`},
		"names of ours": {custom("co", "a", "token", "x", "issuer", "x", "reason", "x", "header", map[string]any{"co": "x"}),
			"a"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			for range 3 { // from the third time on it is remembered
				got := a.send(key.Sign(t, issuedBy(issuer), test.header))
				if test.want == "!" {
					a.refusedFor(got, "unsafe_claim")
					continue
				}
				backend := a.passed(got).Header
				if values := backend["X-Company"]; len(values) != 1 || values[0] != test.want || backend["X-Admin"] != nil {
					t.Errorf("the backend got %q", backend)
				}
			}
		})
	}
	s.attack(t, "nested", func(t *testing.T, a *attempt) {
		deep := custom("a", map[string]any{"b": map[string]any{"c": "\r\nü"}})
		got := a.passed(a.send(key.Sign(t, issuedBy(issuer), deep)))
		if value := got.Header.Get("X-Deep"); value != `"\r\n\u00fc"` {
			t.Errorf("the backend got %q", value)
		}
	})
	for name, value := range map[string]any{
		"huge": strings.Repeat("a", 9<<10), "too deep": []any{[]any{[]any{[]any{[]any{1}}}}},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(key.Sign(t, issuedBy(issuer), custom("co", value))), "malformed_token")
		})
	}
}

// The header names a key of the attacker, in all ways that RFC 7515 section 4.1 has. These are texts that placeholders
// and the backend can get. Nothing is fetched, and no such key verifies anything.
func TestAttackHeaderKeysThatItNames(t *testing.T) {
	evil := tokentest.NewKey(t, "ES256", "evil").WithKID("e1")
	trap := tokentest.NewAS(t, tokentest.WithKeys(evil))
	s, issuer, key := claimSite(t, "forward_header X-Jku jku", "forward_header X-X5c x5c", "require header jwk.kty EC")
	named := map[string]any{
		"jku": trap.JWKSURL(), "x5u": trap.JWKSURL(), "jwk": evil.JWK(), "x5c": []string{"MIIB", "MIIC"},
	}
	s.attack(t, "signed by the issuer", func(t *testing.T, a *attempt) {
		got := a.passed(a.send(key.Sign(t, issuedBy(issuer), named)))
		if got.Header.Get("X-Jku") != trap.JWKSURL() || got.Header.Get("X-X5c") != "MIIB,MIIC" {
			t.Errorf("the backend got %v", got.Header)
		}
	})
	for name := range named {
		s.attack(t, "signed with the key of "+name, func(t *testing.T, a *attempt) {
			one := maps.Clone(named)
			maps.DeleteFunc(one, func(other string, _ any) bool { return other != name })
			a.refusedFor(a.send(evil.Sign(t, issuedBy(issuer), one)), "invalid_signature")
		})
	}
	if n := trap.JWKSFetches() + trap.MetadataFetches(); n != 0 {
		t.Errorf("%d fetches from the address in the header", n)
	}
}

// A forged header says what the route requires. Nobody has signed it.
func TestAttackHeaderThatNobodySigned(t *testing.T) {
	s, issuer, key := claimSite(t, "require header co intersystems")
	_, signature := splitToken(t, key.Sign(t, issuedBy(issuer), custom("co", "acme")))
	s.attack(t, "the header of another token", func(t *testing.T, a *attempt) {
		token := forged(asJSON(t, custom("alg", "ES256", "kid", "e1")), asJSON(t, issuedBy(issuer)), signature)
		a.refusedFor(a.send(token), "invalid_signature")
	})
	s.attack(t, "in the payload", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "co", "intersystems", "header", custom()))), "claim_mismatch")
	})
}
