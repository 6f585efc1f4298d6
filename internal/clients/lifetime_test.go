package clients_test

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/clients"
)

func TestLifetimesByAudience(t *testing.T) {
	c := batch(t, func(c *clients.Client) {
		c.Audiences = []string{"a", "b"}
		c.Lifetimes = map[string]time.Duration{"a": time.Hour, "b": time.Second}
	})
	found := set(t, nil, c).Find("batch")
	for audience, want := range map[string]time.Duration{"a": time.Hour, "b": time.Second, "c": time.Minute,
		"": time.Minute} {
		if got := found.Lifetime(audience); got != want {
			t.Errorf("for %q: %v, want %v", audience, got, want)
		}
	}
	if longest := found.LongestLifetime(); longest != time.Hour {
		t.Errorf("the longest is %v", longest)
	}
	exchanged := exchanging(t, from(idp, func(e *clients.Exchange) { e.Audiences = []string{"x"} }))
	exchanged.Lifetimes = map[string]time.Duration{"x": time.Second}
	if got := set(t, nil, exchanged).Find("batch").Lifetime("x"); got != time.Second {
		t.Errorf("for an exchange: %v", got)
	}
}
