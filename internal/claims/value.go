package claims

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Value is the value of a claim. It is immutable and small.
type Value struct{ json strictjson.Value }

// JSON returns the value as it is written in the token.
func (v Value) JSON() strictjson.Value { return v.json }

// Matches reports whether the value is want, or an array that contains it. A string must be equal to want. A number or
// boolean must have it as its JSON text. An object in an array counts by its member "value", since SCIM writes groups,
// roles and entitlements that way (RFC 9068 section 2.2.3.1). Everything is compared exactly: 1.0 is not 1. Matches
// does not allocate.
func (v Value) Matches(want string) bool {
	if v.json.Kind() != strictjson.Array {
		return scalarEqual(v.json, want)
	}
	for e := range v.json.Elements() {
		if e.Kind() == strictjson.Object {
			e, _ = e.Member("value")
		}
		if scalarEqual(e, want) {
			return true
		}
	}
	return false
}

func scalarEqual(v strictjson.Value, want string) bool {
	switch v.Kind() {
	case strictjson.String:
		return v.Equal(want)
	case strictjson.Number, strictjson.Bool:
		return v.Text() == want
	default:
		return false
	}
}

// Any returns the value as a Go value: nil, bool, string, int64, float64, []any or map[string]any. A number outside the
// range of float64 becomes a string of its JSON text. So does an integer outside the range of int64, which float64
// would round.
func (v Value) Any() any { return anyOf(v.json) }

func anyOf(v strictjson.Value) any {
	switch v.Kind() {
	case strictjson.Bool:
		b, _ := v.Bool()
		return b
	case strictjson.String:
		s, _ := v.Str()
		return s
	case strictjson.Number:
		return number(v.Text())
	case strictjson.Array:
		list := []any{}
		for e := range v.Elements() {
			list = append(list, anyOf(e))
		}
		return list
	case strictjson.Object:
		object := map[string]any{}
		for name, value := range v.Members() {
			n, _ := name.Str()
			object[n] = anyOf(value)
		}
		return object
	default:
		return nil
	}
}

func number(text string) any {
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return text
	}
	return f
}

// IsEmpty reports whether the value is null, a blank string, an array without elements, or an object without members.
func (v Value) IsEmpty() bool {
	switch v.json.Kind() {
	case strictjson.Null:
		return true
	case strictjson.String:
		if c := v.json.Text()[1]; c > ' ' && c < utf8.RuneSelf && c != '\\' && c != '"' {
			return false // the usual case, without unescaping the rest
		}
		s, _ := v.json.Str()
		return strings.TrimSpace(s) == ""
	default:
		return v.json.Empty()
	}
}
