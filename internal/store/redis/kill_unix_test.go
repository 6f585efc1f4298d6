//go:build unix

package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

func init() { children["writes until it is killed"] = writeForever }

// childKey is the key of the store that children use.
var childKey = [32]byte{1, 2, 3}

// acknowledged is what the store has said to be done. A key is written once, so what is unknown is another key.
type acknowledged struct {
	mu       sync.Mutex
	appended map[string]store.Position
	put      map[string]bool
	tried    map[string]bool // somebody has tried to take it
	taken    map[string]bool
}

func newAcknowledged() *acknowledged {
	return &acknowledged{
		appended: make(map[string]store.Position), put: make(map[string]bool),
		tried: make(map[string]bool), taken: make(map[string]bool),
	}
}

// hear notes a line of a writer.
func (a *acknowledged) hear(line string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	words := strings.Fields(line)
	switch {
	case len(words) == 4 && words[0] == "append":
		var p store.Position
		if _, err := fmt.Sscan(words[2], &p.Hi); err != nil {
			return err
		}
		if _, err := fmt.Sscan(words[3], &p.Lo); err != nil {
			return err
		}
		a.appended[words[1]] = p
	case len(words) == 2 && words[0] == "put":
		a.put[words[1]] = true
	case len(words) == 2 && words[0] == "taking":
		a.tried[words[1]] = true
	case len(words) == 2 && words[0] == "took":
		a.taken[words[1]] = true
	default:
		return fmt.Errorf("a writer says %q", line)
	}
	return nil
}

// check compares the store with what was acknowledged.
func (a *acknowledged) check(t *testing.T, s store.Store) {
	t.Helper()
	found := make(map[string]store.Position)
	for _, r := range read(t, s) {
		found[string(r.Data)] = r.Position
	}
	for text, p := range a.appended {
		if found[text] != p {
			t.Fatalf("record %q is at %v, and was acknowledged at %v", text, found[text], p)
		}
	}
	for key := range a.put {
		value, err := s.Get(t.Context(), key)
		gone := errors.Is(err, store.ErrNotFound)
		switch {
		case err != nil && !gone:
			t.Fatal(err)
		case a.taken[key] && !gone:
			t.Fatalf("the value of %s was taken, and is there again", key)
		case gone && !a.tried[key]:
			t.Fatalf("the value of %s is lost", key)
		case !gone && string(value) != key:
			t.Fatalf("the value of %s is %q", key, value)
		}
	}
}

// write appends, puts and takes until something fails, and says what is acknowledged.
func write(ctx context.Context, s store.Store, name string, say func(string) error) error {
	for n := 0; ; n++ {
		key := fmt.Sprint(name, "-", n)
		p, err := s.Append(ctx, "log", []byte(key), never)
		if err == nil {
			err = say(fmt.Sprint("append ", key, " ", p.Hi, " ", p.Lo))
		}
		if err == nil {
			err = s.Put(ctx, key, []byte(key), time.Now().Add(time.Hour))
		}
		if err == nil {
			err = say("put " + key)
		}
		if err == nil && n%2 == 0 {
			if err = say("taking " + key); err == nil {
				_, err = s.Take(ctx, key)
			}
			if err == nil {
				err = say("took " + key)
			}
		}
		if err != nil {
			return err
		}
	}
}

// writeForever has several goroutines write, and prints what is acknowledged.
func writeForever(url string) {
	s, err := redis.New(redis.Options{URL: url, Key: childKey})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	race(func(i int) {
		err := write(context.Background(), s, fmt.Sprint(os.Getpid(), "-", i), func(line string) error {
			mu.Lock()
			defer mu.Unlock()
			_, err := fmt.Println(line)
			return err
		})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	})
}

// rounds is how often a test kills something.
func rounds(many int) int {
	if testing.Short() {
		return 1
	}
	return many
}

// A process is killed at any moment, also between a write and its acknowledgement.
func TestFaultOurProcessIsKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{URL: server.URL(), Key: childKey})
	all := newAcknowledged()
	for range rounds(5) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"=writes until it is killed", urlVariable+"="+server.URL())
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines, until := bufio.NewScanner(out), 1+rand.IntN(2000)
		for n := 0; lines.Scan(); n++ {
			if err := all.hear(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if n == until {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("the child has ended by itself: %v", err)
		}
	}
	all.check(t, s)
	t.Logf("%d records and %d values were acknowledged, %d were taken", len(all.appended), len(all.put), len(all.taken))
}

// The server is killed while many write. With appendfsync always, what it has acknowledged is there.
func TestFaultTheServerIsKilledWhileManyWrite(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, durable...)
	s := open(t, redis.Options{URL: server.URL()})
	all := newAcknowledged()
	for round := range rounds(4) {
		until, heard := int64(500+rand.IntN(2000)), atomic.Int64{}
		ready := make(chan struct{})
		var killed sync.WaitGroup
		killed.Go(func() { <-ready; server.Kill() })
		race(func(i int) {
			err := write(t.Context(), s, fmt.Sprint(round, "-", i), func(line string) error {
				if heard.Add(1) == until {
					close(ready)
				}
				return all.hear(line)
			})
			if !errors.Is(err, redis.ErrOutOfReach) {
				t.Error(err)
			}
		})
		killed.Wait()
		server.Restart()
		again(t, func() error { _, err := s.Get(t.Context(), "key"); return ignore(err, store.ErrNotFound) })
		all.check(t, s)
	}
	t.Logf("%d records and %d values were acknowledged, %d were taken", len(all.appended), len(all.put), len(all.taken))
}

// A replica has all that was acknowledged with WaitReplicas, when the primary is lost at any moment.
func TestFaultThePrimaryIsLostWhileManyWrite(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := primary.Replica()
	o := redis.Options{URL: primary.URL(), WaitReplicas: 1, Key: childKey}
	s := open(t, o)
	all := newAcknowledged()
	var heard atomic.Int64
	ready := make(chan struct{})
	var killed sync.WaitGroup
	killed.Go(func() { <-ready; primary.Kill() })
	race(func(i int) {
		err := write(t.Context(), s, fmt.Sprint(i), func(line string) error {
			if heard.Add(1) == 2000 {
				close(ready)
			}
			return all.hear(line)
		})
		if !errors.Is(err, redis.ErrOutOfReach) {
			t.Error(err)
		}
	})
	killed.Wait()
	replica.Do("REPLICAOF", "NO", "ONE")
	o.URL, o.WaitReplicas = replica.URL(), 0
	all.check(t, open(t, o))
	t.Logf("%d records and %d values were acknowledged, %d were taken", len(all.appended), len(all.put), len(all.taken))
}
