package keyset_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestRemoteFetchesWhenFirstNeeded(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
	if source.Current() != nil || as.JWKSFetches() != 0 {
		t.Fatal("it has fetched unasked")
	}
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	if source.Current().Len() != 1 || as.JWKSFetches() != 1 {
		t.Errorf("%d keys after %d fetches", source.Current().Len(), as.JWKSFetches())
	}
}

func TestThousandFirstRequestsShareAFetch(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if _, err := source.Find(t.Context(), jose.ES256, "one"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := as.JWKSFetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestDownAtTheStart(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.StartDown())
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: keyset.Timing{
		MinRefresh: time.Millisecond, MinBackoff: 10 * time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}})
	within(t, "three attempts", func() bool {
		_, err := source.Find(t.Context(), jose.ES256, "one")
		if !errors.Is(err, keyset.ErrUnavailable) {
			t.Fatalf("without keys: %v", err)
		}
		return source.Stats().Fetches >= 3
	})
	as.Up()
	within(t, "a good token passes", func() bool {
		_, err := verify(t, source, key.Sign(t, claims()))
		return err == nil
	})
}

func TestRotation(t *testing.T) {
	t.Parallel()
	for _, ahead := range []bool{true, false} {
		t.Run(fmt.Sprintf("published ahead %v", ahead), func(t *testing.T) {
			t.Parallel()
			keys := []*tokentest.Key{tokentest.NewKey(t, "ES256", "2025"), tokentest.NewKey(t, "ES256", "2026")}
			as := tokentest.NewAS(t, tokentest.WithKeys(keys[0]))
			events := new(observed)
			source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: keyset.Timing{
				MinRefresh: time.Millisecond, DefaultRefresh: 300 * time.Millisecond,
			}})
			source.SetObserver(events.add)
			var signer, refused atomic.Int64
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for range 8 {
				wg.Go(func() {
					for ticker := time.NewTicker(5 * time.Millisecond); ; <-ticker.C {
						select {
						case <-stop:
							ticker.Stop()
							return
						default:
						}
						if _, err := verify(t, source, keys[signer.Load()].Sign(t, claims())); err != nil {
							refused.Add(1)
						}
					}
				})
			}
			within(t, "traffic", func() bool { return source.Current() != nil })
			if ahead {
				as.SetKeys(keys...)
				within(t, "both keys", func() bool { return source.Current().Len() == 2 })
			} else {
				as.SetKeys(keys...)
			}
			signer.Store(1)
			within(t, "both keys", func() bool { return source.Current().Len() == 2 })
			old := source.Current().Keys()[0]
			as.SetKeys(keys[1])
			within(t, "removal", func() bool { return source.Current().Len() == 1 })
			close(stop)
			wg.Wait()
			if n := refused.Load(); n > 0 {
				t.Errorf("%d good tokens were refused", n)
			}
			if source.Current().Has(old) {
				t.Error("the old key is still there")
			}
			if _, err := verify(t, source, keys[0].Sign(t, claims())); !errors.Is(err, keyset.ErrUnknownKey) {
				t.Errorf("a token of the removed key: %v", err)
			}
			within(t, "events", func() bool {
				return slices.Equal(events.kinds(), []string{"ready", "keys_changed", "keys_changed"})
			})
			if last := events.last(); !slices.Equal(last.Removed, []string{"2025"}) || len(last.Added) > 0 || last.Keys != 1 {
				t.Errorf("the last event is %+v", last)
			}
		})
	}
}

func TestTwoRotationsInARow(t *testing.T) {
	var keys []*tokentest.Key
	for i := range 3 {
		keys = append(keys, tokentest.NewKey(t, "ES256", fmt.Sprint("row ", i)))
	}
	as := tokentest.NewAS(t, tokentest.WithKeys(keys[0]))
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
	for _, key := range keys {
		as.SetKeys(key)
		if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
			t.Fatalf("%s: %v", key.KID, err)
		}
	}
}

// A server that writes its keys in another order each time has not changed them, so there is no event.
func TestAnotherOrderIsNoChange(t *testing.T) {
	t.Parallel()
	one, two := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
	as := tokentest.NewAS(t)
	var asked atomic.Int64
	as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
		keys := []*tokentest.Key{one, two}
		if asked.Add(1)%2 == 0 {
			slices.Reverse(keys)
		}
		fmt.Fprint(w, tokentest.JWKS(keys...))
	})
	source := remote(t, keyset.RemoteOptions{
		URL: as.JWKSURL(), Timing: keyset.Timing{MinRefresh: 1, DefaultRefresh: 20 * time.Millisecond},
	})
	events := new(observed)
	source.SetObserver(events.add)
	source.Start()
	within(t, "more answers", func() bool { return asked.Load() > 4 })
	if kinds := events.kinds(); !slices.Equal(kinds, []string{"ready"}) {
		t.Errorf("events %v", kinds)
	}
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	source := remote(t, keyset.RemoteOptions{
		URL: as.JWKSURL(), Timing: keyset.Timing{MinRefresh: 1, DefaultRefresh: 50 * time.Millisecond},
	})
	source.Start()
	within(t, "keys", func() bool { return source.Current() != nil })
	set := source.Current()
	within(t, "answers 304", func() bool { return as.NotModified() > 2 && source.Stats().NotModified > 2 })
	if source.Current() != set {
		t.Error("another set")
	}
	as.SetKeys(key, tokentest.NewKey(t, "ES256", "two"))
	within(t, "the second key", func() bool { return source.Current().Len() == 2 })
}

// Two documents may have the same entity tag, for example two files of the same length from one build. When a redirect
// leads from one to the other, the tag of the first says nothing about the second.
func TestAnEntityTagDoesNotFollowARedirect(t *testing.T) {
	keys := map[string]*tokentest.Key{
		"/before": tokentest.NewKey(t, "ES256", "one"),
		"/after":  tokentest.NewKey(t, "ES256", "two"),
	}
	var place atomic.Pointer[string]
	lead := func(to string) { place.Store(&to) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, there := keys[r.URL.Path]
		if !there {
			http.Redirect(w, r, *place.Load(), http.StatusFound)
			return
		}
		w.Header().Set("ETag", `"6700-4e1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(tokentest.JWKS(key)))
	}))
	t.Cleanup(s.Close)
	source := remote(t, keyset.RemoteOptions{URL: s.URL})
	for _, to := range []string{"/before", "/after"} {
		lead(to)
		if _, err := verify(t, source, keys[to].Sign(t, claims())); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	if _, err := verify(t, source, keys["/before"].Sign(t, claims())); !errors.Is(err, keyset.ErrUnknownKey) {
		t.Errorf("the key that is gone: %v", err)
	}
}

func TestLeavingDoesNotStopTheFetch(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	release := as.Stall()
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
	first, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client has hung up")
	result := make(chan error, 2)
	go func() { _, err := source.Find(first, jose.ES256, "one"); result <- err }()
	within(t, "a fetch", func() bool { return as.JWKSFetches() == 1 })
	cancel(gone)
	if err := <-result; !errors.Is(err, gone) || !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("the first request: %v", err)
	}
	go func() { _, err := source.Find(t.Context(), jose.ES256, "one"); result <- err }()
	release()
	if err := <-result; err != nil {
		t.Errorf("the second request: %v", err)
	}
	if n := as.JWKSFetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestClose(t *testing.T) {
	as := tokentest.NewAS(t, tokentest.WithKeys(tokentest.NewKey(t, "ES256", "one")))
	as.Stall()
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
	result := make(chan error)
	go func() { _, err := source.Find(t.Context(), jose.ES256, "one"); result <- err }()
	within(t, "a fetch", func() bool { return as.JWKSFetches() == 1 })
	if err := source.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("who was waiting gets %v", err)
	}
	if _, err := source.Find(t.Context(), jose.ES256, "one"); !errors.Is(err, keyset.ErrUnavailable) ||
		source.Current() != nil {
		t.Errorf("afterwards: %v", err)
	}
	source.Start()
	if err := source.Close(); err != nil || as.JWKSFetches() != 1 {
		t.Errorf("closing twice: %v, %d fetches", err, as.JWKSFetches())
	}
}

func TestTenThousandSources(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 10_000 {
		remote(t, keyset.RemoteOptions{URL: fmt.Sprintf("https://as%d.example.com/jwks", i)})
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more", n-before)
	}
}

func TestRemoteOptions(t *testing.T) {
	const good = "https://as.example.com"
	for _, c := range []struct {
		options keyset.RemoteOptions
		field   string
	}{
		{keyset.RemoteOptions{}, "URL"},
		{keyset.RemoteOptions{URL: "http://as.example.com/jwks"}, "URL"},
		{keyset.RemoteOptions{URL: "file:///etc/passwd"}, "URL"},
		{keyset.RemoteOptions{URL: "https://as.example.com/{http.request.host}"}, "URL"},
		{keyset.RemoteOptions{URL: good, Timing: keyset.Timing{Wait: -1}}, "Timing.Wait"},
		{keyset.RemoteOptions{URL: good, Timing: keyset.Timing{
			MinRefresh: time.Hour, MaxRefresh: time.Minute,
		}}, "Timing.MinRefresh"},
		{keyset.RemoteOptions{URL: good, Taken: keyset.Selection{Max: -1}}, "Taken.Max"},
		{keyset.RemoteOptions{URL: good, Taken: keyset.Selection{Use: "enc", Max: -1}}, "Taken.Use"},
	} {
		if _, err := keyset.NewRemote(c.options); setting.Field(err) != c.field {
			t.Errorf("%+v: error %v about %q, want %q", c.options, err, setting.Field(err), c.field)
		}
	}
	events := new(observed)
	secret := remote(t, keyset.RemoteOptions{URL: "http://127.0.0.1:1/jwks?api_key=hunter2"})
	secret.SetObserver(events.add)
	_, err := secret.Find(t.Context(), jose.ES256, "one")
	within(t, "an event", func() bool { return len(events.kinds()) > 0 })
	if event := events.last(); err == nil || strings.Contains(fmt.Sprint(err, event), "hunter2") ||
		event.Source != "http://127.0.0.1:1/jwks" {
		t.Errorf("error %v, event %+v", err, event)
	}
}
