package integration

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// docs/from-kong.md shows how to add and remove consumers while Caddy runs. The other consumers lose no request.
func TestConsumersComeAndGoThroughTheAdminAPI(t *testing.T) {
	text, err := os.ReadFile("../../docs/from-kong.md")
	if err != nil {
		t.Fatal(err)
	}
	bob := regexp.MustCompile(`(?m)^\{"@id": "consumer-bob".*\}$`).FindString(string(text))
	if bob == "" {
		t.Fatal("docs/from-kong.md adds no consumer any more")
	}
	key := tokentest.NewKey(t, "HS256", "bob")
	bob = strings.Replace(bob, "{env.BOB_SECRET}", base64.StdEncoding.EncodeToString(key.Secret()), 1)

	s := prepare(t)
	admin := filepath.Join(filepath.Dir(s.socket), "a")
	caddyfile := strings.Replace(s.caddyfile(gateFor(consumerAlice(t))), "admin off", "admin unix/"+admin, 1)
	if err := s.tryLoad(caddyfile); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", admin)
		},
		DisableKeepAlives: true, // the endpoint starts anew with each configuration
	}}
	ask := func(method, path, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, answer)
		}
		return string(answer)
	}
	config := strings.Replace(ask(http.MethodGet, "/config/", ""), `"handler":"bearer_auth"`,
		`"handler":"bearer_auth","@id":"gate"`, 1)
	config = strings.Replace(config, "number "+strconv.Itoa(*s.written), "number "+strconv.Itoa(*s.written+1), 1)
	*s.written++
	ask(http.MethodPost, "/load", config)
	s.inForce()
	alice := hmacKey(t).Sign(t, claims())
	token := key.WithKID("").Sign(t, claims("iss", "bob-key"))
	s.accepts(alice)
	load := s.send(100, func() string { return alice })
	becomes := func(want int) {
		t.Helper()
		eventually(t, "the change is in force", func() bool {
			status, err := s.status(token)
			return err == nil && status == want
		})
	}

	for range 3 {
		becomes(http.StatusUnauthorized)
		ask(http.MethodPost, "/id/gate/consumers", bob)
		becomes(http.StatusOK)
		load.after(t, 5)
		ask(http.MethodPatch, "/id/consumer-bob", strings.Replace(bob, `"bob-key"`, `"another-key"`, 1))
		becomes(http.StatusUnauthorized)
		ask(http.MethodPatch, "/id/consumer-bob", bob)
		becomes(http.StatusOK)
		ask(http.MethodDelete, "/id/consumer-bob", "")
	}
	becomes(http.StatusUnauthorized)

	load.after(t, 5)
	load.allPassed(t)
}
