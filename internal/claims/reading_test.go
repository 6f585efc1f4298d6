package claims_test

import (
	"slices"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

// Who chooses the Reading sees the claims as they are written, and only the iss that is a text.
func TestReadingIsChosenByTheClaimsAsWritten(t *testing.T) {
	for text, iss := range map[string]string{
		`{"iss":"a","sub":null,"kid":""}`: "a", `{"sub":null,"kid":"","\u0069ss":"\u0062"}`: "b",
		`{"sub":null,"kid":"","iss":null}`: "", `{"sub":null,"kid":"","iss":7}`: "", `{"sub":null,"kid":""}`: "",
	} {
		calls := 0
		s, err := claims.DecodeBy([]byte(text), func(s *claims.Set) *claims.Reading {
			calls++
			sub, there := s.Claim("sub")
			if kid, also := s.Claim("kid"); s.Issuer != iss || !there || !also || !sub.IsEmpty() || !kid.IsEmpty() {
				t.Errorf("%s: iss is %q, and a claim is missing", text, s.Issuer)
			}
			return tolerating(claims.NullClaims)
		})
		if calls != 1 || err == nil && s.Issuer != iss {
			t.Errorf("%s: chosen %d times, %v", text, calls, err)
		}
	}
	for _, text := range []string{``, `{`, `[]`, `{"a":1,"a":2}`} {
		s, err := claims.DecodeBy([]byte(text), func(*claims.Set) *claims.Reading {
			t.Errorf("%q: chosen for a text that is no claims set", text)
			return nil
		})
		if s != nil || err == nil {
			t.Errorf("%q: got %v, %v", text, s, err)
		}
	}
}

func TestGroupsAreWhereTheReadingSays(t *testing.T) {
	const text = `{"groups":{"object":true},
		"roles":["reader","42",7,true,{"value":"scim"},{"deep":true},["inner"],null,""],
		"role":"plain, with a comma","n":{"realm":{"roles":["realm"]}},"cognito:groups":["pool"],
		"https://example.com/roles":"url","list":[{"value":"first"}],
		"urn:zitadel:iam:org:project:roles":{"admin":{"1":"a.example"},"off":false,"none":null,"zero":0,"empty":"","list":[],
		"yes":true,"\u0065scaped":{},"nested":{"inside":true}}}`
	at := func(paths ...string) *claims.Reading {
		r := new(claims.Reading)
		for _, path := range paths {
			r.Groups = append(r.Groups, mustPath(t, path))
		}
		return r
	}
	zitadel := at("urn:zitadel:iam:org:project:roles")
	for name, c := range map[string]struct {
		how       *claims.Reading
		in, notIn []string
	}{
		"a list": {at("roles"), []string{"reader", "42", "7", "true", "scim"},
			[]string{"deep", "inner", "null", "Reader", "reade", "value"}},
		"a text": {at("role"), []string{"plain, with a comma"},
			[]string{"plain", " with a comma", "plain, with a comma "}},
		"names":      {at("n.realm.roles"), []string{"realm"}, []string{"roles", "reader"}},
		"a colon":    {at("cognito:groups"), []string{"pool"}, []string{"groups"}},
		"a URL":      {at("https://example.com/roles"), []string{"url"}, []string{"roles"}},
		"a pointer":  {at("/roles/0"), []string{"reader"}, []string{"42"}},
		"an element": {at("/list/0"), []string{"value"}, []string{"first"}}, // an object at the very path
		"an object": {zitadel, []string{"admin", "zero", "empty", "list", "yes", "escaped", "nested"},
			[]string{"off", "none", "1", "a.example", "inside", "Admin", "", `\u0065scaped`}},
		"several": {at("role", "roles", "n.realm.roles"), []string{"reader", "realm", "plain, with a comma"},
			[]string{"pool", "object"}},
		"missing":                     {at("nothing", "n.nothing"), nil, []string{"reader", "object", ""}},
		"the default":                 {nil, nil, []string{"object", "reader"}},
		"the usual claim, configured": {at("groups"), []string{"object"}, []string{"reader"}},
	} {
		s, err := read(text, c.how)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range c.in {
			if !s.InGroup(group) {
				t.Errorf("%s: not in %q", name, group)
			}
		}
		for _, group := range c.notIn {
			if s.InGroup(group) {
				t.Errorf("%s: in %q", name, group)
			}
		}
	}
	s, err := read(text, at("role", "nothing", "cognito:groups"))
	if err != nil || !slices.Equal(s.GroupPaths(), []string{"role", "nothing", "cognito:groups"}) || len(s.Groups()) != 2 {
		t.Errorf("got %q, %v, %v", s.GroupPaths(), s.Groups(), err)
	}
	usual := decode(t, `{"groups":["a"],"roles":["b"]}`)
	if !usual.InGroup("a") || usual.InGroup("b") || !slices.Equal(usual.GroupPaths(), []string{"groups"}) {
		t.Errorf("without a Reading: %q", usual.GroupPaths())
	}
	answer, err := at("roles").DecodeAnswer([]byte(`{"active":true,"roles":["a"]}`))
	if err != nil || !answer.InGroup("a") {
		t.Errorf("an answer: %v", err)
	}
}

func TestInGroupDoesNotAllocate(t *testing.T) {
	r := &claims.Reading{Groups: []claims.Path{mustPath(t, "roles"), mustPath(t, "o")}}
	s, err := read(`{"roles":["a","b"],"o":{"c":{}}}`, r)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if !s.InGroup("c") || s.InGroup("d") {
			t.Fatal("wrong group")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
