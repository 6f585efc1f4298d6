package roster_test

import (
	"slices"
	"strings"
	"testing"
)

// yamlOne is a list in YAML of a good consumer and one that has this text. The text begins on line 6.
func yamlOne(text string) string {
	return "- username: good\n  credentials:\n  - key: g\n    algorithm: HS256\n    secret: " + secretA + "\n" + text
}

func TestMistakesInYAML(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"only comments":      {"# nobody yet\n", "there is no consumer, only comments"},
		"a mapping":          {"\n\nconsumers:\n- username: a\n", "line 3: expected a list of consumers"},
		"a text":             {"alice", "line 1: expected a list of consumers"},
		"a list in one line": {"# staff\n[{username: a}]", "line 2: expected a list of consumers"},
		"decK's file": {
			"_format_version: \"3.0\"\nconsumers:\n- username: a\n",
			"line 1: expected a list of consumers",
		},
		"two documents":         {yamlOne("---\n- username: b\n"), "line 6: this belongs to no consumer"},
		"the end of a document": {yamlOne("...\n"), "line 6: this belongs to no consumer"},
		"a directive":           {"%YAML 1.2\n---\n- username: a\n", "line 1: expected a list of consumers"},
		"less indentation":      {"  - username: a\n - username: b\n", "line 2: this belongs to no consumer"},
		"no dash":               {yamlOne("username: b\n"), "line 6: this belongs to no consumer"},
		"a key at the beginning": {
			yamlOne("- username: b\n  credentials:\n  - public_key: |\n-----BEGIN PUBLIC KEY-----\n"),
			"line 9: this belongs to no consumer",
		},
		"a deeper dash": {
			yamlOne("  - username: b\n"),
			"line 6, consumer 1 \"good\": a credential has no member \"username\"",
		},
		"a consumer that is none": {
			yamlOne("- alice\n"), "line 6, consumer 2: has to have members",
		},
		"an empty consumer":   {yamlOne("-\n"), "line 6, consumer 2"},
		"a tab":               {yamlOne("- username: b\n\tid: 7\n"), "line 7: this belongs to no consumer"},
		"a tab behind blanks": {yamlOne("- username: b\n  \tid: 7\n"), "consumer 2: this is not YAML"},
		"a number as username": {
			yamlOne("- id: a\n  username: 007\n"),
			"line 7, consumer 2: username is a number in YAML, and has to be a text: put it in quotes",
		},
		"a date as username":  {yamlOne("- username: 2026-01-01\n"), "username is a date in YAML"},
		"true as username":    {yamlOne("- username: true\n"), "username is true or false in YAML"},
		"nothing as username": {yamlOne("- username:\n"), "username is nothing in YAML"},
		"null as username":    {yamlOne("- username: ~\n"), "username is nothing in YAML"},
		"a list as username":  {yamlOne("- username: [a]\n"), "username has to be a text"},
		"a text as groups": {
			yamlOne("- username: b\n  groups: a\n"),
			"line 7, consumer 2 \"b\": groups has to be a list",
		},
		"a number as group": {
			yamlOne("- username: b\n  groups:\n  - a\n  - 7\n"),
			"line 9, consumer 2 \"b\": group is a number",
		},
		"yes as base64": {
			yamlOne("- username: b\n  credentials:\n  - key: k\n    base64: yes\n"),
			"line 9, consumer 2 \"b\": base64 has to be true or false",
		},
		"True as base64": {
			yamlOne("- username: b\n  credentials:\n  - key: k\n    base64: True\n"),
			"base64 has to be true or false",
		},
		"an alias":            {yamlOne("- username: b\n  groups: *all\n"), "this is not YAML: unknown anchor"},
		"an alias inside":     {yamlOne("- username: &name b\n  id: *name\n"), "username has an anchor or an alias"},
		"an anchor":           {yamlOne("- &b\n  username: b\n"), "has an anchor or an alias"},
		"an anchor of a name": {yamlOne("- &n username: b\n"), "a name has an anchor or an alias"},
		"a merge":             {yamlOne("- username: b\n  <<: {id: x}\n"), "no such member"},
		"a tag":               {yamlOne("- username: !!str 7\n"), "username has a tag"},
		"a tag of a list":     {yamlOne("- username: b\n  groups: !!set {a}\n"), "groups has a tag"},
		"a binary tag": {
			yamlOne("- username: b\n  credentials:\n  - secret: !!binary aGFsbG8=\n"),
			"secret has a tag",
		},
		"a member twice": {
			yamlOne("- username: a\n  id: x\n  username: b\n"),
			"line 8, consumer 2 \"a\": username is there twice",
		},
		"an unknown member": {
			yamlOne("- username: b\n  custom-id: x\n"),
			"line 7, consumer 2 \"b\": a consumer has no member \"custom-id\"",
		},
		"a list as name":           {yamlOne("- [a]: b\n"), "a name has to be a text"},
		"a text without its quote": {yamlOne("- username: \"b\n  id: x\n"), "consumer 2: this is not YAML"},
		"a text over two consumers": {
			yamlOne("- username: \"b\n- username: c\"\n"), "consumer 2: this is not YAML",
		},
		"a next line": {
			yamlOne("- username: b\u0085  id: x\n"),
			"line 6: a character here ends a line for some readers",
		},
		"a line separator": {
			yamlOne("- username: b\n  id: x\u2028- username: c\n"),
			"line 7: a character here ends a line",
		},
		"a return without a feed": {yamlOne("- username: b\r- username: c\n"), "line 6: a character here ends a line"},
		"a control character":     {yamlOne("- username: b\x07\n"), "control characters are not allowed"},
		"a short secret": {
			yamlOne("- username: b\n  credentials:\n  - key: k\n    algorithm: HS256\n\n    # made up\n    secret: short-8f2\n"),
			"line 12, consumer 2 \"b\": credential \"k\": secret: unusable key: too weak",
		},
		"a key twice": {
			yamlOne("- username: b\n  credentials:\n  - {key: g, algorithm: HS256, secret: " + secretB + "}\n"),
			"line 6, consumer 2 \"b\": credential \"g\" belongs to the consumer on line 1 already",
		},
	} {
		t.Run(name, func(t *testing.T) { mistaken(t, c.text, c.want) })
	}
}

func TestFormsOfYAML(t *testing.T) {
	const credentials = "  credentials:\n    - key: k\n      algorithm: HS256\n      secret: " + secretA + "\n"
	for name, text := range map[string]string{
		"plain":                  "- username: a\n" + credentials,
		"no line end at the end": strings.TrimSpace("- username: a\n" + credentials),
		"comments and blanks":    "# all\n\n- username: a # the boss\n# of us\n\n" + credentials + "\n# end\n",
		"a document marker":      "--- # one\n- username: a\n" + credentials,
		"a byte order mark":      "\ufeff- username: a\n" + credentials,
		"CRLF":                   strings.ReplaceAll("- username: a\n"+credentials, "\n", "\r\n"),
		"indented": "  - username: a\n    credentials: [{key: k, algorithm: HS256, secret: " + secretA +
			"}]\n",
		"a dash on its own line": "-\n  username: a\n" + credentials,
		"in braces":              "- {username: a, credentials: [{key: k, algorithm: HS256, secret: " + secretA + "}]}\n",
		"a block for the secret": "- username: a\n  credentials:\n    - key: k\n      algorithm: HS256\n" +
			"      secret: |\n        " + secretA + "\n",
		"a list of the same indent": "- username: a\n  credentials:\n  - key: k\n    algorithm: HS256\n    secret: " +
			secretA + "\n",
		"all members": "- username: a\n  id: \"7\"\n  custom_id: c\n  groups: [x, y]\n  tolerate: [numeric_subject]\n" +
			"  credentials:\n    - key: k\n      algorithm: HS256\n      base64: false\n" +
			"      expires: \"2030-01-01\"\n      secret: " + secretA + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			set := parsed(t, text)
			consumer, credential := set.Member("k")
			if consumer == nil || consumer.Username != "a" || credential.Algorithm.String() != "HS256" {
				t.Errorf("the consumer is %+v", consumer)
			}
		})
	}
}

// The reader of YAML gets several consumers at once. Nothing in one of them makes another mean something else.
func TestNeighboursInYAML(t *testing.T) {
	const third = "- username: c\n"
	for name, c := range map[string]struct{ text, want string }{
		"a quote that ends in the next":  {"- username: \"a\n- username: b\"\n" + third, "line 1, consumer 1: this is not"},
		"a quote of the other kind":      {"- username: 'a\n- username: b'\n" + third, "line 1, consumer 1: this is not"},
		"a brace that ends in the next":  {"- {username: a,\n- username: b}\n" + third, "line 1, consumer 1: this is not"},
		"a list that ends in the next":   {"- username: a\n  groups: [x,\n- y]\n" + third, "consumer 1: this is not YAML"},
		"an anchor for the next":         {"- username: &a a\n- username: *a\n" + third, "line 1, consumer 1: username has"},
		"an anchor on the whole":         {"- &all\n  username: a\n- *all\n" + third, "consumer 1: has an anchor"},
		"a marker inside of a consumer":  {"- username: a\n  ---\n- username: b\n" + third, "consumer 1"},
		"a mistake in the last one":      {"- username: a\n- username: b\n- username: 7\n", "line 3, consumer 3: username"},
		"a block that is not closed":     {"- username: a\n- username: |\n- username: b\n", "consumer 2"},
		"a comment in place of a value":  {"- username: a\n- username: # b\n" + third, "line 2, consumer 2: username is"},
		"a key without its colon":        {"- username: a\n- username\n" + third, "line 2, consumer 2: has to have members"},
		"a tag that the next would have": {"- username: !!str\n- username: b\n" + third, "line 1, consumer 1: username has"},
	} {
		t.Run(name, func(t *testing.T) { mistaken(t, c.text, c.want) })
	}
	set := parsed(t, "# all\n- username: a # one\n\n-\n  username: b\n# two\n- {username: c}\n- username: \"d\n    e\"\n")
	names := make([]string, 0, 4)
	for _, consumer := range set.Consumers() {
		names = append(names, consumer.Username)
	}
	if !slices.Equal(names, []string{"a", "b", "c", "d e"}) {
		t.Errorf("the consumers are %q", names)
	}
}
