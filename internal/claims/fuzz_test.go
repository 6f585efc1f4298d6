package claims_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// FuzzDecode compares a set with what a slow reader finds in the same text by encoding/json. It also compares the
// fields of the set with its claims.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		typical, `{}`, `[]`, `{"sub":"a","s\u0075b":"b"}`, `{"aud":[]}`, `{"aud":["a",1]}`, `{"aud":"a","AUD":"b"}`,
		`{"exp":1682707417.749942,"nbf":0,"iat":1e9}`, `{"exp":1e300}`,
		`{"exp":-1}`, `{"exp":"1"}`, `{"iss":""}`, `{"sub":" "}`,
		`{"scope":" a  b ","scp":["c","","d e"]}`, `{"scp":"x","scope":["y"]}`,
		`{"cnf":null}`, `{"\u0069at":1.5e9,"jti":"\u0041"}`,
		`{"a.b":{"c":[1,2,{"value":"x"}]},"":1,"https://x/y":true}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := claims.Decode([]byte(text))
		want, ok := reference(text)
		if (err == nil) != ok {
			t.Fatalf("got %v, reference accepts: %v", err, ok)
		}
		if err != nil {
			if set != nil || !errors.Is(err, claims.ErrMalformed) {
				t.Fatalf("got %v, %v", set, err)
			}
			return
		}
		got := fields{
			set.Issuer, set.Subject, set.ID, set.ClientID, set.Audience, set.Scope,
			set.ExpiresAt, set.NotBefore, set.IssuedAt, set.Confirmation.Bound,
		}
		if len(got.scope) == 0 { // an empty list counts as absent
			got.scope = nil
		}
		if len(want.scope) == 0 {
			want.scope = nil
		}
		if !reflect.DeepEqual(got, want.fields) {
			t.Fatalf("got %+v, want %+v", got, want.fields)
		}
		if string(set.Text()) != text || set.Size() < len(text) {
			t.Fatalf("text or size wrong: %d", set.Size())
		}
		checkLookups(t, set, want.claims)
	})
}

// checkLookups looks up every claim in each possible way.
func checkLookups(t *testing.T, set *claims.Set, all map[string]any) {
	for name, want := range all {
		paths := []string{}
		if name != "" && !strings.Contains(name, "://") {
			paths = append(paths, dotted(name), pointer(name))
		}
		v, ok := set.Claim(name)
		if got := v.Any(); !ok || !equalAny(got, want) {
			t.Fatalf("claim %q is %#v, want %#v", name, got, want)
		}
		for _, text := range paths {
			p, err := claims.ParsePath(text)
			if err != nil {
				t.Fatal(err)
			}
			if found, ok := set.Lookup(p); !ok || found != v {
				t.Fatalf("path %q leads to %v, want %v", text, found, v)
			}
		}
		text, ok := v.Text()
		if ok != (want != nil) {
			t.Fatalf("claim %q has text %q, %v", name, text, ok)
		}
		if s, isString := want.(string); isString && (len(text) < len(s) || !v.Matches(s)) {
			t.Fatalf("claim %q says %q, want %q", name, text, s)
		}
	}
	if _, ok := all["exp"]; ok != !set.ExpiresAt.IsZero() {
		t.Fatal("exp and ExpiresAt disagree")
	}
}

// FuzzDate compares dates with exact arithmetic.
func FuzzDate(f *testing.F) {
	for _, seed := range []string{
		"0", "1682707417.749942", "1e9", "17e-1", "-1", "1e300", "253402300799.9999999999", "253402300800", "0.0000000017e18",
		"1e-9", "9.99e99", "1700000000000", strings.Repeat("1", 65), "1e+09", "1e0099", "1e0100", "123456789012e-12",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, number string) {
		set, err := claims.Decode([]byte(`{"exp":` + number + `}`))
		if !json.Valid([]byte(number)) || strings.ContainsAny(number, " \t\r\n") {
			return // FuzzDecode has these
		}
		want, ok := referenceDate(json.Number(number))
		if (err == nil) != ok {
			t.Fatalf("got %v, reference accepts: %v", err, ok)
		}
		if ok && set.ExpiresAt != want {
			t.Fatalf("got %v, want %v", set.ExpiresAt, want)
		}
	})
}

// FuzzPath checks that paths find names of any kind. No text may make a path that panics or finds something else.
func FuzzPath(f *testing.F) {
	f.Add("realm_access", "roles", "a.b")
	f.Add("a.b", `c\d`, "/a~1b/0")
	f.Add("sl/ash", "~0", `x\`)
	f.Add("0", "1", "https://example.com/roles")
	set := decode(f, typical)
	f.Fuzz(func(t *testing.T, outer, inner, text string) {
		if p, err := claims.ParsePath(text); err == nil {
			if p.String() != text {
				t.Fatalf("%q became %q", text, p)
			}
			set.Lookup(p)
		}
		if outer == "" || inner == "" || !utf8.ValidString(outer) ||
			!utf8.ValidString(inner) || strings.Contains(outer+"."+inner, "://") {
			return
		}
		object, err := json.Marshal(map[string]any{"": 1, outer: map[string]any{inner: 7, inner + "x": 8}, outer + "x": 9})
		if err != nil {
			t.Fatal(err)
		}
		own, err := claims.Decode(object)
		if err != nil {
			return // outer is the name of a registered claim
		}
		for _, text := range []string{dotted(outer, inner), pointer(outer, inner)} {
			if strings.Contains(text, "://") {
				continue
			}
			if v, ok := own.Lookup(mustPath(t, text)); !ok || !v.Matches("7") {
				t.Fatalf("path %q in %s leads to %v, %v", text, object, v, ok)
			}
		}
	})
}

func dotted(names ...string) string {
	if strings.HasPrefix(names[0], "/") {
		return pointer(names...) // a slash at the start makes it a pointer
	}
	var escaped []string
	for _, name := range names {
		escaped = append(escaped, strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace(name))
	}
	return strings.Join(escaped, ".")
}

func pointer(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return b.String()
}

// fields are the fields of a set, as one comparable value.
type fields struct {
	issuer, subject, id, clientID string
	audience, scope               []string
	exp, nbf, iat                 time.Time
	cnf                           bool
}

type referenceSet struct {
	fields
	claims map[string]any
}

// reference applies the rules in Decode's comment to the tree that encoding/json builds. It does not check that the
// text is strict JSON.
func reference(text string) (r referenceSet, ok bool) {
	if _, err := strictjson.ParseObject(text, strictjson.Limits{}); err != nil {
		return r, false
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&r.claims) != nil {
		return r, false
	}
	ok = true
	str := func(v any) string {
		s, isString := v.(string)
		ok = ok && isString && strings.TrimSpace(s) != ""
		return s
	}
	var scope, scp []string
	for name, v := range r.claims {
		switch name {
		case "iss":
			r.issuer = str(v)
		case "sub":
			r.subject = str(v)
		case "jti":
			r.id = str(v)
		case "client_id":
			r.clientID = str(v)
		case "aud":
			list, isList := v.([]any)
			if !isList {
				list = []any{v}
			}
			ok = ok && len(list) <= 1024
			for _, e := range list {
				r.audience = append(r.audience, str(e))
			}
		case "scope":
			scope, ok = referenceScope(v, ok)
		case "scp":
			scp, ok = referenceScope(v, ok)
		case "exp", "nbf", "iat":
			date, good := referenceDate(v)
			ok = ok && good
			*map[string]*time.Time{"exp": &r.exp, "nbf": &r.nbf, "iat": &r.iat}[name] = date
		case "cnf":
			r.cnf = true
		}
	}
	r.scope = append(scope, scp...)
	return r, ok
}

func referenceScope(v any, ok bool) ([]string, bool) {
	var list []string
	switch v := v.(type) {
	case string:
		list = strings.FieldsFunc(v, func(r rune) bool { return r == ' ' })
		return list, ok && len(list) <= 1024
	case []any:
		for _, e := range v {
			s, isString := e.(string)
			ok = ok && isString
			if s != "" {
				list = append(list, s)
			}
		}
		return list, ok && len(v) <= 1024
	}
	return nil, false
}

func referenceDate(v any) (time.Time, bool) {
	number, ok := v.(json.Number)
	if !ok || len(number) > 64 || number[0] == '-' {
		return time.Time{}, false
	}
	if i := strings.IndexAny(string(number), "eE"); i >= 0 {
		if e, err := strconv.Atoi(string(number[i+1:])); err != nil || e > 99 || e < -99 {
			return time.Time{}, false
		}
	}
	exact, ok := new(big.Rat).SetString(string(number))
	if !ok || exact.Cmp(big.NewRat(253402300800, 1)) >= 0 {
		return time.Time{}, false
	}
	exact.Mul(exact, big.NewRat(1e9, 1))
	nanos := new(big.Int).Quo(exact.Num(), exact.Denom())
	seconds, rest := new(big.Int).QuoRem(nanos, big.NewInt(1e9), new(big.Int))
	return time.Unix(seconds.Int64(), rest.Int64()).UTC(), true
}

// equalAny compares Any with the tree of encoding/json.
func equalAny(got, want any) bool {
	switch want := want.(type) {
	case json.Number:
		switch got := got.(type) {
		case int64:
			n, err := want.Int64()
			return err == nil && n == got
		case float64:
			n, err := want.Float64()
			return err == nil && n == got
		default:
			return got == string(want)
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range list {
			if !equalAny(list[i], want[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok || len(object) != len(want) {
			return false
		}
		for name := range want {
			if !equalAny(object[name], want[name]) {
				return false
			}
		}
		return true
	default:
		return got == want
	}
}
