package claims_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

func headerOf(t *testing.T, text string) *claims.Header {
	t.Helper()
	object, err := strictjson.ParseObject(text, strictjson.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	header := claims.HeaderOf(object)
	return &header
}

func pathTo(t *testing.T, text string) claims.Path {
	t.Helper()
	path, err := claims.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A condition judges a member of a header as it judges a claim.
func TestConditionsOfAHeader(t *testing.T) {
	header := headerOf(t, `{"alg":"RS256","c\u006f":"intersystems","n":3,"in":{"list":["a","b"]},"none":null}`)
	pattern, err := claims.ParsePattern("inter*")
	if err != nil {
		t.Fatal(err)
	}
	three, err := claims.ParseNumber("3")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		condition       claims.Condition
		holds, excludes bool
	}{
		"the value":        {claims.Condition{Path: pathTo(t, "co"), Values: []string{"intersystems"}}, true, false},
		"another value":    {claims.Condition{Path: pathTo(t, "co"), Values: []string{"acme"}}, false, true},
		"a pattern":        {claims.Condition{Path: pathTo(t, "co"), Patterns: []claims.Pattern{pattern}}, true, false},
		"a number":         {claims.Condition{Path: pathTo(t, "n"), AtLeast: three}, true, false},
		"an element":       {claims.Condition{Path: pathTo(t, "in.list"), Values: []string{"b"}}, true, false},
		"one by its index": {claims.Condition{Path: pathTo(t, "/in/list/0"), Values: []string{"b"}}, false, true},
		"null":             {claims.Condition{Path: pathTo(t, "none")}, false, true},
		"absent":           {claims.Condition{Path: pathTo(t, "prod")}, false, true},
		"in the way":       {claims.Condition{Path: pathTo(t, "co.x"), Values: []string{"b"}}, false, false},
	} {
		if got := c.condition.Holds(header); got != c.holds {
			t.Errorf("%s: holds %v", name, got)
		}
		if got := c.condition.Excludes(header); got != c.excludes {
			t.Errorf("%s: excludes %v", name, got)
		}
		if unknown := new(claims.Header); c.condition.Holds(unknown) || c.condition.Excludes(unknown) {
			t.Errorf("%s: an unknown header proves something", name)
		}
		if n := testing.AllocsPerRun(10, func() { c.condition.Holds(header); c.condition.Excludes(header) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// The causes say header, and whether there is one at all. They have nothing of the value.
func TestCausesAboutAHeader(t *testing.T) {
	c := claims.Condition{Path: pathTo(t, "co"), Values: []string{"acme"}}
	unknown, other := new(claims.Header), headerOf(t, `{"co":"x1"}`)
	const unverified = `the header member "co" is unknown, because no JWT was verified here; `
	for want, err := range map[string]error{
		`the header member "co" is there, but it is another string; required: "acme"`: c.Unmet(other),
		`the header member "co" is not there; required: "acme"`:                       c.Unmet(headerOf(t, `{}`)),
		unverified + `required: "acme"`:                                               c.Unmet(unknown),
		unverified + `excluded: "acme"`:                                               c.Included(unknown),
		`the header member "co" has what it must not have, or a form in which that cannot be seen; ` +
			`excluded: "acme"`: c.Included(headerOf(t, `{"co":"acme"}`)),
	} {
		if got := err.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestHeader(t *testing.T) {
	text := `{"kid":"k","n":1,"long":"` + strings.Repeat("x", 5000) + `"}`
	header := headerOf(t, text)
	if header.Text("kid") != "k" || header.Text("n")+header.Text("absent")+new(claims.Header).Text("kid") != "" {
		t.Error("other texts")
	}
	if header.IsZero() || !new(claims.Header).IsZero() || header.Size() != len(text) || new(claims.Header).Size() != 0 {
		t.Errorf("size %d of %d", header.Size(), len(text))
	}
	if _, ok := header.Lookup(claims.Path{}); ok {
		t.Error("the zero path leads somewhere")
	}
}
