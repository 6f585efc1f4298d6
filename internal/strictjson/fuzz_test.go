package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// FuzzParse compares the reader with a slow one that uses encoding/json. Both accept the same texts, except those that
// the package comment excludes, and see the same tree.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `null`, ` {"a":[1,2.5e-3,"x",{"b":null}]} `, `{"sub":"a","s\u0075b":"admin"}`,
		`{"sub":1,"SUB":2,"\u017fub":3}`, `"\ud83d\ude00"`, `"\ud800"`, `"\ud800\u0041"`, "\"\xff\"", "\ufeff{}",
		`{"a":1}{"b":2}`, `[1,]`, `{"a":1,}`, `01`, `-`, `1.`, `1e5`, `"\u0000\/"`, "\"a\x00\"", `[[[[[[]]]]]]`,
		`{"a":{"b":1,"b":2}}`, `{"":0,"":1}`, `{"\\u0061":1,"a":2}`, `{"n":` + strings.Repeat("9", 400) + `}`,
		`{` + members(17) + `}`, `{` + members(16) + `,"n3":0}`, `{` + members(40) + `}`, strings.Repeat("[", 20),
		`{"alg":"RS256","typ":"at+jwt","kid":"2026-01"}`, `"\ud83d\ude00 and some longer text after it \n"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := strictjson.Parse(text, strictjson.Limits{})
		want, wantErr := reference(text)
		if !errors.Is(err, wantErr) {
			t.Fatalf("got %v, reference says %v", err, wantErr)
		}
		object := err == nil && v.Kind() == strictjson.Object
		if _, objErr := strictjson.ParseObject([]byte(text), strictjson.Limits{}); (objErr == nil) != object {
			t.Fatalf("ParseObject says %v, Parse %v", objErr, err)
		}
		if err != nil {
			return
		}
		if got := tree(t, v); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v, want %#v", got, want)
		}
		members, err := strictjson.ParseMembers(text, strictjson.Limits{})
		if (err == nil) != (v.Kind() == strictjson.Object) {
			t.Fatal(err)
		}
		i := 0
		for name, value := range v.Members() {
			if members[i] != (strictjson.Member{Name: name, Value: value}) {
				t.Fatalf("member %d is %v, want %v: %v", i, members[i], name, value)
			}
			i++
		}
		if i != len(members) {
			t.Fatalf("%d members, want %d", len(members), i)
		}
	})
}

// FuzzEqual checks that Equal, HasPrefix, HasSuffix, Str and encoding/json agree about any string.
func FuzzEqual(f *testing.F) {
	f.Add(`s\u0075b`, "sub")
	f.Add(`\ud83d\ude00`, "\U0001F600")
	f.Add(`\/`, "/")
	f.Add(`abc`, "abd")
	f.Fuzz(func(t *testing.T, content, other string) {
		v, err := strictjson.Parse(`"`+content+`"`, strictjson.Limits{})
		if err != nil || v.Kind() != strictjson.String {
			return
		}
		var want string
		if err := json.Unmarshal([]byte(v.Text()), &want); err != nil {
			t.Fatal(err)
		}
		if got, ok := v.Str(); !ok || got != want {
			t.Fatalf("Str is %q, want %q", got, want)
		}
		if !v.Equal(want) {
			t.Fatalf("not equal to its own content %q", want)
		}
		if v.Equal(other) != (other == want) {
			t.Fatalf("equal to %q: %v, content is %q", other, v.Equal(other), want)
		}
		for at := range want { // the beginnings of characters
			if before, after := want[:at], want[at:]; !v.HasPrefix(before) || !v.HasSuffix(after) {
				t.Fatalf("%q begins with %q: %v, and ends with %q: %v", want, before, v.HasPrefix(before), after,
					v.HasSuffix(after))
			}
		}
		if utf8.ValidString(other) && (v.HasPrefix(other) != strings.HasPrefix(want, other) ||
			v.HasSuffix(other) != strings.HasSuffix(want, other)) {
			t.Fatalf("begins with %q: %v, ends with it: %v, content is %q", other, v.HasPrefix(other), v.HasSuffix(other), want)
		}
	})
}

// reference reads a text with encoding/json, slowly, and adds each of our own refusals. Where several apply, it returns
// ErrInvalid, which all of them wrap.
func reference(text string) (any, error) {
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if !json.Valid([]byte(text)) || decoder.Decode(&value) != nil {
		return nil, strictjson.ErrInvalid
	}
	var reasons []error
	if !utf8.ValidString(text) || loneSurrogate(text) {
		reasons = append(reasons, strictjson.ErrUTF8)
	}
	walk := walker{decoder: json.NewDecoder(bytes.NewReader([]byte(text)))}
	walk.decoder.UseNumber()
	walk.value(0)
	if walk.duplicate {
		reasons = append(reasons, strictjson.ErrDuplicate)
	}
	if walk.depth > strictjson.DefaultDepth {
		reasons = append(reasons, strictjson.ErrDepth)
	}
	if walk.members > strictjson.DefaultMembers {
		reasons = append(reasons, strictjson.ErrMembers)
	}
	switch len(reasons) {
	case 0:
		return value, nil
	case 1:
		return nil, reasons[0]
	default:
		return nil, strictjson.ErrInvalid
	}
}

var escapes = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// loneSurrogate looks for a surrogate without its other half in the escapes of a valid text.
func loneSurrogate(text string) bool {
	high := -1 // where the low half must be
	for _, at := range escapes.FindAllStringIndex(text, -1) {
		var code uint64
		if at[1]-at[0] == 6 {
			code, _ = strconv.ParseUint(text[at[0]+2:at[1]], 16, 32)
		}
		isLow := code >= 0xdc00 && code < 0xe000
		if (high >= 0) != isLow || isLow && high != at[0] {
			return true
		}
		high = -1
		if code >= 0xd800 && code < 0xdc00 {
			high = at[1]
		}
	}
	return high >= 0
}

// walker counts what the token stream of encoding/json shows.
type walker struct {
	decoder        *json.Decoder
	duplicate      bool
	depth, members int
}

func (w *walker) value(depth int) {
	token, err := w.decoder.Token()
	if err != nil {
		panic(err)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return
	}
	w.depth = max(w.depth, depth+1)
	seen := map[string]bool{}
	for w.decoder.More() {
		if delim == '{' {
			name, _ := w.decoder.Token()
			w.members++
			w.duplicate = w.duplicate || seen[name.(string)]
			seen[name.(string)] = true
		}
		w.value(depth + 1)
	}
	_, _ = w.decoder.Token()
}

// tree is the value as encoding/json would return it.
func tree(t *testing.T, v strictjson.Value) any {
	switch v.Kind() {
	case strictjson.Null:
		return nil
	case strictjson.Bool:
		b, _ := v.Bool()
		return b
	case strictjson.Number:
		return json.Number(v.Text())
	case strictjson.String:
		s, _ := v.Str()
		return s
	case strictjson.Array:
		list := []any{}
		for e := range v.Elements() {
			list = append(list, tree(t, e))
		}
		return list
	case strictjson.Object:
		object := map[string]any{}
		for name, value := range v.Members() {
			n, _ := name.Str()
			if got, ok := v.Member(n); !ok || got != value {
				t.Fatalf("Member %q is %v, want %v", n, got, value)
			}
			object[n] = tree(t, value)
		}
		return object
	default:
		t.Fatal("a value of no kind")
		return nil
	}
}
