package integration

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A user chooses a name so that the backend reads another claim, or another header, in it.
func TestAttackClaimsInEncodings(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	headers := map[string]string{"X-Json": "json", "X-Comma": "comma", "X-Base64": "base64url", "X-Percent": "percent"}
	for header, encoding := range headers {
		s := start(t, gateFor(issuerByJWKS(as), "forward_claims "+header+" name "+encoding))
		for name, text := range map[string]string{
			"a line end and a header": "a\r\nX-Admin: 1", "a line end alone": "a\nb", "NUL": "a\x00b", "a C1 control": "a\u0085b",
			"a line separator": "a\u2028b", "a list in JSON": `["admin"]`, "an object in JSON": `{"admin":true}`,
			"a list after a blank": ` ["admin"]`, "a list after a byte order mark": "\ufeff[\"admin\"]",
			"two elements": "a,admin", "two elements and a blank": "a, admin", "a quoted element": `a","admin`,
			"an escaped comma": "a%2Cadmin", "an escaped quote": `a\",\"admin`, "a closing bracket": `a"],"admin":["`,
			"a placeholder": "{env.HOME}", "a long text": strings.Repeat("ü", 4<<10), "a long escape": strings.Repeat("\n", 2<<10),
		} {
			s.attack(t, encoding+" "+name, func(t *testing.T, a *attempt) {
				got := a.send(key.Sign(t, issuedBy(as.URL, "name", text)), header, "admin", strings.ToLower(header)+"_", "admin")
				if got.StatusCode != http.StatusOK {
					a.refusedFor(got, "unsafe_claim")
					if encoding == "json" && len(text) < 4<<10 {
						t.Error("JSON can say any text")
					}
					return
				}
				seen := a.passed(got)
				if seen.Header["X-Admin"] != nil {
					t.Errorf("the claim became a header: %q", seen.Header)
				}
				values := seen.Header[header]
				if len(values) != 1 || readAs(t, encoding, values[0]) != text {
					t.Errorf("%q at the backend, which does not say %q", values, text)
				}
			})
		}
	}
}

// readAs is the one string that a backend reads in a header, by the encoding that it expects.
func readAs(t *testing.T, encoding, value string) string {
	t.Helper()
	parts := strings.Split(value, ",")
	switch {
	case encoding == "json":
		var text string
		if err := json.Unmarshal([]byte(value), &text); err != nil {
			t.Fatalf("%s is no string: %v", value, err)
		}
		return text
	case encoding == "base64url":
		text, err := base64.RawURLEncoding.Strict().DecodeString(value)
		if err != nil || json.Valid(text) {
			t.Fatalf("%s is no text: %v", text, err)
		}
		return string(text)
	case len(parts) > 1, encoding == "percent" && strings.ContainsAny(value[:1], "[{"):
		t.Fatalf("%s is a list", value)
	case encoding == "percent":
		text, err := url.PathUnescape(value)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return strings.TrimSpace(value)
}
