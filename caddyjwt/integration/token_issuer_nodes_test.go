package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// turnsOut waits until the gate refuses an access token, and gives how long that took.
func (b *booth) turnsOut(access string) time.Duration {
	b.t.Helper()
	took := eventually(b.t, "the token is out", func() bool {
		status, err := b.statusOf(access)
		return err == nil && status == http.StatusUnauthorized
	})
	b.drain()
	return took
}

// Two Caddys share a store and the storage. A session begins at one and goes on at the other. What ends at one is
// refused there at once, and at the other within a second.
func TestTwoCaddysHaveTheSameSessions(t *testing.T) {
	long(t)
	redistest.Installed(t)
	here := boothOf(sharedBy(t, redistest.Start(t)))
	directives := []string{here.issuerOf("access_lifetime 5m"), localGate()}
	here.initialised(strings.Join(directives, "\n"))
	here.runs(directives...)
	there := boothOf(here.elsewhere())
	there.runsElsewhere(strings.Replace(there.whole(directives...), "storage file_system "+filepath.Dir(there.site.socket),
		"storage file_system "+filepath.Dir(here.site.socket), 1))
	eventually(t, "both are in sync", func() bool {
		a := here.post(orders+"login", asJSONBody, signsIn())
		b := there.post(orders+"login", asJSONBody, signsIn())
		return a.StatusCode == http.StatusOK && b.StatusCode == http.StatusOK
	})
	at := []*booth{here, there}
	var longest time.Duration
	outSoon := func(b *booth, access string) {
		t.Helper()
		longest = max(longest, b.turnsOut(access))
	}
	p := here.login()
	for i := range 6 { // here and there in turn
		one, other := at[i%2], at[(i+1)%2]
		one.works(p.Access)
		other.works(p.Access)
		next := other.refresh(p)
		other.isOut(p.Access, "revoked")
		outSoon(one, p.Access)
		one.works(next.Access)
		p = next
	}
	here.spent(p.Access)
	for _, address := range []string{"logout", "revoke"} {
		q := there.login()
		here.works(q.Access)
		if status := here.end(address, q.Access); status != http.StatusNoContent {
			t.Fatalf("%s: status %d", address, status)
		}
		here.isOut(q.Access, "revoked")
		there.spent(q.Refresh)
		outSoon(there, q.Access)
	}
	old := there.login()
	next := here.refresh(old)
	there.spent(old.Refresh) // for the second time, at the other one
	there.isOut(next.Access, "revoked")
	outSoon(here, next.Access)
	here.spent(next.Refresh)
	t.Logf("out at the other one after at most %v", longest)
	if longest > 10*time.Second { // a second, and a machine that is busy
		t.Errorf("out at the other one only after %v", longest)
	}
}

// After a restart sessions go on, what was revoked stays so, and the keys are the same.
func TestSessionsAndKeysOutliveARestart(t *testing.T) {
	b := newBooth(t)
	directives := []string{b.issuerOf(), localGate()}
	b.runs(directives...)
	on, ended, refreshed := b.login(), b.login(), b.login()
	if status := b.end("logout", ended.Access); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	next := b.refresh(refreshed)
	keys := b.get("/.well-known/jwks.json", "").body
	b.restartFile(b.whole(directives...))
	if again := b.get("/.well-known/jwks.json", "").body; again != keys || strings.Count(keys, `"kid"`) != 2 {
		t.Errorf("keys %s, before %s", again, keys)
	}
	b.works(on.Access)
	b.works(next.Access)
	b.isOut(ended.Access, "revoked")
	b.isOut(refreshed.Access, "revoked")
	b.spent(ended.Refresh)
	b.refresh(next)
	b.works(b.refresh(on).Access)
}

// Two issuers of one Caddy have keys, users and sessions of their own. A gate can take tokens of both.
func TestTwoIssuersInOneCaddy(t *testing.T) {
	const second = "https://second.example"
	b := newBooth(t)
	b.runs(b.issuerOf(), issuingFor(second, "user alice "+hashOf(t, "other"), appOf("/api/stock/")),
		gateForAudience(issuerBlock(ownIssuer, "keys local"), issuerBlock(second, "keys local")))
	one, two := b.login(), b.loginAt("/api/stock/", signsIn("alice", "other"))
	b.works(one.Access)
	b.passed(b.get("/api/stock/7", two.Access))
	b.failed(b.post("/api/stock/login", asJSONBody, signsIn()), http.StatusUnauthorized, "invalid_grant")
	b.refused(b.get("/api/stock/7", one.Access), http.StatusUnauthorized, "invalid_audience")
	b.refused(b.get(orders+"7", two.Access), http.StatusUnauthorized, "invalid_audience")
	b.revoke("issuer", second, "sub", "alice")
	b.works(one.Access)
	b.refused(b.get("/api/stock/7", two.Access), http.StatusUnauthorized, "revoked")
	b.failed(b.post("/api/stock/refresh", asJSONBody, refreshes(two.Refresh)), http.StatusUnauthorized, "invalid_grant")
	b.refresh(one)
}

// Caddy makes gates and issuers in the order of the routes. A gate can come first.
func TestAGateMayComeBeforeItsIssuer(t *testing.T) {
	b := newBooth(t)
	for name, order := range map[string][]string{
		"the issuer first": {b.issuerOf(), localGate()},
		"the gate first":   {strings.Replace(localGate(), "bearer_auth", "bearer_auth "+orders+"7", 1), b.issuerOf()},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.in(t)
			b.runs("route {\n" + strings.Join(order, "\n") + "\n}")
			p := b.login()
			b.works(p.Access)
			b.end("logout", p.Access)
			b.isOut(p.Access, "revoked")
		})
	}
}

// Several sites and servers import the same block: it is one issuer.
func TestSeveralSitesHaveTheSameIssuer(t *testing.T) {
	b := newBooth(t)
	second := filepath.Join(filepath.Dir(b.site.socket), "t")
	lines := []string{b.issuerOf(), localGate()}
	elsewhere := strings.Replace(b.siteOf("http://third.test", lines...), "unix/"+b.site.socket, "unix/"+second, 1)
	here := []string{b.siteOf("http://gate.test", lines...), b.siteOf("http://second.test", lines...)}
	b.loadFile(b.with(b.sites(append(here, elsewhere)...)))
	at := func(host string) *booth {
		other := b.in(t)
		other.base = host
		if host == "http://third.test" {
			other.client = &http.Client{Transport: adminAt(second).Transport, Timeout: patience}
		}
		return other
	}
	for _, login := range []string{"http://gate.test", "http://second.test"} {
		for _, host := range []string{"http://second.test", "http://gate.test", "http://third.test"} {
			p := at(login).login()
			at(host).works(p.Access)
			next := at(host).refresh(p)
			at(login).isOut(p.Access, "revoked")
			if status := at(login).end("logout", next.Access); status != http.StatusNoContent {
				t.Errorf("status %d", status)
			}
			at(host).isOut(next.Access, "revoked")
		}
	}
}

// Without a store in the global option there is the default one, for tokens of this Caddy alone: another issuer of the
// same gate needs no max_lifetime, and its tokens pass without the store.
func TestTheDefaultStoreIsForOwnTokensAlone(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	key := tokentest.NewKey(t, "ES256", "")
	b := newBooth(t)
	b.store = ""
	b.runs(b.issuerOf(), localGate(issuerBlock(keptIssuer, pemOf(t, key))))
	if files, _ := filepath.Glob(filepath.Join(data, "caddy", "bearer_auth", "store.db")); len(files) != 1 {
		t.Errorf("stores %q", files)
	}
	p, foreign := b.login(), key.Sign(t, issuedBy(keptIssuer))
	b.works(p.Access)
	b.works(foreign)
	b.end("logout", p.Access)
	b.isOut(p.Access, "revoked")
	b.works(foreign)
	a := b.asks(http.MethodPost, revocationsPath, asJSON(t, orderOf("issuer", keptIssuer, "sub", "alice")))
	if a.StatusCode != http.StatusBadRequest {
		t.Errorf("revoked for another issuer: status %d, %s", a.StatusCode, a.body)
	}
	q := b.login()
	b.revoke("issuer", ownIssuer, "sub", "alice")
	b.isOut(q.Access, "revoked")
	b.works(foreign)
}

// A configuration can be validated beside a Caddy that runs with it.
func TestValidateBesideARunningCaddy(t *testing.T) {
	b := newBooth(t)
	whole := b.whole(b.issuerOf(), localGate())
	b.loadFile(whole)
	p := b.login()
	command, output := caddyCommand(t, "validate", "--config", newFile(t, "Caddyfile", whole), "--adapter", "caddyfile")
	if err := command.Run(); err != nil || !strings.Contains(output.String(), "Valid configuration") {
		t.Errorf("%v\n%s", err, output)
	}
	b.works(b.refresh(p).Access)
}
