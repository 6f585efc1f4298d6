package integration

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A partner signs with a certificate of an authority that the gate trusts. New certificates of that authority count
// without a word to the gate. Once another authority takes its place, no token counts, not even a remembered one.
func TestAttackKeySignerOfAnotherAuthority(t *testing.T) {
	dir := t.TempDir()
	root, other := tokentest.NewAuthority(t, "partner"), tokentest.NewAuthority(t, "other")
	middle := root.Authority(t, "partner's issuer")
	key, next := tokentest.NewKey(t, "ES256", "signer").WithKID(""), tokentest.NewKey(t, "RS256", "next").WithKID("")
	const partner, set = "https://partner.example.com", "https://set.example.com"
	ca := writeFile(t, filepath.Join(dir, "ca.pem"), tokentest.PEMOf(root))
	keys := writeFile(t, filepath.Join(dir, "partner.crt"), tokentest.PEMOf(middle.Certify(t, "s", key), middle))
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	jwks := writeFile(t, filepath.Join(dir, "jwks.json"), tokentest.JWKSOf(one.WithX5C(root.Certify(t, "s", one)),
		two.WithX5C(other.Certify(t, "s", two)), tokentest.NewKey(t, "ES256", "three").JWK()))
	block := " {\nca " + ca + "\n}"
	s := start(t, gateForAudience(
		issuerBlock(partner, "keys file "+keys+block), issuerBlock(set, "keys file "+jwks+block)))
	remembered, inSet := key.Sign(t, issuedBy(partner)), one.Sign(t, issuedBy(set))
	for range 3 {
		s.accepts(remembered)
		s.accepts(inSet)
	}
	for name, token := range map[string]string{
		"of another authority":  two.Sign(t, issuedBy(set)),
		"without a certificate": tokentest.NewKey(t, "ES256", "three").Sign(t, issuedBy(set)),
	} {
		if a := s.get("/", token); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("a key %s: status %d", name, a.StatusCode)
		}
	}
	if !s.logged("keys are ready", "skipped_certificate_untrusted", "skipped_no_certificate") {
		t.Error("the log does not say that keys are left out")
	}
	writeFile(t, keys, tokentest.PEMOf(root.Certify(t, "next", next)))
	renewed := next.Sign(t, issuedBy(partner))
	eventually(t, "the next signer is accepted", func() bool {
		status, err := s.status(renewed)
		return err == nil && status == http.StatusOK
	})
	writeFile(t, ca, tokentest.PEMOf(other))
	for name, token := range map[string]string{"in a file": renewed, "in a key set": inSet} {
		eventually(t, "the signer "+name+" is refused", func() bool {
			status, err := s.status(token)
			return err == nil && status != http.StatusOK
		})
	}
	s.drain()
	for _, token := range []string{renewed, remembered, inSet, next.Sign(t, issuedBy(partner, "jti", "2"))} {
		if a := s.get("/", token); a.StatusCode == http.StatusOK {
			t.Error("a token of the former authority passes")
		}
	}
	s.nothingForwarded()
	eventually(t, "a token of the new authority is accepted", func() bool {
		status, err := s.status(two.Sign(t, issuedBy(set)))
		return err == nil && status == http.StatusOK
	})
	if !s.logged("certificate authorities of signers have changed") {
		t.Error("the log does not say that the authorities have changed")
	}
}
