package redis_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
	"github.com/caddyjwt/gateway/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childVariable)]; child != nil {
		child(os.Getenv(urlVariable))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// A test runs its own program again as another process, which these variables turn into a child.
const (
	childVariable = "REDIS_TEST_CHILD"
	urlVariable   = "REDIS_TEST_URL"
)

// children are what other processes do with a store, by name.
var children = make(map[string]func(url string))

// rights are those of the package comment.
const rights = "+get +set +getdel +del +exists +eval +evalsha +xadd +xrange +xread +xinfo +xdel +zadd +zrem " +
	"+zrangebyscore +time +ping +wait +select"

func key(t testing.TB) (key [32]byte) {
	t.Helper()
	_, _ = rand.Read(key[:])
	return key
}

// open opens a store, and closes it at the end of the test. Unless a test says otherwise, the server may take long.
func open(t testing.TB, o redis.Options) store.Shared {
	t.Helper()
	if o.Key == [32]byte{} {
		o.Key = key(t)
	}
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	s, err := redis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing it: %v", err)
		}
	})
	return s
}

// conforms runs the test of stores, each part with a prefix of its own.
func conforms(t *testing.T, o redis.Options) {
	var prefixes atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		mine := o
		mine.Prefix = fmt.Sprint("store-", prefixes.Add(1))
		return open(t, mine)
	})
}

func TestRedisIsAStore(t *testing.T) {
	conforms(t, redis.Options{URL: redistest.Start(t).URL()})
}

func TestRedisBehindASocketIsAStore(t *testing.T) {
	server := redistest.Start(t, "--unixsocket", "s.sock", "--unixsocketperm", "700")
	s := open(t, redis.Options{URL: "unix://" + server.Dir + "/s.sock"})
	put(t, s, "key", "value")
	if value, err := s.Take(t.Context(), "key"); err != nil || string(value) != "value" {
		t.Errorf("took %q: %v", value, err)
	}
}

func TestRedisWithTLSAndFewRightsIsAStore(t *testing.T) {
	certificates := redistest.NewCertificates(t)
	server := redistest.StartTLS(t, certificates)
	words := append([]string{"ACL", "SETUSER", "caddy", "on", ">p@ss/word", "~{store-*}:*"}, strings.Fields(rights)...)
	server.Do(words...)
	conforms(t, redis.Options{
		URL: strings.Replace(server.URL(), "://", "://caddy:p%40ss%2Fword@", 1) + "/1", TLS: certificates.Client,
	})
	t.Cleanup(func() {
		if denied := server.Do("ACL", "LOG"); denied != "" {
			t.Errorf("the rights are not enough: %s", denied)
		}
	})
}

func TestAClusterIsAStore(t *testing.T) {
	conforms(t, redis.Options{URL: cluster(t)[0].URL()})
}

// cluster starts two nodes that have half of the slots each.
func cluster(t *testing.T) []*redistest.Server {
	t.Helper()
	args := []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "1000"}
	nodes := []*redistest.Server{redistest.Start(t, args...), redistest.Start(t, args...)}
	nodes[0].Do("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
	nodes[1].Do("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
	nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", nodes[1].Port)
	for _, node := range nodes {
		node.Until("cluster_state:ok", "CLUSTER", "INFO")
		node.Until("cluster_known_nodes:2", "CLUSTER", "INFO")
		node.Until("cluster_size:2", "CLUSTER", "INFO")
	}
	return nodes
}

func TestRedisWithReplicasIsAStore(t *testing.T) {
	primary := redistest.Start(t)
	primary.Replica()
	conforms(t, redis.Options{URL: primary.URL(), WaitReplicas: 1})
}
