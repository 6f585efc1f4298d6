package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// watched is a primary with a replica and a sentinel that knows both.
func watched(t *testing.T, lines ...string) (primary, replica, sentinel *redistest.Server) {
	t.Helper()
	primary = redistest.Start(t, durable...)
	replica = primary.Replica()
	sentinel = redistest.Sentinel(t, primary, lines...)
	sentinel.Until(replica.Port, "SENTINEL", "REPLICAS", "main")
	return primary, replica, sentinel
}

func TestFaultSentinelsReplaceThePrimary(t *testing.T) {
	t.Parallel()
	primary, replica, sentinel := watched(t, "sentinel down-after-milliseconds main 500")
	dead := redistest.Start(t)
	url := "redis://" + dead.Address() + "?master_set=main&addr=" + sentinel.Address()
	dead.Kill() // one sentinel is down all the time
	alone := open(t, redis.Options{URL: url, Timeout: 2 * time.Second})
	confirmed := open(t, redis.Options{URL: url, WaitReplicas: 1, Timeout: 2 * time.Second})
	for _, s := range []store.Shared{alone, confirmed} {
		again(t, func() error { return check(t, s, store.Position{}) })
	}
	p := add(t, alone, "1", never)
	replica.Until(":l:", "KEYS", "*")
	primary.Kill()
	again(t, func() error { return check(t, alone, p) })
	if replica.Do("ROLE")[:6] != "master" || !condition(t, alone, "log", p).Anchored {
		t.Error("the replica has not taken over")
	}
	// There is no replica left.
	fails(t, redis.ErrFewReplicas, func() error { return trouble(check(t, confirmed, store.Position{})) })
}

// trouble makes errors none that come while a server is replaced.
func trouble(err error) error {
	if errors.Is(err, redis.ErrOutOfReach) || errors.Is(err, redis.ErrRefused) {
		return nil
	}
	return err
}

func check(t *testing.T, s store.Shared, anchor store.Position) error {
	t.Helper()
	_, err := s.Check(t.Context(), "log", anchor)
	return err
}

// The old primary goes on, cut off from the others. It does not say that it was replaced: the sentinel does.
func TestFaultAPrimaryDoesNotKnowThatItWasReplaced(t *testing.T) {
	t.Parallel()
	primary, replica, sentinel := watched(t)
	s := open(t, redis.Options{URL: "redis://" + sentinel.Address() + "?master_set=main"})
	put(t, s, "key", "1")
	// Only the sentinel sees another primary.
	other := redistest.Start(t)
	sentinel.Do("SENTINEL", "REMOVE", "main")
	sentinel.Do("SENTINEL", "MONITOR", "main", "127.0.0.1", other.Port, "1")
	again(t, func() error {
		_, err := s.Get(t.Context(), "key")
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return errors.Join(err, redis.ErrRefused)
	})
	if primary.Do("ROLE") == "" || replica.Do("ROLE") == "" {
		t.Error("they are gone")
	}
	sentinel.Do("SENTINEL", "REMOVE", "main")
	s = open(t, redis.Options{URL: "redis://" + sentinel.Address() + "?master_set=main"})
	refused(t, s.Put(t.Context(), "key", nil, never), "knows no primary")
}

// The password of the servers goes to a sentinel only if that wants one.
func TestSentinelsWithAndWithoutPasswords(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, "--requirepass", "p")
	auth := "sentinel auth-pass main p"
	for name, c := range map[string]struct {
		lines []string
		o     redis.Options
		want  string
	}{
		"none":             {lines: []string{auth}},
		"the same":         {lines: []string{auth, "requirepass p"}},
		"another":          {lines: []string{auth, "requirepass q"}, o: redis.Options{SentinelPassword: "q"}},
		"another, unknown": {lines: []string{auth, "requirepass q"}, want: "user or password"},
		"another, wrong": {
			lines: []string{auth, "requirepass q"}, o: redis.Options{SentinelPassword: "x"}, want: "user or password",
		},
	} {
		sentinel := redistest.Sentinel(t, primary, c.lines...)
		c.o.URL = "redis://:p@" + sentinel.Address() + "/3?master_set=main"
		err := open(t, c.o).Put(t.Context(), "key", nil, never)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if primary.Do("SELECT", "3") != "OK" {
		t.Error("there is no such database")
	}
}

// A server is not what the URL says.
func TestFaultAnAddressIsThatOfAnother(t *testing.T) {
	t.Parallel()
	primary, replica, sentinel := watched(t)
	nodes := cluster(t)
	for url, want := range map[string]string{
		replica.URL():                                "it is a replica",
		sentinel.URL():                               "it is a sentinel: add master_set=<name>",
		primary.URL() + "?master_set=main":           "unknown command",
		primary.URL() + "?addr=" + replica.Address(): "it is not the node of a cluster",
		sentinel.URL() + "?master_set=other":         "knows no primary with the name of master_set",
		nodes[0].URL() + "/1":                        "leave the number out of the URL",
		primary.URL() + "/99":                        "no database of the number in the URL",
	} {
		err := open(t, redis.Options{URL: url}).Put(t.Context(), "key", nil, never)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

// The slot of the store moves to another node of the cluster, and the node of the URL is down.
func TestFaultAClusterMovesTheSlot(t *testing.T) {
	t.Parallel()
	nodes := cluster(t)
	s := open(t, redis.Options{URL: nodes[0].URL() + "?addr=" + nodes[1].Address()})
	for round := range 2 {
		put(t, s, "key", "1")
		slot := nodes[0].Do("CLUSTER", "KEYSLOT", "{bearer_auth}")
		to := nodes[round].Do("CLUSTER", "MYID")
		for _, node := range nodes {
			node.Do("FLUSHALL")
		}
		for _, node := range nodes {
			node.Do("CLUSTER", "SETSLOT", slot, "NODE", to)
		}
		again(t, func() error { return s.Put(t.Context(), "key", []byte("2"), never) })
		if nodes[round].Do("DBSIZE") != "1" {
			t.Error("the value is not at the node that has the slot")
		}
	}
	nodes[0].Kill()
	fails(t, redis.ErrRefused, func() error { return outOfReach(s.Put(t.Context(), "key", nil, never)) })
}

// outOfReach makes errors none that come before the cluster has noticed that a node is down.
func outOfReach(err error) error {
	if errors.Is(err, redis.ErrOutOfReach) {
		return nil
	}
	return err
}
