package authserver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/hashing/hashingtest"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func mirror(t *testing.T, options MirrorOptions) *Mirror {
	t.Helper()
	m, err := NewMirror(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Destruct(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestAMirrorHasTheDocumentAsItIs(t *testing.T) {
	for name, c := range map[string]struct{ path, only string }{
		"both documents":              {"", ""},
		"both, of an issuer's path":   {"/realms/one", ""},
		"only that of RFC 8414":       {"/realms/one", tokentest.OAuth},
		"only that of OpenID Connect": {"/realms/one", tokentest.OIDC},
	} {
		t.Run(name, func(t *testing.T) {
			as := tokentest.NewAS(t, tokentest.WithPath(c.path))
			as.OnlyMetadata(c.only)
			m := mirror(t, MirrorOptions{Issuer: as.URL})
			if as.MetadataFetches() != 0 {
				t.Error("it has fetched unasked")
			}
			m.Preload(t.Context())
			fetched := as.MetadataFetches()
			document, _, err := m.Document(t.Context())
			if err != nil || !bytes.Contains(document, []byte(`"issuer":"`+as.URL+`"`)) {
				t.Errorf("document %s, %v", document, err)
			}
			if as.MetadataFetches() != fetched {
				t.Error("it has fetched what was there")
			}
		})
	}
}

func TestAMirrorPrefersTheDocumentOfOAuth(t *testing.T) {
	as := tokentest.NewAS(t)
	as.HandleMetadata(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("\xef\xbb\xbf" + `{"issuer":"` + as.URL + `","at":"` + r.URL.Path + `"}`))
	})
	document, _, err := mirror(t, MirrorOptions{Issuer: as.URL}).Document(t.Context())
	if want := `{"issuer":"` + as.URL + `","at":"/.well-known/oauth-authorization-server"}`; string(document) != want {
		t.Errorf("document %s, %v", document, err)
	}
	named := mirror(t, MirrorOptions{Issuer: as.URL, URL: as.URL + "/.well-known/openid-configuration"})
	document, _, err = named.Document(t.Context())
	if want := `{"issuer":"` + as.URL + `","at":"/.well-known/openid-configuration"}`; string(document) != want {
		t.Errorf("document at a named address %s, %v", document, err)
	}
}

func TestAMirrorHasNoOtherDocument(t *testing.T) {
	for name, body := range map[string]string{
		"of another issuer":  `{"issuer":"https://other.example.com"}`,
		"of a longer issuer": `{"issuer":"ISSUER/"}`,
		"of no issuer":       `{}`,
		"of two issuers":     `{"issuer":"ISSUER","issuer":"https://other.example.com"}`,
		"no object":          `["ISSUER"]`,
		"a page":             `<html>`,
		"cut":                `{"issuer":"ISSUER"`,
		"too deep":           `{"issuer":"ISSUER","a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`,
		"too long":           `{"issuer":"ISSUER","a":"` + strings.Repeat("a", fetch.MaxBody) + `"}`,
		"nothing":            ``,
	} {
		t.Run(name, func(t *testing.T) {
			as := tokentest.NewAS(t)
			as.HandleMetadata(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(strings.ReplaceAll(body, "ISSUER", as.URL)))
			})
			var log bytes.Buffer
			m := mirror(t, MirrorOptions{Issuer: as.URL, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			document, retryAfter, err := m.Document(t.Context())
			if document != nil || err == nil || retryAfter <= 0 {
				t.Errorf("document %.100s, %v, retry after %v", document, err, retryAfter)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if _, _, err := m.Document(t.Context()); err == nil {
				t.Error("a closed mirror has a document")
			}
		})
	}
}

func TestAMirrorCannotBeMadeOf(t *testing.T) {
	for name, c := range map[string]struct {
		options MirrorOptions
		field   string
	}{
		"an issuer without an address":  {MirrorOptions{Issuer: "spiffe"}, "Issuer"},
		"an address of another machine": {MirrorOptions{Issuer: "a", URL: "http://as.example.com"}, "URL"},
		"a negative time":               {MirrorOptions{Issuer: "https://as.example.com", MaxStale: -1}, "Timing.MaxStale"},
		"authorities that are none": {
			MirrorOptions{Issuer: "https://as.example.com", Fetch: fetch.Options{CA: []byte("x")}}, "Fetch"},
	} {
		if _, err := NewMirror(c.options); setting.Field(err) != c.field {
			t.Errorf("%s: field %q of %v, want %q", name, setting.Field(err), err, c.field)
		}
	}
}

func TestMirrorsWithOtherSettingsAreNotShared(t *testing.T) {
	hashingtest.EveryField(t, MirrorOptions{}, MirrorOptions.Fingerprint)
}

// server is an authorization server that is up or down, and counts.
type server struct {
	up    atomic.Bool
	asked atomic.Int64
}

func (s *server) Get(_ context.Context, address, _, _ string) (*fetch.Response, error) {
	s.asked.Add(1)
	if !s.up.Load() {
		return nil, errors.New("connection refused")
	}
	body := `{"issuer":"https://as.example.com","at":"` + address + `"}`
	return &fetch.Response{Status: http.StatusOK, Body: []byte(body)}, nil
}

func (s *server) Close() error { return nil }

// inBubble runs a test of a mirror with a clock of its own.
func inBubble(t *testing.T, test func(t *testing.T, m *Mirror, s *server, log *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		s, log := new(server), new(bytes.Buffer)
		m := mirror(t, MirrorOptions{
			Issuer: "https://as.example.com", MaxStale: time.Hour, transport: s,
			Logger: slog.New(slog.NewTextHandler(log, nil)),
		})
		test(t, m, s, log)
	})
}

func TestStrangersDoNotBurdenAServerThatIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mirror, s *server, log *bytes.Buffer) {
		const strangers, seconds = 50, 60
		for range seconds {
			var crowd sync.WaitGroup
			for range strangers {
				crowd.Go(func() {
					document, retryAfter, err := m.Document(t.Context())
					if document != nil || err == nil || retryAfter < time.Second {
						t.Errorf("document %s, %v, retry after %v", document, err, retryAfter)
					}
				})
			}
			crowd.Wait()
			time.Sleep(time.Second)
		}
		// Each attempt asks at two addresses.
		if got, most := s.asked.Load(), int64(2*(seconds/5+1)); got > most || got == 0 {
			t.Errorf("%d requests to the server, want at most %d", got, most)
		}
		synctest.Wait()
		if got := strings.Count(log.String(), "cannot be fetched"); got != 1 || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestAMirrorKeepsItsCopyWhileTheServerIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Mirror, s *server, log *bytes.Buffer) {
		s.up.Store(true)
		if _, _, err := m.Document(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.up.Store(false)
		time.Sleep(50 * time.Minute)
		if _, _, err := m.Document(t.Context()); err != nil {
			t.Errorf("before max_stale: %v", err)
		}
		time.Sleep(30 * time.Minute)
		if document, _, err := m.Document(t.Context()); err == nil {
			t.Errorf("after max_stale: %s", document)
		}
		s.up.Store(true)
		time.Sleep(10 * time.Minute)
		if _, _, err := m.Document(t.Context()); err != nil {
			t.Errorf("after the server has come back: %v", err)
		}
		synctest.Wait()
		for _, want := range []string{
			"cannot be fetched", "too old", "can be fetched again", "issuer=https://as.example.com",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not say %q:\n%s", want, log)
			}
		}
	})
}
