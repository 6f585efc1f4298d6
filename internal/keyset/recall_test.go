package keyset_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/lastgood/lastgoodtest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// process is a source as a new process makes it, of keys that are kept in a box.
func process(tb testing.TB, box *lastgoodtest.Box, options keyset.RemoteOptions) *keyset.Remote {
	tb.Helper()
	options.Kept = box.Shelf()
	return remote(tb, options)
}

// fetched waits until keys are there and kept. n is how many documents that takes.
func fetched(tb testing.TB, box *lastgoodtest.Box, source keyset.Source, n int) {
	tb.Helper()
	if _, err := source.Find(tb.Context(), jose.ES256, "one"); err != nil {
		tb.Fatal(err)
	}
	within(tb, "the keys are kept", func() bool { return len(box.Kept()) == n })
}

func TestKeysOutliveARestart(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	box := lastgoodtest.Memory(t)
	before := process(t, box, keyset.RemoteOptions{URL: as.JWKSURL()})
	fetched(t, box, before, 1)
	fetchedAt := before.Stats().Fetched
	before.Close()
	as.Down()

	events, log := new(observed), new(bytes.Buffer)
	source := process(t, box, keyset.RemoteOptions{URL: as.JWKSURL(), Logger: slog.New(slog.NewTextHandler(log, nil))})
	source.SetObserver(events.add)
	if source.Current() != nil {
		t.Error("there are keys before a fetch was tried")
	}
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Fatalf("a token of a kept key, which waited for the fetch that failed: %v", err)
	}
	stats := source.Stats()
	if off := fetchedAt.Sub(stats.Fetched); !stats.Failing || stats.Keys != 1 || off < 0 || off > time.Second {
		t.Errorf("%+v, and the keys were fetched at %v", stats, fetchedAt)
	}
	within(t, "events", func() bool { return slices.Equal(events.kinds(), []string{"recalled", "failing"}) })
	source.Close()
	for _, want := range []string{
		`level=WARN msg="keys from before the restart are used"`, "fetched=2", "added=one",
		`msg="refreshing keys is failing"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}

	as.Up()
	after := process(t, box, keyset.RemoteOptions{URL: as.JWKSURL()})
	if _, err := verify(t, after, key.Sign(t, claims())); err != nil || after.Stats().Failing {
		t.Errorf("when the server is back: %v", err)
	}
}

// next ends a process, and makes the source of the next one.
type next func() (*keyset.Remote, *observed)

// restarted runs a test in a bubble, with a server that was there until a process ended, and is away since.
func restarted(
	t *testing.T, maxStale time.Duration,
	test func(t *testing.T, s *server, box *lastgoodtest.Box, restart next),
) {
	t.Helper()
	body := tokentest.JWKS(tokentest.NewKey(t, "ES256", "one"))
	synctest.Test(t, func(t *testing.T) {
		s, box := &server{body: body, header: http.Header{}}, lastgoodtest.Memory(t)
		var source *keyset.Remote
		restart := func() (*keyset.Remote, *observed) {
			if source != nil {
				source.Close()
			}
			var err error
			source, err = keyset.NewRemote(keyset.RemoteOptions{
				URL: "https://as.example.com/jwks", Kept: box.Shelf(), Timing: keyset.Timing{MaxStale: maxStale},
			}.With(s.get))
			if err != nil {
				t.Fatal(err)
			}
			events := new(observed)
			source.SetObserver(events.add)
			return source, events
		}
		first, _ := restart()
		if err := find(t, first, "one"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.set(func(s *server) { s.err = errDown })
		test(t, s, box, restart)
		source.Close()
	})
}

// The time counts from the last good fetch. Restarts, however many, do not make it longer.
func TestKeptKeysAreUsedUntilTheyAreTooOld(t *testing.T) {
	restarted(t, time.Hour, func(t *testing.T, s *server, box *lastgoodtest.Box, restart next) {
		for range 5 {
			time.Sleep(10 * time.Minute)
			source, events := restart()
			if err := find(t, source, "one"); err != nil {
				t.Fatal(err)
			}
			if err := find(t, source, "unknown"); !errors.Is(err, keyset.ErrUnavailable) {
				t.Errorf("a key that nobody has: %v", err)
			}
			synctest.Wait()
			if kinds := events.kinds(); !slices.Equal(kinds, []string{"recalled", "failing"}) {
				t.Errorf("events %v", kinds)
			}
		}
		source, events := restart()
		_ = find(t, source, "one")
		time.Sleep(10*time.Minute - time.Millisecond)
		if err := find(t, source, "one"); err != nil {
			t.Errorf("just before: %v", err)
		}
		time.Sleep(time.Millisecond)
		if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnavailable) {
			t.Errorf("when they are too old: %v", err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if kinds := events.kinds(); !slices.Equal(kinds, []string{"recalled", "failing", "expired"}) {
			t.Errorf("events %v", kinds)
		}
		source, events = restart()
		if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnavailable) {
			t.Errorf("a restart after that: %v", err)
		}
		synctest.Wait()
		if kinds := events.kinds(); !slices.Equal(kinds, []string{"failing"}) {
			t.Errorf("events %v", kinds)
		}
	})
}

// When the server is back, its keys replace the kept ones, and each fetch counts anew.
func TestAFetchReplacesKeptKeys(t *testing.T) {
	two := tokentest.JWKS(tokentest.NewKey(t, "ES256", "two"))
	restarted(t, time.Hour, func(t *testing.T, s *server, box *lastgoodtest.Box, restart next) {
		source, events := restart()
		if err := find(t, source, "one"); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.err, s.body = nil, two })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := find(t, source, "two"); err != nil {
			t.Errorf("the new key: %v", err)
		}
		if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnknownKey) {
			t.Errorf("a key that is gone: %v", err)
		}
		if kinds := events.kinds(); !slices.Equal(kinds, []string{"recalled", "failing", "recovered", "keys_changed"}) {
			t.Errorf("events %v", kinds)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		s.set(func(s *server) { s.err = errDown })
		source, _ = restart()
		if err := find(t, source, "two"); err != nil {
			t.Errorf("a restart after a day of good fetches: %v", err)
		}
		if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnavailable) {
			t.Errorf("the key of before: %v", err)
		}
	})
}

// Whatever makes a fetch fail, the kept keys are used. As long as none has failed, they are not.
func TestWhenKeptKeysAreUsed(t *testing.T) {
	for name, trouble := range map[string]func(*server){
		"no connection": func(s *server) { s.err = errDown },
		"a page":        func(s *server) { s.err, s.body = nil, "<html>" },
		"no keys":       func(s *server) { s.err, s.body = nil, `{"keys":[]}` },
		"a panic":       func(s *server) { s.err, s.body = nil, "panic" },
	} {
		t.Run(name, func(t *testing.T) {
			restarted(t, 0, func(t *testing.T, s *server, _ *lastgoodtest.Box, restart next) {
				s.set(trouble)
				source, _ := restart()
				if err := find(t, source, "one"); err != nil {
					t.Error(err)
				}
			})
		})
	}
	t.Run("silence", func(t *testing.T) {
		restarted(t, 0, func(t *testing.T, s *server, _ *lastgoodtest.Box, restart next) {
			s.set(func(s *server) { s.err, s.latency = nil, time.Minute })
			source, _ := restart()
			if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnavailable) {
				t.Errorf("while the fetch may still succeed: %v", err)
			}
			time.Sleep(4 * time.Second)
			if err := find(t, source, "one"); err != nil {
				t.Errorf("after the fetch has timed out: %v", err)
			}
		})
	})
}

// A store that fails, hangs or has other content is as none: requests get their answer in the same time, within half a
// second, and the next good fetch puts it right.
func TestStoresThatAreOfNoUse(t *testing.T) {
	edit := func(change func([]byte) []byte) func(*testing.T, *lastgoodtest.Box) {
		return func(t *testing.T, box *lastgoodtest.Box) { box.Edit(t, change) }
	}
	for name, harm := range map[string]func(*testing.T, *lastgoodtest.Box){
		"fails":   func(_ *testing.T, box *lastgoodtest.Box) { box.Fail(errors.New("no route to host")) },
		"hangs":   func(_ *testing.T, box *lastgoodtest.Box) { box.Hang() },
		"is gone": func(_ *testing.T, box *lastgoodtest.Box) { box.Remove() },
		"damaged": edit(func(value []byte) []byte { return value[:len(value)/2] }),
		"foreign": edit(func([]byte) []byte { return []byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", "one"))) }),
	} {
		t.Run(name, func(t *testing.T) {
			restarted(t, 0, func(t *testing.T, s *server, box *lastgoodtest.Box, restart next) {
				harm(t, box)
				source, events := restart()
				began := time.Now()
				if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnavailable) {
					t.Errorf("without kept keys: %v", err)
				}
				if took := time.Since(began); took > 500*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				want := []string{"failing"}
				if name == "damaged" || name == "foreign" {
					want = []string{"unfit", "failing"}
				}
				if kinds := events.kinds(); !slices.Equal(kinds, want) {
					t.Errorf("events %v, want %v", kinds, want)
				}
				box.Restore()
				s.set(func(s *server) { s.err = nil })
				time.Sleep(time.Hour)
				synctest.Wait()
				s.set(func(s *server) { s.err = errDown })
				source, _ = restart()
				if err := find(t, source, "one"); err != nil {
					t.Errorf("kept again: %v", err)
				}
			})
		})
	}
}

// Another address, and other settings of whom to believe, find nothing. What only chooses keys from the set finds it,
// and is applied anew.
func TestKeptKeysAreThoseOfTheirAddress(t *testing.T) {
	box := lastgoodtest.Memory(t)
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")))
	first := process(t, box, keyset.RemoteOptions{URL: as.JWKSURL()})
	fetched(t, box, first, 1)
	first.Close()
	as.Down()
	for name, c := range map[string]struct {
		change func(*keyset.RemoteOptions)
		keys   int
	}{
		"the same":         {func(*keyset.RemoteOptions) {}, 2},
		"fewer keys":       {func(o *keyset.RemoteOptions) { o.Taken.Max = 1 }, 1},
		"another use":      {func(o *keyset.RemoteOptions) { o.Taken.Use = "jwt-svid" }, 0},
		"another path":     {func(o *keyset.RemoteOptions) { o.URL += "2" }, 0},
		"another query":    {func(o *keyset.RemoteOptions) { o.URL += "?a" }, 0},
		"another header":   {func(o *keyset.RemoteOptions) { o.Fetch.Header = http.Header{"X-Org": {"b"}} }, 0},
		"longer max_stale": {func(o *keyset.RemoteOptions) { o.Timing.MaxStale = 48 * time.Hour }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			options := keyset.RemoteOptions{URL: as.JWKSURL()}
			c.change(&options)
			source := process(t, box, options)
			_, _ = source.Find(t.Context(), jose.ES256, "one")
			if n := source.Current().Len(); n != c.keys {
				t.Errorf("%d keys, want %d", n, c.keys)
			}
		})
	}
}

// What is kept is judged as what is fetched: no secret, no private key and no weak key gets in by the store.
func TestKeptKeysAreJudgedLikeFetchedOnes(t *testing.T) {
	secret := tokentest.NewKey(t, "HS256", "secret")
	good := tokentest.NewKey(t, "ES256", "one")
	box := lastgoodtest.Memory(t)
	as := tokentest.NewAS(t)
	as.AnswerJWKS(200, tokentest.JWKSOf(secret.JWK(), good.JWK()))
	first := process(t, box, keyset.RemoteOptions{URL: as.JWKSURL()})
	fetched(t, box, first, 1)
	first.Close()
	as.Down()
	source := process(t, box, keyset.RemoteOptions{URL: as.JWKSURL()})
	if _, err := verify(t, source, good.Sign(t, claims())); err != nil {
		t.Error(err)
	}
	if _, err := verify(t, source, secret.Sign(t, claims())); err == nil {
		t.Error("a token of a secret that everybody can fetch passes")
	}
	if stats := source.Stats(); len(stats.Skipped) != 1 || stats.Skipped[0].Reason != "symmetric_key" {
		t.Errorf("skipped %v", stats.Skipped)
	}
}
