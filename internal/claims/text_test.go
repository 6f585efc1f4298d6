package claims_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

func TestText(t *testing.T) {
	for _, tt := range []struct{ json, want string }{
		{`"plain"`, "plain"},
		{`""`, ""},
		{`"a b"`, "a b"},
		{`"a,b"`, "a%2Cb"},
		{`"Doe, Jane"`, "Doe%2C Jane"},
		{`"50%"`, "50%25"},
		{`"a%20b"`, "a%2520b"},
		{`"a\"b"`, "a%22b"},
		{`" admin"`, "%20admin"},
		{`"%20admin"`, "%2520admin"},
		{`"  "`, "%20%20"},
		{`"\u00a0admin\u3000"`, "%C2%A0admin%E3%80%80"},
		{`"\ufeffadmin\ufeff"`, "%EF%BB%BFadmin%EF%BB%BF"},
		{`"a\u00a0b"`, "a\u00a0b"},
		{`"[\"admin\"]"`, "%5B%22admin%22]"},
		{`"{\"a\":1}"`, "%7B%22a%22:1}"},
		{`" [a"`, "%20%5Ba"},
		{`"a[0]{1}"`, "a[0]{1}"},
		{`"null"`, "null"},
		{`"\\,"`, `\%2C`},
		{`"\u00e9\n"`, "é\n"},
		{`"{env.SECRET}"`, "%7Benv.SECRET}"},
		{`1`, "1"},
		{`1.50e+3`, "1.50e+3"},
		{`12345678901234567890123`, "12345678901234567890123"},
		{`true`, "true"},
		{`false`, "false"},
		{`["a"]`, "a"},
		{`["a", "b c", "\u00e9"]`, "a,b c,é"},
		{`["a,b"]`, "a%2Cb"},
		{`["a","\u002c"]`, "a,%2C"},
		{`["a","b,admin,c"]`, "a,b%2Cadmin%2Cc"},
		{`["[\"admin\"]"]`, "%5B%22admin%22]"},
		{`["a"," admin "]`, "a,%20admin%20"},
		{`["a", ""]`, `["a",""]`},
		{`["","b,admin,c"]`, `["","b\u002cadmin\u002cc"]`},
		{`[1,",\",\\"]`, `[1,"\u002c\"\u002c\\"]`},
		{`{"a,b":[",",true]}`, `{"a\u002cb":["\u002c",true]}`},
		{`[""]`, `[""]`},
		{`[ ]`, `[]`},
		{`["a", 1]`, `["a",1]`},
		{`[ [ "a" ] ]`, `[["a"]]`},
		{`[null]`, `[null]`},
		{`{ "a b" : "c \u0020 d" , "e" : [ 1 , 2 ] }`, `{"a b":"c \u0020 d","e":[1,2]}`},
		{`{}`, `{}`},
		{`{"a":"<&>"}`, `{"a":"<&>"}`},
		{`{"a": "<&>"}`, `{"a":"<&>"}`},
	} {
		if got, ok := claim(t, tt.json).Text(); !ok || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.json, got, ok, tt.want)
		}
	}
	if got, ok := claim(t, `null`).Text(); ok || got != "" {
		t.Errorf("null: got %q, %v", got, ok)
	}
	if got, ok := (claims.Value{}).Text(); ok || got != "" {
		t.Errorf("zero: got %q, %v", got, ok)
	}
}

// meaning is what a value means according to the standard library: its members, or the value itself if it has none.
func meaning(tb testing.TB, text string) (members []string, other string) {
	tb.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		tb.Fatal(err)
	}
	switch v := v.(type) {
	case string:
		return []string{v}, ""
	case json.Number, bool:
		return []string{fmt.Sprint(v)}, ""
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok || s == "" {
				members = nil
				break
			}
			members = append(members, s)
		}
		if len(members) > 0 {
			return members, ""
		}
	}
	again, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return nil, string(again)
}

// readBack reads a text as a backend does: JSON as JSON, and any other text by splitting it at commas and decoding each
// member.
func readBack(tb testing.TB, text string) (members []string, other string) {
	tb.Helper()
	if strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{") {
		return meaning(tb, text)
	}
	for part := range strings.SplitSeq(text, ",") {
		s, err := url.PathUnescape(strings.TrimSpace(part))
		if err != nil {
			tb.Fatalf("%q: %v", text, err)
		}
		members = append(members, s)
	}
	return members, ""
}

// checkText requires that a backend reads from the text what the value means. So values with the same text mean the
// same.
func checkText(tb testing.TB, value string) {
	tb.Helper()
	text, ok := claim(tb, value).Text()
	if !ok {
		if value != "null" {
			tb.Fatalf("%s has no text", value)
		}
		return
	}
	members, other := readBack(tb, text)
	if wantMembers, wantOther := meaning(tb, value); !slices.Equal(members, wantMembers) || other != wantOther {
		tb.Fatalf("%s became %q, in which a backend reads %q%s", value, text, members, other)
	}
	// A backend that splits even JSON at commas must not cut a string in two: a part of it could pass for a member.
	if members == nil {
		for part := range strings.SplitSeq(text, ",") {
			part = strings.ReplaceAll(strings.ReplaceAll(part, `\\`, ""), `\"`, "")
			if strings.Count(part, `"`)%2 == 1 {
				tb.Fatalf("%s became %q, with a comma in a string", value, text)
			}
		}
	}
}

// Whatever the strings of a claim contain, a backend reads from its text what the claim means. The test tries all short
// values made of characters that have a meaning somewhere.
func TestTextHasOneMeaning(t *testing.T) {
	texts := []string{`""`}
	for _, alphabet := range []string{"a,\"%[]{} 2C1:\\\u00a0", "a,[\" %"} {
		layer := []string{""}
		for range 3 {
			var next []string
			for _, s := range layer {
				for _, c := range alphabet {
					next = append(next, s+string(c))
				}
			}
			layer = next
			for _, s := range layer {
				b, _ := json.Marshal(s)
				texts = append(texts, string(b))
			}
			if len(alphabet) > 10 && len(layer) > 3000 {
				break
			}
		}
	}
	for _, text := range texts {
		checkText(t, text)
		for _, around := range []string{"[%s]", `["a", %s]`, `[%s,"b"]`, "[1,%s]", `{"k": %s}`, `{%s:1}`} {
			checkText(t, fmt.Sprintf(around, text))
		}
	}
	pairs := texts[:250]
	if testing.Short() {
		pairs = texts[:100]
	}
	for _, a := range pairs {
		for _, b := range pairs {
			checkText(t, "["+a+","+b+"]")
		}
	}
	for _, value := range []string{
		"null", "true", "false", "0", "-0.0", "1e400", "[]", "{}", "[null]", "[true,1]", `[["a"],"b"]`, `{"a":{"b":[","]}}`,
	} {
		checkText(t, value)
	}
}

// Two different values have different texts.
func TestDifferentValuesHaveDifferentTexts(t *testing.T) {
	for _, pair := range [][2]string{
		{`"a,admin"`, `["a","admin"]`},
		{`"[\"admin\"]"`, `["admin"]`},
		{`["[\"admin\"]"]`, `[["admin"]]`},
		{`["[1]"]`, `[1]`},
		{`"{\"admin\":true}"`, `{"admin":true}`},
		{`" admin"`, `"%20admin"`},
		{`"a%2Cadmin"`, `"a,admin"`},
		{`["a","b"]`, `["a,b"]`},
		{`[]`, `"[]"`},
		{`[""]`, `""`},
		{`"[\"\"]"`, `[""]`},
	} {
		first, _ := claim(t, pair[0]).Text()
		second, _ := claim(t, pair[1]).Text()
		if first == second {
			t.Errorf("%s and %s both are %q", pair[0], pair[1], first)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{
		`"a,admin"`, `["a","b,c"]`, `["[\"admin\"]"]`, `" admin"`, `"%20admin"`, `{"a":[",\\",1]}`, `[""," "]`,
		`"\ud83d\ude00,"`, `"\u3000"`, "[ 1 , [\n] ]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		set, err := claims.Decode([]byte(`{"x":` + value + `}`))
		if err != nil || !json.Valid([]byte(value)) {
			return
		}
		if v, ok := set.Claim("x"); ok && !strings.ContainsAny(value, "\t\r\n") {
			if text, _ := v.Text(); strings.TrimSpace(text) != text {
				return // a control character at an end, which a header cannot have
			}
			checkText(t, value)
		}
	})
}
