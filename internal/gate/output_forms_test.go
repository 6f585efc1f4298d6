package gate_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// as forwards the claim v in X-Value, in this encoding.
func as(tb testing.TB, encoding claims.Encoding) func(*gate.Config) {
	return func(c *gate.Config) {
		c.ForwardClaims = []gate.ForwardClaim{{Path: path(tb, "v"), Header: "X-Value", As: encoding}}
	}
}

// The bound of a header counts what the backend gets.
func TestEncodedClaimAsHeader(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	text := func(n int) string { return strings.Repeat("a", n) }
	crlf := "a\r\nX-Admin: 1\x00\u0085\u2028"
	for name, c := range map[string]struct {
		as    claims.Encoding
		claim any
		want  string // "!" and the cause for a refusal
	}{
		"a name, as json":                  {claims.JSON, "Jürgen", `"J\u00fcrgen"`},
		"a list, as json":                  {claims.JSON, []string{"a", "ü"}, `["a","\u00fc"]`},
		"an empty text, as json":           {claims.JSON, "", `""`},
		"a line end, as json":              {claims.JSON, crlf, `"a\r\nX-Admin: 1\u0000\u0085\u2028"`},
		"a line end, as base64url":         {claims.Base64URL, crlf, base64.RawURLEncoding.EncodeToString([]byte(crlf))},
		"a line end, as percent":           {claims.Percent, crlf, "a%0D%0AX-Admin%3A%201%00%C2%85%E2%80%A8"},
		"a line end, as comma":             {claims.Comma, crlf, "!claim v: it has a control character"},
		"a line end in a list, as comma":   {claims.Comma, []string{"a", crlf}, "!claim v: it has a control character"},
		"a comma in a list, as comma":      {claims.Comma, []string{"a", "b,admin"}, "!claim v: its comma"},
		"a text that looks like a list":    {claims.Base64URL, `["admin"]`, "!claim v: it is a text that looks like JSON"},
		"null, as json":                    {claims.JSON, nil, ""},
		"8 KiB, as json":                   {claims.JSON, text(8<<10 - 2), `"` + text(8<<10-2) + `"`},
		"8 KiB and a byte, as json":        {claims.JSON, text(8<<10 - 1), "!needs 8193 bytes"},
		"8 KiB by escapes, as json":        {claims.JSON, strings.Repeat("ü", 1366), "!needs 8198 bytes"},
		"8 KiB, as comma":                  {claims.Comma, text(8 << 10), text(8 << 10)},
		"8 KiB and a byte, as comma":       {claims.Comma, []string{text(4 << 10), text(4 << 10)}, "!needs 8193 bytes"},
		"8 KiB and a byte, as base64url":   {claims.Base64URL, text(6<<10 + 1), "!needs 8194 bytes"},
		"8 KiB and a byte, as percent":     {claims.Percent, text(8<<10-2) + "ü", "!needs 8196 bytes"},
		"much more than 8 KiB, as percent": {claims.Percent, strings.Repeat("ü", 5<<10), "!needs 30720 bytes"},
		"an empty object, as percent":      {claims.Percent, map[string]any{}, "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, as(t, c.as))
			r := request(key.Sign(t, says(m{"v": c.claim})))
			r.Header["X_value"] = []string{"forged"}
			id := accepted(t, g, r)
			g.Strip(r)
			err := g.Annotate(r, id)
			if cause, refused := strings.CutPrefix(c.want, "!"); refused {
				if f := gate.FailureOf(err); err == nil || f.Reason != gate.UnsafeClaim ||
					!strings.Contains(explain(f), cause) || strings.Contains(explain(f), "dmin") {
					t.Fatalf("error %v, want %q with nothing of the claim", err, cause)
				}
				same(t, r.Header, http.Header{})
				return
			}
			if err != nil {
				t.Fatal(explain(gate.FailureOf(err)))
			}
			want := http.Header{}
			if c.want != "" {
				want["X-Value"] = []string{c.want}
			}
			same(t, r.Header, want)
		})
	}
}

func TestEncodedClaimThatIsAbsent(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for _, encoding := range []claims.Encoding{claims.JSON, claims.Comma, claims.Base64URL, claims.Percent} {
		g := build(t, key, as(t, encoding))
		r := request(key.Sign(t, says()))
		id := accepted(t, g, r)
		g.Strip(r)
		if err := g.Annotate(r, id); err != nil || r.Header["X-Value"] != nil {
			t.Errorf("%v: %v, %v", encoding, r.Header, err)
		}
	}
}

func TestPaddedPayload(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forwardingPayload, func(c *gate.Config) { c.PadPayload = true })
	padded := 0
	for _, filler := range []string{"", "x", "xx"} {
		r := request(key.Sign(t, says(m{"f": filler})))
		id := accepted(t, g, r)
		g.Strip(r)
		if err := g.Annotate(r, id); err != nil {
			t.Fatal(err)
		}
		got := r.Header.Get(payloadHeader)
		text, err := base64.URLEncoding.Strict().DecodeString(got)
		if err != nil || !json.Valid(text) {
			t.Errorf("%q: %v", got, err)
		}
		padded += strings.Count(got, "=")
	}
	if padded != 3 {
		t.Errorf("three lengths in a row need 3 characters of padding, got %d", padded)
	}
	_, err := gate.New(config(t, key, func(c *gate.Config) { c.PadPayload = true }))
	if err == nil || setting.Field(err) != "PadPayload" {
		t.Errorf("padding without a payload: %v", err)
	}
}

// Headers about consumers that the backend does not want are not sent, and a client cannot send them, either.
func TestConsumerHeadersThatAreNotWanted(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	shop := consumer(t, "shop", "shop-key", key)
	shop.ID, shop.CustomID, shop.Groups = "42", "c-42", []string{"partners"}
	all := http.Header{
		"X-Consumer-Id": {"42"}, "X-Consumer-Custom-Id": {"c-42"}, "X-Consumer-Username": {"shop"},
		"X-Consumer-Groups": {"partners"}, "X-Credential-Identifier": {"shop-key"},
	}
	anonymous := http.Header{"X-Consumer-Username": {"guest"}, "X-Anonymous-Consumer": {"true"}}
	for name, c := range map[string]struct {
		wanted           []string
		known, anonymous http.Header
	}{
		"all":  {nil, all, anonymous},
		"none": {[]string{"off"}, http.Header{}, http.Header{}},
		"one, in another case": {[]string{"x-consumer-id"},
			http.Header{"X-Consumer-Id": {"42"}}, http.Header{}},
		"two": {[]string{"X-Anonymous-Consumer", "X-Consumer-Groups"},
			http.Header{"X-Consumer-Groups": {"partners"}}, http.Header{"X-Anonymous-Consumer": {"true"}}},
		"all by their names": {[]string{"X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username", "X-Consumer-Groups",
			"X-Credential-Identifier", "X-Anonymous-Consumer"}, all, anonymous},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, func(of *gate.Config) {
				of.Consumers, of.Anonymous = []gate.Consumer{shop, {Username: "guest"}}, "guest"
				of.ConsumerHeaders = c.wanted
			})
			for _, sent := range []struct {
				token string
				want  http.Header
			}{{key.Sign(t, says(m{"iss": "shop-key"})), c.known}, {"", c.anonymous}} {
				r := request(sent.token)
				verdict, err := g.Check(direct(r))
				if err != nil {
					t.Fatal(err)
				}
				for _, forged := range []string{"X-Consumer-Id", "X_Consumer_Custom_ID", "x.consumer.username",
					"X-Consumer-Groups", "X-Credential-Identifier", "X-Anonymous-Consumer"} {
					r.Header[forged] = []string{"forged"}
				}
				g.Strip(r)
				if err := g.Annotate(r, verdict.Identity); err != nil {
					t.Fatal(err)
				}
				same(t, r.Header, sent.want)
			}
		})
	}
}

func TestConsumerHeaderMistakes(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	shop := []gate.Consumer{consumer(t, "shop", "shop-key", key)}
	for name, c := range map[string]struct {
		consumers []gate.Consumer
		wanted    []string
		says, in  string
	}{
		"no consumer": {nil, []string{"off"}, "there is none", "ConsumerHeaders"},
		"another header": {shop, []string{"X-Consumer-ID", "X-User"}, `"X-User": expected off, or some of X-Consumer-Id`,
			"ConsumerHeaders[1]"},
		"off and a name": {shop, []string{"X-Consumer-ID", "off"}, "remove it, or the names beside it",
			"ConsumerHeaders[1]"},
		"off twice": {shop, []string{"off", "off"}, "remove it, or the names beside it", "ConsumerHeaders[0]"},
		"a name twice": {shop, []string{"X-Consumer-ID", "x-consumer-id"}, "names x-consumer-id twice",
			"ConsumerHeaders[1]"},
		"an empty name": {shop, []string{""}, "expected off", "ConsumerHeaders[0]"},
	} {
		_, err := gate.New(config(t, key, func(of *gate.Config) {
			of.Consumers, of.ConsumerHeaders = c.consumers,
				c.wanted
		}))
		if err == nil || !strings.Contains(err.Error(), c.says) || setting.Field(err) != c.in {
			t.Errorf("%s: %v in %q, want %q in %s", name, err, setting.Field(err), c.says, c.in)
		}
	}
}
