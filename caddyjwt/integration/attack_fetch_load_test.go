package integration

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Tokens with made-up key ids make a gate fetch the keys for each of them. Such a gate attacks the authorization
// server, or has no fetch left for good tokens: CVE-2026-48524 and its incomplete fix CVE-2026-101917. Here each source
// allows a few fetches at once and some more each minute. Other tokens with unknown key ids are refused without a
// fetch.
func TestAttackFetchUnknownKeyStorm(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "storm")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as)))
	s.attack(t, "thousands of made-up key ids", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		before, began := as.JWKSFetches(), time.Now()
		payload := issuedBy(as.URL)
		var clients sync.WaitGroup
		var wrong atomic.Int64
		for client := range 16 {
			clients.Go(func() {
				for i := range 100 {
					bogus := key.Sign(t, payload, map[string]any{"kid": fmt.Sprintf("storm-%d-%d", client, i)})
					if status, err := a.status(bogus); err != nil || !unknownKeyStatus(status) {
						wrong.Add(1)
					}
				}
			})
		}
		clients.Wait()
		if n := wrong.Load(); n != 0 {
			t.Errorf("%d of 1600 were not refused", n)
		}
		// Three and one at once, and then one in ten and one in five seconds.
		took := time.Since(began)
		if n, most := as.JWKSFetches()-before, 3+1+int(took/(10*time.Second))+int(took/(5*time.Second)); n > most {
			t.Errorf("%d fetches, want at most %d", n, most)
		}
		if n := len(a.upstream.take()); n != 0 {
			t.Errorf("%d requests reached the upstream", n)
		}
		a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
	})
}

// The same storm, with a slow server: each request waits, and good tokens wait behind them (the same CVEs). There is
// one fetch. Few requests wait for it, and not for long. Known keys do not wait. TestWaitingIsBounded in
// internal/keyset shows that no more than 1024 wait. It can stop the clock.
func TestAttackFetchUnknownKeyStormAtASlowServer(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "slow-storm")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as)))
	s.attack(t, "hundreds wait for one fetch", func(t *testing.T, a *attempt) {
		a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		before, began := as.JWKSFetches(), time.Now()
		as.Stall()
		payload := issuedBy(as.URL)
		var clients sync.WaitGroup
		var over atomic.Bool
		var passed atomic.Int64
		for i := range 300 {
			bogus := key.Sign(t, payload, map[string]any{"kid": "slow-storm-" + strconv.Itoa(i)})
			clients.Go(func() {
				if status, err := a.status(bogus); err != nil || status < 400 {
					passed.Add(1)
				}
			})
		}
		go func() { clients.Wait(); over.Store(true) }()
		a.until(&over, func(i int) { a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", strconv.Itoa(i))))) })
		if n := passed.Load(); n != 0 {
			t.Errorf("%d of 300 were not refused", n)
		}
		// A fetch ends after five seconds at the latest.
		if n, most := as.JWKSFetches()-before, 1+int(time.Since(began)/(5*time.Second)); n > most {
			t.Errorf("%d fetches, want at most %d", n, most)
		}
	})
}

// An attacker keeps the gate from fetching, so that a withdrawn key stays in use. Keys have a greatest age, which
// cannot be turned off. Meanwhile the gate does not blame a token for an unknown key. TestKeysLastUntilTheyAreTooOld in
// internal/keyset shows that nothing passes beyond that age, and what happens when the server is back. It can move the
// clock: the age is at least a minute.
func TestAttackFetchNewKeysNeverArrive(t *testing.T) {
	key, next := tokentest.NewKey(t, "ES256", "stale"), tokentest.NewKey(t, "ES256", "stale-next")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateFor(issuerByJWKS(as, "max_stale 1m")))
	s.attack(t, "the server cannot be reached any more", func(t *testing.T, a *attempt) {
		token := key.Sign(t, issuedBy(as.URL))
		began := time.Now()
		a.passed(a.send(token))
		as.SetKeys(next)
		as.Down()
		for i := range 3 {
			a.ourFault(a.send(next.Sign(t, issuedBy(as.URL))), http.StatusServiceUnavailable)
			for _, known := range []string{token, key.Sign(t, issuedBy(as.URL, "jti", strconv.Itoa(i)))} {
				if got := a.send(known); time.Since(began) < time.Minute {
					a.passed(got)
				}
			}
		}
		as.Up()
		eventually(t, "the new key is in force when the server is back", func() bool {
			status, err := a.status(next.Sign(t, issuedBy(as.URL)))
			return err == nil && status == http.StatusOK
		})
		a.drain()
		a.refusedFor(a.send(token), "unknown_key")
	})
	for _, age := range []string{"-1s", "off", "never", "1s"} {
		s.refusedAtLoad(t, "max_stale "+age, "max_stale", func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor(issuerByJWKS(as, "max_stale "+age))))
		})
	}
}

// A gate has just started and gets a thousand requests at once. A careless one fetches the keys a thousand times. These
// requests share one fetch.
func TestAttackFetchThousandFirstRequests(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "thousand")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
			_, _ = io.WriteString(w, tokentest.JWKS(key))
		case <-r.Context().Done():
		}
	})
	s := start(t, gateFor(issuerByDiscovery(as)))
	s.attack(t, "a thousand at once", func(t *testing.T, a *attempt) {
		tokens := make([]string, clientsAtOnce())
		for i := range tokens {
			tokens[i] = key.Sign(t, issuedBy(as.URL, "jti", strconv.Itoa(i)))
		}
		began := time.Now()
		outcomes := a.together(len(tokens), func(i int) string { return tokens[i] }, func() {
			<-arrived
			close(release)
		})
		// Nobody waits for more than two seconds, which may be too little when the machine is busy.
		answered := outcomes["200"]
		if time.Since(began) > 2*time.Second && answered > 0 {
			answered += outcomes["503"]
		}
		if answered != clientsAtOnce() {
			t.Errorf("%v, want %d times 200", outcomes, clientsAtOnce())
		}
		if keys, metadata := as.JWKSFetches(), as.MetadataFetches(); keys != 1 || metadata != 1 {
			t.Errorf("%d fetches of the keys and %d of the metadata", keys, metadata)
		}
	})
}

// If a fetch belonged to the first request, it would end for all who wait when that client hangs up. Here a fetch
// belongs to no request.
func TestAttackFetchFirstClientHangsUp(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "hangs-up")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	arrived, release, left := make(chan struct{}, 8), make(chan struct{}), make(chan struct{}, 8)
	as.HandleJWKS(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
			_, _ = io.WriteString(w, tokentest.JWKS(key))
		case <-r.Context().Done():
			left <- struct{}{}
		}
	})
	s := start(t, gateFor(issuerByJWKS(as)))
	s.attack(t, "during the fetch", func(t *testing.T, a *attempt) {
		conn, err := a.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer %s\r\n\r\n",
			key.Sign(t, issuedBy(as.URL)))
		<-arrived
		_ = conn.Close()
		eventually(t, "the gate has noticed that the client has gone", func() bool {
			return strings.Contains(a.since(), `"status":499`)
		})
		close(release)
		a.passed(a.send(key.Sign(t, issuedBy(as.URL, "jti", "2"))))
		if n := as.JWKSFetches(); n != 1 || len(left) != 0 {
			t.Errorf("%d fetches, %d of them broken off", n, len(left))
		}
	})
}

// Each reload might leave something behind that fetches for the old configuration, until connections or memory run out.
// A server that hangs makes it worse. Here everything ends that no configuration needs.
// TestReloadHundredTimesUnderTraffic is about reloads that change nothing.
func TestAttackFetchReloadsLeakNothing(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "leak")
	as, stalled := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t, tokentest.WithKeys(key))
	as.Introspect(always(active("aud", audience)))
	gate := func(i int) string { // other settings each time, and so other sources and clients
		ask := []string{"introspect opaque {", "auth_method none", "param n " + strconv.Itoa(i), "prefix p", "}"}
		return gateFor("realm r"+strconv.Itoa(i), issuerByDiscovery(as, append(ask, "max_stale "+strconv.Itoa(i+1)+"h")...),
			issuerByDiscovery(stalled, "max_stale "+strconv.Itoa(i+1)+"h"))
	}
	s := start(t, gate(0))
	s.attack(t, "a hundred reloads with other settings", func(t *testing.T, a *attempt) {
		token := key.Sign(t, issuedBy(as.URL))
		a.passed(a.send(token))
		before := a.goroutines()
		stalled.Stall()
		var waiting sync.WaitGroup
		for i := range 100 {
			a.load(gate(i + 1))
			a.passed(a.get("/", token))
			a.passed(a.get("/", "p-opaque"))
			lost := key.Sign(t, issuedBy(stalled.URL, "jti", strconv.Itoa(i)))
			waiting.Go(func() { // a fetch that is under way when the next configuration comes
				if status, err := a.status(lost); err == nil && status != http.StatusServiceUnavailable {
					t.Errorf("status %d", status)
				}
			})
			if i%10 == 0 {
				if err := a.tryLoad(a.caddyfile(gateFor(issuerByDiscovery(as),
					"issuer https://x.example.com {\naudience x\nkeys file /nowhere\n}"))); err == nil {
					t.Error("a bad configuration was loaded")
				}
			}
		}
		waiting.Wait()
		a.goroutinesBackTo(before, 15)
	})
}
