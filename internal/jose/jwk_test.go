package jose_test

import (
	"encoding/json"
	"errors"
	"maps"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// withMembers is a JWK with some members changed. A nil removes a member.
func withMembers(jwk, changes map[string]any) []byte {
	jwk = maps.Clone(jwk)
	maps.Copy(jwk, changes)
	maps.DeleteFunc(jwk, func(_ string, value any) bool { return value == nil })
	return must(json.Marshal(jwk))
}

func TestParseJWK(t *testing.T) {
	type m = map[string]any
	for _, alg := range []string{"RS256", "ES256", "ES384", "ES512", "EdDSA"} {
		private := tokentest.NewKey(t, alg, "one")
		key, err := jose.ParseJWK(withMembers(private.JWK(), nil))
		if err != nil || key.ID != "one" || key.Algorithms().String() != alg {
			t.Fatalf("%s: %v, error %v", alg, key, err)
		}
		token, err := jose.Parse(private.Sign(t, m{"sub": "alice"}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := key.Verify(token.Header.Algorithm, token.SigningInput, token.Signature); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestParseJWKAcceptsTheWantedUses(t *testing.T) {
	type m = map[string]any
	plain := tokentest.NewKey(t, "ES256", "one").JWK()
	for _, c := range []struct {
		use    any
		wanted []string
		taken  bool
	}{
		{nil, nil, true},
		{"", nil, true},
		{"sig", nil, true},
		{"enc", nil, false},
		{"jwt-svid", nil, false},
		{nil, []string{"", "sig"}, true},
		{nil, []string{"jwt-svid"}, false},
		{"sig", []string{"jwt-svid"}, false},
		{"jwt-svid", []string{"jwt-svid"}, true},
	} {
		_, err := jose.ParseJWK(withMembers(plain, m{"use": c.use}), c.wanted...)
		if (err == nil) != c.taken || err != nil && !errors.Is(err, jose.JWKNotForSignatures) {
			t.Errorf("use %v, wanted %v: %v", c.use, c.wanted, err)
		}
	}
}

// A DPoP proof contains its own key (RFC 9449 section 4), which comes from a stranger.
func TestParseJWKRefusesUnusableKeys(t *testing.T) {
	type m = map[string]any
	plain := tokentest.NewKey(t, "ES256", "one").JWK()
	for want, text := range map[jose.Unusable][]byte{
		jose.JWKMalformed:            []byte(`["`),
		jose.JWKAmbiguous:            []byte(`{"kty":"EC","kty":"EC"}`),
		jose.JWKUnsupportedType:      withMembers(plain, m{"kty": "AKP"}),
		jose.JWKUnsupportedCurve:     withMembers(plain, m{"crv": "secp256k1"}),
		jose.JWKUnsupportedAlgorithm: withMembers(plain, m{"alg": "none"}),
		jose.JWKSymmetric:            []byte(`{"kty":"oct","k":"AAAA"}`),
		jose.JWKPrivate:              withMembers(plain, m{"d": "AQ"}),
		jose.JWKNotForSignatures:     withMembers(plain, m{"key_ops": []string{"sign"}}),
		jose.JWKWeak:                 withMembers(tokentest.NewKey(t, "RS256", "").JWK(), m{"e": "Ag"}),
		jose.JWKCertificate:          withMembers(plain, m{"x5c": []string{"AAAA"}}),
		jose.JWKPublished: []byte(`{"kty":"EC","crv":"P-256",
			"x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}`),
	} {
		key, err := jose.ParseJWK(text)
		got, _ := errors.AsType[jose.Unusable](err)
		if key != nil || got != want || !errors.Is(err, jose.ErrKey) {
			t.Errorf("%s: %v, error %v", want, key, err)
		}
	}
}
