package tenant_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tenant"
)

func TestParseSet(t *testing.T) {
	set, err := tenant.ParseSet([]byte("\ufeff# ours\r\nglobex\r\n\r\n\t acme \n#initech\nacme\nA.b_c-1"))
	if err != nil {
		t.Fatal(err)
	}
	if all := set.All(); !slices.Equal(all, []string{"A.b_c-1", "acme", "globex"}) || set.Len() != 3 {
		t.Errorf("%d tenants: %q", set.Len(), all)
	}
	if first := set.First(2); !slices.Equal(first, []string{"A.b_c-1", "acme"}) {
		t.Errorf("the first are %q", first)
	}
	for name, want := range map[string]bool{"acme": true, "globex": true, "initech": false, "Acme": false, "": false} {
		if set.Has(name) != want {
			t.Errorf("%q: %v, want %v", name, !want, want)
		}
	}
}

func TestParseSetRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "there is no tenant",
		"\n# nobody\n":            "there is no tenant",
		"acme\nglobex initech\n":  "line 2",
		"acme\n\n*\n":             "line 3",
		"acme,globex":             "line 1",
		`["acme"]`:                "line 1",
		"..":                      "line 1",
		strings.Repeat("a", 65):   "line 1",
		"acme\x00":                "line 1",
		"https://h.example/acme":  "line 1",
		"acme # the first tenant": "line 1",
	} {
		if set, err := tenant.ParseSet([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || set != nil {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

// FuzzParseSet: what is in the list can be a tenant, and stands in the text.
func FuzzParseSet(f *testing.F) {
	f.Add([]byte("acme\r\n# x\n\nglobex"))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := tenant.ParseSet(text)
		if err != nil {
			return
		}
		for _, name := range set.All() {
			if !tenant.Valid(name) || !set.Has(name) || !strings.Contains(string(text), name) {
				t.Fatalf("%q is in the list", name)
			}
		}
		if set.Len() == 0 || len(set.First(1)) == 0 {
			t.Fatal("the list is empty")
		}
	})
}

func TestAnyTenant(t *testing.T) {
	var any tenant.Any
	if !any.Has("acme") || any.Has("..") || any.Has("") || any.Len() >= 0 || any.First(1) != nil {
		t.Error("any is not the list of all tenants that there may be")
	}
}

func TestIndex(t *testing.T) {
	set, err := tenant.NewSet("acme", "globex")
	if err != nil {
		t.Fatal(err)
	}
	var x tenant.Index[string]
	if err := x.Add(&tenant.Tenants{Pattern: *parse(t, entra), Listed: set}, "entra"); err != nil {
		t.Fatal(err)
	}
	if err := x.Add(&tenant.Tenants{Pattern: *parse(t, "https://id.example/*"), Listed: tenant.Any{}}, "id"); err != nil {
		t.Fatal(err)
	}
	for issuer, want := range map[string]string{
		"https://login.example/acme/v2.0": "entra", "https://id.example/x": "id",
		"https://login.example/initech/v2.0": "", "https://id.example/..": "", "": "",
	} {
		if got, ok := x.Find(issuer); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", issuer, got, ok)
		}
	}
	if text := x.Unlisted("https://login.example/initech/v2.0"); !strings.Contains(text, `"initech"`) {
		t.Errorf("%q does not name the tenant", text)
	}
	if text := x.Unlisted("https://id.example/*"); !strings.Contains(text, "in place of \"*\"") {
		t.Errorf("%q does not say that the issuer is a pattern", text)
	}
	if x.Unlisted("https://other.example") != "" || x.Matches("https://other.example") {
		t.Error("another issuer matches")
	}
	if !x.Matches("https://login.example/initech/v2.0") {
		t.Error("the issuer of a tenant that is not listed matches no pattern")
	}
	if n := testing.AllocsPerRun(10, func() { x.Find("https://login.example/acme/v2.0") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	of := &tenant.Tenants{Pattern: *parse(t, entra), Listed: set}
	if !of.Has("https://login.example/acme/v2.0") || of.Has("https://login.example/initech/v2.0") || of.Has(entra) {
		t.Error("it has other issuers than those of its tenants")
	}
}

func TestIndexRefuses(t *testing.T) {
	var x tenant.Index[int]
	add := func(pattern string, listed tenant.List) error {
		return x.Add(&tenant.Tenants{Pattern: *parse(t, pattern), Listed: listed}, 0)
	}
	if err := add(entra, nil); err == nil {
		t.Error("a pattern without a list")
	}
	if err := add(entra, tenant.Any{}); err != nil {
		t.Fatal(err)
	}
	if err := add(entra, tenant.Any{}); err == nil || !strings.Contains(err.Error(), "can match the same iss") {
		t.Errorf("the same pattern twice: %v", err)
	}
	for i := range 31 {
		if err := add(fmt.Sprintf("https://h%d.example/*", i), tenant.Any{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("https://last.example/*", tenant.Any{}); err == nil || !strings.Contains(err.Error(), "more than 32") {
		t.Errorf("33 patterns: %v", err)
	}
}
