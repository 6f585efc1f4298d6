package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// slowIntrospection answers after 30 ms, as a server does that has a database to ask.
func slowIntrospection(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
	<-time.After(30 * time.Millisecond)
	return active()
}

// 24 clients with good tokens are at the gate. Most of them wait for an introspection that takes 30 ms. Meanwhile ten
// reloads change what the gate asks, and each closes something that requests wait for. Nobody is refused, and nothing
// is left behind.
func TestReloadRefusesNobodyWhoWaits(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "waiting")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	as.Introspect(slowIntrospection)
	const fileIssuer = "https://file.example.com"
	var files [2]string
	for i := range files {
		files[i] = writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), tokentest.JWKS(key))
	}
	// config is the i-th configuration: one of the four settings is another than in the one before.
	config := func(i int) string {
		turn := func(setting int) int { return (i + 3 - setting) / 4 } // how often it has changed
		return gateForAudience(
			issuerBlock(as.URL, fmt.Sprintf("max_stale %dh", 2+turn(2)), "introspect opaque {", "client_id gateway",
				fmt.Sprintf("client_secret s3cr3t-number-%d", turn(1)), fmt.Sprintf("timeout %ds", 10+turn(0)), "}"),
			issuerBlock(fileIssuer, "keys file "+files[turn(3)%2]))
	}
	var serial atomic.Int64
	next := func() string { return strconv.FormatInt(serial.Add(1), 10) }
	var visitors []visitor
	add := func(kind string, n int, token func() string) {
		for i := range n {
			visitors = append(visitors, visitor{fmt.Sprint(kind, " ", i), token, []int{http.StatusOK}})
		}
	}
	add("opaque", 10, func() string { return "opaque-" + next() })
	add("discovered keys", 1, func() string { return key.Sign(t, issuedBy(as.URL, "jti", next())) })
	add("key file", 1, func() string { return key.Sign(t, issuedBy(fileIssuer, "jti", next())) })

	s := start(t, gateFor(consumerAlice(t)))
	s.accepts(hmacKey(t).Sign(t, claims()))
	before := s.goroutines()
	s.load(config(0))
	c := s.gather(visitors)
	for i := range 10 {
		c.waitFor(100)
		s.load(config(i + 1))
	}
	c.waitFor(100)
	c.home()
	good, refused := c.count()
	t.Logf("%d good requests, %d refused", good+refused, refused)
	if refused != 0 {
		t.Errorf("%d of %d good requests were refused", refused, good+refused)
	}
	s.unharmed()
	s.load(gateFor(consumerAlice(t)))
	s.goroutinesBackTo(before, 5)
}

// waitFor waits until the crowd has got n more answers.
func (c *crowd) waitFor(n int64) {
	c.t.Helper()
	until := c.answers.Load() + n
	eventually(c.t, "the crowd gets answers", func() bool { return c.answers.Load() >= until })
}

// count is how many were let through, and how many were not. The crowd has gone home.
func (c *crowd) count() (passed, refused int) {
	for _, answers := range c.got {
		for answer, n := range answers {
			if answer == "200" {
				passed += n
			} else {
				refused += n
			}
		}
	}
	return passed, refused
}
