package gate_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// lavish lets tokens of a megabyte through to the parsers, which must withstand them as well.
func lavish(tb testing.TB) func(*gate.Config) {
	return func(c *gate.Config) {
		var err error
		if c.Extractor, err = bearer.NewExtractor(bearer.Options{MaxToken: 1 << 20}); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestFormAttacks(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	good := key.Sign(t, says())
	parts := strings.Split(good, ".")
	h, p, s := parts[0], parts[1], parts[2]
	for name, c := range map[string]struct {
		token string
		want  gate.Reason
	}{
		"15 000 dots":             {strings.Repeat(".", 15_000), gate.MalformedToken},
		"100 000 dots":            {strings.Repeat(".", 100_000), gate.MalformedToken},
		"dots after a token":      {good + strings.Repeat(".", 10_000), gate.MalformedToken},
		"letters between dots":    {strings.Repeat("a.", 7_000), gate.MalformedToken},
		"one part":                {h, gate.MalformedToken},
		"two parts":               {h + "." + p, gate.MalformedToken},
		"four parts":              {good + "." + s, gate.MalformedToken},
		"five parts, as a JWE":    {h + "." + p + "." + s + "." + s + "." + s, gate.MalformedToken},
		"six parts":               {good + "." + good, gate.MalformedToken},
		"a dot in front":          {"." + good, gate.MalformedToken},
		"a dot at the end":        {good + ".", gate.MalformedToken},
		"two dots":                {"..", gate.MalformedToken},
		"no header":               {"." + p + "." + s, gate.MalformedToken},
		"no payload":              {h + ".." + s, gate.MalformedToken},
		"no signature":            {h + "." + p + ".", gate.MalformedToken},
		"padding":                 {good + "==", gate.MalformedToken},
		"padding inside":          {h + "=", gate.MalformedToken},
		"the other alphabet":      {h + "." + p + ".+/" + s[2:], gate.MalformedToken},
		"a tilde":                 {h + "." + p + ".~" + s[1:], gate.MalformedToken},
		"a space":                 {h + " ." + p + "." + s, gate.MalformedRequest},
		"a line break":            {h + "\n." + p + "." + s, gate.MalformedRequest},
		"a high byte":             {"\x80" + good, gate.MalformedRequest},
		"a full-width letter":     {"ａ" + good, gate.MalformedRequest},
		"JSON":                    {`{"payload":"` + p + `","signatures":[]}`, gate.MalformedRequest},
		"junk behind":             {good + " extra", gate.MalformedRequest},
		"a comma":                 {good + ",", gate.MalformedRequest},
		"quotes":                  {`"` + good + `"`, gate.MalformedRequest},
		"100 KB of letters":       {strings.Repeat("a", 100_000), gate.MalformedToken},
		"100 KB header":           {strings.Repeat("e", 100_000) + "." + p + "." + s, gate.MalformedToken},
		"100 KB payload":          {h + "." + strings.Repeat("e", 100_000) + "." + s, gate.MalformedToken},
		"100 KB signature":        {h + "." + p + "." + strings.Repeat("A", 100_000), gate.InvalidSignature},
		"impossible length":       {h + "." + p + "." + s[:len(s)-1], gate.MalformedToken},
		"a megabyte and one byte": {strings.Repeat("a", 1<<20+1), gate.MalformedRequest},
	} {
		t.Run(name, func(t *testing.T) { withstands(t, build(t, key, lavish(t)), c.token, c.want) })
	}
	t.Run("100 KB are not even read", func(t *testing.T) {
		withstands(t, build(t, key), h+"."+strings.Repeat("e", 100_000)+"."+s, gate.MalformedRequest)
	})
}

// The right key has signed these texts, so that only the parser can refuse them.
func TestJSONAttacks(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, lavish(t))
	const header = `{"alg":"ES256","kid":"k1"}`
	const claims = `"iss":"` + issuerA + `","aud":"` + api + `","exp":1795435999`
	with := func(more string) string { return "{" + claims + "," + more + "}" }
	headers := map[string]string{
		"alg twice":          `{"alg":"ES256","alg":"none"}`,
		"alg twice, escaped": `{"alg":"ES256","\u0061lg":"ES256"}`,
		"crit":               `{"alg":"ES256","crit":["exp"]}`,
		"crit empty":         `{"alg":"ES256","crit":[]}`,
		"b64":                `{"alg":"ES256","b64":false}`,
		"zip":                `{"alg":"ES256","zip":"DEF"}`,
		"enc":                `{"alg":"ES256","enc":"A128GCM"}`,
		"cty":                `{"alg":"ES256","cty":"JWT"}`,
		"an array":           `["ES256"]`,
		"a string":           `"ES256"`,
		"null":               `null`,
		"two objects":        header + header,
		"a BOM":              "\ufeff" + header,
		"a comment":          `{"alg":"ES256"/**/}`,
		"a trailing comma":   `{"alg":"ES256",}`,
		"single quotes":      `{'alg':'ES256'}`,
		"not UTF-8":          "{\"alg\":\"ES256\",\"x\":\"\xff\"}",
		"a lone surrogate":   `{"alg":"ES256","kid":"\ud800"}`,
		"deep":               `{"alg":"ES256","x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`,
		"ALG":                `{"ALG":"ES256"}`,
		"9 KiB":              `{"alg":"ES256","x":"` + strings.Repeat("x", 9<<10) + `"}`,
		"UTF-16":             "{\x00\"\x00",
		"a number as typ":    `{"alg":"ES256","typ":1}`,
	}
	for name, text := range headers {
		t.Run("header: "+name,
			func(t *testing.T) { withstands(t, g, key.SignRaw(text, with(`"sub":"a"`)), gate.MalformedToken) })
	}
	many := strings.Repeat(`"a",`, 20_000) + `"a"`
	payloads := map[string]string{
		"an array":                   `[{` + claims + `}]`,
		"a string":                   `"x"`,
		"a number":                   `1`,
		"null":                       `null`,
		"empty":                      ` `,
		"two objects":                `{` + claims + `}{}`,
		"sub twice":                  with(`"sub":"a","sub":"admin"`),
		"sub twice, escaped":         with(`"sub":"a","s\u0075b":"admin"`),
		"a name twice, nested":       with(`"realm_access":{"roles":[],"roles":["admin"]}`),
		"not UTF-8":                  with("\"sub\":\"a\xff\""),
		"a lone surrogate":           with(`"sub":"a\ud800"`),
		"NaN":                        with(`"nbf":NaN`),
		"Infinity":                   with(`"nbf":Infinity`),
		"hex":                        with(`"nbf":0x10`),
		"a leading zero":             with(`"nbf":01`),
		"a dot at the end":           with(`"nbf":1.`),
		"a dot in front":             with(`"nbf":.5`),
		"a plus":                     with(`"nbf":+1`),
		"nbf 1e300":                  with(`"nbf":1e300`),
		"iat 1e300":                  with(`"iat":1e300`),
		"iat -1e300":                 with(`"iat":-1e300`),
		"nbf 1e1000000":              with(`"nbf":1e1000000`),
		"nbf 1e99999999999999999999": with(`"nbf":1e99999999999999999999`),
		"nbf of 60 000 digits":       with(`"nbf":` + strings.Repeat("9", 60_000)),
		"nbf of a tiny exponent":     with(`"nbf":1e-1000000`),
		"nbf negative":               with(`"nbf":-1`),
		"nbf as text":                with(`"nbf":"1"`),
		"nbf true":                   with(`"nbf":true`),
		"nbf an array":               with(`"nbf":[1]`),
		"nbf null":                   with(`"nbf":null`),
		"deep arrays":                with(`"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)),
		"deep objects":               with(`"x":` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)),
		"a deep start only":          with(`"x":` + strings.Repeat("[", 50_000)),
		"20 000 members":             "{" + claims + manyMembers(20_000) + "}",
		"20 000 audiences":           `{"aud":[` + many + `]}`,
		"20 000 scopes":              with(`"scope":[` + many + `]`),
		"60 000 blanks of scope":     with(`"scope":"` + strings.Repeat("a ", 30_000) + `"`),
		"sub a number":               with(`"sub":1`),
		"sub an array":               with(`"sub":["admin"]`),
		"sub blank":                  with(`"sub":""`),
		"scope a number":             with(`"scope":1`),
		"jti an object":              with(`"jti":{}`),
	}
	for name, text := range payloads {
		t.Run("payload: "+name, func(t *testing.T) { withstands(t, g, key.SignRaw(header, text), gate.MalformedToken) })
	}
	for name, exp := range map[string]string{
		"a string":     `"1795435999"`,
		"1e300":        "1e300",
		"negative":     "-1",
		"null":         "null",
		"an object":    "{}",
		"milliseconds": "1795435999000",
	} {
		t.Run("exp "+name, func(t *testing.T) {
			withstands(t, g, key.SignRaw(header, `{"iss":"`+issuerA+`","aud":"`+api+`","exp":`+exp+`}`), gate.MalformedToken)
		})
	}
	t.Run("names in another case are other names", func(t *testing.T) {
		r := request(key.SignRaw(header, with(`"sub":"alice","SUB":"admin","Aud":"x","EXP":1,"\u017fub":"admin","CNF":{}`)))
		if id := accepted(t, g, r); id.ID != "alice" {
			t.Errorf("identity %v", id)
		}
		withstands(t, g, key.SignRaw(header, `{"iss":"`+issuerA+`","aud":"`+api+`","EXP":1795435999}`), gate.MissingClaim)
	})
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"`)
		b.WriteString(strings.Repeat("m", i%7))
		b.WriteString(string(rune('a' + i%26)))
		b.WriteString(strings.Repeat("0", i/182))
		b.WriteString(`":1`)
		if b.Len() > 100_000 {
			break
		}
	}
	return b.String()
}

func TestTokenKindAttacks(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key)
	for _, typ := range []string{
		"logout+jwt", "LOGOUT+JWT", "application/logout+jwt", "secevent+jwt",
		"dpop+jwt", "token-introspection+jwt", "oauth-authz-req+jwt",
		"statuslist+jwt", "dc+sd-jwt", "kb+jwt", "client-authentication+jwt", "at+jwt;x=1", "", " ", "at+jwt,JWT", "jwt\x00",
	} {
		t.Run("typ "+typ, func(t *testing.T) { withstands(t, g, key.Sign(t, says(), m{"typ": typ}), gate.InvalidType) })
	}
	nested := build(t, key, lavish(t))
	inner := key.Sign(t, says())
	t.Run("a token in a token", func(t *testing.T) {
		withstands(t, nested, key.SignRaw(`{"alg":"ES256","kid":"k1"}`, inner), gate.MalformedToken)
		withstands(t, nested, key.SignRaw(`{"alg":"ES256","kid":"k1","cty":"JWT"}`, inner), gate.MalformedToken)
	})
}
