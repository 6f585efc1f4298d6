package revocations

import (
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// written is a configuration that does not run, with a store in a file.
func written(path string) *Written {
	return &Written{Settings: Settings{Store: &Store{Kind: kindFile, Path: path}},
		Owners: []revoke.Owner{{Issuer: issuer, MaxLifetime: time.Hour}}}
}

// Orders for the store of a configuration that does not run are kept there, with the same checks as those of the admin
// API.
func TestAskAtTheStoreItself(t *testing.T) {
	w := written(filepath.Join(t.TempDir(), "store.db"))
	ask := func(method, body string) (answer string, err error) {
		t.Helper()
		text, where, err := w.Ask(t.Context(), method, revocationsPath+"?limit=5", []byte(body))
		if err == nil && where != w.Settings.Store.Path {
			t.Errorf("it was done at %q", where)
		}
		return string(text), err
	}
	order := `{"issuer":"` + issuer + `","sub":"alice"}`
	if text, err := ask(http.MethodPost, order); err != nil || !strings.Contains(text, `"value":"alice"`) {
		t.Errorf("%s, %v", text, err)
	}
	text, err := ask(http.MethodGet, "")
	var list Listing
	if err == nil {
		err = json.Unmarshal([]byte(text), &list)
	}
	if err != nil || list.Total != 1 || list.Entries[0].Value != "alice" {
		t.Errorf("%s, %v", text, err)
	}
	if text, err := ask(http.MethodDelete, order); err != nil || !strings.Contains(text, "restored") {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := ask(http.MethodDelete, order); !errors.Is(err, errNothing) {
		t.Errorf("taken back twice: %v", err)
	}
	if _, err := ask(http.MethodPost, `{"issuer":"https://other.example","sub":"a"}`); !errors.Is(err, revoke.ErrOwner) {
		t.Errorf("an issuer that no gate knows: %v", err)
	}
	if _, _, err := w.Ask(t.Context(), "a b", revocationsPath, nil); err == nil {
		t.Error("a method that does not exist")
	}
	status, _, err := w.Ask(t.Context(), http.MethodGet, "/bearer_auth/store", nil)
	if err != nil || !strings.Contains(string(status), `"in_sync":true,"revocations":0`) {
		t.Errorf("%s, %v", status, err)
	}
	_, _, err = w.Ask(t.Context(), http.MethodPost, "/bearer_auth/store/init", nil)
	if !errors.Is(err, revoke.ErrNotShared) {
		t.Errorf("init: %v", err)
	}
}

// A store that cannot be opened is an error that says what to do.
func TestAskAtNoStore(t *testing.T) {
	for want, settings := range map[string]Settings{
		"the configuration has no store":     {},
		"--address":                          {Store: &Store{Kind: kindMemory}},
		`store "sql": expected`:              {Store: &Store{Kind: "sql"}},
		"store file: ":                       {Store: &Store{Kind: kindFile, Path: "/dev/null/store.db"}},
		"no value (use {env.NAME}":           {Store: &Store{Kind: kindFile, Path: "{env.NOT_SET_ANYWHERE}"}},
		"max_unsynced is about a store that": {Store: &Store{Kind: kindFile}, MaxUnsynced: 1},
	} {
		w := &Written{Settings: settings}
		if _, _, err := w.Ask(t.Context(), http.MethodGet, revocationsPath, nil); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// While a Caddy runs with the file, nobody else can open it.
func TestAskWhileACaddyHasTheFile(t *testing.T) {
	t.Parallel() // it waits for the file
	w := written(filepath.Join(t.TempDir(), "store.db"))
	open, err := store.OpenFile(w.Settings.Store.Path, store.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	_, _, err = w.Ask(t.Context(), http.MethodGet, revocationsPath, nil)
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "--address") {
		t.Errorf("%v", err)
	}
}

// An address is shown without what may be secret.
func TestShownURL(t *testing.T) {
	for address, want := range map[string]string{
		"redis://user:geheim@db.example:6379/2":                  "redis://db.example:6379/2",
		"rediss://:geheim@db.example":                            "rediss://db.example",
		"redis://geheim@a:1?addr=b:2&addr=x:geheim@c:3":          "redis://a:1,b:2,c:3",
		"redis://u:geheim@a:1/0?master_set=main&password=geheim": "redis://a:1/0 (sentinels of main)",
		"unix://u:geheim@/run/redis.sock?db=3":                   "unix:///run/redis.sock/3",
		"redis://:12/geheim@db.example":                          "redis",
		"redis://u:ge/heim@db.example":                           "redis",
		"redis://u:geheim%zz@db.example":                         "redis",
		"geheim":                                                 "redis",
		"redis://a:1/0#geheim":                                   "redis://a:1/0",
	} {
		if got := shownURL(address); got != want || strings.Contains(got, "heim") {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// Configurations share a store only if all of its settings are alike. The name of the store shows none that is secret.
func TestPlacesAreSharedByAllSettings(t *testing.T) {
	compiled := func(change func(*Settings)) *place {
		t.Helper()
		settings := Settings{Store: &Store{Kind: kindRedis, URL: "redis://u:geheim@a.example:6379",
			Key: "c2a41d97e05b38f6417a9cd0b3e852f79e0d6b1c84f2a735d8e9061bc74f5a23"}}
		change(&settings)
		at, err := settings.compile(words.NewSettings())
		if err != nil {
			t.Fatal(err)
		}
		if shown := at.where + at.id; strings.Contains(shown, "geheim") || strings.Contains(shown, settings.Store.Key[:8]) {
			t.Errorf("it shows a secret: %s", shown)
		}
		return at
	}
	first := compiled(func(*Settings) {})
	if again := compiled(func(*Settings) {}); again.id != first.id || again.where != "redis://a.example:6379" {
		t.Errorf("the same settings: %+v", again)
	}
	accepts := compiled(func(s *Settings) { s.OnUnsynced = unsyncedAccept })
	if accepts.id != first.id || !accepts.accepts {
		t.Errorf("what becomes of tokens is no matter of the store: %+v", accepts)
	}
	for name, change := range map[string]func(*Settings){
		"url":           func(s *Settings) { s.Store.URL = "redis://u:andere@a.example:6379" },
		"key":           func(s *Settings) { s.Store.Key = strings.Replace(s.Store.Key, "c2", "c3", 1) },
		"prefix":        func(s *Settings) { s.Store.Prefix = "other" },
		"wait_replicas": func(s *Settings) { s.Store.WaitReplicas = 1 },
		"max_unsynced":  func(s *Settings) { s.MaxUnsynced = caddy.Duration(time.Minute) },
		"tls": func(s *Settings) {
			s.Store.URL, s.Store.TLS = "rediss://u:geheim@a.example:6379", &clienttls.TLS{ServerName: "b"}
		},
	} {
		if other := compiled(change); other.id == first.id {
			t.Errorf("another %s is the same store", name)
		}
	}
}
