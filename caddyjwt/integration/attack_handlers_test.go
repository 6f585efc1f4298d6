package integration

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Handlers around the gate change what it guards: a rewrite before it, a route that answers errors with content, a
// second gate that is laxer. Nothing is served without a token, and the laxer one gives no identity.
func TestAttackRouteOtherHandlers(t *testing.T) {
	s := prepare(t)
	site := s.caddyfile(gateFor(consumerAlice(t)))
	s.loadFile(strings.Replace(site, "reverse_proxy "+s.upstream.addr(),
		"rewrite /old /new\nuri strip_prefix /api\nrespond /secret \"secret content\"\nreverse_proxy "+s.upstream.addr()+
			"\nhandle_errors {\n @gate expression {http.auth.bearer.reason} != null\n header @gate X-Reason "+
			"{http.auth.bearer.reason}\n respond \"{http.error.status_code} {http.error.message}\"\n}", 1))
	for _, path := range []string{"/", "/old", "/new", "/api/secret", "/secret", "/api/../secret", "/index.html"} {
		s.attack(t, path+" without a token", func(t *testing.T, a *attempt) {
			got := a.get(path, "")
			a.refusedFor(got, "missing_token")
			if strings.Contains(got.body, "secret") {
				t.Errorf("body %q", got.body)
			}
		})
	}
	s.attack(t, "the page of an error tells the class of the mistake and nothing more", func(t *testing.T, a *attempt) {
		got := a.send(tokentest.FlipSignature(t, hmacKey(t).Sign(t, claims())))
		a.refusedFor(got, "invalid_signature")
		for _, inner := range []string{s.socket, "signature", "claims:", "alice-key", "goroutine", ".go:", "bearer_auth"} {
			if strings.Contains(got.body, inner) {
				t.Errorf("body %q", got.body)
			}
		}
	})
	s.load("route {\n" + gateFor(consumerAlice(t)) + "\n" + gateFor(consumerAlice(t), "optional") + "\n}")
	s.attack(t, "a laxer gate behind the strict one", func(t *testing.T, a *attempt) {
		a.refusedFor(a.get("/", "", "X-Consumer-Username", "admin"), "missing_token")
	})
	s.attack(t, "a laxer gate behind the strict one, with a token", func(t *testing.T, a *attempt) {
		got := a.passed(a.send(hmacKey(t).Sign(t, claims()), "X-Consumer-Username", "admin"))
		for _, name := range got.Header["X-Consumer-Username"] {
			if name != "alice" {
				t.Errorf("%q at the upstream", name)
			}
		}
	})
}

// Files lie behind the gate. Another handler looks for them or replaces answers by them, and may serve one in place of
// the refusal. No answer to a request without a token has anything of a guarded file.
func TestAttackRouteFilesBehindTheGate(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"index.html", "secret.txt", "401.html"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("guarded content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token := hmacKey(t).Sign(t, claims())
	gate := gateFor(consumerAlice(t))
	for name, handlers := range map[string]string{
		"file_server":                "root * " + root + "\n" + gate + "\nfile_server browse",
		"try_files":                  "root * " + root + "\n" + gate + "\ntry_files {path} /index.html\nfile_server",
		"file_server that passes on": "root * " + root + "\n" + gate + "\nfile_server {\n pass_thru\n}",
		"intercept before it": "route {\n root * " + root +
			"\n intercept {\n @refused status 401 403 400\n handle_response @refused {\n rewrite * /401.html\n file_server\n " +
			"}\n }\n" + gate + "\n file_server\n}",
		"templates and encode": "root * " + root + "\nencode gzip\ntemplates\n" + gate + "\nfile_server",
		"an error route without a page": "root * " + root + "\n" + gate +
			"\nfile_server\nhandle_errors 404 {\n rewrite * /index.html\n file_server\n}",
	} {
		s := prepare(t)
		s.loadFile(strings.Replace(s.caddyfile(handlers), "reverse_proxy "+s.upstream.addr(), "", 1))
		s.attack(t, "control: "+name+" with a token", func(t *testing.T, a *attempt) {
			a.secret(token)
			if got := a.get("/secret.txt", token); got.StatusCode != http.StatusOK || got.body != "guarded content" {
				t.Errorf("status %d, body %q", got.StatusCode, got.body)
			}
		})
		for _, path := range []string{"/", "/secret.txt", "/index.html", "/401.html", "/missing", "//secret.txt",
			"/./secret.txt", "/x/../secret.txt", "/secret.txt/", "/SECRET.TXT", "/%73ecret.txt", "/secret.txt?x=/public"} {
			for _, field := range []string{"", "Range: bytes=0-3\r\n", "If-None-Match: *\r\n",
				"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", "Authorization: Bearer bad\r\n"} {
				s.attack(t, name+", "+path+" "+strings.TrimSpace(field), func(t *testing.T, a *attempt) {
					got := a.raw("GET " + path + " HTTP/1.1\r\nHost: gate.test\r\nAccept: text/html\r\n" + field + "\r\n")
					a.refusedFor(got, "missing_token", "malformed_token")
					if strings.Contains(got.body, "content") || got.Header.Get("Etag") != "" || got.Header.Get("Last-Modified") != "" {
						t.Errorf("the answer tells of a file: %v %q", got.Header, got.body)
					}
				})
			}
		}
	}
}

// The configuration is reloaded while requests come. Between the old and the new one there must be no moment without a
// gate, and none in which good tokens are refused.
func TestAttackRouteReloadUnderLoad(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	s.attack(t, "ten reloads", func(t *testing.T, a *attempt) {
		token := hmacKey(t).Sign(t, claims())
		a.secret(token)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var good, bad atomic.Int64
		for worker := range 4 {
			authorization, want := "", http.StatusUnauthorized
			if worker%2 == 0 {
				authorization, want = "Bearer "+token, http.StatusOK
			}
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					r, _ := http.NewRequestWithContext(context.Background(), "GET", "http://gate.test/", nil)
					if authorization != "" {
						r.Header.Set("Authorization", authorization)
					}
					response, err := a.client.Do(r)
					if err != nil {
						continue // a connection of the old server's: it closes those that are idle
					}
					_ = response.Body.Close()
					if response.StatusCode != want {
						t.Errorf("status %d, want %d", response.StatusCode, want)
						return
					}
					if want == http.StatusOK {
						good.Add(1)
					} else {
						bad.Add(1)
					}
				}
			})
		}
		for i := range 10 {
			s.load(gateFor(consumerAlice(t), fmt.Sprintf("realm r%d", i)))
		}
		close(stop)
		wg.Wait()
		if good.Load() == 0 || bad.Load() == 0 {
			t.Errorf("%d requests passed, %d were refused", good.Load(), bad.Load())
		}
		for _, r := range a.upstream.take() {
			if r.Header.Get("X-Consumer-Username") != "alice" {
				t.Errorf("reached the upstream: %v", r)
			}
		}
	})
}
