package integration

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// loadHandler makes Caddy run with this bearer_auth handler, given as JSON, and gives the processor time that it took.
func (s *site) loadHandler(handler map[string]any) time.Duration {
	s.t.Helper()
	before := tokentest.ProcessorTime(s.t)
	err := s.tryJSON(gateFor("realm placeholder", consumerAlice(s.t)), func(placeholder map[string]any) {
		clear(placeholder)
		maps.Copy(placeholder, handler)
		placeholder["handler"] = "bearer_auth"
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return tokentest.ProcessorTime(s.t) - before
}

// heap is what is reachable, in MiB.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc) / (1 << 20)
}

// Ten thousand issuers in one gate: they are there at once, cost no goroutine and no fetch before they are needed, and
// the time of a request does not depend on how many there are.
func TestScaleTenThousandIssuers(t *testing.T) {
	long(t)
	const n = 10_000
	key := tokentest.NewKey(t, "ES256", "scale")
	as := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.WithPath("/issuer/9999"))
	issuers := make([]any, n)
	for i := range issuers {
		issuers[i] = map[string]any{"issuer": strings.TrimSuffix(as.URL, "9999") + strconv.Itoa(i)}
	}
	s := prepare(t)
	s.loadHandler(map[string]any{"audience": []string{audience}, "issuers": issuers[:1]})
	small, before := heap(), s.goroutines()

	took := s.loadHandler(map[string]any{"audience": []string{audience}, "issuers": issuers})

	t.Logf("Caddy loads %d issuers in %v of processor time (aim: under 2s) with %.1f MiB", n, took, heap()-small)
	if took > 20*time.Second {
		t.Errorf("loading cost %v", took)
	}
	s.goroutinesBackTo(before, 20)
	if fetches := as.JWKSFetches() + as.MetadataFetches(); fetches != 0 {
		t.Errorf("%d fetches before a token came", fetches)
	}
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	if keys, metadata := as.JWKSFetches(), as.MetadataFetches(); keys != 1 || metadata > 2 {
		t.Errorf("%d fetches of keys and %d of metadata for one token", keys, metadata)
	}
	s.refused(s.get("/", key.Sign(t, issuedBy("https://nobody.example.com"))), http.StatusUnauthorized, "unknown_issuer")

	again := s.loadHandler(map[string]any{"audience": []string{audience}, "issuers": issuers, "realm": "again"})
	t.Logf("reloading them takes %v", again)
	s.accepts(key.Sign(t, issuedBy(as.URL, "jti", "2")))
	if keys := as.JWKSFetches(); keys != 1 {
		t.Errorf("%d fetches of keys after a reload", keys)
	}
	s.loadHandler(map[string]any{"audience": []string{audience}, "issuers": issuers[:1]})
	s.goroutinesBackTo(before, 20)
	eventually(t, "the memory of removed issuers is free again", func() bool { return heap()-small < 10 })
}

// The same out of a Caddyfile, which is read, checked and adapted before it is loaded.
func TestScaleThousandIssuersInACaddyfile(t *testing.T) {
	var blocks []string
	for i := range 1000 {
		blocks = append(blocks, issuerBlock(fmt.Sprintf("https://issuer-%d.example.com", i), "leeway 5s"))
	}
	s := prepare(t)
	before := tokentest.ProcessorTime(t)
	s.load(gateForAudience(blocks...))
	cost := tokentest.ProcessorTime(t) - before
	t.Logf("a Caddyfile of 1000 issuers is adapted and loaded in %v of processor time", cost)
	if cost > 30*time.Second {
		t.Errorf("it cost %v", cost)
	}
}

// A hundred thousand consumers with secrets of their own (three thousand with -short).
func TestScaleHundredThousandConsumers(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 3_000
	}
	key := hmacKey(t)
	secret := base64.StdEncoding.EncodeToString(key.Secret())
	consumers := make([]any, n)
	for i := range consumers {
		own := secret
		if i != n/2 {
			own = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "a secret of consumer number %08d, and no other's", i))
		}
		consumers[i] = map[string]any{"username": "user-" + strconv.Itoa(i), "credentials": []any{
			map[string]any{"key": "key-" + strconv.Itoa(i), "algorithm": "HS256", "secret": own, "base64": true},
		}}
	}
	s := prepare(t)
	s.loadHandler(map[string]any{"consumers": consumers[:1]})
	small, before := heap(), s.goroutines()

	took := s.loadHandler(map[string]any{"consumers": consumers})

	t.Logf("Caddy loads %d consumers in %v of processor time with %.1f MiB", n, took, heap()-small)
	if took > 3*time.Minute { // with the race detector on a busy machine
		t.Errorf("loading cost %v", took)
	}
	s.goroutinesBackTo(before, 20)
	half := strconv.Itoa(n / 2)
	got := s.passed(s.get("/", key.WithKID("").Sign(t, claims("iss", "key-"+half))))
	if name := got.Header.Get("X-Consumer-Username"); name != "user-"+half {
		t.Errorf("the upstream was told %q", name)
	}
	s.refused(s.get("/", key.WithKID("").Sign(t, claims("iss", "key-1"))), http.StatusUnauthorized, "invalid_signature")
	s.refused(s.get("/", key.WithKID("").Sign(t, claims("iss", "key-"+strconv.Itoa(n)))), http.StatusUnauthorized,
		"unknown_issuer")
}

// A thousand requests at once, each with its own token, each get their own identity: when the tokens are new, and when
// they are remembered.
func TestScaleThousandIdentitiesAtOnce(t *testing.T) {
	long(t)
	n := clientsAtOnce()
	key := tokentest.NewKey(t, "ES256", "identities")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{Claims: map[string]any{
			"active": true, "aud": audience, "sub": strings.TrimPrefix(r.Token, "opaque-"),
			"email": strings.TrimPrefix(r.Token, "opaque-") + "@example.com",
		}}
	})
	s := prepare(t)
	s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Header["X-Sub"], r.Header["X-Email"], r.Header["X-Consumer-Username"])
	}
	s.load(gateForAudience(issuerBlock(as.URL, "introspect opaque {", "auth_method none", "timeout 20s", "}"),
		consumerAlice(t),
		"forward_claims X-Sub sub", "forward_claims X-Email email"))
	tokens := make([]string, n)
	for i := range tokens {
		if i%10 == 0 {
			tokens[i] = "opaque-user" + strconv.Itoa(i)
			continue
		}
		sub := "user" + strconv.Itoa(i)
		tokens[i] = key.Sign(t, issuedBy(as.URL, "sub", sub, "email", sub+"@example.com"))
	}
	for round := range 3 {
		var requests sync.WaitGroup
		begin := make(chan struct{})
		wrong := make(chan string, n)
		for i, token := range tokens {
			requests.Go(func() {
				<-begin
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gate.test/", nil)
				if err != nil {
					wrong <- err.Error()
					return
				}
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("X-Sub", "mallory")
				response, err := s.client.Do(r)
				if err != nil {
					wrong <- err.Error()
					return
				}
				defer response.Body.Close()
				body, _ := io.ReadAll(response.Body)
				if want := fmt.Sprintf("[user%[1]d] [user%[1]d@example.com] []", i); string(body) != want {
					wrong <- fmt.Sprintf("status %d, %q instead of %q", response.StatusCode, body, want)
				}
			})
		}
		began := time.Now()
		close(begin)
		requests.Wait()
		close(wrong)
		t.Logf("round %d: %v", round, time.Since(began))
		for text := range wrong {
			t.Errorf("round %d: %s", round, text)
		}
	}
	if fetches := as.JWKSFetches(); fetches != 1 {
		t.Errorf("%d fetches of the keys by a thousand tokens at once", fetches)
	}
	if asked := len(as.IntrospectionRequests()); asked != n/10 {
		t.Errorf("%d questions about %d opaque tokens", asked, n/10)
	}
}
