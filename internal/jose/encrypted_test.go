package jose_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

// jwe is a token with this header, and parts that are no encryption of anything.
func jwe(header string, parts ...string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header))
	for _, part := range parts {
		text += "." + base64.RawURLEncoding.EncodeToString([]byte(part))
	}
	return text
}

const epk = `{"kty":"EC","crv":"P-256","x":"AAAA","y":"AQID"}`

func TestParseEncrypted(t *testing.T) {
	token := jwe(`{"alg":"ECDH-ES","enc":"A128GCM","kid":"k","cty":"JWT","typ":"JWT","epk":`+epk+
		`,"apu":"QQ","apv":"Qg","iss":"https://as.example","co":"x"}`, "", "iv", "content", "tag!")
	got, err := jose.ParseEncrypted(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Algorithm != "ECDH-ES" || got.Encryption != "A128GCM" || got.KeyID != "k" || got.Curve != "P-256" ||
		string(got.Point) != "\x04\x00\x00\x00\x01\x02\x03" || string(got.PartyU) != "A" || string(got.PartyV) != "B" ||
		!got.Nested || got.Issuer() != "https://as.example" {
		t.Errorf("%+v", got)
	}
	first, _, _ := strings.Cut(token, ".")
	if len(got.EncryptedKey) != 0 || string(got.IV) != "iv" || string(got.Sealed) != "contenttag!" || got.TagSize != 4 ||
		got.AdditionalData != first {
		t.Errorf("%+v", got)
	}
	if got.Forget(); got.EncryptedKey != nil || got.IV != nil || got.Sealed != nil {
		t.Errorf("%+v", got)
	}
	var repeated []string
	for name := range got.Repeated {
		repeated = append(repeated, name)
	}
	if !slices.Equal(repeated, []string{"iss", "co"}) {
		t.Errorf("%q", repeated)
	}
	for range got.Repeated {
		break // whoever looks may stop
	}
}

func TestParseEncryptedRefuses(t *testing.T) {
	header := func(more string) string { return jwe(`{"alg":"ECDH-ES","enc":"A128GCM"`+more+`}`, "", "i", "c", "t") }
	good, long := header(""), strings.Repeat("AAAA", 23)
	if _, err := jose.ParseEncrypted(good, make([]byte, 0, 1<<16)); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"four parts": strings.Join(strings.Split(good, ".")[:4], "."), "six parts": good + ".", "nothing": "",
		"a long token": strings.Repeat("A", 1<<20) + "....", "a long header": strings.Repeat("A", 11_000) + "....",
		"padding": good + "=", "a bad header": "!" + good, "a line end": strings.Replace(good, ".", "\n.", 1),
		"no JSON": jwe("x", "", "", "", ""), "an array": jwe("[]", "", "", "", ""), "twice alg": header(`,"alg":"ECDH-ES"`),
		"no alg": jwe(`{"enc":"A128GCM"}`, "", "", "", ""), "no enc": jwe(`{"alg":"ECDH-ES"}`, "", "", "", ""),
		"a number":  jwe(`{"alg":7,"enc":"A128GCM"}`, "", "", "", ""),
		"empty enc": jwe(`{"alg":"x","enc":""}`, "", "", "", ""),
		"zip":       header(`,"zip":"DEF"`), "crit": header(`,"crit":["x"]`),
		"jwk": header(`,"jwk":{}`), "jku": header(`,"jku":"x"`),
		"x5c": header(`,"x5c":[]`), "x5t": header(`,"x5t":"x"`), "b64": header(`,"b64":true`), "p2c": header(`,"p2c":1`),
		"kid": header(`,"kid":1`), "long kid": header(`,"kid":"` + strings.Repeat("k", 513) + `"`), "typ": header(`,"typ":1`),
		"epk": header(`,"epk":[]`), "private epk": header(`,"epk":` + strings.Replace(epk, "{", `{"d":"AA",`, 1)),
		"epk with x5c":        header(`,"epk":` + strings.Replace(epk, "{", `{"x5c":["AA"],`, 1)),
		"epk of another kind": header(`,"epk":` + strings.Replace(epk, "EC", "OKP", 1)),
		"epk without a curve": header(`,"epk":` + strings.Replace(epk, "P-256", "", 1)),
		"epk without y":       header(`,"epk":` + strings.Replace(epk, `"y"`, `"z"`, 1)),
		"epk with a short y":  header(`,"epk":` + strings.Replace(epk, `"AQID"`, `"AQ"`, 1)),
		"epk with a long x":   header(`,"epk":` + strings.Replace(epk, "AAAA", strings.Repeat("AAAA", 23), 1)),
		"huge epk":            header(`,"epk":` + strings.NewReplacer("AAAA", long, "AQID", long).Replace(epk)),
		"epk without bytes":   header(`,"epk":` + strings.NewReplacer("AAAA", "", "AQID", "").Replace(epk)),
		"epk with padding":    header(`,"epk":` + strings.Replace(epk, "AAAA", "AAA=", 1)),
		"apu":                 header(`,"apu":7`), "empty apv": header(`,"apv":""`),
	} {
		if got, err := jose.ParseEncrypted(token, nil); !errors.Is(err, jose.ErrMalformed) || got.Algorithm != "" {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
	if _, err := jose.ParseEncrypted(header(`,"typ":"logout+jwt"`), nil); !errors.Is(err, jose.ErrType) {
		t.Error(err)
	}
	if got, err := jose.ParseEncrypted(header(`,"typ":"x+jwt","cty":"x+jwt"`), nil, "x+jwt"); err != nil || !got.Nested {
		t.Error(err)
	}
	for _, cty := range []string{`7`, `"text/plain"`, `"JWE"`, `"logout+jwt"`, `"JWT; x=1"`, `null`} {
		if got, err := jose.ParseEncrypted(header(`,"cty":`+cty), nil); err != nil || got.Nested {
			t.Errorf("cty %s: %v, %v", cty, err, got.Nested)
		}
	}
}

// No text makes the parser panic, and what it accepts has five parts of the lengths that it says.
func FuzzParseEncrypted(f *testing.F) {
	f.Add(jwe(`{"alg":"ECDH-ES","enc":"A128GCM","epk":`+epk+`}`, "", "i", "c", "t"))
	f.Add("....")
	f.Add(jwe(`{"alg":"RSA-OAEP","enc":"A256CBC-HS512","cty":"JWT"}`, "k", "i", "c", "t"))
	f.Fuzz(func(t *testing.T, token string) {
		got, err := jose.ParseEncrypted(token, nil)
		if err != nil {
			return
		}
		parts := strings.Split(token, ".")
		content := len(got.Sealed) - got.TagSize
		for i, want := range [][]byte{got.EncryptedKey, got.IV, got.Sealed[:content], got.Sealed[content:]} {
			raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[i+1])
			if err != nil || !bytes.Equal(raw, want) {
				t.Errorf("part %d is %x, not %x: %v", i+1, raw, want, err)
			}
		}
		if !jose.IsEncrypted(token) {
			t.Error("it is not one that is encrypted")
		}
	})
}
