package proof_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/proof"
)

// FuzzVerify signs any header and payload. KEY in a header stands for the public key, which is another one in every
// process. What is accepted must be what encoding/json reads, too.
func FuzzVerify(f *testing.F) {
	c := newClient(f, "ES256")
	const header = `{"typ":"dpop+jwt","alg":"ES256","jwk":KEY}`
	f.Add(header, text(payload()))
	f.Add(`{"kid":"x",`+header[1:], text(with(payload(), object{"nonce": "n", "exp": now.Unix() + 9})))
	f.Add(strings.Replace(header, "jwk", `\u006awk`, 1), strings.Replace(text(payload()), "e", `\u0065`, 1))
	f.Add(`{"typ":"dpop+jwt","alg":"RS256","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}}`, `{"jti":"a"}`)
	f.Add(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"`+strings.Repeat("A", 43)+`"}}`, `{}`)
	v := newVerifier(f)
	f.Fuzz(func(t *testing.T, header, payload string) {
		header = strings.Replace(header, "KEY", text(c.jwk()), 1)
		signed := c.key.SignRaw(header, payload)
		p, err := v.Verify(signed, c.thumbprint, proof.DefaultAlgorithms())
		if err != nil {
			if errors.Is(err, proof.ErrInvalid) == errors.Is(err, proof.ErrOtherKey) {
				t.Fatalf("%v is not one of the two kinds", err)
			}
			if text := err.Error(); len(text) > 1000 || strings.ContainsAny(text, "\n\r\x00") {
				t.Fatalf("%q is no line for a log", text)
			}
			return
		}
		var h map[string]any // in a struct, encoding/json would ignore the case of names
		err = json.Unmarshal([]byte(header), &h)
		jwk, _ := h["jwk"].(map[string]any)
		typ, _ := h["typ"].(string)
		if err != nil || h["alg"] != "ES256" || !strings.HasSuffix(strings.ToLower(typ), "dpop+jwt") ||
			jwk["x"] != c.jwk()["x"] || jwk["d"] != nil {
			t.Fatalf("accepted %q: %v", header, err)
		}
		var claims map[string]any
		if err := json.Unmarshal([]byte(payload), &claims); err != nil || claims["jti"] != p.ID ||
			claims["htm"] != p.Method || claims["htu"] != p.URI || p.ID == "" || len(p.ID) > 256 ||
			p.Method == "" || p.URI == "" {
			t.Fatalf("accepted %q as %+v: %v", payload, p, err)
		}
		if err := p.Check(expected()); err != nil {
			requireInvalid(t, err, "")
		}
		again, err := v.Verify(signed, c.thumbprint, proof.DefaultAlgorithms())
		if err != nil || again != p {
			t.Fatalf("again %+v, %v", again, err)
		}
	})
}

// FuzzVerifyText takes any text for a proof. Nobody can sign one, so none may be accepted.
func FuzzVerifyText(f *testing.F) {
	c := newClient(f, "EdDSA")
	good := c.proof()
	v := newVerifier(f)
	if err := accept(v, good, c.thumbprint, expected()); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "..", good[1:], good[:len(good)-2] + "AA", c.sign(object{}, object{}), good + "."} {
		f.Add(seed)
	}
	sum, _ := base64.RawURLEncoding.DecodeString(c.thumbprint)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := v.Verify(text, c.thumbprint, proof.DefaultAlgorithms())
		if err == nil && (text != good || !bytes.Equal(p.Key[:], sum)) {
			t.Fatalf("accepted %q", text)
		}
	})
}
