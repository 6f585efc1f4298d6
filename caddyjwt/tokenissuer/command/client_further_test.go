package command

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// further are flags with everything that tokens can have besides, and what a client becomes by them.
func further() (flags []string, want registration.Client) {
	return []string{
			"--access-lifetime", "10m", "--access-lifetime", "30s=https://a.example/?x=y", "--token", "opaque",
			"--claim", "tier=gold", "--claim", "seats=7", "--claim", `limits={"day": 100}`, "--claim", `text="7"`,
			"--claim", "word=json", "--claim", "list=[\"`\"]", "--claim", "x y=a=b",
			"--header", "env=test", "--header", "version=3",
		}, registration.Client{
			AccessLifetime:  caddy.Duration(10 * time.Minute),
			AccessLifetimes: map[string]caddy.Duration{"https://a.example/?x=y": caddy.Duration(30 * time.Second)},
			Token:           "opaque",
			Claims: map[string]json.RawMessage{
				"tier": json.RawMessage(`"gold"`), "seats": json.RawMessage(`7`), "limits": json.RawMessage(`{"day":100}`),
				"text": json.RawMessage(`"7"`), "word": json.RawMessage(`"json"`), "list": json.RawMessage("[\"`\"]"),
				"x y": json.RawMessage(`"a=b"`),
			},
			Header: map[string]json.RawMessage{"env": json.RawMessage(`"test"`), "version": json.RawMessage(`3`)},
		}
}

// sameFurther compares two clients, whatever spelling their JSON has.
func sameFurther(t *testing.T, got, want *registration.Client) {
	t.Helper()
	if got.AccessLifetime != want.AccessLifetime || !reflect.DeepEqual(got.AccessLifetimes, want.AccessLifetimes) ||
		got.Token != want.Token {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, of := range [][2]map[string]json.RawMessage{{got.Claims, want.Claims}, {got.Header, want.Header}} {
		var values [2]any
		for i, members := range of {
			text, err := json.Marshal(members)
			if err == nil {
				err = json.Unmarshal(text, &values[i])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(values[0], values[1]) {
			t.Errorf("%v, want %v", values[0], values[1])
		}
	}
}

// A file and a block for a Caddyfile have what the flags say.
func TestWhatTheTokensOfANewClientHave(t *testing.T) {
	flags, want := further()
	flags = append([]string{"add", "--id", "a", "--audience", "https://a.example/?x=y", "--cost", "4"}, flags...)
	f := newClientsFile(t, "")
	f.makes(flags...)
	sameFurther(t, f.client("a"), &want)
	if list := f.does("list", "--json"); !strings.Contains(list, `"day": 100`) {
		t.Errorf("%s", list)
	}

	out, _, err := run(nil, clientCommand(), flags...)
	if err != nil {
		t.Fatal(err)
	}
	block, _, _ := strings.Cut(out, "\n}\n")
	tokens, err := caddyfile.Tokenize([]byte(block+"\n}\n"), "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	directive := words.Directive[registration.Client]{Table: &registration.Table, Line: func(b *words.Block,
		c *registration.Client,
	) error {
		c.ID = b.Args()[0]
		return nil
	}}
	var again registration.Client
	d := caddyfile.NewDispenser(tokens)
	d.Next()
	if _, err := directive.Read(d, &again); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if again.ID != "a" {
		t.Errorf("%s", out)
	}
	sameFurther(t, &again, &want)
	for says, flag := range map[string]string{"has a brace": "x={y}", "control character": "x=\a"} {
		if _, _, err := run(nil, clientCommand(), "add", "--id", "a", "--audience", "u:a", "--claim", flag); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
