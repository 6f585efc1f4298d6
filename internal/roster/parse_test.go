package roster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/roster"
)

// Secrets that are random enough.
const (
	secretA = "mWbKkZ1fB0Vq3sJxT7dYpR5hN2cLgE8u"
	secretB = "Qp7Vn3rXz9LwTt5BsK1mYf8JhG4cDe6a"
)

func parse(text string) (*roster.Set, error) {
	return roster.Parse(context.Background(), []byte(text), nil, time.Now())
}

func parsed(tb testing.TB, text string) *roster.Set {
	tb.Helper()
	set, err := parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// one is a list in JSON of a good consumer and one that has this text. The text begins on line 2.
func one(text string) string {
	return fmt.Sprintf(`[{"username": "good", "credentials": [{"key": "g", "algorithm": "HS256", "secret": %q}]},
%s]`, secretA, text)
}

// withCredential is one with a consumer whose only credential has these members. They begin on line 4.
func withCredential(members string) string {
	return one("{\"username\": \"zoe\",\n\"credentials\": [{\n" + members + "}]}")
}

func TestMistakesInJSON(t *testing.T) {
	const good = `"key": "z", "algorithm": "HS256", "secret": "` + secretB + `"`
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                   {"", "line 1: the file is empty"},
		"blanks":                    {" \n\t", "line 1: the file is empty"},
		"an object":                 {"\n{\"consumers\": []}", "line 2: expected a list of consumers"},
		"a text":                    {`["alice"]`, "line 1: expected a consumer"},
		"a list of lists":           {"[\n[]]", "line 2: expected a consumer"},
		"a list that does not end":  {"[\n", "line 2: expected a consumer"},
		"no comma":                  {"[{}\n{}]", "line 2: expected a comma"},
		"a comma at the end":        {one("{\"username\": \"z\"},\n"), "line 3: expected a consumer"},
		"something behind the list": {"[]\n[]", "line 2: there is something behind"},
		"cut off in a consumer": {
			"[\n{\"username\":\n\"z\"",
			"line 2: the consumer that begins here does not end before line 3",
		},
		"cut off in a text": {
			"[{\"username\":\n\"z",
			"line 1: the consumer that begins here does not end before line 2",
		},
		"cut off behind a consumer": {"[{\"username\": \"a\"}\n", "line 2: the list does not end"},
		"the wrong bracket":         {one("{\"username\":\n\"z\"]"), "line 3, consumer 2: this is not JSON"},
		"a comment":                 {one("{\n// the boss\n\"username\": \"z\"}"), "line 3, consumer 2: this is not JSON"},
		"a line end in a text":      {one("{\"username\": \"z\n\"}"), "line 2, consumer 2: this is not JSON"},
		"half a surrogate pair":     {one(`{"username": "\ud800"}`), "line 2, consumer 2: a text has half a surrogate pair"},
		"bytes that are not UTF-8":  {one("{\"username\":\n\"\xff\"}"), "line 3: the file is not UTF-8"},
		"UTF-16":                    {"\xff\xfe[\x00]\x00", "line 1: the file is not UTF-8"},
		"a member twice": {
			one("{\"username\": \"a\",\n\"username\": \"b\"}"),
			"line 3, consumer 2: two members have the same name",
		},
		"a member twice, escaped": {one(`{"username": "a", "\u0075sername": "b"}`), "two members have the same name"},
		"a member in a credential twice": {
			withCredential(good + ",\n\"key\": \"y\""), "line 5, consumer 2: two members have the same name",
		},
		"an unknown member": {
			one("{\"username\": \"z\",\n\"user\": \"b\"}"),
			"line 3, consumer 2 \"z\": a consumer has no member \"user\"; it has username",
		},
		"another spelling": {one(`{"Username": "z"}`), "a consumer has no member \"Username\""},
		"Kong's member": {
			one(`{"username": "z", "jwt_secrets": []}`),
			"no member \"jwt_secrets\"; here it is \"credentials\", and the table in docs/from-kong.md",
		},
		"an unknown member of a credential": {
			withCredential(good + ",\n\"kid\": \"y\""), "line 5, consumer 2 \"zoe\": a credential has no member \"kid\"",
		},
		"a secret as a name": {
			withCredential("\"" + secretB + secretA + "\": 1"),
			"line 4, consumer 2 \"zoe\": a credential has no such member",
		},
		"no username":      {one(`{"id": "7"}`), "line 2, consumer 2: a consumer has no username"},
		"a blank username": {one(`{"username": " "}`), "a consumer has no username"},
		"a number as username": {
			one("{\n\"username\": 7}"),
			"line 3, consumer 2: username is a number, and has to be a text in quotes",
		},
		"null as id":       {one(`{"username": "z", "id": null}`), "id is null, and has to be a text in quotes"},
		"a text as groups": {one(`{"username": "z", "groups": "staff"}`), "groups is a string, and has to be a list"},
		"a number as group": {
			one("{\"username\": \"z\", \"groups\": [\"a\",\n7]}"),
			"line 3, consumer 2 \"z\": group is a number",
		},
		"a comma in a group":    {one(`{"username": "z", "groups": ["a,b"]}`), "group \"a,b\" is empty or has a comma"},
		"a line end in a group": {one(`{"username": "z", "groups": ["a\nX-Admin: 1"]}`), "cannot be sent to the backend"},
		"a long username": {
			one(`{"username": "` + strings.Repeat("z", 1025) + `"}`),
			"line 2, consumer 2: username has 1025 bytes",
		},
		"an object as list": {
			one(`{"username": "z", "credentials": {}}`),
			"credentials is an object, and has to be a list",
		},
		"a text as credential": {
			one(`{"username": "z", "credentials": ["k"]}`),
			"credential is a string, and has to be an object",
		},
		"deep nesting": {
			one(`{"username": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`),
			"nested too deeply",
		},
		"a word of tolerate": {one(`{"username": "z", "tolerate": ["everything"]}`), "tolerate: unknown word"},
		"no key": {
			withCredential(`"algorithm": "HS256", "secret": "` + secretB + `"`),
			"a credential has no key",
		},
		"no algorithm": {
			withCredential(`"key": "z", "secret": "` + secretB + `"`),
			"credential \"z\": no algorithm",
		},
		"an unknown algorithm": {
			withCredential("\"key\": \"z\",\n\"algorithm\": \"none\""),
			"line 5, consumer 2 \"zoe\": credential \"z\": unknown algorithm \"none\"",
		},
		"a secret as algorithm": {withCredential(`"key": "z", "algorithm": "` + secretB + `"`), "this is no algorithm"},
		"no secret":             {withCredential(`"key": "z", "algorithm": "HS256"`), "algorithm HS256 needs a secret"},
		"no public key":         {withCredential(`"key": "z", "algorithm": "RS256"`), "algorithm RS256 needs a public_key"},
		"a secret for RS256": {
			withCredential(`"key": "z", "algorithm": "RS256", "secret": "` + secretB + `"`),
			"algorithm RS256 needs a public_key",
		},
		"both kinds of keys": {withCredential(good + `, "public_key": "x"`), "both a public_key and a secret"},
		"base64 of no secret": {
			withCredential(`"key": "z", "algorithm": "RS256", "base64": true`),
			"base64 is about a secret",
		},
		"a text as base64": {
			withCredential(good + `, "base64": "true"`),
			"base64 is a string, and has to be true or false",
		},
		"a secret in no base64": {
			withCredential(`"key": "z", "algorithm": "HS256", "base64": true, "secret": "***"`),
			"secret: it is not base64",
		},
		"a short secret": {
			withCredential("\"key\": \"z\", \"algorithm\": \"HS256\",\n\"secret\": \"short-8f2\""),
			"line 5, consumer 2 \"zoe\": credential \"z\": secret: unusable key: too weak",
		},
		"a secret that repeats": {
			withCredential(`"key": "z", "algorithm": "HS256", "secret": "` + strings.Repeat("ab", 20) + `"`),
			"the secret is not random",
		},
		"a short secret for 512": {
			withCredential(`"key": "z", "algorithm": "HS512", "secret": "` + secretB + `"`),
			"HS512 needs at least 64",
		},
		"a placeholder as secret": {
			withCredential(`"key": "z", "algorithm": "HS256", "secret": "{env.A_LONG_NAME_OF_A_SECRET_OF_ZOE}"`),
			"secret: it has a placeholder, and none is resolved in a file of consumers",
		},
		"a placeholder as username": {one(`{"username": "{env.NAME}"}`), "username has a placeholder"},
		"a placeholder as group":    {one(`{"username": "z", "groups": ["{file.x}"]}`), "group has a placeholder"},
		"a placeholder as key": {
			withCredential(`"key": "{$KEY}", "algorithm": "HS256", "secret": "` + secretB + `"`),
			"key has a placeholder",
		},
		"a path as secret": {
			withCredential(`"key": "z", "algorithm": "HS256", "secret": "/run/secrets/the/secret/of/zoe/hs256.key"`),
			"this is the path of a file",
		},
		"a path as public key": {
			withCredential("\"key\": \"z\", \"algorithm\": \"RS256\",\n\"public_key\": \"/etc/passwd\""),
			"line 5, consumer 2 \"zoe\": credential \"z\": public_key: this is not PEM text",
		},
		"a broken public key": {
			withCredential(`"key": "z", "algorithm": "RS256", "public_key": "-----BEGIN PUBLIC KEY-----\nx"`),
			"damaged PEM block",
		},
		"tomorrow as a date": {
			withCredential(good + ",\n\"expires\": \"tomorrow\""),
			"line 5, consumer 2 \"zoe\": credential \"z\": expires \"tomorrow\"",
		},
		"no end for missing_exp": {
			one(`{"username": "z", "tolerate": ["missing_exp"], "credentials": [{` + good + `}]}`),
			"expires",
		},
		"a username twice": {
			one("\n{\"username\": \"good\"}"),
			"line 3, consumer 2 \"good\": the consumer on line 1 has the same username",
		},
		"a key twice": {
			withCredential(`"key": "g", "algorithm": "HS256", "secret": "` + secretB + `"`),
			"line 2, consumer 2 \"zoe\": credential \"g\" belongs to the consumer on line 1 already",
		},
		"a key twice in one": {
			one(`{"username": "z", "credentials": [{` + good + `}, {` + good + `}]}`),
			"belongs to the consumer on line 2 already",
		},
	} {
		t.Run(name, func(t *testing.T) { mistaken(t, c.text, c.want) })
	}
}

// mistaken wants an error with this text. It never has a part of a secret.
func mistaken(t *testing.T, text, want string) {
	t.Helper()
	_, err := parse(text)
	if err == nil {
		t.Fatalf("it is accepted; want %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("the error is\n%v\nwant\n%s", err, want)
	}
	for _, secret := range []string{secretA, secretB, "short-8f2", "abab", "A_LONG_NAME"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error has a secret: %v", err)
		}
	}
	if len(err.Error()) > 1500 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
	if at, ok := errors.AsType[*roster.Error](err); !ok || at.Line < 1 || at.Line > 1+strings.Count(text, "\n") {
		t.Errorf("the error is %#v", err)
	}
}

func TestConsumersByCustomID(t *testing.T) {
	set := parsed(t, `[{"username": "a", "custom_id": "1"}, {"username": "b"}, {"username": "c"},
{"username": "d", "custom_id": "2"}]`)
	for id, want := range map[string]string{"1": "a", "2": "d", "": "", "3": "", "a": ""} {
		got := ""
		if consumer := set.WithCustomID(id); consumer != nil {
			got = consumer.Username
		}
		if got != want {
			t.Errorf("%q is %q, want %q", id, got, want)
		}
	}
	if err := set.UniqueCustomIDs(); err != nil {
		t.Error(err)
	}
	set = parsed(t, `[{"username": "a", "custom_id": "1"},
{"username": "b", "custom_id": "2"},
{"username": "c", "custom_id": "1"}, {"username": "d", "custom_id": "1"}]`)
	if consumer := set.WithCustomID("1"); consumer != nil {
		t.Errorf("one of several: %q", consumer.Username)
	}
	if consumer := set.WithCustomID("2"); consumer == nil {
		t.Error("the other one is not found")
	}
	want := `line 3, consumer 3 "c": the consumer on line 1 has the same custom_id`
	if err := set.UniqueCustomIDs(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
