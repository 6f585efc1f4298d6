package claims_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

func mustPath(tb testing.TB, text string) claims.Path {
	tb.Helper()
	p, err := claims.ParsePath(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestLookup(t *testing.T) {
	set := decode(t, `{"sub":"a","realm_access":{"roles":["r1","r2"]},"https://example.com/roles":["admin"],
		"a.b":{"c.d":1},"a":{"b":{"c":2},"":3,"\u00e9":4},"back\\slash":5,"sl/ash":{"~":6},`+
		`"list":[[7],{"x":8}],"0":9,"n\u0075ll":null,"":10}`)
	for path, want := range map[string]string{
		"sub":                             `"a"`,
		"realm_access.roles":              `["r1","r2"]`,
		"realm_access":                    `{"roles":["r1","r2"]}`,
		"https://example.com/roles":       `["admin"]`,
		`a\.b.c\.d`:                       `1`,
		"a.b.c":                           `2`,
		"a.é":                             `4`,
		`back\\slash`:                     `5`,
		"sl/ash.~":                        `6`,
		"null":                            `null`,
		"0":                               `9`,
		"/sub":                            `"a"`,
		"/realm_access/roles":             `["r1","r2"]`,
		"/realm_access/roles/0":           `"r1"`,
		"/realm_access/roles/1":           `"r2"`,
		"/https:~1~1example.com~1roles/0": `"admin"`,
		"/a.b/c.d":                        `1`,
		"/sl~1ash/~0":                     `6`,
		"/list/0/0":                       `7`,
		"/list/1/x":                       `8`,
		"/0":                              `9`,
		`/back\slash`:                     `5`,
	} {
		p := mustPath(t, path)
		if v, ok := set.Lookup(p); !ok || v.JSON().Text() != want {
			t.Errorf("%s: got %q, %v; want %s", path, v.JSON().Text(), ok, want)
		}
		if p.String() != path {
			t.Errorf("%s became %s", path, p)
		}
	}
	for _, path := range []string{
		"Sub", "sub.x", "absent", "absent.x", "realm_access.Roles", "realm_access.roles.0", "list.0", "null.x",
		"/realm_access/roles/2", "/realm_access/roles/-", "/realm_access/roles/00",
		"/realm_access/roles/01", "/realm_access/roles/+1",
		"/realm_access/roles/1x", "/realm_access/roles/99999999999999999999", "/realm_access/roles/18446744073709551617",
		"https://example.com/role", "a://b",
	} {
		if v, ok := set.Lookup(mustPath(t, path)); ok {
			t.Errorf("%s: got %s", path, v.JSON().Text())
		}
	}
	if _, ok := set.Lookup(claims.Path{}); ok {
		t.Error("the zero path leads somewhere")
	}
}

func TestParsePathErrors(t *testing.T) {
	for _, path := range []string{
		"", ".", "a.", ".a", "a..b", `a\`, `a\x`, `a\/`, "/", "//", "/a//b", "/a/", "/a~", "/a~2", "/~", "/a~/b", "a\xff",
		strings.Repeat("a.", 16) + "a", strings.Repeat("/a", 17),
	} {
		if p, err := claims.ParsePath(path); !errors.Is(err, claims.ErrPath) || p.String() != "" {
			t.Errorf("%q: got %v, %v", path, p, err)
		}
	}
}

func TestPointerUnescapesInTheRightOrder(t *testing.T) {
	if v, ok := decode(t, `{"~1":1,"/":2}`).Lookup(mustPath(t, "/~01")); !ok || v.JSON().Text() != "1" {
		t.Errorf("got %q, %v", v.JSON().Text(), ok)
	}
}

func TestClaim(t *testing.T) {
	set := decode(t, `{"a.b":1,"a":{"b":2},"s\u0075b":"x"}`)
	if v, ok := set.Claim("a.b"); !ok || v.JSON().Text() != "1" {
		t.Errorf("got %q, %v", v.JSON().Text(), ok)
	}
	if v, ok := set.Claim("sub"); !ok || !v.Matches("x") {
		t.Errorf("got %q, %v", v.JSON().Text(), ok)
	}
	if _, ok := set.Claim("b"); ok {
		t.Error("a nested member is no claim")
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	set := decode(t, typical)
	dots, pointer, public := mustPath(t, "realm_access.roles"),
		mustPath(t, "/resource_access/account/roles/1"), mustPath(t, "https://example.com/roles")
	got := testing.AllocsPerRun(100, func() {
		a, _ := set.Lookup(dots)
		b, _ := set.Lookup(pointer)
		c, _ := set.Lookup(public)
		if !a.Matches("reader") || !b.Matches("view-profile") || !c.Matches("admin") || a.IsEmpty() {
			t.Error("no match")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestPathToATopLevelClaim(t *testing.T) {
	for text, want := range map[string]bool{
		"sub": true, "/sub": true, "iss": true, "a.sub": false, "/a/sub": false, `sub\.x`: false, "/sub~1x": false,
		"Sub": false, "https://sub": false,
	} {
		path, err := claims.ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := path.Is("sub", "iss"); got != want || path.IsZero() {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if zero := (claims.Path{}); !zero.IsZero() || zero.Is("") {
		t.Error("the zero path leads somewhere")
	}
}
