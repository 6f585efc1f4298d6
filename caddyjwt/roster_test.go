package caddyjwt

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// crowdFile is a file of consumers that a test replaces. Each consumer has a secret of its own.
type crowdFile struct {
	t    *testing.T
	path string
}

func newCrowdFile(t *testing.T, usernames ...string) *crowdFile {
	t.Helper()
	f := &crowdFile{t, filepath.Join(t.TempDir(), "consumers.json")}
	f.set(usernames...)
	return f
}

func (f *crowdFile) set(usernames ...string) {
	f.t.Helper()
	list := make([]string, len(usernames))
	for i, username := range usernames {
		list[i] = f.consumer(username)
	}
	f.write("[" + strings.Join(list, ",\n") + "]")
}

func (f *crowdFile) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path+".new", []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.path+".new", f.path); err != nil {
		f.t.Fatal(err)
	}
}

func (f *crowdFile) consumer(username string) string {
	return fmt.Sprintf(`{"username": %q, "credentials": [{"key": "%s-key", "algorithm": "HS256", "base64": true,
		"secret": %q}]}`, username, username, base64.StdEncoding.EncodeToString(f.key(username).Secret()))
}

func (f *crowdFile) key(username string) *tokentest.Key {
	return tokentest.NewKey(f.t, "HS256", username).WithKID("")
}

// config is a gate with the file, and with further members.
func (f *crowdFile) config(members string) string {
	return `{"audience": ["x"], "consumers_from": {"file": ` + quote(f.path) + `}` + members + `}`
}

func (f *crowdFile) status(h *Handler, username string) int {
	f.t.Helper()
	now := time.Now().Unix()
	token := f.key(username).Sign(f.t, map[string]any{
		"iss": username + "-key", "aud": "x", "sub": username, "iat": now, "exp": now + 300,
	})
	status, _ := serve(f.t, h, bearing(token))
	return status
}

func (f *crowdFile) want(h *Handler, username string, status int) {
	f.t.Helper()
	if got := f.status(h, username); got != status {
		f.t.Errorf("the token of %s gets %d, want %d", username, got, status)
	}
}

// ended is a handler whose configuration has ended.
func (f *crowdFile) ended(members string) *Handler {
	f.t.Helper()
	h := provisioned(f.t, f.config(members))
	if err := h.Cleanup(); err != nil {
		f.t.Fatal(err)
	}
	return h
}

// A late request finds the file gone or bad. The consumers from before stay, as they do while a configuration is in
// force. Once the file is right again, it counts.
func TestLateRequestsKeepTheirConsumers(t *testing.T) {
	nothingRuns(t)
	f := newCrowdFile(t, "zoe")
	late := f.ended("")
	wantEmptyPool(t)
	f.write("[")
	for range 2 {
		f.want(late, "zoe", http.StatusOK)
		f.want(late, "bob", http.StatusUnauthorized)
		eventuallyEmpty(t)
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	f.want(late, "zoe", http.StatusOK)
	eventuallyEmpty(t)
	f.set("bob")
	f.want(late, "zoe", http.StatusUnauthorized)
	eventuallyEmpty(t)
	f.want(late, "bob", http.StatusOK)
	eventuallyEmpty(t)
}

// A newer configuration uses the file with consumers that do not fit the gate of a late request.
func TestLateRequestBesideConsumersThatDoNotFit(t *testing.T) {
	nothingRuns(t)
	f := newCrowdFile(t, "zoe")
	block := `, "consumers": [` + f.consumer("bob") + `]`
	old := provisioned(t, f.config(block))
	f.set("zoe", "bob", "eve")
	now := provisioned(t, f.config(""))
	f.want(now, "eve", http.StatusUnauthorized) // the old gate, which has bob in a block, is still there
	if err := old.Cleanup(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f.want(now, "eve", http.StatusOK)
		f.want(now, "bob", http.StatusOK)
		f.want(old, "zoe", http.StatusOK)
		f.want(old, "bob", http.StatusOK)
		f.want(old, "eve", http.StatusUnauthorized)
	}
}

func TestReloadReadsTheFileOnce(t *testing.T) {
	f := newCrowdFile(t, "zoe")
	first, second := provisioned(t, f.config("")), provisioned(t, f.config(`, "max_lifetime": "1h"`))
	one, other := first.leases.Ours().Consumers(), second.leases.Ours().Consumers()
	if one != other || one.Set() != other.Set() {
		t.Error("two gates with one file do not share what was read")
	}
	n := 0
	for range process.Shared().Pool.Rosters() {
		n++
	}
	if n != 1 {
		t.Errorf("the pool has %d files of consumers", n)
	}
}

// The configuration in force goes on with the consumers from before. A new one must not load with them: nobody would
// notice that the file is bad.
func TestReloadWithABadFileIsAnError(t *testing.T) {
	f := newCrowdFile(t, "zoe")
	h := provisioned(t, f.config(""))
	for name, c := range map[string]struct{ text, want string }{
		"cut off": {"[\n" + f.consumer("zoe"), "line 3: the list does not end"},
		"a weak secret": {
			`[{"username": "a", "credentials": [{"key": "k", "algorithm": "HS256", "secret": "short"}]}]`,
			"line 1, consumer 1",
		},
		"the username of a block": {
			"[" + f.consumer("zoe") + "," + f.consumer("alice") + "]",
			`consumer 2 "alice": consumer "alice" is also in a consumer block`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.write(c.text)
			ctx, _ := newContext(t)
			next := parse(t, f.config(`, "consumers": [`+f.consumer("alice")+`]`))
			err := next.Provision(ctx)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
			if err := next.Cleanup(); err != nil {
				t.Error(err)
			}
			f.want(h, "zoe", http.StatusOK)
		})
		f.set("zoe")
		if err := h.leases.Ours().Consumers().Refresh(); err != nil {
			t.Errorf("the trouble with a good file is %v", err)
		}
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	ctx, _ := newContext(t)
	next := parse(t, f.config(""))
	if err := next.Provision(ctx); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("the error about a file that is gone is %v", err)
	}
	if err := next.Cleanup(); err != nil {
		t.Error(err)
	}
}
