package jose_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// parseHeader parses a header by means of Parse.
func parseHeader(header string, wanted ...string) (jose.Header, error) {
	token, err := jose.Parse(encode(header)+"."+encode("{}")+"."+encode("x"), nil, wanted...)
	return token.Header, err
}

// flaws maps what is wrong with a hostile token to the error of this package. The other flaws concern claims.
var flaws = map[tokentest.Flaw]error{
	tokentest.Malformed: jose.ErrMalformed, tokentest.NoAlgorithm: jose.ErrAlgorithm,
	tokentest.KeyAlgorithm: jose.ErrKeyAlgorithm, tokentest.Critical: jose.ErrCritical, tokentest.Nested: jose.ErrNested,
	tokentest.Encrypted: jose.ErrEncrypted, tokentest.OtherType: jose.ErrType, tokentest.UnknownKey: jose.ErrSignature,
	tokentest.Forged: jose.ErrSignature,
}

func TestHeaderAttacks(t *testing.T) {
	for _, alg := range []string{"ES256", "RS256"} {
		target := tokentest.Target{
			Key: tokentest.NewKey(t, alg, "k1"), Stranger: tokentest.NewKey(t, alg, "stranger"),
			Issuer: "https://as.example", Audience: "https://api.example", Now: time.Now(), Trap: "http://127.0.0.1:1",
		}
		parsed, _ := jose.ParseAlgorithm(alg)
		key := must(jose.NewPublicKey("k1", target.Key.Public(), jose.MakeAlgorithms(parsed)))
		requireErr(t, accepts(key, target.Good()), nil)
		for _, attack := range target.HeaderAttacks() {
			want, ours := flaws[attack.Flaw]
			if !ours {
				continue
			}
			if err := accepts(key, attack.Token); !is(err, want) {
				t.Errorf("%s: got %v, want %v", attack.Name, err, want)
			}
		}
	}
	if !is(jose.ErrCritical, jose.ErrMalformed) || !is(jose.ErrNested, jose.ErrMalformed) ||
		!is(jose.ErrEncrypted, jose.ErrMalformed) {
		t.Error("some errors of malformed tokens are not ErrMalformed")
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":%d`, i, i)
	}
	return b.String()
}

func TestHeaderAccepts(t *testing.T) {
	for name, header := range map[string]string{
		"only alg":                     `{"alg":"ES256"}`,
		"white space":                  " \t\r\n{ \"alg\" : \"ES256\" }\n",
		"escaped name and value":       `{"\u0061l\u0067":"\u0045S256"}`,
		"other cases are other names":  `{"alg":"ES256","ALG":"none","Alg":1,"CRIT":["x"],"Kid":1,"KID":null,"Typ":1}`,
		"names that only fold to ours": "{\"alg\":\"ES256\",\"\u212Aid\":1,\"\u017Fub\":2}",
		"keys and addresses, not read": `{"alg":"ES256","jwk":{"kty":"EC"},"jku":"http://evil.example",` +
			`"x5u":"x","x5c":["x"],"x5t":"x","x5t#S256":"x"}`,
		"unknown parameters":             `{"alg":"ES256","nonce":"n","x":{"y":[{"z":null}]}}`,
		"content type of something else": `{"alg":"ES256","cty":"json"}`,
		"64 parameters":                  `{"alg":"ES256"` + many(63) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			h, err := parseHeader(header)
			requireErr(t, err, nil)
			if h.Algorithm != jose.ES256 || h.KeyID != "" || h.Type != "" {
				t.Errorf("header is %+v", h)
			}
		})
	}
}

func TestHeaderKeyID(t *testing.T) {
	for text, want := range map[string]string{
		`"a"`:                                "a",
		`"A"`:                                "A",
		`"é"`:                                "é",
		`"\u00e9"`:                           "é",
		`"e\u0301"`:                          "e\u0301",
		`"../../etc/passwd"`:                 "../../etc/passwd",
		`"` + strings.Repeat("k", 512) + `"`: strings.Repeat("k", 512),
	} {
		h, err := parseHeader(`{"alg":"ES256","kid":` + text + `}`)
		requireErr(t, err, nil)
		if h.KeyID != want {
			t.Errorf("kid %s is %q, want %q", text, h.KeyID, want)
		}
	}
}

func TestHeaderType(t *testing.T) {
	for typ, want := range map[string]string{
		"JWT": "jwt", "jwt": "jwt", "Jwt": "jwt", "application/jwt": "jwt", "APPLICATION/JWT": "jwt",
		"at+jwt": "at+jwt", "AT+JWT": "at+jwt", "at+JWT": "at+jwt",
		"application/at+jwt": "at+jwt", "Application/AT+jwt": "at+jwt",
		"JOSE": "jose", "text/plain": "text/plain", "Text/Plain": "text/plain", "example.com-token": "example.com-token",
	} {
		h, err := parseHeader(`{"alg":"ES256","typ":"` + typ + `"}`)
		requireErr(t, err, nil)
		if h.Type != want {
			t.Errorf("typ %q is %q, want %q", typ, h.Type, want)
		}
	}
}

func TestHeaderRefusesTypesOfOtherKinds(t *testing.T) {
	for _, typ := range tokentest.ForeignTypes() {
		for _, spelling := range []string{
			typ, strings.ToUpper(typ), "application/" + typ, "Application/" + strings.ToUpper(typ),
		} {
			_, err := parseHeader(`{"alg":"ES256","typ":"` + spelling + `"}`)
			if !is(err, jose.ErrType) {
				t.Errorf("typ %q: got %v", spelling, err)
			}
			_, err = parseHeader(`{"alg":"ES256","typ":"`+spelling+`"}`, "jwt", "other+jwt")
			if !is(err, jose.ErrType) {
				t.Errorf("typ %q where others are wanted: got %v", spelling, err)
			}
			h, err := parseHeader(`{"alg":"ES256","typ":"`+spelling+`"}`, "jwt", typ)
			if err != nil || h.Type != typ || !h.OtherKind {
				t.Errorf("typ %q where it is wanted: got %+v, %v", spelling, h, err)
			}
		}
	}
	if _, err := parseHeader(`{"alg":"ES256","typ":"text/at+jwt"}`); !is(err, jose.ErrType) {
		t.Errorf("a type outside of application/: got %v", err)
	}
}

// These types say nothing about the kind, or mean an access token.
func TestHeaderAcceptsTypesOfAccessTokens(t *testing.T) {
	for _, typ := range []string{
		"JWT", "at+jwt", "AT+JWT", "application/at+jwt", "JOSE", "JWS", "Bearer", "jwt+x", "example.com-token",
	} {
		if h, err := parseHeader(`{"alg":"ES256","typ":"` + typ + `"}`); err != nil || h.OtherKind {
			t.Errorf("typ %q: got %+v, %v", typ, h, err)
		}
	}
}

func TestHeaderText(t *testing.T) {
	h, err := parseHeader(`{"alg":"ES256","iss":"me","n":1,"o":{"iss":"you"},"empty":"","\u0061":"\u0062"}`)
	requireErr(t, err, nil)
	for name, want := range map[string]string{"iss": "me", "alg": "ES256", "empty": "", "a": "b"} {
		if got, ok := h.Text(name); !ok || got != want {
			t.Errorf("Text(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"n", "o", "ISS", "kid", ""} {
		if got, ok := h.Text(name); ok || got != "" {
			t.Errorf("Text(%q) = %q, %v, want nothing", name, got, ok)
		}
	}
	if got, ok := new(jose.Header).Text("iss"); ok {
		t.Errorf("an empty header has %q", got)
	}
}
