package output_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/internal/output"
	"github.com/caddyjwt/gateway/internal/setting"
)

// forward forwards the claim v in X-Value, in this encoding.
func forward(t *testing.T, encoding claims.Encoding) *output.Set {
	t.Helper()
	return newSet(t, output.Settings{
		ForwardClaims: []output.Forward{{Path: path(t, "v"), Header: "x-value", As: encoding}},
	})
}

// unsafely requires the error about a value that must not be sent. It names the cause and nothing of the value, and
// leaves no header behind.
func unsafely(t *testing.T, err error, h http.Header, cause, ofValue string) {
	t.Helper()
	if _, ok := errors.AsType[*output.UnsafeError](err); !ok {
		t.Fatalf("error %v, want an UnsafeError", err)
	}
	if text := err.Error(); !strings.Contains(text, cause) || strings.Contains(text, ofValue) || len(text) > 200 {
		t.Errorf("error %v, want %q with nothing of the value", err, cause)
	}
	same(t, h, http.Header{})
}

func TestClaimAsHeader(t *testing.T) {
	outputs := forward(t, claims.Text)
	for name, c := range map[string]struct {
		claim string // JSON
		want  string // empty: no header
		bad   bool
	}{
		"a string":                   {`"alice"`, "alice", false},
		"a number":                   {`7.50`, "7.50", false},
		"a boolean":                  {`false`, "false", false},
		"null":                       {`null`, "", false},
		"an empty string":            {`""`, "", false},
		"an array of strings":        {`["a","b"]`, "a,b", false},
		"a text with a comma":        {`"a,admin"`, "a%2Cadmin", false},
		"a text like an array":       {`"[\"admin\"]"`, "%5B%22admin%22]", false},
		"an element with a comma":    {`["a","b,admin"]`, "a,b%2Cadmin", false},
		"an element like an array":   {`["[\"admin\"]"]`, "%5B%22admin%22]", false},
		"blanks before an element":   {`["a"," admin"]`, "a,%20admin", false},
		"blanks after an element":    {`["admin ","b"]`, "admin%20,b", false},
		"an element of blanks":       {`["a"," "]`, "a,%20", false},
		"an empty element":           {`["a",""]`, `["a",""]`, false},
		"an escape of a blank":       {`"%20admin"`, "%2520admin", false},
		"8 KiB":                      {`"` + strings.Repeat("a", 8<<10) + `"`, strings.Repeat("a", 8<<10), false},
		"8 KiB and a byte":           {`"` + strings.Repeat("a", 8<<10+1) + `"`, "", true},
		"8 KiB by percent-encoding":  {`"` + strings.Repeat("a", 8<<10-1) + `,"`, "", true},
		"a long array":               {`[` + strings.Repeat(`",",`, 2100) + `"a"]`, "", true},
		"blanks inside an element":   {`["a b","c"]`, "a b,c", false},
		"an array of numbers":        {`[1, 2]`, "[1,2]", false},
		"an empty array":             {`[]`, "[]", false},
		"an object":                  {`{"a": 1}`, `{"a":1}`, false},
		"UTF-8":                      {`"Zoë 箱"`, "Zoë 箱", false},
		"an escape":                  {`"a\u00e9"`, "aé", false},
		"blanks at the ends":         {`" admin "`, "%20admin%20", false},
		"nothing but blanks":         {`"  "`, "%20%20", false},
		"blanks inside":              {`"a b"`, "a b", false},
		"a placeholder":              {`"{env.SECRET}"`, "%7Benv.SECRET}", false},
		"a line break":               {`"a\r\nX-Admin: 1"`, "", true},
		"a line break in an array":   {`["a","b\nc"]`, "", true},
		"a line break in an object":  {`{"a":"\n"}`, `{"a":"\n"}`, false}, // stays escaped
		"a tab":                      {`"a\tb"`, "", true},
		"NUL":                        {`"a\u0000"`, "", true},
		"DEL":                        {`"a\u007f"`, "", true},
		"a C1 control":               {`"a\u0085b"`, "", true},
		"a raw C1 control, in JSON":  {"{\"a\":\"\u0085\"}", "", true},
		"a line separator":           {`"a\u2028b"`, "", true},
		"a no-break space at an end": {`"\u00a0a"`, "%C2%A0a", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := make(http.Header)
			err := outputs.Write(h, identityOf(t, `{"sub":"s","v":`+c.claim+`}`))
			if c.bad {
				unsafely(t, err, h, "claim v", "X-Admin")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := http.Header{}
			if c.want != "" {
				want["X-Value"] = []string{c.want}
			}
			same(t, h, want)
		})
	}
}

// The bound of a header counts what the backend gets.
func TestEncodedClaimAsHeader(t *testing.T) {
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
			outputs, h := forward(t, c.as), make(http.Header)
			text, err := json.Marshal(map[string]any{"v": c.claim})
			if err != nil {
				t.Fatal(err)
			}
			err = outputs.Write(h, identityOf(t, string(text)))
			if cause, refused := strings.CutPrefix(c.want, "!"); refused {
				unsafely(t, err, h, cause, "dmin")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := http.Header{}
			if c.want != "" {
				want["X-Value"] = []string{c.want}
			}
			same(t, h, want)
		})
	}
}

func TestEncodedClaimThatIsAbsent(t *testing.T) {
	for _, encoding := range []claims.Encoding{claims.JSON, claims.Comma, claims.Base64URL, claims.Percent} {
		for _, id := range []*identity.Identity{identityOf(t, `{"sub":"s"}`), new(identity.Identity)} {
			outputs, h := forward(t, encoding), make(http.Header)
			if err := outputs.Write(h, id); err != nil || len(h) != 0 {
				t.Errorf("%v: %v, %v", encoding, h, err)
			}
		}
	}
}

// The backend gets the very bytes of the claims.
func TestPayload(t *testing.T) {
	const text = `{"name":"Doe, Jane\r\nX-Admin: 1", "amount":1.50}`
	outputs, h := newSet(t, output.Settings{ForwardPayload: "x-jwt-payload"}), make(http.Header)
	if err := outputs.Write(h, identityOf(t, text)); err != nil {
		t.Fatal(err)
	}
	same(t, h, http.Header{"X-Jwt-Payload": {base64.RawURLEncoding.EncodeToString([]byte(text))}})
	if !outputs.IsPayload("X-Jwt-Payload") || outputs.IsPayload("X-Consumer-Id") {
		t.Error("another header has the payload")
	}
	if err := outputs.Write(h, new(identity.Identity)); err != nil {
		t.Error(err)
	}
	err := outputs.Write(h, identityOf(t, `{"x":"`+strings.Repeat("x", 7<<10)+`"}`))
	unsafely(t, err, h, "the payload needs 9568 bytes in a header, and may have 8192", "xxx")
}

func TestPaddedPayload(t *testing.T) {
	outputs, padded := newSet(t, output.Settings{ForwardPayload: "X-All", PadPayload: true}), 0
	for _, filler := range []string{"", "x", "xx"} {
		h := make(http.Header)
		if err := outputs.Write(h, identityOf(t, `{"f":"`+filler+`"}`)); err != nil {
			t.Fatal(err)
		}
		got := h.Get("X-All")
		text, err := base64.URLEncoding.Strict().DecodeString(got)
		if err != nil || !json.Valid(text) {
			t.Errorf("%q: %v", got, err)
		}
		padded += strings.Count(got, "=")
	}
	if padded != 3 {
		t.Errorf("three lengths in a row need 3 characters of padding, got %d", padded)
	}
	_, err := output.New(output.Settings{PadPayload: true})
	if err == nil || setting.Field(err) != "PadPayload" {
		t.Errorf("padding without a payload: %v", err)
	}
}
