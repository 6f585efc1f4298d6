package keyset_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A server that says when to come back is left alone for that time, up to a minute. Neither the server, nor anybody who
// provokes such an answer, may keep the keys away for longer.
func TestRetryAfterOfTheKeyServer(t *testing.T) {
	body := tokentest.JWKS(tokentest.NewKey(t, "ES256", "one"))
	for _, c := range []struct {
		name   string
		status int
		value  string
		want   time.Duration
	}{
		{"429 with seconds", 429, "5", 5 * time.Second},
		{"503 with seconds", 503, "20", 20 * time.Second},
		{"429 with a date", 429, "Sat, 01 Jan 2000 00:00:30 GMT", 30 * time.Second},
		{"a date that is over", 429, "Fri, 31 Dec 1999 00:00:00 GMT", time.Second},
		{"zero", 429, "0", time.Second},
		{"nothing", 503, "", time.Second},
		{"a word", 503, "tomorrow", time.Second},
		{"a negative number", 503, "-5", time.Second},
		{"a day", 429, "86400", time.Minute},
		{"more than a number can hold", 503, "99999999999999999999999", time.Minute},
		{"a date in a thousand years", 503, "Sat, 01 Jan 3000 00:00:00 GMT", time.Minute},
		{"another status", 500, "30", time.Second},
		{"a status that is no failure of the server's", 404, "30", time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // begins at midnight of 1 January 2000
				var asked []time.Time
				get := func(context.Context, string, string, string) (*fetch.Response, error) {
					asked = append(asked, time.Now())
					response := &fetch.Response{Status: c.status, Header: http.Header{"Retry-After": {c.value}}}
					if len(asked) > 1 {
						response.Status, response.Body = http.StatusOK, []byte(body)
					}
					return response, nil
				}
				source, err := keyset.NewRemote(keyset.RemoteOptions{URL: "https://as.example.com/jwks"}.With(get))
				if err != nil {
					t.Fatal(err)
				}
				defer source.Close()
				start := time.Now()
				err = find(t, source, "one")
				for ; err != nil; err = find(t, source, "one") {
					wait, ok := errors.AsType[*keyset.UnavailableError](err)
					left := c.want - time.Since(start)
					if !ok || errors.Is(err, keyset.ErrPending) || wait.RetryAfter < min(left, time.Second) ||
						wait.RetryAfter > max(left, time.Second)+time.Second {
						t.Fatalf("%v: the client is to wait for %v, want about %v", err, wait.RetryAfter, left)
					}
					time.Sleep(300 * time.Millisecond) // never when a timer fires, too
				}
				if took := time.Since(start); took > c.want+c.want/10+300*time.Millisecond ||
					took < c.want-c.want/10 || len(asked) != 2 {
					t.Errorf("keys after %v and %d fetches, want after %v", took, len(asked), c.want)
				}
			})
		})
	}
}

// The same holds for metadata, and for the requests that need it.
func TestRetryAfterOfMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		get := func(context.Context, string, string, string) (*fetch.Response, error) {
			asked++
			return &fetch.Response{Status: 503, Header: http.Header{"Retry-After": {"30"}}}, nil
		}
		source, err := keyset.NewDiscovery(keyset.DiscoveryOptions{Issuer: "https://as.example.com"}.With(get))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		for range 29 {
			if _, err := source.Metadata(t.Context()); !errors.Is(err, keyset.ErrUnavailable) {
				t.Error(err)
			}
			if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnavailable) {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		if asked != 2 { // both places, once
			t.Errorf("asked %d times in 29 seconds", asked)
		}
	})
}

// While there are keys, invented ids must not cause a request to a server that wants to be left alone. Known keys still
// work.
func TestRetryAfterWhileThereAreKeys(t *testing.T) {
	body := tokentest.JWKS(tokentest.NewKey(t, "ES256", "one"))
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		get := func(context.Context, string, string, string) (*fetch.Response, error) {
			if asked++; asked == 1 {
				return &fetch.Response{Status: 200, Body: []byte(body), Header: http.Header{}}, nil
			}
			return &fetch.Response{Status: 429, Header: http.Header{"Retry-After": {"45"}}}, nil
		}
		source, err := keyset.NewRemote(keyset.RemoteOptions{URL: "https://as.example.com/jwks"}.With(get))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		for i := range 44 {
			if err := find(t, source, "one"); err != nil {
				t.Fatal(err)
			}
			if err := find(t, source, "two"); !errors.Is(err, keyset.ErrUnavailable) || i > 0 && asked != 2 {
				t.Fatalf("%v after %d fetches", err, asked)
			}
			time.Sleep(time.Second)
		}
		if asked != 2 {
			t.Errorf("%d fetches", asked)
		}
	})
}
