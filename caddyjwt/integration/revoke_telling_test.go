package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Metrics say how many revocations there are, and what has become of those that were to be written.
func TestMetricsCountRevocations(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := newOffice(t)
	o.measured(issuer)
	before := o.scrape()
	families := "revocations revocation_writes_total"
	written := `revocation_writes_total{result="written"}`
	before.counted(t, "revocations", scraped{"revocations": 0})
	for _, sub := range []string{"a", "b", "c"} {
		o.revoke("issuer", keptIssuer, "sub", sub)
	}
	o.revoke("issuer", keptIssuer, "sub", "d", "dry_run", true)
	o.restore("issuer", keptIssuer, "sub", "c")
	o.asks(http.MethodPost, revocationsPath, `{}`)
	o.scrape().since(before).counted(t, families, scraped{"revocations": 2, written: 4})
	token := key.Sign(t, issuedBy(keptIssuer, "sub", "a"))
	o.out(token, token)
	if n := o.scrape().since(before)[requests("refused", "revoked")]; n != 2 {
		t.Errorf("counted %v refused requests, want 2", n)
	}
	o.measured(issuer, "realm another")
	o.scrape().since(before).counted(t, families, scraped{"revocations": 2, written: 4})
	o.store = "memory"
	o.measured(issuer)
	o.scrape().since(before).counted(t, families, scraped{written: 4})
	o.store = ""
	o.measured(issuer)
	o.scrape().counted(t, families, scraped{})
}

// withRevocationEvents is the Caddyfile of an office with a recorder for the events about revocations.
func (o *office) withRevocationEvents(recorder, caddyfile string) string {
	return strings.Replace(o.kept(caddyfile), "admin unix", "events {\n\ton bearer_auth_revoked gate_recorder "+recorder+
		"\n\ton bearer_auth_unrevoked gate_recorder "+recorder+"\n\t}\n\tadmin unix", 1)
}

// Event handlers and the log learn of each revocation: whose tokens, which, by whom and why. The token is nowhere.
func TestRevocationsAreToldAndAudited(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	for len(events) > 0 {
		<-events
	}
	gate := revocableGate(consumerAlice(t), issuerBlock(keptIssuer, pemOf(t, key), "revocation claim groups"))
	o.loadFile(o.withRevocationEvents("a", o.caddyfile(gate)))
	with := key.Sign(t, issuedBy(keptIssuer, "jti", "number-1"))
	without := key.Sign(t, issuedBy(keptIssuer, "sub", "nobody"))
	opaque := "opaque-0123456789-0123456789-0123456789"
	next := func(name string, pairs ...string) {
		t.Helper()
		e := arrives(t, "an event", events)
		if e.by != "a" || e.name != name || e.origin != "bearer_auth" {
			t.Errorf("event %+v, want %s", e, name)
		}
		wantData(t, e.data, pairs...)
	}
	audited := func(message string, pairs ...string) {
		t.Helper()
		texts := []string{`"logger":"bearer_auth"`, `"msg":"` + message + `"`}
		for i := 0; i < len(pairs); i += 2 {
			texts = append(texts, fmt.Sprintf("%q:%q", pairs[i], pairs[i+1]))
		}
		if !o.logged(texts...) {
			t.Errorf("no line of the log has %q", texts)
		}
	}
	for _, c := range []struct {
		order m
		told  []string
	}{
		{m{"token": with}, []string{"issuer", keptIssuer, "by", "jti", "value", "number-1"}},
		{m{"token": without}, []string{"issuer", keptIssuer, "by", "token"}},
		{m{"issuer": keptIssuer, "token": opaque}, []string{"issuer", keptIssuer, "by", "token"}},
		{m{"issuer": keptIssuer, "sub": "zoe"}, []string{"issuer", keptIssuer, "by", "sub", "value", "zoe"}},
		{m{"issuer": keptIssuer, "claim": "groups", "value": "x"}, []string{"by", "claim", "claim", "/groups", "value", "x"}},
		{m{"consumer": "alice"}, []string{"consumer", "alice", "by", "all"}},
	} {
		c.order["author"], c.order["reason"] = "ada", "lost \"phone\""
		told := append(c.told, "author", "ada", "reason", `lost "phone"`)
		o.orders(http.MethodPost, c.order)
		next("bearer_auth_revoked", told...)
		audited("tokens revoked", told...)
		o.orders(http.MethodDelete, c.order)
		next("bearer_auth_unrevoked", told...)
		audited("revocation taken back", told...)
	}
	o.revoke("issuer", keptIssuer, "sub", "zoe", "dry_run", true)
	o.asks(http.MethodPost, revocationsPath, `{"token":"`+with+`","sub":"zoe"}`)
	o.asks(http.MethodPost, revocationsPath, `{"token":"`+with+`","dry_run":`)
	o.asks(http.MethodPost, revocationsPath, `{"token":"`+with+` ","issuer":7}`)
	noEvent(t)
	o.revoke("token", with)
	o.out(with)
	list := o.asks(http.MethodGet, revocationsPath, "").body
	for _, token := range []string{with, without, opaque} {
		for _, piece := range append(pieces(token), token) {
			if strings.Contains(o.log(), piece) || strings.Contains(list, piece) {
				t.Errorf("a part of the token is in the log or in the list: %s", piece)
			}
		}
	}
}

// A handler of the event may load another configuration, as "caddy reload" does, and wait for it.
func TestRevocationEventsMayReload(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	gate := revocableGate(issuerBlock(keptIssuer, pemOf(t, key)))
	o := newOffice(t)
	react := func() {
		if err := o.tryLoad(o.kept(o.caddyfile(gate))); err != nil {
			t.Error(err)
		}
	}
	eventReaction.Store(&react)
	o.loadFile(strings.Replace(o.kept(o.caddyfile(gate)), "admin unix",
		"events {\n\ton bearer_auth_revoked gate_reaction\n\t}\n\tadmin unix", 1))
	o.revoke("issuer", keptIssuer)
	o.inForce()
	o.out(key.Sign(t, issuedBy(keptIssuer)))
}

// The log says that a store in memory forgets, and which store is open.
func TestStoreIsAnnounced(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	issuer := issuerBlock(keptIssuer, pemOf(t, key))
	o := openOffice(t, issuer)
	if !o.logged(`"msg":"store is open"`, strings.TrimPrefix(o.store, "file "), `"revocations":0`) {
		t.Error("the log does not say which store is open")
	}
	if o.logged("the store is in memory") {
		t.Error("the log says that the store is in memory")
	}
	o.store = "memory"
	o.open(issuer)
	if !o.logged(`"level":"warn"`, "the store is in memory: when Caddy stops, revoked tokens are good again") {
		t.Error("the log does not say that the store forgets")
	}
}

// Without a path, the store is in Caddy's data directory. Tokens that can be revoked need max_lifetime.
func TestStoreSettings(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := newOffice(t)
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	o.store = "file"
	o.open(issuerBlock(keptIssuer, pemOf(t, key)))
	if path := caddy.AppDataDir() + "/bearer_auth/store.db"; !o.logged(`"msg":"store is open"`, path) {
		t.Errorf("the store is not in %s", path)
	}
	for gate, text := range map[string]string{
		gateForAudience(issuerBlock(keptIssuer, pemOf(t, key))):                         "max_lifetime",
		gateForAudience(consumerAlice(t)):                                               "max_lifetime",
		gateForAudience(issuerBlock(keptIssuer, pemOf(t, key), "revocation")):           "revocation",
		gateForAudience(issuerBlock(keptIssuer, pemOf(t, key), "revocation on")):        "revocation",
		revocableGate(issuerBlock(keptIssuer, pemOf(t, key), "revocation claim /~x")):   "claim",
		revocableGate(issuerBlock(keptIssuer, pemOf(t, key), "revocation claim sub a")): "",
		gateForAudience(issuerBlock(keptIssuer, pemOf(t, key), "revocation off")):       "",
	} {
		err := o.tryLoad(o.kept(o.caddyfile(gate)))
		if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%s\n%v; want %q", gate, err, text)
		}
	}
	for store, text := range map[string]string{
		"": "memory", "disk": "memory", "memory /x": "memory", "file a b": "file",
		"file {env.NOT_SET_ANYWHERE}": "NOT_SET_ANYWHERE",
	} {
		sub := *o
		sub.store = store + " "
		if err := o.tryLoad(sub.kept(o.caddyfile(revocableGate(consumerAlice(t))))); err == nil ||
			!strings.Contains(err.Error(), text) {
			t.Errorf("store %s: %v; want %q", store, err, text)
		}
	}
}

// The time in the answer is what counts: now, if the order has none.
func TestRevokeAnswer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	o := openOffice(t, issuerBlock(keptIssuer, pemOf(t, key), "leeway 10s"))
	began := time.Now().Truncate(time.Millisecond)
	a := o.asks(http.MethodPost, revocationsPath, `{"issuer":"`+keptIssuer+`","sub":"zoe","author":"a","reason":"b"}`)
	var got struct {
		Revoked struct {
			Issuer, By, Value, Author, Reason string
			NotAfter                          time.Time `json:"not_after"`
			Expires, At                       time.Time
		}
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	r := got.Revoked
	if r.Issuer != keptIssuer || r.By != "sub" || r.Value != "zoe" || r.Author != "a" || r.Reason != "b" {
		t.Errorf("%s", a.body)
	}
	if r.NotAfter.Before(began) || r.NotAfter.After(time.Now()) || !r.At.Equal(r.NotAfter) {
		t.Errorf("not_after %v, at %v", r.NotAfter, r.At)
	}
	// The longest life of a token, the leeway twice, and a minute.
	if kept := r.Expires.Sub(r.NotAfter); kept < time.Hour+80*time.Second || kept > time.Hour+82*time.Second {
		t.Errorf("it is kept for %v", kept)
	}
}
