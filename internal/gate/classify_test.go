package gate_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The text of a token alone decides its form, whatever its signature, the key source or the server.
func TestFormOfAToken(t *testing.T) {
	key, stranger := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "stranger")
	g := build(t, key)
	good := key.Sign(t, says())
	encoded := base64.RawURLEncoding.EncodeToString
	_, body, _ := strings.Cut(good, ".")
	for name, c := range map[string]struct{ token, want string }{
		"a good JWT":                          {good, "known"},
		"a forged JWT":                        {tokentest.FlipSignature(t, good), "known"},
		"a JWT that another key has signed":   {stranger.Sign(t, says()), "known"},
		"an expired JWT":                      {key.Sign(t, says(m{"exp": start.Unix() - 300})), "known"},
		"a JWT of an unknown issuer":          {key.Sign(t, says(m{"iss": issuerB})), "unknown"},
		"a JWT without an issuer":             {key.Sign(t, says(m{"iss": nil})), "unknown"},
		"a logout token by its typ":           {key.Sign(t, says(), m{"typ": "logout+jwt"}), "other kind"},
		"an ID token by a claim":              {key.Sign(t, says(m{"token_use": "id"})), "other kind"},
		"another kind of an unknown issuer":   {key.Sign(t, says(m{"iss": issuerB, "token_use": "id"})), "other kind"},
		"a JWT with padding behind it":        {good + "=", "broken"},
		"a JWT that lost its signature":       {good[:strings.LastIndexByte(good, '.')], "broken"},
		"a JWT without an algorithm":          {encoded([]byte(`{"alg":"none"}`)) + "." + body, "broken"},
		"a JWT whose payload is no object":    {key.SignRaw(`{"alg":"ES256"}`, `[]`), "broken"},
		"a JWT with a space before its brace": {encoded([]byte(` {"alg":"none"}`)) + "." + body, "broken"},
		"a JWE": {encoded([]byte(`{"alg":"dir","enc":"A256GCM"}`)) + "..aXY.Y3Q.dGFn",
			"encrypted"},
		"a JWE without \"enc\"":            {encoded([]byte(`{"alg":"dir"}`)) + "..aXY.Y3Q.dGFn", "broken"},
		"letters":                          {"2YotnFZFEjr1zCsicMWpAA", "opaque"},
		"letters that begin as a JWT does": {"every-token", "opaque"},
		"letters with dots":                {"ey.op.aque", "opaque"},
	} {
		if got := g.FormOf(c.token); got != c.want {
			t.Errorf("%s is %s, want %s", name, got, c.want)
		}
	}
}
