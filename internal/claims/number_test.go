package claims_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

func number(tb testing.TB, text string) claims.Number {
	tb.Helper()
	n, err := claims.ParseNumber(text)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// within reports whether a claim is at least, and whether it is at most, a number.
func within(tb testing.TB, json, bound string) (atLeast, atMost bool) {
	tb.Helper()
	set, x := decode(tb, `{"x":`+json+`}`), mustPath(tb, "x")
	least := claims.Condition{Path: x, AtLeast: number(tb, bound)}
	most := claims.Condition{Path: x, AtMost: number(tb, bound)}
	return least.Holds(set), most.Holds(set)
}

func TestNumbersAreComparedExactly(t *testing.T) {
	long := strings.Repeat("9", 5_000)
	for _, tt := range []struct {
		json, bound string
		want        int // -1, 0 or 1: how the claim compares with the bound
	}{
		{`18`, "18", 0}, {`17`, "18", -1}, {`19`, "18", 1}, {`9`, "10", -1}, {`100`, "99", 1},
		{`9007199254740993`, "9007199254740992", 1}, // the same as float64
		{`9007199254740992`, "9007199254740993", -1},
		{`1e3`, "1000", 0}, {`1E+3`, "1000", 0}, {`1000`, "1e3", 0}, {`10e2`, "1000", 0}, {`0.1e4`, "1000", 0},
		{`1000e-3`, "1", 0}, {`1.0`, "1", 0}, {`1.000`, "1.0", 0}, {`1.5`, "1.50", 0}, {`10.50`, "10.5", 0},
		{`1e0003`, "1000", 0}, {`1e-0003`, "0.001", 0},
		{`0.1`, "0.10000000000000001", -1}, {`0.3`, "0.30000000000000004", -1},
		{`0.05`, "0.5", -1}, {`0.05`, "0.050", 0}, {`0.009`, "0.01", -1}, {`12.5`, "12.49", 1}, {`12.05`, "12.5", -1},
		{`0`, "0", 0}, {`-0`, "0", 0}, {`0.0`, "-0", 0}, {`0e999999999`, "0", 0}, {`-0e-5`, "0.000", 0},
		{`-1`, "0", -1}, {`-1`, "1", -1}, {`1`, "-1", 1}, {`-2`, "-1", -1}, {`-1`, "-2", 1}, {`-1.5`, "-1.5", 0},
		{`-0.1`, "0", -1}, {`0.1`, "0", 1}, {`-10`, "-9", -1},
		{`1e999999999`, "1e999", 1}, {`-1e999999999`, "-1e999", -1}, {`1e-999999999`, "0", 1},
		{`1e-999999999`, "1e-999", -1}, {`-1e-999999999`, "0", -1}, {`1e99999999999999999999999999`, "5", 1},
		{`1e-99999999999999999999999999`, "5", -1}, {`1e` + long, "5", 1}, {`1e-` + long, "5", -1},
		{long, "1e999", 1}, {`0.` + long, "1", -1}, {`0.` + strings.Repeat("0", 5_000) + `1`, "1e-999", -1},
		{`1` + strings.Repeat("0", 5_000) + `e-5000`, "1", 0}, {`0.` + strings.Repeat("0", 4_999) + `1e5000`, "1", 0},
	} {
		atLeast, atMost := within(t, tt.json, tt.bound)
		if atLeast != (tt.want >= 0) || atMost != (tt.want <= 0) {
			t.Errorf("%.40s and %s: at least %v, at most %v", tt.json, tt.bound, atLeast, atMost)
		}
	}
}

// What is not a number is neither more nor less.
func TestOnlyNumbersAreWithinBounds(t *testing.T) {
	for _, json := range []string{
		`"5"`, `"5.0"`, `true`, `false`, `null`, `[5]`, `[]`, `{}`, `{"value":5}`, `[{"value":5}]`, `""`, `"NaN"`,
		`"Infinity"`, `"1e9"`,
	} {
		for _, bound := range []string{"0", "5", "-1"} {
			if atLeast, atMost := within(t, json, bound); atLeast || atMost {
				t.Errorf("%s and %s: at least %v, at most %v", json, bound, atLeast, atMost)
			}
		}
	}
	absent := claims.Condition{Path: mustPath(t, "y"), AtMost: number(t, "5")}
	if absent.Holds(decode(t, `{"x":1}`)) || absent.Holds((*claims.Set)(nil)) {
		t.Error("an absent claim is at most 5")
	}
}

func TestParseNumber(t *testing.T) {
	for _, text := range []string{"0", "-0", "18", "-1", "0.5", "1e3", "1E-10", "1e999", strings.Repeat("9", 100)} {
		if n := number(t, text); n.String() != text {
			t.Errorf("%s became %s", text, n)
		}
	}
	for _, text := range []string{
		"", " 18", "18 ", "+18", "018", ".5", "5.", "1e", "0x10", "1_000", "1,5", "NaN", "Infinity", "ten", "\"5\"", "5\n",
		"1e1001", "1e-1002", "1e999999999", "1e99999999999999999999", strings.Repeat("9", 101), "true", "[1]", "--1", "१८",
	} {
		if n, err := claims.ParseNumber(text); err == nil {
			t.Errorf("%q is the number %v", text, n)
		}
	}
}

// FuzzNumber compares the comparison with that of math/big, which knows every number exactly.
func FuzzNumber(f *testing.F) {
	for _, seed := range [][2]string{
		{"18", "18"}, {"1e3", "1000"}, {"9007199254740993", "9007199254740992"}, {"-0.05", "-5e-2"}, {"0", "-0"},
		{"1e400", "1e401"}, {"0.30000000000000004", "0.3"}, {"-12.500", "-12.5"}, {"100", "1E2"}, {"5.", ".5"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, json, text string) {
		bound, err := claims.ParseNumber(text)
		if err != nil {
			return
		}
		set, err := claims.Decode([]byte(`{"x":` + json + `}`))
		if err != nil {
			return
		}
		x := mustPath(t, "x")
		value, _ := set.Lookup(x)
		if text := value.JSON().Text(); value.JSON().Kind().String() != "number" || bigExponent(text) {
			return
		}
		got, ok := new(big.Rat).SetString(value.JSON().Text())
		want, ok2 := new(big.Rat).SetString(text)
		if !ok || !ok2 {
			t.Fatalf("math/big does not read %q or %q", value.JSON().Text(), text)
		}
		least, most := claims.Condition{Path: x, AtLeast: bound}, claims.Condition{Path: x, AtMost: bound}
		if c := got.Cmp(want); least.Holds(set) != (c >= 0) || most.Holds(set) != (c <= 0) {
			t.Errorf("%s and %s: math/big says %d", value.JSON().Text(), text, c)
		}
		if excluded := (&claims.Condition{Path: x, Values: []string{text}}); excluded.Excludes(set) != (got.Cmp(want) != 0) {
			t.Errorf("%s excludes %s", value.JSON().Text(), text)
		}
	})
}

// bigExponent reports whether math/big would need a lot of memory.
func bigExponent(text string) bool {
	_, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	return len(strings.TrimLeft(exponent, "+-")) > 4
}
