package claims_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// typical are the claims of a token of a common authorization server.
const typical = `{"iss":"https://auth.example.com/realms/main","sub":"248289761001",` +
	`"aud":["https://api.example.com","account"],"client_id":"s6BhdRkqt3","exp":1700000300,"nbf":1700000000,` +
	`"iat":1700000000.25,"jti":"dbe39bf3a3ba4238a513f51d6e1691c4",` +
	`"scope":"openid profile read write","realm_access":{"roles":["offline_access","uma_authorization","reader"]},` +
	`"resource_access":{"account":{"roles":["manage-account","view-profile"]}},"email_verified":true,"name":"Jane Doe",` +
	`"https://example.com/roles":["admin"],"sid":"d4a1f0b2-2c0c-4b9e-9d52-5a0d0c6a7a3e"}`

func decode(tb testing.TB, text string) *claims.Set {
	tb.Helper()
	s, err := claims.Decode([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return s
}

func TestDecode(t *testing.T) {
	s := decode(t, typical)
	if s.Issuer != "https://auth.example.com/realms/main" || s.Subject != "248289761001" ||
		s.ID != "dbe39bf3a3ba4238a513f51d6e1691c4" || s.ClientID != "s6BhdRkqt3" || s.Confirmation.Bound {
		t.Errorf("got %+v", s)
	}
	if !slices.Equal(s.Audience, []string{"https://api.example.com", "account"}) {
		t.Errorf("audience %q", s.Audience)
	}
	if !slices.Equal(s.Scope, []string{"openid", "profile", "read", "write"}) {
		t.Errorf("scope %q", s.Scope)
	}
	if !s.ExpiresAt.Equal(time.Unix(1700000300, 0)) || !s.NotBefore.Equal(time.Unix(1700000000, 0)) ||
		!s.IssuedAt.Equal(time.Unix(1700000000, 250_000_000)) || s.IssuedAt.Location() != time.UTC {
		t.Errorf("dates %v %v %v", s.ExpiresAt, s.NotBefore, s.IssuedAt)
	}
	if string(s.Text()) != typical {
		t.Errorf("text %s", s.Text())
	}
}

func TestDecodeOfAnEmptySet(t *testing.T) {
	s := decode(t, `{}`)
	if s.Issuer != "" || s.Audience != nil || s.Scope != nil ||
		!s.ExpiresAt.IsZero() || !s.NotBefore.IsZero() || !s.IssuedAt.IsZero() {
		t.Errorf("got %+v", s)
	}
}

// Servers that keep a list of audiences may write the list even if it is empty.
func TestEmptyAudienceSatisfiesNobody(t *testing.T) {
	for _, text := range []string{`{"aud":[]}`, `{"aud":[ ]}`} {
		s := decode(t, text)
		if s.Audience != nil || !errors.Is(claims.CheckAudience(s, []string{"me"}), claims.ErrAudience) {
			t.Errorf("%s: got %q", text, s.Audience)
		}
		profile := decode(t, `{"iss":"i","exp":1,"sub":"s","client_id":"c","iat":1,"jti":"j",`+text[1:])
		if err := claims.CheckAccessToken(profile); !errors.Is(err, claims.ErrMissing) {
			t.Errorf("%s: the profile for access tokens is satisfied: %v", text, err)
		}
	}
}

func TestDecodeAnswer(t *testing.T) {
	s, err := claims.DecodeAnswer([]byte(`{"active":true,` +
		`"sub":"","iss":"","jti":null,"cnf":null,"iat":null,"nbf":null,"aud":"",
		"client_id":"c","scope":"","x":null,"y":"","z":{"n":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Subject != "" || s.ClientID != "c" || !s.IssuedAt.IsZero() || s.Audience != nil || s.Confirmation.Bound {
		t.Errorf("got %+v", s)
	}
	for name, there := range map[string]bool{
		"sub": false, "iss": false, "jti": false, "cnf": false, "iat": false, "aud": false, "x": false,
		"active": true, "client_id": true, "scope": true, "y": true, "z": true,
	} {
		if _, ok := s.Claim(name); ok != there {
			t.Errorf("%s is there: %v", name, ok)
		}
	}
	for _, text := range []string{
		`{"sub":" "}`, `{"sub":1}`, `{"exp":null}`, `{"exp":""}`, `{"iat":""}`,
		`{"aud":[null]}`, `{"aud":[""]}`, `{"scope":["a",null]}`, `{"sub":null,"sub":"a"}`,
	} {
		if s, err := claims.DecodeAnswer([]byte(text)); !errors.Is(err, claims.ErrMalformed) {
			t.Errorf("%s: got %v, %v", text, s, err)
		}
	}
	if s, _ := claims.DecodeAnswer([]byte(`{"cnf":{},"sub":"a"}`)); !s.Confirmation.Bound || s.Subject != "a" {
		t.Errorf("got %+v", s)
	}
}

func TestSetOwnsItsText(t *testing.T) {
	text := []byte(`{"sub":"alice","x":["y"]}`)
	s, err := claims.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	clear(text)
	s.Text()[0] = 'X'
	if x, _ := s.Claim("x"); s.Subject != "alice" || !x.Matches("y") || s.Text()[0] != '{' {
		t.Error("the set changed with the bytes it was made from")
	}
}

// What the reader of JSON says must be found in the error.
func TestErrorsWrapThoseOfJSON(t *testing.T) {
	for text, want := range map[string]error{
		``:                           strictjson.ErrNotObject,
		`[{"sub":"a"}]`:              strictjson.ErrNotObject,
		`"sub"`:                      strictjson.ErrNotObject,
		`null`:                       strictjson.ErrNotObject,
		`eyJhbGciOiJub25lIn0.e30.`:   strictjson.ErrNotObject,
		"\ufeff{}":                   strictjson.ErrNotObject,
		`{}{}`:                       strictjson.ErrSyntax,
		"{\"sub\":\"a\xff\"}":        strictjson.ErrUTF8,
		`{"sub":"a\ud800"}`:          strictjson.ErrUTF8,
		`{"sub":"me","sub":"admin"}`: strictjson.ErrDuplicate,
		`{"a":` + strings.Repeat(`[`, 50) + strings.Repeat(`]`, 50) + `}`: strictjson.ErrDepth,
	} {
		s, err := claims.Decode([]byte(text))
		if s != nil || !errors.Is(err, claims.ErrMalformed) || !errors.Is(err, want) {
			t.Errorf("%s: got %v, %v; want ErrMalformed, %v", text, s, err, want)
		}
	}
}

func TestErrorsQuoteNothingOfTheToken(t *testing.T) {
	for _, text := range []string{
		`{"s3cret":`, `{"sub":["s3cret"]}`, `{"exp":"s3cret"}`,
		`{"s3cret":1,"s3cret":2}`, `{"aud":["s3cret",1]}`, `{"scope":["s3cret",1]}`,
	} {
		if _, err := claims.Decode([]byte(text)); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("got %v", err)
		}
	}
}

func TestNamesAreCaseSensitive(t *testing.T) {
	s := decode(t, `{"sub":"a","SUB":"admin","Aud":"me","EXP":9999999999,"\u017fub":"admin",`+
		"\"\u017fub2\":1,\"i\u017fs\":\"x\"}")
	if s.Subject != "a" || s.Audience != nil || !s.ExpiresAt.IsZero() || s.Issuer != "" {
		t.Errorf("got %+v", s)
	}
	if v, ok := s.Claim("SUB"); !ok || !v.Matches("admin") {
		t.Error("SUB is a claim of its own")
	}
}

func TestEscapesAreDecoded(t *testing.T) {
	s := decode(t, `{"\u0069ss":"https:\/\/as.example","a\u0075d":"\u006de","s\u0063ope":"re\u0061d\u0020write"}`)
	if s.Issuer != "https://as.example" || !slices.Equal(s.Audience, []string{"me"}) ||
		!slices.Equal(s.Scope, []string{"read", "write"}) {
		t.Errorf("got %+v", s)
	}
}

func TestScope(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a string", `{"scope":"read write"}`, []string{"read", "write"}},
		{"many spaces", `{"scope":"  read   write "}`, []string{"read", "write"}},
		{"an empty string", `{"scope":""}`, nil},
		{"only spaces", `{"scope":"   "}`, nil},
		{"an array", `{"scope":["read","write"]}`, []string{"read", "write"}},
		{"an empty array", `{"scope":[]}`, nil},
		{"an empty element", `{"scope":["","read"]}`, []string{"read"}},
		{"an element with a space is one scope", `{"scope":["read write"]}`, []string{"read write"}},
		{"commas do not separate", `{"scope":"read,write"}`, []string{"read,write"}},
		{"tabs do not separate", `{"scope":"read\twrite"}`, []string{"read\twrite"}},
		{"scp as a string", `{"scp":"read write"}`, []string{"read", "write"}},
		{"scp as an array", `{"scp":["read","write"]}`, []string{"read", "write"}},
		{"both", `{"scope":"a b","scp":["c"]}`, []string{"a", "b", "c"}},
		{"both, the other way round", `{"scp":["c"],"scope":"a b"}`, []string{"a", "b", "c"}},
		{"both, one empty", `{"scp":[],"scope":"a b"}`, []string{"a", "b"}},
		{"both, the other empty", `{"scp":["c"],"scope":""}`, []string{"c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := decode(t, tt.text)
			if !slices.Equal(s.Scope, tt.want) {
				t.Errorf("got %q, want %q", s.Scope, tt.want)
			}
			for _, scope := range tt.want {
				if !s.HasScope(scope) {
					t.Errorf("HasScope(%q) is false", scope)
				}
			}
			if s.HasScope("") || s.HasScope("READ") || s.HasScope("rea") || s.HasScope("admin") {
				t.Error("has a scope that nobody gave it")
			}
		})
	}
}

func TestConfirmation(t *testing.T) {
	const a, b = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"
	unknown := claims.Confirmation{Bound: true, Unknown: true}
	for text, want := range map[string]claims.Confirmation{
		`{}`:                                    {},
		`{"CNF":{"jkt":"` + a + `"}}`:           {},
		`{"cnf":{"jkt":"` + a + `"}}`:           {Bound: true, KeyThumbprint: a},
		`{"c\u006ef":{"x5t#S256":"` + b + `"}}`: {Bound: true, CertificateThumbprint: b},
		`{"cnf":{"x5t#S256":"` + b + `","jkt":"` + a + `"}}`: {
			Bound: true, KeyThumbprint: a, CertificateThumbprint: b,
		},
		`{"cnf":{"jkt":"` + a + `","jwk":{}}}`:                   {Bound: true, Unknown: true, KeyThumbprint: a},
		`{"cnf":{"jkt":"` + a + `","x5t#S256":"` + b[1:] + `"}}`: {Bound: true, Unknown: true, KeyThumbprint: a},
		`{"cnf":{"jkt":"` + a + `x"}}`:                           unknown,
		`{"cnf":{"jkt":"` + a[1:] + `="}}`:                       unknown,
		`{"cnf":{"jkt":["` + a + `"]}}`:                          unknown,
		`{"cnf":{"jkt":""}}`:                                     unknown,
		`{"cnf":{"something-unheard-of":1}}`:                     unknown,
		`{"cnf":{}}`:                                             unknown,
		`{"cnf":[{"jkt":"` + a + `"}]}`:                          unknown,
		`{"cnf":null}`:                                           unknown,
		`{"cnf":"x"}`:                                            unknown,
	} {
		if got := decode(t, text).Confirmation; got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

// The claims of a JWT about itself say nothing about the token. Its iat would be later than every revocation.
func TestDecodeSignedUserInfoIgnoresClaimsAboutTheAnswer(t *testing.T) {
	const text = `{"iss":"https://as","sub":"alice","aud":"c","exp":4,"nbf":"x","i\u0061t":3,"jti":"j","email":"e"}`
	set, err := (*claims.Reading)(nil).DecodeSignedUserInfo([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if set.Issuer != "https://as" || set.Subject != "alice" {
		t.Errorf("iss %q, sub %q", set.Issuer, set.Subject)
	}
	if set.ID != "" || set.Audience != nil || !set.ExpiresAt.IsZero() || !set.IssuedAt.IsZero() {
		t.Errorf("jti %q, aud %q, exp %v, iat %v", set.ID, set.Audience, set.ExpiresAt, set.IssuedAt)
	}
	for _, name := range []string{"aud", "exp", "nbf", "iat", "jti"} {
		if _, has := set.Claim(name); has {
			t.Errorf("%s is there", name)
		}
	}
	if _, has := set.Claim("email"); !has {
		t.Error("email is not there")
	}
}
