package caddyjwt_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
)

// sealing is a key for a store that several Caddys share.
const sealing = "c2a41d97e05b38f6417a9cd0b3e852f79e0d6b1c84f2a735d8e9061bc74f5a23"

// sharedStore is a global option with a store that several Caddys share. Its lines begin with line 3.
func sharedStore(lines string) string {
	return "{\n\tbearer_auth {\n" + lines + "\n\t}\n}\n"
}

// inStore is one with this line of the block of the store as its line 5.
func inStore(line string) string {
	return sharedStore("store redis redis://user:geheim@db.example:6379/2 {\nkey " + sealing + "\n" + line + "\n}")
}

// Each word of the option and of its block becomes the field of that name.
func TestStoreThatSeveralCaddysShare(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "ca.pem")
	config, err := adaptAll(sharedStore("max_unsynced 3s\non_unsynced accept\n" +
		"store redis rediss://db.example:6379/2?addr=b.example:6379 {\nkey {env.STORE_KEY_NOT_SET}\nprefix shop\n" +
		"wait_replicas 2\nsentinel_user watch\nsentinel_password {env.NOT_SET}\n" +
		"tls {\nca " + cert + "\nserver_name db\n}\n}"))
	const want = `{"apps":{"bearer_auth":{"max_unsynced":3000000000,"on_unsynced":"accept","store":{"key":` +
		`"{env.STORE_KEY_NOT_SET}","kind":"redis","prefix":"shop","sentinel_password":"{env.NOT_SET}",` +
		`"sentinel_user":"watch","tls":{"ca":["CERT"],"server_name":"db"},"url":` +
		`"rediss://db.example:6379/2?addr=b.example:6379","wait_replicas":2}}}}`
	var got, expected any
	if err == nil {
		err = json.Unmarshal([]byte(config), &got)
	}
	if err == nil {
		err = json.Unmarshal([]byte(strings.ReplaceAll(want, "CERT", cert)), &expected)
	}
	if err != nil || !reflect.DeepEqual(got, expected) {
		t.Errorf("%s, %v", config, err)
	}
}

// A setting that is surely a mistake is refused with its line. The text says what to do, and shows no secret.
func TestMistakesAboutAStoreThatSeveralCaddysShare(t *testing.T) {
	t.Setenv("STORE_KEY", sealing+"\n")
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(sealing), 0o600); err != nil {
		t.Fatal(err)
	}
	const server = "store redis redis://user:geheim@db.example:6379 {\n"
	for name, c := range map[string]struct{ caddyfile, line, want string }{
		"no block":            {sharedStore("store redis redis://user:geheim@db.example"), "3", "openssl rand -hex 32"},
		"an empty block":      {sharedStore(server + "}"), "3", "needs a key"},
		"a key that is short": {sharedStore(server + "key abcdef\n}"), "4", "6 characters, and not 64"},
		"a key that is no hex": {sharedStore(server + "key " + strings.Replace(sealing, "c", "x", 1) + "\n}"), "4",
			"no hexadecimal digit"},
		"a key of zeros":  {sharedStore(server + "key " + strings.Repeat("0", 64) + "\n}"), "4", "can guess"},
		"a key as a line": {sharedStore(server + sealing + "\n}"), "4", "a line must begin with a word"},
		"a key in two": {sharedStore(server + "key " + sealing[:32] + " " + sealing[32:] + "\n}"), "4",
			"takes one value"},
		"a path as a key":       {sharedStore(server + "key " + path + "\n}"), "4", "write {file./the/path}"},
		"a shell variable":      {sharedStore(server + "key $STORE_KEY\n}"), "4", "is written {env.NAME}"},
		"a variable's name":     {sharedStore(server + "key {STORE_KEY}\n}"), "4", "no such placeholder"},
		"a prefix":              {inStore("prefix {x}"), "5", "prefix"},
		"a long prefix":         {inStore("prefix " + strings.Repeat("a", 65)), "5", "1 to 64 letters"},
		"a blank in it":         {inStore(`prefix "a b"`), "5", "1 to 64 letters"},
		"no replicas":           {inStore("wait_replicas 0"), "5", "at least 1"},
		"many replicas":         {inStore("wait_replicas 101"), "5", "from 0 to 100"},
		"a sentinel's user":     {inStore("sentinel_user watch"), "5", "add that, or remove the user"},
		"a sentinel's variable": {inStore("sentinel_password $SECRET"), "5", "is written {env.NAME}"},
		"no sentinel":           {inStore("sentinel_password geheim"), "3", "add master_set=<name>"},
		"tls without words":     {inStore("tls {\n}"), "5", "it has no settings"},
		"a word of a file":      {inStore("path x"), "5", `unrecognized subdirective "path"`},
		"a short time":          {sharedStore("max_unsynced 1s\n" + server + "key {env.STORE_KEY}\n}"), "3", "at least 2s"},
		"another answer": {sharedStore("on_unsynced pass\n" + server + "key {env.STORE_KEY}\n}"), "3",
			"expected"},
		"a time for a file": {sharedStore("max_unsynced 5s\nstore file"), "3", "always in sync; remove it"},
		"an answer for memory": {sharedStore("on_unsynced refuse\nstore memory"), "3",
			"on_unsynced is about a store that several Caddys share"},
		"a time without a store": {sharedStore("max_unsynced 5s"), "3", "there is no store"},
	} {
		_, err := adaptAll(c.caddyfile)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Caddyfile:"+c.line) {
			t.Errorf("%s: error %v, want %q with line %s", name, err, c.want, c.line)
		}
		if err != nil && (strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), sealing[2:30])) {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
}

// JSON can also have fields that belong to another kind of store.
func TestFieldsOfAnotherKindOfStore(t *testing.T) {
	for _, c := range []struct{ settings, want string }{
		{`{"kind":"file","url":"redis://x"}`, "store file does not take a url, only store redis does"},
		{`{"kind":"memory","key":"x"}`, "store memory does not take a key"},
		{`{"kind":"file","prefix":"x"}`, "a prefix"},
		{`{"kind":"file","tls":{}}`, "tls"},
		{`{"kind":"file","wait_replicas":1}`, "wait_replicas"},
		{`{"kind":"file","sentinel_user":"x"}`, "store file does not take sentinel_user"},
		{`{"kind":"memory","sentinel_password":"x"}`, "store memory does not take sentinel_password"},
		{`{"kind":"memory","path":"x"}`, "store memory does not take a path, only store file does"},
		{`{"kind":"redis","url":"redis://x","key":"` + sealing + `","path":"x"}`, "store redis does not take a path"},
		{`{"kind":"redis","key":"` + sealing + `"}`, "needs the address of the server"},
		{`{"kind":"redis","url":"redis://x","key":"` + sealing + `","wait_replicas":-1}`, "from 0 to 100"},
		{`{"kind":""}`, `store "": expected`},
	} {
		app := new(caddyjwt.App)
		if err := json.Unmarshal([]byte(`{"store":`+c.settings+`}`), app); err != nil {
			t.Fatal(err)
		}
		if err := app.RevocationSettings().Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.settings, err, c.want)
		}
	}
	if err := (revocations.Settings{}).Check(); err != nil {
		t.Errorf("no store: %v", err)
	}
}
