package jose_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
)

// parseHeader reads a header through Parse, the only way in.
func parseHeader(header string, wanted ...string) (jose.Header, error) {
	token, err := jose.Parse(encode(header)+"."+encode("{}")+"."+encode("x"), nil, wanted...)
	return token.Header, err
}

func TestHeaderRefuses(t *testing.T) {
	tests := []struct {
		name   string
		header string
		want   error
	}{
		{"an array", `["alg","ES256"]`, jose.ErrMalformed},
		{"a string", `"ES256"`, jose.ErrMalformed},
		{"a number", `1`, jose.ErrMalformed},
		{"null", `null`, jose.ErrMalformed},
		{"rubbish", `alg=ES256`, jose.ErrMalformed},
		{"text after the object", `{"alg":"ES256"}x`, jose.ErrMalformed},
		{"two objects", `{"alg":"ES256"}{"alg":"ES256"}`, jose.ErrMalformed},
		{"byte order mark", "\ufeff" + `{"alg":"ES256"}`, jose.ErrMalformed},
		{"UTF-16", "\xff\xfe{\x00}\x00", jose.ErrMalformed},
		{"unclosed object", `{"alg":"ES256"`, jose.ErrMalformed},
		{"trailing comma", `{"alg":"ES256",}`, jose.ErrMalformed},
		{"single quotes", `{'alg':'ES256'}`, jose.ErrMalformed},
		{"comment", `{"alg":"ES256"/**/}`, jose.ErrMalformed},
		{"control character in a string", "{\"alg\":\"ES256\",\"x\":\"\n\"}", jose.ErrMalformed},
		{"invalid UTF-8 in kid", "{\"alg\":\"ES256\",\"kid\":\"\xff\"}", jose.ErrMalformed},
		{"lone surrogate in kid", `{"alg":"ES256","kid":"\ud800"}`, jose.ErrMalformed},
		{"nesting without end",
			`{"alg":"ES256","x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`, jose.ErrMalformed},
		{"too many parameters", `{"alg":"ES256"` + many(70) + `}`, jose.ErrMalformed},

		{"alg twice", `{"alg":"ES256","alg":"none"}`, jose.ErrMalformed},
		{"alg twice, none first", `{"alg":"none","alg":"ES256"}`, jose.ErrMalformed},
		{"alg twice, once escaped", `{"alg":"ES256","\u0061lg":"HS256"}`, jose.ErrMalformed},
		{"kid twice", `{"alg":"ES256","kid":"a","kid":"b"}`, jose.ErrMalformed},
		{"duplicate inside an ignored parameter", `{"alg":"ES256","jwk":{"kty":"EC","kty":"oct"}}`, jose.ErrMalformed},

		{"no alg", `{}`, jose.ErrMalformed},
		{"alg in another case", `{"ALG":"ES256"}`, jose.ErrMalformed},
		{"alg null", `{"alg":null}`, jose.ErrMalformed},
		{"alg a number", `{"alg":256}`, jose.ErrMalformed},
		{"alg an array", `{"alg":["ES256"]}`, jose.ErrMalformed},
		{"alg an object", `{"alg":{}}`, jose.ErrMalformed},
		{"alg empty", `{"alg":""}`, jose.ErrAlgorithm},
		{"alg none", `{"alg":"none"}`, jose.ErrAlgorithm},
		{"alg None", `{"alg":"None"}`, jose.ErrAlgorithm},
		{"alg NONE", `{"alg":"NONE"}`, jose.ErrAlgorithm},
		{"alg nOnE", `{"alg":"nOnE"}`, jose.ErrAlgorithm},
		{"alg none and a space", `{"alg":"none "}`, jose.ErrAlgorithm},
		{"alg none and a zero", `{"alg":"none\u0000"}`, jose.ErrAlgorithm},
		{"alg in lower case", `{"alg":"es256"}`, jose.ErrAlgorithm},
		{"alg unknown", `{"alg":"XX999"}`, jose.ErrAlgorithm},
		{"alg of another curve", `{"alg":"ES256K"}`, jose.ErrAlgorithm},
		{"alg long", `{"alg":"` + strings.Repeat("x", 4000) + `"}`, jose.ErrAlgorithm},

		{"kid a number", `{"alg":"ES256","kid":1}`, jose.ErrMalformed},
		{"kid empty", `{"alg":"ES256","kid":""}`, jose.ErrMalformed},
		{"kid null", `{"alg":"ES256","kid":null}`, jose.ErrMalformed},
		{"kid an array", `{"alg":"ES256","kid":["a"]}`, jose.ErrMalformed},
		{"kid too long", `{"alg":"ES256","kid":"` + strings.Repeat("k", 513) + `"}`, jose.ErrMalformed},

		{"crit with an unknown name", `{"alg":"ES256","crit":["x"],"x":1}`, jose.ErrCritical},
		{"crit with a name that is absent", `{"alg":"ES256","crit":["x"]}`, jose.ErrCritical},
		{"crit with a name of the standard", `{"alg":"ES256","crit":["alg"]}`, jose.ErrCritical},
		{"crit with exp", `{"alg":"ES256","crit":["exp"],"exp":1}`, jose.ErrCritical},
		{"crit with the same name twice", `{"alg":"ES256","crit":["x","x"],"x":1}`, jose.ErrCritical},
		{"crit empty", `{"alg":"ES256","crit":[]}`, jose.ErrCritical},
		{"crit null", `{"alg":"ES256","crit":null}`, jose.ErrCritical},
		{"crit a string", `{"alg":"ES256","crit":"x"}`, jose.ErrCritical},
		{"crit an object", `{"alg":"ES256","crit":{}}`, jose.ErrCritical},
		{"crit with numbers", `{"alg":"ES256","crit":[1]}`, jose.ErrCritical},
		{"crit escaped", `{"alg":"ES256","\u0063rit":["x"]}`, jose.ErrCritical},
		{"crit is malformed", `{"alg":"ES256","crit":["x"]}`, jose.ErrMalformed},

		{"b64 false", `{"alg":"ES256","b64":false}`, jose.ErrMalformed},
		{"b64 true", `{"alg":"ES256","b64":true}`, jose.ErrMalformed},
		{"b64 false and crit", `{"alg":"ES256","b64":false,"crit":["b64"]}`, jose.ErrMalformed},
		{"enc", `{"alg":"ES256","enc":"A128GCM"}`, jose.ErrEncrypted},
		{"zip", `{"alg":"ES256","zip":"DEF"}`, jose.ErrEncrypted},
		{"JWE algorithm", `{"alg":"dir","enc":"A128GCM"}`, jose.ErrAlgorithm},

		{"typ an array", `{"alg":"ES256","typ":["at+jwt"]}`, jose.ErrMalformed},
		{"typ null", `{"alg":"ES256","typ":null}`, jose.ErrMalformed},
		{"typ empty", `{"alg":"ES256","typ":""}`, jose.ErrType},
		{"typ with a parameter", `{"alg":"ES256","typ":"at+jwt;x=1"}`, jose.ErrType},
		{"typ with a space", `{"alg":"ES256","typ":" at+jwt"}`, jose.ErrType},
		{"typ without a subtype", `{"alg":"ES256","typ":"application/"}`, jose.ErrType},
		{"typ with two slashes", `{"alg":"ES256","typ":"application/application/logout+jwt"}`, jose.ErrType},
		{"typ that folds to ASCII", `{"alg":"ES256","typ":"` + "\u212Ab+jwt" + `"}`, jose.ErrType},
		{"typ too long", `{"alg":"ES256","typ":"` + strings.Repeat("t", 128) + `"}`, jose.ErrType},

		{"cty JWT", `{"alg":"ES256","cty":"JWT"}`, jose.ErrNested},
		{"cty jwt", `{"alg":"ES256","cty":"jwt"}`, jose.ErrNested},
		{"cty application/jwt", `{"alg":"ES256","cty":"application/JWT"}`, jose.ErrNested},
		{"cty at+jwt", `{"alg":"ES256","cty":"at+jwt"}`, jose.ErrNested},
		{"cty jose", `{"alg":"ES256","cty":"JOSE"}`, jose.ErrNested},
		{"cty a number", `{"alg":"ES256","cty":1}`, jose.ErrMalformed},
		{"cty no media type", `{"alg":"ES256","cty":"JWT;x"}`, jose.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseHeader(test.header)
			requireErr(t, err, test.want)
		})
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
		"unknown parameters":            `{"alg":"ES256","nonce":"n","x":{"y":[{"z":null}]}}`,
		"content type that is no token": `{"alg":"ES256","cty":"json"}`,
		"64 parameters":                 `{"alg":"ES256"` + many(63) + `}`,
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

// foreignTypes are types of JWTs that are something else than access tokens: registered ones, those of drafts and of
// servers, and one that nobody has invented yet.
var foreignTypes = []string{
	"logout+jwt",                                           // OpenID Connect Back-Channel Logout
	"secevent+jwt",                                         // RFC 8417
	"dpop+jwt",                                             // RFC 9449
	"token-introspection+jwt",                              // RFC 9701
	"oauth-authz-req+jwt",                                  // RFC 9101
	"client-authentication+jwt", "authorization-grant+jwt", // RFC 7523bis
	"oauth-id-jag+jwt",                   // Identity Assertion Authorization Grant
	"txntoken+jwt",                       // Transaction Tokens
	"wit+jwt", "wpt+jwt", "wimse-id+jwt", // WIMSE
	"eat+jwt",                                         // RFC 9711, EAT media types
	"ar4si+jwt",                                       // RATS attestation results
	"id+jwt", "id_token+jwt", "rt+jwt", "refresh+jwt", // where servers type them
	"okta-internal-at+jwt",                                         // Okta: access tokens for Okta alone
	"statuslist+jwt",                                               // Token Status List
	"dc+sd-jwt", "vc+sd-jwt", "sd-jwt", "example+sd-jwt", "kb+jwt", // RFC 9901, SD-JWT VC
	"vc+jwt", "vp+jwt", "vc+ld+jwt", "vc+ld+json+jwt", // VC-JOSE-COSE
	"openid4vci-proof+jwt", "openidvci-proof+jwt", // OpenID for Verifiable Credential Issuance
	"key-attestation+jwt", "keyattestation+jwt", // the same
	"oauth-client-attestation+jwt", "oauth-client-attestation-pop+jwt", // Attestation-Based Client Authentication
	"wallet-attestation+jwt", "wallet-unit-attestation+jwt", "verifier-attestation+jwt",
	"entity-statement+jwt", "explicit-registration-response+jwt", "resolve-response+jwt", "trust-mark+jwt",
	"trust-mark-delegation+jwt", "trust-mark-status-response+jwt", "jwk-set+jwt", // OpenID Federation
	"passport",  // RFC 8225
	"jose+json", // RFC 7515 section 4.1.9
	"invented-tomorrow+jwt",
}

func TestHeaderRefusesForeignTypes(t *testing.T) {
	for _, typ := range foreignTypes {
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
			if err != nil || h.Type != typ || !h.Foreign {
				t.Errorf("typ %q where it is wanted: got %+v, %v", spelling, h, err)
			}
		}
	}
	if _, err := parseHeader(`{"alg":"ES256","typ":"text/at+jwt"}`); !is(err, jose.ErrType) {
		t.Errorf("a type outside of application/: got %v", err)
	}
}

// These types say nothing about the kind, or say that this is an access token.
func TestHeaderTakesTypesOfAccessTokens(t *testing.T) {
	for _, typ := range []string{
		"JWT", "at+jwt", "AT+JWT", "application/at+jwt", "JOSE", "JWS", "Bearer", "jwt+x", "example.com-token",
	} {
		if h, err := parseHeader(`{"alg":"ES256","typ":"` + typ + `"}`); err != nil || h.Foreign {
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
