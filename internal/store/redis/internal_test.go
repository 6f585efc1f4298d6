package redis

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("&addr=h:1", maxAddresses)
	for text, want := range map[string]string{
		"redis://h":                           "[h:6379] 0",
		"valkey://h:7/3":                      "[h:7] 3",
		"redis://u:p%40@[::1]:7":              "[[::1]:7] 0",
		"redis://h:1?addr=i:2&addr=[::1]:3":   "[h:1 i:2 [::1]:3] 0",
		"redis://h:1/2?addr=i:2&master_set=m": "[h:1 i:2] 2 m",
		"unix:///run/redis.sock":              "[/run/redis.sock] 0",
		"unix://u:p@/run/redis.sock":          "[/run/redis.sock] 0",
		"":                                    "unknown scheme",
		"h:6379":                              "unknown scheme",
		"http://h":                            "unknown scheme",
		"redis+sentinel://h":                  "unknown scheme",
		"redis://":                            "no host",
		"redis:h":                             "no host",
		"redis:///1":                          "no host",
		"redis://:p#ss@h":                     "cannot be read",
		"redis://:s3cret%zz@h":                "cannot be read",
		"redis://h:s3cret":                    "cannot be read",
		"redis://h/1#f":                       "percent-encode #",
		"redis://h/a":                         "number of a database",
		"redis://h/1/2":                       "number of a database",
		"redis://h/99999999999999999999":      "cannot be read",
		"redis://h?db=1":                      "redis://<host>/<database>",
		"redis://h?skip_verify=true":          "always verified",
		"redis://h?max_retries=1":             "retries by itself",
		"redis://h?s3cret=1":                  "only addr and master_set",
		"redis://h?a=%zz":                     "percent-encode",
		"redis://h?addr=i":                    "<host>:<port>",
		"redis://h?addr=:1":                   "<host>:<port>",
		"redis://h?addr=::1:1":                "<host>:<port>",
		"redis://h?addr=i:x":                  "<host>:<port>",
		"redis://h?master_set=":               "one master_set",
		"redis://h?master_set=a&master_set=b": "one master_set",
		"redis://h/1?addr=i:2":                "leave the number out",
		"redis://h?master_set=m" + many:       "at most 32",
		"unix://h/s":                          "unix:///<path>",
		"unix://":                             "unix:///<path>",
		"unix:///s?db=1":                      "nothing after the path",
		"redis://h?dial_timeout=s3cret":       "set the timeout",
		"redis://user:s3cret@h:port":          "cannot be read",
		"redis://user:s3cret@h\x00":           "cannot be read",
		"user:s3cret@h":                       "unknown scheme",
		"redis://user:s3cret@h?password=s3cret&addr=s3cret:": "",
	} {
		s, err := parseURL(text, nil)
		var got string
		if err == nil {
			got = strings.TrimSpace(fmt.Sprint(s.addresses, " ", s.database, " ", s.masterSet))
		} else {
			got = err.Error()
		}
		if !strings.Contains(got, want) || strings.Contains(got, "s3cret") || err == nil && got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	s, err := parseURL("rediss://u:p%40@h", nil)
	if err != nil || s.tls == nil || s.user != "u" || s.password != "p@" {
		t.Errorf("a URL with TLS: %+v, %v", s, err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	good := func() Options { return Options{URL: "redis://h", Key: [32]byte{1}} }
	for want, change := range map[string]func(*Options){
		"no key":                func(o *Options) { o.Key = [32]byte{} },
		"letters, digits":       func(o *Options) { o.Prefix = "{a}" },
		"and at most 64":        func(o *Options) { o.Prefix = strings.Repeat("a", 65) },
		"-1 replicas":           func(o *Options) { o.WaitReplicas = -1 },
		"it must be 10ms":       func(o *Options) { o.Timeout = -time.Second },
		"it must be 1s":         func(o *Options) { o.Timeout, o.WaitReplicas = time.Second/2, 1 },
		"unknown scheme":        func(o *Options) { o.URL = "h" },
		"rediss:// in place of": func(o *Options) { o.TLS = new(tls.Config) },
		"but no sentinel":       func(o *Options) { o.SentinelPassword = "p" },
	} {
		o := good()
		change(&o)
		if s, err := New(o); s != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	s, err := New(good())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := &settings{password: "s3cret"}
	for text, want := range map[string]string{
		"READONLY You can't write against a read only replica.":                              "READONLY",
		"ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write.": "READONLY",
		"ERR Error running script (call to f_1): @user_script:1: no code":                    "ERR",
		"ERR syntax error":     "ERR",
		"WRONGPASS":            "WRONGPASS",
		"":                     "",
		"no code at all":       "",
		"OOMPH is another one": "OOMPH",
	} {
		if got := refusalCode(text); got != want {
			t.Errorf("%q has the code %q, want %q", text, got, want)
		}
	}
	err := s.explain("h:1", errors.New("x\x1b\ny"))
	if !errors.Is(err, ErrOutOfReach) || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("%q", err)
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]store.Position{
		"1-0": {Hi: 1}, "0-1": {Lo: 1}, "18446744073709551615-18446744073709551615": {Hi: 1<<64 - 1, Lo: 1<<64 - 1},
		"": {}, "0-0": {}, "1": {}, "1-": {}, "-1": {}, "1-1-1": {}, "01-1": {}, "+1-1": {}, "18446744073709551616-0": {},
		"a-b": {},
	} {
		got, err := position(id)
		if got != want || (err == nil) != (want != store.Position{}) {
			t.Errorf("%q is %v, want %v: %v", id, got, want, err)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add("1-0")
	f.Fuzz(func(t *testing.T, id string) {
		if p, err := position(id); err == nil && idOf(p) != id {
			t.Errorf("%q is %v", id, p)
		}
	})
}

func newTestVault(t testing.TB, key byte, prefix string) *vault {
	t.Helper()
	v, err := newVault([32]byte{key}, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWhatIsSealedIsBound(t *testing.T) {
	t.Parallel()
	v := newTestVault(t, 1, "p")
	sealed := v.seal(kindValue, "name", []byte("content"), 7)
	if content, end, err := v.open(kindValue, "name", sealed); string(content) != "content" || end != 7 || err != nil {
		t.Fatalf("opened %q, %d: %v", content, end, err)
	}
	if bytes.Contains(sealed, []byte("content")) || bytes.Equal(sealed, v.seal(kindValue, "name", []byte("content"), 7)) {
		t.Error("it can be read, or is the same each time")
	}
	for name, open := range map[string]func() ([]byte, int64, error){
		"another key":    func() ([]byte, int64, error) { return newTestVault(t, 2, "p").open(kindValue, "name", sealed) },
		"another prefix": func() ([]byte, int64, error) { return newTestVault(t, 1, "q").open(kindValue, "name", sealed) },
		"another name":   func() ([]byte, int64, error) { return v.open(kindValue, "nam", sealed) },
		"another kind":   func() ([]byte, int64, error) { return v.open(kindLog, "name", sealed) },
	} {
		if content, _, err := open(); !errors.Is(err, store.ErrCorrupt) || content != nil {
			t.Errorf("%s: %q, %v", name, content, err)
		}
	}
}

// FuzzOpen opens what nobody has sealed.
func FuzzOpen(f *testing.F) {
	v := newTestVault(f, 1, "p")
	f.Add("name", v.seal(kindValue, "name", []byte("content"), 7))
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, name string, sealed []byte) {
		content, end, err := v.open(kindLog, name, sealed)
		if !errors.Is(err, store.ErrCorrupt) || content != nil || end != 0 {
			t.Errorf("%q, %d: %v", content, end, err)
		}
	})
}

// FuzzScanner cuts a stream into pieces. That must not change what is found.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		"+OK\r\n", "*2\r\n$1\r\na\r\n:1\r\n", "$-1\r\n*-1\r\n*0\r\n-E\r\n", "*1\r\n*2\r\n+a\r\n$0\r\n\r\n", "$-2\r\n",
	} {
		f.Add([]byte(text), uint8(1))
		f.Add([]byte(text+text), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		var whole, pieces scanner
		want, wantErr := whole.feed(stream)
		got := 0
		var gotErr error
		for piece := range pieced(stream, max(int(size), 1)) {
			var ended int
			ended, gotErr = pieces.feed(piece)
			if got += ended; gotErr != nil {
				break
			}
		}
		if (gotErr == nil) != (wantErr == nil) || gotErr == nil && got != want {
			t.Errorf("in pieces of %d: %d messages, %v; in one: %d, %v", size, got, gotErr, want, wantErr)
		}
		beyond := len(whole.line) > maxLine || len(whole.open) > maxDepth || whole.bytes > maxMessage ||
			whole.elements > maxElements
		if beyond && wantErr == nil {
			t.Errorf("beyond the bounds: %+v", whole)
		}
	})
}

func pieced(stream []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(stream) > 0 {
			n := min(size, len(stream))
			if !yield(stream[:n]) {
				return
			}
			stream = stream[n:]
		}
	}
}

// A message may have what its bounds say, and no more.
func TestBoundsOfMessages(t *testing.T) {
	t.Parallel()
	large := "$" + "8388608" + "\r\n"
	for name, c := range map[string]struct {
		stream string
		good   bool
	}{
		"the largest":           {large, true},
		"one byte more":         {"$8388609\r\n", false},
		"two of half":           {"*2\r\n$4194304\r\n" + strings.Repeat("x", 4<<20) + "\r\n$4194304\r\n", true},
		"two of half and a bit": {"*2\r\n$4194304\r\n" + strings.Repeat("x", 4<<20) + "\r\n$4194305\r\n", false},
		"the longest array":     {"*65536\r\n", true},
		"a longer one":          {"*65537\r\n", false},
		"the deepest":           {strings.Repeat("*1\r\n", maxDepth), true},
		"a deeper one":          {strings.Repeat("*1\r\n", maxDepth+1), false},
		"the longest line":      {"+" + strings.Repeat("x", maxLine-3) + "\r\n", true},
		"a longer line":         {"+" + strings.Repeat("x", maxLine-2) + "\r\n", false},
		"one after another":     {strings.Repeat("*1\r\n$1000000\r\n"+strings.Repeat("x", 1_000_000)+"\r\n", 20), true},
	} {
		if _, err := new(scanner).feed([]byte(c.stream)); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
