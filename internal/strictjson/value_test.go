package strictjson_test

import (
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

func parse(tb testing.TB, text string) strictjson.Value {
	tb.Helper()
	v, err := strictjson.Parse(text, strictjson.Limits{})
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestValueOfEachKind(t *testing.T) {
	for _, tt := range []struct {
		text  string
		kind  strictjson.Kind
		name  string
		str   string
		yes   bool
		empty bool
	}{
		{text: ` null `, kind: strictjson.Null, name: "null"},
		{text: `true`, kind: strictjson.Bool, name: "boolean", yes: true},
		{text: `false`, kind: strictjson.Bool, name: "boolean"},
		{text: `-1.5e3`, kind: strictjson.Number, name: "number"},
		{text: `0`, kind: strictjson.Number, name: "number"},
		{text: `"a\u00e9\/\"\ud83d\ude00\b\f\n\r\tz"`, kind: strictjson.String,
			name: "string", str: "aé/\"\U0001F600\b\f\n\r\tz"},
		{text: `""`, kind: strictjson.String, name: "string", empty: true},
		{text: `"\\"`, kind: strictjson.String, name: "string", str: `\`},
		{text: `[ ]`, kind: strictjson.Array, name: "array", empty: true},
		{text: `[[]]`, kind: strictjson.Array, name: "array"},
		{text: `{ }`, kind: strictjson.Object, name: "object", empty: true},
		{text: `{"a":null}`, kind: strictjson.Object, name: "object"},
	} {
		v := parse(t, tt.text)
		if v.Kind() != tt.kind || v.Kind().String() != tt.name {
			t.Errorf("%s: kind %v", tt.text, v.Kind())
		}
		if got, ok := v.Str(); got != tt.str || ok != (tt.kind == strictjson.String) {
			t.Errorf("%s: Str is %q, %v", tt.text, got, ok)
		}
		if got, ok := v.Bool(); got != tt.yes || ok != (tt.kind == strictjson.Bool) {
			t.Errorf("%s: Bool is %v, %v", tt.text, got, ok)
		}
		if v.Empty() != tt.empty {
			t.Errorf("%s: Empty is %v", tt.text, v.Empty())
		}
		if string(v.Raw()) != v.Text() {
			t.Errorf("%s: Raw is %q", tt.text, v.Raw())
		}
	}
}

func TestZeroValueContainsNothing(t *testing.T) {
	var v strictjson.Value
	if v.Kind() != strictjson.Invalid || v.Kind().String() != "nothing" ||
		v.Equal("") || v.Empty() || strictjson.Kind(99).String() != "nothing" {
		t.Error("the zero Value is something")
	}
	for range v.Elements() {
		t.Error("the zero Value has an element")
	}
	for range v.Members() {
		t.Error("the zero Value has a member")
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		equal      bool
	}{
		{`"abc"`, "abc", true},
		{`"abc"`, "ab", false},
		{`"ab"`, "abc", false},
		{`"abc"`, "ABC", false},
		{`""`, "", true},
		{`"s\u0075b"`, "sub", true},
		{`"s\u0075b"`, "sb", false},
		{`"s\u0075b"`, "su", false},
		{`"s\u0075b"`, "s", false},
		{`"\u00e9"`, "é", true},
		{`"\u00e9"`, "\xc3", false},
		{`"\ud83d\ude00!"`, "\U0001F600!", true},
		{`"https:\/\/as.example"`, "https://as.example", true},
		{`"https:\/\/as.example"`, `https:\/\/as.example`, false},
		{`"\u0000"`, "\x00", true},
		{`"\u0000"`, "", false},
		{`1`, "1", false},
		{`null`, "", false},
	} {
		if got := parse(t, tt.text).Equal(tt.want); got != tt.equal {
			t.Errorf("%s equal to %q: %v", tt.text, tt.want, got)
		}
	}
}

func TestPrefixesAndSuffixes(t *testing.T) {
	for _, tt := range []struct {
		text, part     string
		prefix, suffix bool
	}{
		{`"abc"`, "", true, true},
		{`"abc"`, "ab", true, false},
		{`"abc"`, "bc", false, true},
		{`"abc"`, "abc", true, true},
		{`"abc"`, "abcd", false, false},
		{`"abc"`, "xabc", false, false},
		{`"\u0061"`, "a", true, true},
		{`"\u0061bc\u0064"`, "abcd", true, true},
		{`"\u0061bc\u0064"`, "ab", true, false},
		{`"\u0061bc\u0064"`, "cd", false, true},
		{`"\u0061bc\u0064"`, "bcd", false, true},
		{`"\u0061bc\u0064"`, "\\u0061", false, false},
		{`"\ud83d\ude00x\u00e9"`, "\U0001F600", true, false},
		{`"\ud83d\ude00x\u00e9"`, "é", false, true},
		{`"\ud83d\ude00x\u00e9"`, "xé", false, true},
		{`"\ud83d\ude00x\u00e9"`, "\U0001F600xé", true, true},
		{`"\ud83d\ude00x\u00e9"`, "a\U0001F600xé", false, false},
		{`"\\"`, "\\", true, true},
		{`"\\n"`, "\n", false, false},
		{`""`, "", true, true},
		{`""`, "a", false, false},
		{`1`, "1", false, false},
		{`null`, "", false, false},
	} {
		v := parse(t, tt.text)
		if v.HasPrefix(tt.part) != tt.prefix || v.HasSuffix(tt.part) != tt.suffix {
			t.Errorf("%s begins with %q: %v, ends with it: %v", tt.text, tt.part, v.HasPrefix(tt.part), v.HasSuffix(tt.part))
		}
	}
}

func TestIsNumber(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "-0": true, "12.50": true, "1e5": true, "1E+5": true, "-1.5e-3": true, "": false, "-": false, "01": false,
		"1.": false, ".1": false, "1e": false, "1e+": false, " 1": false, "1 ": false, "1a": false, "NaN": false,
		`"1"`: false,
		"+1":  false, "1e5e5": false,
	} {
		if strictjson.IsNumber(text) != want {
			t.Errorf("%q is a number: %v", text, !want)
		}
	}
}

func TestElements(t *testing.T) {
	var got []string
	for e := range parse(t, "[ 1 ,\t\"a,]\\\"\" , [ [ ] , {\"}\":\"]\"} ] , {} ,null,-2.5e-1\n]").Elements() {
		got = append(got, e.Text())
	}
	want := []string{`1`, `"a,]\""`, `[ [ ] , {"}":"]"} ]`, `{}`, `null`, `-2.5e-1`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for range parse(t, `[1,2]`).Elements() {
		break // the iterator must stop when yield returns false
	}
	for range parse(t, `{"a":1}`).Elements() {
		t.Error("an object has elements")
	}
}

func TestMembers(t *testing.T) {
	v := parse(t, "{ \"a\" : 1 ,\"b\\\"}\":{\"a\":[2]}, \"c\"\n:\t\"x\" }")
	var got []string
	for name, value := range v.Members() {
		got = append(got, name.Text(), value.Text())
	}
	if want := []string{`"a"`, `1`, `"b\"}"`, `{"a":[2]}`, `"c"`, `"x"`}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for range parse(t, `[{"a":1}]`).Members() {
		t.Error("an array has members")
	}
}

func TestMember(t *testing.T) {
	v := parse(t, `{"s\u0075b":"me","SUB":"you","nested":{"deep":1},"":0}`)
	for name, want := range map[string]string{"sub": `"me"`, "SUB": `"you"`, "nested": `{"deep":1}`, "": `0`} {
		if got, ok := v.Member(name); !ok || got.Text() != want {
			t.Errorf("%q: %s, %v", name, got.Text(), ok)
		}
	}
	for _, name := range []string{"Sub", "deep", `s\u0075b`, "sub "} {
		if got, ok := v.Member(name); ok {
			t.Errorf("%q: %s", name, got.Text())
		}
	}
	if _, ok := parse(t, `[{"a":1}]`).Member("a"); ok {
		t.Error("an array has a member")
	}
}

func TestReadingDoesNotAllocate(t *testing.T) {
	v := parse(t, `{"a":[1,"x",{"b":2}],"s\u0075b":"m\u00e9","last":{"value":"x"}}`)
	got := testing.AllocsPerRun(100, func() {
		sub, _ := v.Member("sub")
		if !sub.Equal("mé") {
			t.Error("not equal")
		}
		list, _ := v.Member("a")
		for e := range list.Elements() {
			_ = e.Kind()
		}
		for name, value := range v.Members() {
			_, _ = name.Kind(), value.Kind()
		}
		last, _ := v.Member("last")
		value, _ := last.Member("value")
		if s, _ := value.Str(); s != "x" {
			t.Error("not x")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{`1`, `1`, true}, {`1`, `1.0`, false}, {`"a"`, `"\u0061"`, true}, {`"a"`, `"b"`, false}, {`"1"`, `1`, false},
		{`null`, `null`, true}, {`null`, `false`, false}, {`true`, `false`, false}, {`[]`, `{}`, false},
		{`[1,2]`, `[1, 2]`, true}, {`[1,2]`, `[2,1]`, false}, {`[1,2]`, `[1]`, false}, {`[1]`, `[1,2]`, false},
		{`{"a":1,"b":2}`, `{ "b":2,"a":1}`, true}, {`{"a":1}`, `{"a":2}`, false}, {`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false}, {`{"a":[{"b":"\u0063"}]}`, `{"a": [{"b":"c"}]}`, true},
		{`{"a":1}`, `{"b":1}`, false},
	} {
		a, err := strictjson.Parse(test.a, strictjson.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := strictjson.Parse(test.b, strictjson.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if strictjson.Same(a, b) != test.same || strictjson.Same(b, a) != test.same {
			t.Errorf("%s and %s: %v", test.a, test.b, !test.same)
		}
	}
}
