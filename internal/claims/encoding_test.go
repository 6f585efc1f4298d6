package claims_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

func TestEncode(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	for _, tt := range []struct {
		json                                string
		inJSON, comma, inBase64URL, percent string // "!" and a part of the error, if there is one
	}{
		{`"alice"`, `"alice"`, "alice", b64([]byte("alice")), "alice"},
		{`"Jürgen"`, `"J\u00fcrgen"`, "Jürgen", b64([]byte("Jürgen")), "J%C3%BCrgen"},
		{`"\u00fc"`, `"\u00fc"`, "ü", b64([]byte("ü")), "%C3%BC"},
		{`"😀"`, `"\ud83d\ude00"`, "😀", b64([]byte("😀")), "%F0%9F%98%80"},
		{`"Doe, Jane"`, `"Doe\u002c Jane"`, "!comma", b64([]byte("Doe, Jane")), "Doe%2C%20Jane"},
		{`"a\"b"`, `"a\"b"`, "!quote", b64([]byte(`a"b`)), "a%22b"},
		{`" admin"`, `" admin"`, "!blank", b64([]byte(" admin")), "%20admin"},
		{`"100%"`, `"100%"`, "100%", b64([]byte("100%")), "100%25"},
		{`"-._~"`, `"-._~"`, "-._~", b64([]byte("-._~")), "-._~"},
		{`"a\nb"`, `"a\nb"`, "a\nb", b64([]byte("a\nb")), "a%0Ab"},
		{"\"a\u0085\u007f\"", `"a\u0085\u007f"`, "a\u0085\u007f", b64([]byte("a\u0085\u007f")), "a%C2%85%7F"},
		{`"[\"admin\"]"`, `"[\"admin\"]"`, "!quote", "!looks like JSON", "%5B%22admin%22%5D"},
		{`"[1]"`, `"[1]"`, "[1]", "!looks like JSON", "%5B1%5D"},
		{`"{a}"`, `"{a}"`, "{a}", "!looks like JSON", "%7Ba%7D"},
		{`" \t\n\ufeff{}"`, `" \t\n\ufeff{}"`, "!blank", "!looks like JSON", "%20%09%0A%EF%BB%BF%7B%7D"},
		{`"a[1]"`, `"a[1]"`, "a[1]", b64([]byte("a[1]")), "a%5B1%5D"},
		{`""`, `""`, "", "", ""},
		{`null`, "", "", "", ""},
		{`1.50e+3`, "1.50e+3", "1.50e+3", b64([]byte("1.50e+3")), "1.50e%2B3"},
		{`true`, "true", "true", b64([]byte("true")), "true"},
		{`["a", "b"]`, `["a","b"]`, "a,b", b64([]byte(`["a","b"]`)), "a,b"},
		{`["Büro", "x y"]`, `["B\u00fcro","x y"]`, "Büro,x y", b64([]byte(`["Büro","x y"]`)), "B%C3%BCro,x%20y"},
		{`["a,b"]`, `["a\u002cb"]`, "!comma", b64([]byte(`["a\u002cb"]`)), "a%2Cb"},
		{`["a", ""]`, `["a",""]`, "!empty", b64([]byte(`["a",""]`)), `["a",""]`},
		{`[1, true, "ü"]`, `[1,true,"\u00fc"]`, "1,true,ü", b64([]byte(`[1,true,"ü"]`)), `[1,true,"\u00fc"]`},
		{`["a", null]`, `["a",null]`, "!numbers and booleans", b64([]byte(`["a",null]`)), `["a",null]`},
		{`[["a"]]`, `[["a"]]`, "!numbers and booleans", b64([]byte(`[["a"]]`)), `[["a"]]`},
		{`[]`, `[]`, "", b64([]byte(`[]`)), `[]`},
		{`{"ü": [1, 2]}`, `{"\u00fc":[1,2]}`, "!numbers and booleans", b64([]byte(`{"ü":[1,2]}`)), `{"\u00fc":[1,2]}`},
	} {
		for as, want := range map[claims.Encoding]string{
			claims.JSON: tt.inJSON, claims.Comma: tt.comma, claims.Base64URL: tt.inBase64URL, claims.Percent: tt.percent,
		} {
			got, err := claim(t, tt.json).Encode(as)
			if refused, part := strings.CutPrefix(want, "!"); part {
				if err == nil || !strings.Contains(err.Error(), refused) || got != "" {
					t.Errorf("%s as %v: got %q, %v; want the error %q", tt.json, as, got, err, refused)
				}
			} else if err != nil || got != want {
				t.Errorf("%s as %v: got %q, %v; want %q", tt.json, as, got, err, want)
			}
		}
		text, _ := claim(t, tt.json).Text()
		if got, err := claim(t, tt.json).Encode(claims.Text); err != nil || got != text {
			t.Errorf("%s: got %q, %v; want what Text says, %q", tt.json, got, err, text)
		}
	}
	if got, err := (claims.Value{}).Encode(claims.JSON); err != nil || got != "" {
		t.Errorf("no value: %q, %v", got, err)
	}
	if got, err := claim(t, "1").Encode(99); err == nil {
		t.Errorf("an unknown encoding gives %q", got)
	}
}

func TestNamesOfEncodings(t *testing.T) {
	want := []string{"json", "comma", "base64url", "percent"}
	if got := claims.Encodings(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for i, name := range append([]string{""}, want...) {
		if e, ok := claims.ParseEncoding(name); !ok || e != claims.Encoding(i) || e.String() != name {
			t.Errorf("%q is %v, %v", name, e, ok)
		}
	}
	for _, name := range []string{"JSON", "base64", "json ", "csv"} {
		if e, ok := claims.ParseEncoding(name); ok {
			t.Errorf("%q is %v", name, e)
		}
	}
	if got := claims.Encoding(9).String(); got != "Encoding(9)" {
		t.Error(got)
	}
}

// elements are what a backend that wants a list finds in a value: its scalars, or the one that it is. Nothing else is a
// list.
func elements(tb testing.TB, value string) (list []string, ok bool) {
	tb.Helper()
	if members, other := meaning(tb, value); other == "" {
		return members, true
	}
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	var array []any
	if decoder.Decode(&array) != nil {
		return nil, false
	}
	for _, e := range array {
		switch e := e.(type) {
		case string, json.Number, bool:
			list = append(list, fmt.Sprint(e))
		default:
			return nil, false
		}
	}
	return list, true
}

// checkEncodings requires of each encoding that its reader finds what the value means, or nothing at all.
func checkEncodings(tb testing.TB, value string) {
	tb.Helper()
	members, other := meaning(tb, value)
	for _, as := range []claims.Encoding{claims.JSON, claims.Comma, claims.Base64URL, claims.Percent} {
		text, err := claim(tb, value).Encode(as)
		if err != nil {
			if as == claims.JSON || as == claims.Percent {
				tb.Fatalf("%s as %v: %v", value, as, err)
			}
			continue
		}
		if as != claims.Comma && strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			tb.Fatalf("%s as %v has another character than ASCII: %q", value, as, text)
		}
		if text == "" {
			list, ok := elements(tb, value)
			if value != "null" && (as == claims.JSON || !ok || strings.Join(list, "") != "") {
				tb.Fatalf("%s as %v says nothing", value, as)
			}
			continue
		}
		gotMembers, gotOther := members, other
		switch as {
		case claims.JSON:
			gotMembers, gotOther = meaning(tb, text)
		case claims.Percent:
			gotMembers, gotOther = readBack(tb, text)
		case claims.Base64URL:
			decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
			if err != nil {
				tb.Fatal(err)
			}
			if read := string(decoded); strings.HasPrefix(strings.TrimSpace(read), "[") || strings.HasPrefix(read, "{") {
				gotMembers, gotOther = meaning(tb, read)
			} else {
				gotMembers, gotOther = []string{read}, ""
			}
		case claims.Comma:
			list, ok := elements(tb, value)
			var read []string
			for part := range strings.SplitSeq(text, ",") {
				read = append(read, strings.Trim(part, " "))
			}
			if !ok || !slices.Equal(read, list) {
				tb.Fatalf("%s as comma became %q", value, text)
			}
		}
		if !slices.Equal(gotMembers, members) || gotOther != other {
			tb.Fatalf("%s as %v became %q, in which a backend reads %q%s", value, as, text, gotMembers, gotOther)
		}
	}
}

// No claim can look like another in any encoding.
func TestEncodingsHaveOneMeaning(t *testing.T) {
	values := []string{"null", "true", "0", "-0.0", "1e400", "[]", "{}", "[null]", "[true,1]", `[["a"],"b"]`,
		`{"a":{"b":[","]}}`, `""`}
	layer := []string{""}
	for range 3 {
		var next []string
		for _, s := range layer {
			for _, c := range "a,\"%[{ 2C\\é\u00a0" {
				next = append(next, s+string(c))
			}
		}
		layer = next
		for _, s := range layer {
			text, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, string(text))
		}
	}
	for _, value := range values {
		checkEncodings(t, value)
		for _, around := range []string{"[%s]", `["a", %s]`, `[%s,"b"]`, "[1,%s]", `{"k": %s}`} {
			checkEncodings(t, fmt.Sprintf(around, value))
		}
	}
}

func FuzzEncode(f *testing.F) {
	for _, seed := range []string{
		`"a,admin"`, `["a","b,c"]`, `["[\"admin\"]"]`, `" admin"`, `{"ü":[",\\",1]}`, `[""," "]`, `"\ud83d\ude00,"`,
		"[ 1 , [\n] ]", `"\ufeff[1]"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		set, err := claims.Decode([]byte(`{"x":` + value + `}`))
		if err != nil || !json.Valid([]byte(value)) || strings.TrimSpace(value) != value {
			return
		}
		v, ok := set.Claim("x")
		if !ok {
			return
		}
		if text, err := v.Encode(claims.Comma); err == nil && strings.TrimSpace(text) != text {
			return // a control character at an end, which a header cannot have
		}
		checkEncodings(t, value)
	})
}

// The escapes of percent are those that every decoder of URLs knows.
func TestPercentIsReadByURLDecoders(t *testing.T) {
	every := make([]rune, 0, 300)
	for r := rune(1); r < 300; r++ {
		every = append(every, r)
	}
	text, err := json.Marshal(string(every))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := claim(t, string(text)).Encode(claims.Percent)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := url.PathUnescape(encoded); err != nil || got != string(every) {
		t.Errorf("path: %v", err)
	}
	if got, err := url.QueryUnescape(encoded); err != nil || got != string(every) {
		t.Errorf("query: %v", err)
	}
}
