package redis_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// record is as large as that of a revoked token.
var record = []byte(strings.Repeat("r", 120))

func BenchmarkAppend(b *testing.B) {
	for name, args := range map[string][]string{"memory": nil, "always": durable} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/writers=%d", name, writers), func(b *testing.B) {
				s := open(b, redis.Options{URL: redistest.Start(b, args...).URL()})
				b.ResetTimer()
				var all sync.WaitGroup
				for i := range writers {
					all.Go(func() {
						for n := i; n < b.N; n += writers {
							if _, err := s.Append(b.Context(), "log", record, time.Now().Add(time.Hour)); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			})
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s := open(b, redis.Options{URL: redistest.Start(b).URL()})
	p, err := s.Append(b.Context(), "log", record, never)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Check(b.Context(), "log", p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads a log of as many records as it is repeated, and says what they take at the server.
func BenchmarkRead(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, redis.Options{URL: server.URL()})
	before := memory(b, server)
	race(func(i int) {
		for n := i; n < b.N; n += racers {
			if _, err := s.Append(b.Context(), "log", record, time.Now().Add(time.Hour)); err != nil {
				b.Error(err)
			}
		}
	})
	taken := memory(b, server) - before
	b.ResetTimer()
	read := 0
	for after := (store.Position{}); ; {
		some, err := s.Read(b.Context(), "log", after, 1<<30)
		if err != nil {
			b.Fatal(err)
		}
		if len(some) == 0 {
			break
		}
		read, after = read+len(some), some[len(some)-1].Position
	}
	if read != b.N {
		b.Errorf("read %d records, want %d", read, b.N)
	}
	b.ReportMetric(float64(taken)/float64(b.N), "server-B/record")
}

// memory is how many bytes a server uses.
func memory(b *testing.B, server *redistest.Server) int {
	b.Helper()
	for line := range strings.Lines(server.Do("INFO", "memory")) {
		if text, ok := strings.CutPrefix(line, "used_memory:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("the server does not say how much memory it uses")
	return 0
}
