package tokentest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const (
	proofMethod, proofURL, proofToken = "GET", "https://api.example.com/things/1", "Kz~8mXK1EalYznwH-LC-1fBAo"
)

// proofOf reads a proof with another library, which checks the signature.
func proofOf(t *testing.T, p *tokentest.Prover, proof string) (header, payload map[string]any) {
	t.Helper()
	parsed, err := jwt.NewParser(jwt.WithoutClaimsValidation()).Parse(proof, func(*jwt.Token) (any, error) {
		return p.Key.Public(), nil
	})
	if err != nil {
		t.Fatalf("%s: %v", proof, err)
	}
	return parsed.Header, parsed.Claims.(jwt.MapClaims)
}

func TestProofs(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		p := tokentest.NewProver(t, alg)
		if p.Thumbprint() == tokentest.NewProver(t, alg).Thumbprint() {
			t.Errorf("%s: two clients have one key", alg)
		}
		header, payload := proofOf(t, p, p.Proof(t, proofMethod, proofURL+"?q=1#f", proofToken))
		sum := sha256.Sum256([]byte(proofToken))
		if header["typ"] != "dpop+jwt" || header["alg"] != alg || payload["htm"] != proofMethod ||
			payload["htu"] != proofURL || payload["jti"] == "" ||
			payload["ath"] != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("%s: header %v, payload %v", alg, header, payload)
		}
		if _, payload := proofOf(t, p, p.Proof(t, "POST", proofURL, "")); payload["ath"] != nil {
			t.Errorf("%s: ath without a token: %v", alg, payload)
		}
	}
}

func TestEditsOfProofs(t *testing.T) {
	p := tokentest.NewProver(t, "ES256")
	p.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	header, payload := proofOf(t, p, p.Proof(t, proofMethod, proofURL, proofToken, map[string]any{
		"header.typ": nil, "header.x": 1, "header.jwk.kid": "k", "ath": nil, "htm": "PUT", "nonce": json.RawMessage("null"),
	}))
	nonce, has := payload["nonce"]
	if header["typ"] != nil || header["x"] != 1.0 || header["jwk"].(map[string]any)["kid"] != "k" ||
		payload["ath"] != nil || payload["htm"] != "PUT" || !has || nonce != nil || payload["iat"] != 1_700_000_000.0 {
		t.Errorf("header %v, payload %v", header, payload)
	}
}

// A thumbprint is that of the required members alone, in the order of their names (RFC 7638 section 3).
func TestThumbprintOfProver(t *testing.T) {
	p := tokentest.NewProver(t, "ES256")
	header, _ := proofOf(t, p, p.Proof(t, proofMethod, proofURL, proofToken))
	jwk := header["jwk"].(map[string]any)
	text := `{"crv":"P-256","kty":"EC","x":"` + jwk["x"].(string) + `","y":"` + jwk["y"].(string) + `"}`
	if sum := sha256.Sum256([]byte(text)); p.Thumbprint() != base64.RawURLEncoding.EncodeToString(sum[:]) {
		t.Errorf("%s is not the thumbprint of %s", p.Thumbprint(), text)
	}
}

// A proof breaks one rule: where one part of it is attacked, the other part and the signature are good. All can be sent
// in a header field.
func TestProofAttacks(t *testing.T) {
	for _, alg := range []string{"ES256", "ES512", "EdDSA", "RS256", "PS256"} {
		p := tokentest.NewProver(t, alg)
		attacks := p.ProofAttacks(t, proofMethod, proofURL, proofToken)
		names, foreign := make(map[string]bool), 0
		for _, attack := range attacks {
			if names[attack.Name] {
				t.Errorf("%s: %q is there twice", alg, attack.Name)
			}
			names[attack.Name] = true
			switch attack.Code {
			case tokentest.InvalidToken:
				foreign++
			case tokentest.InvalidProof:
			default:
				t.Errorf("%s: %q has the code %q", alg, attack.Name, attack.Code)
			}
			if strings.ContainsFunc(attack.Proof, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) ||
				strings.TrimSpace(attack.Proof) != attack.Proof || attack.Proof == "" {
				t.Errorf("%s: %q is not the value of a field: %q", alg, attack.Name, attack.Proof)
			}
			if part, _, _ := strings.Cut(attack.Name, ":"); part == "header" || part == "payload" {
				breaksOnlyOne(t, p, part, attack)
			}
		}
		if len(attacks) < 300 || foreign < 5 {
			t.Errorf("%s: %d attacks, %d by other keys", alg, len(attacks), foreign)
		}
		t.Logf("%s: %d attacks", alg, len(attacks))
	}
}

// breaksOnlyOne checks the signature, and the part that is not under attack.
func breaksOnlyOne(t *testing.T, p *tokentest.Prover, part string, attack tokentest.HostileProof) {
	t.Helper()
	parts := strings.Split(attack.Proof, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || jwt.GetSigningMethod(p.Key.Alg).Verify(parts[0]+"."+parts[1], signature, p.Key.Public()) != nil {
		t.Errorf("%q: the signature is bad", attack.Name)
	}
	other, want := parts[0], []string{"alg", "jwk", "typ"}
	if part == "header" {
		other, want = parts[1], []string{"ath", "htm", "htu", "iat", "jti"}
	}
	text, err := base64.RawURLEncoding.DecodeString(other)
	var members map[string]any
	if err != nil || json.Unmarshal(text, &members) != nil || len(members) != len(want) {
		t.Errorf("%q: the other part is %s", attack.Name, text)
	}
	for _, name := range want {
		if members[name] == nil {
			t.Errorf("%q: the other part has no %s", attack.Name, name)
		}
	}
	if slices.Contains(want, "typ") && members["typ"] != "dpop+jwt" {
		t.Errorf("%q: the other part is %s", attack.Name, text)
	}
}
