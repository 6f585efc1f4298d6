package integration

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Caddy adds routes of its own to a configuration: those that redirect to HTTPS. A gate beside them works, and has its
// number.
func TestGatesBesideRedirectsToHTTPS(t *testing.T) {
	s := prepare(t)
	var plain string
	gate := gateFor(consumerAlice(t))
	s.loadOnAPort(func(port string) string {
		plain = freeAddress(t)
		_, plainPort, _ := net.SplitHostPort(plain)
		caddyfile := strings.Replace(s.measured(gate), "auto_https off", "skip_install_trust\n\thttp_port "+plainPort, 1)
		return caddyfile + fmt.Sprintf("https://localhost:%s {\n\tbind 127.0.0.1\n\ttls internal\n\t%s\n}\n", port, gate)
	})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	r := s.request(http.MethodGet, "/", nil)
	r.URL.Host, r.Host = plain, "localhost"
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if location := res.Header.Get("Location"); !strings.HasPrefix(location, "https://localhost") {
		t.Errorf("status %d, Location %q: this test needs a redirect", res.StatusCode, location)
	}
	s.accepts(hmacKey(t).Sign(t, claims()))
	s.refused(s.get("/", ""), http.StatusUnauthorized, "missing_token")
	for _, label := range []string{`gate="1"`, `gate="2"`} {
		if !strings.Contains(s.metricsText(), label) {
			t.Errorf("no metrics of %s", label)
		}
	}
}
