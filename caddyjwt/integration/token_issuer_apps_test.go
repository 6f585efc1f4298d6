package integration

import (
	"net/http"
	"strings"
	"testing"
)

// lasting has access tokens live for longer than a test.
const lasting = "access_lifetime 10m"

// An application is removed from the configuration. Its access tokens end at once, at each route that takes tokens of
// the issuer, and so do its sessions. Those of the other application go on. When the application comes back before they
// expire, they are good again: nothing has revoked them.
func TestAttackTokensOfARemovedApplication(t *testing.T) {
	const stock = "/api/stock/"
	b := newBooth(t)
	user := "user alice " + hashOf(t, password)
	with := []string{issuingFor(ownIssuer, user, appOf(orders, lasting), appOf(stock, lasting)), localGate()}
	without := []string{issuingFor(ownIssuer, user, appOf(orders, lasting)), localGate()}
	b.runs(with...)
	p, q := b.login(), b.loginAt(stock, signsIn())
	ended := b.loginAt(stock, signsIn())
	b.passed(b.get(stock+"7", q.Access)) // and remembers it
	if a := b.post(stock+"logout", "", "", "Authorization", "Bearer "+ended.Access); a.StatusCode != http.StatusNoContent {
		t.Fatalf("status %d", a.StatusCode)
	}
	b.restartFile(b.whole(without...))
	b.attack(t, "at the backend", func(t *testing.T, b *booth, a *attempt) {
		a.secret(q.Access)
		for range 3 {
			b.refused(b.get(stock+"7", q.Access), http.StatusUnauthorized, "invalid_audience")
			b.refused(b.get(stock, q.Access, "X-Original-Url", orders), http.StatusUnauthorized, "invalid_audience")
			b.refused(b.get(orders+"7", q.Access), http.StatusUnauthorized, "invalid_audience")
		}
		eventually(t, "the log says why", func() bool {
			return strings.Contains(a.since(), "the issuer does not have the application")
		})
	})
	b.attack(t, "to refresh and to log out", func(_ *testing.T, b *booth, _ *attempt) {
		b.refused(b.post(stock+"refresh", asJSONBody, refreshes(q.Refresh)), http.StatusUnauthorized, "missing_token")
		b.refused(b.post(stock+"logout", "", "", "Authorization", "Bearer "+q.Access), http.StatusUnauthorized,
			"invalid_audience")
		b.failed(b.post(orders+"logout", "", "", "Authorization", "Bearer "+q.Access), http.StatusUnauthorized,
			"invalid_token")
		b.spent(q.Refresh)
	})
	b.works(p.Access)
	b.works(b.refresh(p).Access)
	b.restartFile(b.whole(with...))
	b.passed(b.get(stock+"7", q.Access))
	b.refused(b.get(stock+"7", ended.Access), http.StatusUnauthorized, "revoked")
}

// A reload removes the application for gates that remember its tokens: they share what they remember with those before.
func TestAReloadRemovesAnApplication(t *testing.T) {
	const stock = "/api/stock/"
	b := newBooth(t)
	user := "user alice " + hashOf(t, password)
	b.runs(issuingFor(ownIssuer, user, appOf(orders, lasting), appOf(stock, lasting)), localGate())
	p, q := b.login(), b.loginAt(stock, signsIn())
	for range 3 {
		b.works(p.Access)
		b.passed(b.get(stock+"7", q.Access))
	}
	b.runs(issuingFor(ownIssuer, user, appOf(orders, lasting)), localGate())
	b.refused(b.get(stock+"7", q.Access), http.StatusUnauthorized, "invalid_audience")
	b.works(p.Access)
	b.runs(issuingFor(ownIssuer, user, appOf(orders, lasting), appOf(stock, lasting)), localGate())
	b.passed(b.get(stock+"7", q.Access))
}
