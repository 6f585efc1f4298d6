package integration

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// guesses sends wrong passwords until the answer is 429, and gives how many were looked at.
func (b *booth) guesses(most int, from func(i int) string, user func(i int) string) (looked int) {
	b.t.Helper()
	for i := range most {
		a := b.post(orders+"login", asJSONBody, signsIn(user(i), fmt.Sprint("guess ", i)), "X-Forwarded-For", from(i))
		if a.StatusCode == http.StatusTooManyRequests {
			b.failed(a, http.StatusTooManyRequests, "too_many_requests")
			if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || after < 1 || after > 60 {
				b.t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
			}
			return looked
		}
		b.failed(a, http.StatusUnauthorized, "invalid_grant")
		looked++
	}
	return looked
}

// Somebody guesses passwords, from an address, from a network, in other forms of the address. The attempts end soon,
// and users at other addresses do not notice.
func TestAttackGuessedPasswords(t *testing.T) {
	b := newBooth(t)
	users := []string{"user alice " + hashOf(t, password), "user bob " + hashOf(t, "bobs")}
	b.runs(issuingFor(ownIssuer, append(users, appOf(orders))...), localGate())
	alice := func(int) string { return "alice" }
	six := newNetwork()
	four := newAddress()
	b.attack(t, "one user, one address", func(t *testing.T, b *booth, _ *attempt) {
		if n := b.guesses(50, fixed(four), alice); n < 2 || n > 6 {
			t.Errorf("%d guesses were looked at", n)
		}
		a := b.post(orders+"login", asJSONBody, signsIn(), "X-Forwarded-For", four)
		b.failed(a, http.StatusTooManyRequests, "too_many_requests") // the right one is not looked at either
		b.pairIn(b.post(orders+"login", asJSONBody, signsIn("bob", "bobs"), "X-Forwarded-For", four))
		b.login()
	})
	for name, try := range map[string]struct {
		from func(int) string
		user func(int) string
		most int // how many guesses are looked at
	}{
		"all users, one address":     {fixed(newAddress()), func(i int) string { return fmt.Sprint("user-", i) }, 12},
		"addresses of one network":   {func(i int) string { return fmt.Sprint(six, ":", i+1) }, alice, 6},
		"other forms of the address": {func(i int) string { return []string{four, "::ffff:" + four}[i%2] }, alice, 1},
		"with a port and a blank":    {func(i int) string { return " " + four + ":" + strconv.Itoa(i) }, alice, 1},
	} {
		b.attack(t, name, func(t *testing.T, b *booth, _ *attempt) {
			if n := b.guesses(50, try.from, try.user); n > try.most {
				t.Errorf("%d guesses were looked at", n)
			}
			b.login()
		})
	}
}

func fixed(text string) func(int) string { return func(int) string { return text } }

// newNetwork is the beginning of the addresses of an IPv6 /64 that nothing has come from yet.
func newNetwork() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	return fmt.Sprintf("2001:db8:%x:%x", uint16(b[0])<<8|uint16(b[1]), uint16(b[2])<<8|uint16(b[3]))
}

// A client says that it comes from another address each time. Without a trusted proxy nobody believes it.
func TestAttackSpoofedAddresses(t *testing.T) {
	b := newBooth(t)
	b.servers = "max_header_size 64KB" // no proxy is trusted
	b.runs(b.issuerOf(), localGate())
	b.attack(t, "X-Forwarded-For", func(t *testing.T, b *booth, _ *attempt) {
		each := func(int) string { return newAddress() }
		if n := b.guesses(50, each, func(i int) string { return fmt.Sprint("user-", i) }); n > 12 {
			t.Errorf("%d guesses were looked at", n)
		}
	})
}

// The password file loses a user who has a session, and has another hash of another one. Their sessions end at the next
// refresh. Other users go on.
func TestAttackARemovedUserRefreshes(t *testing.T) {
	b := newBooth(t)
	line := func(name, password string) string { return name + ":" + hashOf(t, password) + "\n" }
	alice, bob, carol := line("alice", password), line("bob", "bobs"), line("carol", "carols")
	file := writeFile(t, filepath.Join(t.TempDir(), "users"), alice+bob+carol)
	b.runs(issuingFor(ownIssuer, "users file "+file, appOf(orders, "grace 10s")), localGate())
	p, graced, other := b.login(), b.login(), b.loginAt(orders, signsIn("bob", "bobs"))
	changed := b.loginAt(orders, signsIn("carol", "carols"))
	b.refresh(graced)
	fresh := writeFile(t, file+".new", bob+line("carol", "new"))
	if err := os.Rename(fresh, file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is read again", func() bool { return b.logged("the users in the file have changed") })
	b.attack(t, "signs in and refreshes", func(_ *testing.T, b *booth, _ *attempt) {
		b.spent(p.Refresh)
		b.spent(graced.Refresh)
		b.spent(changed.Refresh)
		b.failed(b.post(orders+"login", asJSONBody, signsIn()), http.StatusUnauthorized, "invalid_grant")
	})
	b.refresh(other)
	if err := os.Rename(writeFile(t, file+".new", bob+"broken\n"), file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log says what is wrong", func() bool {
		return b.logged("the users file cannot be read again", "line 2")
	})
	b.loginAt(orders, signsIn("bob", "bobs"))
}

// Passwords and refresh tokens are in no log, trace, metric, store or file of keys, at the level DEBUG with the access
// log, whatever becomes of the requests. Nor are access tokens, hashes of passwords, and the private keys.
func TestAttackSecretsOfTheIssuerLeak(t *testing.T) {
	const wrong = "not-the-p4ssword-of-alice"
	b := newBooth(t)
	hash := hashOf(t, password)
	traces := collectTraces(t)
	whole := b.whole("tracing {\n\t\tspan gate\n\t}",
		issuingFor(ownIssuer, "user alice "+hash, appOf(orders, "grace 10s")), localGate())
	b.loadFile(whole + fmt.Sprintf("http://metrics.test {\n\tbind unix/%s\n\tmetrics\n}\n", b.site.socket))
	secrets := map[string]string{
		"the password": password, "the wrong password": wrong, "the hash": hash,
		"Basic":       base64.StdEncoding.EncodeToString([]byte("alice:" + password)),
		"wrong Basic": base64.StdEncoding.EncodeToString([]byte("alice:" + wrong)),
	}
	keep := func(what string, p grant) grant {
		secrets["an access token, "+what] = p.Access[strings.LastIndexByte(p.Access, '.')+1:]
		raw := string(unb64(t, p.Refresh))
		secrets["a refresh token, "+what] = p.Refresh
		secrets["the secret of a refresh token, "+what] = p.Refresh[22:] // in base64, without the handle
		secrets["the bytes of its secret, "+what], secrets["the bytes of its handle, "+what] = raw[16:], raw[:16]
		return p
	}
	first := keep("first", b.login())
	basic := keep("by Basic", b.pairIn(b.post(orders+"login", "", "", "Authorization", "Basic "+secrets["Basic"])))
	b.works(first.Access)
	second := keep("second", b.refresh(first))
	keep("by grace", b.refresh(first))
	third := keep("third", b.refresh(second))
	b.spent(first.Refresh) // ends it, with a line in the log
	b.spent(third.Refresh)
	b.post(orders+"login", asJSONBody, signsIn("alice", wrong))
	b.post(orders+"login", asJSONBody, `{"user":"alice","password":"`+wrong+`"`)
	b.post(orders+"login", asForm, "user=alice&password="+wrong)
	b.post(orders+"login", "", "", "Authorization", "Basic "+secrets["wrong Basic"])
	b.post(orders+"login", asJSONBody, signsIn("alice", wrong), "Authorization", "Basic "+secrets["wrong Basic"])
	b.post(orders+"refresh", asJSONBody, `{"refresh_token":"`+basic.Refresh+`"}`)
	b.post(orders+"refresh", "", "", "Authorization", "Bearer "+basic.Refresh)
	b.get(orders+"7", basic.Refresh)
	b.end("logout", basic.Refresh)
	last := keep("last", b.refresh(basic))
	b.end("logout", last.Access)
	b.command("", "revoke", "--issuer", ownIssuer, "--sub", "alice")

	metrics := b.at("metrics.test", "/metrics").body
	if !strings.Contains(metrics, "caddy_bearer_auth") {
		t.Errorf("metrics: %.200s", metrics)
	}
	stored, err := os.ReadFile(strings.TrimPrefix(b.store, "file "))
	if err != nil || !strings.Contains(string(stored), "alice") {
		t.Fatalf("the store: %d bytes, %v", len(stored), err)
	}
	keys, err := filepath.Glob(filepath.Join(filepath.Dir(b.site.socket), "bearer_auth", "issuer", "*", "keys.json"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%q, %v", keys, err)
	}
	keyFile, err := os.ReadFile(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(keys[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if !b.logged(`"level":"debug"`) || !b.logged(`"logger":"http.log.access`, "REDACTED") {
		t.Error("the log has less than it should")
	}
	eventually(t, "the traces have the requests", func() bool {
		return strings.Contains(traces(), orders+"login") && strings.Contains(traces(), orders+"logout")
	})
	b.attack(t, "found by a reader", func(t *testing.T, b *booth, _ *attempt) {
		for where, text := range map[string]string{
			"log": b.log(), "traces": traces(), "metrics": metrics, "store": string(stored), "keys": string(keyFile),
		} {
			for what, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%s has %s", where, what)
				}
				if len(secret) >= 40 && strings.Contains(text, secret[:len(secret)/2]) {
					t.Errorf("%s has the first half of %s", where, what)
				}
			}
		}
		log := b.log()
		for line := range strings.SplitSeq(string(keyFile), `"`) {
			if len(line) > 60 && strings.Contains(log+metrics, line) {
				t.Errorf("the log or the metrics have a part of the file of keys: %.20s…", line)
			}
		}
	})
}

// collectTraces has the tracing of Caddy send all spans to a collector, and returns what that has got.
func collectTraces(t *testing.T) func() string {
	t.Helper()
	var mu sync.Mutex
	var got []byte
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, body...)
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10") // milliseconds
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return string(got)
	}
}
