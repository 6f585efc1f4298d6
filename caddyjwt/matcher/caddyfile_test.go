package matcher_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/matcher"
)

// read reads lines of a named matcher. The result is the matcher's JSON.
func read(t *testing.T, text string) (string, error) {
	t.Helper()
	tokens, err := caddyfile.Tokenize([]byte(text), "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	m := new(matcher.Matcher)
	if err := m.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
		return "", err
	}
	found, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(found), nil
}

func TestMatcherInACaddyfile(t *testing.T) {
	const all = `{"scopes":["a","b","c"],"claims":[{"claim":"x"},{"claim":"y","values":["1","2"]}],"groups":["g","h"],` +
		`"consumers":["alice","bob"],"issuers":["https://a.example","https://b.example"]}`
	for text, want := range map[string]string{
		"bearer scope a b":                                  `{"scopes":["a","b"]}`,
		"bearer any_scope a b\nbearer any_scope c":          `{"any_scopes":[["a","b"],["c"]]}`,
		"bearer claim roles admin boss":                     `{"claims":[{"claim":"roles","values":["admin","boss"]}]}`,
		"bearer claim roles":                                `{"claims":[{"claim":"roles"}]}`,
		"bearer group staff":                                `{"groups":["staff"]}`,
		"bearer consumer alice":                             `{"consumers":["alice"]}`,
		"bearer issuer https://a.example https://b.example": `{"issuers":["https://a.example","https://b.example"]}`,
		"bearer issuer https://a.example/*/v2.0":            `{"issuers":["https://a.example/*/v2.0"]}`,
		"bearer group {env.NO_SUCH_VARIABLE}":               `{"groups":["{env.NO_SUCH_VARIABLE}"]}`,
		"bearer claim sub {env.NO_SUCH_VARIABLE}*":          "a claim is compared exactly",
		"bearer claim sub like org/* *@a.example":           `{"claims":[{"claim":"sub","like":["org/*","*@a.example"]}]}`,
		"bearer claim n at_least 3\nbearer claim n at_most 5": `{"claims":[{"claim":"n","at_least":"3"},` +
			`{"claim":"n","at_most":"5"}]}`,
		"bearer not claim role banned\nbearer not group out\nbearer not scope guest": `{"not":{"scopes":["guest"],` +
			`"claims":[{"claim":"role","values":["banned"]}],"groups":["out"]}}`,
		"bearer any {\nscope a b\nclaim x like y/*\n}\nbearer group g": `{"groups":["g"],"any":[[{"scopes":["a","b"]},` +
			`{"claims":[{"claim":"x","like":["y/*"]}]}]]}`,
		"bearer {\nany {\nscope a\nnot group out\n}\nany {\ngroup g\nany_scope b c\n}\nnot claim x\n}": `{"not":{"claims":` +
			`[{"claim":"x"}]},"any":[[{"scopes":["a"]},{"not":{"groups":["out"]}}],` +
			`[{"groups":["g"]},{"any_scopes":[["b","c"]]}]]}`,
		"bearer scope a b\nbearer claim x\nbearer group g\nbearer scope c\n" +
			"bearer claim y 1 2\nbearer consumer alice bob\nbearer group h\n" +
			"bearer issuer https://a.example https://b.example": all,
		"bearer {\nscope a b\nscope c\nclaim x\nclaim y 1 2\ngroup g h\nconsumer alice\nconsumer bob\n" +
			"issuer https://a.example\nissuer https://b.example\n}": all,
	} {
		got, err := read(t, text)
		if err != nil {
			got = err.Error()
		}
		if got != want && !(err != nil && strings.Contains(got, want)) {
			t.Errorf("%s\ngives %s\nwant  %s", text, got, want)
		}
	}
}

// A mistake does not load. The error says what is wrong, what to write instead, and on which line.
func TestMatcherMistakesInACaddyfile(t *testing.T) {
	for text, want := range map[string]string{
		"bearer":                               "asks for nothing: add a scope, claim, group, consumer or issuer",
		"bearer scope":                         `bearer: "scope" needs at least one value: scope <scope...>`,
		"bearer claim":                         `bearer: "claim" needs at least one value: claim <path> [<value...>]`,
		"bearer {\ngroup staff\nscope \"\"\n}": `"scope" is empty; is an environment variable unset?, at Caddyfile:3`,
		"bearer group a\nbearer roles admin":   `"roles" (roles are in a claim: claim <path> <role...>), at Caddyfile:2`,
		"bearer scopes a":                      `unrecognized subdirective "scopes" (did you mean "scope"?)`,
		"bearer orders:write":                  `bearer: a blank is missing after "orders", between word and value`,
		"bearer any":                           "to match whoever has an identity",
		"bearer user alice":                    "to match whoever has an identity",
		"bearer sub alice":                     "here: consumer <username...>, or claim sub <subject...>",
		"bearer scope orders:*":                `bearer scope "orders:*": a scope is compared exactly`,
		"bearer scope a,b":                     "values are separated by blanks, not by commas: a b",
		"bearer scope read or write":           "values stand side by side without an operator",
		"bearer any_scope read or write":       "for one of several, bearer any_scope <scope...>",
		"bearer any_scope orders:*":            `bearer any_scope "orders:*": a scope is compared exactly`,
		"bearer any_scope":                     `bearer: "any_scope" needs at least one value: any_scope <scope...>`,
		"bearer scope 'read'":                  "a Caddyfile takes single quotes as part of the value",
		"bearer scope $SCOPE":                  "an environment variable is written {env.NAME}",
		`bearer scope "read write"`:            `scope "read write": `,
		"bearer claim azp=spa":                 "a blank separates path and value: bearer claim azp spa",
		"bearer claim azp == spa":              "values follow the path without an operator: bearer claim <path> <value...>",
		"bearer claim roles[0] admin":          "a path has no brackets",
		"bearer claim $.roles admin":           `not with "$": roles`,
		"bearer claim realm.* admin":           "a claim path names one claim",
		"bearer claim sub repo:org/*":          `bearer claim value "repo:org/*": a claim is compared exactly`,
		"bearer claim a..b":                    "invalid path",
		"bearer claim sub like *":              `bearer claim sub like: "*" alone matches everything`,
		"bearer claim sub like":                "a pattern must follow",
		"bearer claim n at_least five":         "is not a number",
		"bearer claim n >= 5":                  "here: bearer claim n at_least <number>",
		"bearer claim sub != a":                "here: bearer not claim sub <value...>",
		"bearer not":                           `"not" needs at least one value`,
		"bearer not claim":                     "expected: bearer not claim <path> [<value...>], or bearer not claim",
		"bearer not consumer alice":            `bearer not "consumer": expected scope, claim, header or group`,
		"bearer not claim n at_most 5":         "a bound cannot be turned around",
		"bearer any {\nscope a\nclaim x *\n}":  "only that the claim is there, write bearer claim x",
		"bearer any scope a":                   "to match whoever has an identity",
		"bearer any {\nscope a\n}":             "any needs at least two alternatives",
		"bearer any {\nscope a\nconsumer b\n}": `any_scope, claim, header, group or not, at Caddyfile:3`,
		"bearer group staff-*":                 "a group is compared exactly",
		"bearer consumer *":                    `bearer consumer "*": a consumer has one name`,
		"bearer issuer https://*.example":      "an issuer is compared exactly",
		"bearer issuer https://a.example/*/*":  "an issuer is compared exactly",
		"bearer issuer https://a.example,":     `values are separated by blanks`,
		"bearer issuer https://a.example/.well-known/openid-configuration": "write the issuer as bearer_auth has it",
		"bearer group {http.request.host}":                                 "{http.request.host} has no value",
		"bearer scope a {\nx\n}":                                           `bearer: unrecognized subdirective "x"`,
		"bearer {\nscope a {\nx\n}\n}":                                     `bearer: "scope" takes no block`,
	} {
		_, err := read(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ", at Caddyfile:") {
			t.Errorf("%s\ngives %v\nwant  %s", text, err, want)
		}
	}
}

// The comment of UnmarshalCaddyfile has the syntax card that the table makes.
func TestMatcherSyntaxCard(t *testing.T) {
	text, err := os.ReadFile("caddyfile.go")
	if err != nil {
		t.Fatal(err)
	}
	card := "//\t" + strings.ReplaceAll(strings.TrimSpace(matcher.Directive.Card("")), "\n", "\n//\t")
	if !strings.Contains(string(text), card) {
		t.Errorf("the comment of UnmarshalCaddyfile lacks this card:\n%s", card)
	}
}

// The manual has a row for each word, with its form, its field in JSON, and nothing else.
func TestManualHasEveryWordOfTheMatcher(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n| Matcher | JSON | Matches |\n| --- | --- | --- |\n")
	if !found {
		t.Fatal("docs/configuration.md has no table of the matcher")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var got, want []string
	span := regexp.MustCompile("`([^`]+)`")
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		form := span.FindStringSubmatch(cells[1])
		field := span.FindStringSubmatch(cells[2])
		if form == nil || field == nil {
			t.Fatalf("the row %s has no form or no field", row)
		}
		got = append(got, form[1]+": "+field[1])
	}
	for _, entry := range matcher.Directive.Tables()["bearer"] {
		for _, form := range entry.Forms() {
			want = append(want, "bearer "+form+": "+entry.JSON[0])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/configuration.md has\n%s\nthe table of words gives\n%s",
			strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
