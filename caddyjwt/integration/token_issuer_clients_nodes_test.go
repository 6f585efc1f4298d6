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

// Two Caddys share a store and the storage. What ends tokens of a client at one of them ends them at the other within a
// second: the client itself, an operator, and a reset of the keys. What was used at one is used at the other.
func TestTokensOfClientsEndAtBothCaddys(t *testing.T) {
	long(t)
	redistest.Installed(t)
	key := tokentest.NewKey(t, "ES256", "")
	here := boothOf(sharedBy(t, redistest.Start(t)))
	directives := []string{
		here.issuerWith(here.billing(), here.sealed(), here.asker(), signingClient(t, "signs", key)), localGate(),
	}
	here.initialised(strings.Join(directives, "\n"))
	here.runs(directives...)
	there := boothOf(here.elsewhere())
	there.runsElsewhere(strings.Replace(there.whole(directives...), "storage file_system "+filepath.Dir(there.site.socket),
		"storage file_system "+filepath.Dir(here.site.socket), 1))
	for _, b := range []*booth{here, there} {
		eventually(t, "both are in sync", func() bool {
			return b.form(tokenPath, asking(), secretOf("billing")...).StatusCode == http.StatusOK
		})
	}
	var longest time.Duration
	ends := func(id, what string, end func(token string)) {
		t.Helper()
		token := here.tokenOf(id)
		here.works(token)
		there.works(token)
		end(token)
		longest = max(longest, here.turnsOut(token), there.turnsOut(token))
		there.unknownTo("asker", token)
		here.works(there.tokenOf(id))
		t.Logf("%s of %s: out at the other one after at most %v", what, id, longest)
	}
	for _, id := range []string{"billing", "sealed"} {
		ends(id, "the client revokes its token", func(token string) { here.revokes(token, secretOf(id)...) })
		ends(id, "at the other one", func(token string) { there.revokes(token, secretOf(id)...) })
		ends(id, "an operator revokes the client", func(string) {
			here.command("", "revoke", "--issuer", ownIssuer, "--client-id", id)
		})
		ends(id, "all keys are reset", func(string) { keeperOf(here.office).commands("keys", "reset", "--yes") })
	}
	if longest > 10*time.Second { // a second, and a machine that is busy
		t.Errorf("out at the other one only after %v", longest)
	}

	used := key.Sign(t, claimsOfAssertion("signs", "used here"))
	there.works(here.tokensIn(here.form(tokenPath, asserting(asking(), used))).Access)
	for _, b := range []*booth{there, here} {
		b.failed(b.form(tokenPath, asserting(asking(), used)), http.StatusUnauthorized, "invalid_client")
	}
	p := here.login()
	next := there.refreshAsClient(p.Refresh)
	here.works(next.Access)
	here.failed(here.form(tokenPath, refreshing(orders, p.Refresh)), http.StatusBadRequest, "invalid_grant")
	there.turnsOut(next.Access)
	there.failed(there.form(tokenPath, refreshing(orders, next.Refresh)), http.StatusBadRequest, "invalid_grant")
}

// After a restart tokens of clients are good, what was revoked stays so, and an assertion that was used is used.
func TestTokensOfClientsOutliveARestart(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	b := newBooth(t)
	directives := []string{b.issuerWith(b.billing(), signingClient(t, "signs", key)), localGate()}
	b.runs(directives...)
	on, revoked := b.tokenOf("billing"), b.tokenOf("billing")
	used := key.Sign(t, claimsOfAssertion("signs", "used before"))
	b.tokensIn(b.form(tokenPath, asserting(asking(), used)))
	b.revokes(revoked, secretOf("billing")...)
	b.restartFile(b.whole(directives...))
	b.works(on)
	b.isOut(revoked, "revoked")
	b.failed(b.form(tokenPath, asserting(asking(), used)), http.StatusUnauthorized, "invalid_client")
	b.works(b.tokensIn(b.form(tokenPath, asserting(asking(), key.Sign(t, claimsOfAssertion("signs", "new"))))).Access)
}
