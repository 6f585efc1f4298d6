package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// durable are the arguments of a server that forgets nothing.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

func TestFaultTheServerIsKilledBetweenWrites(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, durable...)
	s := open(t, redis.Options{URL: server.URL()})
	var want []string
	for i := range 3 {
		text := fmt.Sprint("record ", i)
		again(t, func() error { _, err := s.Append(t.Context(), "log", []byte(text), never); return err })
		want = append(want, text)
		if i == 0 {
			server.Stop()
		} else {
			server.Kill()
		}
		fails(t, redis.ErrOutOfReach, func() error { return s.Put(t.Context(), "lost", nil, never) })
		server.Restart()
	}
	var got []string
	again(t, func() error { _, err := s.Get(t.Context(), "key"); return ignore(err, store.ErrNotFound) })
	for _, record := range read(t, s) {
		got = append(got, string(record.Data))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

// ignore makes an expected error none.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// A server that is stopped answers nothing, and its connections stay open.
func TestFaultTheServerIsPaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const timeout = 200 * time.Millisecond
	s := open(t, redis.Options{URL: server.URL(), Timeout: timeout})
	idle := open(t, redis.Options{URL: server.URL(), Timeout: timeout})
	put(t, s, "key", "1")
	waiting := make(chan error, 1)
	go func() { waiting <- s.Wait(t.Context(), "log", store.Position{}) }()
	server.Pause()
	begin := time.Now()
	for name, call := range map[string]func(s store.Shared) error{
		"put":    func(s store.Shared) error { return s.Put(t.Context(), "key", nil, never) },
		"get":    func(s store.Shared) error { _, err := s.Get(t.Context(), "key"); return err },
		"take":   func(s store.Shared) error { _, err := s.Take(t.Context(), "key"); return err },
		"swap":   func(s store.Shared) error { _, err := s.Swap(t.Context(), "key", nil, nil, never); return err },
		"append": func(s store.Shared) error { _, err := s.Append(t.Context(), "log", nil, never); return err },
		"read":   func(s store.Shared) error { _, err := s.Read(t.Context(), "log", store.Position{}, 1); return err },
		"sweep":  func(s store.Shared) error { _ = s.Put(t.Context(), "key", nil, never); return sweepLog(t, s) },
		"check":  func(s store.Shared) error { _, err := s.Check(t.Context(), "log", store.Position{}); return err },
		"init":   func(s store.Shared) error { _, err := s.Init(t.Context(), "log"); return err },
	} {
		for _, s := range []store.Shared{s, idle} {
			if err := call(s); !errors.Is(err, redis.ErrOutOfReach) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := <-waiting; !errors.Is(err, redis.ErrOutOfReach) {
		t.Errorf("the wait ended with %v", err)
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("it took %v, and the timeout is %v", took, timeout)
	}
	fails(t, context.DeadlineExceeded, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := s.Get(ctx, "key")
		return trouble(err) // it may be told that connecting has failed just before
	})
	server.Resume()
	again(t, func() error { return s.Put(t.Context(), "key", []byte("2"), never) })
	again(t, func() error { return idle.Put(t.Context(), "key", []byte("2"), never) })
}

// sweepLog sweeps a log, of which the store knows after it was read in vain.
func sweepLog(t *testing.T, s store.Shared) error {
	_, _ = s.Read(t.Context(), "log", store.Position{}, 1)
	return s.Sweep(t.Context(), time.Now())
}

// When a context ends, the call does, too, and the calls of others go on.
func TestFaultAContextEndsWhileTheServerIsPaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{URL: server.URL(), Timeout: patience})
	put(t, s, "key", "1")
	server.Pause()
	ctx, cancel := context.WithCancel(t.Context())
	mine, theirs := make(chan error, 1), make(chan error, 1)
	go func() { _, err := s.Get(ctx, "key"); mine <- err }()
	go func() { _, err := s.Get(t.Context(), "key"); theirs <- err }()
	cancel()
	if err := <-mine; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	server.Resume()
	if err := <-theirs; err != nil {
		t.Errorf("the call of somebody else ended with %v", err)
	}
}

func TestFaultCloseWhileTheServerIsPaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, connected := range []bool{true, false} {
		s := open(t, redis.Options{URL: server.URL(), Timeout: patience})
		if connected {
			put(t, s, "key", "1")
		}
		server.Pause()
		ended := make(chan error)
		go func() { _, err := s.Get(t.Context(), "key"); ended <- err }()
		go func() { ended <- s.Wait(t.Context(), "log", store.Position{}) }()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := <-ended; !errors.Is(err, store.ErrClosed) {
				t.Errorf("a call ended with %v", err)
			}
		}
		server.Resume()
	}
}

func TestFaultTheServerIsEmptied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{URL: server.URL()})
	if _, err := s.Init(t.Context(), "log"); err != nil {
		t.Fatal(err)
	}
	p := add(t, s, "1", never)
	before := condition(t, s, "log", p)
	server.Flush()
	if after := condition(t, s, "log", p); after != (seen{}) || before.Epoch == "" || !before.Anchored {
		t.Errorf("the condition was %+v, and is %+v", before, after)
	}
	server.Do("SCRIPT", "FLUSH")
	if _, err := s.Init(t.Context(), "log"); err != nil {
		t.Fatal(err)
	}
	if after := condition(t, s, "log", p); after.Epoch == before.Epoch || after.Epoch == "" || after.Anchored {
		t.Errorf("after an Init, the condition is %+v", after)
	}
}

// A replica that has not got the last records takes over.
func TestFaultAReplicaThatWasBehindTakesOver(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := primary.Replica()
	o := redis.Options{URL: primary.URL(), Key: key(t)}
	s := open(t, o)
	if _, err := s.Init(t.Context(), "log"); err != nil {
		t.Fatal(err)
	}
	first := add(t, s, "1", never)
	replica.Until(":l:", "KEYS", "*")
	replica.Do("REPLICAOF", "127.0.0.1", "1") // it loses the primary, and keeps what it has
	second := add(t, s, "2", never)
	before := condition(t, s, "log", second)
	primary.Kill()
	replica.Do("REPLICAOF", "NO", "ONE")
	o.URL = replica.URL()
	s = open(t, o)
	if after := condition(t, s, "log", second); after.Anchored || after.Epoch != before.Epoch || !before.Anchored {
		t.Errorf("the condition was %+v, and is %+v", before, after)
	}
	if !condition(t, s, "log", first).Anchored {
		t.Error("the record that the replica has is no anchor")
	}
}

// A write that replicas do not confirm is no write, and a primary without them is not believed.
func TestFaultReplicasAreCutOff(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := primary.Replica()
	s := open(t, redis.Options{URL: primary.URL(), WaitReplicas: 1, Timeout: 6 * time.Second})
	put(t, s, "key", "1")
	put(t, s, "swapped", "1")
	replica.Pause()
	calls := map[string]func() error{
		"put":    func() error { return s.Put(t.Context(), "key 2", nil, never) },
		"take":   func() error { _, err := s.Take(t.Context(), "key"); return err },
		"swap":   func() error { _, err := s.Swap(t.Context(), "swapped", []byte("1"), nil, never); return err },
		"append": func() error { _, err := s.Append(t.Context(), "log", nil, never); return err },
		"check":  func() error { return check(t, s, store.Position{}) },
		"init":   func() error { _, err := s.Init(t.Context(), "log"); return err },
	}
	var all sync.WaitGroup
	for name, call := range calls {
		all.Go(func() {
			err := call()
			text := "of the 1 replicas that must have it, 0 have a write in time"
			if !errors.Is(err, redis.ErrFewReplicas) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	if _, err := s.Get(t.Context(), "key 2"); err != nil {
		t.Errorf("reading does not wait for replicas, and fails with %v", err)
	}
	replica.Resume()
	again(t, func() error { return s.Put(t.Context(), "key", []byte("2"), never) })
}

// A primary becomes a replica, and a primary again. The store does not stay with a replica.
func TestFaultThePrimaryBecomesAReplica(t *testing.T) {
	t.Parallel()
	one, two := redistest.Start(t), redistest.Start(t)
	s := open(t, redis.Options{URL: one.URL()})
	put(t, s, "key", "1")
	one.Do("REPLICAOF", "127.0.0.1", two.Port)
	one.Until("master_link_status:up", "INFO", "replication")
	for _, call := range []func() error{ // until it is refused something, it reads what the replica has
		func() error { _, err := s.Check(t.Context(), "log", store.Position{}); return err },
		func() error { _, err := s.Get(t.Context(), "key"); return err },
	} {
		if err := fails(t, redis.ErrRefused, call); !strings.Contains(err.Error(), "address of the primary") {
			t.Error(err)
		}
	}
	one.Do("REPLICAOF", "NO", "ONE")
	again(t, func() error { return s.Put(t.Context(), "key", []byte("2"), never) })
}

func TestFaultTheMemoryIsFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	s := open(t, redis.Options{URL: server.URL()})
	put(t, s, "key", "1")
	server.Do("CONFIG", "SET", "maxmemory", "1")
	for name, call := range map[string]func() error{
		"put":    func() error { return s.Put(t.Context(), "key", nil, never) },
		"append": func() error { _, err := s.Append(t.Context(), "log", nil, never); return err },
	} {
		if err := call(); !errors.Is(err, redis.ErrRefused) || !strings.Contains(err.Error(), "raise maxmemory") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if value, err := s.Take(t.Context(), "key"); err != nil || string(value) != "1" {
		t.Errorf("what deletes fails, too: %q, %v", value, err)
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	add(t, s, "1", never)
}

func TestFaultOneNodeHasAnotherKey(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, redis.Options{URL: server.URL()})
	if _, err := s.Init(t.Context(), "log"); err != nil {
		t.Fatal(err)
	}
	other := open(t, redis.Options{URL: server.URL()})
	made, err := other.Init(t.Context(), "log")
	if made || !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a node with another key has made the store its own: %v", err)
	}
	_, err = other.Check(t.Context(), "log", store.Position{})
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "compare the key of the store on all nodes") {
		t.Errorf("a node with another key finds %v", err)
	}
}

// The server wants another password, and no error has the one that we know.
func TestFaultThePasswordIsWrong(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "right")
	for userinfo, want := range map[string]string{
		":wrong-s3cret@":   "user or password in the URL are wrong",
		"u:wrong-s3cret@":  "user or password in the URL are wrong",
		"":                 "wants a password",
		":right@":          "",
		"default:right@":   "",
		"default:%72ight@": "",
	} {
		s := open(t, redis.Options{URL: "redis://" + userinfo + server.Address()})
		err := s.Put(t.Context(), "key", nil, never)
		if want == "" && err == nil {
			continue
		}
		refused(t, err, want)
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("with %q: %v", userinfo, err)
		}
	}
	s := open(t, redis.Options{URL: server.URL()})
	put(t, s, "key", "1")
	server.Do("ACL", "SETUSER", "default", "-set")
	refused(t, s.Put(t.Context(), "key", nil, never), "more rights")
	add(t, s, "1", never)
	server.Do("ACL", "SETUSER", "default", "-xinfo") // which only a script uses
	_, err := s.Check(t.Context(), "log", store.Position{})
	refused(t, err, "more rights")
}

func TestFaultACertificateIsWrong(t *testing.T) {
	t.Parallel()
	certificates := redistest.NewCertificates(t)
	server := redistest.StartTLS(t, certificates)
	for name, o := range map[string]redis.Options{
		"nobody trusts it": {URL: server.URL()},
		"another name":     {URL: "rediss://localhost:" + server.Port, TLS: certificates.Client},
		"without TLS":      {URL: "redis://" + server.Address()},
	} {
		s := open(t, o)
		if err := s.Put(t.Context(), "key", nil, never); !errors.Is(err, redis.ErrOutOfReach) {
			t.Errorf("%s: %v", name, err)
		}
	}
	put(t, open(t, redis.Options{URL: server.URL(), TLS: certificates.Client}), "key", "1")
}
