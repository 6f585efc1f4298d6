package keyset_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// lies are answers that must not take a key away.
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
		"no answer":        func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a cut connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a redirect to plain http": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/jwks", 302)
		},
		"a redirect to link-local": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", 302)
		},
		"a redirect to another scheme": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1/jwks", 307)
		},
		"a redirect to itself": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 302) },
		"a redirect to a file": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", 302)
		},
	}
}

func TestLiesTakeNoKeysAway(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "ES256", "one")
	token := key.Sign(t, claims())
	for name, lie := range lies(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			events := new(observed)
			timeout := time.Minute
			if name == "no answer" || name == "a body that never ends" {
				timeout = time.Second / 4 // twice of it passes
			}
			source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL(), Timing: keyset.Timing{
				MinRefresh: time.Millisecond, DefaultRefresh: 20 * time.Millisecond, MaxRefresh: 20 * time.Millisecond,
				MinBackoff: 10 * time.Millisecond, MaxBackoff: 10 * time.Millisecond, Timeout: timeout,
			}})
			source.SetObserver(events.add)
			within(t, "a good token passes", func() bool { _, err := verify(t, source, token); return err == nil })
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
				within(t, "recovery", func() bool { // a busy machine may have had failures before
					kinds := events.kinds()
					return slices.Equal(kinds[max(0, len(kinds)-2):], []string{"failing", "recovered"})
				})
			}
		})
	}
}

// An entity tag is text that we send back to the server. If the server, or a proxy in front of it, does not accept the
// tag, we must still get the next keys.
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
					moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						fmt.Fprint(w, tokentest.JWKSOf(second.JWK()))
					}))
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
	t.Parallel()
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
