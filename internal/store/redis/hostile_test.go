package redis_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// hostile are answers of servers that are broken, or that want to break us.
var hostile = map[string]string{
	"hangs up":                   redistest.Hangup,
	"a length of 2 GiB":          "$2147483647\r\n",
	"a length beyond all":        "$9223372036854775807\r\n",
	"a length beyond 64 bits":    "$99999999999999999999999\r\n",
	"a negative length":          "$-2\r\n",
	"a huge array":               "*100000000\r\n",
	"a negative array":           "*-2\r\n",
	"arrays in each other":       strings.Repeat("*1\r\n", 10_000),
	"many arrays in each other":  "*60000\r\n*60000\r\n*60000\r\n",
	"a line without end":         "+" + strings.Repeat("x", 1<<20),
	"a number without end":       ":" + strings.Repeat("1", 1<<20),
	"a number that is none":      ":1x\r\n",
	"an empty number":            ":\r\n",
	"a line without a return":    "+OK\n",
	"two answers":                "+OK\r\n+OK\r\n",
	"a push":                     ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
	"a map":                      "%1\r\n+a\r\n+b\r\n",
	"an attribute":               "|1\r\n+a\r\n+b\r\n+OK\r\n",
	"a string in pieces":         "$?\r\n;4\r\nabcd\r\n;0\r\n",
	"HTTP":                       "HTTP/1.1 400 Bad Request\r\n\r\n",
	"nothing but a zero":         "\x00",
	"an empty line":              "\r\n",
	"a short answer":             "*2\r\n+a\r\n",
	"an error without text":      "-\r\n",
	"a moved slot":               "-MOVED\r\n",
	"a moved slot, nowhere":      "-MOVED 1 x\r\n",
	"a moved slot, an odd place": "-MOVED 1 a b:1\r\n",
	"a moved slot, an odd port":  "-MOVED 1 h:0\r\n",
	"an ask":                     "-ASK\r\n",
	"a terminal":                 "-\x1b[2J\u202e" + strings.Repeat("\x07", 5000) + "\r\n",
	"an integer":                 ":7\r\n",
	"OK":                         "+OK\r\n",
	"nothing":                    "$-1\r\n",
	"no array":                   "*-1\r\n",
	"an empty array":             "*0\r\n",
	"an array of an array":       "*1\r\n*1\r\n*1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
	"half a record":              "*1\r\n$3\r\n1-1\r\n",
	"a record of nothing":        "*2\r\n$3\r\n1-1\r\n$-1\r\n",
	"no position":                "*2\r\n$3\r\n0-0\r\n$1\r\nx\r\n",
	"another form of a position": "*2\r\n$4\r\n01-1\r\n$1\r\nx\r\n",
}

// calls are all that the store asks a server.
func calls(s store.Shared) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Put":    func(ctx context.Context) error { return s.Put(ctx, "key", []byte("2"), never) },
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, "key"); return err },
		"Take":   func(ctx context.Context) error { _, err := s.Take(ctx, "key"); return err },
		"Swap":   func(ctx context.Context) error { _, err := s.Swap(ctx, "key", nil, []byte("1"), never); return err },
		"Append": func(ctx context.Context) error { _, err := s.Append(ctx, "log", nil, never); return err },
		"Read":   func(ctx context.Context) error { _, err := s.Read(ctx, "log", store.Position{}, 1); return err },
		"Wait":   func(ctx context.Context) error { return s.Wait(ctx, "log", store.Position{}) },
		"Sweep":  func(ctx context.Context) error { return s.Sweep(ctx, time.Now()) },
		"Check":  func(ctx context.Context) error { _, err := s.Check(ctx, "log", store.Position{}); return err },
		"Init":   func(ctx context.Context) error { _, err := s.Init(ctx, "log"); return err },
	}
}

// harmless is an outcome that a server may cause: success, or an error of a known kind, short and printable.
func harmless(err error) bool {
	known := false
	for _, kind := range []error{nil, redis.ErrOutOfReach, redis.ErrRefused, redis.ErrFewReplicas, store.ErrCorrupt,
		store.ErrNotFound, context.DeadlineExceeded} {
		known = known || errors.Is(err, kind)
	}
	return known && (err == nil || len(err.Error()) < 1500 && !strings.ContainsAny(err.Error(), "\x1b\x07\u202e\n\x00"))
}

// A server that greets us well answers all else with nonsense. The test runs alone, for it looks at the memory.
func TestFaultTheServerAnswersNonsense(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, answer := range hostile {
		fake := redistest.NewFake(t, func(words []string) string {
			switch {
			case words[0] == "HELLO":
				return redistest.Hello("7.0.0", "standalone", "master")
			case words[0] == "GET" && strings.HasSuffix(words[1], ":m:epoch"):
				return "$-1\r\n"
			}
			return answer
		})
		for call := range calls(nil) {
			s := open(t, redis.Options{URL: "redis://" + fake.Address(), Timeout: 50 * time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if err := calls(s)[call](ctx); !harmless(err) {
				t.Errorf("%s: %s: %v", name, call, err)
			}
			cancel()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.Sys - before.Sys; grown > 1<<29 {
		t.Errorf("the process has grown by %d MiB", grown>>20)
	}
}

// A server answers nonsense from the first command on.
func TestFaultTheServerGreetsWithNonsense(t *testing.T) {
	t.Parallel()
	for name, answer := range hostile {
		fake := redistest.NewFake(t, func([]string) string { return answer })
		for _, suffix := range []string{"", "?master_set=main"} {
			s := open(t, redis.Options{URL: "redis://u:s3cret@" + fake.Address() + suffix, Timeout: 50 * time.Millisecond})
			err := s.Put(t.Context(), "key", nil, never)
			if err == nil || !harmless(err) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v", name, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// The nodes of a cluster send us to each other, or to where nothing is.
func TestFaultAClusterSendsUsInCircles(t *testing.T) {
	t.Parallel()
	for moved, want := range map[string]string{
		"1 :1": "127.0.0.1:1 ", "1 [::1]:1": "[::1]:1 ", "1 ?:PORT": "send us to each other",
		"1 127.0.0.1:PORT": "send us to each other", "1 127.0.0.1:0": "which is none",
		"1 127.0.0.1": "does not say which node",
	} {
		port := ""
		fake := redistest.NewFake(t, func(words []string) string {
			if words[0] == "HELLO" {
				return redistest.Hello("7.0.0", "cluster", "master")
			}
			return "-MOVED " + strings.ReplaceAll(moved, "PORT", port) + "\r\n"
		})
		_, port, _ = strings.Cut(fake.Address(), ":")
		err := open(t, redis.Options{URL: "redis://" + fake.Address()}).Put(t.Context(), "key", nil, never)
		if !errors.Is(err, redis.ErrOutOfReach) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", moved, err, want)
		}
	}
}

func TestOldServers(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"6.0.16": `it has version "6.0.16", and 6.2 or newer is needed`,
		"5.0.0":  "6.2 or newer", "6.2.0": "", "8.1": "", "x": "",
	} {
		fake := redistest.NewFake(t, func(words []string) string {
			switch words[0] {
			case "HELLO":
				return redistest.Hello(version, "standalone", "master")
			case "SET":
				return "+OK\r\n"
			}
			return "$-1\r\n"
		})
		err := open(t, redis.Options{URL: "redis://" + fake.Address()}).Put(t.Context(), "key", nil, never)
		if want != "" {
			refused(t, err, want)
		} else if err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// Some servers repeat the arguments of a command that they do not know, and so the password.
func TestNoErrorHasThePassword(t *testing.T) {
	t.Parallel()
	fake := redistest.NewFake(t, func(words []string) string {
		rest := strings.Join(words[1:], "' '")
		return "-ERR unknown command '" + words[0] + "', with args beginning with: '" + rest + "'\r\n"
	})
	again := redistest.NewFake(t, func(words []string) string { return "-WRONGPASS " + strings.Join(words, " ") + "\r\n" })
	for _, address := range []string{fake.Address(), again.Address()} {
		for _, o := range []redis.Options{
			{URL: "redis://:s3cret@" + address},
			{URL: "redis://" + address + "?master_set=m", SentinelPassword: "s3cret"},
		} {
			s := open(t, o)
			err := s.Put(t.Context(), "key", nil, never)
			if !errors.Is(err, redis.ErrRefused) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v", o.URL, err)
			}
		}
	}
}

// FuzzAnswers has a server answer anything to anything.
func FuzzAnswers(f *testing.F) {
	for _, answer := range hostile {
		f.Add(answer, byte(0), true)
		f.Add(answer, byte(7), false)
	}
	names := []string{"Put", "Get", "Take", "Swap", "Append", "Read", "Wait", "Sweep", "Check", "Init"}
	f.Fuzz(func(t *testing.T, answer string, which byte, greets bool) {
		fake := redistest.NewFake(t, func(words []string) string {
			if greets && words[0] == "HELLO" {
				return redistest.Hello("7.0.0", "standalone", "master")
			}
			if greets && words[0] == "GET" && strings.HasSuffix(words[1], ":m:epoch") {
				return "$-1\r\n"
			}
			return answer
		})
		s := open(t, redis.Options{URL: "redis://" + fake.Address(), Timeout: 10 * time.Millisecond})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := calls(s)[names[int(which)%len(names)]](ctx); !harmless(err) {
			t.Errorf("%q: %v", answer, err)
		}
	})
}
