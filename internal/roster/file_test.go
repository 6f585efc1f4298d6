package roster_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/smallfile"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// person is a consumer with a secret, in JSON.
func person(username, secret string) string {
	return fmt.Sprintf(`{"username": %q, "credentials": [{"key": %q, "algorithm": "HS256", "secret": %q}]}`,
		username, username+"-key", secret)
}

// followed is a file that a test changes, and the log about it. It runs in a bubble of synctest.
type followed struct {
	*roster.File
	t    *testing.T
	path string
	log  *tokentest.Buffer // looks at the file write to it while a test reads it
}

func follow(t *testing.T, people ...string) *followed {
	t.Helper()
	f := &followed{t: t, path: filepath.Join(t.TempDir(), "people.json"), log: new(tokentest.Buffer)}
	f.write(list(people...))
	var err error
	if f.File, err = roster.Open(f.path, slog.New(slog.NewTextHandler(f.log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func list(people ...string) string { return "[" + strings.Join(people, ",\n") + "]" }

// write replaces the file, and gives it the time of the bubble.
func (f *followed) write(text string) {
	f.t.Helper()
	now := time.Now()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chtimes(f.path, now, now); err != nil {
		f.t.Fatal(err)
	}
}

// later lets some looks at the file pass.
func later() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

func (f *followed) knows(usernames ...string) {
	f.t.Helper()
	if got := len(f.Set().Consumers()); got != len(usernames) {
		f.t.Errorf("%d consumers, want %v", got, usernames)
	}
	for _, username := range usernames {
		if who, _ := f.Member(username + "-key"); who == nil || who != f.Consumer(username) {
			f.t.Errorf("%s is not there", username)
		}
	}
}

func TestFileIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA), person("bob", secretB))
		f.knows("ann", "bob")
		ann, _ := f.Member("ann-key")
		f.write(list(person("ann", secretA), person("eve", secretB)))
		later()
		f.knows("ann", "eve")
		if again, _ := f.Member("ann-key"); again != ann {
			t.Error("what has not changed is another object")
		}
		f.write(list(person("ann", secretB), person("eve", secretB)))
		later()
		if again, _ := f.Member("ann-key"); again == ann {
			t.Error("ann has another secret, and is the same object")
		}
		for _, want := range []string{"added=1 removed=1 changed=0", "added=0 removed=0 changed=1"} {
			if !strings.Contains(f.log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, f.log)
			}
		}
		f.write("[]")
		later()
		f.knows()
	})
}

// While a file changes from one look to the next, it is still being written.
func TestHalfWrittenFileIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA))
		for i := range 100 { // the next change always comes before the content is a moment old
			f.write(list(person("ann", secretA), person(fmt.Sprintf("half-%d", i), secretB)))
			time.Sleep(smallfile.Settle - time.Millisecond)
			synctest.Wait()
			f.knows("ann")
		}
		f.write(list(person("bob", secretB)))
		later()
		f.knows("bob")
	})
}

func TestBadContentKeepsTheConsumersFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA))
		for i, bad := range []string{
			"", "[", list(person("ann", "short-8f2")), list(person("a", secretA), person("a", secretB)),
		} {
			f.write(bad)
			later()
			later()
			f.knows("ann")
			if f.Err() == nil {
				t.Errorf("%q is no trouble", bad)
			}
			if n := strings.Count(f.log.String(), "level=ERROR"); n != i+1 {
				t.Errorf("%d errors after %d mistakes:\n%s", n, i+1, f.log)
			}
		}
		if err := os.Remove(f.path); err != nil {
			t.Fatal(err)
		}
		later()
		f.knows("ann")
		if !errors.Is(f.Err(), os.ErrNotExist) {
			t.Errorf("the trouble is %v", f.Err())
		}
		f.write(list(person("ann", secretA)))
		later()
		f.knows("ann")
		if f.Err() != nil {
			t.Errorf("the trouble is %v", f.Err())
		}
		if strings.Contains(f.log.String(), "short-8f2") || strings.Contains(f.log.String(), secretA) {
			t.Errorf("the log has a secret:\n%s", f.log)
		}
	})
}

// A gate that uses the file decides about its consumers for all gates, until it leaves.
func TestGatesDecideTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA))
		noBob := func(r consumer.Roster) error {
			if r.Consumer("bob") != nil {
				return r.At("bob", errors.New("no bob here"))
			}
			return nil
		}
		if _, err := f.Join(func(r consumer.Roster) error { return r.At("ann", errors.New("no ann here")) }); err == nil ||
			err.Error() != `line 1, consumer 1 "ann": no ann here` {
			t.Errorf("joining gives %v", err)
		}
		guest, err := f.Join(noBob)
		if err != nil {
			t.Fatal(err)
		}
		f.write(list(person("eve", secretA), person("bob", secretB)))
		later()
		f.knows("ann")
		if err := f.Err(); err == nil || err.Error() != `line 2, consumer 2 "bob": no bob here` {
			t.Errorf("the trouble is %v", err)
		}
		guest.Leave()
		later()
		f.knows("eve", "bob")
		if _, err := f.Join(noBob); err == nil {
			t.Error("a gate joins that does not accept the consumers of now")
		}
	})
}

func TestOpenRefusesWhatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	file, err := os.Create(long)
	if err == nil {
		err = errors.Join(file.Truncate(roster.MaxFile+1), file.Close()) // a hole takes no space
	}
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file", dir: "not a regular file", empty: "the file is empty",
		long: "longer than",
	} {
		if _, err := roster.Open(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("opening gives %v, want %q", err, want)
		}
		if _, err := roster.Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reading gives %v, want %q", err, want)
		}
	}
}

// Requests look while the file changes. Each sees one set: a consumer and a credential that belong together.
func TestRequestsSeeOneSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA))
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					who, credential := f.Member("ann-key")
					if who == nil || credential != &who.Credentials[0] {
						t.Error("a credential of somebody else")
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		for i := range 10 {
			f.write(list(person("ann", []string{secretA, secretB}[i%2]), person(fmt.Sprintf("other-%d", i), secretA)))
			later()
		}
		close(stop)
		readers.Wait()
	})
}

func TestDoubtfulSecretsAreNamedUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		doubtful := func(i int) string {
			return person(fmt.Sprintf("user-%d", i), fmt.Sprintf("a password of %d, 7Vn3rXz9LwTt5BsK1mYf8JhG", i))
		}
		var people []string
		for i := range 15 {
			people = append(people, doubtful(i))
		}
		f := follow(t, people...)
		told := f.log.String()
		if n := strings.Count(told, "level=WARN"); n != 11 || !strings.Contains(told, "more=5") ||
			!strings.Contains(told, "consumer=user-9 ") || strings.Contains(told, "user-10") {
			t.Errorf("the log has %d warnings:\n%s", n, told)
		}
		f.write(list(append(people, doubtful(15))...))
		later()
		if !strings.Contains(f.log.String(), "more=6") {
			t.Errorf("the log does not tell of the new secret:\n%s", f.log)
		}
	})
}

// Content that was refused comes, goes, and comes again: each time it is trouble. The very same file goes and comes
// back: it is used as before.
func TestTroubleComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA))
		bad := list(person("ann", "short-8f2"))
		trouble := func(what string, want bool) {
			t.Helper()
			later()
			f.knows("ann")
			if got := f.Err() != nil; got != want {
				t.Errorf("%s: the trouble is %v", what, f.Err())
			}
		}
		f.write(bad)
		trouble("bad content", true)
		f.write(list(person("ann", secretA)))
		trouble("what was there before", false)
		f.write(bad)
		trouble("the same bad content", true)
		f.write(list(person("ann", secretB)))
		trouble("new content", false)
		f.write(bad)
		trouble("the same bad content after new content", true)
		f.write(list(person("ann", secretB)))
		trouble("what was there before again", false)
		f.write(bad)
		trouble("bad content before an old file", true)
		f.write(list(person("ann", secretA)))
		if err := os.Chtimes(f.path, time.Time{}, time.Now().Add(-time.Hour)); err != nil { // so it is read no more
			t.Fatal(err)
		}
		trouble("an old file", false)
		f.write(bad)
		trouble("the same bad content after an old file", true)
		f.write(list(person("ann", secretA)))
		trouble("the end", false)
		time.Sleep(time.Minute) // the file is old, so its times say that it has not changed
		if err := os.Rename(f.path, f.path+".gone"); err != nil {
			t.Fatal(err)
		}
		trouble("no file", true)
		if err := os.Rename(f.path+".gone", f.path); err != nil {
			t.Fatal(err)
		}
		trouble("the very same file", false)
	})
}

// Content that only a gate does not accept waits for this gate, unless the file changes again.
func TestContentWaitsForGatesToLeave(t *testing.T) {
	without := func(username string) func(consumer.Roster) error {
		return func(r consumer.Roster) error {
			if r.Consumer(username) != nil {
				return r.At(username, errors.New("nobody here has this name"))
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		then string
		want []string
	}{
		"it is still there":           {"", []string{"ann", "bob"}},
		"the file is bad":             {"[", []string{"ann"}},
		"the file is as it was":       {list(person("ann", secretA)), []string{"ann"}},
		"the file has somebody else":  {list(person("eve", secretA)), []string{"eve"}},
		"the file has a third person": {list(person("bob", secretA), person("eve", secretB)), []string{"bob", "eve"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := follow(t, person("ann", secretA))
				old, err := f.Join(without("bob"))
				if err != nil {
					t.Fatal(err)
				}
				f.write(list(person("ann", secretA), person("bob", secretB)))
				if err := f.Refresh(); err != nil || f.Err() == nil {
					t.Errorf("the file is refused with %v, and the trouble is %v", err, f.Err())
				}
				f.knows("ann")
				if _, err := f.Join(without("bob")); err == nil {
					t.Error("a gate joins that does not accept what waits")
				}
				if c.then != "" {
					f.write(c.then)
					later()
				}
				old.Leave()
				f.knows(c.want...)
				if old.Last().Consumer("bob") != nil {
					t.Error("the gate that has left sees consumers that it does not accept")
				}
				if bad := c.then == "["; (f.Err() != nil) != bad {
					t.Errorf("the trouble is %v", f.Err())
				}
			})
		})
	}
}

func TestRefreshSaysWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA))
		if err := f.Refresh(); err != nil {
			t.Error(err)
		}
		f.write(list(person("bob", secretB)))
		if err := f.Refresh(); err != nil {
			t.Error(err)
		}
		f.knows("bob") // it has waited until the content was a moment old
		f.write("[")
		for range 2 {
			if err := f.Refresh(); err == nil || !strings.Contains(err.Error(), "line 1: expected a consumer") {
				t.Errorf("the error is %v", err)
			}
		}
		f.knows("bob")
	})
}

// Refresh does not use what is still being written.
func TestRefreshWaitsForTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA))
		f.write(list(person("half", secretB)))
		time.AfterFunc(smallfile.Settle/2, func() { f.write(list(person("half", secretB), person("bob", secretA))) })
		if err := f.Refresh(); err != nil {
			t.Error(err)
		}
		f.knows("half", "bob")
		if n := strings.Count(f.log.String(), "have changed"); n != 1 {
			t.Errorf("the consumers have changed %d times", n)
		}
	})
}

func TestReopenedFileGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, person("ann", secretA))
		reopen := func(want error, usernames ...string) {
			t.Helper()
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			before := f.Set()
			f.File = f.Reopen()
			f.knows(usernames...)
			if (f.Err() != nil) != (want != nil) {
				t.Errorf("the trouble is %v, want %v", f.Err(), want)
			}
			if want != nil && f.Set() != before {
				t.Error("the consumers are others")
			}
		}
		set := f.Set()
		reopen(nil, "ann")
		if f.Set() != set {
			t.Error("what has not changed was read again")
		}
		f.write(list(person("bob", secretB)))
		reopen(nil, "bob")
		f.write("[")
		reopen(errors.New("bad"), "bob")
		reopen(errors.New("bad, and not new"), "bob")
		if err := os.Remove(f.path); err != nil {
			t.Fatal(err)
		}
		reopen(os.ErrNotExist, "bob")
		f.write(list(person("eve", secretB)))
		later()
		f.knows("eve")
	})
}
