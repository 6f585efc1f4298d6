package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// What one Caddy revokes is revoked at another one within a second, while 200 requests a second come to that one.
func TestRevokedAtOneCaddyIsOutAtTheOther(t *testing.T) {
	long(t)
	redistest.Installed(t)
	key := tokentest.NewKey(t, "ES256", "")
	gate := revocableGate(issuerBlock(keptIssuer, pemOf(t, key)))
	o := sharedBy(t, redistest.Start(t))
	o.initialised(gate)
	o.loadFile(o.kept(o.caddyfile(gate)))
	other := o.elsewhere()
	other.runsElsewhere(other.kept(other.caddyfile(gate)))
	tokens := make([]string, 20)
	for i := range tokens {
		tokens[i] = key.Sign(t, issuedBy(keptIssuer, "sub", fmt.Sprint("user-", i)))
		o.turns(http.StatusOK, tokens[i])
		other.turns(http.StatusOK, tokens[i])
	}
	seen := &passing{revoked: make(map[string]time.Time), last: make(map[string]time.Time)}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); seen.under(other.site, tokens, 200, over) }()
	for i, token := range tokens {
		eventually(t, "requests come", func() bool { return seen.count() >= 40*(i+1) })
		o.revoke("issuer", keptIssuer, "sub", fmt.Sprint("user-", i))
		seen.acknowledged(token)
		o.allOut(token) // here at once
	}
	for _, token := range tokens {
		other.turns(http.StatusUnauthorized, token)
	}
	close(over)
	arrives(t, "all requests end", ended)
	bound := time.Second + seen.longest // a machine that is busy may hold up what has come already
	longest, late := seen.delays(bound)
	t.Logf("%d requests at the other Caddy: %d passed, %d were refused, %d had another end; the slowest took %v",
		seen.sent, seen.passed, seen.refused, seen.other, seen.longest)
	t.Logf("%d revocations; the last request with a revoked token that passed there began %v after the acknowledgement",
		len(tokens), max(0, longest))
	if late > 0 || seen.other > 0 {
		t.Errorf("%d tokens passed more than %v after they were revoked, and %d requests had another end", late, bound,
			seen.other)
	}
}

// Until a shared store is initialised, and while it is out of reach for longer than max_unsynced, no token that can be
// revoked passes. Status, metrics and log say so, and show no secret.
func TestSharedStoreOutOfReach(t *testing.T) {
	const password = "wachtwoord-4711"
	server := redistest.Start(t, "--appendonly", "yes", "--requirepass", password)
	key := tokentest.NewKey(t, "ES256", "")
	o := sharedBy(t, server, "max_unsynced 2s")
	gate := issuerBlock(keptIssuer, pemOf(t, key))
	good, bad := key.Sign(t, issuedBy(keptIssuer)), key.Sign(t, issuedBy(keptIssuer, "sub", "bob"))
	o.open(gate)
	o.turns(http.StatusServiceUnavailable, good)
	if out := o.command("", "store", "status"); !strings.Contains(out, "not in sync, and never was: ") ||
		!strings.Contains(out, "store redis://"+server.Address()+", shared by several Caddys\n") {
		t.Error(out)
	}
	if out := o.command("", "store", "init"); out != "the store is initialised\n" {
		t.Error(out)
	}
	if out := o.command("", "store", "init"); out != "the store was initialised before: nothing has changed\n" {
		t.Error(out)
	}
	o.turns(http.StatusOK, good)
	o.revoke("issuer", keptIssuer, "sub", "bob")
	o.out(bad)
	o.synced(true)

	server.Kill()
	o.turns(http.StatusServiceUnavailable, good)
	o.synced(false)
	a := o.asks(http.MethodPost, "/bearer_auth/store/init", "")
	if a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("init while it is out of reach: status %d, %s", a.StatusCode, a.body)
	}
	a = o.asks(http.MethodPost, revocationsPath, `{"issuer":"`+keptIssuer+`","sub":"carl"}`)
	if a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an order while it is out of reach: status %d, %s", a.StatusCode, a.body)
	}
	out := o.command("", "store", "status")
	if !strings.Contains(out, "not in sync since ") {
		t.Error(out)
	}
	server.Restart()
	o.turns(http.StatusOK, good)
	o.synced(true)
	o.out(bad)
	metrics := o.asks(http.MethodGet, "/metrics", "").body
	for _, result := range []string{"answered", "failed"} {
		series := `caddy_bearer_auth_store_seconds_count{result="` + result + `"} `
		if !strings.Contains(metrics, series) || strings.Contains(metrics, series+"0\n") {
			t.Errorf("no calls were counted as %s", result)
		}
	}
	text := o.log()
	for what, secret := range map[string]string{"the password": password, "the key": sealingKey} {
		if strings.Contains(text+out+a.body, secret) {
			t.Errorf("%s is in the log or in an answer", what)
		}
	}
	if n := strings.Count(text, `"msg":"the store has failed"`); n == 0 || n > 20 {
		t.Errorf("%d lines say that the store has failed", n)
	}
}

// synced waits until status and metrics say that the store is in sync, or that it is not.
func (o *office) synced(want bool) {
	o.t.Helper()
	line := "caddy_bearer_auth_store_in_sync " + map[bool]string{true: "1", false: "0"}[want] + "\n"
	eventually(o.t, line, func() bool {
		var status struct {
			InSync bool     `json:"in_sync"`
			Age    *float64 `json:"age_seconds"`
			Shared bool
		}
		a := o.asks(http.MethodGet, "/bearer_auth/store", "")
		if err := json.Unmarshal([]byte(a.body), &status); err != nil || !status.Shared || status.Age == nil {
			o.t.Fatalf("%s: %v", a.body, err)
		}
		metrics := o.asks(http.MethodGet, "/metrics", "").body
		return status.InSync == want && strings.Contains(metrics, line) &&
			strings.Contains(metrics, "\ncaddy_bearer_auth_store_sync_age_seconds ")
	})
}

// With on_unsynced accept, what this Caddy knows counts while the store is out of reach, and at a start without it too.
func TestOnUnsyncedAccept(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes")
	key := tokentest.NewKey(t, "ES256", "")
	o := sharedBy(t, server, "max_unsynced 2s", "on_unsynced accept")
	gate := issuerBlock(keptIssuer, pemOf(t, key))
	good, bad := key.Sign(t, issuedBy(keptIssuer)), key.Sign(t, issuedBy(keptIssuer, "sub", "bob"))
	o.initialised(revocableGate(gate))
	o.open(gate)
	if !o.logged(`"level":"warn"`, "on_unsynced is accept") {
		t.Error("there is no warning")
	}
	o.turns(http.StatusOK, good)
	o.revoke("issuer", keptIssuer, "sub", "bob")
	o.out(bad)
	server.Kill()
	eventually(t, "max_unsynced is over", func() bool {
		var status struct {
			Age float64 `json:"age_seconds"`
		}
		body := o.asks(http.MethodGet, "/bearer_auth/store", "").body
		return json.Unmarshal([]byte(body), &status) == nil && status.Age > 2.5
	})
	o.good(good)
	o.out(bad)
	o.open(gate, "realm another") // the same store
	o.good(good)
	o.out(bad)
	server.Restart()
	o.synced(true)
	o.good(good)
	o.out(bad)
}

// Orders for a shared store can be carried out by the command while its Caddy is stopped, or by another one.
func TestRevokeInASharedStoreByCommand(t *testing.T) {
	server := redistest.Start(t)
	key := tokentest.NewKey(t, "ES256", "")
	o := sharedBy(t, server)
	gate := revocableGate(issuerBlock(keptIssuer, pemOf(t, key)))
	config := newFile(t, "Caddyfile", o.kept(o.caddyfile(gate)))
	at := func(args ...string) (string, error) { return bearerAuth("", append(args, "--config", config)...) }
	out, err := at("revoke", "--issuer", keptIssuer, "--sub", "bob")
	if err == nil || !strings.Contains(err.Error(), "is not in sync: ") || !strings.Contains(err.Error(), "store init") {
		t.Errorf("before it is initialised: %v\n%s", err, out)
	}
	for _, args := range [][]string{
		{"store", "init"}, {"revoke", "--issuer", keptIssuer, "--sub", "bob"}, {"revocations"}, {"store", "status"},
	} {
		out, err := at(args...)
		if err != nil || !strings.Contains(out, "opened the store itself: redis://"+server.Address()+"\n") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
	o.runs(config)
	token := key.Sign(t, issuedBy(keptIssuer, "sub", "bob"))
	o.turns(http.StatusUnauthorized, token)
	if out, err := at("store", "status"); err != nil || !strings.Contains(out, "1 revocation\nin sync\n") {
		t.Errorf("while Caddy runs: %v\n%s", err, out)
	}
	server.Kill()
	if out, err := at("store", "init"); err == nil || !strings.Contains(err.Error(), "out of reach") {
		t.Errorf("without the server: %v\n%s", err, out)
	}
}

// What cannot be read in the store may have been any revocation. No token passes then, whatever on_unsynced says.
func TestSharedStoreThatIsDamaged(t *testing.T) {
	server := redistest.Start(t)
	key := tokentest.NewKey(t, "ES256", "")
	o := sharedBy(t, server, "max_unsynced 2s", "on_unsynced accept")
	gate := issuerBlock(keptIssuer, pemOf(t, key))
	token := key.Sign(t, issuedBy(keptIssuer))
	o.initialised(revocableGate(gate))
	o.open(gate)
	o.turns(http.StatusOK, token)
	for name := range strings.Lines(server.Do("KEYS", "{bearer_auth}:*")) {
		if name = strings.TrimSpace(name); server.Do("TYPE", name) == "string" {
			server.Do("SETRANGE", name, "40", "damaged")
		}
	}
	o.turns(http.StatusServiceUnavailable, token)
	if !o.logged(`"msg":"the store has failed"`, "damage") {
		t.Error("the log does not say that the store is damaged")
	}
}

// A server that takes no writes may have been replaced by another one. One whose memory is full is still believed.
func TestSharedStoreThatTakesNoWrites(t *testing.T) {
	server := redistest.Start(t)
	key := tokentest.NewKey(t, "ES256", "")
	gate := revocableGate(issuerBlock(keptIssuer, pemOf(t, key)))
	o := sharedBy(t, server, "max_unsynced 2s")
	o.initialised(gate)
	o.loadFile(o.kept(o.caddyfile(gate)))
	good := key.Sign(t, issuedBy(keptIssuer))
	o.turns(http.StatusOK, good)
	order := `{"issuer":"` + keptIssuer + `","sub":"bob"}`
	server.Do("CONFIG", "SET", "maxmemory", "1")
	a := o.asks(http.MethodPost, revocationsPath, order)
	if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, "raise maxmemory") {
		t.Errorf("a full memory: status %d, %s", a.StatusCode, a.body)
	}
	o.synced(true)
	o.good(good)
	server.Do("CONFIG", "SET", "maxmemory", "0")
	server.Do("CONFIG", "SET", "min-replicas-to-write", "1")
	o.turns(http.StatusServiceUnavailable, good)
	server.Do("CONFIG", "SET", "min-replicas-to-write", "0")
	o.turns(http.StatusOK, good)
}

// The rights that the manual gives the user of the server are enough.
func TestRightsAtTheServerAreThoseOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/revocation.md")
	if err != nil {
		t.Fatal(err)
	}
	rights := regexp.MustCompile(`(?m)^ACL SETUSER gate .*$`).FindString(string(manual))
	if rights == "" {
		t.Fatal("docs/revocation.md has no rights")
	}
	server := redistest.Start(t)
	server.Do(strings.Fields(rights)...)
	key := tokentest.NewKey(t, "ES256", "")
	gate := revocableGate(issuerBlock(keptIssuer, pemOf(t, key)))
	o := newOffice(t)
	o.store = "redis redis://gate:the-password@" + server.Address() + "/1 {\nkey " + sealingKey + "\n}"
	o.initialised(gate)
	o.loadFile(o.kept(o.caddyfile(gate)))
	token := key.Sign(t, issuedBy(keptIssuer))
	o.turns(http.StatusOK, token)
	o.revoke("issuer", keptIssuer, "sub", "alice")
	o.out(token)
	o.restore("issuer", keptIssuer, "sub", "alice")
	o.good(token)
	o.synced(true)
}
