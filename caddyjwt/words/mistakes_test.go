package words_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

func TestMistakesSayWhatToWrite(t *testing.T) {
	for name, test := range map[string]struct {
		mistake words.Mistake
		value   string
		want    string
	}{
		"a wildcard":           {words.Wildcard("a name is exact", "list each one"), "a*", "a name is exact, so"},
		"its cure":             {words.Wildcard("a name is exact", "list each one"), "*", "wildcard: list each one"},
		"its literal form":     {words.Wildcard("a name is exact", "list each one"), "*", "{env.NAME}"},
		"commas":               {words.CommaList, "a, b,c", "not by commas: a b c"},
		"a comma alone":        {words.CommaList, ",", "leave the comma out"},
		"a comma at the end":   {words.TrailingComma, "a,", "not by commas: a"},
		"addresses in quotes":  {words.QuotedAddresses, "https://a https://b", "leave the quotes out"},
		"single quotes":        {words.SingleQuotes, "'a b'", `write "a b"`},
		"a blank to fill in":   {words.Unfilled, "https://<your-domain>/", "<your-domain> stands for a value of yours"},
		"a blank at the end":   {words.OuterBlanks, "a ", `write "a"`},
		"a variable of shells": {words.ShellVariable, "$API_KEY1", "{env.NAME}"},
	} {
		if got := test.mistake(test.value); !strings.Contains(got, test.want) {
			t.Errorf("%s: %q gives %q, want %q", name, test.value, got, test.want)
		}
	}
	if got := words.WildcardInName("a name is exact", "list each one")("*"); strings.Contains(got, "{env.NAME}") {
		t.Errorf("a wildcard where no placeholder is resolved: %q", got)
	}
}

func TestMistakesLeaveOtherValuesAlone(t *testing.T) {
	for name, test := range map[string]struct {
		mistake words.Mistake
		value   string
	}{
		"a value without a star":    {words.Wildcard("", ""), "a"},
		"one value":                 {words.CommaList, "a b"},
		"a comma inside":            {words.TrailingComma, "CN=a,O=b"},
		"one address":               {words.QuotedAddresses, "https://a"},
		"an address and a word":     {words.QuotedAddresses, "https://a b"},
		"one quote":                 {words.SingleQuotes, "'"},
		"an apostrophe":             {words.SingleQuotes, "'s-Hertogenbosch"},
		"a dollar sign":             {words.ShellVariable, "$"},
		"an arrow":                  {words.Unfilled, "a->b"},
		"a tag with a slash":        {words.Unfilled, "</a>"},
		"a blank inside":            {words.OuterBlanks, "a b"},
		"nothing but blanks":        {words.OuterBlanks, " "},
		"a price":                   {words.ShellVariable, "$5.00"},
		"a variable in small print": {words.ShellVariable, "$user"},
	} {
		if got := test.mistake(test.value); got != "" {
			t.Errorf("%s: %q is taken for a mistake: %s", name, test.value, got)
		}
	}
}
