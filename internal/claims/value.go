package claims

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Value is the value of a claim. It is immutable and small.
type Value struct{ json strictjson.Value }

// JSON is the value as it stands in the token.
func (v Value) JSON() strictjson.Value { return v.json }

// Text is the value in the form in which it is told to a backend: a string as it
// is, a number or boolean as JSON; an array of strings joined by commas, unless
// it is empty or one of them is empty, contains a comma or has a blank at an end
// (which who splits a list takes off, RFC 9110 section 5.6.1), which would make
// the result ambiguous; other arrays and objects as JSON without white space.
// Null has no text. The text may contain any character.
func (v Value) Text() (text string, ok bool) {
	switch v.json.Kind() {
	case strictjson.Invalid, strictjson.Null:
		return "", false
	case strictjson.String:
		return v.json.Str()
	case strictjson.Array:
		if text, ok := joinStrings(v.json); ok {
			return text, true
		}
	}
	return compact(v.json.Text()), true
}

// joinStrings joins the elements of an array by commas, when that can be undone.
func joinStrings(array strictjson.Value) (string, bool) {
	var b strings.Builder
	for e := range array.Elements() {
		s, ok := e.Str()
		if !ok || s == "" || strings.Contains(s, ",") || s[0] == ' ' || s[len(s)-1] == ' ' {
			return "", false
		}
		if b.Len() == 0 {
			b.Grow(len(array.Text()))
		} else {
			b.WriteByte(',')
		}
		b.WriteString(s)
	}
	return b.String(), b.Len() > 0
}

// compact removes the white space between the tokens of a valid text. Nearly
// always there is none.
func compact(text string) string {
	if !strings.ContainsAny(text, " \t\r\n") {
		return text
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text // unreachable: a Value is valid JSON
	}
	return b.String()
}

// Matches tells whether the value says want: a string that is equal to it, a
// number or boolean whose JSON text is; an array with such an element; or an array
// with an object whose member "value" is such a one, the way SCIM writes groups,
// roles and entitlements (RFC 9068 section 2.2.3.1). Everything is compared
// exactly: 1.0 is not 1. It does not allocate.
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

// Any is the value as Go sees it: nil, bool, string, int64, float64, []any or
// map[string]any. A number that neither int64 nor float64 can hold, and a whole
// number beyond int64, which float64 would round to another one, is a string of
// its JSON text.
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

// IsEmpty tells whether the value is there but says nothing: null, a blank string,
// an array without elements, an object without members.
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
