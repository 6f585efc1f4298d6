package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt"
)

// place is a field of a struct. With "[]" behind its name, it is the elements of the field.
type place struct {
	owner reflect.Type
	field string
}

// questions are modules with a value that nothing can have, where there is a choice. The error says what is expected.
var questions = []string{
	gate(`"origin_check": "?"`),
	gate(`"error_format": "?"`),
	gate(`"end_at_expiry": "?"`),
	gate(`"token_from": [{"in": "?"}]`),
	gate(`"forward_claims": [{"claim": "a", "header": "X-A", "as": "?"}]`),
	gate(`"forward_header": [{"member": "a", "header": "X-A", "as": "?"}]`),
	gate(`"introspect": {"mode": "?"}`),
	gate(`"mcp": {"default": "?"}`),
	gate(`"resource": {"url": "https://a.example.com"}, "auth_server_metadata": {"mode": "?"}`),
	gate(`"consumers": [{"username": "a", "tolerate": ["?"]}]`),
	gate(`"consumers": [{"username": "a", "credentials": [{"key": "a", "algorithm": "?", "public_key": "a"}]}]`),
	issuer(`"profile": "?"`),
	issuer(`"tolerate": ["?"]`),
	issuer(`"algorithms": ["?"]`),
	issuer(`"consumer_claim": "a", "consumer_by": "?"`),
	issuer(`"allow_http": "?"`),
	issuer(`"key_use": "?"`),
	issuer(`"keys": {"source": "?"}`),
	issuer(`"backchannel_logout": {"path": "/a", "client_id": ["a"], "without_sid": "?"}`),
	issuer(`"introspect": {"mode": "?"}`),
	issuer(`"introspect": {"verify": "?"}`),
	issuer(`"introspect": {"auth_method": "?"}`),
	issuer(`"decrypt": {"keys": [{"key": "a"}], "algorithms": ["?"]}`),
	issuer(`"decrypt": {"keys": [{"key": "a"}], "encryptions": ["?"]}`),
	`{"bearer_auth": {"store": {"kind": "?"}}}`,
	`{"bearer_auth": {"store": {"kind": "redis", "url": "redis://localhost", "key": "` + strings.Repeat("0f", 32) +
		`"}, "on_unsynced": "?"}}`,
	tokens(`"algorithm": "?"`),
	tokens(`"users_from": [{"kind": "?"}]`),
	tokens(`"apps": [{"path": "/a/", "compat": "?"}], "users": [{"name": "a", "hash": ` +
		`"$2a$10$IQjhBuOuDeTa2PCmjYYahupL5fguYjADShbkbzbpbZmIwUCq5yOmq"}]`),
}

func gate(members string) string {
	return handler(`{"handler": "bearer_auth", "issuers": [{"issuer": "https://as.example.com", "audience": ["a"]}], ` +
		members + `}`)
}

func issuer(members string) string {
	return handler(`{"handler": "bearer_auth", "issuers": [{"issuer": "https://as.example.com", "audience": ["a"], ` +
		members + `}]}`)
}

func tokens(members string) string {
	return handler(`{"handler": "token_issuer", "issuer": "a", ` + members + `}`)
}

func handler(text string) string {
	return `{"http": {"servers": {"a": {"listen": ["127.0.0.1:0"], "routes": [{"handle": [` + text + `]}]}}}}`
}

// ask gives all answers.
func ask(tb testing.TB) map[place][]string {
	tb.Helper()
	answers := make(map[place][]string)
	for _, question := range questions {
		err := validate(tb, question)
		values := expected(err)
		at, ok := asked(tb, question)
		if len(values) == 0 || !ok {
			tb.Errorf("%s: the error does not say what is expected: %v", question, err)
			continue
		}
		answers[at] = values
	}
	return answers
}

// validate does what "caddy validate" does.
func validate(tb testing.TB, apps string) error {
	tb.Helper()
	config := new(caddy.Config)
	text := fmt.Sprintf(`{"admin": {"disabled": true}, "storage": {"module": "file_system", "root": %q}, "apps": %s}`,
		tb.TempDir(), apps)
	if err := caddy.StrictUnmarshalJSON([]byte(text), config); err != nil {
		tb.Fatal(err)
	}
	return caddy.Validate(config)
}

// An editor must not complain about what Caddy takes. So where there is a choice, placeholders must not be resolved.
func TestNoChoiceIsAPlaceholder(t *testing.T) {
	for _, question := range questions {
		with := func(value string) string {
			return fmt.Sprint(validate(t, strings.Replace(question, `"?"`, `"`+value+`"`, 1)))
		}
		for _, value := range expected(validate(t, question)) {
			t.Setenv("SCHEMA_TEST_VALUE", value)
			if got := with("{env.SCHEMA_TEST_VALUE}"); got == with(value) || got == "<nil>" {
				t.Errorf("%s resolves placeholders (%s): %v", question, value, got)
			}
		}
	}
}

var answer = regexp.MustCompile(
	`(?:expected (?:one of )?|(?:known|supported) are |the only one is |unless you write )([^;:()\n]*)`)

// expected reads the list in an error.
func expected(err error) (values []string) {
	if err == nil {
		return nil
	}
	found := answer.FindStringSubmatch(err.Error())
	if found == nil {
		return nil
	}
	for value := range strings.FieldsFuncSeq(found[1], func(r rune) bool { return strings.ContainsRune(" ,[]\"", r) }) {
		if value != "or" && value != "and" && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values
}

// asked finds the field that has the value "?" in a configuration.
func asked(tb testing.TB, question string) (place, bool) {
	tb.Helper()
	var tree any
	if err := json.Unmarshal([]byte(question), &tree); err != nil {
		tb.Fatal(err)
	}
	var f finder
	f.search(tree)
	return append(f.found, place{})[0], len(f.found) == 1
}

type finder struct{ found []place }

// search looks for modules.
func (f *finder) search(node any) {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			f.search(element)
		}
	case map[string]any:
		if t := moduleOf(node); t != nil {
			f.look(node, t, place{})
			return
		}
		for name, member := range node {
			if name == "bearer_auth" {
				f.look(member, reflect.TypeFor[caddyjwt.App](), place{})
			} else {
				f.search(member)
			}
		}
	}
}

// look looks for "?" in what fills a type.
func (f *finder) look(node any, t reflect.Type, at place) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch node := node.(type) {
	case string:
		if node == "?" {
			f.found = append(f.found, at)
		}
	case []any:
		for _, element := range node {
			f.look(element, t.Elem(), place{at.owner, at.field + "[]"})
		}
	case map[string]any:
		if t.Kind() == reflect.Slice {
			t = t.Elem() // a list of one, without brackets
		}
		for name, member := range node {
			if field, ok := fieldOf(t, name); ok {
				f.look(member, field.Type, place{t, field.Name})
			}
		}
	}
}

// moduleOf is the type of a handler, or nil.
func moduleOf(node map[string]any) reflect.Type {
	for _, module := range modules {
		if id := module.CaddyModule().ID; id.Namespace() == "http.handlers" && id.Name() == node["handler"] {
			return reflect.TypeOf(module).Elem()
		}
	}
	return nil
}

func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	return t.FieldByNameFunc(func(field string) bool {
		f, _ := t.FieldByName(field)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return tag == name
	})
}
