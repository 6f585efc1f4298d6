package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

func BenchmarkFileAppend(b *testing.B) {
	record := make([]byte, 100)
	expires := time.Now().Add(time.Hour)
	b.Run("1 writer", func(b *testing.B) {
		f := openFile(b, filepath.Join(b.TempDir(), "store.db"))
		for b.Loop() {
			if _, err := f.Append(b.Context(), "log", record, expires); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	})
	b.Run("64 writers", func(b *testing.B) {
		f := openFile(b, filepath.Join(b.TempDir(), "store.db"))
		b.SetParallelism(max(1, racers/runtime.GOMAXPROCS(0)))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := f.Append(b.Context(), "log", record, expires); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	})
}

func BenchmarkGet(b *testing.B) {
	for name, s := range map[string]store.Store{
		"memory": store.NewMemory(),
		"file":   openFile(b, filepath.Join(b.TempDir(), "store.db")),
	} {
		b.Run(name, func(b *testing.B) {
			if err := s.Put(b.Context(), "key", make([]byte, 100), time.Time{}); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Get(b.Context(), "key"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen opens a file with a million records of 100 bytes, each of which expires.
func BenchmarkOpen(b *testing.B) {
	if testing.Short() {
		b.Skip("it writes a million records")
	}
	path := filepath.Join(b.TempDir(), "store.db")
	f, err := store.OpenFile(path, store.FileOptions{})
	if err != nil {
		b.Fatal(err)
	}
	const many, writers = 1_000_000, 2000
	done := make(chan error)
	for i := range writers {
		go func() {
			record, begun := make([]byte, 100), time.Now()
			for n := range many / writers {
				copy(record, fmt.Sprint(i, " ", n))
				expires := begun.Add(time.Hour + time.Duration(n)*time.Second)
				if _, err := f.Append(context.Background(), "log", record, expires); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := store.OpenFile(path, store.FileOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}
