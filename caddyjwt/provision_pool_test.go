package caddyjwt

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// counting is a server that counts connections and answers none.
func counting(t *testing.T) (address string, connections func() int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	arrived := make(chan struct{}, 1000)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			arrived <- struct{}{}
		}
	}()
	return listener.Addr().String(), func() int {
		// Connections arrive in order: ours is the last one.
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		<-arrived
		return len(arrived)
	}
}

// everything is a handler that takes one object of each kind from the pool, with all servers at one address, and with
// more issuers.
func everything(address, file, more string) string {
	base := "http://" + address
	return `{"audience":["x"],"issuers":[
		{"issuer":"` + base + `","introspect":{"auth_method":"none"}},
		{"issuer":"https://jwks.example","keys":{"source":"jwks","url":"` + base + `/jwks"},
		 "introspect":{"mode":"always","endpoint":"` + base + `/introspect",` +
		`"client_id":"a","client_secret":"b","signed":true}},
		{"issuer":"https://file.example","keys":{"source":"file","path":` + quote(file) + `}},
		{"issuer":"https://again.example","keys":{"source":"file","path":` + quote(file) + `}}` + more + `]`
}

// Provisioning, as "caddy validate" does it, makes no connection.
func TestProvisionMakesNoConnection(t *testing.T) {
	address, connections := counting(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", "file"))), 0o600); err != nil {
		t.Fatal(err)
	}
	handler := everything(address, file, "") + "}"
	var config caddy.Config
	text := `{"admin":{"disabled":true,"config":{"persist":false}},` +
		`"apps":{"http":{"servers":{"s":{"listen":["127.0.0.1:0"],
		"routes":[{"handle":[{"handler":"bearer_auth",` + handler[1:] + `]}]}}}}}`
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if n := connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
	wantEmptyPool(t)
}

// counter counts log lines.
type counter struct {
	slog.Handler
	lines *atomic.Int64
}

func (counter) Enabled(context.Context, slog.Level) bool    { return true }
func (c counter) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c counter) Handle(context.Context, slog.Record) error { c.lines.Add(1); return nil }

// Wherever Provision fails, Cleanup gives back what Provision took. A second Cleanup does no harm.
func TestProvisionFailsThenCleanup(t *testing.T) {
	address, connections := counting(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", "file"))), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.json")
	if err := os.WriteFile(empty, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var opened atomic.Int64 // key files, by handlers that failed afterwards
	shared := process.New()
	shared.Log.Keys = slog.New(counter{slog.DiscardHandler, &opened})
	for name, text := range map[string]string{
		"compiling the route":    everything(address, file, "") + `,"realm":"{env.NOT_SET_ANYWHERE}"}`,
		"compiling an issuer":    everything(address, file, `,{"issuer":"https://b.example","profile":"x"}`) + `}`,
		"checking introspection": everything(address, file, `,{"issuer":"https://b.example","introspect":{}}`) + `}`,
		"opening a key source": everything(address, file,
			`,{"issuer":"https://b.example","keys":{"source":"file","path":"/does/not/exist"}}`) + `}`,
		"a file without keys": everything(address, file,
			`,{"issuer":"https://b.example","keys":{"source":"file","path":`+quote(empty)+`}}`) + `}`,
		"opening introspection": everything(address, file, `,{"issuer":"https://b.example","keys":{"source":"none"},
			"introspect":{"prefix":"b","endpoint":"http://`+address+`",`+
			`"client_id":"a","client_secret":"b","signed":true}}`) + `}`,
		"TLS settings": everything(address, file, `,{"issuer":"https://b.example","tls":{"ca":[`+quote(empty)+`]}}`) + `}`,
		"discovering for introspection": everything(address, file,
			`,{"issuer":"not a URL","keys":{"source":"file","path":`+quote(file)+`},
			"introspect":{"prefix":"b","auth_method":"none"}}`) + `}`,
		"making the cache": everything(address, file, "") + `,"cache_size":1}`,
		"building the gate": everything(address, file,
			`,{"issuer":"https://file.example","keys":{"source":"file","path":`+quote(file)+`}}`) + `}`,
		"the route's promises": everything(address, file, "") + `,"introspect":{"mode":"force"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, _ := newContext(t)
			before := runtime.NumGoroutine()
			for range 20 {
				h := parse(t, text)
				h.shared = shared
				err := h.Provision(ctx)
				if err == nil {
					t.Error("provisioned")
				}
				for range 2 {
					if err := h.Cleanup(); err != nil {
						t.Errorf("cleaning up: %v", err)
					}
				}
				if left := shared.Pool.References(); len(left) > 0 {
					t.Errorf("the pool still has %d objects", len(left))
				}
			}
			deadline := time.After(10 * time.Second)
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for runtime.NumGoroutine() > before {
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
			}
		})
	}
	if opened.Load() == 0 {
		t.Error("no handler had opened anything before it failed: this test shows nothing")
	}
	if n := connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// A reload provisions the new handler before the old one is cleaned up. What did not change is the very same object
// and has one reference afterwards. Nothing is left after the last one.
func TestProvisionSharesAndOutlivesReloads(t *testing.T) {
	address, _ := counting(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", "file"))), 0o600); err != nil {
		t.Fatal(err)
	}
	values := func() map[any]bool {
		found := make(map[any]bool)
		for source := range process.Shared().Pool.Sources() {
			found[source] = true
		}
		for client := range process.Shared().Pool.Clients() {
			found[client] = true
		}
		for cache := range process.Shared().Pool.Caches() {
			found[cache] = true
		}
		return found
	}
	load := func(text string) (cleanup func()) {
		ctx, cleanup := newContext(t)
		if _, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(text)); err != nil {
			t.Fatal(err)
		}
		return cleanup
	}
	last := load(everything(address, file, "") + "}")
	first := values()
	if len(first) != 6 { // three key sources, two introspection clients, one cache
		t.Errorf("%d objects in the pool", len(first))
	}
	for i := range 10 {
		next := load(everything(address, file, "") + `,"realm":"` + strings.Repeat("r", i+1) + `"}`)
		last()
		last = next
		now := values()
		if len(now) != len(first) {
			t.Fatalf("%d objects in the pool after a reload, %d before", len(now), len(first))
		}
		for object := range first {
			if !now[object] {
				t.Fatalf("a %T is another object after a reload", object)
			}
		}
	}
	last()
	wantEmptyPool(t)
}

// Handlers do not share an object if their settings for it differ.
func TestProvisionSeparatesWhatDiffers(t *testing.T) {
	variants := []string{
		`"keys":{"source":"jwks","url":"https://as.example/jwks"}`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks2"}`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"max_stale":"1h"`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"request_headers":{"X-Key":["1"]}`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"request_headers":{"X-Key":["2"]}`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"allow_link_local":true`,
		`"keys":{"source":"jwks","url":"https://as.example/jwks"},"tls":{"server_name":"x.example"}`,
		`"keys":{"source":"discovery"}`,
		`"keys":{"source":"discovery","url":"https://as.example/jwks"}`,
	}
	var cleanups []func()
	for _, variant := range variants {
		ctx, cleanup := newContext(t)
		text := `{"cache_size":-1,"audience":["x"],"issuers":[{"issuer":"https://as.example",` + variant + `}]}`
		if _, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(text)); err != nil {
			t.Fatal(err)
		}
		cleanups = append(cleanups, cleanup)
	}
	if n := len(pooled()); n != len(variants) {
		t.Errorf("%d key sources for %d different settings", n, len(variants))
	}
	for _, cleanup := range cleanups {
		cleanup()
	}
	wantEmptyPool(t)
}
