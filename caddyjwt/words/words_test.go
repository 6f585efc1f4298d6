package words_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/setting"
)

// shop is what the directive of these tests fills.
type shop struct {
	Name    string         `json:"name,omitempty"`
	Goods   []string       `json:"goods,omitempty"`
	Open    bool           `json:"open,omitempty"`
	Hours   caddy.Duration `json:"hours,omitempty"`
	Clerks  []clerk        `json:"clerks,omitempty"`
	Counter *counter       `json:"counter,omitempty"`
}

type clerk struct {
	Name string          `json:"name"`
	Rest *caddy.Duration `json:"rest,omitempty"`
}

type counter struct {
	Tills int `json:"tills,omitempty"`
}

var directive = words.Directive[shop]{
	Table: &words.Table[shop]{Name: "shop", Words: []words.Word[shop]{
		{Name: "name", Usage: []string{"<text>"}, Reader: words.Text(func(s *shop) *string { return &s.Name }, shouted)},
		{Name: "goods", Usage: []string{"sold <thing...>", "new|used <thing...>"}, Repeatable: true,
			Reader: words.Custom(readGoods, func(s *shop) []any { return []any{&s.Goods} })},
		{Name: "hours", Usage: []string{"<duration>"},
			Reader: words.Duration(func(s *shop) *caddy.Duration { return &s.Hours })},
		{Name: "open", Reader: words.Flag(func(s *shop) *bool { return &s.Open })},
		{Name: "clerk", Usage: []string{"<name>"}, Needs: "a name", Repeatable: true,
			Reader: words.Named(func(s *shop) *[]clerk { return &s.Clerks },
				func(c *clerk) *string { return &c.Name }, &clerkWords)},
		{Name: "counter", Reader: words.Only(func(s *shop) **counter { return &s.Counter }, &counterWords)},
	}},
	Foreign: words.Foreign{"staff": "here: clerk <name>"},
}

var clerkWords = words.Table[clerk]{Name: "clerk", Words: []words.Word[clerk]{
	{Name: "rest", Usage: []string{"<duration>"},
		Reader: words.DurationOrZero(func(c *clerk) **caddy.Duration { return &c.Rest })},
}}

var counterWords = words.Table[counter]{Name: "counter", Words: []words.Word[counter]{
	{Name: "tills", Usage: []string{"<n>"}, Reader: words.Number(func(c *counter) *int { return &c.Tills })},
}}

func shouted(value string) string {
	if value == strings.ToLower(value) {
		return ""
	}
	return "write it in small letters"
}

func readGoods(b *words.Block, s *shop) error {
	args := b.Args()
	switch {
	case len(args) == 0:
		return b.WrongUsage("")
	case len(args) == 1:
		return b.WrongForm(args[0], "name the things")
	}
	s.Goods = append(s.Goods, args[1:]...)
	return nil
}

// read reads the directive with these lines in its block.
func read(t *testing.T, lines ...string) (shop, *words.Lines, error) {
	t.Helper()
	tokens, err := caddyfile.Tokenize([]byte("shop {\n"+strings.Join(lines, "\n")+"\n}\n"), "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	d := caddyfile.NewDispenser(tokens)
	d.Next()
	var s shop
	found, err := directive.Read(d, &s)
	return s, found, err
}

func TestReadFillsTheStruct(t *testing.T) {
	s, _, err := read(t, "name corner", "goods sold tea milk", "goods used books", "hours 8h", "open",
		"clerk ann {", "rest 0s", "}", "clerk bob", "counter {", "tills 3", "}")
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "corner" || strings.Join(s.Goods, " ") != "tea milk books" || !s.Open || s.Hours == 0 ||
		len(s.Clerks) != 2 || s.Clerks[0].Rest == nil || s.Clerks[1].Rest != nil || s.Counter.Tills != 3 {
		t.Errorf("read %+v", s)
	}
}

// The error for each mistake has its line, and says what is wrong and how the word is written.
func TestReadRefusesMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"nothing behind a word": {[]string{"name"},
			`shop: "name" needs a value: name <text>; is an environment variable unset?, at Caddyfile:2`},
		"no name": {[]string{"clerk"},
			`shop: "clerk" needs a name: clerk <name>; is an environment variable unset?, at Caddyfile:2`},
		"too much behind a word":  {[]string{"name a b"}, `takes one value, not 2: name <text>`},
		"something behind a flag": {[]string{"open yes"}, `shop: "open" takes no value`},
		"an empty value":          {[]string{`name ""`}, `shop: "name" is empty`},
		"no duration":             {[]string{"hours -8h"}, `hours "-8h": expected a positive duration`},
		"no number": {[]string{"counter {", "tills 0", "}"},
			`counter: tills "0": expected a whole number of at least 1, at Caddyfile:3`},
		"an argument and a block": {[]string{"counter x {", "}"},
			`"counter" takes its settings in a block`},
		"a word twice": {[]string{"name a", "open", "name b"},
			`shop: "name" is already on line 2; remove one of the two, at Caddyfile:4`},
		"twice in a block": {[]string{"clerk a {", "rest 1s", "rest 2s", "}"},
			`clerk: "rest" is already on line 3`},
		"a block after a flag": {[]string{"open {", "x", "}"}, `shop: "open" takes no block`},
		"a word spelt alike": {[]string{"houres 8h"},
			`shop: unrecognized subdirective "houres" (did you mean "hours"?), at Caddyfile:2`},
		"a word of another block": {[]string{"tills 3"},
			`shop: unrecognized subdirective "tills" (it belongs in the counter block)`},
		"a word of a block around": {[]string{"clerk a {", "open", "}"},
			`clerk: unrecognized subdirective "open" (it belongs in the shop block), at Caddyfile:3`},
		"a word of another shop": {[]string{"staff ann"},
			`shop: unrecognized subdirective "staff" (here: clerk <name>)`},
		"a word that nothing has": {[]string{"xyzzy"}, `shop: unrecognized subdirective "xyzzy", at Caddyfile:2`},
		"a colon":                 {[]string{"name: x"}, "words have no colon"},
		"a brace that is missing": {[]string{"respond ok"}, "is a } missing before it?"},
		"a value that is mistaken": {[]string{"name ACME"},
			`name "ACME": write it in small letters`},
		"all forms": {[]string{"goods"}, "expected: goods sold <thing...>, or goods new|used <thing...>, at"},
		"one form":  {[]string{"goods used"}, "expected: goods used <thing...>; name the things"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(t, test.lines...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// Only what somebody typed is searched for mistakes, not the value of a placeholder.
func TestMistakesAreLookedForInWhatIsTyped(t *testing.T) {
	if s, _, err := read(t, "name {env.ACME}"); err != nil || s.Name != "{env.ACME}" {
		t.Errorf("read %+v, error %v", s, err)
	}
}

// An error gets the line of the word for its field, or of the block around it.
func TestLinesKnowFields(t *testing.T) {
	_, lines, err := read(t, "name corner", "clerk ann", "clerk bob {", "rest 1s", "}",
		"goods sold tea milk", "goods used books", "counter {", "tills 3", "}")
	if err != nil {
		t.Fatal(err)
	}
	for field, line := range map[string]string{
		"": "1", "Open": "1", "Name": "2",
		"Clerks[0]": "3", "Clerks[0].Rest": "3", "Clerks[1].Rest": "5", "Clerks[1].Name": "4",
		"Clerks": "3", "Clerks[7].Rest": "3", "Goods[1]": "7", "Goods[2]": "8", "Counter": "9", "Counter.Tills": "10",
		"Counter.Tills.Drawer[2]": "10",
	} {
		if got := lines.Wrap(setting.Errorf(field, "wrong")); got.Error() != "wrong, at Caddyfile:"+line {
			t.Errorf("%q: %v, want line %s", field, got, line)
		}
	}
	if err := lines.Wrap(nil); err != nil {
		t.Errorf("nothing wrong: %v", err)
	}
}

// A matcher has its words on its lines, in a block, or both. Caddy joins the lines of one named matcher.
func TestReadMatcher(t *testing.T) {
	for name, test := range map[string]struct {
		text, want string
	}{
		"a line":                    {"shop goods sold tea milk", "[tea milk] at 1"},
		"two lines":                 {"shop goods sold tea\nshop goods used books", "[tea books] at 2"},
		"a block":                   {"shop {\ngoods sold tea\ngoods used books\n}", "[tea books] at 3"},
		"a line and a block":        {"shop goods sold tea {\ngoods used books\n}", "[tea books] at 2"},
		"a block and a line":        {"shop {\ngoods sold tea\n}\nshop goods used books", "[tea books] at 4"},
		"nothing":                   {"shop", "[] at 1"},
		"an empty block":            {"shop {\n}", "[] at 1"},
		"an unknown word":           {"shop open\nshop xyzzy", `shop: unrecognized subdirective "xyzzy", at Caddyfile:2`},
		"a word twice":              {"shop name a\nshop name b", `shop: "name" is already on line 1`},
		"a wrong value on a line":   {"shop goods", "expected: goods sold <thing...>"},
		"a wrong value in a block":  {"shop {\ngoods sold tea\nhours x\n}", `shop: hours "x": expected`},
		"a block where none may be": {"shop {\nopen {\nx\n}\n}", `shop: "open" takes no block`},
	} {
		t.Run(name, func(t *testing.T) {
			tokens, err := caddyfile.Tokenize([]byte(test.text), "Caddyfile")
			if err != nil {
				t.Fatal(err)
			}
			var s shop
			lines, err := directive.ReadMatcher(caddyfile.NewDispenser(tokens), &s)
			got := fmt.Sprint(err)
			if err == nil {
				_, line, _ := strings.Cut(lines.Wrap(setting.Errorf("Goods[1]", "wrong")).Error(), "Caddyfile:")
				got = fmt.Sprint(s.Goods, " at ", line)
			}
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestTablesSayWhatWordsFill(t *testing.T) {
	tables := directive.Tables()
	if len(tables) != 3 {
		t.Fatalf("%d tables, want 3", len(tables))
	}
	got := tables["shop"][4]
	if strings.Join(got.Fields, " ") != "Clerks" || strings.Join(got.JSON, " ") != "clerks" ||
		got.Block != "clerk" || !got.Repeatable {
		t.Errorf("clerk is %+v", got)
	}
}

func TestCard(t *testing.T) {
	const want = `shop [<matcher>] {
    name   <text>
    goods  sold <thing...>       # repeatable
    goods  new|used <thing...>   # repeatable
    hours  <duration>
    open

    clerk <name> {               # repeatable
        rest  <duration>
    }

    counter {
        tills  <n>
    }
}
`
	if got := directive.Card("[<matcher>]"); got != want {
		t.Errorf("card:\n%s\nwant:\n%s", got, want)
	}
}

func TestAWordOfAnotherProductHasOneSentence(t *testing.T) {
	found := words.NewForeign([][2]string{{"here: clerk <name>", "staff crew_member"}})
	if len(found) != 2 {
		t.Errorf("two words became %v", found)
	}
	defer func() {
		if recover() == nil {
			t.Error("a word with two sentences was taken")
		}
	}()
	words.NewForeign([][2]string{{"one", "crew_member"}, {"two", "CrewMember"}})
}
