package keyset_test

import (
	"bytes"
	"compress/gzip"
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

// remote makes a source that is closed when the test ends.
func remote(tb testing.TB, options keyset.RemoteOptions) *keyset.Remote {
	tb.Helper()
	source, err := keyset.NewRemote(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { source.Close() })
	return source
}

// within asks again and again until it says yes. It fails the test after a while that is far longer than needed, also
// where the machine has much else to do.
func within(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	const patience = time.Minute
	for deadline := time.Now().Add(patience); !yes(); {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", patience, what)
		}
		<-time.After(time.Millisecond)
	}
}

// observed collects the events of a source.
type observed struct {
	mu     sync.Mutex
	events []keyset.Event
}

func (o *observed) add(event keyset.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event)
}

func (o *observed) kinds() (kinds []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, event := range o.events {
		kinds = append(kinds, event.Kind.String())
	}
	return kinds
}

func (o *observed) last() keyset.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.events) == 0 {
		return keyset.Event{}
	}
	return o.events[len(o.events)-1]
}

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

// lies are answers that take no key away.
func lies(tb testing.TB) map[string]http.HandlerFunc {
	tb.Helper()
	say := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Cache-Control", "max-age=31536000")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range 4 {
		if _, err := zip.Write(chunk); err != nil {
			tb.Fatal(err)
		}
	}
	zip.Close()
	ec := tokentest.NewKey(tb, "ES256", "new").JWK()
	oct := change(tokentest.NewKey(tb, "HS256", "one").JWK(), nil)
	return map[string]http.HandlerFunc{
		"an empty object":        say(200, "application/json", `{}`),
		"null":                   say(200, "application/json", `null`),
		"an empty set":           say(200, "application/json", `{"keys":[]}`),
		"nothing":                say(200, "application/json", ``),
		"a login page":           say(200, "text/html", `<html><form action="/login">`),
		"status 500":             say(500, "application/json", tokentest.JWKSOf(ec)),
		"status 404":             say(404, "text/plain", "not found"),
		"status 204":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"status 304 out of turn": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) },
		"only a shared secret":   say(200, "application/json", `{"keys":[`+oct+`]}`),
		"only keys for encryption": say(200, "application/json",
			`{"keys":[`+change(ec, map[string]any{"use": "enc"})+`]}`),
		"a gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for range 2560 { // 10 GB
				if _, err := w.Write(bomb.Bytes()); err != nil {
					return
				}
			}
		},
		"two megabytes": say(200, "application/json", `{"keys":[`+change(ec, nil)+`]}`+strings.Repeat(" ", 2<<20)),
		"a body that never ends": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		},
		"no answer":                    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a cut connection":             func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a redirect to plain http":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://example.com/jwks", 302) },
		"a redirect to link-local":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://169.254.169.254/", 302) },
		"a redirect to another scheme": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://127.0.0.1/jwks", 307) },
		"a redirect to itself":         func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 302) },
		"a redirect to a file":         func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "file:///etc/passwd", 302) },
	}
}

func TestLiesTakeNoKeysAway(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	token := key.Sign(t, claims())
	for name, lie := range lies(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			events := new(observed)
			timeout := time.Minute
			if name == "no answer" || name == "a body that never ends" {
				timeout = 2 * time.Second // twice of it passes
			}
			source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: keyset.Timing{
				MinRefresh: time.Millisecond, DefaultRefresh: 100 * time.Millisecond, MaxRefresh: 100 * time.Millisecond,
				MinBackoff: 10 * time.Millisecond, MaxBackoff: 10 * time.Millisecond, Timeout: timeout,
			}})
			source.SetObserver(events.add)
			if _, err := verify(t, source, token); err != nil {
				t.Fatal(err)
			}
			before := source.Current()
			as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("If-None-Match")
				lie(w, r)
			})
			if name == "status 304 out of turn" {
				as.SetJWKSHeader("ETag", "")
			}
			honest := name == "status 304 out of turn" // it is the answer to a question with an ETag
			if honest {
				within(t, "not modified", func() bool { return source.Stats().NotModified > 1 })
			} else {
				within(t, "two failures", func() bool { return source.Stats().Failures > 1 })
			}
			if _, err := verify(t, source, token); err != nil || source.Current() != before {
				t.Errorf("the keys have changed; verifying gives %v", err)
			}
			as.HandleJWKS(nil)
			if !honest {
				within(t, "recovery", func() bool { return slices.Equal(events.kinds(), []string{"ready", "failing", "recovered"}) })
			}
		})
	}
}

// An entity tag is text that the server has us send back to it. One that it, or something before it, does not take must not
// stand between us and the next keys for ever.
func TestAnEntityTagDoesNotEndRefreshing(t *testing.T) {
	timing := keyset.Timing{
		MinRefresh: time.Millisecond, DefaultRefresh: 50 * time.Millisecond, MaxRefresh: 50 * time.Millisecond,
		MinBackoff: 10 * time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}
	for name, tag := range map[string]string{
		"far too long":               `"` + strings.Repeat("a", 30<<10) + `"`,
		"refused when it comes back": `"refused"`,
	} {
		tagged := func(answer func() string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if sent := r.Header.Get("If-None-Match"); len(sent) > 8<<10 || sent == `"refused"` {
					w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("ETag", tag)
				fmt.Fprint(w, answer())
			}
		}
		for _, of := range []string{"keys", "metadata"} {
			t.Run(name+", of "+of, func(t *testing.T) {
				t.Parallel()
				as := tokentest.NewAS(t)
				first, second := tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "ES256", "two")
				var rotated atomic.Bool
				keys := func() string {
					if rotated.Load() {
						return tokentest.JWKSOf(second.JWK())
					}
					return tokentest.JWKSOf(first.JWK())
				}
				var source keyset.Source
				if of == "keys" {
					as.HandleJWKS(tagged(keys))
					source = remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: timing})
				} else {
					// New metadata has another address of the keys.
					as.AnswerJWKS(http.StatusOK, keys())
					moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tokentest.JWKSOf(second.JWK())) }))
					t.Cleanup(moved.Close)
					as.HandleMetadata(tagged(func() string {
						if rotated.Load() {
							return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, as.URL, moved.URL)
						}
						return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, as.URL, as.JWKSURL())
					}))
					source = discovery(t, keyset.DiscoveryOptions{
						Issuer: as.URL, URL: as.URL + "/.well-known/openid-configuration", Timing: timing,
					})
				}
				if _, err := verify(t, source, first.Sign(t, claims())); err != nil {
					t.Fatal(err)
				}
				rotated.Store(true)
				within(t, "the next keys", func() bool {
					keys, err := source.Find(t.Context(), jose.ES256, "two")
					return err == nil && len(keys) == 1
				})
			})
		}
	}
}

func TestLiesAtTheStart(t *testing.T) {
	for name, lie := range lies(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as := tokentest.NewAS(t)
			as.HandleJWKS(lie)
			source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: keyset.Timing{Timeout: 300 * time.Millisecond}})
			_, err := source.Find(t.Context(), jose.ES256, "one")
			unavailable, ok := errors.AsType[*keyset.UnavailableError](err)
			if !ok || !errors.Is(err, keyset.ErrUnavailable) || unavailable.RetryAfter < time.Second || source.Current() != nil {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestGoodKeysBesideBadOnes(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "good")
	jwks := []string{change(key.JWK(), nil)}
	for _, bad := range skippedJWKs(t) {
		jwks = append(jwks, bad.jwk)
	}
	as := tokentest.NewAS(t)
	as.AnswerJWKS(200, `{"keys":[`+strings.Join(jwks, ",")+`]}`)
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, skipped := range source.Stats().Skipped {
		total += skipped.Count
	}
	if total != len(jwks)-1 || source.Current().Len() != 1 {
		t.Errorf("%d keys, %d skipped of %d", source.Current().Len(), total, len(jwks))
	}
}

func TestDownAtTheStart(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.StartDown())
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
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

// A server that writes its keys in another order each time has not changed them: nobody is told of that again and again.
func TestAnotherOrderIsNoChange(t *testing.T) {
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
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: keyset.Timing{MinRefresh: 1, DefaultRefresh: 20 * time.Millisecond}})
	events := new(observed)
	source.SetObserver(events.add)
	source.Start()
	within(t, "more answers", func() bool { return asked.Load() > 4 })
	if kinds := events.kinds(); !slices.Equal(kinds, []string{"ready"}) {
		t.Errorf("events %v", kinds)
	}
}

func TestNotModified(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: keyset.Timing{MinRefresh: 1, DefaultRefresh: 50 * time.Millisecond}})
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

// Two documents may have the same entity tag, such as two files of one length out of one build. When a redirect leads from
// one to the other, the tag of the first says nothing about the second.
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

func TestFlood(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	before, memory, began := runtime.NumGoroutine(), heap(), time.Now()
	var wg sync.WaitGroup
	var most atomic.Int64
	for client := range 64 {
		wg.Go(func() {
			for i := range 100_000 / 64 {
				kid := fmt.Sprintf("bogus %d %d", client, i)
				if _, err := source.Find(t.Context(), jose.ES256, kid); !unknown(err) {
					t.Errorf("%s: %v", kid, err)
				}
				if _, err := source.Find(t.Context(), jose.ES256, "one"); err != nil {
					t.Error(err)
				}
				if i%100 == 0 {
					most.Store(max(most.Load(), int64(runtime.NumGoroutine())))
				}
			}
		})
	}
	wg.Wait()
	if n, most := as.JWKSFetches(), mostFetches(time.Since(began)); n > most {
		t.Errorf("%d fetches, want at most %d", n, most)
	}
	if n := most.Load(); n > int64(before)+64+16 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	if grown := heap() - memory; grown > 2<<20 { // 2048 questions are remembered, of the 100,000
		t.Errorf("%d bytes of memory more than before", grown)
	}
	runtime.KeepAlive(source)
}

// Two servers behind one address, each with keys of its own: whatever fetch it is, it brings new keys, and made-up key ids
// must not be able to have one follow the other.
func TestFloodWhileTheKeysFlap(t *testing.T) {
	sets := []string{tokentest.JWKS(tokentest.NewKey(t, "ES256", "one")), tokentest.JWKS(tokentest.NewKey(t, "ES256", "two"))}
	as := tokentest.NewAS(t)
	var asked atomic.Int64
	as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, sets[asked.Add(1)%2])
	})
	source, began := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()}), time.Now()
	for i := range 100 {
		kid := fmt.Sprint("bogus ", i)
		if _, err := source.Find(t.Context(), jose.ES256, kid); !unknown(err) {
			t.Errorf("%s: %v", kid, err)
		}
	}
	if n, most := int(asked.Load()), 1+mostFetches(time.Since(began)); n > most {
		t.Errorf("%d fetches, want at most %d: one more after keys that were new", n, most)
	}
}

// unknown reports whether a key is not there, or not there yet.
func unknown(err error) bool {
	return errors.Is(err, keyset.ErrUnknownKey) || errors.Is(err, keyset.ErrPending)
}

// mostFetches is how many fetches invented ids may cause in a while, the first one included: three and one at once, and
// then one in ten and one in five seconds.
func mostFetches(while time.Duration) int {
	return 1 + 3 + 1 + int(while/(10*time.Second)) + int(while/(5*time.Second))
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestFloodWhileTheServerIsSlow(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: keyset.Timing{Wait: 2 * time.Second}})
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	release := as.Stall()
	defer release()
	var wg sync.WaitGroup
	for i := range 3000 {
		wg.Go(func() {
			_, err := source.Find(t.Context(), jose.ES256, fmt.Sprint("bogus ", i))
			if !errors.Is(err, keyset.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	within(t, "a fetch", func() bool { return as.JWKSFetches() == 2 })
	if _, err := source.Find(t.Context(), jose.ES256, "one"); err != nil { // waiting would end in an error
		t.Errorf("a good token: %v", err)
	}
	wg.Wait()
	if n := source.Stats().Denied; n < 3000-1024 {
		t.Errorf("only %d did not wait", n)
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
	if _, err := source.Find(t.Context(), jose.ES256, "one"); !errors.Is(err, keyset.ErrUnavailable) || source.Current() != nil {
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
	if event := events.last(); err == nil || strings.Contains(fmt.Sprint(err, event), "hunter2") || event.Source != "http://127.0.0.1:1/jwks" {
		t.Errorf("error %v, event %+v", err, event)
	}
}

// BenchmarkFlood looks good keys up while others ask for keys that are not there.
func BenchmarkFlood(b *testing.B) {
	for _, flood := range []int{0, 64} {
		b.Run(fmt.Sprintf("%d clients with unknown keys", flood), func(b *testing.B) {
			as := tokentest.NewAS(b, tokentest.WithKeys(tokentest.NewKey(b, "ES256", "one")))
			source := remote(b, keyset.RemoteOptions{URL: as.JWKSURL()})
			if _, err := source.Find(b.Context(), jose.ES256, "one"); err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			for client := range flood {
				wg.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						_, _ = source.Find(ctx, jose.ES256, fmt.Sprint(client, i))
						time.Sleep(time.Millisecond)
					}
				})
			}
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				_, _ = source.Find(ctx, jose.ES256, "one")
				took = append(took, time.Since(start))
			}
			b.StopTimer()
			cancel()
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}
