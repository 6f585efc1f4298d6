package bearer_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// The log names the place where a client has something like a token. It never has a value, nor a name that is the
// client's own.
func TestElsewhere(t *testing.T) {
	const secret = "s3cr3t"
	places := []bearer.Place{bearer.DefaultPlace, {Kind: bearer.Cookie, Name: "session"},
		{Kind: bearer.Header, Name: "X-Token"}}
	for name, c := range map[string]struct {
		target string
		header [][2]string
		want   string
	}{
		"nothing":        {"/?a=b", [][2]string{{"Cookie", "a=b"}, {"Accept", "x"}}, ""},
		"another scheme": {"/", [][2]string{{"Authorization", "basic " + secret}}, "Authorization with the scheme Basic"},
		"a scheme alone": {"/", [][2]string{{"Authorization", "Token"}}, "Authorization with the scheme Token"},
		"a colon behind the scheme": {"/", [][2]string{{"Authorization", "Bearer: " + secret}},
			"Authorization with the word Bearer and something other than a space behind it"},
		"no space behind the scheme": {"/", [][2]string{{"Authorization", "Bearer=" + secret}},
			"Authorization with the word Bearer and something other than a space behind it"},
		"a bare token":       {"/", [][2]string{{"Authorization", secret}}, "Authorization with a value without a scheme"},
		"an invented scheme": {"/", [][2]string{{"Authorization", secret + " x"}}, "Authorization with an unusual scheme"},
		"letters that are not ASCII": {"/", [][2]string{{"Authorization", "\u212aey " + secret}},
			"Authorization with an unusual scheme"},
		"an empty field":    {"/", [][2]string{{"Authorization", " "}}, "Authorization with no value"},
		"the query":         {"/?a=b&Access_Token=" + secret, nil, "the query parameter access_token"},
		"a cookie":          {"/", [][2]string{{"Cookie", "a=b; jwt=" + secret}}, "the cookie jwt"},
		"an emptied cookie": {"/", [][2]string{{"Cookie", "a=b; session=\"\""}}, "the cookie session, which is empty"},
		"another header":    {"/", [][2]string{{"X-Auth-Token", secret}}, "the header X-Auth-Token"},
		"a name of the client's": {"/?" + secret + "=1",
			[][2]string{{secret, secret}, {"Cookie", secret + "=" + secret}}, ""},
		"everything": {"/?token=" + secret, [][2]string{{"Authorization", "DPoP " + secret}, {"X-Api-Key", secret},
			{"X-Id-Token", secret}, {"Cookie", "jwt=" + secret}},
			"Authorization with the scheme DPoP, the header X-Id-Token, the header X-Api-Key"},
		"behind many parameters": {"/?" + strings.Repeat("a&", 100_000) + "token=" + secret, nil, ""},
		"many cookies":           {"/", [][2]string{{"Cookie", strings.Repeat("a;", 100_000) + "token=" + secret}}, ""},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		for _, field := range c.header {
			r.Header.Add(field[0], field[1])
		}
		if got := bearer.Elsewhere(r, places); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}
