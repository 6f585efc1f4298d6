package roster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/caddyjwt/gateway/internal/roster"
)

// seeds are files that the fuzzers begin with.
var seeds = []string{
	"", "[]", "[", "[{}]", "---\n", "- username: a\n", "-\n  username: a\n  groups: [x, y]\n",
	`[{"username": "a", "groups": ["x"], "tolerate": ["numeric_subject"]}]`,
	list(person("ann", secretA), person("bob", secretB)),
	yamlOne("- {username: b, id: \"7\"}\n"), yamlOne("- username: &x b\n  id: *x\n"),
	yamlOne("- username: \"b\n- username: c\"\n"),
	yamlOne("- username: |\n    b\n  custom_id: >-\n    c\n    d\n"), yamlOne("- username: 'it''s'\n# - username: c\n"),
	"[{\"@-5\": 1}]", "[{\"@99\": 1}]", "- \"@-5\": 1\n", "[{\"username\": \"\\u0061\"}]", "[" + strings.Repeat("[", 99),
	"- username: \"\\u2028\"\n", "- ? username\n  : b\n", "- \"username\": b\n", "\ufeff[]\r\n",
	"- a: " + strings.Repeat("[", 99),
}

// FuzzParseJSON wants of each text that is accepted as JSON: Go's own reader accepts it, too, and the same list in YAML
// means the same.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		set := harmless(t, text)
		if set == nil || bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\ufeff")), " \t\r\n")[0] != '[' {
			return
		}
		var people []map[string]any
		if err := json.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &people); err != nil {
			t.Fatalf("it is no JSON: %v", err)
		}
		means(t, set, people)
		if len(people) == 0 {
			return // YAML has no other form of an empty list
		}
		written, err := yaml.Marshal(people)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(string(written))
		if err != nil {
			if bytes.ContainsAny(written, "\u0085\u2028\u2029") || bytes.Contains(written, []byte("!!")) {
				return // the writer has forms that the reader does not take
			}
			t.Fatalf("in YAML it is refused: %v\n%s", err, written)
		}
		same(t, set, again)
	})
}

// FuzzParseYAML wants of each text that is accepted as YAML: a reader of the whole text understands the same as the
// one that takes it apart, and the same list in JSON means the same.
func FuzzParseYAML(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		set := harmless(t, text)
		if set == nil || bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\ufeff")), " \t\r\n")[0] == '[' {
			return
		}
		var people []map[string]any
		if err := yaml.Unmarshal(text, &people); err != nil {
			t.Fatalf("a reader of the whole text says %v", err)
		}
		means(t, set, people)
		written, err := json.Marshal(people)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(string(written))
		if err != nil {
			t.Fatalf("in JSON it is refused: %v\n%s", err, written)
		}
		same(t, set, again)
	})
}

// harmless reads a text, and returns nil for a mistake. A mistake is on a line that there is, and has a bounded text.
func harmless(t *testing.T, text []byte) *roster.Set {
	t.Helper()
	set, err := parse(string(text))
	if err == nil {
		return set
	}
	at, ok := errors.AsType[*roster.Error](err)
	if !ok || at.Line < 1 || at.Line > 1+bytes.Count(text, []byte("\n")) || len(err.Error()) > 8<<10 {
		t.Fatalf("the mistake is %#v: %v", err, err)
	}
	if strings.Contains(err.Error(), "cannot be read here") {
		t.Fatal("a reader has panicked")
	}
	return nil
}

// means compares a set with the members of a list that another reader has read.
func means(t *testing.T, set *roster.Set, people []map[string]any) {
	t.Helper()
	if len(set.Consumers()) != len(people) {
		t.Fatalf("%d consumers, another reader sees %d", len(set.Consumers()), len(people))
	}
	text := func(in map[string]any, name string) string {
		value, ok := in[name]
		if !ok {
			return ""
		}
		return value.(string)
	}
	texts := func(in map[string]any, name string) (all []string) {
		list, _ := in[name].([]any)
		for _, value := range list {
			all = append(all, value.(string))
		}
		return all
	}
	for i, c := range set.Consumers() {
		other := people[i]
		credentials, _ := other["credentials"].([]any)
		if c.Username != text(other, "username") || c.ID != text(other, "id") || c.CustomID != text(other, "custom_id") ||
			!slices.Equal(c.Groups, texts(other, "groups")) || len(c.Credentials) != len(credentials) {
			t.Fatalf("it means %+v, to another reader %v", c, other)
		}
		for j := range c.Credentials {
			credential := credentials[j].(map[string]any)
			if c.Credentials[j].Key != text(credential, "key") ||
				!strings.EqualFold(c.Credentials[j].Algorithm.String(), text(credential, "algorithm")) {
				t.Fatalf("the credential is %+v, to another reader %v", c.Credentials[j], credential)
			}
		}
	}
}

// same wants two sets to mean the same.
func same(t testing.TB, a, b *roster.Set) {
	t.Helper()
	if len(a.Consumers()) != len(b.Consumers()) || a.Len() != b.Len() {
		t.Fatalf("%d and %d consumers, %d and %d credentials", len(a.Consumers()), len(b.Consumers()), a.Len(), b.Len())
	}
	for i := range a.Consumers() {
		if one, other := told(a, i), told(b, i); !reflect.DeepEqual(one, other) {
			t.Fatalf("consumer %d is %v, or %v", i+1, one, other)
		}
	}
}

// told is all that a consumer is, with thumbprints in place of keys.
func told(set *roster.Set, i int) []string {
	c := *set.Consumers()[i]
	var all []string
	for _, credential := range c.Credentials {
		thumbprint := credential.Verifier.Thumbprint()
		credential.Verifier = nil
		all = append(all, fmt.Sprintf("%+v %x", credential, thumbprint))
	}
	c.Credentials = nil
	return append(all, fmt.Sprintf("%+v", c))
}
