package integration

import (
	"strings"
	"testing"
	"time"
)

// Operators hear of what clients and they themselves have ended, by events.
func TestEventsOfATokenIssuer(t *testing.T) {
	b := newBooth(t)
	var lines []string
	for _, name := range []string{"client_revoked", "session_ended", "keys_rotated", "keys_reset", "reused"} {
		lines = append(lines, "on token_issuer_"+name+" gate_recorder issuer")
	}
	b.loadFile(strings.Replace(b.whole(b.issuerWith(b.billing(), b.asker()), localGate()), "persist_config off",
		"persist_config off\n\tevents {\n\t\t"+strings.Join(lines, "\n\t\t")+"\n\t}", 1))
	next := func(name string, pairs ...string) {
		t.Helper()
		select {
		case e := <-events:
			if e.name != "token_issuer_"+name || e.origin != "http.handlers.token_issuer" {
				t.Errorf("event %+v, want %s", e, name)
			}
			wantData(t, e.data, append(pairs, "issuer", ownIssuer)...)
		case <-time.After(patience):
			t.Fatalf("no event %s", name)
		}
	}
	token := b.tokenOf("billing")
	b.revokes(token, secretOf("billing")...)
	next("client_revoked", "client_id", "billing", "what", "token",
		"jti", memberOfToken(t, strings.Split(token, ".")[1], "jti"))
	b.revokes(token, secretOf("billing")...) // nothing ends
	b.revokes("made up", secretOf("billing")...)
	p := b.login()
	b.form(revocationPath, formOf("token", p.Refresh, "client_id", orders))
	next("client_revoked", "client_id", orders, "what", "session",
		"sid", memberOfToken(t, strings.Split(p.Access, ".")[1], "sid"))
	p = b.login()
	b.refresh(p)
	b.tryRefresh(p.Refresh)
	next("reused", "sub", "alice", "app", orders)
	b.login()
	keeperOf(b.office).commands("session", "end", "--user", "alice")
	next("session_ended", "sub", "alice", "app", orders)
	keeperOf(b.office).commands("keys", "rotate")
	next("keys_rotated")
	keeperOf(b.office).commands("keys", "reset", "--yes")
	next("keys_reset")
	noEvent(t)
}
