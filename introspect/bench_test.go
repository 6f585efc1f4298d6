package introspect_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/introspect"
)

// benchClient has a decoded answer of usual size in its cache for each of the tokens.
func benchClient(tb testing.TB, tokens ...string) *introspect.Client {
	text := `{"active":true,"exp":99999999999,"iss":"https://as.example.com","sub":"248289761001",
		"aud":["https://api.example.com"],"scope":"read write","client_id":"l238j323ds-23ij4","username":"jdoe"}`
	cfg := fakeConfig(func(*http.Request) (*http.Response, error) { return response(200, text), nil })
	cfg.Decode = func(answer []byte) (any, error) {
		var claims map[string]any
		return claims, json.Unmarshal(answer, &claims)
	}
	c := newClient(tb, cfg)
	for _, token := range tokens {
		if _, err := c.Introspect(tb.Context(), token); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

func BenchmarkHit(b *testing.B) {
	for _, length := range []int{22, 64, 850, 4000} {
		b.Run(fmt.Sprintf("token=%d", length), func(b *testing.B) {
			token := strings.Repeat("a", length)
			c := benchClient(b, token)
			b.ReportAllocs()
			for b.Loop() {
				if r, err := c.Introspect(b.Context(), token); err != nil || !r.Active {
					b.Fatal(r, err)
				}
			}
		})
	}
}

func BenchmarkHitParallel(b *testing.B) {
	c := benchClient(b, testToken)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := c.Introspect(b.Context(), testToken); err != nil || !r.Active {
				b.Error(r, err)
			}
		}
	})
}

func BenchmarkMiss(b *testing.B) {
	c := benchClient(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if r, err := c.Introspect(b.Context(), fmt.Sprint("token", n)); err != nil || !r.Active {
			b.Fatal(r, err)
		}
	}
}

func BenchmarkMissLoopback(b *testing.B) {
	s := newServer(b, answer(`{"active":true,"exp":99999999999}`))
	c := newClient(b, basicConfig(s.URL))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if r, err := c.Introspect(b.Context(), fmt.Sprint("token", n)); err != nil || !r.Active {
			b.Fatal(r, err)
		}
	}
}

func TestAHitAllocatesNothing(t *testing.T) {
	c := benchClient(t, testToken, strings.Repeat("a", 900))
	ctx := t.Context()
	for _, token := range []string{testToken, strings.Repeat("a", 900)} {
		allocs := testing.AllocsPerRun(1000, func() {
			if r, err := c.Introspect(ctx, token, introspect.MaxAge(introspect.MaxCacheTTL)); err != nil || !r.Active {
				t.Error(r, err)
			}
		})
		if allocs > 0 {
			t.Errorf("a hit with a token of %d bytes allocates %v times, want 0", len(token), allocs)
		}
	}
}
