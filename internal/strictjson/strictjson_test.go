package strictjson_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/strictjson"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       error // nil: accepted
	}{
		{"an empty object", `{}`, nil},
		{"an empty array", `[]`, nil},
		{"white space around everything", " \t\r\n{ \"a\" : [ 1 , { } , [ ] ] , \"b\" : null } \n", nil},
		{"every kind of scalar", `[null,true,false,0,"",-0,-1.5e+10,1E-2,0.0]`, nil},
		{"every escape", `"\"\\\/\b\f\n\r\t\u0000\u00e9\uD83D\uDE00"`, nil},
		{"text beyond the basic plane", "\"\U0001F600 é \u2028\"", nil},
		{"a replacement character that was written", "\"\ufffd\"", nil},
		{"a huge exponent, which is nobody's business here", `1e1000000`, nil},

		{"nothing", ``, strictjson.ErrSyntax},
		{"only white space", "  \n", strictjson.ErrSyntax},
		{"a byte order mark", "\ufeff{}", strictjson.ErrSyntax},
		{"UTF-16", "{\x00}\x00", strictjson.ErrSyntax},
		{"a second value", `{}{}`, strictjson.ErrSyntax},
		{"a NUL after the value", "{}\x00", strictjson.ErrSyntax},
		{"a NUL in a string", "\"\x00\"", strictjson.ErrSyntax},
		{"a line break in a string", "\"a\nb\"", strictjson.ErrSyntax},
		{"a control character far into a string", "\"0123456789abcdef\x1f\"", strictjson.ErrSyntax},
		{"the last control character amid a string", "\"0123456789\x1fabcdefghijkl\"", strictjson.ErrSyntax},
		{"an open string", `"abc`, strictjson.ErrSyntax},
		{"an open escape", `"abc\`, strictjson.ErrSyntax},
		{"an unknown escape", `"\x41"`, strictjson.ErrSyntax},
		{"an escaped quote at the end", `"\"`, strictjson.ErrSyntax},
		{"a short unicode escape", `"\u12"`, strictjson.ErrSyntax},
		{"a unicode escape that is not hexadecimal", `"\u12g4"`, strictjson.ErrSyntax},
		{"an upper-case unicode escape", `"\U0041"`, strictjson.ErrSyntax},
		{"single quotes", `{'a':1}`, strictjson.ErrSyntax},
		{"a name without quotes", `{a:1}`, strictjson.ErrSyntax},
		{"a number as a name", `{1:1}`, strictjson.ErrSyntax},
		{"a trailing comma in an object", `{"a":1,}`, strictjson.ErrSyntax},
		{"a trailing comma in an array", `[1,]`, strictjson.ErrSyntax},
		{"a leading comma", `[,1]`, strictjson.ErrSyntax},
		{"only a comma", `{,}`, strictjson.ErrSyntax},
		{"a missing comma", `[1 2]`, strictjson.ErrSyntax},
		{"a missing colon", `{"a" 1}`, strictjson.ErrSyntax},
		{"a missing value", `{"a":}`, strictjson.ErrSyntax},
		{"brackets that do not match", `[}`, strictjson.ErrSyntax},
		{"an open object", `{"a":1`, strictjson.ErrSyntax},
		{"an open array", `[1`, strictjson.ErrSyntax},
		{"a comment", `{/**/}`, strictjson.ErrSyntax},
		{"NaN", `NaN`, strictjson.ErrSyntax},
		{"Infinity", `-Infinity`, strictjson.ErrSyntax},
		{"a hexadecimal number", `0x10`, strictjson.ErrSyntax},
		{"a leading zero", `01`, strictjson.ErrSyntax},
		{"a leading zero after a minus", `-01`, strictjson.ErrSyntax},
		{"a number that ends in its point", `1.`, strictjson.ErrSyntax},
		{"a number that starts with its point", `.5`, strictjson.ErrSyntax},
		{"a plus", `+1`, strictjson.ErrSyntax},
		{"only a minus", `-`, strictjson.ErrSyntax},
		{"an exponent without digits", `1e`, strictjson.ErrSyntax},
		{"an exponent with only a sign", `1e+`, strictjson.ErrSyntax},
		{"a literal cut short", `tru`, strictjson.ErrSyntax},
		{"a literal in capitals", `True`, strictjson.ErrSyntax},
		{"a literal that goes on", `nulll`, strictjson.ErrSyntax},
		{"another kind of white space", "{\u00a0}", strictjson.ErrSyntax},
		{"a vertical tab", "{\v}", strictjson.ErrSyntax},

		{"an invalid byte", "\"a\xff\"", strictjson.ErrUTF8},
		{"an overlong encoding", "\"\xc0\xaf\"", strictjson.ErrUTF8},
		{"an encoded surrogate", "\"\xed\xa0\x80\"", strictjson.ErrUTF8},
		{"a sequence cut short", "\"\xe2\x82\"", strictjson.ErrUTF8},
		{"an invalid byte in a name", "{\"a\xff\":1}", strictjson.ErrUTF8},
		{"an invalid byte after the value", "{}\xff", strictjson.ErrUTF8},
		{"a high surrogate alone", `"a\ud800"`, strictjson.ErrUTF8},
		{"a high surrogate before text", `"\ud800abcdef"`, strictjson.ErrUTF8},
		{"a high surrogate before another escape", `"\ud800\n12345"`, strictjson.ErrUTF8},
		{"two high surrogates", `"\ud800\ud800"`, strictjson.ErrUTF8},
		{"a low surrogate alone", `"\udc00"`, strictjson.ErrUTF8},
		{"surrogates in the wrong order", `"\ude00\ud83d"`, strictjson.ErrUTF8},
		{"a lone surrogate in a name", `{"\ud800":1}`, strictjson.ErrUTF8},
		{"two low surrogates", `"\udc00\udc00"`, strictjson.ErrUTF8},
		{"a high surrogate before what follows the low ones", `"\ud800\ue000"`, strictjson.ErrUTF8},
		{"a high surrogate before a broken escape", `"\ud800\uzzzz"`, strictjson.ErrSyntax},

		{"a name twice", `{"sub":"me","sub":"admin"}`, strictjson.ErrDuplicate},
		{"a name twice with the same value", `{"a":1,"a":1}`, strictjson.ErrDuplicate},
		{"a name twice, far apart", `{"a":1,"b":2,"c":3,"d":4,"a":5}`, strictjson.ErrDuplicate},
		{"the empty name twice", `{"":1,"":2}`, strictjson.ErrDuplicate},
		{"the empty name twice, beside an escape", `{"":1,"\u0061":2,"":3}`, strictjson.ErrDuplicate},
		{"a duplicate hidden by an escape", `{"sub":"a","s\u0075b":"admin"}`, strictjson.ErrDuplicate},
		{"a duplicate that comes before, hidden", `{"s\u0075b":"admin","sub":"a"}`, strictjson.ErrDuplicate},
		{"two spellings of one escape", `{"\u002F":1,"\/":2}`, strictjson.ErrDuplicate},
		{"a surrogate pair and its character", "{\"\\ud83d\\ude00\":1,\"\U0001F600\":2}", strictjson.ErrDuplicate},
		{"a duplicate in a nested object", `{"a":{"b":[{"c":1,"c":2}]}}`, strictjson.ErrDuplicate},
		{"a duplicate around nested objects", `{"a":{"x":1},"b":{"x":1},"a":{"x":1}}`, strictjson.ErrDuplicate},
		{"a duplicate among many", `{` + members(200) + `,"n7":1}`, strictjson.ErrDuplicate},
		{"a duplicate among sixteen", `{` + members(15) + `,"n7":1}`, strictjson.ErrDuplicate},
		{"a duplicate among seventeen", `{` + members(16) + `,"n7":1}`, strictjson.ErrDuplicate},

		{"names that differ in case", `{"sub":"a","SUB":"b","Sub":"c"}`, nil},
		{"names that are equal only when folded", "{\"sub\":1,\"\\u017fub\":2,\"kid\":3,\"\u212aid\":4}", nil},
		{"names that are equal only when normalised", "{\"\u00e9\":1,\"e\u0301\":2}", nil},
		{"one name on two levels", `{"a":{"a":{"a":1}}}`, nil},
		{"one name in two neighbours", `[{"a":1},{"a":2}]`, nil},
		{"one name in the neighbours inside a large object", `{` + members(40) + `,"x":{"n1":1},"y":{"n1":1}}`, nil},
		{"a name that is another's value", `{"a":"b","b":"a"}`, nil},
		{"names with equal ends and lengths", `{"abc":1,"axc":2,"ayc":3}`, nil},
		{"a backslash and its escape's letters", `{"\\u0061":1,"a":2}`, nil},

		{"sixteen levels", strings.Repeat("[", 16) + strings.Repeat("]", 16), nil},
		{"seventeen levels", strings.Repeat("[", 17) + strings.Repeat("]", 17), strictjson.ErrDepth},
		{"seventeen levels of objects", strings.Repeat(`{"a":`, 16) + "{}" + strings.Repeat("}", 16), strictjson.ErrDepth},
		{"many neighbours on one level", "[" + strings.Repeat("[],", 1000) + "[]]", nil},
		{"an abyss", strings.Repeat("[", 100_000), strictjson.ErrDepth},
		{"1024 members", `{` + members(1024) + `}`, nil},
		{"1025 members", `{` + members(1025) + `}`, strictjson.ErrMembers},
		{"1025 members on two levels", `{` + members(512) + `,"x":{` + members(512) + `}}`, strictjson.ErrMembers},
		{"a text beyond all bounds", `"` + strings.Repeat("a", strictjson.MaxText) + `"`, strictjson.ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := strictjson.Parse(tt.text, strictjson.Limits{})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.want == nil {
				if want := strings.Trim(tt.text, " \t\r\n"); v.Text() != want {
					t.Errorf("value is %q, want %q", v.Text(), want)
				}
				return
			}
			if !errors.Is(err, strictjson.ErrInvalid) {
				t.Errorf("%v is not ErrInvalid", err)
			}
			if v != (strictjson.Value{}) {
				t.Errorf("got a value beside the error")
			}
		})
	}
}

func TestParseObject(t *testing.T) {
	for _, text := range []string{`[]`, `"{}"`, `null`, `1`, `true`, ` [{}]`} {
		if _, err := strictjson.ParseObject(text, strictjson.Limits{}); !errors.Is(err, strictjson.ErrNotObject) {
			t.Errorf("%s: got %v, want ErrNotObject", text, err)
		}
	}
	if v, err := strictjson.ParseObject(" {} ", strictjson.Limits{}); err != nil || v.Kind() != strictjson.Object {
		t.Errorf("got %v, %v", v.Kind(), err)
	}
}

func TestLimitsOfTheCaller(t *testing.T) {
	limits := strictjson.Limits{Depth: 2, Members: 2}
	for text, want := range map[string]error{
		`{"a":{"b":1}}`:       nil,
		`{"a":{"b":[]}}`:      strictjson.ErrDepth,
		`{"a":1,"b":2,"c":3}`: strictjson.ErrMembers,
		`{"a":{"b":1},"c":2}`: strictjson.ErrMembers,
		`[[1,2,3,4,5,6,7,8]]`: nil,
	} {
		if _, err := strictjson.Parse(text, limits); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", text, err, want)
		}
	}
}

func TestBytesMayChangeAfterParsing(t *testing.T) {
	text := []byte(`{"kid":"one"}`)
	v, err := strictjson.ParseObject(text, strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	copy(text, `{"kid":"two"}`)
	if kid, _ := v.Member("kid"); !kid.Equal("one") {
		t.Errorf("the value changed with the bytes: %s", kid.Text())
	}
}

func TestErrorsDoNotQuoteTheText(t *testing.T) {
	for _, text := range []string{`{"s3cret":`, `{"s3cret":1,"s3cret":1}`, "\"s3cret\xff\"", `"s3cret\ud800"`} {
		_, err := strictjson.Parse(text, strictjson.Limits{})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("got %v", err)
		}
	}
}

func TestParseMembers(t *testing.T) {
	got, err := strictjson.ParseMembers(` { "a" : 1 , "b":{"x":[{"y":2}]},"c\u0021":[{"z":3}] } `, strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range got {
		texts = append(texts, m.Name.Text(), m.Value.Text())
	}
	want := []string{`"a"`, `1`, `"b"`, `{"x":[{"y":2}]}`, `"c\u0021"`, `[{"z":3}]`}
	if !slices.Equal(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
	for text, want := range map[string]error{
		`[{"a":1}]`:       strictjson.ErrNotObject,
		`{"a":1,"a":2}`:   strictjson.ErrDuplicate,
		`{"a":1,"b":tru}`: strictjson.ErrSyntax,
	} {
		if got, err := strictjson.ParseMembers(text, strictjson.Limits{}); got != nil || !errors.Is(err, want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, n := range []int{0, 1, 31, 32, 33, 1000} { // 32 are kept in place
		got, err := strictjson.ParseMembers(`{`+members(n)+`}`, strictjson.Limits{})
		if err != nil || len(got) != n || n > 0 && !got[n-1].Name.Equal("n"+strconv.Itoa(n-1)) {
			t.Errorf("%d members: got %d, %v", n, len(got), err)
		}
	}
}

// Reading takes time in proportion to the length, even for an expensive text. The bound is a hundred times the cost of
// the worst text, for slow machines and the race detector. A quadratic reader would need far more.
func TestTimeIsLinear(t *testing.T) {
	wide := strictjson.Limits{Depth: 1 << 20, Members: 1 << 20}
	manyLong := func(escaped string) string { // 16 names of 60 KB that differ at the end
		var b strings.Builder
		for i := range 16 {
			b.WriteString(`"` + escaped + strings.Repeat("x", 60_000) + string(rune('a'+i)) + `":0,`)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	for _, tt := range []struct {
		name, text string
		limits     strictjson.Limits
	}{
		{"100,000 members", `{` + members(100_000) + `}`, wide},
		{"100,000 members with equal fingerprints", `{` + similar(100_000, "") + `}`, wide},
		{"50,000 members written with escapes", `{` + similar(50_000, `\u0061`) + `}`, wide},
		{"many small objects with equal fingerprints", "[" + strings.Repeat(`{`+similar(16, "")+`},`, 5000) + "0]", wide},
		{"sixteen long names", manyLong(""), wide},
		{"sixteen long names with escapes", manyLong(`\u0061`), wide},
		{"100,000 levels of objects", strings.Repeat(`{"a":`, 100_000) + "0" + strings.Repeat("}", 100_000), wide},
		{"1 MB in one string", `"` + strings.Repeat("a", 1<<20) + `"`, wide},
		{"1 MB of escapes", `"` + strings.Repeat(`\n`, 1<<19) + `"`, wide},
		{"1 MB of digits", strings.Repeat("1", 1<<20), wide},
		{"1 MB of open brackets", strings.Repeat("[", 1<<20), strictjson.Limits{}},
		{"1 MB of elements", "[" + strings.Repeat("0,", 1<<19) + "0]", strictjson.Limits{}},
		{"1 MB of white space", strings.Repeat(" ", 1<<20) + "0", strictjson.Limits{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			best := time.Hour
			for range 3 {
				start := tokentest.ProcessorTime(t)
				_, _ = strictjson.Parse(tt.text, tt.limits)
				best = min(best, tokentest.ProcessorTime(t)-start)
			}
			perByte := float64(best.Nanoseconds()) / float64(len(tt.text))
			t.Logf("%d bytes in %v, %.2f ns a byte", len(tt.text), best, perByte)
			if perByte > 1000 {
				t.Errorf("%v for %d bytes", best, len(tt.text))
			}
		})
	}
}

func TestSuccessDoesNotAllocate(t *testing.T) {
	text := `{` + members(14) + `,"nested":{` + members(16) + `},"list":["a",{"value":"\u00e9\n"}]}`
	b := []byte(text)
	for _, tt := range []struct {
		name string
		want float64
		f    func() error
	}{
		{"parse a string", 0, func() error { _, err := strictjson.ParseObject(text, strictjson.Limits{}); return err }},
		{"parse bytes: their copy", 1, func() error { _, err := strictjson.ParseObject(b, strictjson.Limits{}); return err }},
		{"collect the members: their list", 1, func() error {
			_, err := strictjson.ParseMembers(text, strictjson.Limits{})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.f(); err != nil {
				t.Fatal(err)
			}
			if got := testing.AllocsPerRun(100, func() { _ = tt.f() }); got != tt.want {
				t.Errorf("%v allocations, want %v", got, tt.want)
			}
		})
	}
}

// members returns n members with distinct names.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"n`)
		b.WriteString(strconv.Itoa(i))
		b.WriteString(`":0`)
	}
	return b.String()
}

// similar returns n members with distinct names of the same length and with the same ends.
func similar(n int, prefix string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"x` + prefix + strconv.Itoa(1_000_000+i) + `x":0`)
	}
	return b.String()
}
