package redis_test

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

var received = regexp.MustCompile(`total_connections_received:(\d+)`)

// Whoever waits again and again, each time for a while, needs one connection for that, and not one each time.
func TestWaitingKeepsItsConnection(t *testing.T) {
	redistest.Installed(t)
	server := redistest.Start(t)
	s, err := redis.New(redis.Options{URL: server.URL(), Key: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	connections := func() int {
		found := received.FindStringSubmatch(server.Do("INFO", "stats"))
		if found == nil {
			t.Fatal("the server does not count connections")
		}
		n, _ := strconv.Atoi(found[1])
		return n
	}
	at := add(t, s, "first", never)
	before := connections()
	const times = 8
	for range times {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if err := s.Wait(ctx, "log", at); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		cancel()
	}
	if made := connections() - before; made > times/2 {
		t.Errorf("%d connections for waiting %d times", made, times)
	}
	if err := s.Wait(t.Context(), "log", store.Position{}); err != nil {
		t.Errorf("there is a record: %v", err)
	}
}
