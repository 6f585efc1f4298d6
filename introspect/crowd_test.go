package introspect_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/introspect"
)

// crowd is a server that calls tokens active if they begin with "good". It has another answer for all others.
type crowd struct {
	*testing.T
	c      *introspect.Client
	others transport
	asked  map[string]int
	mu     sync.Mutex
	serial int
}

func newCrowd(t *testing.T, others transport, change func(*introspect.Config)) *crowd {
	b := &crowd{T: t, others: others, asked: map[string]int{}}
	cfg := fakeConfig(func(r *http.Request) (*http.Response, error) {
		r.ParseForm()
		token := r.PostForm.Get("token")
		b.mu.Lock()
		b.asked[token]++
		others := b.others
		b.mu.Unlock()
		if strings.HasPrefix(token, "good") {
			return response(200, `{"active":true}`), nil
		}
		return others(r)
	})
	if change != nil {
		change(&cfg)
	}
	b.c = newClient(t, cfg)
	return b
}

// saying answers with a status.
func saying(status int, retryAfter string) transport {
	return func(*http.Request) (*http.Response, error) {
		r := response(status, "")
		if retryAfter != "" {
			r.Header.Set("Retry-After", retryAfter)
		}
		return r, nil
	}
}

func stalling(r *http.Request) (*http.Response, error) { return stall(r.Context()) }

// ask asks, and reports whether the token is active.
func (b *crowd) ask(token string, o ...introspect.Option) bool {
	r, err := b.c.Introspect(b.Context(), token, o...)
	return err == nil && r.Active
}

// flood asks about this many invented tokens at once, and waits for none.
func (b *crowd) flood(n int) {
	for range n {
		b.serial++
		token := fmt.Sprint("invented", b.serial)
		go b.c.Introspect(b.Context(), token)
	}
	synctest.Wait()
}

func (b *crowd) wantAsked(token string, want int) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := b.asked[token]; got != want {
		b.Errorf("the server was asked %d times about %s, want %d", got, token, want)
	}
}
