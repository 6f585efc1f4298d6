package keyset_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestPanicsAreFailures(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, events *observed) {
		_ = find(t, source, "one")
		body := s.body
		s.set(func(s *server) { s.body = "panic" })
		source.SetObserver(func(event keyset.Event) {
			events.add(event)
			panic("an observer")
		})
		time.Sleep(14 * time.Minute)
		if err := find(t, source, "one"); err != nil {
			t.Error(err)
		}
		s.set(func(s *server) { s.body = body })
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if kinds := events.kinds(); !slices.Equal(kinds, []string{"ready", "failing", "recovered"}) {
			t.Errorf("events %v", kinds)
		}
	})
}

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(line))
	return len(line), nil
}

func TestLogHasChangesOnly(t *testing.T) {
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	enc := change(one.JWK(), map[string]any{"use": "enc"})
	synctest.Test(t, func(t *testing.T) {
		log := new(lines)
		s := &server{body: `{"keys":[` + change(one.JWK(), nil) + `,` + enc + `]}`, header: http.Header{}}
		source, err := keyset.NewRemote(keyset.RemoteOptions{
			URL: "https://as.example.com/jwks", Logger: slog.New(slog.NewTextHandler(log, nil)),
		}.With(s.get))
		if err != nil {
			t.Fatal(err)
		}
		source.Start()
		time.Sleep(5 * time.Hour)
		s.set(func(s *server) { s.body = tokentest.JWKS(two) })
		time.Sleep(5 * time.Hour)
		s.set(func(s *server) { s.err = errDown })
		time.Sleep(5 * time.Hour)
		s.set(func(s *server) { s.err = nil })
		time.Sleep(5 * time.Hour)
		source.Close()
		synctest.Wait()
		wants := [][]string{
			{"level=INFO", "keys are ready", "source=https://as.example.com/jwks",
				"keys=1", "added=one", "skipped_not_for_signatures=1"},
			{"level=INFO", "keys have changed", "keys=1", "added=two", "removed=one"},
			{"level=WARN", "refreshing keys is failing", "connection refused"},
			{"level=INFO", "refreshing keys works again", "failing_for=5h"},
		}
		if len(log.all) != len(wants) {
			t.Fatalf("log:\n%s", strings.Join(log.all, ""))
		}
		for i, want := range wants {
			for _, part := range want {
				if i == 3 && part == "failing_for=5h" {
					part = "failing_for=" // about five hours
				}
				if !strings.Contains(log.all[i], part) {
					t.Errorf("%q is missing in %s", part, log.all[i])
				}
			}
		}
	})
}

// What a server writes into its documents cannot fill the log, and cannot send codes to a terminal.
func TestAServerCannotFillTheLog(t *testing.T) {
	long := strings.Repeat("a", 900_000)
	jwk := tokentest.NewKey(t, "ES256", "one").JWK()
	var jwks []string
	for i := range 1000 {
		jwks = append(jwks, change(jwk, map[string]any{"kid": fmt.Sprint("\u009b31m\u202e", i, strings.Repeat("k", 400))}))
	}
	keys := `{"keys":[` + strings.Join(jwks, ",") + `]}`
	document := func(address string) string {
		return `{"issuer":"https://as.example","jwks_uri":"` + address + `"}`
	}
	for name, body := range map[string]string{
		"a huge scheme":      document(long + "://as.example/keys"),
		"a huge host":        document("http://" + long + "/keys"),
		"many and long keys": keys,
		"another issuer":     `{"issuer":"` + long + `\u009b\u202e"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(lines)
				s := &server{body: body, header: http.Header{}}
				logger := slog.New(slog.NewJSONHandler(log, nil))
				var source interface {
					Start()
					Close() error
				}
				var err error
				if body == keys {
					source, err = keyset.NewRemote(keyset.RemoteOptions{
						URL: "https://as.example/keys", Logger: logger, Taken: keyset.Selection{Max: 1000},
					}.With(s.get))
				} else {
					source, err = keyset.NewDiscovery(keyset.DiscoveryOptions{
						Issuer: "https://as.example", Logger: logger,
					}.With(s.get))
				}
				if err != nil {
					t.Fatal(err)
				}
				source.Start()
				time.Sleep(time.Minute)
				source.Close()
				synctest.Wait()
				text := strings.Join(log.all, "")
				if text == "" || len(text) > 5000 || strings.ContainsAny(text, "\u009b\u202e") {
					t.Errorf("%d bytes: %.300s", len(text), text)
				}
			})
		})
	}
}

// A refusal for want of metadata is the same trouble as the warning that fetching fails. Its error says since when, so
// that nobody is told twice.
func TestAnErrorAboutMetadataSaysSinceWhenFetchingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{err: errDown, header: http.Header{}}
		source, err := keyset.NewDiscovery(keyset.DiscoveryOptions{Issuer: "https://as.example"}.With(s.get))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		began := time.Now()
		for range 2 {
			_, err := source.Metadata(t.Context())
			unavailable, ok := errors.AsType[*keyset.UnavailableError](err)
			if !ok || !unavailable.FailingSince.Equal(began) {
				t.Errorf("%v, failing since %v; want %v", err, unavailable.FailingSince, began)
			}
			time.Sleep(3 * time.Second)
		}
	})
}
