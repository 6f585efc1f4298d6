package users_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
	"github.com/caddyjwt/gateway/internal/users"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open opens a file with a text.
func open(t *testing.T, text string, change func(*users.FileConfig)) (*users.File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "htpasswd")
	write(t, path, text)
	c := users.FileConfig{Path: path}
	if change != nil {
		change(&c)
	}
	f, err := users.OpenFile(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, path
}

func TestAFileAsApacheReadsIt(t *testing.T) {
	a, b := hash(t, "secret a", 4), hash(t, "secret b", 5)
	f, _ := open(t, "# users\n\n \t\r\n  # indented\r\n  alice:"+a+" \r\nbob b:$2y"+b[3:], nil)
	if u := passes(t, f, "alice", "secret a"); len(u.Roles) != 0 {
		t.Errorf("%+v", u)
	}
	passes(t, f, "bob b", "secret b")
	fails(t, f, "# users", "secret a", users.ErrRefused)
	fails(t, f, "alice", "secret b", users.ErrRefused)
	if f.Len() != 2 {
		t.Errorf("%d users", f.Len())
	}
	if u, err := f.Find(t.Context(), "alice"); err != nil || u.Name != "alice" {
		t.Errorf("%v, %v", u, err)
	}
}

func TestOneBadLineRefusesTheWholeFile(t *testing.T) {
	h := hash(t, "p", 4)
	good := "alice:" + h + "\n"
	for want, text := range map[string]string{
		`line 2: the hash of the user "bob" is SHA-1`:                    good + "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
		`line 2: the hash of the user "bob" is the MD5 of Apache`:        good + "bob:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00",
		`line 3: the hash of the user "bob" is MD5`:                      good + "\nbob:$1$salt$x",
		`line 2: the hash of the user "bob" is SHA-256`:                  good + "bob:$5$salt$x",
		`line 2: the hash of the user "bob" is SHA-512`:                  good + "bob:$6$salt$x",
		`line 2: the hash of the user "bob" is an old hash of crypt, or`: good + "bob:rqXexS6ZhobKA",
		`line 2: the hash of the user "bob" is missing`:                  good + "bob:",
		`line 3: the user "alice" is on line 1, too`:                     good + "bob:" + h + "\n" + good,
		`line 2: no colon`:          good + "my secret password",
		`line 2: no name`:           good + ":" + h,
		`line 1: a byte order mark`: "\ufeff" + good,
		`line 1: the hash of the user "alice": a bcrypt hash has 60`: "alice:" + h + ":Alice Example",
		`line 1: the hash of the user "bob": the cost`:               "bob:" + h[:4] + "31" + h[6:],
		`line 1: a control character in the name "b\x00b"`:           "b\x00b:" + h,
		`line 1: the name "b\xff" is not UTF-8`:                      "b\xff:" + h,
		`has more than 256 bytes; write name:hash`:                   strings.Repeat("n", 257) + ":" + h,
	} {
		_, err := users.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			continue
		}
		for _, secret := range []string{"W6ph", "lZL6", "rqXex", "my secret", h[7:], "salt"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error has %q: %v", secret, err)
			}
		}
		if strings.Contains(want, "the hash of") && !strings.Contains(err.Error(), "htpasswd -B") {
			t.Errorf("%v does not say how to mend it", err)
		}
	}
}

func TestAFileHasAtMost100000Users(t *testing.T) {
	h := hash(t, "p", 4)
	var text bytes.Buffer
	for i := range users.MaxUsers {
		fmt.Fprintf(&text, "user %d:%s\n", i, h)
	}
	if all, err := users.Parse(text.Bytes()); err != nil || len(all) != users.MaxUsers {
		t.Errorf("%d users, error %v", len(all), err)
	}
	fmt.Fprintf(&text, "one more:%s\n", h)
	if _, err := users.Parse(text.Bytes()); err == nil || !strings.Contains(err.Error(), "line 100001: more than") {
		t.Error(err)
	}
}

func TestOpenFileWantsAGoodFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "htpasswd")
	if _, err := users.OpenFile(users.FileConfig{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	write(t, path, "alice:secret")
	_, err := users.OpenFile(users.FileConfig{Path: path})
	if err == nil || !strings.Contains(err.Error(), path+": line 1: ") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad one: %v", err)
	}
	write(t, path, strings.Repeat("#\n", users.MaxFile/2)+"#")
	if _, err := users.OpenFile(users.FileConfig{Path: path}); err == nil {
		t.Error("a file that is too long")
	}
}

// lines is a log.
type lines struct{ tokentest.Buffer }

func (l *lines) count(part string) int { return strings.Count(l.String(), part) }

func TestABadFileKeepsTheUsersAndSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		old, fresh := hash(t, "old secret", 4), hash(t, "new secret", 4)
		f, path := open(t, "alice:"+old, func(c *users.FileConfig) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
		look := func(text string) {
			write(t, path, text)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		look("alice:plain password")
		passes(t, f, "alice", "old secret")
		if n := log.count("cannot be read again"); n != 1 || f.Err() == nil || log.count("plain password") != 0 {
			t.Errorf("%d lines, error %v", n, f.Err())
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		passes(t, f, "alice", "old secret")
		look("alice:" + fresh + "\nbob:" + fresh)
		fails(t, f, "alice", "old secret", users.ErrRefused)
		passes(t, f, "bob", "new secret")
		if log.count("have changed") != 1 || log.count("can be read again") != 1 || f.Err() != nil {
			t.Errorf("%s, error %v", log, f.Err())
		}
		look("# nobody is left\n")
		fails(t, f, "bob", "new secret", users.ErrRefused)
		if u, err := f.Find(t.Context(), "bob"); u != nil || err == nil {
			t.Errorf("%v is still there", u)
		}
	})
}

func TestAttackNoWorkTellsWhichNamesAFileHas(t *testing.T) {
	c := new(counter)
	f, _ := open(t, "a:"+hash(t, "p", 4)+"\nb:"+hash(t, "p", 6), func(config *users.FileConfig) { config.Comparer = c })
	for _, name := range []string{"a", "b", "c"} {
		fails(t, f, name, "wrong", users.ErrRefused)
		if work := c.taken(); work != 1<<6 {
			t.Errorf("%s costs %d", name, work)
		}
	}
}
