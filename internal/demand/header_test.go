package demand_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/setting"
)

// withHeader is a caller whose token has this JOSE header.
type withHeader struct {
	*caller
	header claims.Header
}

func (c withHeader) Header() *claims.Header { return &c.header }

// What is demanded of the header is looked for there, and not among the claims.
func TestHeaderDemands(t *testing.T) {
	header, _ := set(t, `{"header":{"co":"acme","role":"x"}}`).Claim("header")
	known := withHeader{&caller{token: set(t, `{"co":"intersystems"}`)}, claims.HeaderOf(header.JSON())}
	unknown := withHeader{caller: known.caller}
	co := func(values ...string) []claims.Condition { return []claims.Condition{condition(t, "co", values...)} }
	for name, c := range map[string]struct {
		all  demand.All
		kind string
		met  bool
	}{
		"a value":           {demand.All{Header: co("acme")}, "header", true},
		"one of two":        {demand.All{Header: co("x", "acme")}, "header", true},
		"that of the claim": {demand.All{Header: co("intersystems")}, "header", false},
		"the claim":         {demand.All{Claims: co("acme")}, "claim", false},
		"excluded": {demand.All{Not: demand.Exclusions{Header: co("acme")}}, "not header",
			false},
		"another excluded": {demand.All{Not: demand.Exclusions{Header: co("intersystems")}}, "not header", true},
	} {
		rules := c.all.Rules(nil)
		if len(rules) != 1 || rules[0].Kind() != c.kind || rules[0].Terms()[0] != "co" || rules[0].ScopesHelp() {
			t.Fatalf("%s: rules %v", name, rules)
		}
		if got := c.all.MetBy(known, nil); got != c.met || (rules[0].Check(known) == nil) != c.met {
			t.Errorf("%s: met %v, %v", name, got, rules[0].Check(known))
		}
		if strings.Contains(c.kind, "header") && (c.all.MetBy(unknown, nil) || rules[0].Check(unknown) == nil) {
			t.Errorf("%s: met by an unknown header", name)
		}
		if err := demand.ValidateAny("require ", []demand.All{c.all, {Scopes: []string{"a"}}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, any := range [][]demand.All{{c.all, {Groups: []string{"g"}}}} {
			if got := demand.MetByAny(any, known, nil); got != c.met {
				t.Errorf("%s: as an alternative %v", name, got)
			}
		}
		if scopes := demand.ScopesToAsk(new(demand.All), [][]demand.All{{{Scopes: []string{"a"}, Header: co()}, c.all}}); len(
			scopes) != 0 {
			t.Errorf("%s: asks for %v, which is not enough", name, scopes)
		}
	}
}

func TestHeaderMistakes(t *testing.T) {
	least, err := claims.ParseNumber("3")
	if err != nil {
		t.Fatal(err)
	}
	bound := condition(t, "n")
	bound.AtLeast = least
	for field, all := range map[string]demand.All{
		"Header[0]":     {Header: []claims.Condition{condition(t, "co", "")}},
		"Not.Header[0]": {Not: demand.Exclusions{Header: []claims.Condition{bound}}},
	} {
		if err := all.Validate("require "); err == nil || setting.Field(err) != field ||
			!strings.Contains(err.Error(), "header ") {
			t.Errorf("%s: %v of %s", field, err, setting.Field(err))
		}
	}
	doubts := demand.Doubts("require ", &demand.All{Header: []claims.Condition{like(t, "co", "inter*")}}, nil)
	if len(doubts) != 1 || !slices.ContainsFunc(doubts, func(d string) bool {
		return strings.HasPrefix(d, "require header co like inter*")
	}) {
		t.Errorf("doubts %q", doubts)
	}
}
