package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

func TestConditionOfALog(t *testing.T) {
	t.Parallel()
	o := redis.Options{URL: redistest.Start(t).URL(), Key: key(t)}
	a, b := open(t, o), open(t, o)
	if got := condition(t, a, "log", store.Position{}); got != (seen{}) {
		t.Errorf("an empty store has %+v", got)
	}
	made, err := a.Init(t.Context(), "log")
	if !made || err != nil {
		t.Fatalf("no epoch was set: %v", err)
	}
	epoch := condition(t, a, "log", store.Position{}).Epoch
	if made, err := b.Init(t.Context(), "log"); made || err != nil {
		t.Errorf("the epoch was set twice: %v", err)
	}
	first := add(t, a, "1", time.Now().Add(-time.Minute))
	second := add(t, b, "2", never)
	for name, c := range map[string]struct {
		log    string
		anchor store.Position
		want   bool
	}{
		"the first":      {"log", first, true},
		"the second":     {"log", second, true},
		"before them":    {"log", store.Position{Hi: first.Hi - 1}, false},
		"after them":     {"log", store.Position{Hi: second.Hi, Lo: second.Lo + 1}, false},
		"of another log": {"other", first, false},
		"the largest":    {"log", store.Position{Hi: 1<<64 - 1, Lo: 1<<64 - 1}, false},
	} {
		got := condition(t, b, c.log, c.anchor)
		if hasEpoch := c.log == "log"; got.Anchored != c.want || (got.Epoch == epoch) != hasEpoch || len(epoch) != 22 {
			t.Errorf("%s: %+v, want %v and the epoch %s", name, got, c.want, epoch)
		}
		records, anchored, err := b.ReadAnchored(t.Context(), c.log, store.Position{}, c.anchor, 10)
		if err != nil || (anchored != nil) != c.want || (len(records) == 2) != (c.log == "log") {
			t.Errorf("%s: %d records with the anchor %q: %v", name, len(records), anchored, err)
		}
	}
	if c, err := a.Check(t.Context(), "log", second); err != nil || string(c.Anchor) != "2" {
		t.Errorf("the record at the anchor is %q: %v", c.Anchor, err)
	}
	third := add(t, a, "3", time.Now().Add(-time.Minute))
	if err := a.Sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Check(t.Context(), "log", third); err != nil || c.Anchor != nil || c.Last != third {
		t.Errorf("the last record is gone, and was at %v: %+v, %v", third, c, err)
	}
	if c, err := b.Check(t.Context(), "another", third); err != nil || c.Last != (store.Position{}) {
		t.Errorf("there is no such log: %+v, %v", c, err)
	}
	if condition(t, a, "log", first).Anchored || !condition(t, a, "log", second).Anchored {
		t.Error("a record that is gone is an anchor, or one that is there is none")
	}
}

// Many take the same value, over two stores, as two processes do.
func TestOneOfManyProcessesTakes(t *testing.T) {
	t.Parallel()
	o := redis.Options{URL: redistest.Start(t).URL(), Key: key(t)}
	two := []store.Shared{open(t, o), open(t, o)}
	for round := range 20 {
		name := fmt.Sprint("key ", round)
		if err := two[0].Put(t.Context(), name, []byte("1"), never); err != nil {
			t.Fatal(err)
		}
		var took atomic.Int64
		race(func(i int) {
			_, err := two[i%2].Take(t.Context(), name)
			if err == nil {
				took.Add(1)
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
		if took.Load() != 1 {
			t.Errorf("%d took the value", took.Load())
		}
	}
}

// Somebody changes a value to the same one again and again: then a swap has to try again, and succeeds.
func TestSwapWhileTheSameIsPut(t *testing.T) {
	t.Parallel()
	o := redis.Options{URL: redistest.Start(t).URL(), Key: key(t)}
	a, b := open(t, o), open(t, o)
	put(t, a, "key", "same")
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := b.Put(t.Context(), "key", []byte("same"), never); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 50 {
		if ok, err := a.Swap(t.Context(), "key", []byte("same"), []byte("same"), never); !ok || err != nil {
			t.Fatalf("the value was not swapped: %v", err)
		}
	}
	close(stop)
	all.Wait()
}

// A clock that is ahead deletes nothing that has not ended by the clock of the server.
func TestSweepWithAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Options{URL: redistest.Start(t).URL()})
	p := add(t, s, "1", time.Now().Add(time.Hour))
	if err := s.Sweep(t.Context(), time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !condition(t, s, "log", p).Anchored {
		t.Error("the record is gone")
	}
}

func TestStoresOnOneServerDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	o := redis.Options{URL: redistest.Start(t).URL(), Key: key(t)}
	stores := []store.Shared{open(t, o)}
	o.Prefix = "another"
	stores = append(stores, open(t, o))
	o.Prefix, o.Key = "", key(t)
	stores = append(stores, open(t, o))
	for i, s := range stores {
		put(t, s, "key", fmt.Sprint(i))
		add(t, s, fmt.Sprint(i), never)
	}
	secrets := make(map[[32]byte]bool)
	for i, s := range stores {
		value, err := s.Get(t.Context(), "key")
		if err != nil || string(value) != fmt.Sprint(i) {
			t.Errorf("store %d has the value %q: %v", i, value, err)
		}
		records := read(t, s)
		if len(records) != 1 || string(records[0].Data) != fmt.Sprint(i) {
			t.Errorf("store %d has the records %v", i, records)
		}
		for _, purpose := range []string{"", "a", "b"} {
			secrets[s.Secret(purpose)] = true
		}
	}
	if len(secrets) != 9 {
		t.Errorf("the stores have %d secrets for 3 purposes each", len(secrets))
	}
	if again := open(t, o); again.Secret("a") != stores[2].Secret("a") {
		t.Error("two processes with the same options have different secrets")
	}
}

// Whoever reads the server finds nothing of what was stored, neither names nor contents.
func TestTheServerLearnsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{URL: server.URL(), Prefix: "p"})
	const mark = "EYECATCHER"
	put(t, s, mark+" key", mark+" value")
	if err := s.Put(t.Context(), mark+" ends", []byte(mark), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), mark+" log", []byte(mark+" record"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Init(t.Context(), mark+" log"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(t.Context(), mark+" log", store.Position{}); err != nil {
		t.Fatal(err)
	}
	keys := strings.Split(server.Do("KEYS", "*"), "\n")
	if len(keys) != 5 {
		t.Errorf("the server has the keys %q", keys)
	}
	for _, name := range keys {
		content := ""
		switch kind := server.Do("TYPE", name); kind {
		case "string":
			content = server.Do("GET", name)
		case "stream":
			content = server.Do("XRANGE", name, "-", "+")
		case "zset":
			content = server.Do("ZRANGE", name, "0", "-1", "WITHSCORES")
		default:
			t.Errorf("%s is a %s", name, kind)
		}
		if strings.Contains(name+content, mark) || !strings.HasPrefix(name, "{p}:") {
			t.Errorf("%q has %q", name, content)
		}
	}
}

// What was moved to another key, changed or cut is not believed.
func TestWhatTheServerChangesIsNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{URL: server.URL()})
	put(t, s, "a", "1")
	from := server.Do("KEYS", "*")
	put(t, s, "b", "2")
	sealed := server.Do("GET", from)
	for _, to := range strings.Split(server.Do("KEYS", "*"), "\n") {
		server.Do("SET", to, sealed)
	}
	if value, err := s.Get(t.Context(), "a"); err != nil || string(value) != "1" {
		t.Errorf("the value that was not moved is %q: %v", value, err)
	}
	corrupt(t, s, "b")
	for _, changed := range []string{"", "x", sealed[:len(sealed)-1], sealed + "x", "\x02" + sealed[1:], sealed[:20],
		sealed[:30] + string(sealed[30]^1) + sealed[31:]} {
		server.Do("SET", from, changed)
		corrupt(t, s, "a")
	}
	if err := s.Put(t.Context(), "a", []byte("new"), never); err != nil {
		t.Errorf("a damaged value cannot be replaced: %v", err)
	}
	add(t, s, "record", never)
	stream := ""
	for _, name := range strings.Split(server.Do("KEYS", "*:l:*"), "\n") {
		stream = name
	}
	server.Do("XADD", stream, "*", "r", sealed)
	if _, err := s.Read(t.Context(), "log", store.Position{}, 10); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a value was read as a record: %v", err)
	}
	server.Do("XADD", stream, "*", "another", "shape")
	server.Do("DEL", from)
	server.Do("LPUSH", from, "somebody else's")
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, redis.ErrRefused) || !strings.Contains(err.Error(), "prefix") {
		t.Errorf("a list was read as a value: %v", err)
	}
}

// corrupt fails the test unless each way to read a value says that it is damaged.
func corrupt(t *testing.T, s store.Store, key string) {
	t.Helper()
	_, err := s.Get(t.Context(), key)
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "another key, or it is damaged") {
		t.Errorf("got it: %v", err)
	}
	if _, err := s.Swap(t.Context(), key, nil, []byte("x"), never); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("swapped it: %v", err)
	}
}

// A stream that is gone has lost all that was in it, also if the rest of the store is there.
func TestALogThatIsGoneHasNoEpoch(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{URL: server.URL()})
	if _, err := s.Init(t.Context(), "log"); err != nil {
		t.Fatal(err)
	}
	add(t, s, "1", never)
	before := condition(t, s, "log", store.Position{})
	server.Do("EVAL", "return redis.call('DEL', unpack(redis.call('KEYS', '*:l:*')))", "0")
	if after := condition(t, s, "log", store.Position{}); before.Epoch == "" || after.Epoch != "" {
		t.Errorf("before %+v, after %+v", before, after)
	}
	made, err := s.Init(t.Context(), "log")
	if after := condition(t, s, "log", store.Position{}); !made || err != nil || after.Epoch == before.Epoch {
		t.Errorf("made %v, %v: %+v", made, err, after)
	}
}
