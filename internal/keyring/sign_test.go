package keyring_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
)

func TestTokensOfEachAlgorithmVerify(t *testing.T) {
	for _, alg := range allAlgorithms() {
		ring := open(t, newVault().node(), algorithm(alg))
		payload := fmt.Sprintf(`{"iss":"%s","alg":"%v"}`, issuer, alg)
		token, err := ring.Sign(nil, "at+jwt", []byte(payload))
		must(t, err)
		parsed, err := jose.Parse(token, nil)
		must(t, err)
		if string(parsed.Payload) != payload || parsed.Header.KeyID != signs(ring) || parsed.Header.Type != "at+jwt" ||
			parsed.Header.Algorithm != alg {
			t.Errorf("%v: %+v of %s", alg, parsed.Header, parsed.Payload)
		}
		key, err := keyset.Verify(t.Context(), ring, &parsed)
		if err != nil || !ring.Current().Has(key) {
			t.Errorf("%v: %v", alg, err)
		}
		if others, err := parseJWKS(ring); err != nil || verify(others, token) != nil {
			t.Errorf("%v: by the published keys: %v, %v", alg, err, verify(others, token))
		}
		if err := verify(ring, token[:len(token)-8]+"AAAAAAAA"); err == nil {
			t.Errorf("%v: a broken signature verifies", alg)
		}
	}
}

// parseJWKS is another verifier.
func parseJWKS(ring *keyring.Ring) (keyset.Source, error) { return keyset.NewPEM(ring.JWKS()) }

func TestPublishedKeysHaveWhatVerifiersNeed(t *testing.T) {
	for _, alg := range allAlgorithms() {
		ring := open(t, newVault().node(), algorithm(alg))
		var jwks struct{ Keys []map[string]string }
		must(t, json.Unmarshal(ring.JWKS(), &jwks))
		for i, key := range jwks.Keys {
			if key["kid"] != ring.Keys()[i].KeyID || key["use"] != "sig" || key["alg"] != alg.String() ||
				key["kty"] != alg.Family().String() {
				t.Errorf("%v: %v", alg, key)
			}
			for name := range key {
				if !slices.Contains([]string{"kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"}, name) {
					t.Errorf("%v: published with %q", alg, name)
				}
			}
		}
		if len(jwks.Keys) != 2 {
			t.Errorf("%v: %d keys", alg, len(jwks.Keys))
		}
	}
}

func headerOf(t *testing.T, token string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(token[:strings.IndexByte(token, '.')])
	must(t, err)
	return string(text)
}

func TestTheHeaderHasFurtherMembers(t *testing.T) {
	ring := open(t, newVault().node())
	begin := `{"alg":"ES256","kid":"` + signs(ring) + `"`
	for _, c := range []struct {
		extra map[string]any
		typ   string
		want  string
	}{
		{nil, "", `}`},
		{map[string]any{}, "JWT", `,"typ":"JWT"}`},
		{map[string]any{"tenant": "a\"b", "n": 1, "o": map[string]any{"x": nil}}, "at+jwt",
			`,"typ":"at+jwt","n":1,"o":{"x":null},"tenant":"a\"b"}`},
		{map[string]any{"x": true}, "", `,"x":true}`},
		{nil, "application/at+jwt", `,"typ":"application/at+jwt"}`},
	} {
		token, err := ring.Sign(c.extra, c.typ, []byte("{}"))
		must(t, err)
		if got := headerOf(t, token); got != begin+c.want {
			t.Errorf("header %s, want %s", got, begin+c.want)
		}
		accepts(t, ring, token)
	}
}

func TestAttackTheHeaderCannotSayHowToVerify(t *testing.T) {
	ring := open(t, newVault().node())
	for _, name := range []string{
		"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "enc", "zip", "epk", "apu", "apv",
		"iv", "tag", "p2s", "p2c", "b64", "ALG", "Kid", "X5T#s256", "", "a\xff", strings.Repeat("a", 129),
	} {
		wants(t, keyring.CheckHeader(name), keyring.ErrHeader)
		_, err := ring.Sign(map[string]any{"fine": 1, name: "x"}, "", []byte("{}"))
		wants(t, err, keyring.ErrHeader)
	}
	for _, name := range []string{"tenant", "alg2", strings.Repeat("a", 128), "ß"} {
		must(t, keyring.CheckHeader(name))
	}
}

func TestTokensAreBounded(t *testing.T) {
	ring := open(t, newVault().node())
	deep := any("x")
	for range 6 {
		deep = []any{deep}
	}
	many := make(map[string]any)
	for i := range 33 {
		many[fmt.Sprint(i)] = i
	}
	for name, extra := range map[string]map[string]any{
		"long":      {"x": strings.Repeat("x", keyring.MaxHeader)},
		"deep":      {"x": deep},
		"many":      many,
		"no JSON":   {"x": math.NaN()},
		"ambiguous": {"x": json.RawMessage(`{"a":1,"a":2}`)},
	} {
		if _, err := ring.Sign(extra, "", []byte("{}")); err == nil {
			t.Errorf("%s: signed", name)
		} else {
			wants(t, err, keyring.ErrHeader)
		}
	}
	for _, typ := range []string{"a b", "\"", "é", strings.Repeat("a", 128), "text/html; charset=utf-8", "a/b/c"} {
		_, err := ring.Sign(nil, typ, []byte("{}"))
		wants(t, err, keyring.ErrHeader)
	}
	for size, want := range map[int]error{
		0: keyring.ErrPayload, 1: nil, keyring.MaxPayload: nil, keyring.MaxPayload + 1: keyring.ErrPayload,
	} {
		if _, err := ring.Sign(nil, "", make([]byte, size)); want == nil {
			must(t, err)
		} else {
			wants(t, err, want)
		}
	}
	token, err := ring.Sign(map[string]any{"x": strings.Repeat("x", keyring.MaxHeader-8)}, "", []byte("{}"))
	must(t, err)
	accepts(t, ring, token)
}
