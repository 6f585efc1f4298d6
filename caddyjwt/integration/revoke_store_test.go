package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Caddy is killed while revocations are written. Each one that was acknowledged is in force after the restart.
func TestRevokedTokensStayRevokedAfterKill9(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	token := func(jti string) string { return key.Sign(t, issuedBy(keptIssuer, "jti", jti)) }
	caddyfile := o.kept(o.caddyfile(revocableGate(issuerBlock(keptIssuer, pemOf(t, key)))))
	var acknowledged []string
	for round := range 3 {
		kill := o.runsElsewhere(caddyfile)
		o.good(token("good"))
		for _, jti := range acknowledged {
			o.allOut(token(jti))
		}
		var mu sync.Mutex
		var writers sync.WaitGroup
		enough, once := make(chan struct{}), sync.Once{}
		count := 0
		for writer := range 4 {
			writers.Go(func() {
				for i := 0; ; i++ {
					jti := fmt.Sprintf("%d-%d-%d", round, writer, i)
					if !o.acknowledges(orderOf("issuer", keptIssuer, "jti", jti)) {
						return
					}
					mu.Lock()
					acknowledged = append(acknowledged, jti)
					if count++; count >= 20 {
						once.Do(func() { close(enough) })
					}
					mu.Unlock()
				}
			})
		}
		arrives(t, "revocations are acknowledged", enough)
		kill()
		writers.Wait()
		t.Logf("round %d: killed after %d acknowledged revocations", round+1, count)
	}
	o.runsElsewhere(caddyfile)
	o.good(token("good"))
	for _, jti := range acknowledged {
		o.allOut(token(jti))
	}
	t.Logf("%d of %d acknowledged revocations are in force", len(acknowledged), len(acknowledged))
}

// acknowledges reports whether an order was carried out. The Caddy may end meanwhile.
func (o *office) acknowledges(order m) bool {
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, "http://127.0.0.1"+revocationsPath,
		strings.NewReader(asJSON(o.t, order)))
	if err != nil {
		return false
	}
	response, err := o.admin.Do(r)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// A reload that keeps the store refuses nobody who is good, and lets no revoked token pass, at any moment.
func TestReloadKeepsTheStoreOpen(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := openOffice(t, issuer)
	good, bad := key.Sign(t, issuedBy(keptIssuer)), key.Sign(t, issuedBy(keptIssuer, "sub", "bob"))
	o.good(good, bad)
	o.revoke("issuer", keptIssuer, "sub", "bob")
	passes := o.send(150, func() string { return good })
	refused := o.send(150, func() string { return bad })
	for i := range 10 {
		passes.after(t, 10)
		o.open(issuer, fmt.Sprint("realm number-", i))
	}
	passes.after(t, 10)
	passes.allPassed(t)
	close(refused.stop)
	<-refused.done
	if n := refused.bad["status 401"]; int64(n) != refused.sent.Load() {
		t.Errorf("%d requests with a revoked token: %v", refused.sent.Load(), refused.bad)
	}
	o.drain()
	o.out(bad)
}

// What is revoked is in the store that the configuration names, and nowhere else.
func TestReloadChangesTheStore(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := openOffice(t, issuer)
	first := o.store
	token := key.Sign(t, issuedBy(keptIssuer))
	o.revoke("issuer", keptIssuer)
	o.out(token)

	o.store = ""
	o.open(issuer)
	o.good(token)
	if a := o.asks(http.MethodPost, revocationsPath, `{"issuer":"`+keptIssuer+`"}`); a.StatusCode != http.StatusNotFound {
		t.Errorf("without a store: status %d, %s", a.StatusCode, a.body)
	}

	o.store = "file " + storeFile(t)
	o.open(issuer)
	o.good(token)
	o.revoke("issuer", keptIssuer, "sub", "alice")
	o.out(token)

	o.store = "memory"
	o.open(issuer)
	o.good(token)
	o.revoke("issuer", keptIssuer)
	o.open(issuer, "realm another")
	o.out(token)

	o.store = first
	o.open(issuer)
	o.out(token)
	if list := o.listed(""); len(list) != 1 || list[0] != keptIssuer+" all" {
		t.Errorf("listed: %q", list)
	}
}

// Orders come while configurations fail to start, whatever store they name. All that were acknowledged are in force.
func TestReloadThatFailsLeavesTheStore(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := openOffice(t, issuer)
	token := func(i int) string { return key.Sign(t, issuedBy(keptIssuer, "jti", fmt.Sprint(i))) }
	o.good(token(-1))
	first, written, over := o.store, make(chan int), make(chan struct{})
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-over:
				written <- n
				return
			default:
			}
			for !o.acknowledges(orderOf("issuer", keptIssuer, "jti", fmt.Sprint(n))) { // the endpoint is replaced meanwhile
			}
		}
	}()
	for i := range 24 { // Caddy starts apps in no fixed order
		o.store = []string{first, "file " + storeFile(t), "memory", ""}[i%4]
		if err := o.tryLoad(o.kept(o.caddyfile(revocableGate(issuer)) + deadSite)); err == nil {
			t.Fatal("a site that cannot listen was loaded")
		}
	}
	close(over)
	n := arrives(t, "the last order is carried out", written)
	o.store = first
	o.good(token(-1))
	for i := range n {
		o.allOut(token(i))
	}
	t.Logf("%d orders were acknowledged meanwhile", n)
	if len(o.listed("")) != n {
		t.Errorf("%d orders, listed are %d", n, len(o.listed("")))
	}
}

// Another Caddy that is to use the same file says so, and ends.
func TestSecondCaddyWithTheSameStore(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key)))
	other := newFile(t, "Caddyfile", "{\nadmin off\npersist_config off\nbearer_auth {\nstore "+o.store+"\n}\n}\n"+
		"http://other.test {\nbind unix/"+filepath.Join(filepath.Dir(o.socket), "b")+"\n"+
		revocableGate(issuerBlock(keptIssuer, pemOf(t, key)))+"\n}\n")
	command, output := caddyCommand(t, "run", "--config", other, "--adapter", "caddyfile")
	err := command.Run()
	path := strings.TrimPrefix(o.store, "file ")
	if err == nil || !strings.Contains(output.String(), "another process uses the store in "+path) {
		t.Errorf("%v\n%s", err, output)
	}
	t.Logf("it says: %s", output.String()[strings.LastIndex(strings.TrimSpace(output.String()), "\n")+1:])
	o.good(key.Sign(t, issuedBy(keptIssuer)))
	o.revoke("issuer", keptIssuer)
	o.out(key.Sign(t, issuedBy(keptIssuer)))
}

// "caddy validate" and "caddy adapt" open no store: neither one that another Caddy uses, nor one that does not exist.
func TestValidateOpensNoStore(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := openOffice(t, issuer)
	for _, command := range []string{"validate", "adapt"} {
		for _, store := range []string{o.store, "file " + storeFile(t), "file /does/not/exist/store.db", "memory", "file"} {
			other := *o
			other.store = store
			path := newFile(t, "Caddyfile", other.kept(o.caddyfile(revocableGate(issuer))))
			command, output := caddyCommand(t, command, "--config", path, "--adapter", "caddyfile")
			if err := command.Run(); err != nil {
				t.Errorf("%s: %v\n%s", store, err, output)
			}
			if _, err := os.Stat(strings.TrimPrefix(store, "file ")); store != o.store && err == nil {
				t.Errorf("%s is there now", store)
			}
		}
	}
	o.revoke("issuer", keptIssuer)
	o.out(key.Sign(t, issuedBy(keptIssuer)))
}

// damaged is an office whose store was damaged while it was open. The token with the jti "1" was revoked before. whole
// is what the file had.
func damaged(t *testing.T) (o *office, token func(jti string) string, issuer, whole string) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer = issuerBlock(keptIssuer, pemOf(t, key))
	o = openOffice(t, issuer)
	token = func(jti string) string { return key.Sign(t, issuedBy(keptIssuer, "jti", jti)) }
	o.revoke("issuer", keptIssuer, "jti", "1")
	path := strings.TrimPrefix(o.store, "file ")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.Truncate(path, 4096)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a := o.asks(http.MethodPost, revocationsPath, asJSON(t, m{"issuer": keptIssuer, "jti": "2"}))
		if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, path) {
			t.Errorf("status %d, %s", a.StatusCode, a.body)
		}
	}
	if !o.logged(`"msg":"revocation failed"`, `"value":"2"`) {
		t.Error("the log does not say that the order failed")
	}
	o.out(token("1"))
	o.good(token("2"))
	return o, token, issuer, string(text)
}

// A store that is damaged takes no order, and no configuration loads with it. What was revoked stays revoked.
func TestDamagedStoreIsNotLoaded(t *testing.T) {
	o, token, issuer, _ := damaged(t)
	err := o.tryLoad(o.kept(o.caddyfile(revocableGate(issuer))))
	if err == nil || !strings.Contains(err.Error(), "bearer_auth app module: start: store file: the store in ") ||
		!strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a store that is damaged: %v", err)
	}
	o.out(token("1"))
	o.good(token("2"))
}

// When the file is good again, loading the configuration opens it.
func TestReloadMendsAStoreThatHasFailed(t *testing.T) {
	o, token, issuer, whole := damaged(t)
	writeFile(t, strings.TrimPrefix(o.store, "file "), whole)
	for _, realm := range []string{"realm one", "realm two"} {
		o.open(issuer, realm)
		o.out(token("1"))
		o.good(token("2"))
		o.revoke("issuer", keptIssuer, "jti", realm)
		o.out(token(realm))
	}
	o.revoke("issuer", keptIssuer, "jti", "2")
	o.out(token("1"), token("2"))
	if list := o.listed(""); len(list) != 4 {
		t.Errorf("listed: %q", list)
	}
}
